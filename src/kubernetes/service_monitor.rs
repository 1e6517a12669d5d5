//! ServiceMonitors: the endpoints of services that labels select.

use crate::monitor::{Endpoint, discovery, limits};
use crate::secrets::References;
use crate::section::{Port, Relabel, sanitized};
use crate::selector::{self, Namespaces};
use crate::{Object, derive::Jobs};
use yaml::{Error, Node};

/// Labels that service discovery writes for one of its two roles.
struct Role {
    name: &'static str,
    port_name: &'static str,
    target_kind: &'static str,
    target_name: &'static str,
}

const ENDPOINTS: Role = Role {
    name: "endpoints",
    port_name: "__meta_kubernetes_endpoint_port_name",
    target_kind: "__meta_kubernetes_endpoint_address_target_kind",
    target_name: "__meta_kubernetes_endpoint_address_target_name",
};
const SLICES: Role = Role {
    name: "endpointslice",
    port_name: "__meta_kubernetes_endpointslice_port_name",
    target_kind: "__meta_kubernetes_endpointslice_address_target_kind",
    target_name: "__meta_kubernetes_endpointslice_address_target_name",
};

pub(crate) fn jobs(object: &Object, references: References<'_>) -> Result<Jobs, Error> {
    let spec = object.spec()?;
    let mut fields = spec.fields("ServiceMonitor")?;
    let selector = fields.required::<Node>("selector")?;
    let selected = selector::rules(&selector, "service")?;
    let namespaces = Namespaces::read(fields.take("namespaceSelector"), references.namespace)?;
    let role = match fields.optional::<String>("serviceDiscoveryRole")?.as_deref() {
        Some("EndpointSlice") => SLICES,
        _ => ENDPOINTS,
    };
    let job_label: String = fields.or_default("jobLabel")?;
    let target_labels: Vec<String> = fields.or_default("targetLabels")?;
    let pod_labels: Vec<String> = fields.or_default("podTargetLabels")?;
    let discovery = discovery(role.name, &namespaces, fields.take("attachMetadata"), &spec);
    let limits = limits(&mut fields, &spec);
    let endpoints: Vec<Node> = fields.required("endpoints")?;
    fields.take("selectorMechanism");
    fields.end()?;
    let mut jobs = Jobs::new();
    for (index, node) in endpoints.iter().enumerate() {
        let mut endpoint = Endpoint::read(node, references, None)?;
        let relabel = Relabel { at: node };
        let mut rules = vec![relabel.copy("job", "__tmp_prometheus_job_name")];
        rules.extend(selected.iter().cloned());
        rules.extend(port_rule(&endpoint, &role, &relabel));
        rules.extend(origin_rules(&role, &relabel));
        if endpoint.filters_running {
            rules.push(relabel.drop(&["__meta_kubernetes_pod_phase"], "(Failed|Succeeded)"));
        }
        rules.extend(label_rules("service", &target_labels, &relabel));
        rules.extend(label_rules("pod", &pod_labels, &relabel));
        rules.push(relabel.copy("__meta_kubernetes_service_name", "job"));
        if !job_label.is_empty() {
            let label = format!("__meta_kubernetes_service_label_{}", sanitized(&job_label));
            rules.push(relabel.copy_present(&label, "job"));
        }
        rules.extend(endpoint.label().map(|label| relabel.set("endpoint", &label)));
        endpoint.section.set("kubernetes_sd_configs", discovery.clone());
        endpoint.section = endpoint.section.followed_by(limits.clone());
        let name = format!("serviceMonitor/{}/{index}", crate::derive::path(object, references));
        jobs.push((name.clone(), endpoint.job(&name, rules, node)));
    }
    Ok(jobs)
}

fn port_rule(endpoint: &Endpoint, role: &Role, relabel: &Relabel<'_>) -> Option<Node> {
    if let Some(Port::Name(name)) = &endpoint.port {
        return Some(relabel.keep(&[role.port_name], &model::escape_regex(name)));
    }
    Some(match endpoint.target_port.as_ref()? {
        Port::Name(name) => {
            let label = "__meta_kubernetes_pod_container_port_name";
            relabel.keep(&[label], &model::escape_regex(name))
        }
        Port::Number(number) => {
            relabel.keep(&["__meta_kubernetes_pod_container_port_number"], &number.to_string())
        }
    })
}

/// Where a target is: node, pod, namespace, service, container.
fn origin_rules(role: &Role, relabel: &Relabel<'_>) -> Vec<Node> {
    let of = [role.target_kind, role.target_name];
    vec![
        relabel.extract(&of, "Node;(.*)", "node"),
        relabel.extract(&of, "Pod;(.*)", "pod"),
        relabel.copy("__meta_kubernetes_namespace", "namespace"),
        relabel.copy("__meta_kubernetes_service_name", "service"),
        relabel.copy("__meta_kubernetes_pod_name", "pod"),
        relabel.copy("__meta_kubernetes_pod_container_name", "container"),
    ]
}

/// Labels of the service or pod that its targets get.
pub(crate) fn label_rules<'a>(
    object: &'a str,
    labels: &'a [String],
    relabel: &'a Relabel<'a>,
) -> impl Iterator<Item = Node> + 'a {
    labels.iter().map(move |label| {
        let label = sanitized(label);
        relabel.copy_present(&format!("__meta_kubernetes_{object}_label_{label}"), &label)
    })
}
