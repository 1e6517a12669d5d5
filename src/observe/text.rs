//! Metrics as text: Prometheus 0.0.4 and OpenMetrics 1.0.0. They differ in the name on a counter's
//! HELP and TYPE lines, in the escapes of help texts, in the form of bucket bounds and in the end
//! mark.

use crate::metric::{Metric, MetricKind, Point, PointValue};
use crate::registry::TextFormat;
use std::fmt::Write;

pub(crate) fn render(metrics: &[&dyn Metric], format: TextFormat) -> String {
    let mut out = String::new();
    for metric in metrics {
        let points = metric.collect();
        if !points.is_empty() {
            write_header(&mut out, *metric, format);
            points.iter().for_each(|point| write_point(&mut out, metric.name(), point, format));
        }
    }
    if format == TextFormat::OpenMetrics {
        out.push_str("# EOF\n");
    }
    out
}

fn write_header(out: &mut String, metric: &dyn Metric, format: TextFormat) {
    let open = format == TextFormat::OpenMetrics;
    let name = match metric.kind() {
        MetricKind::Counter if open => metric.name().trim_end_matches("_total"),
        _ => metric.name(),
    };
    let kind = match metric.kind() {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram => "histogram",
    };
    let _ = write!(out, "# HELP {name} ");
    escape(out, metric.help(), open);
    let _ = writeln!(out, "\n# TYPE {name} {kind}");
}

fn write_point(out: &mut String, name: &str, point: &Point, format: TextFormat) {
    match &point.value {
        PointValue::Number(value) => write_line(out, name, "", &point.labels, None, *value),
        PointValue::Histogram { bounds, cumulative, sum } => {
            for (index, count) in cumulative.iter().enumerate() {
                let le = bounds.get(index).map_or("+Inf".to_owned(), |b| bound_text(*b, format));
                write_line(out, name, "_bucket", &point.labels, Some(&le), *count as f64);
            }
            let total = cumulative.last().copied().unwrap_or(0);
            write_line(out, name, "_sum", &point.labels, None, *sum);
            write_line(out, name, "_count", &point.labels, None, total as f64);
        }
    }
}

/// OpenMetrics wants floats to look like floats.
fn bound_text(bound: f64, format: TextFormat) -> String {
    match format {
        TextFormat::OpenMetrics => format!("{bound:?}"),
        TextFormat::Prometheus => bound.to_string(),
    }
}

fn write_line(
    out: &mut String,
    name: &str,
    suffix: &str,
    labels: &[(&'static str, String)],
    le: Option<&str>,
    value: f64,
) {
    out.push_str(name);
    out.push_str(suffix);
    let all = labels.iter().map(|(k, v)| (*k, v.as_str())).chain(le.map(|le| ("le", le)));
    let mut separator = '{';
    for (key, text) in all {
        let _ = write!(out, "{separator}{key}=\"");
        escape(out, text, true);
        out.push('"');
        separator = ',';
    }
    if separator == ',' {
        out.push('}');
    }
    let _ = writeln!(out, " {}", number(value));
}

fn number(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    value.to_string()
}

fn escape(out: &mut String, text: &str, quotes: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Counter, CounterFamily, Gauge, Histogram, Registry, TextFormat};

    static HITS: Counter = Counter::new("hits_total", "Hits \\ and\nmore.");
    static LEVEL: Gauge = Gauge::new("level", "A level.");
    static BY: CounterFamily = CounterFamily::new("by_total", "By reason.", &["reason"]);
    static TOOK: Histogram = Histogram::new("took_seconds", "Time.", &[0.5, 1.0]);

    fn registry() -> Registry {
        let mut registry = Registry::default();
        registry.add(&[&HITS, &LEVEL, &BY, &TOOK]);
        registry
    }

    #[test]
    fn both_formats_read_as_their_specifications_say() {
        HITS.observe_total(3);
        LEVEL.set(f64::INFINITY);
        BY.with(&["a\"b\n"]).store(1, std::sync::atomic::Ordering::Relaxed);
        let prometheus = registry().render(TextFormat::Prometheus);
        assert!(prometheus.contains("# HELP hits_total Hits \\\\ and\\nmore.\n"));
        assert!(prometheus.contains("# TYPE hits_total counter\nhits_total 3\n"));
        assert!(prometheus.contains("level +Inf\n"));
        assert!(prometheus.contains("by_total{reason=\"a\\\"b\\n\"} 1\n"));
        assert!(prometheus.contains("took_seconds_bucket{le=\"1\"} 0\n"));
        let open = registry().render(TextFormat::OpenMetrics);
        assert!(open.contains("# TYPE hits counter\nhits_total 3\n"));
        assert!(open.contains("took_seconds_bucket{le=\"1.0\"} 0\n"));
        assert!(open.ends_with("# EOF\n"));
    }
}
