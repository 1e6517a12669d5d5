//! How much time a writer spends on smaller files.

use parts::Compression;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// For a flush: the part is soon merged.
    Quick,
    /// A merge that will be merged again.
    Merge,
    /// For parts that stay.
    Last,
}

impl Effort {
    /// How pages of texts are compressed.
    pub fn compression(self) -> Compression {
        let level = match self {
            Self::Quick => 1,
            Self::Merge => 1,
            Self::Last => 9,
        };
        Compression::Zstd { level }
    }

    /// The level of the encoder of numbers.
    pub fn number_level(self) -> usize {
        match self {
            Self::Quick => 2,
            Self::Merge => 4,
            Self::Last => 8,
        }
    }
}
