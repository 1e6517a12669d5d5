//! What each thread of a query has for itself.

use super::clean::CleanColumns;
use super::clocks::Clocks;
use crate::annotations::Notes;
use crate::storage::Scratch;
use query::{SampleStats, StepColumn};

#[derive(Debug, Default)]
pub(crate) struct Worker {
    pub(crate) scratch: Scratch,
    pub(crate) clean: CleanColumns,
    /// Of window functions: the samples in each step's window; of instant selectors: those young
    /// enough.
    pub(crate) float_clocks: Clocks,
    pub(crate) histogram_clocks: Clocks,
    pub(crate) resets: Vec<u32>,
    /// A column that is no longer needed, kept to be filled again.
    spare: Option<StepColumn>,
    pub(crate) notes: Notes,
    pub(crate) stats: SampleStats,
}

impl Worker {
    pub(crate) fn new(steps: usize) -> Self {
        Self { stats: SampleStats::with_steps(steps), ..Self::default() }
    }

    /// To be called when there is no more work.
    pub(crate) fn finish(&mut self) {
        let counted = self.float_clocks.take_counted();
        self.stats.merge(&counted);
    }

    /// An empty column.
    pub(crate) fn column(&mut self, steps: usize) -> StepColumn {
        match self.spare.take() {
            Some(mut column) if column.steps() == steps => {
                column.clear();
                column
            }
            _ => StepColumn::new(steps),
        }
    }

    pub(crate) fn give_back(&mut self, column: StepColumn) {
        self.spare = Some(column);
    }
}
