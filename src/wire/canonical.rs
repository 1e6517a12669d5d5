//! Turns labels as clients send them into the canonical bytes of `model::Labels`.

use model::{LABEL_LENGTH_MAX, METRIC_NAME};

/// Labels that no series has, whatever the limits.
const LABELS_MAX: usize = 1 << 16;

/// Bounds of one series' labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelLimits {
    pub count_max: usize,
    pub name_length_max: usize,
    pub value_length_max: usize,
}

impl LabelLimits {
    /// No bounds beyond those of the encoding.
    pub const NONE: Self = Self {
        count_max: usize::MAX,
        name_length_max: LABEL_LENGTH_MAX,
        value_length_max: LABEL_LENGTH_MAX,
    };

    fn count_max(&self) -> usize {
        self.count_max.min(LABELS_MAX)
    }
}

/// Why a series' labels are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLabels {
    #[error("a series has no metric name")]
    NoMetricName,
    #[error("a label of {metric:?} has an empty name")]
    EmptyName { metric: String },
    #[error("label {name:?} of {metric:?} is there twice")]
    Duplicate { name: String, metric: String },
    #[error("a label of a series is not UTF-8")]
    Utf8,
    #[error("{metric:?} has more than {limit} labels (prometheus.labels_max)")]
    TooMany { metric: String, limit: usize },
    #[error(
        "label name {name:?} of {metric:?} is longer than {limit} bytes \
         (prometheus.label_name_size)"
    )]
    NameTooLong { name: String, metric: String, limit: usize },
    #[error(
        "the value of label {name:?} of {metric:?} is longer than {limit} bytes \
         (prometheus.label_value_size)"
    )]
    ValueTooLong { name: String, metric: String, limit: usize },
    #[error("a label refers to a symbol that is not there")]
    Symbol,
}

impl BadLabels {
    /// The kind under which the refusal is counted.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoMetricName => "metric_name",
            Self::EmptyName { .. } | Self::NameTooLong { .. } => "label_name",
            Self::Duplicate { .. } => "duplicate_label",
            Self::Utf8 => "utf8",
            Self::TooMany { .. } => "label_count",
            Self::ValueTooLong { .. } => "label_value",
            Self::Symbol => "symbol",
        }
    }
}

/// How much of a name an error shows.
const SHOWN_MAX: usize = 200;

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_MAX).collect()
}

pub(crate) type Pair<'a> = (&'a str, &'a str);

/// Keeps a label of a series that is being read. What is refused for its many labels anyway takes no
/// memory for each.
pub(crate) fn keep_pair<'a>(pairs: &mut Vec<Pair<'a>>, pair: Pair<'a>, limits: &LabelLimits) {
    if pairs.len() <= limits.count_max() {
        pairs.push(pair);
    }
}

/// Appends the canonical bytes of `pairs`: sorted, without empty values.
pub(crate) fn append_labels(
    pairs: &mut [Pair<'_>],
    limits: &LabelLimits,
    out: &mut Vec<u8>,
) -> Result<(), BadLabels> {
    if !pairs.is_sorted_by(|left, right| left.0 < right.0) {
        pairs.sort_unstable();
    }
    check(pairs, limits)?;
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        append_text(name.as_bytes(), out);
        append_text(value.as_bytes(), out);
    }
    Ok(())
}

fn check(pairs: &[Pair<'_>], limits: &LabelLimits) -> Result<(), BadLabels> {
    let metric = || {
        let found = pairs.iter().find(|(name, _)| *name == METRIC_NAME);
        shown(found.map_or("", |(_, value)| value))
    };
    if pairs.len() > limits.count_max() {
        return Err(BadLabels::TooMany { metric: metric(), limit: limits.count_max() });
    }
    for pair in pairs.windows(2) {
        if pair[0].0 == pair[1].0 {
            return Err(BadLabels::Duplicate { name: shown(pair[0].0), metric: metric() });
        }
    }
    for (name, value) in pairs {
        if name.is_empty() {
            return Err(BadLabels::EmptyName { metric: metric() });
        }
        if name.len() > limits.name_length_max.min(LABEL_LENGTH_MAX) {
            let limit = limits.name_length_max;
            return Err(BadLabels::NameTooLong { name: shown(name), metric: metric(), limit });
        }
        if value.len() > limits.value_length_max.min(LABEL_LENGTH_MAX) {
            let limit = limits.value_length_max;
            return Err(BadLabels::ValueTooLong { name: shown(name), metric: metric(), limit });
        }
    }
    Ok(())
}

fn append_text(text: &[u8], out: &mut Vec<u8>) {
    let length = text.len();
    if length < 255 {
        out.push(length as u8);
    } else {
        out.extend_from_slice(&[255, length as u8, (length >> 8) as u8, (length >> 16) as u8]);
    }
    out.extend_from_slice(text);
}

/// Builds the canonical bytes of one series after another in one buffer.
#[derive(Clone, Debug, Default)]
pub struct LabelBuffer {
    bytes: Vec<u8>,
}

impl LabelBuffer {
    /// The bytes of a series: sorts where needed, and insists on a metric name.
    pub fn series<'a>(
        &mut self,
        pairs: &mut [(&'a str, &'a str)],
        limits: &LabelLimits,
    ) -> Result<&[u8], BadLabels> {
        if !pairs.iter().any(|(name, value)| *name == METRIC_NAME && !value.is_empty()) {
            return Err(BadLabels::NoMetricName);
        }
        self.any(pairs, limits)
    }

    /// The bytes of labels that need no metric name, such as an exemplar's.
    pub fn any<'a>(
        &mut self,
        pairs: &mut [(&'a str, &'a str)],
        limits: &LabelLimits,
    ) -> Result<&[u8], BadLabels> {
        self.bytes.clear();
        append_labels(pairs, limits, &mut self.bytes)?;
        Ok(&self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Labels;
    use proptest::prelude::*;

    #[test]
    fn bad_labels_say_why() {
        let limits = LabelLimits { count_max: 3, name_length_max: 10, value_length_max: 5 };
        let mut buffer = LabelBuffer::default();
        for (pairs, expected) in [
            (vec![("a", "1")], "a series has no metric name"),
            (vec![("__name__", "")], "a series has no metric name"),
            (vec![("__name__", "up"), ("", "1")], "a label of \"up\" has an empty name"),
            (
                vec![("a", "1"), ("__name__", "up"), ("a", "2")],
                "label \"a\" of \"up\" is there twice",
            ),
            (
                vec![("__name__", "up"), ("a", "1"), ("b", "1"), ("c", "1")],
                "\"up\" has more than 3 labels (prometheus.labels_max)",
            ),
            (
                vec![("__name__", "up"), ("abcdefghijk", "1")],
                "label name \"abcdefghijk\" of \"up\" is longer than 10 bytes (prometheus.label_name_size)",
            ),
            (
                vec![("__name__", "up"), ("a", "123456")],
                "the value of label \"a\" of \"up\" is longer than 5 bytes (prometheus.label_value_size)",
            ),
        ] {
            let mut pairs = pairs;
            let error = buffer.series(&mut pairs, &limits).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    proptest! {
        #[test]
        fn equals_the_bytes_of_labels(
            pairs in prop::collection::btree_map(".{1,3}", ".{0,300}", 0..8),
            turn in 0usize..8,
        ) {
            let mut given: Vec<_> = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let turn = turn % given.len().max(1);
            given.rotate_left(turn);
            let mut buffer = LabelBuffer::default();
            let bytes = buffer.any(&mut given.clone(), &LabelLimits::NONE).unwrap();
            let labels = Labels::from_pairs(given);
            prop_assert_eq!(bytes, labels.as_bytes());
        }
    }
}
