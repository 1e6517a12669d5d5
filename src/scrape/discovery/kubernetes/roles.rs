//! Nodes, services, pods and ingresses as targets.

use super::endpoints::Around;
use super::objects::{
    Container, ContainerPort, ContainerStatus, Ingress, IngressRule, Meta, Node, Object, Pod,
    PodCondition, Service,
};
use crate::discovery::Group;
use crate::discovery::asking::{host_port, label_part};
use crate::discovery::group::ADDRESS;
use model::{Labels, LabelsBuilder};

const META: &str = "__meta_kubernetes_";
const NAMESPACE: &str = "__meta_kubernetes_namespace";

/// Labels of one kind of object: their names begin with the kind.
pub(super) struct Described<'d> {
    pub(super) set: &'d mut LabelsBuilder,
    pub(super) kind: &'static str,
}

impl Described<'_> {
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.set.set(&format!("{META}{}_{name}", self.kind), value);
    }

    /// The labels and annotations that the object has.
    pub(super) fn marks(&mut self, meta: &Meta) {
        for (what, pairs) in [("label", &meta.labels), ("annotation", &meta.annotations)] {
            for (name, value) in pairs {
                let name = label_part(name);
                self.set(&format!("{what}_{name}"), value);
                self.set(&format!("{what}present_{name}"), "true");
            }
        }
    }
}

/// The labels of a group: the namespace, the object's name, labels and annotations.
pub(super) fn described(kind: &'static str, meta: &Meta, around: &Around) -> LabelsBuilder {
    let mut set = LabelsBuilder::new();
    if !meta.namespace.is_empty() {
        set.set(NAMESPACE, &meta.namespace);
        around.describe_namespace(&meta.namespace, &mut set);
    }
    let mut described = Described { set: &mut set, kind };
    described.set("name", &meta.name);
    described.marks(meta);
    set
}

pub(super) fn source(kind: &str, meta: &Meta) -> String {
    format!("{kind}/{}/{}", meta.namespace, meta.name)
}

/// In this order a node is reached.
const ADDRESSES: [&str; 6] =
    ["InternalIP", "InternalDNS", "ExternalIP", "ExternalDNS", "LegacyHostIP", "Hostname"];

pub(super) fn of_node(node: &Object<Node>) -> Group {
    let (meta, status) = (&node.metadata, &node.content.status);
    let mut set = described("node", meta, &Around::default());
    Described { set: &mut set, kind: "node" }.set("provider_id", &node.content.spec.provider_id);
    let find = |kind: &&str| status.addresses.iter().find(|address| address.kind == **kind);
    let Some(first) = ADDRESSES.iter().find_map(find) else {
        return Group { source: source("node", meta), labels: set.build(), ..Group::default() };
    };
    let mut target = LabelsBuilder::new();
    let port = status.daemon_endpoints.kubelet_endpoint.port;
    target.set(ADDRESS, &host_port(&first.address, port)).set("instance", &meta.name);
    // Where there are several of a kind, the first counts.
    for address in status.addresses.iter().rev() {
        let name = format!("address_{}", label_part(&address.kind));
        Described { set: &mut target, kind: "node" }.set(&name, &address.address);
    }
    let (source, labels) = (source("node", meta), set.build());
    Group { source, labels, targets: vec![target.build()], line: 0 }
}

pub(super) fn of_service(service: &Object<Service>, around: &Around) -> Group {
    let (meta, spec) = (&service.metadata, &service.content.spec);
    let set = described("service", meta, around).build();
    let host = format!("{}.{}.svc", meta.name, meta.namespace);
    let targets = spec.ports.iter().map(|port| {
        let mut target = LabelsBuilder::new();
        target.set(ADDRESS, &host_port(&host, port.port));
        let mut described = Described { set: &mut target, kind: "service" };
        described.set("port_name", &port.name);
        described.set("port_number", &port.port.to_string());
        described.set("port_protocol", &port.protocol);
        described.set("type", &spec.kind);
        match spec.kind.as_str() {
            "ExternalName" => described.set("external_name", &spec.external_name),
            _ => described.set("cluster_ip", &spec.cluster_ip),
        }
        if spec.kind == "LoadBalancer" {
            described.set("loadbalancer_ip", &spec.load_balancer_ip);
        }
        target.build()
    });
    Group { source: source("svc", meta), labels: set, targets: targets.collect(), line: 0 }
}

/// The labels that all targets of a pod have.
pub(super) fn describe_pod(pod: &Object<Pod>, around: &Around, set: &mut LabelsBuilder) {
    let (meta, spec, status) = (&pod.metadata, &pod.content.spec, &pod.content.status);
    let ready = |condition: &&PodCondition| condition.kind == "Ready";
    let ready = status.conditions.iter().find(ready);
    let ready = ready.map_or("unknown".to_owned(), |found| found.status.to_lowercase());
    let mut described = Described { set, kind: "pod" };
    for (name, value) in [
        ("name", &meta.name),
        ("ip", &status.pod_ip),
        ("ready", &ready),
        ("phase", &status.phase),
        ("node_name", &spec.node_name),
        ("host_ip", &status.host_ip),
        ("uid", &meta.uid),
    ] {
        described.set(name, value);
    }
    described.marks(meta);
    if let Some(owner) = meta.owner_references.iter().find(|owner| owner.controller) {
        described.set("controller_kind", &owner.kind);
        described.set("controller_name", &owner.name);
    }
    around.describe_node(&spec.node_name, set);
}

/// A container of a pod, whether it only prepares the pod, and its id.
pub(super) type PodContainer<'p> = (&'p Container, bool, &'p str);

pub(super) fn containers(pod: &Pod) -> Vec<PodContainer<'_>> {
    let (spec, status) = (&pod.spec, &pod.status);
    let main = spec.containers.iter();
    let main = main.map(|one| (one, false, container_id(one, &status.container_statuses)));
    let first = spec.init_containers.iter();
    let first = first.map(|one| (one, true, container_id(one, &status.init_container_statuses)));
    main.chain(first).collect()
}

fn container_id<'s>(container: &Container, states: &'s [ContainerStatus]) -> &'s str {
    let state = states.iter().find(|state| state.name == container.name);
    state.map_or("", |state| &state.container_id)
}

pub(super) fn describe_container(
    (container, is_init, id): PodContainer<'_>,
    port: Option<&ContainerPort>,
    set: &mut LabelsBuilder,
) {
    let mut described = Described { set, kind: "pod_container" };
    described.set("name", &container.name);
    described.set("id", id);
    described.set("image", &container.image);
    described.set("init", if is_init { "true" } else { "false" });
    if let Some(port) = port {
        described.set("port_name", &port.name);
        described.set("port_number", &port.container_port.to_string());
        described.set("port_protocol", &port.protocol);
    }
}

pub(super) fn of_pod(pod: &Object<Pod>, around: &Around) -> Group {
    let (meta, ip) = (&pod.metadata, &pod.content.status.pod_ip);
    let mut group = LabelsBuilder::new();
    group.set(NAMESPACE, &meta.namespace);
    around.describe_namespace(&meta.namespace, &mut group);
    describe_pod(pod, around, &mut group);
    let mut targets = Vec::new();
    // A pod without an address can't be reached yet.
    let all = containers(&pod.content).into_iter().filter(|_| !ip.is_empty());
    for found in all {
        let mut add = |address: &str, port: Option<&ContainerPort>| {
            let mut target = LabelsBuilder::new();
            target.set(ADDRESS, address);
            describe_container(found, port, &mut target);
            targets.push(target.build());
        };
        if found.0.ports.is_empty() {
            add(ip, None);
        }
        for port in &found.0.ports {
            add(&host_port(ip, port.container_port), Some(port));
        }
    }
    Group { source: source("pod", meta), labels: group.build(), targets, line: 0 }
}

pub(super) fn of_ingress(ingress: &Object<Ingress>, around: &Around) -> Group {
    let (meta, spec) = (&ingress.metadata, &ingress.content.spec);
    let mut set = described("ingress", meta, around);
    Described { set: &mut set, kind: "ingress" }.set("class_name", &spec.ingress_class_name);
    let is_tls = |host: &str| {
        let mut hosts = spec.tls.iter().flat_map(|tls| &tls.hosts);
        hosts.any(|pattern| host_matches(pattern, host))
    };
    let targets = spec.rules.iter().flat_map(|rule| {
        let scheme = if is_tls(&rule.host) { "https" } else { "http" };
        paths(rule).into_iter().map(move |path| ingress_target(rule, scheme, &path))
    });
    Group {
        source: source("ingress", meta),
        targets: targets.collect(),
        labels: set.build(),
        line: 0,
    }
}

fn paths(rule: &IngressRule) -> Vec<String> {
    let Some(http) = &rule.http else { return vec!["/".to_owned()] };
    let paths = http.paths.iter().map(|path| match path.path.as_str() {
        "" => "/".to_owned(),
        path => path.to_owned(),
    });
    paths.collect()
}

fn ingress_target(rule: &IngressRule, scheme: &str, path: &str) -> Labels {
    let mut target = LabelsBuilder::new();
    target.set(ADDRESS, &rule.host);
    let mut described = Described { set: &mut target, kind: "ingress" };
    described.set("scheme", scheme);
    described.set("host", &rule.host);
    described.set("path", path);
    target.build()
}

/// `*.example.org` stands for one label in front.
fn host_matches(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        None => pattern == host,
        Some(rest) => host.split_once('.').is_some_and(|(_, behind)| behind == rest),
    }
}
