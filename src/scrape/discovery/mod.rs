//! Where targets are: discoveries, each of which names groups of targets.
//!
//! Lives here: the kinds of discoveries, one file or folder each (`fixed` are the static ones), what those
//! that ask HTTP servers share (`asking`), how all are asked again and again (`watch`), records of DNS
//! (`resolver`).
//! Not here: what becomes of a target (`target`).
//! Invariants: a discovery that fails keeps the groups that it found last, and says why in words.

mod asking;
mod consul;
mod dns;
mod docker;
mod file;
mod fixed;
mod group;
mod http;
mod kubernetes;
mod network;
mod resolver;
mod swarm;
mod watch;

pub use group::Group;
pub use kubernetes::{Inventory, LocalObjects, is_in_cluster};
pub use watch::{Found, Watch};

pub(crate) use watch::FAILURES;

use crate::config::{Place, Warning};
use consul::ConsulDiscovery;
use dns::DnsDiscovery;
use docker::DockerDiscovery;
use file::FileDiscovery;
use http::HttpDiscovery;
use kubernetes::KubernetesDiscovery;
use outbound::HttpConfig;
use std::time::Duration;
use swarm::SwarmDiscovery;
use yaml::{Error, Fields, FromNode, Node};

/// What a section of the configuration asks for.
#[derive(Clone, Debug)]
pub enum Discovery {
    Static(Vec<Group>),
    File(FileDiscovery),
    Dns(DnsDiscovery),
    Http(HttpDiscovery),
    Kubernetes(Box<KubernetesDiscovery>),
    Docker(DockerDiscovery),
    Swarm(SwarmDiscovery),
    Consul(Box<ConsulDiscovery>),
}

/// Why a discovery found nothing new.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DiscoveryError(pub String);

impl Discovery {
    /// The section's name without `_sd_configs`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Static(_) => "static",
            Self::File(_) => "file",
            Self::Dns(_) => "dns",
            Self::Http(_) => "http",
            Self::Kubernetes(_) => "kubernetes",
            Self::Docker(_) => "docker",
            Self::Swarm(_) => "dockerswarm",
            Self::Consul(_) => "consul",
        }
    }

    /// How long after an answer it is asked again; `None` for one that never changes.
    pub(crate) fn refresh(&self) -> Option<Duration> {
        match self {
            Self::Static(_) => None,
            Self::File(file) => Some(file.refresh()),
            Self::Dns(dns) => Some(dns.refresh_interval.std()),
            Self::Http(http) => Some(http.refresh_interval.std()),
            Self::Kubernetes(_) => Some(kubernetes::REFRESH),
            Self::Docker(docker) => Some(docker.daemon.refresh_interval.std()),
            Self::Swarm(swarm) => Some(swarm.daemon.refresh_interval.std()),
            Self::Consul(consul) => Some(consul.refresh_interval.std()),
        }
    }

    /// Objects of files that it looks in.
    fn local(&self) -> Option<&LocalObjects> {
        match self {
            Self::Kubernetes(kubernetes) => kubernetes.local(),
            _ => None,
        }
    }

    /// How the server that knows the targets is reached; `None` where there is none.
    fn http(&self) -> Option<&HttpConfig> {
        match self {
            Self::Static(_) | Self::File(_) | Self::Dns(_) => None,
            Self::Http(http) => Some(&http.http),
            Self::Kubernetes(kubernetes) if kubernetes.local().is_some() => None,
            Self::Kubernetes(kubernetes) => Some(&kubernetes.http),
            Self::Docker(docker) => Some(&docker.daemon.http),
            Self::Swarm(swarm) => Some(&swarm.daemon.http),
            Self::Consul(consul) => Some(&consul.http),
        }
    }
}

/// Kinds that are read and not done yet.
const NOT_YET: [&str; 25] = [
    "aws_sd_configs",
    "azure_sd_configs",
    "digitalocean_sd_configs",
    "ec2_sd_configs",
    "eureka_sd_configs",
    "gce_sd_configs",
    "hetzner_sd_configs",
    "ionos_sd_configs",
    "kuma_sd_configs",
    "lightsail_sd_configs",
    "linode_sd_configs",
    "marathon_sd_configs",
    "nerve_sd_configs",
    "nomad_sd_configs",
    "oci_sd_configs",
    "openstack_sd_configs",
    "outscale_sd_configs",
    "ovhcloud_sd_configs",
    "puppetdb_sd_configs",
    "scaleway_sd_configs",
    "serverset_sd_configs",
    "stackit_sd_configs",
    "triton_sd_configs",
    "uyuni_sd_configs",
    "vultr_sd_configs",
];

/// Reads the sections of discoveries that stand among other fields.
pub(crate) fn read_discoveries(
    fields: &mut Fields<'_>,
    place: &Place,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Discovery>, Error> {
    let mut found = Vec::new();
    if let Some(node) = fields.take("static_configs").filter(|node| !node.is_null()) {
        found.push(Discovery::Static(fixed::read(node)?));
    }
    for node in list(fields, "file_sd_configs")? {
        found.push(Discovery::File(FileDiscovery::read(node, place)?));
    }
    for node in list(fields, "dns_sd_configs")? {
        found.push(Discovery::Dns(DnsDiscovery::from_node(node)?));
    }
    for node in list(fields, "http_sd_configs")? {
        found.push(Discovery::Http(HttpDiscovery::read(node, place)?));
    }
    for node in list(fields, "kubernetes_sd_configs")? {
        let kubernetes = KubernetesDiscovery::read(node, place)?;
        found.push(Discovery::Kubernetes(Box::new(kubernetes)));
    }
    for node in list(fields, "docker_sd_configs")? {
        found.push(Discovery::Docker(DockerDiscovery::read(node, place, warnings)?));
    }
    for node in list(fields, "dockerswarm_sd_configs")? {
        found.push(Discovery::Swarm(SwarmDiscovery::read(node, place)?));
    }
    for node in list(fields, "consul_sd_configs")? {
        found.push(Discovery::Consul(Box::new(ConsulDiscovery::read(node, place)?)));
    }
    for name in NOT_YET {
        if let Some(node) = fields.take(name).filter(|node| !node.is_null()) {
            let message = format!(
                "{name} has no effect: Mirador does not do this discovery yet. Use file_sd_configs \
                 or http_sd_configs"
            );
            warnings.push(place.warning(node, message));
        }
    }
    Ok(found)
}

fn list<'n>(fields: &mut Fields<'n>, name: &'static str) -> Result<&'n [Node], Error> {
    match fields.take(name) {
        Some(node) => node.items(),
        None => Ok(&[]),
    }
}

/// Refuses what people write for targets and no address is, where no relabeling could mend it.
pub(crate) fn check_static(discoveries: &[Discovery]) -> Result<(), Error> {
    let groups = discoveries.iter().filter_map(|discovery| match discovery {
        Discovery::Static(groups) => Some(groups),
        _ => None,
    });
    for group in groups.flatten() {
        let bad = group.targets.iter().find(|target| target.value("__address__").contains('/'));
        if let Some(target) = bad {
            let address = target.value("__address__");
            let message = format!(
                "{address:?} is not a valid hostname: a target is host:port, its path is metrics_path \
                 and its scheme is scheme"
            );
            return Err(Error { line: group.line, column: 1, message });
        }
    }
    Ok(())
}
