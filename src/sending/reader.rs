//! From the write-ahead log to items: one reader for a destination. Blocking.

use crate::destination::Destination;
use crate::item::{Item, Value};
use crate::progress::{Mark, Progress};
use crate::series::{Epochs, Found, Rewriting};
use crate::telemetry::{DROPPED, GivenUp};
use metric_store::{DecodedBatch, Exemplar, MetricStore, decode_batch};
use model::{TenantId, WalPosition};
use observe::{Notice, emit};
use std::collections::HashMap;
use std::sync::Arc;
use wal::{Followed, Follower, WalError};

#[derive(Debug)]
pub(crate) struct Reader {
    follower: Follower,
    store: MetricStore,
    tenant: TenantId,
    destination: Arc<Destination>,
    progress: Arc<Progress>,
    epochs: Epochs,
    /// Below it, only definitions count.
    sent: WalPosition,
    /// Below it stands what was there before this start.
    old_below: WalPosition,
    current: Option<Cursor>,
}

/// A batch, as far as it was made into items.
#[derive(Debug)]
struct Cursor {
    batch: DecodedBatch,
    number: u64,
    is_old: bool,
    samples: usize,
    histograms: usize,
    exemplars: HashMap<u32, Vec<Exemplar>>,
    dropped: Dropped,
}

#[derive(Debug, Default)]
struct Dropped {
    relabeled: u64,
    unknown: u64,
    exemplars: u64,
    histograms: u64,
}

/// Of one call: where nothing is to be sent, a stop must not wait for the end.
const BATCHES_MAX: usize = 256;

/// What a reader read.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) items: Vec<Item>,
    /// There is nothing more to read now.
    pub(crate) is_end: bool,
    /// The metadata of metrics came with it.
    pub(crate) has_metadata: bool,
}

impl Reader {
    pub(crate) fn new(
        follower: Follower,
        (store, tenant): (MetricStore, TenantId),
        destination: Arc<Destination>,
        progress: Arc<Progress>,
        old_below: WalPosition,
    ) -> Self {
        let rewriting = Rewriting {
            external: destination.external_labels.clone(),
            relabel: destination.relabel.clone(),
        };
        let (epochs, sent) = (Epochs::new(rewriting), progress.mark().sent);
        let current = None;
        Self { follower, store, tenant, destination, progress, epochs, sent, old_below, current }
    }

    pub(crate) fn is_behind(&self) -> bool {
        self.current.is_some() || self.follower.is_behind()
    }

    /// About so many items, or as many as there are.
    pub(crate) fn read(&mut self, most: usize) -> Result<Read, WalError> {
        // Asked first: no batch of an earlier epoch follows what is read from here on.
        let live = self.store.live_epoch(&self.tenant);
        let mut read = Read::default();
        let mut batches = 0;
        while read.items.len() < most && batches < BATCHES_MAX {
            if let Some(mut cursor) = self.current.take() {
                let before = read.items.len();
                let is_done = cursor.fill(&self.epochs, &self.destination, &mut read.items, most);
                self.progress.read((read.items.len() - before) as u64, is_done);
                match is_done {
                    true => cursor.dropped.count(&self.destination.name),
                    false => self.current = Some(cursor),
                }
            } else if self.next_batch(&mut read)? {
                batches += 1;
            } else {
                self.pass(live);
                read.is_end = true;
                break;
            }
        }
        Ok(read)
    }

    /// False at the end.
    fn next_batch(&mut self, read: &mut Read) -> Result<bool, WalError> {
        let name = &self.destination.name;
        let (position, batch) = match self.follower.next_batch()? {
            None => return Ok(false),
            Some(Followed::Lost { bytes }) => {
                emit(&GivenUp { destination: name, bytes });
                return Ok(true);
            }
            Some(Followed::Batch(found)) => {
                (found.position, decode_batch(found.batch.schema, found.batch.payload))
            }
        };
        let mut batch = match batch {
            Ok(batch) => batch,
            Err(error) => {
                DROPPED.increment(&[name, "unreadable"]);
                let text = "a batch of the write-ahead log can't be sent on";
                Notice::error(text, &[("destination", name), ("error", &error)]);
                return Ok(true);
            }
        };
        self.epochs.define(batch.epoch, position, &batch.definitions);
        batch.definitions = Vec::new();
        if position >= self.sent {
            read.has_metadata |= !batch.metadata.is_empty();
            let mark = self.mark(self.follower.position());
            let number = self.progress.begin(mark);
            let is_old = position < self.old_below;
            self.current = Some(Cursor::new(batch, number, is_old, &self.destination));
        }
        Ok(true)
    }

    fn mark(&self, sent: WalPosition) -> Mark {
        Mark { sent, definitions: self.epochs.start().unwrap_or(sent) }
    }

    /// Everything was read. If the next batch is of a new epoch, nothing before it is needed.
    fn pass(&self, live: Option<u64>) {
        let sent = self.follower.position();
        if sent >= self.sent {
            let is_over = self.epochs.newest() != live;
            let definitions = self.epochs.start().filter(|_| !is_over).unwrap_or(sent);
            self.progress.pass(Mark { sent, definitions });
        }
    }
}

impl Cursor {
    fn new(mut batch: DecodedBatch, number: u64, is_old: bool, destination: &Destination) -> Self {
        let mut dropped = Dropped::default();
        let mut exemplars: HashMap<u32, Vec<Exemplar>> = HashMap::new();
        let of_batch = std::mem::take(&mut batch.exemplars);
        match destination.send_exemplars {
            true => of_batch.into_iter().for_each(|(of, one)| {
                exemplars.entry(of).or_default().push(one);
            }),
            false => dropped.exemplars = of_batch.len() as u64,
        }
        if !destination.send_native_histograms {
            dropped.histograms = batch.histograms.len() as u64;
            batch.histograms = Vec::new();
        }
        Self { batch, number, is_old, samples: 0, histograms: 0, exemplars, dropped }
    }

    /// True when nothing is left of the batch.
    fn fill(
        &mut self,
        epochs: &Epochs,
        destination: &Destination,
        items: &mut Vec<Item>,
        most: usize,
    ) -> bool {
        while let Some(number) = self.batch.numbers.get(self.samples) {
            if items.len() >= most {
                return false;
            }
            let number = u32::try_from(*number).unwrap_or(u32::MAX);
            let (time_ms, bits) = (self.batch.times[self.samples], self.batch.values[self.samples]);
            let start_ms = self.batch.starts.get(self.samples).copied().unwrap_or(0);
            self.samples += 1;
            self.push(epochs, number, Value::Sample { time_ms, start_ms, bits }, items);
        }
        while let Some((number, sample)) = self.batch.histograms.get(self.histograms).cloned() {
            if items.len() >= most {
                return false;
            }
            self.histograms += 1;
            self.push(epochs, number, Value::Histogram(sample), items);
        }
        // Exemplars without a sample in their batch. Version 2 has no way to send them alone.
        let alone = std::mem::take(&mut self.exemplars);
        for (number, exemplars) in alone {
            for exemplar in exemplars {
                match destination.version {
                    wire::WriteVersion::V1 => {
                        self.push(epochs, number, Value::Exemplar(exemplar.into()), items);
                    }
                    wire::WriteVersion::V2 => self.dropped.exemplars += 1,
                }
            }
        }
        true
    }

    fn push(&mut self, epochs: &Epochs, number: u32, value: Value, items: &mut Vec<Item>) {
        let (batch, is_old) = (self.number, self.is_old);
        let exemplars = match self.exemplars.is_empty() {
            true => None,
            false => self.exemplars.remove(&number),
        };
        let exemplars = exemplars.unwrap_or_default();
        match epochs.find(self.batch.epoch, number) {
            Found::Series(series) => {
                items.push(Item { series: Arc::clone(&series), value, batch, is_old });
                for exemplar in exemplars {
                    let (series, value) = (Arc::clone(&series), Value::Exemplar(exemplar.into()));
                    items.push(Item { series, value, batch, is_old });
                }
            }
            Found::Dropped => self.dropped.relabeled += 1 + exemplars.len() as u64,
            Found::Unknown => self.dropped.unknown += 1 + exemplars.len() as u64,
        }
    }
}

impl Dropped {
    fn count(&self, destination: &str) {
        for (reason, count) in [
            ("relabeled", self.relabeled),
            ("series_unknown", self.unknown),
            ("exemplars_off", self.exemplars),
            ("native_histograms_off", self.histograms),
        ] {
            if count > 0 {
                DROPPED.add(&[destination, reason], count);
            }
        }
    }
}
