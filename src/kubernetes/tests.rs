//! Runs the cases of `cases/*.yaml`: objects, and below a line `=== SECTION` what they become, as YAML.
//! Sections: `jobs`, `rules`, `alerting`, `outcomes`.

use crate::{Derived, Objects, Options, Verdict, derive};
use proptest::prelude::*;

fn objects(text: &str) -> Objects {
    let mut objects = Objects::default();
    objects.read_text("objects.yaml", text);
    objects
}

fn shown(derived: &Derived, section: &str) -> String {
    match section {
        "jobs" => {
            derived.jobs.iter().map(|(_, node)| node.to_text()).collect::<Vec<_>>().join("---\n")
        }
        "rules" => {
            let files =
                derived.rules.iter().map(|(name, node)| format!("# {name}\n{}", node.to_text()));
            files.collect()
        }
        "alerting" => derived.alerting(None).unwrap().map_or(String::new(), |node| node.to_text()),
        "outcomes" => derived.outcomes.iter().map(outcome).collect(),
        other => panic!("no section {other}"),
    }
}

fn outcome(outcome: &crate::Outcome) -> String {
    let verdict = match &outcome.verdict {
        Verdict::Became(names) => format!("became {}", names.join(", ")),
        Verdict::Refused(why) => format!("refused: {why}"),
    };
    let warnings: String = outcome.warnings.iter().map(|it| format!("  warning: {it}\n")).collect();
    format!("{} {} (line {}) {verdict}\n{warnings}", outcome.kind, outcome.name, outcome.line)
}

fn run(name: &str, text: &str) {
    let mut parts = text.split("\n=== ");
    let found = objects(parts.next().unwrap());
    assert!(found.mistakes.is_empty(), "{name}: {:?}", found.mistakes);
    let derived = derive(&found, &Options::default());
    let mut count = 0;
    for part in parts {
        let (section, expected) = part.split_once('\n').unwrap();
        let given = shown(&derived, section);
        assert_eq!(given.trim_end(), expected.trim_end(), "{name}: {section}\n{given}");
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn service_monitors() {
    run("service_monitor.yaml", include_str!("cases/service_monitor.yaml"));
}

#[test]
fn pod_monitors() {
    run("pod_monitor.yaml", include_str!("cases/pod_monitor.yaml"));
}

#[test]
fn probes_and_scrape_configs() {
    run("probe.yaml", include_str!("cases/probe.yaml"));
}

#[test]
fn alerting() {
    run("alerting.yaml", include_str!("cases/alerting.yaml"));
}

#[test]
fn refused() {
    run("refused.yaml", include_str!("cases/refused.yaml"));
}

#[test]
fn objects_of_files() {
    let text = "\
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Secret, metadata: {name: a, namespace: b}, stringData: {k: v}}
- {apiVersion: v1, kind: Secret, metadata: {name: a, namespace: b}, stringData: {k: w}}
---
kind: Service
---
- not
- an object
---
{apiVersion: v1, kind: Service, metadata: {name: c, annotations: null}}
";
    let found = objects(text);
    let names: Vec<_> =
        found.iter().map(|it| (it.kind.as_str(), it.name.as_str(), it.line)).collect();
    assert_eq!(names, [("Secret", "a", 5), ("Service", "c", 12)]);
    let mistakes = [
        "objects.yaml: line 7: an object of Kubernetes has the fields apiVersion and kind",
        "objects.yaml: line 9: expected a mapping of names to values",
    ];
    assert_eq!(found.mistakes, mistakes);
}

#[test]
fn a_secret_is_not_printed() {
    let text = "\
{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: n}, data: {user: YW5u, password: Q0FOQVJZ}}
---
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata: {name: p, namespace: n}
spec:
  selector: {}
  podMetricsEndpoints:
  - port: web
    basicAuth: {username: {name: s, key: user}, password: {name: s, key: password}}
";
    let derived = derive(&objects(text), &Options::default());
    let node = &derived.jobs[0].1;
    assert!(!node.to_text().contains("CANARY"), "{}", node.to_text());
    let entries = node.entries().unwrap();
    let auth = entries.iter().find(|(name, _)| *name == "basic_auth").unwrap().1;
    let password = auth.entries().unwrap()[1].1.read::<yaml::Secret>().unwrap();
    assert_eq!(password.reveal(), "CANARY");
}

proptest! {
    #[test]
    fn no_object_panics(
        kind in "(ServiceMonitor|PodMonitor|Probe|ScrapeConfig|PrometheusRule|AlertmanagerConfig)",
        spec in "(\\{(selector|endpoints|route|receivers|groups|targets|prober|podMetricsEndpoints): (\\{\\}|\\[\\]|\\[\\{\\}\\]|x|null|\\[\\[\\]\\])\\}|null|x|\\[\\])",
    ) {
        let text = format!("{{apiVersion: monitoring.coreos.com/v1, kind: {kind}, metadata: {{name: a}}, spec: {spec}}}");
        let derived = derive(&objects(&text), &Options::default());
        prop_assert_eq!(derived.outcomes.len(), 1);
        let _shown = shown(&derived, "jobs") + &shown(&derived, "alerting");
    }
}
