//! Readers that wait for new lines. A batch is handed on after it was written to the write-ahead log and
//! applied; a reader that does not keep up misses batches and is told what it missed.

use crate::head::Block;
use crate::rows::Rows;
use model::Labels;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Lines that have just been applied, with the labels of their streams.
#[derive(Debug)]
pub struct Fresh {
    pub(crate) streams: Vec<Labels>,
    pub(crate) blocks: Vec<Arc<Block>>,
}

/// A reader that waits for new lines of one tenant; dropped, it waits no more.
#[derive(Debug)]
pub struct Tail(Arc<TailQueue>);

/// What a reader missed because it was slow.
#[derive(Clone, Debug, Default)]
pub struct Missed {
    pub lines: u64,
    /// Streams of missed batches, with a time of a line: at most [`Missed::STREAMS_MAX`] are noted.
    pub streams: Vec<(Labels, i64)>,
}

impl Missed {
    pub const STREAMS_MAX: usize = 100;

    fn add(&mut self, fresh: &Fresh) {
        fresh.blocks.iter().for_each(|block| self.add_rows(&fresh.streams, &block.rows));
    }

    fn add_rows(&mut self, streams: &[Labels], rows: &Rows) {
        self.lines += rows.len() as u64;
        let mut row = 0;
        for run in rows.streams.chunk_by(|left, right| left == right) {
            row += run.len();
            if self.streams.len() >= Self::STREAMS_MAX {
                return;
            }
            self.streams.push((streams[run[0] as usize].clone(), rows.times[row - 1]));
        }
    }
}

/// The readers of one tenant.
#[derive(Debug, Default)]
pub(crate) struct Tails(Mutex<Vec<Weak<TailQueue>>>);

struct TailQueue {
    waiting: Mutex<Waiting>,
    /// Called after a batch was added.
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Debug, Default)]
struct Waiting {
    batches: VecDeque<Arc<Fresh>>,
    bytes: usize,
    missed: Missed,
}

/// What waits for one reader takes no more memory.
const WAITING_BYTES_MAX: usize = 8 << 20;

impl Tails {
    /// `wake` is called from the thread that applies a batch, so it must be quick.
    pub(crate) fn follow(&self, wake: Box<dyn Fn() + Send + Sync>) -> Tail {
        let queue = Arc::new(TailQueue { waiting: Mutex::default(), wake });
        self.lock().push(Arc::downgrade(&queue));
        Tail(queue)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    pub(crate) fn hand_on(&self, streams: &[Labels], rows: &Rows) {
        let mut tails = self.lock();
        tails.retain(|tail| tail.strong_count() > 0);
        if tails.is_empty() || rows.is_empty() {
            return;
        }
        let fresh = Arc::new(Fresh { streams: streams.to_vec(), blocks: Block::of(rows) });
        let queues: Vec<Arc<TailQueue>> = tails.iter().filter_map(Weak::upgrade).collect();
        drop(tails);
        for queue in queues {
            queue.add(&fresh);
            (queue.wake)();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<TailQueue>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TailQueue {
    fn add(&self, fresh: &Arc<Fresh>) {
        let bytes = fresh.blocks.iter().map(|block| block.rows.bytes()).sum::<usize>();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.bytes + bytes > WAITING_BYTES_MAX && !waiting.batches.is_empty() {
            waiting.missed.add(fresh);
            return;
        }
        waiting.bytes += bytes;
        waiting.batches.push_back(Arc::clone(fresh));
    }
}

impl Tail {
    /// What came since the last call, and what this reader missed because it was slow.
    pub fn take(&self) -> (Vec<Arc<Fresh>>, Missed) {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Waiting { batches, missed, .. } = std::mem::take(&mut *waiting);
        (batches.into(), missed)
    }
}

impl fmt::Debug for TailQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TailQueue").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}
