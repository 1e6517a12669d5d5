//! `kubernetes_sd_configs`: the objects of a cluster that can be scraped.
//!
//! Lives here: the configuration and the lists that the API server is asked for. `objects`: what is read of
//! them. `kubeconfig`: how a cluster is reached as kubectl's file says. `local`, `complete`: objects of files in the place of a cluster's. `roles`, `endpoints`: what objects become
//! as targets.
//! Not here: watching. The lists are asked for again every [`REFRESH`], from the API server's cache, page
//! by page.

mod complete;
mod endpoints;
mod kubeconfig;
mod local;
mod objects;
mod roles;
#[cfg(test)]
mod tests;

use super::asking::{get_json, query_value, url};
use super::{DiscoveryError, Group};
use crate::config::{Place, http_config};
pub use local::{Inventory, LocalObjects};

use endpoints::{Around, of_endpoints, of_slice};
use kubeconfig::Kubeconfig;
use local::Listed;
use objects::{Endpoints, Ingress, List, Meta, Namespace, Node, Object, Pod, Service, Slice};
use outbound::{Authorization, Client, Credentials, HttpConfig, Request, SecretSource};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use yaml::{Error, FromNode, Node as YamlNode};

pub(super) const REFRESH: Duration = Duration::from_secs(15);
/// Objects in one answer.
const PAGE: usize = 500;
/// A cluster has fewer.
const OBJECTS_MAX: usize = 1_000_000;
/// Where a pod finds who it is.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Node,
    Service,
    Pod,
    Endpoints,
    EndpointSlice,
    Ingress,
}

impl FromNode for Role {
    fn from_node(node: &YamlNode) -> Result<Self, Error> {
        Ok(match node.text().unwrap_or_default() {
            "node" => Self::Node,
            "service" => Self::Service,
            "pod" => Self::Pod,
            "endpoints" => Self::Endpoints,
            "endpointslice" => Self::EndpointSlice,
            "ingress" => Self::Ingress,
            other => {
                let message = format!(
                    "unknown Kubernetes SD role {other:?}: node, service, pod, endpoints, \
                     endpointslice or ingress"
                );
                return Err(node.error(message));
            }
        })
    }
}

/// Which objects of a kind are asked for.
#[derive(Clone, Debug)]
struct Selector {
    role: Role,
    label: String,
    field: String,
}

impl FromNode for Selector {
    fn from_node(node: &YamlNode) -> Result<Self, Error> {
        let mut fields = node.fields("selector")?;
        let selector = Self {
            role: fields.required("role")?,
            label: fields.or_default("label")?,
            field: fields.or_default("field")?,
        };
        fields.end()?;
        Ok(selector)
    }
}

#[derive(Clone, Debug)]
pub struct KubernetesDiscovery {
    role: Role,
    /// Empty: that of the cluster in which this server runs.
    api_server: String,
    /// Empty: all.
    namespaces: Vec<String>,
    selectors: Vec<Selector>,
    attach_node: bool,
    attach_namespace: bool,
    pub(super) http: HttpConfig,
    /// In the place of the cluster in which this server runs.
    local: Option<LocalObjects>,
}

impl KubernetesDiscovery {
    pub(super) fn read(node: &YamlNode, place: &Place) -> Result<Self, Error> {
        let mut fields = node.fields("kubernetes_sd_config")?;
        let kubeconfig = match fields.take("kubeconfig_file").filter(|node| !node.is_null()) {
            Some(file) => Some(kubeconfig(file, place)?),
            None => None,
        };
        let own_namespace = kubeconfig.as_ref().map(|read| read.namespace.clone());
        let (mut attach_node, mut attach_namespace) = (false, false);
        if let Some(attach) = fields.take("attach_metadata") {
            let mut fields = attach.fields("attach_metadata")?;
            attach_node = fields.or("node", false)?;
            attach_namespace = fields.or("namespace", false)?;
            fields.end()?;
        }
        let config = Self {
            role: fields.required("role")?,
            api_server: fields.or_default("api_server")?,
            namespaces: namespaces(fields.take("namespaces"), own_namespace)?,
            selectors: fields.or_default("selectors")?,
            attach_node,
            attach_namespace,
            http: http_config(&mut fields, place)?,
            local: None,
        };
        let twice = fields.error("kubeconfig_file says how the cluster is reached: leave out api_server, tls_config, authorization and the like");
        fields.end()?;
        match kubeconfig {
            Some(_) if !config.api_server.is_empty() || config.http != HttpConfig::default() => {
                Err(twice)
            }
            Some(Kubeconfig { server: api_server, http, .. }) => {
                Ok(Self { api_server, http, ..config })
            }
            None => Ok(config.with_account()),
        }
    }

    /// Where no API server is named, targets are looked for among these objects.
    pub(crate) fn look_in(&mut self, objects: &LocalObjects) {
        if self.api_server.is_empty() {
            self.local = Some(objects.clone());
        }
    }

    /// `None` where a cluster is asked.
    pub(super) fn local(&self) -> Option<&LocalObjects> {
        self.local.as_ref()
    }

    /// Inside of a cluster a pod says who it is with the token of its account.
    fn with_account(mut self) -> Self {
        if self.api_server.is_empty() {
            let file = |name: &str| SecretSource::File(PathBuf::from(ACCOUNT).join(name));
            self.http.credentials = Credentials::Authorization(Authorization {
                kind: "Bearer".to_owned(),
                credentials: file("token"),
            });
            self.http.tls.ca = Some(file("ca.crt"));
        }
        self
    }

    fn server(&self) -> Result<String, DiscoveryError> {
        if !self.api_server.is_empty() {
            return Ok(self.api_server.trim_end_matches('/').to_owned());
        }
        let port = std::env::var("KUBERNETES_SERVICE_PORT").unwrap_or_default();
        let host = own_cluster();
        if host.is_empty() {
            let message = "this server does not run in a cluster: write api_server";
            return Err(DiscoveryError(message.to_owned()));
        }
        Ok(format!("https://{}", super::asking::host_port(&host, port)))
    }

    /// `client`: for the API server, where one is asked.
    pub(super) async fn groups(
        &self,
        client: Option<&Client>,
    ) -> Result<Vec<Group>, DiscoveryError> {
        match self.role {
            Role::Node => {
                let nodes = self.list::<Node>(client).await?;
                Ok(nodes.iter().map(roles::of_node).collect())
            }
            Role::Service => {
                let services = self.list::<Service>(client).await?;
                let around = self.around(client, false).await?;
                Ok(services.iter().map(|one| roles::of_service(one, &around)).collect())
            }
            Role::Ingress => {
                let ingresses = self.list::<Ingress>(client).await?;
                let around = self.around(client, false).await?;
                Ok(ingresses.iter().map(|one| roles::of_ingress(one, &around)).collect())
            }
            Role::Pod => {
                let pods = self.list::<Pod>(client).await?;
                let around = self.around(client, false).await?;
                Ok(pods.iter().map(|pod| roles::of_pod(pod, &around)).collect())
            }
            Role::Endpoints => {
                let all = self.list::<Endpoints>(client).await?;
                let around = self.around(client, true).await?;
                Ok(all.iter().map(|one| of_endpoints(one, &around)).collect())
            }
            Role::EndpointSlice => {
                let all = self.list::<Slice>(client).await?;
                let around = self.around(client, true).await?;
                Ok(all.iter().map(|one| of_slice(one, &around)).collect())
            }
        }
    }

    /// What targets are described with beside their own object.
    async fn around(
        &self,
        client: Option<&Client>,
        endpoints: bool,
    ) -> Result<Around, DiscoveryError> {
        let mut around = Around::default();
        if self.attach_node && (endpoints || self.role == Role::Pod) {
            let nodes = self.list::<Node>(client).await?;
            around.nodes =
                nodes.into_iter().map(|node| (node.metadata.name.clone(), node.metadata)).collect();
        }
        if self.attach_namespace {
            let all = self.list::<Namespace>(client).await?;
            around.namespaces =
                all.into_iter().map(|one| (one.metadata.name.clone(), one.metadata)).collect();
        }
        if endpoints {
            let services = self.list::<Service>(client).await?;
            around.services =
                services.into_iter().map(|one| (key(&one.metadata), one.metadata)).collect();
            let pods = self.list::<Pod>(client).await?;
            around.pods = pods.into_iter().map(|pod| (key(&pod.metadata), pod)).collect();
        }
        Ok(around)
    }

    async fn list<T: Listed>(
        &self,
        client: Option<&Client>,
    ) -> Result<Vec<Object<T>>, DiscoveryError> {
        match (&self.local, client) {
            (Some(local), _) => local.list(&self.namespaces, &self.selectors),
            (None, Some(client)) => self.list_of_cluster(client).await,
            (None, None) => {
                Err(DiscoveryError("there is no client: a mistake in this program".to_owned()))
            }
        }
    }

    async fn list_of_cluster<T: Listed>(
        &self,
        client: &Client,
    ) -> Result<Vec<Object<T>>, DiscoveryError> {
        let (group, kind) = T::PATH;
        let server = self.server()?;
        let selector = T::ROLE.map_or(String::new(), |role| self.selector(role));
        if self.namespaces.is_empty() || !T::IS_NAMESPACED {
            return self.pages(client, &format!("{server}/{group}/{kind}"), &selector).await;
        }
        let mut objects = Vec::new();
        for namespace in &self.namespaces {
            let path = format!("{server}/{group}/namespaces/{}/{kind}", query_value(namespace));
            objects.extend(self.pages(client, &path, &selector).await?);
        }
        Ok(objects)
    }

    fn selector(&self, role: Role) -> String {
        let mut text = String::new();
        for selector in self.selectors.iter().filter(|selector| selector.role == role) {
            for (name, value) in
                [("labelSelector", &selector.label), ("fieldSelector", &selector.field)]
            {
                if !value.is_empty() {
                    text.push_str(&format!("&{name}={}", query_value(value)));
                }
            }
        }
        text
    }

    async fn pages<T: Listed>(
        &self,
        client: &Client,
        path: &str,
        selector: &str,
    ) -> Result<Vec<Object<T>>, DiscoveryError> {
        let (mut objects, mut next) = (Vec::new(), String::new());
        loop {
            let address = format!("{path}?limit={PAGE}{selector}{next}");
            let request = Request::get(url(&address)?).header("Accept", "application/json");
            let page: List<T> = get_json(client, request).await?;
            objects.extend(page.items);
            if objects.len() > OBJECTS_MAX {
                let message = format!("{path} has more than {OBJECTS_MAX} objects: use selectors");
                return Err(DiscoveryError(message));
            }
            match page.metadata.next.as_str() {
                "" => return Ok(objects),
                token => next = format!("&continue={}", query_value(token)),
            }
        }
    }
}

/// The host of the API server of the cluster in which this server runs; empty where it runs in none.
fn own_cluster() -> String {
    std::env::var("KUBERNETES_SERVICE_HOST").unwrap_or_default()
}

/// Whether this server runs in a cluster.
pub fn is_in_cluster() -> bool {
    !own_cluster().is_empty()
}

fn kubeconfig(file: &YamlNode, place: &Place) -> Result<Kubeconfig, Error> {
    let path: String = file.read()?;
    let wrong = |error| file.error(format!("kubeconfig_file: {error}"));
    Kubeconfig::read(&place.path(&path)).map_err(wrong)
}

/// The namespaces by name; one's own is that of the kubeconfig, or where this server's pod runs.
fn namespaces(
    node: Option<&YamlNode>,
    of_kubeconfig: Option<String>,
) -> Result<Vec<String>, Error> {
    let Some(node) = node else { return Ok(Vec::new()) };
    let mut fields = node.fields("namespaces section")?;
    let mut names: Vec<String> = fields.or_default("names")?;
    let wants_own = fields.or("own_namespace", false)?;
    if let Some(own) = of_kubeconfig.filter(|_| wants_own) {
        names.push(own);
    } else if wants_own {
        let file = PathBuf::from(ACCOUNT).join("namespace");
        let own = platform::read_outside_text(&file, 1024)
            .map_err(|error| node.error(format!("own_namespace: {}: {error}", file.display())))?;
        names.push(own.trim().to_owned());
    }
    fields.end()?;
    Ok(names)
}

type Key = (String, String);

fn key(meta: &Meta) -> Key {
    (meta.namespace.clone(), meta.name.clone())
}

type ByName<T> = BTreeMap<String, T>;
