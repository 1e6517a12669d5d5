//! What a cluster makes of other objects, for objects of files: endpoints and slices say the same, and a
//! ServiceMonitor may ask for either.

use super::endpoints::SERVICE_NAME;
use super::local::Inventory;
use super::objects::{
    Address, Endpoints, Meta, Object, Service, ServicePort, Slice, SliceConditions, SliceEndpoint,
    SlicePort, Subset,
};
use super::{Key, key};
use std::collections::{BTreeMap, BTreeSet};

impl Inventory {
    /// Adds what is missing.
    pub(super) fn complete(mut self) -> Self {
        let of_slices = self.endpoints_of_slices();
        self.endpoints.extend(of_slices);
        let of_names = self.endpoints_of_names();
        self.endpoints.extend(of_names);
        let of_endpoints = self.slices_of_endpoints();
        self.slices.extend(of_endpoints);
        self
    }

    fn with_endpoints(&self) -> BTreeSet<Key> {
        self.endpoints.iter().map(|one| key(&one.metadata)).collect()
    }

    /// A service that stands for a name elsewhere has no endpoints in a cluster. Here it has one, at that
    /// name: it is the shortest way to say where a target is.
    fn endpoints_of_names(&self) -> Vec<Object<Endpoints>> {
        let known = self.with_endpoints();
        let external = self.services.iter().filter(|service| {
            let spec = &service.content.spec;
            spec.kind == "ExternalName" && !spec.external_name.is_empty()
        });
        external.filter(|one| !known.contains(&key(&one.metadata))).map(of_name).collect()
    }

    fn endpoints_of_slices(&self) -> Vec<Object<Endpoints>> {
        let known = self.with_endpoints();
        let mut found: BTreeMap<Key, Object<Endpoints>> = BTreeMap::new();
        for slice in &self.slices {
            let Some(service) = service_of(slice).filter(|service| !known.contains(service)) else {
                continue;
            };
            let (namespace, name) = service.clone();
            let metadata = Meta { name, namespace, ..Meta::default() };
            let empty = || Object { metadata, content: Endpoints::default() };
            found.entry(service).or_insert_with(empty).content.subsets.push(subset(&slice.content));
        }
        found.into_values().collect()
    }

    fn slices_of_endpoints(&self) -> Vec<Object<Slice>> {
        let known: BTreeSet<Key> = self.slices.iter().filter_map(service_of).collect();
        let missing = self.endpoints.iter().filter(|one| !known.contains(&key(&one.metadata)));
        missing.flat_map(slices).collect()
    }
}

fn service_of(slice: &Object<Slice>) -> Option<Key> {
    let name = slice.metadata.labels.get(SERVICE_NAME)?;
    Some((slice.metadata.namespace.clone(), name.clone()))
}

fn of_name(service: &Object<Service>) -> Object<Endpoints> {
    let spec = &service.content.spec;
    let addresses = vec![Address { ip: spec.external_name.clone(), ..Address::default() }];
    let subset = Subset { addresses, ports: spec.ports.clone(), ..Subset::default() };
    let metadata = service.metadata.clone();
    Object { metadata, content: Endpoints { subsets: vec![subset] } }
}

fn subset(slice: &Slice) -> Subset {
    let mut subset = Subset::default();
    for endpoint in &slice.endpoints {
        // A slice that says nothing is ready.
        let list = match endpoint.conditions.ready {
            Some(false) => &mut subset.not_ready_addresses,
            _ => &mut subset.addresses,
        };
        list.extend(endpoint.addresses.iter().map(|ip| Address {
            ip: ip.clone(),
            hostname: endpoint.hostname.clone().unwrap_or_default(),
            node_name: endpoint.node_name.clone().unwrap_or_default(),
            target_ref: endpoint.target_ref.clone(),
        }));
    }
    let ports = slice.ports.iter().map(|port| ServicePort {
        name: port.name.clone().unwrap_or_default(),
        protocol: port.protocol.clone().unwrap_or_default(),
        port: port.port.unwrap_or_default(),
    });
    subset.ports = ports.collect();
    subset
}

/// One slice for each subset, under the name of the service.
fn slices(endpoints: &Object<Endpoints>) -> Vec<Object<Slice>> {
    let mut metadata = endpoints.metadata.clone();
    metadata.labels.insert(SERVICE_NAME.to_owned(), metadata.name.clone());
    let of_subset = |subset: &Subset| Object { metadata: metadata.clone(), content: slice(subset) };
    endpoints.content.subsets.iter().map(of_subset).collect()
}

fn slice(subset: &Subset) -> Slice {
    let ready = subset.addresses.iter().map(|address| slice_endpoint(address, true));
    let others = subset.not_ready_addresses.iter().map(|address| slice_endpoint(address, false));
    let is_ip = |address: &Address| address.ip.parse::<std::net::IpAddr>().is_ok();
    let address_type = match subset.addresses.iter().all(is_ip) {
        false => "FQDN",
        true if subset.addresses.iter().any(|address| address.ip.contains(':')) => "IPv6",
        true => "IPv4",
    };
    let ports = subset.ports.iter().map(|port| SlicePort {
        name: Some(port.name.clone()),
        protocol: Some(port.protocol.clone()),
        port: Some(port.port),
        app_protocol: None,
    });
    Slice {
        address_type: address_type.to_owned(),
        endpoints: ready.chain(others).collect(),
        ports: ports.collect(),
    }
}

fn slice_endpoint(address: &Address, is_ready: bool) -> SliceEndpoint {
    let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    SliceEndpoint {
        addresses: vec![address.ip.clone()],
        conditions: SliceConditions { ready: Some(is_ready), ..SliceConditions::default() },
        hostname: given(&address.hostname),
        node_name: given(&address.node_name),
        target_ref: address.target_ref.clone(),
        ..SliceEndpoint::default()
    }
}
