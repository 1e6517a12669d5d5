//! Series whose values are distributed otherwise than before.

use crate::finding::{Figures, Finding, Found, Kind, RuledOut};
use crate::neighbours::Near;
use crate::question::Question;
use crate::score::{self, METRIC};
use crate::stores::{Asking, ExplainError, one_of};
use promql::QueryValue;
use query::Series;
use std::collections::BTreeMap;

/// Labels that name the service of a series. A job of OTLP is `namespace/service`.
const SERVICE_LABELS: [&str; 5] = ["service_name", "job", "service", "app", "container"];
/// Metrics that are looked at, by name.
const METRICS_MAX: usize = 400;
/// Series of a metric that are looked at.
const SERIES_MAX: usize = 200;
/// Values of a series over selection and baseline.
const STEPS: i64 = 240;
const STEP_MIN_MS: i64 = 5_000;
/// Rates are taken over at least so long.
const RATE_MIN_MS: i64 = 60_000;
/// Distributions of fewer values say nothing.
const VALUES_MIN: usize = 5;
const RULED_OUT_MAX: usize = 50;

/// The metrics of one service label.
struct Wanted {
    selector: String,
    label: &'static str,
    name: String,
}

pub(crate) fn find(asking: &Asking) -> Result<Found, ExplainError> {
    let near = asking.near();
    let mut found = Found::default();
    let wanted = names(asking, near)?;
    if wanted.len() > METRICS_MAX {
        found.left_out =
            Some(format!("{} metrics: only {METRICS_MAX} are looked at", wanted.len()));
    }
    let window = asking.whole();
    let step_ms = (window.length_ms() / STEPS).max(STEP_MIN_MS);
    for one in wanted.iter().take(METRICS_MAX) {
        asking.control().check().map_err(|stop| ExplainError::of(stop.kind(), &stop))?;
        let Some(query) = query(one, step_ms, &wanted) else { continue };
        let value = asking.promql(&query, (window, step_ms))?;
        let QueryValue::Matrix { times_ms, series } = value else { continue };
        let compared = series.iter().take(SERIES_MAX).filter_map(|series| {
            let hops = hops(near, series.labels.value(one.label));
            compare(&asking.question, &times_ms, series, hops).map(|figures| (series, figures))
        });
        let mut best: Option<Compared<'_>> = None;
        for (series, figures) in compared {
            found.looked_at += 1;
            let compared = Compared { series, figures };
            if best.as_ref().is_none_or(|best| best.order() < compared.order()) {
                best = Some(compared);
            }
        }
        if let Some(best) = best {
            best.told(one, &query, &mut found);
        }
    }
    found.ruled_out.sort_by(|left, right| left.distance.total_cmp(&right.distance));
    found.ruled_out.truncate(RULED_OUT_MAX);
    Ok(found.ranked())
}

/// The names of the metrics near the service; without one, of all.
fn names(asking: &Asking, near: &Near) -> Result<Vec<Wanted>, ExplainError> {
    let end_ms = asking.question.selection.end_ms;
    let at_end = crate::question::Window { start_ms: end_ms, end_ms };
    let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
    for label in SERVICE_LABELS {
        let selector = match near.is_empty() {
            true => String::new(),
            false => {
                let services = one_of(near.keys().map(String::as_str));
                let services = services.trim_matches('"');
                format!("{label}=~\"(.*/)?({services})\"")
            }
        };
        let all = if near.is_empty() { "__name__=~\".+\"" } else { &selector };
        let value = asking.promql(&format!("count by (__name__) ({{{all}}})"), (at_end, 1_000))?;
        if let QueryValue::Matrix { series, .. } = value {
            for one in series {
                let name = one.labels.metric_name().to_owned();
                let selector = selector.clone();
                wanted.entry(name.clone()).or_insert(Wanted { selector, label, name });
            }
        }
        if near.is_empty() {
            break;
        }
    }
    Ok(wanted.into_values().collect())
}

/// What of a metric is compared: rates of counters, means of histograms, values of others.
fn query(one: &Wanted, step_ms: i64, all: &[Wanted]) -> Option<String> {
    let Wanted { selector, name, .. } = one;
    let rate = format!("[{}ms]", (4 * step_ms).max(RATE_MIN_MS));
    let is_there = |name: &str| all.iter().any(|one| one.name == name);
    let of = |name: &str| {
        format!("rate({{__name__={}{}}}{rate})", crate::stores::quoted(name), more(selector))
    };
    // Buckets say what sum and count say, many times; when alerts fired is told as a change.
    if name.ends_with("_bucket") || name.starts_with("ALERTS") || name.ends_with("_created") {
        return None;
    }
    if let Some(base) = name.strip_suffix("_sum")
        && is_there(&format!("{base}_count"))
    {
        return Some(format!("{} / {}", of(name), of(&format!("{base}_count"))));
    }
    if name.ends_with("_total") || name.ends_with("_count") || name.ends_with("_sum") {
        return Some(of(name));
    }
    Some(format!("{{__name__={}{}}}", crate::stores::quoted(name), more(selector)))
}

fn more(selector: &str) -> String {
    if selector.is_empty() { String::new() } else { format!(",{selector}") }
}

fn hops(near: &Near, service: &str) -> u32 {
    let name = service.rsplit('/').next().unwrap_or(service);
    near.get(service).or_else(|| near.get(name)).copied().unwrap_or(0)
}

fn compare(question: &Question, times_ms: &[i64], series: &Series, hops: u32) -> Option<Figures> {
    let values = |window: crate::question::Window| -> Vec<f64> {
        let inside = |at: &i64| (window.start_ms..window.end_ms).contains(at);
        let steps = times_ms.iter().enumerate().filter(|(_, at)| inside(at));
        let floats = steps.filter_map(|(step, _)| series.column.float(step));
        floats.filter(|value| !value.is_nan()).collect()
    };
    let (mut selection, mut baseline) = (values(question.selection), values(question.baseline));
    if selection.len() < VALUES_MIN || baseline.len() < VALUES_MIN {
        return None;
    }
    let (distance, critical) = score::distance(&mut selection, &mut baseline);
    let (selection, baseline) = (score::median(&selection), score::median(&baseline));
    Some(Figures::Values { selection, baseline, distance, critical, hops })
}

/// A series beside the figures of its comparison.
struct Compared<'s> {
    series: &'s Series,
    figures: Figures,
}

impl Compared<'_> {
    /// Score, and by how much the medians differ.
    fn order(&self) -> (f64, f64) {
        let Figures::Values { selection, baseline, distance, hops, .. } = self.figures else {
            return (0.0, 0.0);
        };
        let scale = selection.abs().max(baseline.abs()).max(f64::MIN_POSITIVE);
        (score::metric(distance, hops), (selection - baseline).abs() / scale)
    }

    fn told(self, one: &Wanted, query: &str, found: &mut Found) {
        let Figures::Values { distance, critical, .. } = self.figures else { return };
        let (score, effect) = self.order();
        if distance <= critical || effect == 0.0 {
            found.ruled_out.push(RuledOut { name: one.name.clone(), distance, critical });
            return;
        }
        found.findings.push(Finding {
            kind: Kind::Metric,
            name: one.name.clone(),
            value: self.series.labels.to_string(),
            // Among series whose values do not overlap at all, those that changed most come first.
            score: score * (0.9 + 0.1 * effect.min(1.0)),
            figures: self.figures,
            formula: METRIC,
            query: query.to_owned(),
            language: "promql",
        });
    }
}
