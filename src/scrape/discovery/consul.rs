//! `consul_sd_configs`: the services that a catalog of Consul knows, asked for at each interval.

use super::asking::{get_json, host_port, label_part, query_value, url};
use super::group::ADDRESS;
use super::{DiscoveryError, Group};
use crate::config::{Place, http_config};
use model::{Labels, LabelsBuilder};
use outbound::{Client, HttpConfig, Request};
use serde::Deserialize;
use std::collections::BTreeMap;
use yaml::{Duration, Error, Node, Secret};

const REFRESH: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
pub struct ConsulDiscovery {
    server: String,
    scheme: String,
    path_prefix: String,
    token: Secret,
    datacenter: String,
    namespace: String,
    partition: String,
    tag_separator: String,
    allow_stale: bool,
    /// Of services; empty: all.
    services: Vec<String>,
    tags: Vec<String>,
    node_meta: BTreeMap<String, String>,
    /// Consul's own filters: of the list of services, and of their instances.
    filter: String,
    health_filter: String,
    pub(super) refresh_interval: Duration,
    pub(super) http: HttpConfig,
}

impl ConsulDiscovery {
    pub(super) fn read(node: &Node, place: &Place) -> Result<Self, Error> {
        let mut fields = node.fields("consul_sd_config")?;
        for name in ["username", "password"] {
            if fields.take(name).is_some_and(|node| !node.is_null()) {
                return Err(node.error(format!("{name} is not taken here: write basic_auth")));
            }
        }
        let config = Self {
            server: fields.or("server", "localhost:8500".to_owned())?,
            scheme: fields.or("scheme", "http".to_owned())?,
            path_prefix: fields.or_default("path_prefix")?,
            token: fields.or("token", Secret::from(String::new()))?,
            datacenter: fields.or_default("datacenter")?,
            namespace: fields.or_default("namespace")?,
            partition: fields.or_default("partition")?,
            tag_separator: fields.or("tag_separator", ",".to_owned())?,
            allow_stale: fields.or("allow_stale", true)?,
            services: fields.or_default("services")?,
            tags: fields.or_default("tags")?,
            node_meta: fields.or_default("node_meta")?,
            filter: fields.or_default("filter")?,
            health_filter: fields.or_default("health_filter")?,
            refresh_interval: fields.or("refresh_interval", REFRESH)?,
            http: http_config(&mut fields, place)?,
        };
        fields.end()?;
        if config.server.trim().is_empty() {
            return Err(node.error("consul SD configuration requires a server address"));
        }
        Ok(config)
    }

    pub(super) async fn groups(&self, client: &Client) -> Result<Vec<Group>, DiscoveryError> {
        let filter = query("filter", &self.filter);
        let path = format!("/v1/catalog/services?{}{filter}{}", self.common(), self.meta());
        let services: BTreeMap<String, Vec<String>> = self.get(client, &path).await?;
        let mut groups = Vec::new();
        for (service, tags) in services {
            if self.wants(&service, &tags) {
                groups.push(self.service(client, &service).await?);
            }
        }
        Ok(groups)
    }

    fn wants(&self, service: &str, tags: &[String]) -> bool {
        let is_named = self.services.is_empty() || self.services.iter().any(|one| one == service);
        is_named && self.tags.iter().all(|tag| tags.contains(tag))
    }

    async fn service(&self, client: &Client, service: &str) -> Result<Group, DiscoveryError> {
        let tags: String = self.tags.iter().map(|tag| query("tag", tag)).collect();
        let (filter, name) = (query("filter", &self.health_filter), query_value(service));
        let common = self.common();
        let path = format!("/v1/health/service/{name}?{common}{tags}{filter}{}", self.meta());
        let instances: Vec<Instance> = self.get(client, &path).await?;
        Ok(self.group(service, &instances))
    }

    async fn get<T: serde::de::DeserializeOwned>(
        &self,
        client: &Client,
        path: &str,
    ) -> Result<T, DiscoveryError> {
        let Self { scheme, server, path_prefix, token, .. } = self;
        let mut request = Request::get(url(&format!("{scheme}://{server}{path_prefix}{path}"))?);
        if !token.is_empty() {
            request = request.header("X-Consul-Token", token.reveal());
        }
        get_json(client, request).await
    }

    /// The parameters of every request.
    fn common(&self) -> String {
        let stale = if self.allow_stale { "stale=" } else { "" };
        let (dc, ns) = (query("dc", &self.datacenter), query("ns", &self.namespace));
        format!("{stale}{dc}{ns}{}", query("partition", &self.partition))
    }

    fn meta(&self) -> String {
        let pairs = self.node_meta.iter();
        pairs.map(|(name, value)| query("node-meta", &format!("{name}:{value}"))).collect()
    }

    fn group(&self, service: &str, instances: &[Instance]) -> Group {
        let targets = instances.iter().map(|instance| self.target(service, instance)).collect();
        Group { source: service.to_owned(), targets, ..Group::default() }
    }

    fn target(&self, service: &str, instance: &Instance) -> Labels {
        let Instance { node, service: found, checks } = instance;
        let separator = &self.tag_separator;
        // With one in front and behind, a rule need not tell the first and the last tag from others.
        let tags = format!("{separator}{}{separator}", found.tags.join(separator));
        let host = if found.address.is_empty() { &node.address } else { &found.address };
        let port = found.port.to_string();
        let mut set = LabelsBuilder::new();
        for (name, value) in [
            (ADDRESS, host_port(host, found.port).as_str()),
            ("__meta_consul_address", &node.address),
            ("__meta_consul_dc", &node.datacenter),
            ("__meta_consul_health", health(checks)),
            ("__meta_consul_namespace", &found.namespace),
            ("__meta_consul_node", &node.node),
            ("__meta_consul_partition", &found.partition),
            ("__meta_consul_service", service),
            ("__meta_consul_service_address", &found.address),
            ("__meta_consul_service_id", &found.id),
            ("__meta_consul_service_port", &port),
            ("__meta_consul_tags", &tags),
        ] {
            set.set(name, value);
        }
        for (prefix, pairs) in [
            ("metadata", &node.meta),
            ("service_metadata", &found.meta),
            ("tagged_address", &node.tagged_addresses),
        ] {
            for (name, value) in pairs.iter().flatten() {
                set.set(&format!("__meta_consul_{prefix}_{}", label_part(name)), value);
            }
        }
        set.build()
    }
}

/// `&name=value`; nothing where there is no value.
fn query(name: &str, value: &str) -> String {
    if value.is_empty() { String::new() } else { format!("&{name}={}", query_value(value)) }
}

/// The worst state among the checks of an instance.
fn health(checks: &[Check]) -> &'static str {
    let maintenance = |check: &&Check| check.check_id.contains("_maintenance");
    if checks.iter().any(|check| maintenance(&check)) {
        return "maintenance";
    }
    let states = ["critical", "warning"];
    let found = states.into_iter().find(|state| checks.iter().any(|check| check.status == *state));
    found.unwrap_or("passing")
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instance {
    node: NodeEntry,
    service: ServiceEntry,
    #[serde(default)]
    checks: Vec<Check>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct NodeEntry {
    node: String,
    address: String,
    datacenter: String,
    meta: Option<BTreeMap<String, String>>,
    tagged_addresses: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct ServiceEntry {
    #[serde(rename = "ID")]
    id: String,
    tags: Vec<String>,
    address: String,
    port: u32,
    meta: Option<BTreeMap<String, String>>,
    namespace: String,
    partition: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Check {
    #[serde(rename = "CheckID")]
    check_id: String,
    status: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const ANSWER: &str = r#"[{
        "Node": {"ID": "b78c2e48", "Node": "n1", "Address": "10.0.0.1", "Datacenter": "dc1",
                 "TaggedAddresses": {"lan-v4": "10.0.0.1", "wan": "1.2.3.4"},
                 "Meta": {"rack_name": "2304"}, "CreateIndex": 1},
        "Service": {"ID": "web-1", "Service": "web", "Tags": ["a", "b"], "Address": "",
                    "Meta": {"version": "1.0.0", "env-x": "s"}, "Port": 3341, "Weights": {"Passing": 1}},
        "Checks": [{"Node": "n1", "CheckID": "serfHealth", "Status": "passing"},
                   {"Node": "n1", "CheckID": "service:web", "Status": "critical"}]
    }]"#;

    fn config(text: &str) -> ConsulDiscovery {
        let node = Node::parse(text).unwrap();
        ConsulDiscovery::read(&node, &Place::new(Path::new("p.yml"))).unwrap()
    }

    #[test]
    fn instances_become_targets() {
        let instances: Vec<Instance> = serde_json::from_str(ANSWER).unwrap();
        let group = config("{server: 'localhost:8500'}").group("web", &instances);
        let expected = [
            r#"__address__="10.0.0.1:3341""#,
            r#"__meta_consul_address="10.0.0.1""#,
            r#"__meta_consul_dc="dc1""#,
            r#"__meta_consul_health="critical""#,
            r#"__meta_consul_metadata_rack_name="2304""#,
            r#"__meta_consul_node="n1""#,
            r#"__meta_consul_service="web""#,
            r#"__meta_consul_service_id="web-1""#,
            r#"__meta_consul_service_metadata_env_x="s""#,
            r#"__meta_consul_service_metadata_version="1.0.0""#,
            r#"__meta_consul_service_port="3341""#,
            r#"__meta_consul_tagged_address_lan_v4="10.0.0.1""#,
            r#"__meta_consul_tagged_address_wan="1.2.3.4""#,
            r#"__meta_consul_tags=",a,b,""#,
        ];
        assert_eq!(group.targets[0].to_string(), format!("{{{}}}", expected.join(", ")));
    }

    #[test]
    fn services_are_chosen_by_name_and_by_all_tags() {
        let consul = config("{services: [web], tags: [a, b]}");
        let tags = |list: &[&str]| list.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
        assert!(consul.wants("web", &tags(&["b", "c", "a"])));
        assert!(!consul.wants("web", &tags(&["a"])) && !consul.wants("db", &tags(&["a", "b"])));
        let consul = config("{datacenter: 'd c', allow_stale: false, node_meta: {k: v}}");
        assert_eq!(consul.common() + &consul.meta(), "&dc=d%20c&node-meta=k%3Av");
    }
}
