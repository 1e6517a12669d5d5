//! `dns_sd_configs`: targets that names of DNS stand for.

use super::group::ADDRESS;
use super::resolver::{Record, RecordKind, lookup};
use super::{DiscoveryError, Group};
use model::Labels;
use yaml::{Duration, Error, FromNode, Node};

const REFRESH: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
pub struct DnsDiscovery {
    names: Vec<String>,
    kind: RecordKind,
    /// SRV records have their own.
    port: Option<u16>,
    pub(super) refresh_interval: Duration,
}

impl FromNode for DnsDiscovery {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let mut fields = node.fields("dns_sd_config")?;
        let names: Vec<String> = fields.or_default("names")?;
        if names.is_empty() {
            let message = "DNS-SD config must contain at least one SRV record name";
            return Err(node.error(message));
        }
        let kind = record_kind(fields.take("type"))?;
        let port = fields.optional("port")?.filter(|port| *port != 0);
        if kind != RecordKind::Srv && port.is_none() {
            return Err(
                node.error("a port is required in DNS-SD configs for all record types except SRV")
            );
        }
        let refresh_interval = fields.or("refresh_interval", REFRESH)?;
        fields.end()?;
        Ok(Self { names, kind, port, refresh_interval })
    }
}

fn record_kind(node: Option<&Node>) -> Result<RecordKind, Error> {
    let Some(node) = node else { return Ok(RecordKind::Srv) };
    match node.text().unwrap_or_default().to_ascii_uppercase().as_str() {
        "SRV" => Ok(RecordKind::Srv),
        "A" => Ok(RecordKind::A),
        "AAAA" => Ok(RecordKind::Aaaa),
        "MX" => Ok(RecordKind::Mx),
        "NS" => Ok(RecordKind::Ns),
        other => Err(node.error(format!("invalid DNS-SD records type {other}"))),
    }
}

impl DnsDiscovery {
    /// The groups of all names; fails where one of them can't be asked for.
    pub(super) async fn groups(&self) -> Result<Vec<Group>, DiscoveryError> {
        let mut groups = Vec::new();
        for name in &self.names {
            let records = lookup(name, self.kind).await;
            let records = records.map_err(|error| DiscoveryError(error.to_string()))?;
            groups.push(self.group(name, &records));
        }
        Ok(groups)
    }

    fn group(&self, name: &str, records: &[Record]) -> Group {
        let targets = records.iter().map(|record| self.target(name, record)).collect();
        Group { source: name.to_owned(), targets, ..Group::default() }
    }

    fn target(&self, name: &str, record: &Record) -> Labels {
        let port = self.port.unwrap_or_default();
        let host_port = |host: &str, port: u16| format!("{}:{port}", host.trim_end_matches('.'));
        let (address, found) = match record {
            Record::Address(address) => {
                (std::net::SocketAddr::new(*address, port).to_string(), Vec::new())
            }
            Record::Server { target, port } => (
                host_port(target, *port),
                vec![
                    ("__meta_dns_srv_record_target", target.clone()),
                    ("__meta_dns_srv_record_port", port.to_string()),
                ],
            ),
            Record::Mail(host) => {
                (host_port(host, port), vec![("__meta_dns_mx_record_target", host.clone())])
            }
            Record::NameServer(host) => {
                (host_port(host, port), vec![("__meta_dns_ns_record_target", host.clone())])
            }
        };
        let found = found.iter().map(|(name, value)| (*name, value.as_str()));
        let own = [(ADDRESS, address.as_str()), ("__meta_dns_name", name)];
        Labels::from_pairs(own.into_iter().chain(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(config: &str, records: &[Record]) -> Vec<String> {
        let config: DnsDiscovery = Node::parse(config).unwrap().read().unwrap();
        let group = config.group("name", records);
        group.targets.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn records_become_targets() {
        let server = Record::Server { target: "db1.example.com.".to_owned(), port: 3306 };
        assert_eq!(
            targets("names: [name]", &[server]),
            [
                r#"{__address__="db1.example.com:3306", __meta_dns_name="name", __meta_dns_srv_record_port="3306", __meta_dns_srv_record_target="db1.example.com."}"#
            ]
        );
        assert_eq!(
            targets(
                "{names: [name], type: AAAA, port: 80}",
                &[Record::Address("::1".parse().unwrap())]
            ),
            [r#"{__address__="[::1]:80", __meta_dns_name="name"}"#]
        );
        assert_eq!(
            targets("{names: [name], type: mx, port: 25}", &[Record::Mail("smtp.x.".to_owned())]),
            [
                r#"{__address__="smtp.x:25", __meta_dns_mx_record_target="smtp.x.", __meta_dns_name="name"}"#
            ]
        );
    }
}
