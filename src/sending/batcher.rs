//! Gathers the items of one shard into requests: a request goes when it is full, or when its first item
//! has waited long enough.

use crate::item::{Item, ItemKind};
use platform::Moment;
use std::collections::VecDeque;
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Batcher {
    most: usize,
    deadline: Duration,
    waiting: VecDeque<Item>,
    since: Option<Moment>,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Send,
    /// For more items, at most so long where there are some.
    Wait(Option<Duration>),
}

impl Batcher {
    pub(crate) fn new(most: usize, deadline: Duration) -> Self {
        Self { most: most.max(1), deadline, waiting: VecDeque::new(), since: None }
    }

    pub(crate) fn push(&mut self, items: Vec<Item>, now: Moment) {
        if !items.is_empty() {
            self.since.get_or_insert(now);
            self.waiting.extend(items);
        }
    }

    pub(crate) fn next(&self, now: Moment) -> Next {
        let Some(since) = self.since else { return Next::Wait(None) };
        let left = self.deadline.saturating_sub(now.since(since));
        match self.waiting.len() >= self.most || left.is_zero() {
            true => Next::Send,
            false => Next::Wait(Some(left)),
        }
    }

    /// The items of the next request. Exemplars stay with the sample that they follow.
    pub(crate) fn take(&mut self, now: Moment) -> Vec<Item> {
        let mut count = self.waiting.len().min(self.most);
        let follows = |item: &Item| item.kind() == ItemKind::Exemplar;
        while self.waiting.get(count).is_some_and(follows) {
            count += 1;
        }
        let items = self.waiting.drain(..count).collect();
        self.since = (!self.waiting.is_empty()).then_some(now);
        items
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
