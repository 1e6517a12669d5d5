//! What a rule consists of.

use crate::condition::Condition;
use crate::graphite::Graphite;
use crate::pattern::Pattern;
use std::fmt;

/// The longest value or name that a rule makes: groups may stand many times in a replacement.
pub const VALUE_MAX: usize = 1 << 20;

/// A list of rules, applied one after the other.
#[derive(Clone, Debug, Default)]
pub struct Rules(pub(crate) Vec<Rule>);

impl Rules {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter()
    }

    /// These rules, and then the others.
    pub fn followed_by(&self, others: &Self) -> Self {
        Self(self.0.iter().chain(&others.0).cloned().collect())
    }
}

impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|(left, right)| left.text == right.text)
    }
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    pub action: Action,
    pub source_labels: Vec<String>,
    pub separator: String,
    pub target_label: String,
    /// The expression as it is written.
    pub regex: String,
    pub replacement: String,
    pub modulus: u64,
    pub(crate) pattern: Pattern,
    pub(crate) condition: Option<Condition>,
    pub(crate) graphite: Option<Graphite>,
    /// The rule as its file writes it, by which rules are compared.
    pub(crate) text: String,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text.trim_end())
    }
}

macro_rules! actions {
    ($($(#[doc = $doc:literal])* $action:ident = $name:literal,)*) => {
        /// What a rule does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Action {
            $($(#[doc = $doc])* $action,)*
        }

        impl Action {
            pub const ALL: &[Self] = &[$(Self::$action),*];

            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$action => $name,)*
                }
            }
        }
    };
}

actions! {
    /// Sets the target label where the joined source labels match.
    Replace = "replace",
    Keep = "keep",
    Drop = "drop",
    KeepEqual = "keepequal",
    DropEqual = "dropequal",
    HashMod = "hashmod",
    LabelMap = "labelmap",
    LabelDrop = "labeldrop",
    LabelKeep = "labelkeep",
    Lowercase = "lowercase",
    Uppercase = "uppercase",
    /// Keeps labels whose metric name matches.
    KeepMetrics = "keep_metrics",
    DropMetrics = "drop_metrics",
    /// Sets the target label to the joined source labels, every match in them replaced.
    ReplaceAll = "replace_all",
    /// Replaces every match in the names of labels.
    LabelMapAll = "labelmap_all",
    /// Keeps labels whose target label holds the values of all source labels.
    KeepIfContains = "keep_if_contains",
    DropIfContains = "drop_if_contains",
    /// Keeps labels whose source labels are all equal.
    KeepIfEqual = "keep_if_equal",
    DropIfEqual = "drop_if_equal",
    /// Makes labels of the parts of a Graphite name.
    Graphite = "graphite",
}
