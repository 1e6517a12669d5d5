//! `/federate`: the newest sample of everything selected, as a page that another Prometheus scrapes.
//!
//! Text has no native histograms: they are only in the protobuf form, which is answered to whoever
//! accepts it, as Prometheus does when it scrapes native histograms.

use super::envelope::{ApiError, Context, StreamedEndpoint, serve_streamed};
use super::json;
use super::parameters::Parameters;
use super::selected::{Newest, Order, each_series, newest};
use crate::stream::Pieces;
use crate::{Call, Services, reply};
use axum::http::StatusCode;
use axum::response::Response;
use model::{
    Buckets, CUSTOM_BUCKETS_SCHEMA, ErrorKind, FloatHistogram, Labels, METRIC_NAME, is_plain_name,
};
use std::sync::Arc;
use wire::protobuf::Writer;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const PROTOBUF: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// What is answered to this `Accept` header.
fn content_type(call: &Call) -> &'static str {
    let accepts = |one: &str| {
        one.trim().starts_with("application/vnd.google.protobuf")
            && one.contains("io.prometheus.client.MetricFamily")
            && one.contains("delimited")
    };
    if call.header("accept").split(',').any(accepts) { PROTOBUF } else { TEXT }
}

/// Prometheus' own page of federation says in plain text what is wrong with a selector.
pub(super) async fn serve(services: Arc<Services>, call: Call) -> Response {
    let now_ms = services.clock.wall_ms();
    let check = move || (Parameters::of(&call, now_ms).selectors().err(), call);
    match tokio::task::spawn_blocking(check).await {
        Ok((None, call)) => serve_streamed(services, call, ENDPOINT).await,
        Ok((Some(error), _)) => reply::text(StatusCode::BAD_REQUEST, error.message + "\n"),
        Err(_) => reply::plain_error(ErrorKind::Bug, "a mistake in this program"),
    }
}

const ENDPOINT: StreamedEndpoint = StreamedEndpoint { content_type, write: federate };

/// Read from the store, not by a query: a query would lose either the names or the times.
fn federate(context: &Context, pieces: &mut Pieces<ApiError>) -> Result<(), ApiError> {
    let end_ms = context.services.clock.wall_ms();
    let start_ms = end_ms.saturating_sub(context.services.engine.lookback_ms).saturating_add(1);
    let range = (start_ms, end_ms);
    let selectors = context.parameters.selectors()?;
    let mut page = Page::new(content_type(&context.call) == PROTOBUF);
    let reader = context.reader()?;
    each_series(context, &*reader, &selectors, range, Order::Metric, |labels, columns| {
        if let Some((time_ms, newest)) = newest(&columns, range) {
            page.add(labels, time_ms, &newest, &mut pieces.out);
        }
        Ok(pieces.ready()?)
    })?;
    page.end(&mut pieces.out);
    Ok(())
}

/// How `io.prometheus.client` numbers types.
const UNTYPED: u64 = 3;
const HISTOGRAM: u64 = 4;

/// The page so far: the family that is being written.
struct Page {
    is_protobuf: bool,
    name: String,
    /// In protobuf a family is one message, with floats apart from histograms.
    families: [Writer; 2],
}

impl Page {
    fn new(is_protobuf: bool) -> Self {
        Self { is_protobuf, name: String::new(), families: [Writer::new(), Writer::new()] }
    }

    fn add(&mut self, labels: &Labels, time_ms: i64, value: &Newest<'_>, out: &mut Vec<u8>) {
        let is_new = labels.metric_name() != self.name;
        if is_new {
            self.end(out);
            labels.metric_name().clone_into(&mut self.name);
        }
        if self.is_protobuf {
            let family = usize::from(matches!(value, Newest::Histogram(_)));
            self.families[family].message(4, |metric| write_metric(metric, labels, time_ms, value));
        } else if let Newest::Float(value) = value {
            write_text(out, labels, time_ms, *value, is_new);
        }
    }

    /// Ends the family.
    fn end(&mut self, out: &mut Vec<u8>) {
        for (index, kind) in [UNTYPED, HISTOGRAM].into_iter().enumerate() {
            let metrics = std::mem::replace(&mut self.families[index], Writer::new()).into_bytes();
            if metrics.is_empty() {
                continue;
            }
            let mut head = Writer::new();
            head.text(1, &self.name);
            head.varint(3, kind);
            let head = head.into_bytes();
            write_length(out, head.len() + metrics.len());
            out.extend_from_slice(&head);
            out.extend_from_slice(&metrics);
        }
    }
}

fn write_length(out: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

fn write_metric(metric: &mut Writer, labels: &Labels, time_ms: i64, value: &Newest<'_>) {
    for (name, value) in labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
        metric.message(1, |label| {
            label.text(1, name);
            label.text(2, value);
        });
    }
    match value {
        Newest::Float(value) => metric.message(5, |untyped| untyped.double(1, *value)),
        Newest::Histogram(histogram) => metric.message(7, |out| write_histogram(out, histogram)),
    }
    metric.signed(6, time_ms);
}

fn write_histogram(out: &mut Writer, histogram: &FloatHistogram) {
    out.double(2, histogram.sum);
    out.double(4, histogram.count);
    if histogram.schema == CUSTOM_BUCKETS_SCHEMA {
        return write_classic(out, histogram);
    }
    out.zigzag(5, histogram.schema.into());
    out.double(6, histogram.zero_threshold);
    out.double(8, histogram.zero_count);
    write_side(out, [9, 11], &histogram.negative);
    write_side(out, [12, 14], &histogram.positive);
}

/// The format has no custom bounds: they go as the classic buckets that they are.
fn write_classic(out: &mut Writer, histogram: &FloatHistogram) {
    let mut below = 0.0;
    for bucket in histogram.all_buckets() {
        below += bucket.count;
        out.message(3, |message| {
            message.double(2, bucket.upper);
            message.double(4, below);
        });
    }
}

fn write_side(out: &mut Writer, [spans, counts]: [u32; 2], side: &Buckets) {
    for span in &side.spans {
        out.message(spans, |message| {
            message.zigzag(1, span.offset.into());
            message.varint(2, span.length.into());
        });
    }
    side.counts.iter().for_each(|count| out.double(counts, *count));
}

fn write_text(out: &mut Vec<u8>, labels: &Labels, time_ms: i64, value: f64, is_new: bool) {
    if is_new {
        let name = labels.metric_name();
        let shown = if is_plain_name(name) { name.to_owned() } else { quoted(name) };
        out.extend_from_slice(format!("# TYPE {shown} untyped\n").as_bytes());
    }
    out.extend_from_slice(series_text(labels).as_bytes());
    out.push(b' ');
    json::number(out, value);
    out.extend_from_slice(format!(" {time_ms}\n").as_bytes());
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

fn series_text(labels: &Labels) -> String {
    let name = labels.metric_name();
    let is_plain = is_plain_name(name);
    let mut inside: Vec<String> = if is_plain { Vec::new() } else { vec![quoted(name)] };
    for (label, value) in labels.iter().filter(|(label, _)| *label != METRIC_NAME) {
        let label = if is_plain_name(label) { label.to_owned() } else { quoted(label) };
        inside.push(format!("{label}={}", quoted(value)));
    }
    format!("{}{{{}}}", if is_plain { name } else { "" }, inside.join(","))
}
