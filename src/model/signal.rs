//! The kinds of telemetry.

use crate::TimeUnit;
use std::fmt;

/// The kind of telemetry that a batch, a part or a manifest holds. The number is part of the file
/// formats: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Signal {
    Metrics = 1,
    Logs = 2,
    Traces = 3,
    /// Opaque records for durability tests; off unless the operator switches it on.
    Probe = 255,
}

impl Signal {
    pub const ALL: [Self; 4] = [Self::Metrics, Self::Logs, Self::Traces, Self::Probe];

    pub fn code(self) -> u8 {
        self as u8
    }

    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.code() == code)
    }

    /// The name used in paths, settings and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Logs => "logs",
            Self::Traces => "traces",
            Self::Probe => "probe",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.as_str() == name)
    }

    /// The unit in which the signal counts time.
    pub fn time_unit(self) -> TimeUnit {
        match self {
            Self::Metrics | Self::Probe => TimeUnit::Millis,
            Self::Logs | Self::Traces => TimeUnit::Nanos,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_come_back() {
        for signal in Signal::ALL {
            assert_eq!(Signal::from_code(signal.code()), Some(signal));
            assert_eq!(Signal::from_name(signal.as_str()), Some(signal));
        }
        assert_eq!(Signal::from_code(0), None);
    }
}
