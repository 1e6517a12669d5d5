//! What objects of a cluster become, from answers in the shape of its API.

use super::*;
use crate::config::Config;
use crate::discovery::Watch;
use serde::de::DeserializeOwned;
use std::path::Path;

fn objects<T: DeserializeOwned>(items: &str) -> Vec<Object<T>> {
    let text =
        format!(r#"{{"kind": "List", "metadata": {{"resourceVersion": "1"}}, "items": {items}}}"#);
    serde_json::from_str::<List<T>>(&text).unwrap().items
}

fn check(group: &Group, labels: &[&str], targets: &[&[&str]]) {
    let joined = |pairs: &[&str]| format!("{{{}}}", pairs.join(", "));
    assert_eq!(group.labels.to_string(), joined(labels));
    let found: Vec<String> = group.targets.iter().map(ToString::to_string).collect();
    let expected: Vec<String> = targets.iter().map(|pairs| joined(pairs)).collect();
    assert_eq!(found, expected);
}

const POD: &str = r#"[{
    "metadata": {"name": "web-1", "namespace": "prod", "uid": "u1", "labels": {"app.kubernetes.io/name": "web"},
                 "annotations": {"prometheus.io/scrape": "true"},
                 "ownerReferences": [{"kind": "ReplicaSet", "name": "web", "controller": true}]},
    "spec": {"nodeName": "n1", "containers": [
        {"name": "main", "image": "web:1", "ports": [{"name": "http", "containerPort": 80, "protocol": "TCP"},
                                                     {"name": "admin", "containerPort": 81, "protocol": "TCP"}]},
        {"name": "side", "image": "side:1"}]},
    "status": {"phase": "Running", "podIP": "10.1.0.5", "hostIP": "10.0.0.1",
               "conditions": [{"type": "Ready", "status": "True"}],
               "containerStatuses": [{"name": "main", "containerID": "docker://c1"}]}
}]"#;

const POD_LABELS: [&str; 13] = [
    r#"__meta_kubernetes_pod_annotation_prometheus_io_scrape="true""#,
    r#"__meta_kubernetes_pod_annotationpresent_prometheus_io_scrape="true""#,
    r#"__meta_kubernetes_pod_controller_kind="ReplicaSet""#,
    r#"__meta_kubernetes_pod_controller_name="web""#,
    r#"__meta_kubernetes_pod_host_ip="10.0.0.1""#,
    r#"__meta_kubernetes_pod_ip="10.1.0.5""#,
    r#"__meta_kubernetes_pod_label_app_kubernetes_io_name="web""#,
    r#"__meta_kubernetes_pod_labelpresent_app_kubernetes_io_name="true""#,
    r#"__meta_kubernetes_pod_name="web-1""#,
    r#"__meta_kubernetes_pod_node_name="n1""#,
    r#"__meta_kubernetes_pod_phase="Running""#,
    r#"__meta_kubernetes_pod_ready="true""#,
    r#"__meta_kubernetes_pod_uid="u1""#,
];

#[test]
fn pods_are_a_target_for_each_port_of_a_container() {
    let pods: Vec<Object<Pod>> = objects(POD);
    let group = roles::of_pod(&pods[0], &Around::default());
    let labels: Vec<&str> =
        [r#"__meta_kubernetes_namespace="prod""#].into_iter().chain(POD_LABELS).collect();
    let container = |port: &'static str, name: &'static str, number: &'static str| {
        [
            port,
            r#"__meta_kubernetes_pod_container_id="docker://c1""#,
            r#"__meta_kubernetes_pod_container_image="web:1""#,
            r#"__meta_kubernetes_pod_container_init="false""#,
            r#"__meta_kubernetes_pod_container_name="main""#,
            name,
            number,
            r#"__meta_kubernetes_pod_container_port_protocol="TCP""#,
        ]
    };
    let http = container(
        r#"__address__="10.1.0.5:80""#,
        r#"__meta_kubernetes_pod_container_port_name="http""#,
        r#"__meta_kubernetes_pod_container_port_number="80""#,
    );
    let admin = container(
        r#"__address__="10.1.0.5:81""#,
        r#"__meta_kubernetes_pod_container_port_name="admin""#,
        r#"__meta_kubernetes_pod_container_port_number="81""#,
    );
    let side = [
        r#"__address__="10.1.0.5""#,
        r#"__meta_kubernetes_pod_container_image="side:1""#,
        r#"__meta_kubernetes_pod_container_init="false""#,
        r#"__meta_kubernetes_pod_container_name="side""#,
    ];
    check(&group, &labels, &[&http, &admin, &side]);
}

#[test]
fn nodes_are_reached_at_their_kubelet() {
    let nodes: Vec<Object<Node>> = objects(
        r#"[{"metadata": {"name": "n1", "labels": {"zone": "a"}}, "spec": {"providerID": "aws:///i-1"},
             "status": {"addresses": [{"type": "Hostname", "address": "n1.local"},
                                      {"type": "InternalIP", "address": "10.0.0.1"}],
                        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}}}]"#,
    );
    check(
        &roles::of_node(&nodes[0]),
        &[
            r#"__meta_kubernetes_node_label_zone="a""#,
            r#"__meta_kubernetes_node_labelpresent_zone="true""#,
            r#"__meta_kubernetes_node_name="n1""#,
            r#"__meta_kubernetes_node_provider_id="aws:///i-1""#,
        ],
        &[&[
            r#"__address__="10.0.0.1:10250""#,
            r#"__meta_kubernetes_node_address_Hostname="n1.local""#,
            r#"__meta_kubernetes_node_address_InternalIP="10.0.0.1""#,
            r#"instance="n1""#,
        ]],
    );
}

#[test]
fn services_have_a_name_in_the_cluster() {
    let services: Vec<Object<Service>> = objects(
        r#"[{"metadata": {"name": "web", "namespace": "prod"},
             "spec": {"type": "ClusterIP", "clusterIP": "10.2.0.1",
                      "ports": [{"name": "http", "protocol": "TCP", "port": 8080}]}}]"#,
    );
    check(
        &roles::of_service(&services[0], &Around::default()),
        &[r#"__meta_kubernetes_namespace="prod""#, r#"__meta_kubernetes_service_name="web""#],
        &[&[
            r#"__address__="web.prod.svc:8080""#,
            r#"__meta_kubernetes_service_cluster_ip="10.2.0.1""#,
            r#"__meta_kubernetes_service_port_name="http""#,
            r#"__meta_kubernetes_service_port_number="8080""#,
            r#"__meta_kubernetes_service_port_protocol="TCP""#,
            r#"__meta_kubernetes_service_type="ClusterIP""#,
        ]],
    );
}

fn around() -> Around {
    let pods: Vec<Object<Pod>> = objects(POD);
    let pods = pods.into_iter().map(|pod| (key(&pod.metadata), pod)).collect();
    let service = Meta {
        name: "web".to_owned(),
        namespace: "prod".to_owned(),
        labels: [("team".to_owned(), "x".to_owned())].into(),
        ..Meta::default()
    };
    Around { pods, services: [(key(&service), service)].into(), ..Around::default() }
}

/// The endpoint with its pod, and the pod's other port.
fn check_endpoints(group: &Group) {
    let addresses: Vec<&str> =
        group.targets.iter().map(|target| target.value("__address__")).collect();
    assert_eq!(addresses, ["10.1.0.5:80", "10.1.0.5:81"]);
    for (target, port) in group.targets.iter().zip(["http", "admin"]) {
        assert_eq!(target.value("__meta_kubernetes_pod_container_port_name"), port);
        assert_eq!(target.value("__meta_kubernetes_pod_name"), "web-1");
    }
    assert_eq!(group.labels.value("__meta_kubernetes_service_label_team"), "x");
    assert_eq!(group.labels.value("__meta_kubernetes_namespace"), "prod");
}

#[test]
fn endpoints_know_their_pods_and_service() {
    let endpoints: Vec<Object<Endpoints>> = objects(
        r#"[{"metadata": {"name": "web", "namespace": "prod"}, "subsets": [
             {"addresses": [{"ip": "10.1.0.5", "nodeName": "n1", "targetRef": {"kind": "Pod", "name": "web-1",
                             "namespace": "prod"}}],
              "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}]}]"#,
    );
    let group = of_endpoints(&endpoints[0], &around());
    check_endpoints(&group);
    let target = &group.targets[0];
    assert_eq!(target.value("__meta_kubernetes_endpoint_ready"), "true");
    assert_eq!(target.value("__meta_kubernetes_endpoint_address_target_name"), "web-1");
    assert_eq!(group.labels.value("__meta_kubernetes_endpoints_name"), "web");
}

#[test]
fn slices_know_their_pods_and_service() {
    let slices: Vec<Object<Slice>> = objects(
        r#"[{"metadata": {"name": "web-abc", "namespace": "prod", "labels": {"kubernetes.io/service-name": "web"}},
             "addressType": "IPv4",
             "endpoints": [{"addresses": ["10.1.0.5"], "conditions": {"ready": true}, "nodeName": "n1",
                            "targetRef": {"kind": "Pod", "name": "web-1", "namespace": "prod"}}],
             "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]},
            {"metadata": {"name": "empty", "namespace": "prod"}, "addressType": "IPv4", "endpoints": null, "ports": null}]"#,
    );
    let group = of_slice(&slices[0], &around());
    check_endpoints(&group);
    let target = &group.targets[0];
    assert_eq!(target.value("__meta_kubernetes_endpointslice_endpoint_conditions_ready"), "true");
    assert_eq!(target.value("__meta_kubernetes_endpointslice_port"), "80");
    assert_eq!(group.labels.value("__meta_kubernetes_endpointslice_address_type"), "IPv4");
    assert!(of_slice(&slices[1], &around()).targets.is_empty());
}

#[test]
fn ingresses_are_a_target_for_each_path() {
    let ingresses: Vec<Object<Ingress>> = objects(
        r#"[{"metadata": {"name": "in", "namespace": "prod"}, "spec": {"ingressClassName": "nginx",
             "tls": [{"hosts": ["*.example.org"]}],
             "rules": [{"host": "a.example.org", "http": {"paths": [{"path": "/x"}, {}]}},
                       {"host": "b.c.example.org"}]}}]"#,
    );
    let group = roles::of_ingress(&ingresses[0], &Around::default());
    let shown: Vec<[&str; 3]> = group
        .targets
        .iter()
        .map(|target| {
            ["scheme", "host", "path"].map(|name| {
                target
                    .iter()
                    .find(|(found, _)| found.ends_with(&format!("ingress_{name}")))
                    .unwrap()
                    .1
            })
        })
        .collect();
    assert_eq!(
        shown,
        [
            ["https", "a.example.org", "/x"],
            ["https", "a.example.org", "/"],
            ["http", "b.c.example.org", "/"]
        ]
    );
    assert_eq!(group.labels.value("__meta_kubernetes_ingress_class_name"), "nginx");
}

#[test]
fn selectors_are_of_a_role() {
    let text = "{role: pod, api_server: 'http://k', selectors: [{role: pod, label: 'a=b', field: 'c=d'}, {role: node, label: x}]}";
    let node = YamlNode::parse(text).unwrap();
    let place = Place::new(Path::new("p.yml"));
    let config = KubernetesDiscovery::read(&node, &place).unwrap();
    assert_eq!(config.selector(Role::Pod), "&labelSelector=a%3Db&fieldSelector=c%3Dd");
    assert_eq!(config.selector(Role::Service), "");
    assert_eq!(config.server().unwrap(), "http://k");
    let wrong = YamlNode::parse("{role: pods}").unwrap();
    let error = KubernetesDiscovery::read(&wrong, &place).unwrap_err();
    assert!(error.to_string().contains("unknown Kubernetes SD role \"pods\""), "{error}");
}

const FILES: &str = r#"
- {kind: Service, metadata: {name: web, annotations: , labels: {version: 2, on: true}}, spec: {ports: [{name: http, port: 80}]}}
- {kind: Endpoints, metadata: {name: web}, subsets: [{addresses: [{ip: 127.0.0.1}], ports: [{name: http, port: 8090}]}]}
- {kind: Service, metadata: {name: away}, spec: {type: ExternalName, externalName: shop.example, ports: [{name: http, port: 81}]}}
- {kind: Service, metadata: {name: sliced}}
- {kind: EndpointSlice, metadata: {name: sliced-x, labels: {kubernetes.io/service-name: sliced}}, endpoints: [{addresses: [10.0.0.7]}], ports: [{name: http, port: 82}]}
"#;

fn inventory(namespace: &str, text: &str) -> Inventory {
    let mut inventory = Inventory::default();
    for node in YamlNode::parse(text).unwrap().items().unwrap() {
        let kind = node.entries().unwrap()[0].1.text().unwrap();
        inventory.add(kind, namespace, node).unwrap();
    }
    inventory
}

fn addresses(found: &crate::discovery::Found) -> Vec<(&str, &str)> {
    let shown = |group: &Group| group.labels.value("__meta_kubernetes_service_name").to_owned();
    assert!(found.groups().all(|group| !shown(group).is_empty()));
    let targets = found.groups().flat_map(|group| {
        let service = group.labels.value("__meta_kubernetes_service_name");
        group.targets.iter().map(move |target| (service, target.value("__address__")))
    });
    let mut targets: Vec<_> = targets.collect();
    targets.sort_unstable();
    targets
}

/// A job that is added looks in files, and is told when they are replaced.
#[tokio::test]
async fn objects_of_files_stand_in_the_place_of_a_cluster() {
    let local = LocalObjects::default();
    for role in ["endpoints", "endpointslice"] {
        let mut config = Config::default();
        let text = format!(
            "{{job_name: a, kubernetes_sd_configs: [{{role: {role}, namespaces: {{names: [prod]}}}}]}}"
        );
        let job = YamlNode::parse(&text).unwrap();
        config.add_jobs(Path::new("o.yml"), &[&job], Some(&local)).unwrap();
        local.replace(Inventory::default());
        let mut watch = Watch::start("a", &config.jobs[0].discoveries);
        local.replace(inventory("prod", FILES));
        while watch.found().is_empty() {
            watch.changed().await;
        }
        let found = watch.found();
        let expected =
            [("away", "shop.example:81"), ("sliced", "10.0.0.7:82"), ("web", "127.0.0.1:8090")];
        assert_eq!(addresses(&found), expected, "{role}");
        let of_web = |group: &&Group| group.labels.value("__meta_kubernetes_service_name") == "web";
        let group = found.groups().find(of_web).unwrap();
        assert_eq!(group.labels.value("__meta_kubernetes_service_label_version"), "2");
        assert_eq!(group.labels.value("__meta_kubernetes_service_label_on"), "true");
        local.replace(inventory("elsewhere", FILES));
        while !watch.found().is_empty() {
            watch.changed().await;
        }
        assert!(watch.found().failures.is_empty());
    }
}

#[test]
fn an_object_of_a_file_that_cannot_be_read_says_where() {
    let text = "\n{metadata: {name: web}, spec: {ports: [{port: many}]}}";
    let node = YamlNode::parse(text).unwrap();
    let error = Inventory::default().add("Service", "n", &node).unwrap_err();
    assert_eq!(error.line, 2);
    assert!(error.message.contains("invalid type: string \"many\", expected u32"), "{error}");
}
