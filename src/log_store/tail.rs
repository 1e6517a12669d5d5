//! Readers that wait for new lines. A batch is handed on after it was written to the write-ahead log and
//! applied; a reader that does not keep up misses batches and is told how many lines.

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
    pub(crate) block: Arc<Block>,
}

/// A reader that waits for new lines of one tenant; dropped, it waits no more.
#[derive(Debug)]
pub struct Tail(Arc<TailQueue>);

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
    dropped_lines: u64,
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
        let Some(time) = rows.time().filter(|_| !tails.is_empty()) else { return };
        let block = Arc::new(Block { rows: rows.ordered(), time });
        let fresh = Arc::new(Fresh { streams: streams.to_vec(), block });
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
        let bytes = fresh.block.rows.bytes();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.bytes + bytes > WAITING_BYTES_MAX && !waiting.batches.is_empty() {
            waiting.dropped_lines += fresh.block.rows.len() as u64;
            return;
        }
        waiting.bytes += bytes;
        waiting.batches.push_back(Arc::clone(fresh));
    }
}

impl Tail {
    /// What came since the last call, and how many lines were dropped because this reader was slow.
    pub fn take(&self) -> (Vec<Arc<Fresh>>, u64) {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Waiting { batches, dropped_lines, .. } = std::mem::take(&mut *waiting);
        (batches.into(), dropped_lines)
    }
}

impl fmt::Debug for TailQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TailQueue").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}
