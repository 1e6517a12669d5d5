//! Networks as Docker's API tells of them, with and without a swarm.

use super::asking::label_part;
use model::LabelsBuilder;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What the API leaves out is empty.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Network {
    pub(super) id: String,
    name: String,
    scope: String,
    ingress: bool,
    internal: bool,
    labels: BTreeMap<String, String>,
}

impl Network {
    /// `kind`: how the labels of the discovery begin, `docker` or `dockerswarm`.
    pub(super) fn describe(&self, kind: &str, set: &mut LabelsBuilder) {
        let flag = |is_on: bool| if is_on { "true" } else { "false" };
        for (name, value) in [
            ("id", self.id.as_str()),
            ("name", &self.name),
            ("scope", &self.scope),
            ("ingress", flag(self.ingress)),
            ("internal", flag(self.internal)),
        ] {
            set.set(&format!("__meta_{kind}_network_{name}"), value);
        }
        for (name, value) in &self.labels {
            set.set(&format!("__meta_{kind}_network_label_{}", label_part(name)), value);
        }
    }
}
