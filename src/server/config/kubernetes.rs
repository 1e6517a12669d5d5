//! Settings of objects of the Prometheus Operator.

use protocols::section;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where the targets of objects are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetsFrom {
    Auto,
    Cluster,
    Files,
}

section! {
    /// Objects of the Prometheus Operator, in files ([how to](how-to/use-operator-objects.md)).
    KubernetesSettings as "kubernetes" {
        /// A folder of objects of Kubernetes in files that end in `.yaml`, `.yml` or `.json`: what its
        /// ServiceMonitors, PodMonitors, Probes, ScrapeConfigs, PrometheusRules and AlertmanagerConfigs say is
        /// done. Also `--kubernetes-objects DIR`. Read again on SIGHUP and `POST /-/reload`. Empty: none.
        objects: PathBuf = PathBuf::new(),
        /// The namespace of objects that name none, as `kubectl apply --namespace` gives it.
        namespace: String = "default".to_owned(),
        /// Where monitors look for targets: `"cluster"`, in the API of the cluster in which this server runs;
        /// `"files"`, among the Services, Endpoints, EndpointSlices, Pods, Nodes and Ingresses of the folder;
        /// `"auto"`: the cluster where the server runs in one, the files elsewhere.
        targets_from: TargetsFrom = TargetsFrom::Auto,
        /// Whether the routes of an AlertmanagerConfig take alerts of its own namespace only (those with a
        /// label `namespace` that says so), as the Operator has it.
        bind_alerts_to_namespace: bool = true,
    }
}
