//! The Alertmanagers that a configuration's discoveries find: where alerts are to be sent. Who sends them
//! is not here.

use crate::config::AlertmanagerConfig;
use crate::discovery::Found;
use model::{Labels, LabelsBuilder};
use outbound::Url;

const SCHEME: &str = "__scheme__";
const PATH: &str = "__alerts_path__";
const ADDRESS: &str = "__address__";
const ENDPOINT: &str = "/api/v2/alerts";

/// Where alerts go, and what relabeling dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alertmanagers {
    /// Each once, in the order in which they were found.
    pub urls: Vec<Url>,
    /// As they were discovered.
    pub dropped: Vec<Labels>,
    /// Why an address can't be used.
    pub failures: Vec<String>,
}

impl Alertmanagers {
    pub fn new(config: &AlertmanagerConfig, found: &Found) -> Self {
        let mut all = Self::default();
        for (kind, message) in &found.failures {
            all.failures.push(format!("{kind}: {message}"));
        }
        for group in found.groups() {
            for target in &group.targets {
                all.add(config, &group.labels, target);
            }
        }
        all
    }

    fn add(&mut self, config: &AlertmanagerConfig, group: &Labels, target: &Labels) {
        let mut set = LabelsBuilder::from_labels(group);
        for (name, value) in target.iter() {
            set.set(name, value);
        }
        let prefix = config.path_prefix.trim_matches('/');
        let slash = if prefix.is_empty() { "" } else { "/" };
        set.set(SCHEME, &config.scheme).set(PATH, &format!("{slash}{prefix}{ENDPOINT}"));
        let discovered = set.build();
        if !config.relabel.apply_to(&mut set) {
            self.dropped.push(discovered);
            return;
        }
        let labels = set.build();
        let (scheme, address) = (labels.value(SCHEME), labels.value(ADDRESS));
        let text = format!("{scheme}://{address}{}", labels.value(PATH));
        match Url::parse(&text) {
            Ok(url) if self.urls.contains(&url) => {}
            Ok(url) => self.urls.push(url),
            Err(error) => self.failures.push(format!("{text}: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::discovery::Watch;
    use std::path::Path;

    #[tokio::test]
    async fn addresses_are_relabeled() {
        let text = "alerting:\n  alertmanagers:\n  - path_prefix: /am/\n    static_configs:\n    \
                    - targets: ['a:9093', 'b:9093', 'a:9093']\n    relabel_configs:\n    \
                    - {source_labels: [__address__], regex: b.*, action: drop}\n  - scheme: https\n    \
                    static_configs: [{targets: ['c:1']}]\n";
        let config = Config::of_text(text, Path::new("p.yml")).unwrap();
        let found = config.alerting.alertmanagers.iter().map(|one| {
            Alertmanagers::new(one, &Watch::start("alerting", &one.discoveries).found())
        });
        let found: Vec<Alertmanagers> = found.collect();
        let urls: Vec<String> = found[0].urls.iter().map(ToString::to_string).collect();
        assert_eq!(urls, ["http://a:9093/am/api/v2/alerts"]);
        assert_eq!(found[0].dropped[0].value(ADDRESS), "b:9093");
        assert_eq!(found[1].urls[0].to_string(), "https://c:1/api/v2/alerts");
    }
}
