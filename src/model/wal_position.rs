//! A place in the write-ahead log.

use std::fmt;

/// Where a batch stands in the write-ahead log, or how far something covers that log. Positions
/// rise with every append and across restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WalPosition {
    pub segment: u64,
    pub offset: u64,
}

impl WalPosition {
    /// Below every batch.
    pub const START: Self = Self { segment: 0, offset: 0 };

    /// The lowest position behind a batch that stands here.
    pub fn behind(self) -> Self {
        Self { offset: self.offset + 1, ..self }
    }
}

impl fmt::Display for WalPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}:{}", self.segment, self.offset)
    }
}
