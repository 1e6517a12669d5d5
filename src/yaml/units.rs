//! Durations, sizes and secrets as these files write them.

use crate::{Error, FromNode, Node};
use std::fmt;

/// Prometheus' durations: `1h30m`, `15s`, `250ms`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration {
    pub ms: i64,
}

impl Duration {
    pub const fn from_secs(seconds: i64) -> Self {
        Self { ms: seconds * 1_000 }
    }

    /// For timers; a negative one, which no file can write, counts as none.
    pub fn std(self) -> std::time::Duration {
        std::time::Duration::from_millis(u64::try_from(self.ms).unwrap_or(0))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&model::format_duration(self.ms))
    }
}

impl FromNode for Duration {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let text = String::from_node(node)?;
        let ms = model::parse_duration(&text)
            .map_err(|message| node.error(format!("{message}: write it like 15s or 1h30m")))?;
        Ok(Self { ms })
    }
}

/// Bytes, in units of 1,024 whatever they are called, as Prometheus counts them: `10MB`, `512KiB`, `0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size {
    pub bytes: u64,
}

const SIZE_UNITS: [(&str, u32); 14] = [
    ("KiB", 10),
    ("MiB", 20),
    ("GiB", 30),
    ("TiB", 40),
    ("PiB", 50),
    ("EiB", 60),
    ("KB", 10),
    ("MB", 20),
    ("GB", 30),
    ("TB", 40),
    ("PB", 50),
    ("EB", 60),
    ("B", 0),
    ("", 0),
];

impl FromNode for Size {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let text = String::from_node(node)?;
        size_of(&text).map(|bytes| Self { bytes }).ok_or_else(|| {
            node.error(format!("`{text}` is not a size: write it like 10MB, 512KiB or 0"))
        })
    }
}

fn size_of(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = SIZE_UNITS.iter().find(|(name, _)| *name == unit)?.1;
    if unit.is_empty() && number != "0" {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// A text that is never shown: not in logs, not in answers, not in a configuration that is printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

/// What stands in its place.
pub(crate) const SHOWN_SECRET: &str = "<secret>";

impl Secret {
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SHOWN_SECRET)
    }
}

impl FromNode for Secret {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let text = String::from_node(node)?;
        node.show_as(SHOWN_SECRET);
        Ok(Self(text))
    }
}
