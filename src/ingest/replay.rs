//! Replays the write-ahead log into the engines at start-up, and keeps track of refused batches.

use crate::repeats::{Header, KNOWN_BATCHES, ONCE, Repeats};
use engine::{Engine, EngineError, RefusedBatches};
use model::{Signal, TenantId, WalPosition};
use observe::{Event, Fields, GaugeFamily, Level, emit};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use wal::{Batch, Loss, Progress, Replay, ReplaySummary, Replayed, WalError};

pub(crate) static REFUSED_BATCHES: GaugeFamily = GaugeFamily::new(
    "mirador_wal_refused_batches",
    "Batches that could not be applied at start and are kept in the write-ahead log until an operator \
     gives them up.",
    &["signal"],
);

#[derive(Clone, Copy, Debug, Default)]
pub struct ReplayReport {
    pub batches: u64,
    pub bytes: u64,
    /// Batches that stay in the write-ahead log because no engine could apply them.
    pub refused: u64,
}

struct BatchRefused<'a> {
    signal: Signal,
    tenant: &'a TenantId,
    position: WalPosition,
    reason: &'a str,
}

impl Event for BatchRefused<'_> {
    const LEVEL: Level = Level::Error;
    const MESSAGE: &'static str = "a batch of the write-ahead log could not be taken back: the \
        write-ahead log is kept from there on, and the next start tries again, until \
        DELETE /api/admin/refused/SIGNAL/TENANT gives it up";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.text("signal", self.signal);
        fields.text("tenant", self.tenant);
        fields.text("position", self.position);
        fields.text("reason", self.reason);
    }
}

/// Batches of signals for which this server has no engine. They exist only in the write-ahead log;
/// a server with that engine may be started on this folder again.
#[derive(Debug, Default)]
pub(crate) struct Unclaimed(Mutex<BTreeMap<(Signal, TenantId), (usize, WalPosition)>>);

impl Unclaimed {
    fn add(&self, replayed: &Replayed<'_>) {
        let key = (replayed.batch.signal, replayed.batch.tenant.clone());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, lowest) = all.entry(key).or_insert((0, replayed.position));
        *count += 1;
        *lowest = (*lowest).min(replayed.position);
    }

    pub(crate) fn lowest(&self) -> Option<WalPosition> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().map(|(_, lowest)| *lowest).min()
    }

    pub(crate) fn list(&self) -> Vec<RefusedBatches> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = |((signal, tenant), (count, lowest)): (&(Signal, TenantId), &(usize, _))| {
            let (signal, tenant, count, lowest) = (*signal, tenant.clone(), *count, *lowest);
            let (lowest, missing) = (Some(lowest), Vec::new());
            RefusedBatches { signal, tenant, count, lowest, missing }
        };
        all.iter().map(entry).collect()
    }

    pub(crate) fn forget(&self, signal: Signal, tenant: &TenantId) -> usize {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&(signal, tenant.clone())).map_or(0, |(count, _)| count)
    }
}

/// Gives every batch to its engine; blocking. `progress` is called with the bytes done and the
/// total.
pub(crate) fn replay(
    engines: &[Arc<dyn Engine>],
    unclaimed: &Unclaimed,
    repeats: &Repeats,
    mut replay: Replay,
    mut progress: impl FnMut(u64, u64),
) -> Result<ReplayReport, WalError> {
    let mut report = ReplayReport::default();
    while let Some(replayed) = replay.next_batch()? {
        report.batches += 1;
        report.bytes += replayed.batch.payload.len() as u64;
        if let Some(replayed) = first_of(&replayed, repeats)
            && let Err(error) = replay_one(engines, unclaimed, &replayed)
        {
            report.refused += 1;
            let (signal, tenant) = (replayed.batch.signal, replayed.batch.tenant);
            let (position, reason) = (replayed.position, error.to_string());
            emit(&BatchRefused { signal, tenant, position, reason: &reason });
        }
        let Progress { done_bytes, total_bytes } = replay.progress();
        progress(done_bytes, total_bytes);
    }
    engines.iter().for_each(|engine| engine.end_replay());
    note_loss(engines, &replay.summary());
    Ok(report)
}

/// The batch as its engine knows it; `None` if there is none, or if it counts once and was there before.
fn first_of<'r>(replayed: &Replayed<'r>, repeats: &Repeats) -> Option<Replayed<'r>> {
    let Replayed { position, batch } = *replayed;
    if batch.schema == KNOWN_BATCHES {
        // An unreadable list only means that repeats are not noticed.
        let _ = repeats.listed(batch.signal, batch.tenant, batch.payload, position);
        return None;
    }
    // What its engine does not understand either is refused and kept.
    let header = Header::read(batch.payload).ok().filter(|_| batch.schema & ONCE != 0);
    let Some(header) = header else { return Some(*replayed) };
    let is_first = repeats.replayed(batch.signal, batch.tenant, &header, position);
    let batch = Batch { schema: batch.schema & !ONCE, payload: header.payload, ..batch };
    is_first.then_some(Replayed { position, batch })
}

/// The write-ahead log does not know which tenants the lost batches were of.
fn note_loss(engines: &[Arc<dyn Engine>], summary: &ReplaySummary) {
    let Some(Loss { from, end }) = summary.loss else { return };
    let (gaps, bytes) = (summary.gaps, summary.corrupt_bytes);
    let text = format!(
        "rows may be missing: the write-ahead log was damaged between {from} and {end} \
         ({gaps} gaps where segments are missing, {bytes} unreadable bytes); \
         DELETE /api/admin/refused/SIGNAL/TENANT ends this warning"
    );
    for engine in engines {
        if let Err(error) = engine.note_loss(end, &text) {
            emit(&LossNotNoted { signal: engine.signal(), error: &error });
        }
    }
}

struct LossNotNoted<'a> {
    signal: Signal,
    error: &'a EngineError,
}

impl Event for LossNotNoted<'_> {
    const LEVEL: Level = Level::Error;
    const MESSAGE: &'static str = "the loss of batches of the write-ahead log could not be recorded: \
        answers tell of it until the next start";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.text("signal", self.signal);
        fields.error(self.error);
    }
}

fn replay_one(
    engines: &[Arc<dyn Engine>],
    unclaimed: &Unclaimed,
    replayed: &Replayed<'_>,
) -> Result<(), EngineError> {
    let signal = replayed.batch.signal;
    match engines.iter().find(|engine| engine.signal() == signal) {
        Some(engine) => engine.replay(replayed),
        None => {
            unclaimed.add(replayed);
            let message = format!("this server has no engine for {signal}");
            Err(EngineError::new(model::ErrorKind::Invalid, message))
        }
    }
}
