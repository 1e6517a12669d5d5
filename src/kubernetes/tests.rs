//! Runs the cases of `cases/*.yaml`: objects, and below a line `=== SECTION` what they become, as YAML.
//! Sections: `jobs`, `rules`, `alerting`, `outcomes`.

use crate::{Derived, Objects, Options, Piece, Verdict, derive};
use proptest::prelude::*;

fn objects(text: &str) -> Objects {
    let mut objects = Objects::new("default");
    objects.read_text("objects.yaml", text);
    objects
}

fn shown(derived: &Derived, section: &str) -> String {
    match section {
        "jobs" => derived.jobs.iter().map(|it| it.node.to_text()).collect::<Vec<_>>().join("---\n"),
        "rules" => {
            let shown = |it: &Piece| format!("# {}\n{}", it.name, it.node.to_text());
            let files = derived.rules.iter().map(shown);
            files.collect()
        }
        "alerting" => {
            let combined = derived.alerting(None, &derived.alerting_objects()).unwrap();
            combined.map_or(String::new(), |node| node.to_text())
        }
        "outcomes" => derived.outcomes.iter().map(outcome).collect(),
        other => panic!("no section {other}"),
    }
}

fn outcome(outcome: &crate::Outcome) -> String {
    let verdict = match &outcome.verdict {
        Verdict::Became(names) => format!("became {}", names.join(", ")),
        Verdict::Refused(why) => format!("refused: {why}"),
        Verdict::Discovered => "targets may be found in it".to_owned(),
        Verdict::Values => "others may refer to it".to_owned(),
        Verdict::Unused => "unused".to_owned(),
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
---
{apiVersion: v1, kind: Node, metadata: {name: n}}
---
{apiVersion: v1, kind: Service, metadata: {labels: {a: b}}}
";
    let found = objects(text);
    let names: Vec<_> =
        found.iter().map(|it| (&*it.kind, &*it.namespace, &*it.name, it.line)).collect();
    let expected =
        [("Secret", "b", "a", 5), ("Service", "default", "c", 12), ("Node", "", "n", 14)];
    assert_eq!(names, expected);
    let mistakes = [
        "objects.yaml: line 7: an object of Kubernetes has the fields apiVersion and kind",
        "objects.yaml: line 9: expected a mapping of names to values",
        "objects.yaml: line 16: an object of Kubernetes has a name (metadata.name)",
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
    let node = &derived.jobs[0].node;
    assert!(!node.to_text().contains("CANARY"), "{}", node.to_text());
    let entries = node.entries().unwrap();
    let auth = entries.iter().find(|(name, _)| *name == "basic_auth").unwrap().1;
    let password = auth.entries().unwrap()[1].1.read::<yaml::Secret>().unwrap();
    assert_eq!(password.reveal(), "CANARY");
}

#[test]
fn an_object_that_a_reader_refuses_leaves_nothing() {
    let text = "\
{apiVersion: monitoring.coreos.com/v1, kind: PrometheusRule, metadata: {name: a}, spec: {groups: [{name: g}]}}
---
{apiVersion: monitoring.coreos.com/v1, kind: PodMonitor, metadata: {name: b}, spec: {selector: {}, podMetricsEndpoints: [{}, {}]}}
---
{apiVersion: monitoring.coreos.com/v1, kind: AlertmanagerConfig, metadata: {name: c}, spec: {receivers: [{name: r}]}}
---
{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: d}}
---
{apiVersion: v1, kind: Service, metadata: {name: e}}
";
    let mut derived = derive(&objects(text), &Options::default());
    assert_eq!((derived.rules.len(), derived.jobs.len()), (1, 2));
    assert_eq!(derived.alerting_objects(), [2]);
    (0..3).for_each(|of| derived.refuse(of, "no"));
    assert_eq!((derived.rules.len(), derived.jobs.len()), (0, 0));
    assert!(derived.alerting(None, &derived.alerting_objects()).unwrap().is_none());
    let verdicts: Vec<_> = derived.outcomes.into_iter().map(|outcome| outcome.verdict).collect();
    let refused = || Verdict::Refused("objects.yaml: no".to_owned());
    let others = [Verdict::Unused, Verdict::Discovered];
    assert_eq!(verdicts[..3], [refused(), refused(), refused()]);
    assert_eq!(verdicts[3..], others);
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
