//! The series of an epoch of the write-ahead log, as a destination gets them.
//!
//! A series is rewritten once, when its definition is read. Of two epochs that follow each other both
//! are kept, in case a batch of the earlier one comes late.

use codec::xxh3_64;
use model::{BytesHash, Labels, LabelsBuilder, WalPosition};
use relabel::Rules;
use std::collections::HashMap;
use std::sync::Arc;

/// What a destination makes of labels.
#[derive(Clone, Debug)]
pub(crate) struct Rewriting {
    pub(crate) external: Labels,
    pub(crate) relabel: Rules,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    /// By which a series finds its shard.
    pub(crate) hash: u64,
}

impl Rewriting {
    /// `None` where relabeling drops it, or leaves nothing.
    pub(crate) fn apply(&self, labels: &Labels) -> Option<Arc<Series>> {
        let labels = match (self.external.is_empty(), self.relabel.is_empty()) {
            (true, true) => labels.clone(),
            _ => self.rewritten(labels)?,
        };
        let hash = xxh3_64(labels.as_bytes());
        (!labels.is_empty()).then(|| Arc::new(Series { labels, hash }))
    }

    fn rewritten(&self, labels: &Labels) -> Option<Labels> {
        let mut builder = LabelsBuilder::from_labels(labels);
        for (name, value) in self.external.iter() {
            if labels.get(name).is_none() {
                builder.set(name, value);
            }
        }
        self.relabel.apply_to(&mut builder).then(|| builder.build())
    }
}

/// What became of a number's series.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    Series(Arc<Series>),
    Dropped,
    /// Its definition was given up.
    Unknown,
}

const KEPT: usize = 2;

#[derive(Debug)]
pub(crate) struct Epochs {
    rewriting: Rewriting,
    /// The newest one comes last.
    of: Vec<Epoch>,
}

#[derive(Debug)]
struct Epoch {
    epoch: u64,
    start: WalPosition,
    series: HashMap<u32, Option<Arc<Series>>, BytesHash>,
}

impl Epochs {
    pub(crate) fn new(rewriting: Rewriting) -> Self {
        Self { rewriting, of: Vec::new() }
    }

    /// Takes up the definitions of a batch that stands at `position`.
    pub(crate) fn define(
        &mut self,
        epoch: u64,
        position: WalPosition,
        definitions: &[(u32, Labels)],
    ) {
        if !self.of.iter().any(|known| known.epoch == epoch) {
            if self.of.len() == KEPT {
                self.of.remove(0);
            }
            self.of.push(Epoch { epoch, start: position, series: HashMap::default() });
        }
        let Self { rewriting, of } = self;
        let Some(known) = of.iter_mut().find(|known| known.epoch == epoch) else { return };
        for (number, labels) in definitions {
            known.series.insert(*number, rewriting.apply(labels));
        }
    }

    pub(crate) fn find(&self, epoch: u64, number: u32) -> Found {
        let known = self.of.iter().find(|known| known.epoch == epoch);
        match known.and_then(|known| known.series.get(&number)) {
            Some(Some(series)) => Found::Series(Arc::clone(series)),
            Some(None) => Found::Dropped,
            None => Found::Unknown,
        }
    }

    /// Where the definitions of the newest epoch begin.
    pub(crate) fn start(&self) -> Option<WalPosition> {
        self.of.last().map(|epoch| epoch.start)
    }

    pub(crate) fn newest(&self) -> Option<u64> {
        self.of.last().map(|epoch| epoch.epoch)
    }
}
