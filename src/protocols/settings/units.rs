//! Durations, sizes and limits as a person writes them.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::time::Duration;

const DURATION_UNITS: [(&str, u64); 6] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
    ("w", 604_800_000),
];

const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// A hundred years: sums of times stay within what clocks and milliseconds in 64 bits can say.
const DURATION_MAX_MS: u64 = 36_500 * 86_400_000;

/// `"500ms"`, `"30s"`, `"5m"`, `"2h"`, `"30d"`, `"4w"`; a hundred years at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HumanDuration(pub Duration);

impl HumanDuration {
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }
}

/// `"512MiB"`, `"10GB"`, `"4096B"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(pub u64);

impl ByteSize {
    pub const fn mib(mib: u64) -> Self {
        Self(mib << 20)
    }

    pub const fn kib(kib: u64) -> Self {
        Self(kib << 10)
    }

    /// As a length in memory.
    pub fn length(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// A share of what there is (`"80%"`), a size (`"500GiB"`), or `"off"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeLimit {
    Off,
    Percent(u8),
    Bytes(ByteSize),
}

impl SizeLimit {
    /// The limit in bytes; `None`: there is no limit. `total` is called for a share; when the total is
    /// not known, there is no limit.
    pub fn bytes(self, total: impl FnOnce() -> Option<u64>) -> Option<u64> {
        match self {
            Self::Off => None,
            Self::Bytes(size) => Some(size.0),
            Self::Percent(share) => total().map(|total| total / 100 * u64::from(share)),
        }
    }
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    Some((text[..digits].parse().ok()?, text[digits..].trim()))
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor)
}

impl std::str::FromStr for HumanDuration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let millis = scaled(text, &DURATION_UNITS).filter(|millis| *millis <= DURATION_MAX_MS);
        millis.map(Self::from_millis).ok_or_else(|| {
            format!(
                "{text:?} is no duration up to 36500d: write \"500ms\", \"30s\", \"5m\", \"2h\" or \
                 \"30d\""
            )
        })
    }
}

impl std::str::FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        scaled(text, &SIZE_UNITS)
            .map(Self)
            .ok_or_else(|| format!("{text:?} is no size: write \"512MiB\", \"10GB\" or \"4096B\""))
    }
}

impl std::str::FromStr for SizeLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        match text.strip_suffix('%') {
            Some(share) => match share.parse() {
                Ok(share @ 1..=100) => Ok(Self::Percent(share)),
                _ => Err(format!("{text:?} is no share: write \"1%\" to \"100%\"")),
            },
            // For other settings 0 means no limit; here it would leave no room at all.
            None => match text.parse() {
                Ok(size @ ByteSize(1..)) => Ok(Self::Bytes(size)),
                _ => Err(format!("{text:?} is no limit: write \"80%\", \"500GiB\" or \"off\"")),
            },
        }
    }
}

/// In the unit that makes the shortest number.
fn write_scaled(f: &mut fmt::Formatter<'_>, value: u64, units: &[(&str, u64)]) -> fmt::Result {
    let whole = units.iter().filter(|(_, factor)| value.is_multiple_of(*factor));
    let (unit, factor) = whole.max_by_key(|(_, factor)| factor).expect("1 divides all");
    write!(f, "{}{unit}", value / factor)
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() as u64 {
            0 => f.write_str("0s"),
            millis => write_scaled(f, millis, &DURATION_UNITS[..5]),
        }
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("0B"),
            bytes => write_scaled(f, bytes, &SIZE_UNITS),
        }
    }
}

impl fmt::Display for SizeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Percent(share) => write!(f, "{share}%"),
            Self::Bytes(size) => size.fmt(f),
        }
    }
}

/// Written and read as text.
macro_rules! text_in_files {
    ($($kind:ty),*) => {$(
        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}
text_in_files!(HumanDuration, ByteSize, SizeLimit);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for text in ["0s", "500ms", "30s", "90s", "5m", "2h", "30d"] {
            assert_eq!(text.parse::<HumanDuration>().unwrap().to_string(), text);
        }
        for text in ["0B", "512MiB", "10GB", "1TiB", "4097B"] {
            assert_eq!(text.parse::<ByteSize>().unwrap().to_string(), text);
        }
        for text in ["off", "80%", "500GiB"] {
            assert_eq!(text.parse::<SizeLimit>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn nonsense_is_refused_with_examples() {
        for text in [
            "",
            "5",
            "m",
            "5 parsecs",
            "-1s",
            "99999999999999999999s",
            "18446744073709551615d",
            "36501d",
        ] {
            assert!(text.parse::<HumanDuration>().unwrap_err().contains("30s"), "{text}");
        }
        for text in ["0%", "101%", "80", "x", "0B", "0GiB"] {
            assert!(text.parse::<SizeLimit>().is_err(), "{text}");
        }
    }
}
