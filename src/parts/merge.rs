//! One merge, as the planner of an engine describes it.

use model::{Day, Ulid};

/// Parts of this level are merged no further, but with late ones of their day.
pub const LEVEL_MAX: u8 = 3;

/// These parts become one part of that level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergePlan {
    pub day: Day,
    /// The level of the part to be made.
    pub level: u8,
    /// By rising age.
    pub inputs: Vec<Ulid>,
    pub bytes: u64,
}
