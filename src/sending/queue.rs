//! A destination at work: its reader, its shards, and the upkeep of its position.
//!
//! 1. `feed` reads the write-ahead log and hands items to shards, each series always to the same one. It
//!    waits where a shard is full.
//! 2. Shards send (`shard`), and settle in `progress` what was answered for.
//! 3. `keep` writes the position about once a second, and after that moves the hold on the write-ahead
//!    log.
//! 4. When the number of shards changes, all items are sent before the new ones begin, so that the samples
//!    of a series stay in order.

use crate::destination::Destination;
use crate::item::Item;
use crate::manager::Source;
use crate::position::{PositionFile, Stored};
use crate::progress::{Mark, Progress};
use crate::reader::Reader;
use crate::resharding::{EACH, Interval, Resharding};
use crate::shard::{Figures, Shared, lock, run};
use crate::telemetry::{BEHIND_BYTES, GivenUp, HIGHEST_SENT, PENDING, SHARDS};
use crate::{SendError, metadata};
use model::{Signal, WalPosition};
use observe::{Notice, Seldom, emit};
use outbound::{Client, Reach};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use wal::{Follower, Hold, Log};
use wire::WriteVersion;

/// How often the write-ahead log is looked at when there was nothing to read.
const LOOK_EACH: Duration = Duration::from_millis(100);
const KEEP_EACH: Duration = Duration::from_secs(1);
/// After a failure of the disk.
const DISK_AGAIN: Duration = Duration::from_secs(1);
const TOLD_EACH_MS: i64 = 60_000;

/// A destination that is sent to.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) destination: Arc<Destination>,
    shared: Arc<Shared>,
    source: Source,
    file: Arc<PositionFile>,
    hold: Arc<Hold>,
    stop: watch::Sender<bool>,
    feeding: JoinHandle<()>,
    keeping: JoinSet<()>,
}

/// How a destination does.
#[derive(Clone, Debug, PartialEq)]
pub struct DestinationView {
    pub name: String,
    pub url: String,
    pub version: WriteVersion,
    pub shards: usize,
    pub pending: u64,
    pub behind_bytes: u64,
    /// Milliseconds since 1970; 0: nothing was taken yet.
    pub highest_sent_ms: i64,
    pub taken_ms: i64,
    /// When a request failed or was refused last, and why.
    pub failure: Option<(i64, String)>,
}

impl Queue {
    /// Begins where the destination was. Blocking.
    pub(crate) fn start(destination: Destination, source: &Source) -> Result<Self, SendError> {
        let name = destination.name.clone();
        let client = Client::new(&destination.http, Reach::Anywhere)
            .map_err(|error| SendError::Client { destination: name.clone(), error })?;
        let destination = Arc::new(destination);
        let file = Arc::new(PositionFile::new(Arc::clone(&source.disk), &name));
        let unusable = |error| SendError::Position { destination: name.clone(), error };
        let end = source.wal.end();
        let mark = match file.load().map_err(unusable)? {
            Stored::At(mark) => mark,
            Stored::New => Mark { sent: end, definitions: WalPosition::START },
            Stored::Damaged => {
                emit(&GivenUp { destination: &name, bytes: 0 });
                Mark::default()
            }
        };
        // Before anything is sent: a new destination that is killed at once begins here again.
        if let Err(error) = file.save(mark) {
            let text = "the position of a destination of remote_write can't be written yet";
            Notice::warn(text, &[("destination", &name), ("error", &error)]);
        }
        let of = (Signal::Metrics, source.tenant.clone());
        let places = (mark.definitions, mark.sent);
        let follower = Follower::new(&source.wal, of, places, source.backlog_max);
        let hold = Arc::clone(follower.hold());
        let (stop, stopping) = watch::channel(false);
        let progress = Arc::new(Progress::new(mark));
        let shared = Arc::new(Shared {
            destination: Arc::clone(&destination),
            client,
            clock: Arc::clone(&source.clock),
            progress: Arc::clone(&progress),
            stopping: stopping.clone(),
            metadata: Default::default(),
            figures: Figures::default(),
            told: Seldom::new(TOLD_EACH_MS),
        });
        let of = (source.store.clone(), source.tenant.clone());
        let reader = Reader::new(follower, of, Arc::clone(&destination), progress, end);
        let feeder = Feeder::new(Arc::clone(&shared), source.clone(), reader, stopping);
        let feeding = source.runtime.spawn(feeder.feed());
        let mut keeping = JoinSet::new();
        keeping.spawn_on(
            keep(Arc::clone(&shared), source.clone(), Arc::clone(&file), Arc::clone(&hold)),
            &source.runtime,
        );
        let telling = metadata::keep_sending(Arc::clone(&shared), source.clone());
        keeping.spawn_on(telling, &source.runtime);
        let source = source.clone();
        Ok(Self { destination, shared, source, file, hold, stop, feeding, keeping })
    }

    /// Sends what was read, as long as the receiver takes it and it takes no longer than `grace`, and
    /// writes the position.
    pub(crate) async fn stop(mut self, grace: Duration) {
        self.stop.send_replace(true);
        if tokio::time::timeout(grace, &mut self.feeding).await.is_err() {
            self.feeding.abort();
            let _ = (&mut self.feeding).await;
        }
        self.keeping.shutdown().await;
        save(&self.shared, &self.file, &self.hold).await;
        let name = &*self.destination.name;
        for gauge in [&PENDING, &BEHIND_BYTES, &SHARDS] {
            gauge.set(&[name], 0.0);
        }
    }

    pub(crate) fn viewer(&self) -> Viewer {
        Viewer { shared: Arc::clone(&self.shared), wal: Arc::clone(&self.source.wal) }
    }
}

/// Looks at a destination from outside.
#[derive(Debug)]
pub(crate) struct Viewer {
    shared: Arc<Shared>,
    wal: Arc<Log>,
}

impl Viewer {
    pub(crate) fn view(&self) -> DestinationView {
        let (figures, destination) = (&self.shared.figures, &self.shared.destination);
        DestinationView {
            name: destination.name.clone(),
            url: destination.url.to_string(),
            version: destination.version,
            shards: figures.shards.load(Relaxed),
            pending: self.shared.progress.pending(),
            behind_bytes: self.wal.bytes_from(self.shared.progress.mark().sent),
            highest_sent_ms: figures.highest_ms.load(Relaxed),
            taken_ms: figures.taken_ms.load(Relaxed),
            failure: lock(&figures.failure).clone(),
        }
    }
}

/// Writes the position, if it has moved, and releases the write-ahead log below it.
async fn save(shared: &Arc<Shared>, file: &Arc<PositionFile>, hold: &Hold) {
    let mark = shared.progress.mark();
    let saving = Arc::clone(file);
    match tokio::task::spawn_blocking(move || saving.save(mark)).await {
        Ok(Ok(())) => hold.set(mark.definitions, mark.sent),
        Ok(Err(error)) => {
            let text = "the position of a destination of remote_write can't be written: after a crash \
                 samples will be sent again";
            if shared.told.admits(shared.clock.wall_ms()).is_some() {
                let name = &shared.destination.name;
                Notice::error(text, &[("destination", name), ("error", &error)]);
            }
        }
        // The panic hook has reported it.
        Err(_) => {}
    }
}

async fn keep(shared: Arc<Shared>, source: Source, file: Arc<PositionFile>, hold: Arc<Hold>) {
    let mut saved = shared.progress.mark();
    let name = shared.destination.name.clone();
    loop {
        tokio::time::sleep(KEEP_EACH).await;
        let mark = shared.progress.mark();
        if mark != saved {
            save(&shared, &file, &hold).await;
            saved = mark;
        }
        let figures = &shared.figures;
        PENDING.set(&[&name], shared.progress.pending() as f64);
        BEHIND_BYTES.set(&[&name], source.wal.bytes_from(mark.sent) as f64);
        SHARDS.set(&[&name], figures.shards.load(Relaxed) as f64);
        HIGHEST_SENT.set(&[&name], figures.highest_ms.load(Relaxed) as f64 / 1e3);
    }
}

/// Reads, and hands to shards.
struct Feeder {
    shared: Arc<Shared>,
    source: Source,
    /// Away while it reads.
    reader: Option<Reader>,
    stopping: watch::Receiver<bool>,
    shards: Shards,
    resharding: Resharding,
    decided: platform::Moment,
    before: Seen,
}

/// Figures at the last decision.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    received: u64,
    sent: u64,
    busy_us: u64,
    behind_bytes: u64,
}

struct Shards {
    senders: Vec<mpsc::Sender<Vec<Item>>>,
    /// Items that were not handed over yet, by shard.
    gathered: Vec<Vec<Item>>,
    running: JoinSet<()>,
}

impl Shards {
    fn start(shared: &Arc<Shared>, count: usize) -> Self {
        let queue = shared.destination.queue;
        let slots = (queue.capacity / queue.samples_per_send.max(1)).max(1);
        let mut running = JoinSet::new();
        let mut senders = Vec::with_capacity(count);
        for _ in 0..count {
            let (sender, receiver) = mpsc::channel(slots);
            running.spawn(run(Arc::clone(shared), receiver));
            senders.push(sender);
        }
        shared.figures.shards.store(count, Relaxed);
        Self { senders, gathered: vec![Vec::new(); count], running }
    }
}

impl Feeder {
    fn new(
        shared: Arc<Shared>,
        source: Source,
        reader: Reader,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let shards = Shards { senders: Vec::new(), gathered: Vec::new(), running: JoinSet::new() };
        let (decided, reader) = (shared.clock.now(), Some(reader));
        let (resharding, before) = (Resharding::default(), Seen::default());
        Self { shared, source, reader, stopping, shards, resharding, decided, before }
    }

    async fn feed(mut self) {
        let first = self.shared.destination.queue.shards_min.max(1);
        self.shards = Shards::start(&self.shared, first);
        let mut stopping = self.stopping.clone();
        tokio::select! {
            () = self.feed_on() => {}
            _ = stopping.wait_for(|is_stopping| *is_stopping) => {}
        }
        self.finish().await;
    }

    /// Hands over what was gathered, as far as there is room, and waits for the shards.
    async fn finish(&mut self) {
        for (sender, items) in self.shards.senders.drain(..).zip(&mut self.shards.gathered) {
            let _ = sender.try_send(std::mem::take(items));
        }
        while self.shards.running.join_next().await.is_some() {}
    }

    async fn feed_on(&mut self) {
        loop {
            let is_end = match self.read().await {
                Some(read) => read,
                None => return,
            };
            if is_end {
                for shard in 0..self.shards.senders.len() {
                    self.hand_over(shard).await;
                }
                while !self.reader.as_ref().is_some_and(Reader::is_behind) {
                    tokio::time::sleep(LOOK_EACH).await;
                    self.reshard().await;
                }
            }
            self.reshard().await;
        }
    }

    /// Reads some items. Answers whether it has come to the end; `None` if reading panicked.
    async fn read(&mut self) -> Option<bool> {
        let mut reader = self.reader.take()?;
        let queue = self.shared.destination.queue;
        let most = queue.samples_per_send.max(1) * self.shards.senders.len();
        let reading = tokio::task::spawn_blocking(move || {
            let read = reader.read(most);
            (reader, read)
        });
        let (reader, read) = reading.await.ok()?;
        self.reader = Some(reader);
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                let text = "the write-ahead log can't be read for a destination of remote_write";
                if self.shared.told.admits(self.shared.clock.wall_ms()).is_some() {
                    let name = &self.shared.destination.name;
                    Notice::error(text, &[("destination", name), ("error", &error)]);
                }
                tokio::time::sleep(DISK_AGAIN).await;
                return Some(false);
            }
        };
        if read.has_metadata {
            metadata::note_change(&self.shared);
        }
        self.shared.figures.received.fetch_add(read.items.len() as u64, Relaxed);
        for item in read.items {
            let shard = (item.series.hash % self.shards.senders.len() as u64) as usize;
            self.shards.gathered[shard].push(item);
            if self.shards.gathered[shard].len() >= queue.samples_per_send {
                self.hand_over(shard).await;
            }
        }
        Some(read.is_end)
    }

    async fn hand_over(&mut self, shard: usize) {
        // Room first: what is gathered must not be lost when this is dropped at a stop.
        if self.shards.gathered[shard].is_empty() {
            return;
        }
        if let Ok(place) = self.shards.senders[shard].reserve().await {
            place.send(std::mem::take(&mut self.shards.gathered[shard]));
        }
    }

    async fn reshard(&mut self) {
        let now = self.shared.clock.now();
        if now.since(self.decided) < EACH {
            return;
        }
        self.decided = now;
        let shards = self.shards.senders.len();
        let wanted = self.decide(shards);
        if wanted == shards {
            return;
        }
        for shard in 0..shards {
            self.hand_over(shard).await;
        }
        self.shards.senders.clear();
        while self.shards.running.join_next().await.is_some() {}
        self.shards = Shards::start(&self.shared, wanted);
    }

    fn decide(&mut self, shards: usize) -> usize {
        let (figures, queue) = (&self.shared.figures, &self.shared.destination.queue);
        let seen = Seen {
            received: figures.received.load(Relaxed),
            sent: figures.sent.load(Relaxed),
            busy_us: figures.busy_us.load(Relaxed),
            behind_bytes: self.source.wal.bytes_from(self.shared.progress.mark().sent),
        };
        let before = std::mem::replace(&mut self.before, seen);
        let received = (seen.received - before.received) as f64;
        let pending = self.shared.progress.pending() as f64;
        // What one item takes in the write-ahead log, from what is read and waits.
        let bytes_each = match pending > 0.0 && received > 0.0 {
            true => (seen.behind_bytes as f64 / pending).clamp(1.0, 64.0),
            false => 16.0,
        };
        let waiting = pending.max(seen.behind_bytes as f64 / bytes_each);
        let interval = Interval {
            received,
            sent: (seen.sent - before.sent) as f64,
            busy_seconds: (seen.busy_us - before.busy_us) as f64 / 1e6,
            waiting,
        };
        self.resharding.decide(interval, shards, queue)
    }
}
