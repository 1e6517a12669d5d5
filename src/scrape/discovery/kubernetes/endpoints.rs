//! Endpoints and EndpointSlices as targets, with the pods and services that stand behind them.

use super::objects::{
    Address, ContainerPort, Endpoints, Meta, Object, Pod, Reference, ServicePort, Slice,
    SliceEndpoint, SlicePort,
};
use super::roles::{
    Described, PodContainer, containers, describe_container, describe_pod, described, source,
};
use super::{ByName, Key};
use crate::discovery::Group;
use crate::discovery::asking::{host_port, label_part};
use crate::discovery::group::ADDRESS;
use model::{Labels, LabelsBuilder};
use std::collections::{BTreeMap, BTreeSet};

/// What other objects say of a target.
#[derive(Debug, Default)]
pub(super) struct Around {
    pub(super) nodes: ByName<Meta>,
    pub(super) namespaces: ByName<Meta>,
    pub(super) services: BTreeMap<Key, Meta>,
    pub(super) pods: BTreeMap<Key, Object<Pod>>,
}

impl Around {
    /// Where nodes were asked for.
    pub(super) fn describe_node(&self, name: &str, set: &mut LabelsBuilder) {
        if let Some(node) = self.nodes.get(name) {
            let mut described = Described { set, kind: "node" };
            described.set("name", &node.name);
            described.marks(node);
        }
    }

    /// Where namespaces were asked for.
    pub(super) fn describe_namespace(&self, name: &str, set: &mut LabelsBuilder) {
        if let Some(namespace) = self.namespaces.get(name) {
            Described { set, kind: "namespace" }.marks(namespace);
        }
    }

    fn describe_service(&self, namespace: &str, name: &str, set: &mut LabelsBuilder) {
        if let Some(service) = self.services.get(&(namespace.to_owned(), name.to_owned())) {
            let mut described = Described { set, kind: "service" };
            described.set("name", &service.name);
            described.marks(service);
        }
    }

    fn pod(&self, namespace: &str, target: Option<&Reference>) -> Option<&Object<Pod>> {
        let target = target.filter(|target| target.kind == "Pod")?;
        let own = if target.namespace.is_empty() { namespace } else { &target.namespace };
        self.pods.get(&(own.to_owned(), target.name.clone()))
    }
}

/// The pods behind a group: once all endpoints are there, their other ports become targets too.
#[derive(Default)]
struct Seen<'a> {
    pods: BTreeMap<Key, (&'a Object<Pod>, BTreeSet<u32>)>,
}

impl<'a> Seen<'a> {
    /// Describes a target by the pod behind it, and by the container that has its port.
    fn describe(
        &mut self,
        pod: &'a Object<Pod>,
        port: u32,
        around: &Around,
        set: &mut LabelsBuilder,
    ) {
        describe_pod(pod, around, set);
        let key = (pod.metadata.namespace.clone(), pod.metadata.name.clone());
        let seen = self.pods.entry(key).or_insert_with(|| (pod, BTreeSet::new()));
        for container in containers(&pod.content) {
            let found = container.0.ports.iter().find(|one| one.container_port == port);
            if let Some(found) = found {
                seen.1.insert(port);
                describe_container(container, Some(found), set);
                return;
            }
        }
    }

    fn others(self, around: &Around) -> Vec<Labels> {
        let mut targets = Vec::new();
        for (pod, ports) in self.pods.into_values() {
            for container in containers(&pod.content) {
                let others = container.0.ports.iter();
                for port in others.filter(|port| !ports.contains(&port.container_port)) {
                    targets.extend(other_port(pod, container, port, around));
                }
            }
        }
        targets
    }
}

fn other_port(
    pod: &Object<Pod>,
    container: PodContainer<'_>,
    port: &ContainerPort,
    around: &Around,
) -> Option<Labels> {
    let ip = Some(&pod.content.status.pod_ip).filter(|ip| !ip.is_empty())?;
    let mut set = LabelsBuilder::new();
    set.set(ADDRESS, &host_port(ip, port.container_port));
    describe_pod(pod, around, &mut set);
    describe_container(container, Some(port), &mut set);
    Some(set.build())
}

pub(super) fn of_endpoints(endpoints: &Object<Endpoints>, around: &Around) -> Group {
    let meta = &endpoints.metadata;
    let mut labels = described("endpoints", meta, around);
    around.describe_service(&meta.namespace, &meta.name, &mut labels);
    let (mut targets, mut seen) = (Vec::new(), Seen::default());
    for subset in &endpoints.content.subsets {
        let ready = subset.addresses.iter().map(|address| (address, true));
        let not_ready = subset.not_ready_addresses.iter().map(|address| (address, false));
        let all: Vec<(&Address, bool)> = ready.chain(not_ready).collect();
        for port in &subset.ports {
            for (address, is_ready) in &all {
                let mut set = endpoint(address, port, *is_ready);
                around.describe_node(&address.node_name, &mut set);
                if let Some(pod) = around.pod(&meta.namespace, address.target_ref.as_ref()) {
                    seen.describe(pod, port.port, around, &mut set);
                }
                targets.push(set.build());
            }
        }
    }
    targets.extend(seen.others(around));
    Group { source: source("endpoints", meta), labels: labels.build(), targets, line: 0 }
}

fn endpoint(address: &Address, port: &ServicePort, is_ready: bool) -> LabelsBuilder {
    let mut set = LabelsBuilder::new();
    set.set(ADDRESS, &host_port(&address.ip, port.port));
    let mut described = Described { set: &mut set, kind: "endpoint" };
    described.set("port_name", &port.name);
    described.set("port_protocol", &port.protocol);
    described.set("ready", if is_ready { "true" } else { "false" });
    described.set("hostname", &address.hostname);
    described.set("node_name", &address.node_name);
    if let Some(target) = &address.target_ref {
        described.set("address_target_kind", &target.kind);
        described.set("address_target_name", &target.name);
    }
    set
}

/// The service of a slice stands in a label.
pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";

pub(super) fn of_slice(slice: &Object<Slice>, around: &Around) -> Group {
    let (meta, content) = (&slice.metadata, &slice.content);
    let mut labels = described("endpointslice", meta, around);
    Described { set: &mut labels, kind: "endpointslice" }
        .set("address_type", &content.address_type);
    if let Some(service) = meta.labels.get(SERVICE_NAME) {
        around.describe_service(&meta.namespace, service, &mut labels);
    }
    let (mut targets, mut seen) = (Vec::new(), Seen::default());
    for port in &content.ports {
        for endpoint in &content.endpoints {
            for address in &endpoint.addresses {
                let mut set = slice_endpoint(endpoint, address, port);
                around.describe_node(endpoint.node_name.as_deref().unwrap_or(""), &mut set);
                if let Some(pod) = around.pod(&meta.namespace, endpoint.target_ref.as_ref()) {
                    seen.describe(pod, port.port.unwrap_or_default(), around, &mut set);
                }
                targets.push(set.build());
            }
        }
    }
    targets.extend(seen.others(around));
    Group { source: source("endpointslice", meta), labels: labels.build(), targets, line: 0 }
}

fn slice_endpoint(endpoint: &SliceEndpoint, address: &str, port: &SlicePort) -> LabelsBuilder {
    let mut set = LabelsBuilder::new();
    let number = port.port.map(|port| port.to_string()).unwrap_or_default();
    let full = port.port.map_or_else(|| address.to_owned(), |port| host_port(address, port));
    set.set(ADDRESS, &full);
    let mut described = Described { set: &mut set, kind: "endpointslice" };
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let flag = |value: Option<bool>| value.map_or(String::new(), |value| value.to_string());
    for (name, value) in [
        ("port", number),
        ("port_name", text(&port.name)),
        ("port_protocol", text(&port.protocol)),
        ("port_app_protocol", text(&port.app_protocol)),
        ("endpoint_conditions_ready", flag(endpoint.conditions.ready)),
        ("endpoint_conditions_serving", flag(endpoint.conditions.serving)),
        ("endpoint_conditions_terminating", flag(endpoint.conditions.terminating)),
        ("endpoint_hostname", text(&endpoint.hostname)),
        ("endpoint_node_name", text(&endpoint.node_name)),
        ("endpoint_zone", text(&endpoint.zone)),
    ] {
        described.set(name, &value);
    }
    if let Some(target) = &endpoint.target_ref {
        described.set("address_target_kind", &target.kind);
        described.set("address_target_name", &target.name);
    }
    for (name, value) in &endpoint.deprecated_topology {
        let name = label_part(name);
        described.set(&format!("endpoint_topology_{name}"), value);
        described.set(&format!("endpoint_topology_present_{name}"), "true");
    }
    set
}
