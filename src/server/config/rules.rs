//! Settings of recording and alerting rules.

use model::Labels;
use protocols::section;
use protocols::settings::{HumanDuration, TenantName};
use rules::{Language, Languages, Options, RuleFiles};
use std::collections::BTreeMap;
use std::time::Duration;

section! {
    /// Recording and alerting rules, in the files of Prometheus ([how to](how-to/write-rules.md)).
    RuleSettings as "rules" {
        /// Rule files. A path may be a pattern, such as `"rules/*.yml"`. The files
        /// are read again on SIGHUP and `POST /-/reload`.
        files: Vec<String> = Vec::new(),
        /// How often a group is evaluated that names no `interval`.
        evaluation_interval: HumanDuration = HumanDuration::from_secs(60),
        /// How far in the past rules look of a group that names no `query_offset`, for data that comes
        /// late.
        query_offset: HumanDuration = HumanDuration::from_secs(0),
        /// The tenant that rule files belong to.
        tenant: TenantName = TenantName::default(),
        /// Where people reach this server, for links in alerts: `"https://mirador.example"`. Empty:
        /// the address that it listens on.
        external_url: String = String::new(),
        /// Labels that are added to alerts, and that templates see: `{ cluster = "eu" }`.
        external_labels: BTreeMap<String, String> = BTreeMap::new(),
        /// An alert that goes on firing is sent again after this, at the next evaluation.
        resend_delay: HumanDuration = HumanDuration::from_secs(60),
        /// After an outage up to this long, alerts with `for` go on from where they were.
        for_outage_tolerance: HumanDuration = HumanDuration::from_secs(3_600),
        /// The least that such an alert waits after the outage. An alert whose `for` is shorter waits
        /// anew instead.
        for_grace_period: HumanDuration = HumanDuration::from_secs(600),
        /// Groups that are evaluated at the same time. Others wait for them.
        groups_at_once: usize = 4,
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl RuleSettings {
    /// `address`: where the server listens, as a URL.
    pub fn options(&self, promql: &promql::ParseOptions, address: &str) -> Options {
        let url = if self.external_url.is_empty() { address } else { &self.external_url };
        Options {
            languages: Languages { promql: promql.clone(), default: Language::Promql },
            external_url: url.trim_end_matches('/').to_owned(),
            resend_ms: millis(self.resend_delay.0),
            outage_ms: millis(self.for_outage_tolerance.0),
            grace_ms: millis(self.for_grace_period.0),
            groups_at_once: self.groups_at_once,
        }
    }

    pub fn rule_files(&self) -> RuleFiles {
        let pairs = self.external_labels.iter();
        RuleFiles {
            globs: self.files.clone(),
            given: Vec::new(),
            interval_ms: millis(self.evaluation_interval.0),
            query_offset_ms: millis(self.query_offset.0),
            external_labels: Labels::from_pairs(pairs.map(|(name, text)| (&**name, &**text))),
        }
    }
}
