//! Objects of files in the place of a cluster's: what a discovery sees where there is no cluster.
//!
//! Lives here: the kinds that can be listed, wherever they are ([`Listed`]); all objects of a set
//! ([`Inventory`]); the set as it is at the moment ([`LocalObjects`]). `complete`: objects that a cluster
//! would have made of others.
//! Not here: what objects become as targets, where files are.
//! Invariants: a set is replaced as a whole, and every discovery that looks in it is told.

use super::objects::{Endpoints, Ingress, Meta, Namespace, Node, Object, Pod, Service, Slice};
use super::{Role, Selector};
use crate::discovery::DiscoveryError;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};
use std::sync::Arc;
use tokio::sync::watch::{Receiver, Sender, channel};
use yaml::{Error, Node as YamlNode};

/// A kind of object that a discovery lists.
pub(super) trait Listed: Clone + DeserializeOwned {
    /// Where the API server has it: the group with its version, the kind in the plural.
    const PATH: (&str, &str);
    const IS_NAMESPACED: bool;
    /// By which selectors name it.
    const ROLE: Option<Role>;

    fn all(inventory: &Inventory) -> &[Object<Self>];
}

macro_rules! listed {
    ($($kind:ident: $group:literal, $name:literal, $namespaced:literal, $role:expr, $field:ident;)*) => {
        $(
            impl Listed for $kind {
                const PATH: (&str, &str) = ($group, $name);
                const IS_NAMESPACED: bool = $namespaced;
                const ROLE: Option<Role> = $role;

                fn all(inventory: &Inventory) -> &[Object<Self>] {
                    &inventory.$field
                }
            }
        )*
    };
}

listed! {
    Node: "api/v1", "nodes", false, Some(Role::Node), nodes;
    Namespace: "api/v1", "namespaces", false, None, namespaces;
    Service: "api/v1", "services", true, Some(Role::Service), services;
    Pod: "api/v1", "pods", true, Some(Role::Pod), pods;
    Endpoints: "api/v1", "endpoints", true, Some(Role::Endpoints), endpoints;
    Slice: "apis/discovery.k8s.io/v1", "endpointslices", true, Some(Role::EndpointSlice), slices;
    Ingress: "apis/networking.k8s.io/v1", "ingresses", true, Some(Role::Ingress), ingresses;
}

/// A set of objects.
#[derive(Debug, Default)]
pub struct Inventory {
    nodes: Vec<Object<Node>>,
    namespaces: Vec<Object<Namespace>>,
    pub(super) services: Vec<Object<Service>>,
    pods: Vec<Object<Pod>>,
    pub(super) endpoints: Vec<Object<Endpoints>>,
    pub(super) slices: Vec<Object<Slice>>,
    ingresses: Vec<Object<Ingress>>,
}

impl Inventory {
    /// Adds an object of a kind that can be discovered; `namespace`: where it is. An error changes
    /// nothing.
    pub fn add(&mut self, kind: &str, namespace: &str, node: &YamlNode) -> Result<(), Error> {
        match kind {
            "Node" => self.nodes.push(object(namespace, node)?),
            "Namespace" => self.namespaces.push(object(namespace, node)?),
            "Service" => self.services.push(object(namespace, node)?),
            "Pod" => self.pods.push(object(namespace, node)?),
            "Endpoints" => self.endpoints.push(object(namespace, node)?),
            "EndpointSlice" => self.slices.push(object(namespace, node)?),
            "Ingress" => self.ingresses.push(object(namespace, node)?),
            other => return Err(node.error(format!("no targets are found in a {other}"))),
        }
        Ok(())
    }
}

fn object<T: DeserializeOwned>(namespace: &str, node: &YamlNode) -> Result<Object<T>, Error> {
    let read = serde_json::from_value::<Object<T>>(json(node, false)?);
    let mut object = read.map_err(|error| node.error(error.to_string()))?;
    namespace.clone_into(&mut object.metadata.namespace);
    Ok(object)
}

/// The same as JSON. What is null is as if it was not there, as in a cluster.
fn json(node: &YamlNode, is_text: bool) -> Result<Value, Error> {
    if let Some(text) = node.text() {
        return Ok(scalar(text, node.is_plain() && !is_text));
    }
    if let Ok(items) = node.items() {
        return items.iter().map(|item| json(item, is_text)).collect();
    }
    let mut fields = Map::new();
    for (name, value) in node.entries()?.into_iter().filter(|(_, value)| !value.is_null()) {
        // Values of labels and annotations are texts, also `1` and `true`.
        let is_text = is_text || matches!(name, "labels" | "annotations");
        fields.insert(name.to_owned(), json(value, is_text)?);
    }
    Ok(Value::Object(fields))
}

fn scalar(text: &str, may_be_other: bool) -> Value {
    match text {
        "true" if may_be_other => Value::Bool(true),
        "false" if may_be_other => Value::Bool(false),
        _ if may_be_other => match text.parse::<i64>() {
            Ok(number) => Value::Number(Number::from(number)),
            Err(_) => Value::String(text.to_owned()),
        },
        _ => Value::String(text.to_owned()),
    }
}

/// The set as it is at the moment. Cheap to clone; all clones see the same.
#[derive(Clone, Debug)]
pub struct LocalObjects(Arc<Sender<Arc<Inventory>>>);

impl Default for LocalObjects {
    fn default() -> Self {
        let (sender, _) = channel(Arc::default());
        Self(Arc::new(sender))
    }
}

impl LocalObjects {
    /// From now on discoveries see these.
    pub fn replace(&self, inventory: Inventory) {
        self.0.send_replace(Arc::new(inventory.complete()));
    }

    /// Tells of every replacement from now on.
    pub(in crate::discovery) fn changes(&self) -> Receiver<Arc<Inventory>> {
        self.0.subscribe()
    }

    /// The objects of a kind in these namespaces, or in all.
    pub(super) fn list<T: Listed>(
        &self,
        namespaces: &[String],
        selectors: &[Selector],
    ) -> Result<Vec<Object<T>>, DiscoveryError> {
        if selectors.iter().any(|selector| Some(selector.role) == T::ROLE) {
            let message = "selectors are for the API of a cluster: objects of files are selected by \
                           relabeling";
            return Err(DiscoveryError(message.to_owned()));
        }
        let inventory = Arc::clone(&self.0.borrow());
        let is_wanted = |meta: &Meta| {
            !T::IS_NAMESPACED || namespaces.is_empty() || namespaces.contains(&meta.namespace)
        };
        let wanted = T::all(&inventory).iter().filter(|object| is_wanted(&object.metadata));
        Ok(wanted.cloned().collect())
    }
}
