//! What one thread of a query has to itself.

use super::column::StepColumn;
use super::window::{CleanColumns, WindowBounds};
use crate::annotations::Notes;
use crate::functions::rate::plain::Stretches;
use crate::storage::Scratch;
use query::SampleStats;

#[derive(Debug, Default)]
pub(crate) struct Worker {
    pub(crate) scratch: Scratch,
    pub(crate) clean: CleanColumns,
    /// Of instant selectors: the samples young enough at each step.
    pub(crate) newest: WindowBounds,
    pub(crate) float_windows: WindowBounds,
    pub(crate) histogram_windows: WindowBounds,
    pub(crate) resets: Vec<u32>,
    /// Of the float windows.
    pub(crate) stretches: Stretches,
    /// A result that was taken in somewhere, to be used again.
    spare: Option<StepColumn>,
    pub(crate) notes: Notes,
    pub(crate) stats: SampleStats,
}

impl Worker {
    pub(crate) fn new(steps: usize) -> Self {
        Self { stats: SampleStats::with_steps(steps), ..Self::default() }
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
