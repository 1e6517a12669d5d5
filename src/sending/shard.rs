//! One shard of a destination: one request after the other, each until the receiver has taken or refused
//! it.
//!
//! A request that failed is sent again with the same samples, less those that have become too old, before
//! anything that follows it.

use crate::batcher::{Batcher, Next};
use crate::destination::Destination;
use crate::item::{Item, Tally, Value};
use crate::progress::Progress;
use crate::retry::{Backoff, Outcome, outcome};
use crate::telemetry::{DROPPED, REFUSED, REQUEST_SECONDS, RETRIED, SENT, SENT_BYTES, add};
use model::MetricMetadata;
use observe::{Notice, Seldom};
use outbound::{Client, Request};
use platform::Clock;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use wire::remote_read::snappy;
use wire::{ExemplarRef, MetadataRef, MetricSink, WriteEncoder, WriteVersion};

/// Answers are short.
const ANSWER_MAX: usize = 64 << 10;

/// What the shards of a destination share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) destination: Arc<Destination>,
    pub(crate) client: Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) stopping: watch::Receiver<bool>,
    pub(crate) metadata: Mutex<Arc<BTreeMap<String, MetricMetadata>>>,
    pub(crate) figures: Figures,
    pub(crate) told: Seldom,
}

#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) received: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) busy_us: AtomicU64,
    pub(crate) shards: AtomicUsize,
    pub(crate) metadata_changed: AtomicBool,
    /// The latest time of a sample that was taken; 0: none was.
    pub(crate) highest_ms: AtomicI64,
    /// When the receiver took something last.
    pub(crate) taken_ms: AtomicI64,
    /// Why a request failed or was refused last, and when.
    pub(crate) failure: Mutex<Option<(i64, String)>>,
}

/// Ends when `incoming` is closed and everything was sent; while the server stops, at the first failure.
pub(crate) async fn run(shared: Arc<Shared>, mut incoming: mpsc::Receiver<Vec<Item>>) {
    let settings = shared.destination.queue;
    let mut batcher = Batcher::new(settings.samples_per_send, settings.send_deadline);
    let mut encoder = WriteEncoder::new(shared.destination.version);
    let mut is_open = true;
    while is_open || !batcher.is_empty() {
        let now = shared.clock.now();
        let received = match batcher.next(now) {
            Next::Wait(_) | Next::Send if !is_open => None,
            Next::Send => None,
            Next::Wait(None) => Some(incoming.recv().await),
            Next::Wait(Some(left)) => tokio::time::timeout(left, incoming.recv()).await.ok(),
        };
        match received {
            Some(Some(items)) => batcher.push(items, shared.clock.now()),
            Some(None) => is_open = false,
            None => {
                let items = batcher.take(now);
                if !deliver(&shared, &mut encoder, items).await {
                    return;
                }
            }
        }
    }
}

/// False if the server stops and the receiver does not answer.
async fn deliver(shared: &Shared, encoder: &mut WriteEncoder, items: Vec<Item>) -> bool {
    // The next piece is the last one.
    let mut pieces = vec![items];
    while let Some(mut piece) = pieces.pop() {
        let mut backoff = Backoff::new(&shared.destination.queue);
        loop {
            shared.drop_old(&mut piece);
            if piece.is_empty() {
                break;
            }
            let tally = Tally::of(&piece);
            let metadata = Arc::clone(&lock(&shared.metadata));
            let body = encode(&piece, encoder, &metadata);
            match shared.post(body, tally, backoff.attempts).await {
                Outcome::Taken(written) => {
                    shared.taken(&piece, tally, written);
                    break;
                }
                // It may refuse all for one sample that it has already.
                Outcome::Refused { is_of_samples: true, .. }
                    if piece.len() > 1 && piece.iter().any(|item| item.is_old) =>
                {
                    let back = piece.split_off(piece.len() / 2);
                    pieces.extend([back, piece]);
                    break;
                }
                Outcome::Refused { why, .. } => {
                    shared.refused(&piece, tally, &why);
                    break;
                }
                Outcome::Failed(why, after) => {
                    RETRIED.add(&[&shared.destination.name], tally.sum());
                    shared.tell("a destination of remote_write does not take samples", tally, &why);
                    if !shared.pause(backoff.wait(after)).await {
                        return false;
                    }
                }
            }
        }
    }
    true
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Settles the items that have become too old.
    fn drop_old(&self, items: &mut Vec<Item>) {
        let Some(most) = self.destination.queue.sample_age_max else { return };
        let most = i64::try_from(most.as_millis()).unwrap_or(i64::MAX);
        let oldest = self.clock.wall_ms().saturating_sub(most);
        let old: Vec<Item> = items.extract_if(.., |item| item.time_ms() < oldest).collect();
        if !old.is_empty() {
            DROPPED.add(&[&self.destination.name, "too_old"], old.len() as u64);
            self.progress.settle(&old);
        }
    }

    pub(crate) async fn post(&self, body: Vec<u8>, asked: Tally, attempts: u32) -> Outcome {
        let Destination { url, version, timeout, headers, queue, name, .. } = &*self.destination;
        let Some(body) = snappy(&body) else {
            let why = "it is too large to be compressed".to_owned();
            return Outcome::Refused { why, is_of_samples: false };
        };
        SENT_BYTES.add(&[name], body.len() as u64);
        let (content_type, number) = match version {
            WriteVersion::V1 => ("application/x-protobuf", "0.1.0"),
            WriteVersion::V2 => {
                ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0")
            }
        };
        let mut request = Request::post(url.clone(), content_type, body)
            .header("Content-Encoding", "snappy")
            .header("X-Prometheus-Remote-Write-Version", number)
            .timeout(*timeout)
            .answer_max(ANSWER_MAX);
        if attempts > 0 {
            request = request.header("Retry-Attempt", &attempts.to_string());
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let begun = self.clock.now();
        let answer = self.client.send(request).await;
        let took = self.clock.now().since(begun);
        REQUEST_SECONDS.observe(took.as_secs_f64());
        self.figures.busy_us.fetch_add(took.as_micros() as u64, Relaxed);
        outcome(answer, *version, asked, queue.retry_on_429, self.clock.wall_ms())
    }

    fn taken(&self, items: &[Item], asked: Tally, written: Tally) {
        let name = &self.destination.name;
        add(&SENT, name, asked.less(asked.less(written)));
        let missing = asked.less(written);
        if missing.sum() > 0 {
            add(&REFUSED, name, missing);
            let why = "it answered with success, and its headers say that it has not written all";
            self.tell("a destination of remote_write left samples out", missing, why);
        }
        let highest = items.iter().map(Item::time_ms).max().unwrap_or(0);
        self.figures.highest_ms.fetch_max(highest, Relaxed);
        self.figures.taken_ms.store(self.clock.wall_ms(), Relaxed);
        self.figures.sent.fetch_add(items.len() as u64, Relaxed);
        self.progress.settle(items);
    }

    fn refused(&self, items: &[Item], tally: Tally, why: &str) {
        add(&REFUSED, &self.destination.name, tally);
        self.tell(
            "a destination of remote_write refuses samples, which are lost to it",
            tally,
            why,
        );
        self.figures.sent.fetch_add(items.len() as u64, Relaxed);
        self.progress.settle(items);
    }

    pub(crate) fn tell(&self, text: &'static str, tally: Tally, why: &str) {
        let now_ms = self.clock.wall_ms();
        *lock(&self.figures.failure) = Some((now_ms, why.to_owned()));
        if let Some(more) = self.told.admits(now_ms) {
            let (name, samples) = (&self.destination.name, tally.sum());
            let more: (&str, &dyn Display) = ("failures_untold", &more);
            let fields: [(&str, &dyn Display); 4] =
                [("destination", name), ("samples", &samples), ("error", &why), more];
            Notice::warn(text, &fields);
        }
    }

    /// False if the server stops.
    pub(crate) async fn pause(&self, wait: Duration) -> bool {
        let mut stopping = self.stopping.clone();
        let stopped = stopping.wait_for(|is_stopping| *is_stopping);
        tokio::time::timeout(wait, stopped).await.is_err()
    }
}

/// The request as protobuf. Neighbours of one series share its labels.
fn encode(
    items: &[Item],
    encoder: &mut WriteEncoder,
    metadata: &BTreeMap<String, MetricMetadata>,
) -> Vec<u8> {
    let mut before: Option<&Item> = None;
    for item in items {
        let is_same = before.is_some_and(|before| Arc::ptr_eq(&before.series, &item.series));
        if !is_same {
            encoder.series(item.series.labels.as_bytes());
            let metric = item.series.labels.metric_name();
            if let Some(found) = family(metadata, metric) {
                let MetricMetadata { kind, unit, help } = found;
                encoder.metadata(metric, MetadataRef { kind: *kind, unit, help });
            }
        }
        before = Some(item);
        match &item.value {
            Value::Sample { time_ms, start_ms, bits } => {
                encoder.sample(*time_ms, *start_ms, f64::from_bits(*bits));
            }
            Value::Histogram(sample) => {
                encoder.histogram(sample.time_ms, sample.start_ms, (*sample.histogram).clone());
            }
            Value::Exemplar(exemplar) => encoder.exemplar(ExemplarRef {
                labels: exemplar.labels.as_bytes(),
                value: exemplar.value,
                timestamp_ms: exemplar.time_ms,
            }),
        }
    }
    encoder.finish()
}

/// What the family of a metric says: `x_bucket` belongs to `x`. `metadata` is empty for version 1,
/// which sends it apart.
fn family<'m>(
    metadata: &'m BTreeMap<String, MetricMetadata>,
    metric: &str,
) -> Option<&'m MetricMetadata> {
    if metadata.is_empty() {
        return None;
    }
    let suffixes = ["", "_total", "_bucket", "_count", "_sum", "_info"];
    suffixes.iter().find_map(|suffix| metadata.get(metric.strip_suffix(suffix)?))
}
