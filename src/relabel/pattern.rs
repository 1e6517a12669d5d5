//! The expression of a rule, in the form that its action needs.

use crate::rule::VALUE_MAX;
use model::{AnchoredRegex, ReplacePattern, SearchRegex};
use std::borrow::Cow;

/// What Prometheus uses where a rule names no expression.
pub(crate) const ANYTHING: &str = "(.*)";
/// What it puts in place of a match where a rule says nothing else.
pub(crate) const FIRST_GROUP: &str = "$1";

#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    /// `(.*)`, which most rules have: every value matches, and the first group is the value.
    Anything,
    /// Whole values, for actions that only ask whether one matches.
    Matching(AnchoredRegex),
    /// Whole values, for actions that use groups.
    Groups(ReplacePattern),
    /// Any part of a value, for actions that replace every match.
    Parts(SearchRegex),
}

impl Pattern {
    pub(crate) fn is_match(&self, value: &str) -> bool {
        match self {
            Self::Anything => true,
            Self::Matching(regex) => regex.is_match(value),
            Self::Groups(pattern) => pattern.replace(value, "", 0).is_some(),
            Self::Parts(regex) => regex.is_match(value.as_bytes()),
        }
    }

    /// The template with the groups of the value in it. `None` where the value does not match or the
    /// result is too long.
    pub(crate) fn expand<'a>(&self, value: &'a str, template: &'a str) -> Option<Cow<'a, str>> {
        match self {
            _ if !template.contains('$') => self.is_match(value).then_some(template.into()),
            Self::Anything if template == FIRST_GROUP => Some(value.into()),
            Self::Groups(pattern) => {
                pattern.replace(value, template, VALUE_MAX)?.ok().map(Cow::Owned)
            }
            Self::Anything | Self::Matching(_) | Self::Parts(_) => None,
        }
    }

    /// The value with every match replaced. `None` where nothing matches or the result is too long.
    pub(crate) fn replace_all(&self, value: &str, template: &str) -> Option<String> {
        let Self::Parts(regex) = self else { return None };
        regex.replace_all(value, template, VALUE_MAX)?.ok()
    }
}
