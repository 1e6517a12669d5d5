//! How far a destination has come: everything below a mark was answered for, or given up with a count.
//!
//! Shards end their requests in any order; the mark moves over batches of the write-ahead log in their
//! order, when all items of one have been settled.

use crate::item::Item;
use model::WalPosition;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Everything below it is settled.
    pub(crate) sent: WalPosition,
    /// Where a reader finds the definitions of the series that come from there on.
    pub(crate) definitions: WalPosition,
}

#[derive(Debug)]
pub(crate) struct Progress(Mutex<State>);

#[derive(Debug)]
struct State {
    /// The number of the first batch that is not settled.
    first: u64,
    batches: VecDeque<Batch>,
    mark: Mark,
    pending: u64,
}

#[derive(Debug)]
struct Batch {
    /// The mark once it is settled.
    mark: Mark,
    open: u64,
    is_read: bool,
}

impl Progress {
    pub(crate) fn new(mark: Mark) -> Self {
        Self(Mutex::new(State { first: 0, batches: VecDeque::new(), mark, pending: 0 }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A batch of which items will be read; its number.
    pub(crate) fn begin(&self, mark: Mark) -> u64 {
        let mut state = self.lock();
        state.batches.push_back(Batch { mark, open: 0, is_read: false });
        state.first + state.batches.len() as u64 - 1
    }

    /// So many further items of the newest batch were read; `is_read`: they were the last.
    pub(crate) fn read(&self, items: u64, is_read: bool) {
        let mut state = self.lock();
        state.pending += items;
        if let Some(batch) = state.batches.back_mut() {
            batch.open += items;
            batch.is_read = is_read;
        }
        state.advance();
    }

    /// The reader has come to here, and found nothing further to send.
    pub(crate) fn pass(&self, mark: Mark) {
        let mut state = self.lock();
        match state.batches.back_mut() {
            None => state.mark = mark,
            Some(last) if last.is_read => last.mark = mark,
            Some(_) => {}
        }
    }

    pub(crate) fn settle(&self, items: &[Item]) {
        let mut state = self.lock();
        state.pending -= (items.len() as u64).min(state.pending);
        let first = state.first;
        for item in items {
            let index = item.batch.checked_sub(first).and_then(|index| usize::try_from(index).ok());
            if let Some(batch) = index.and_then(|index| state.batches.get_mut(index)) {
                batch.open = batch.open.saturating_sub(1);
            }
        }
        state.advance();
    }

    pub(crate) fn mark(&self) -> Mark {
        self.lock().mark
    }

    /// Items that were read and are not settled.
    pub(crate) fn pending(&self) -> u64 {
        self.lock().pending
    }
}

impl State {
    fn advance(&mut self) {
        while let Some(batch) = self.batches.front().filter(|b| b.is_read && b.open == 0) {
            self.mark = batch.mark;
            self.batches.pop_front();
            self.first += 1;
        }
    }
}
