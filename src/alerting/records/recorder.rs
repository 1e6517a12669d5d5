//! The thread that writes the file. Records that arrive while it syncs share the next sync.

use super::{Record, RecordFile};
use crate::telemetry::{RECORD_FAILURES, RECORD_SYNCS};
use platform::Clock;
use platform::threads::Worker;
use std::io;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Callers that may wait at once; further ones wait for their turn.
const WAITING_MAX: usize = 256;

#[derive(Debug)]
struct Job {
    records: Vec<Record>,
    answer: oneshot::Sender<Result<(), String>>,
}

/// Dropping it writes what waits and ends the thread.
#[derive(Debug)]
pub struct Recorder {
    // In this order: the thread ends when nobody can send any more.
    jobs: mpsc::Sender<Job>,
    _worker: Worker,
}

impl Recorder {
    pub fn start(file: RecordFile, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let worker = Worker::start("alert-log", move || write_all(file, waiting, &*clock))?;
        Ok(Self { jobs, _worker: worker })
    }

    /// Answers when the records are on the disk.
    pub async fn record(&self, records: Vec<Record>) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        let gone = || "the thread that records notifications has ended".to_owned();
        self.jobs.send(Job { records, answer }).await.map_err(|_| gone())?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }
}

fn write_all(mut file: RecordFile, mut waiting: mpsc::Receiver<Job>, clock: &dyn Clock) {
    while let Some(first) = waiting.blocking_recv() {
        let mut jobs = vec![first];
        while let Ok(next) = waiting.try_recv() {
            jobs.push(next);
        }
        let records: Vec<Record> = jobs.iter_mut().flat_map(|job| job.records.drain(..)).collect();
        RECORD_SYNCS.increment();
        let written = file.append(&records, clock.wall_ms());
        let written = written.map_err(|error| {
            RECORD_FAILURES.increment();
            error.to_string()
        });
        for job in jobs {
            // Who no longer waits need not be answered.
            let _ = job.answer.send(written.clone());
        }
    }
}
