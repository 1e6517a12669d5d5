//! Attributes whose values are more or less frequent among the selected spans than in the baseline.

use crate::finding::{Figures, Finding, Found, Kind};
use crate::score::{LIFT, lift};
use crate::stores::{Asking, ExplainError, quoted};
use std::collections::BTreeMap;
use traceql::{FieldValue, MetricTimes, Series};

/// Values of an attribute that are looked at, the most frequent.
const VALUES_MAX: usize = 50;
/// Shares of fewer spans say nothing.
const SPANS_MIN: f64 = 3.0;
/// Smaller differences are not told.
const LIFT_MIN: f64 = 0.1;
/// What differs between any two spans of different kinds, and causes nothing.
const PASSED_OVER: [&str; 4] = ["kind", "childCount", "nestedSetParent", "instrumentation:version"];

/// What says which request it was, and not why it was as it was.
const REQUESTS: [&str; 9] = [
    "name",
    "rootName",
    "rootServiceName",
    "http.route",
    "http.target",
    "http.url",
    "url.path",
    "url.full",
    "rpc.method",
];

/// How often values of an attribute occur.
#[derive(Default)]
struct Counts {
    values: BTreeMap<String, f64>,
    total: f64,
}

pub(crate) fn find(asking: &Asking) -> Result<Found, ExplainError> {
    let question = &asking.question;
    let scope = match &question.service {
        Some(service) => format!("{{ resource.service.name = {} }} &>> {{ }}", quoted(service)),
        None => "{ }".to_owned(),
    };
    let selected = question.spans.as_deref().unwrap_or("{ }");
    let count = |selected: &str, window| -> Result<BTreeMap<String, Counts>, ExplainError> {
        let query = format!("{scope} | compare({}, {VALUES_MAX})", or_all(selected));
        Ok(counts(asking.trace_series(&query, window, MetricTimes::Instant)?))
    };
    let selection = count(selected, question.selection)?;
    let baseline = count("{ }", question.baseline)?;
    let mut found = Found::default();
    for (attribute, counts) in &selection {
        found.looked_at += counts.values.len() as u64;
        let is_asked = question.spans.as_ref().is_some_and(|asked| asked.contains(bare(attribute)));
        // What the selection was made by differs because it was.
        if is_asked || PASSED_OVER.contains(&attribute.as_str()) || counts.total < SPANS_MIN {
            continue;
        }
        let before = baseline.get(attribute);
        found.findings.extend(of_attribute(attribute, counts, before));
    }
    Ok(found.ranked())
}

/// The name of an attribute without its scope.
fn bare(attribute: &str) -> &str {
    let scopes = ["span.", "resource.", "event.", "link.", "instrumentation."];
    scopes.iter().find_map(|scope| attribute.strip_prefix(scope)).unwrap_or(attribute)
}

/// `compare` takes no empty condition.
fn or_all(filter: &str) -> String {
    let inside = filter.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    match inside.map(str::trim) {
        Some("") => "{ true }".to_owned(),
        _ => filter.to_owned(),
    }
}

fn counts(series: Vec<Series>) -> BTreeMap<String, Counts> {
    let mut all: BTreeMap<String, Counts> = BTreeMap::new();
    for one in series {
        let [(_, FieldValue::Text(side)), (attribute, value)] = &one.labels[..] else { continue };
        let count = one.values.first().copied().unwrap_or(0.0);
        let counts = all.entry(attribute.clone()).or_default();
        match (side.as_str(), value) {
            ("selection_total", _) => counts.total = count,
            ("selection", FieldValue::Nil) => {}
            ("selection", value) => drop(counts.values.insert(value.to_string(), count)),
            _ => {}
        }
    }
    all
}

/// The values of one attribute that differ enough, those that are more frequent than before.
fn of_attribute<'c>(
    attribute: &'c str,
    counts: &'c Counts,
    before: Option<&'c Counts>,
) -> impl Iterator<Item = Finding> + 'c {
    let names_request = REQUESTS.contains(&bare(attribute));
    counts.values.iter().filter_map(move |(value, count)| {
        let selection = count / counts.total;
        let of_baseline = before.map_or(0.0, |before| before.total);
        let known = before.and_then(|before| before.values.get(value)).copied().unwrap_or(0.0);
        let baseline = if of_baseline > 0.0 { known / of_baseline } else { 0.0 };
        let score = lift(selection, baseline, names_request);
        (selection > baseline && score >= LIFT_MIN && *count >= SPANS_MIN).then(|| Finding {
            kind: Kind::Attribute,
            name: attribute.to_owned(),
            value: value.clone(),
            score,
            figures: Figures::Shares {
                selection,
                baseline,
                of_selection: counts.total as u64,
                of_baseline: of_baseline as u64,
            },
            formula: LIFT,
            query: format!("{{ {attribute} = {} }}", literal(value)),
            language: "traceql",
        })
    })
}

/// A value as TraceQL writes it: texts in quotes, others bare.
fn literal(value: &str) -> String {
    let is_bare =
        value.parse::<f64>().is_ok() || ["true", "false", "ok", "error", "unset"].contains(&value);
    if is_bare { value.to_owned() } else { quoted(value) }
}
