//! How long lines of single streams are kept: the entries of `retention.logs_streams`.

use log_store::StreamRule;
use protocols::settings::{HumanDuration, TenantName};
use query::RegexBudget;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// One entry.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StreamRetention {
    /// Which streams.
    pub selector: Selector,
    /// `"0s"` keeps them for ever.
    pub period: HumanDuration,
    /// Of entries that match a stream the one with the highest priority counts, and of those the first.
    #[serde(default)]
    pub priority: i64,
    /// Only for this tenant; without it for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantName>,
}

/// A selector of streams in LogQL: `{app="web"}`.
#[derive(Clone, Debug)]
pub struct Selector {
    text: String,
    matchers: Vec<model::Matcher>,
}

impl PartialEq for Selector {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parsed = logql::delete_of(&text, &mut RegexBudget::default())
            .map_err(|error| de::Error::custom(format!("{text:?} is no selector: {error}")))?;
        if !parsed.conditions.is_empty() {
            let message = format!("{text:?} asks for more than labels: expected {{app=\"web\"}}");
            return Err(de::Error::custom(message));
        }
        Ok(Self { text, matchers: parsed.matchers })
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl StreamRetention {
    pub(super) fn rule(&self, age_ms: Option<i64>) -> StreamRule {
        let Selector { text, matchers } = self.selector.clone();
        StreamRule { matchers, age_ms, text: format!("{text} (retention.logs_streams)") }
    }
}
