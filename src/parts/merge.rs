//! One merge, as an engine's planner describes it.

use model::{Day, Ulid};

/// Parts of this level are only merged again with late parts of their day.
pub const LEVEL_MAX: u8 = 3;

/// The input parts become one part of the given level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergePlan {
    pub day: Day,
    /// The level of the new part.
    pub level: u8,
    /// From the oldest to the newest.
    pub inputs: Vec<Ulid>,
    pub bytes: u64,
}
