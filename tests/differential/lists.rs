//! Requests other than queries: series, labels, exemplars, and bad parameters. Federation and
//! metadata, which only know the present, are compared in `real_clients`.

use super::answers::Answer;
use super::data::{BASE, END};
use super::{Pair, Tally, ask};
use crate::support::encoded;
use serde_json::Value;

pub(super) fn compare(pair: &Pair, tally: &mut Tally) {
    let (start, end) = (BASE / 1_000, END / 1_000);
    let window = format!("start={start}&end={end}");
    for path in paths(&window) {
        let theirs = sorted(ask(pair.prometheus.address, &path));
        let ours = sorted(ask(pair.mirador.address, &path));
        tally.note(&theirs, &ours, false, &path, &path);
    }
}

fn paths(window: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let matchers = [
        "",
        "&match[]=up",
        "&match[]=requests_total{job=\"api\"}",
        "&match[]=pod&match[]={__name__=~\"collide.*\"}",
        "&match[]={job=~\".+\",instance!~\"api.*\"}",
        "&match[]=nothing_of_this_name",
        "&match[]={text=\"한라산\"}",
        "&match[]={job=\"\"}",
        "&match[]={",
        "&match[]=up[5m]",
        "&match[]=sum(up)",
    ];
    let escaped = |text: &str| {
        let parts = text.split("&match[]=").skip(1);
        parts.map(|part| format!("&match[]={}", encoded(part))).collect::<String>()
    };
    for matcher in matchers.map(escaped) {
        paths.push(format!("/api/v1/series?{window}{matcher}"));
        paths.push(format!("/api/v1/labels?{window}{matcher}"));
        for label in ["__name__", "job", "text", "le", "not_a_label"] {
            paths.push(format!("/api/v1/label/{label}/values?{window}{matcher}"));
        }
    }
    for query in ["traced_total", "rate(traced_total[5m]) + up", "traced_total{job=\"db\"}", "sum("]
    {
        paths.push(format!("/api/v1/query_exemplars?{window}&query={}", encoded(query)));
    }
    paths.extend(bad_parameters());
    paths
}

/// Requests that both refuse, with the same text.
fn bad_parameters() -> Vec<String> {
    let paths = [
        "query",
        "query?query=up&time=yesterday",
        "query?query=up&time=NaN",
        "query?query=up&timeout=soon",
        "query_range?query=up",
        "query_range?query=up&start=0",
        "query_range?query=up&start=0&end=1",
        "query_range?query=up&start=0&end=1&step=0",
        "query_range?query=up&start=0&end=1&step=-5",
        "query_range?query=up&start=0&end=1&step=often",
        "query_range?query=up&start=0&end=1&step=NaN",
        "query_range?query=up&start=10&end=1&step=1",
        "query_range?query=up&start=0&end=11001&step=1",
        "query_range?query=up[5m]&start=0&end=1&step=1",
        "query_range?query=%22text%22&start=0&end=1&step=1",
        "query_range?query=up&start=x&end=1&step=1",
        "query_range?query=up&start=1&end=x&step=1",
        "query_exemplars?query=up&start=5&end=1",
        "series",
        "series?match[]=up&start=x",
        "series?match[]={}",
        "series?match[]=up&start=5&end=1",
        "labels?end=x",
        "labels?start=5&end=1",
        "label/job/values?start=x",
        "label/a-b/values",
        "label/0/values",
    ];
    paths.iter().map(|path| format!("/api/v1/{path}")).collect()
}

/// Sorts lists whose order has no meaning.
fn sorted(mut answer: Answer) -> Answer {
    if let Value::Array(items) = &mut answer.data {
        items.sort_by_key(Value::to_string);
    }
    answer
}
