//! `docker_sd_configs`: the containers of a Docker host.

use super::asking::{get_json, host_port, label_part, query_value, url};
use super::group::ADDRESS;
use super::network::Network;
use super::{DiscoveryError, Group};
use crate::config::{Place, Warning, http_config};
use model::{Labels, LabelsBuilder};
use outbound::{Client, HttpConfig, Request};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::PathBuf;
use yaml::{Duration, Error, FromNode, Node};

const REFRESH: Duration = Duration::from_secs(60);
const PORT: u16 = 80;
/// In front of a path, for a host that is a socket of this machine.
const UNIX: &str = "unix://";

/// How a daemon of Docker is reached: for containers, and for a swarm.
#[derive(Clone, Debug)]
pub(super) struct Daemon {
    host: String,
    filters: BTreeMap<String, Vec<String>>,
    pub(super) http: HttpConfig,
    pub(super) port: u16,
    pub(super) refresh_interval: Duration,
}

/// `filters:`
struct Filter(String, Vec<String>);

impl FromNode for Filter {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let mut fields = node.fields("filter")?;
        let (name, values) = (fields.required("name")?, fields.required("values")?);
        fields.end()?;
        Ok(Self(name, values))
    }
}

impl Daemon {
    pub(super) fn read(fields: &mut yaml::Fields<'_>, place: &Place) -> Result<Self, Error> {
        let host: String = fields.required("host")?;
        let filters: Vec<Filter> = fields.or_default("filters")?;
        Ok(Self {
            host,
            filters: filters.into_iter().map(|Filter(name, values)| (name, values)).collect(),
            http: http_config(fields, place)?,
            port: fields.or("port", PORT)?,
            refresh_interval: fields.or("refresh_interval", REFRESH)?,
        })
    }

    /// What the filters choose of a list; they are about `containers` or a role of a swarm.
    pub(super) fn filters(&self) -> String {
        if self.filters.is_empty() {
            return String::new();
        }
        let text = serde_json::to_string(&self.filters).unwrap_or_default();
        format!("?filters={}", query_value(&text))
    }

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        client: &Client,
        path: &str,
    ) -> Result<T, DiscoveryError> {
        let request = match self.host.strip_prefix(UNIX) {
            Some(socket) => Request::get(url(&format!("http://docker{path}"))?)
                .unix_socket(Some(PathBuf::from(socket))),
            None => {
                let host = self.host.trim_end_matches('/').replacen("tcp://", "http://", 1);
                Request::get(url(&format!("{host}{path}"))?)
            }
        };
        get_json(client, request).await
    }
}

#[derive(Clone, Debug)]
pub struct DockerDiscovery {
    pub(super) daemon: Daemon,
    host_networking_host: String,
    match_first_network: bool,
}

impl DockerDiscovery {
    pub(super) fn read(
        node: &Node,
        place: &Place,
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, Error> {
        let mut fields = node.fields("docker_sd_config")?;
        if let Some(node) = fields.take("include_no_network_targets") {
            let message = "include_no_network_targets has no effect: containers without a network \
                           have no address";
            warnings.push(place.warning(node, message));
        }
        let config = Self {
            daemon: Daemon::read(&mut fields, place)?,
            host_networking_host: fields.or("host_networking_host", "localhost".to_owned())?,
            match_first_network: fields.or("match_first_network", true)?,
        };
        fields.end()?;
        Ok(config)
    }

    pub(super) async fn groups(&self, client: &Client) -> Result<Vec<Group>, DiscoveryError> {
        let path = format!("/containers/json{}", self.daemon.filters());
        let containers: Vec<Container> = self.daemon.get(client, &path).await?;
        let networks: Vec<Network> = self.daemon.get(client, "/networks").await?;
        Ok(vec![self.group(&containers, &networks)])
    }

    fn group(&self, containers: &[Container], networks: &[Network]) -> Group {
        let networks: BTreeMap<&str, &Network> =
            networks.iter().map(|network| (network.id.as_str(), network)).collect();
        let mut targets = Vec::new();
        for container in containers.iter().filter(|container| !container.names.is_empty()) {
            // A container may use the networks of another.
            let other = container.host_config.network_mode.strip_prefix("container:");
            let other = other.and_then(|id| containers.iter().find(|one| one.id == id));
            let settings = &other.unwrap_or(container).network_settings.networks;
            let most = if self.match_first_network { 1 } else { usize::MAX };
            for endpoint in settings.values().take(most) {
                let network = networks.get(endpoint.network_id.as_str()).copied();
                self.of_network(container, endpoint, network, &mut targets);
            }
        }
        Group { source: self.daemon.host.clone(), targets, ..Group::default() }
    }

    fn of_network(
        &self,
        container: &Container,
        endpoint: &Endpoint,
        network: Option<&Network>,
        targets: &mut Vec<Labels>,
    ) {
        let mut common = LabelsBuilder::new();
        describe_container(container, &mut common);
        if let Some(network) = network {
            network.describe("docker", &mut common);
        }
        common.set("__meta_docker_network_ip", &endpoint.ip_address);
        let before = targets.len();
        for port in container.ports.iter().filter(|port| port.kind == "tcp") {
            let mut set = common.clone();
            set.set(ADDRESS, &host_port(&endpoint.ip_address, port.private));
            set.set("__meta_docker_port_private", &port.private.to_string());
            if port.public > 0 {
                set.set("__meta_docker_port_public", &port.public.to_string());
                set.set("__meta_docker_port_public_ip", &port.ip);
            }
            targets.push(set.build());
        }
        if targets.len() == before {
            let address = match container.host_config.network_mode.as_str() {
                "host" => self.host_networking_host.clone(),
                _ => host_port(&endpoint.ip_address, self.daemon.port),
            };
            common.set(ADDRESS, &address);
            targets.push(common.build());
        }
    }
}

fn describe_container(container: &Container, set: &mut LabelsBuilder) {
    let mode = &container.host_config.network_mode;
    set.set("__meta_docker_container_id", &container.id);
    set.set("__meta_docker_container_name", &container.names[0]);
    set.set("__meta_docker_container_network_mode", mode);
    for (name, value) in &container.labels {
        set.set(&format!("__meta_docker_container_label_{}", label_part(name)), value);
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Container {
    id: String,
    names: Vec<String>,
    ports: Vec<Port>,
    labels: BTreeMap<String, String>,
    host_config: HostConfig,
    network_settings: NetworkSettings,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Port {
    #[serde(rename = "IP")]
    ip: String,
    #[serde(rename = "PrivatePort")]
    private: u16,
    #[serde(rename = "PublicPort")]
    public: u16,
    #[serde(rename = "Type")]
    kind: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct HostConfig {
    network_mode: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct NetworkSettings {
    networks: BTreeMap<String, Endpoint>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Endpoint {
    #[serde(rename = "NetworkID")]
    network_id: String,
    #[serde(rename = "IPAddress")]
    ip_address: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const CONTAINERS: &str = r#"[
        {"Id": "c301b928", "Names": ["/node_1"], "Labels": {"com.docker.compose.project": "dockersd"},
         "Ports": [{"PrivatePort": 9100, "Type": "tcp"},
                   {"IP": "0.0.0.0", "PrivatePort": 9200, "PublicPort": 80, "Type": "tcp"},
                   {"PrivatePort": 53, "Type": "udp"}],
         "HostConfig": {"NetworkMode": "net"},
         "NetworkSettings": {"Networks": {"net": {"NetworkID": "7189986", "IPAddress": "172.19.0.2"},
                                          "other": {"NetworkID": "x", "IPAddress": "172.20.0.2"}}}},
        {"Id": "54ed6cc5", "Names": ["/host_1"], "Ports": [], "HostConfig": {"NetworkMode": "host"},
         "NetworkSettings": {"Networks": {"host": {"NetworkID": "h", "IPAddress": ""}}}},
        {"Id": "f84b2a0c", "Names": ["/guest_1"], "Ports": [],
         "HostConfig": {"NetworkMode": "container:c301b928"}, "NetworkSettings": {"Networks": {}}}
    ]"#;
    const NETWORKS: &str = r#"[{"Id": "7189986", "Name": "net", "Scope": "local", "Internal": false,
        "Ingress": false, "Labels": {"a.b": "c"}}]"#;

    fn config(text: &str) -> DockerDiscovery {
        let node = Node::parse(text).unwrap();
        let place = Place::new(Path::new("p.yml"));
        DockerDiscovery::read(&node, &place, &mut Vec::new()).unwrap()
    }

    fn addresses(text: &str) -> Vec<String> {
        let containers: Vec<Container> = serde_json::from_str(CONTAINERS).unwrap();
        let networks: Vec<Network> = serde_json::from_str(NETWORKS).unwrap();
        let group = config(text).group(&containers, &networks);
        group.targets.iter().map(|target| target.value(ADDRESS).to_owned()).collect()
    }

    #[test]
    fn containers_become_targets() {
        let first = "{host: 'unix:///var/run/docker.sock', host_networking_host: myhost}";
        assert_eq!(
            addresses(first),
            ["172.19.0.2:9100", "172.19.0.2:9200", "myhost", "172.19.0.2:80"]
        );
        let all = "{host: 'tcp://d:1', match_first_network: false, port: 99}";
        assert_eq!(
            addresses(all),
            [
                "172.19.0.2:9100",
                "172.19.0.2:9200",
                "172.20.0.2:9100",
                "172.20.0.2:9200",
                "localhost",
                "172.19.0.2:99",
                "172.20.0.2:99"
            ]
        );
    }

    #[test]
    fn targets_are_described_by_container_network_and_port() {
        let containers: Vec<Container> = serde_json::from_str(CONTAINERS).unwrap();
        let networks: Vec<Network> = serde_json::from_str(NETWORKS).unwrap();
        let group = config("{host: 'http://d'}").group(&containers, &networks);
        let expected = [
            r#"__address__="172.19.0.2:9200""#,
            r#"__meta_docker_container_id="c301b928""#,
            r#"__meta_docker_container_label_com_docker_compose_project="dockersd""#,
            r#"__meta_docker_container_name="/node_1""#,
            r#"__meta_docker_container_network_mode="net""#,
            r#"__meta_docker_network_id="7189986""#,
            r#"__meta_docker_network_ingress="false""#,
            r#"__meta_docker_network_internal="false""#,
            r#"__meta_docker_network_ip="172.19.0.2""#,
            r#"__meta_docker_network_label_a_b="c""#,
            r#"__meta_docker_network_name="net""#,
            r#"__meta_docker_network_scope="local""#,
            r#"__meta_docker_port_private="9200""#,
            r#"__meta_docker_port_public="80""#,
            r#"__meta_docker_port_public_ip="0.0.0.0""#,
        ];
        assert_eq!(group.targets[1].to_string(), format!("{{{}}}", expected.join(", ")));
    }

    #[test]
    fn filters_are_sent_as_json() {
        let docker = config("{host: 'http://d', filters: [{name: status, values: [running]}]}");
        assert_eq!(docker.daemon.filters(), "?filters=%7B%22status%22%3A%5B%22running%22%5D%7D");
    }
}
