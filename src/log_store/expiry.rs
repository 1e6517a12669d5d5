//! How long the lines of single streams are kept: rules by selectors, and the deletes by which lines go
//! that parts with longer-kept ones still hold.
//!
//! Not here: when it is carried out, and what was carried out before (server); parts of which no line
//! may be kept any more, which go as files (`parts::plan_retention`).

use crate::delete::LogDelete;
use model::{Labels, Matcher, matches_all};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// How long lines of the streams that match all of it are kept.
#[derive(Clone, Debug)]
pub struct StreamRule {
    pub matchers: Vec<Matcher>,
    /// `None`: for ever.
    pub age_ms: Option<i64>,
    /// The selector, to be shown to people.
    pub text: String,
}

/// The rules of a tenant. The first one that matches a stream decides.
#[derive(Clone, Debug, Default)]
pub struct StreamRules {
    pub rules: Vec<StreamRule>,
    /// How long lines of all other streams are kept; `None`: for ever.
    pub rest_ms: Option<i64>,
}

/// Lines that are too old.
#[derive(Clone, Debug)]
pub struct Expired {
    /// They are older than this.
    pub before_ms: i64,
    pub delete: LogDelete,
}

impl StreamRules {
    /// How long lines of a stream are kept; `None`: for ever.
    pub fn age_of(&self, labels: &Labels) -> Option<i64> {
        let rule = self.rules.iter().find(|rule| matches_all(&rule.matchers, labels));
        rule.map_or(self.rest_ms, |rule| rule.age_ms)
    }

    /// How long the longest-kept lines are kept, and so whole parts; `None`: for ever.
    pub fn longest_ms(&self) -> Option<i64> {
        let ages = self.rules.iter().map(|rule| rule.age_ms).chain([self.rest_ms]);
        ages.reduce(|one, other| Some(one?.max(other?))).flatten()
    }

    /// What has to be deleted at this time, because parts are kept longer. The times move on in steps of an
    /// eighth of the age, an hour at least and a day at most, so that a part is not rewritten for every
    /// second that it grows older.
    pub fn expired(&self, now_ms: i64) -> Vec<Expired> {
        let longest = self.longest_ms().unwrap_or(i64::MAX);
        let selectors: Vec<Vec<Matcher>> =
            self.rules.iter().map(|rule| rule.matchers.clone()).collect();
        let rest = StreamRule {
            matchers: Vec::new(),
            age_ms: self.rest_ms,
            text: "{} (retention.logs)".to_owned(),
        };
        let ranked = self.rules.iter().chain([&rest]).enumerate();
        let due = ranked.filter_map(|(rank, rule)| {
            let age_ms = rule.age_ms.filter(|age_ms| *age_ms < longest)?;
            let step_ms = (age_ms / 8).clamp(HOUR_MS, DAY_MS);
            let limit_ms = now_ms.saturating_sub(age_ms);
            let delete = LogDelete {
                matchers: rule.matchers.clone(),
                except: selectors[..rank].to_vec(),
                conditions: Vec::new(),
                text: rule.text.clone(),
            };
            Some(Expired { before_ms: limit_ms - limit_ms.rem_euclid(step_ms), delete })
        });
        due.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::MatchOp;
    use proptest::prelude::*;

    const NOW_MS: i64 = 1_700_000_000_000;

    fn labels(app: u8, env: u8) -> Labels {
        Labels::from_pairs([("app", &*app.to_string()), ("env", &*env.to_string())])
    }

    fn selector() -> impl Strategy<Value = Vec<Matcher>> {
        let one =
            (0u8..3, prop::bool::ANY, prop::bool::ANY).prop_map(|(value, is_app, is_equal)| {
                let name = if is_app { "app" } else { "env" };
                let op = if is_equal { MatchOp::Equal } else { MatchOp::NotEqual };
                Matcher::new(op, name, &value.to_string()).unwrap()
            });
        prop::collection::vec(one, 1..3)
    }

    fn age() -> impl Strategy<Value = Option<i64>> {
        prop::option::weighted(0.9, (1i64..400).prop_map(|hours| hours * HOUR_MS))
    }

    fn is_deleted(expired: &[Expired], labels: &Labels, time_ms: i64) -> bool {
        expired.iter().any(|one| {
            let is_excepted = one.delete.except.iter().any(|one| matches_all(one, labels));
            time_ms < one.before_ms && matches_all(&one.delete.matchers, labels) && !is_excepted
        })
    }

    proptest! {
        /// Together with the parts that go as a whole, deletes leave what is younger than its stream's age,
        /// and nothing that is older by more than a step.
        #[test]
        fn each_line_goes_after_its_own_age(
            rules in prop::collection::vec((selector(), age()), 0..5), rest_ms in age(),
            app in 0u8..3, env in 0u8..3, hours in 0i64..500,
        ) {
            let rule = |(matchers, age_ms)| StreamRule { matchers, age_ms, text: String::new() };
            let rules = StreamRules { rules: rules.into_iter().map(rule).collect(), rest_ms };
            let (labels, time_ms) = (labels(app, env), NOW_MS - hours * HOUR_MS);
            let is_gone = is_deleted(&rules.expired(NOW_MS), &labels, time_ms)
                || rules.longest_ms().is_some_and(|longest_ms| time_ms < NOW_MS - longest_ms);
            let over_ms = rules.age_of(&labels).map(|age_ms| NOW_MS - age_ms - time_ms);
            match over_ms {
                None => prop_assert!(!is_gone),
                Some(over_ms) if over_ms <= 0 => prop_assert!(!is_gone),
                Some(over_ms) if over_ms > DAY_MS => prop_assert!(is_gone),
                Some(_) => {}
            }
        }
    }

    #[test]
    fn without_rules_nothing_has_to_be_deleted() {
        let rules = StreamRules { rules: Vec::new(), rest_ms: Some(DAY_MS) };
        assert!(rules.expired(NOW_MS).is_empty());
        assert_eq!(rules.longest_ms(), Some(DAY_MS));
    }
}
