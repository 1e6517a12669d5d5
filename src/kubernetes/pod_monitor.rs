//! PodMonitors: the ports of pods that labels select.

use crate::Object;
use crate::derive::{Jobs, path};
use crate::monitor::{Endpoint, discovery, limits};
use crate::secrets::References;
use crate::section::{Port, Relabel, sanitized};
use crate::selector::{self, Namespaces};
use crate::service_monitor::label_rules;
use yaml::{Error, Node};

const PORT_NAME: &str = "__meta_kubernetes_pod_container_port_name";
const PORT_NUMBER: &str = "__meta_kubernetes_pod_container_port_number";

pub(crate) fn jobs(object: &Object, references: References<'_>) -> Result<Jobs, Error> {
    let spec = object.spec()?;
    let mut fields = spec.fields("PodMonitor")?;
    let selector = fields.required::<Node>("selector")?;
    let selected = selector::rules(&selector, "pod")?;
    let namespaces = Namespaces::read(fields.take("namespaceSelector"), references.namespace)?;
    let job_label: String = fields.or_default("jobLabel")?;
    let pod_labels: Vec<String> = fields.or_default("podTargetLabels")?;
    let discovery = discovery("pod", &namespaces, fields.take("attachMetadata"), &spec);
    let limits = limits(&mut fields, &spec);
    let endpoints: Vec<Node> = fields.or_default("podMetricsEndpoints")?;
    fields.take("selectorMechanism");
    fields.end()?;
    let mut jobs = Jobs::new();
    for (index, node) in endpoints.iter().enumerate() {
        let mut endpoint = Endpoint::read(node, references, Some("portNumber"))?;
        let relabel = Relabel { at: node };
        let mut rules = vec![relabel.copy("job", "__tmp_prometheus_job_name")];
        if endpoint.filters_running {
            rules.push(relabel.drop(&["__meta_kubernetes_pod_phase"], "(Failed|Succeeded)"));
        }
        rules.extend(selected.iter().cloned());
        rules.extend(endpoint.port.as_ref().or(endpoint.target_port.as_ref()).map(
            |port| match port {
                Port::Name(name) => relabel.keep(&[PORT_NAME], &model::escape_regex(name)),
                Port::Number(number) => relabel.keep(&[PORT_NUMBER], &number.to_string()),
            },
        ));
        rules.push(relabel.copy("__meta_kubernetes_namespace", "namespace"));
        rules.push(relabel.copy("__meta_kubernetes_pod_container_name", "container"));
        rules.push(relabel.copy("__meta_kubernetes_pod_name", "pod"));
        rules.extend(label_rules("pod", &pod_labels, &relabel));
        let own = path(object, references);
        rules.push(relabel.set("job", &own));
        if !job_label.is_empty() {
            let label = format!("__meta_kubernetes_pod_label_{}", sanitized(&job_label));
            rules.push(relabel.copy_present(&label, "job"));
        }
        rules.extend(endpoint.label().map(|label| relabel.set("endpoint", &label)));
        endpoint.section.set("kubernetes_sd_configs", discovery.clone());
        endpoint.section = endpoint.section.followed_by(limits.clone());
        let name = format!("podMonitor/{own}/{index}");
        jobs.push((name.clone(), endpoint.job(&name, rules, node)));
    }
    Ok(jobs)
}
