//! `dockerswarm_sd_configs`: the services, tasks and nodes of a swarm.

use super::asking::{host_port, label_part};
use super::docker::Daemon;
use super::group::ADDRESS;
use super::network::Network;
use super::{DiscoveryError, Group};
use crate::config::Place;
use model::{Labels, LabelsBuilder};
use outbound::Client;
use serde::Deserialize;
use std::collections::BTreeMap;
use yaml::{Error, Node};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Services,
    Tasks,
    Nodes,
}

#[derive(Clone, Debug)]
pub struct SwarmDiscovery {
    pub(super) daemon: Daemon,
    role: Role,
}

impl SwarmDiscovery {
    pub(super) fn read(node: &Node, place: &Place) -> Result<Self, Error> {
        let mut fields = node.fields("dockerswarm_sd_config")?;
        let role: String = fields.required("role")?;
        let role = match role.as_str() {
            "services" => Role::Services,
            "tasks" => Role::Tasks,
            "nodes" => Role::Nodes,
            other => {
                let message =
                    format!("invalid role {other:?}, expected `services`, `tasks`, or `nodes`");
                return Err(node.error(message));
            }
        };
        let daemon = Daemon::read(&mut fields, place)?;
        fields.end()?;
        Ok(Self { daemon, role })
    }

    pub(super) async fn groups(&self, client: &Client) -> Result<Vec<Group>, DiscoveryError> {
        let filters = |role: Role| match role == self.role {
            true => self.daemon.filters(),
            false => String::new(),
        };
        let mut swarm = Swarm { port: self.daemon.port, ..Swarm::default() };
        if self.role != Role::Nodes {
            let path = format!("/services{}", filters(Role::Services));
            swarm.services = self.daemon.get(client, &path).await?;
            swarm.networks = self.daemon.get(client, "/networks").await?;
        }
        if self.role != Role::Services {
            let path = format!("/nodes{}", filters(Role::Nodes));
            swarm.nodes = self.daemon.get(client, &path).await?;
        }
        if self.role == Role::Tasks {
            let path = format!("/tasks{}", filters(Role::Tasks));
            swarm.tasks = self.daemon.get(client, &path).await?;
        }
        let targets = match self.role {
            Role::Services => swarm.service_targets(),
            Role::Tasks => swarm.task_targets(),
            Role::Nodes => swarm.node_targets(),
        };
        Ok(vec![Group { source: "dockerswarm".to_owned(), targets, ..Group::default() }])
    }
}

/// What was asked for.
#[derive(Debug, Default)]
struct Swarm {
    port: u16,
    services: Vec<Service>,
    tasks: Vec<Task>,
    nodes: Vec<SwarmNode>,
    networks: Vec<Network>,
}

fn set(labels: &mut LabelsBuilder, name: &str, value: &str) {
    labels.set(&format!("__meta_dockerswarm_{name}"), value);
}

fn flag(is_on: bool) -> &'static str {
    if is_on { "true" } else { "false" }
}

/// The address of `10.0.0.5/24`.
fn ip(address: &str) -> &str {
    address.split('/').next().unwrap_or(address)
}

impl Swarm {
    fn node_targets(&self) -> Vec<Labels> {
        let target = |node: &SwarmNode| {
            let mut labels = LabelsBuilder::new();
            describe_node(node, &mut labels);
            labels.set(ADDRESS, &host_port(&node.status.addr, self.port));
            labels.build()
        };
        self.nodes.iter().map(target).collect()
    }

    fn service_targets(&self) -> Vec<Labels> {
        let mut targets = Vec::new();
        for service in &self.services {
            let mut common = LabelsBuilder::new();
            describe_service(service, &mut common);
            let task = &service.spec.task_template.container_spec;
            set(&mut common, "service_task_container_hostname", &task.hostname);
            set(&mut common, "service_task_container_image", &task.image);
            let updating = service.update_status.as_ref();
            set(&mut common, "service_updating_status", updating.map_or("", |one| &one.state));
            for virtual_ip in &service.endpoint.virtual_ips {
                let mut labels = common.clone();
                self.describe_network(&virtual_ip.network_id, &mut labels);
                let address = ip(&virtual_ip.addr);
                self.of_ports(
                    "service_endpoint",
                    address,
                    &service.endpoint.ports,
                    &labels,
                    &mut targets,
                );
            }
        }
        targets
    }

    /// A target for each port, or one with the port of the configuration.
    fn of_ports(
        &self,
        what: &str,
        address: &str,
        ports: &[EndpointPort],
        common: &LabelsBuilder,
        targets: &mut Vec<Labels>,
    ) {
        let before = targets.len();
        for port in ports.iter().filter(|port| port.protocol == "tcp") {
            let mut labels = common.clone();
            if what == "service_endpoint" {
                set(&mut labels, "service_endpoint_port_name", &port.name);
                set(&mut labels, "service_endpoint_port_publish_mode", &port.publish_mode);
            } else {
                set(&mut labels, "task_port_publish_mode", &port.publish_mode);
            }
            labels.set(ADDRESS, &host_port(address, port.published_port));
            targets.push(labels.build());
        }
        if targets.len() == before {
            let mut labels = common.clone();
            labels.set(ADDRESS, &host_port(address, self.port));
            targets.push(labels.build());
        }
    }

    fn task_targets(&self) -> Vec<Labels> {
        let mut targets = Vec::new();
        for task in &self.tasks {
            let mut common = LabelsBuilder::new();
            describe_task(task, &mut common);
            let service = self.services.iter().find(|service| service.id == task.service_id);
            if let Some(service) = service {
                describe_service(service, &mut common);
            }
            let node = self.nodes.iter().find(|node| node.id == task.node_id);
            if let Some(node) = node {
                describe_node(node, &mut common);
                let published = task.status.port_status.ports.iter();
                for port in published.filter(|port| port.protocol == "tcp") {
                    let mut labels = common.clone();
                    set(&mut labels, "task_port_publish_mode", &port.publish_mode);
                    labels.set(ADDRESS, &host_port(&node.status.addr, port.published_port));
                    targets.push(labels.build());
                }
            }
            let ports = service.map_or(&[][..], |service| &service.endpoint.ports);
            for attachment in &task.networks_attachments {
                let mut labels = common.clone();
                self.describe_network(&attachment.network.id, &mut labels);
                for address in &attachment.addresses {
                    self.of_ports("task", ip(address), ports, &labels, &mut targets);
                }
            }
        }
        targets
    }

    fn describe_network(&self, id: &str, labels: &mut LabelsBuilder) {
        let Some(network) = self.networks.iter().find(|network| network.id == id) else { return };
        network.describe("dockerswarm", labels);
    }
}

fn set_all(labels: &mut LabelsBuilder, prefix: &str, pairs: &BTreeMap<String, String>) {
    for (name, value) in pairs {
        set(labels, &format!("{prefix}_{}", label_part(name)), value);
    }
}

fn describe_service(service: &Service, labels: &mut LabelsBuilder) {
    let mode = match (&service.spec.mode.global, &service.spec.mode.replicated) {
        (Some(_), _) => "global",
        (None, Some(_)) => "replicated",
        (None, None) => "",
    };
    set(labels, "service_id", &service.id);
    set(labels, "service_name", &service.spec.name);
    set(labels, "service_mode", mode);
    set_all(labels, "service_label", &service.spec.labels);
}

fn describe_task(task: &Task, labels: &mut LabelsBuilder) {
    for (name, value) in [
        ("task_id", task.id.as_str()),
        ("task_container_id", &task.status.container_status.container_id),
        ("task_desired_state", &task.desired_state),
        ("task_slot", &task.slot.to_string()),
        ("task_state", &task.status.state),
    ] {
        set(labels, name, value);
    }
    set_all(labels, "container_label", &task.spec.container_spec.labels);
}

fn describe_node(node: &SwarmNode, labels: &mut LabelsBuilder) {
    for (name, value) in [
        ("node_id", &node.id),
        ("node_address", &node.status.addr),
        ("node_availability", &node.spec.availability),
        ("node_engine_version", &node.description.engine.engine_version),
        ("node_hostname", &node.description.hostname),
        ("node_platform_architecture", &node.description.platform.architecture),
        ("node_platform_os", &node.description.platform.os),
        ("node_role", &node.spec.role),
        ("node_status", &node.status.state),
    ] {
        set(labels, name, value);
    }
    if let Some(manager) = &node.manager_status {
        set(labels, "node_manager_address", &manager.addr);
        set(labels, "node_manager_leader", flag(manager.leader));
        set(labels, "node_manager_reachability", &manager.reachability);
    }
    set_all(labels, "node_label", &node.spec.labels);
}

/// Structs of the API, of which what is missing is empty.
macro_rules! objects {
    ($($name:ident { $($(#[$mark:meta])* $field:ident: $kind:ty,)* })*) => {
        $(
            #[derive(Clone, Debug, Default, Deserialize)]
            #[serde(default, rename_all = "PascalCase")]
            struct $name { $($(#[$mark])* $field: $kind,)* }
        )*
    };
}

objects! {
    Service {
        #[serde(rename = "ID")] id: String,
        spec: ServiceSpec,
        endpoint: ServiceEndpoint,
        update_status: Option<UpdateStatus>,
    }
    ServiceSpec {
        name: String,
        labels: BTreeMap<String, String>,
        mode: ServiceMode,
        task_template: TaskSpec,
    }
    ServiceMode { global: Option<serde_json::Value>, replicated: Option<serde_json::Value>, }
    UpdateStatus { state: String, }
    TaskSpec { container_spec: ContainerSpec, }
    ContainerSpec { image: String, hostname: String, labels: BTreeMap<String, String>, }
    ServiceEndpoint {
        ports: Vec<EndpointPort>,
        #[serde(rename = "VirtualIPs")] virtual_ips: Vec<VirtualIp>,
    }
    EndpointPort { name: String, protocol: String, published_port: u16, publish_mode: String, }
    VirtualIp { #[serde(rename = "NetworkID")] network_id: String, addr: String, }
    Task {
        #[serde(rename = "ID")] id: String,
        #[serde(rename = "ServiceID")] service_id: String,
        #[serde(rename = "NodeID")] node_id: String,
        slot: u64,
        desired_state: String,
        spec: TaskSpec,
        status: TaskStatus,
        networks_attachments: Vec<Attachment>,
    }
    TaskStatus { state: String, container_status: TaskContainer, port_status: PortStatus, }
    TaskContainer { #[serde(rename = "ContainerID")] container_id: String, }
    PortStatus { ports: Vec<EndpointPort>, }
    Attachment { network: AttachedNetwork, addresses: Vec<String>, }
    AttachedNetwork { #[serde(rename = "ID")] id: String, }
    SwarmNode {
        #[serde(rename = "ID")] id: String,
        spec: NodeSpec,
        description: NodeDescription,
        status: NodeStatus,
        manager_status: Option<ManagerStatus>,
    }
    NodeSpec { role: String, availability: String, labels: BTreeMap<String, String>, }
    NodeDescription { hostname: String, platform: Platform, engine: NodeEngine, }
    Platform { architecture: String, #[serde(rename = "OS")] os: String, }
    NodeEngine { engine_version: String, }
    NodeStatus { state: String, addr: String, }
    ManagerStatus { leader: bool, reachability: String, addr: String, }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn swarm() -> Swarm {
        let port = json!({"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080,
                          "PublishMode": "ingress", "Name": "http"});
        let services = json!([{
            "ID": "s1",
            "Spec": {"Name": "web", "Labels": {"a.b": "c"}, "Mode": {"Replicated": {"Replicas": 1}},
                     "TaskTemplate": {"ContainerSpec": {"Image": "web:1"}}},
            "Endpoint": {"Ports": [port], "VirtualIPs": [{"NetworkID": "n1", "Addr": "10.0.0.3/24"}]}
        }]);
        let tasks = json!([{
            "ID": "t1", "ServiceID": "s1", "NodeID": "m1", "Slot": 2, "DesiredState": "running",
            "Spec": {"ContainerSpec": {"Labels": {"x": "y"}}},
            "Status": {"State": "running", "ContainerStatus": {"ContainerID": "c1"}, "PortStatus": {}},
            "NetworksAttachments": [{"Network": {"ID": "n1"}, "Addresses": ["10.0.0.9/24"]}]
        }]);
        let nodes = json!([{
            "ID": "m1", "Spec": {"Role": "manager", "Availability": "active", "Labels": {}},
            "Description": {"Hostname": "h1", "Platform": {"Architecture": "x86_64", "OS": "linux"},
                            "Engine": {"EngineVersion": "19.03"}},
            "Status": {"State": "ready", "Addr": "192.168.1.2"},
            "ManagerStatus": {"Leader": true, "Reachability": "reachable", "Addr": "192.168.1.2:2377"}
        }]);
        let networks = json!([{"Id": "n1", "Name": "ingress", "Scope": "swarm", "Ingress": true}]);
        Swarm {
            port: 80,
            services: serde_json::from_value(services).unwrap(),
            tasks: serde_json::from_value(tasks).unwrap(),
            nodes: serde_json::from_value(nodes).unwrap(),
            networks: serde_json::from_value(networks).unwrap(),
        }
    }

    fn value<'t>(target: &'t Labels, name: &str) -> &'t str {
        target.value(&format!("__meta_dockerswarm_{name}"))
    }

    #[test]
    fn services_nodes_and_tasks_become_targets() {
        let swarm = swarm();
        let service = &swarm.service_targets()[0];
        assert_eq!(service.value(ADDRESS), "10.0.0.3:8080");
        assert_eq!(value(service, "service_mode"), "replicated");
        assert_eq!(value(service, "service_label_a_b"), "c");
        assert_eq!(value(service, "service_endpoint_port_name"), "http");
        assert_eq!(value(service, "network_ingress"), "true");
        let node = &swarm.node_targets()[0];
        assert_eq!(node.value(ADDRESS), "192.168.1.2:80");
        assert_eq!(value(node, "node_manager_leader"), "true");
        assert_eq!(value(node, "node_platform_os"), "linux");
        let task = &swarm.task_targets()[0];
        assert_eq!(task.value(ADDRESS), "10.0.0.9:8080");
        assert_eq!(value(task, "task_slot"), "2");
        assert_eq!(value(task, "container_label_x"), "y");
        assert_eq!(value(task, "node_hostname"), "h1");
        assert_eq!(value(task, "service_name"), "web");
    }
}
