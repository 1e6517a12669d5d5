//! What was found, and how it is ranked.

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A value of an attribute of spans.
    Attribute,
    /// A series of a metric.
    Metric,
    /// A kind of log line.
    Pattern,
    /// A new version or a restart.
    Change,
    /// An alert that fired.
    Alert,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attribute => "attribute",
            Self::Metric => "metric",
            Self::Pattern => "pattern",
            Self::Change => "change",
            Self::Alert => "alert",
        }
    }
}

/// The figures that a score was made of: the same in selection and baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figures {
    /// Shares of spans, between 0 and 1, and of how many.
    Shares { selection: f64, baseline: f64, of_selection: u64, of_baseline: u64 },
    /// Medians, the distance of the distributions, and services between.
    Values { selection: f64, baseline: f64, distance: f64, critical: f64, hops: u32 },
    /// Numbers of lines.
    Counts { selection: u64, baseline: u64 },
    /// When it happened, and how far that is from the beginning of the selection.
    Time { at_ms: i64, distance_ms: i64, is_near: bool },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub kind: Kind,
    /// The attribute, metric, service or alert.
    pub name: String,
    /// The attribute's value, the series, the pattern, or what changed.
    pub value: String,
    /// Between 0 and 1.
    pub score: f64,
    pub figures: Figures,
    /// The formula of the score.
    pub formula: &'static str,
    /// A query that shows the evidence, in the language of its signal.
    pub query: String,
    /// What that query is written in: `promql`, `logql` or `traceql`.
    pub language: &'static str,
}

/// What was looked at and does not differ.
#[derive(Clone, Debug, PartialEq)]
pub struct RuledOut {
    pub name: String,
    pub distance: f64,
    pub critical: f64,
}

/// What one source found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The highest scores first.
    pub findings: Vec<Finding>,
    pub ruled_out: Vec<RuledOut>,
    /// How many attributes, series, patterns or changes were looked at.
    pub looked_at: u64,
    /// What was not looked at because there was too much, in words.
    pub left_out: Option<String>,
}

/// Findings of each source that are handed out.
const FINDINGS_MAX: usize = 20;

impl Found {
    pub(crate) fn ranked(mut self) -> Self {
        rank(&mut self.findings);
        self.findings.truncate(FINDINGS_MAX);
        self
    }
}

/// The highest scores first; equal ones by name, so that answers repeat.
pub fn rank(findings: &mut [Finding]) {
    findings.sort_by(|left, right| {
        let by_score = right.score.total_cmp(&left.score);
        by_score.then_with(|| (&left.name, &left.value).cmp(&(&right.name, &right.value)))
    });
}
