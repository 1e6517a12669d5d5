//! The kinds of telemetry.

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

    /// Each signal counts time in its own ticks: milliseconds for metrics, nanoseconds for the rest.
    pub fn ticks_per_second(self) -> i64 {
        match self {
            Self::Metrics | Self::Probe => 1_000,
            Self::Logs | Self::Traces => 1_000_000_000,
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
