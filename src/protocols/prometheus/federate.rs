//! `/federate`: the newest sample of everything selected, as a page that another Prometheus scrapes.
//!
//! - Text has no native histograms. They are only in the protobuf form, which is sent to clients that
//!   accept it, as Prometheus does when it scrapes native histograms.
//! - A scraper that accepts names in UTF-8 says so (`escaping=allow-utf-8`). Any other scraper would
//!   refuse a page with one such name, so it gets names with underscores instead.
//! - A series without the label `instance` gets an empty one, because otherwise its scraper would add
//!   the instance of this server.

use super::Prometheus;
use super::envelope::{ApiError, Context};
use super::selected::{Newest, Order, each_series, newest};
use super::selectors::selectors;
use crate::api::json;
use crate::api::parameters::Parameters;
use crate::api::stream::Pieces;
use crate::api::{StreamedEndpoint, run_streamed};
use crate::{Call, reply};
use axum::http::StatusCode;
use axum::response::Response;
use model::{Buckets, CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Labels, METRIC_NAME, is_plain_name};
use promql::QueryError;
use query::{Holding, Weight};
use std::borrow::Cow;
use std::sync::Arc;
use wire::protobuf::Writer;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const PROTOBUF: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

const TEXT_UTF8: &str = "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8";
const PROTOBUF_UTF8: &str = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=allow-utf-8";

/// The form of the page that the `Accept` header asks for.
#[derive(Clone, Copy, Debug)]
struct Form {
    is_protobuf: bool,
    /// Names are written as they are, in quotes where needed.
    is_utf8: bool,
    /// The client is a scraper that names the formats it reads, rather than a person with curl.
    is_scraper: bool,
}

impl Form {
    fn of(call: &Call) -> Self {
        let accepted = call.header("accept");
        let is_protobuf = |one: &str| {
            one.trim().starts_with("application/vnd.google.protobuf")
                && one.contains("io.prometheus.client.MetricFamily")
                && one.contains("delimited")
        };
        let is_protobuf = accepted.split(',').any(is_protobuf);
        let is_scraper = is_protobuf || accepted.contains("text/plain");
        Self { is_protobuf, is_utf8: accepted.contains("escaping=allow-utf-8"), is_scraper }
    }

    fn metric<'n>(self, name: &'n str) -> Cow<'n, str> {
        self.readable(name, "_:")
    }

    fn label<'n>(self, name: &'n str) -> Cow<'n, str> {
        self.readable(name, "_")
    }

    /// A name that the client can read. `signs` are the characters that are allowed beside letters and
    /// digits.
    fn readable<'n>(self, name: &'n str, signs: &str) -> Cow<'n, str> {
        let fits = |(index, char): (usize, char)| {
            let digit = index > 0 && char.is_ascii_digit();
            char.is_ascii_alphabetic() || signs.contains(char) || digit
        };
        if self.is_utf8 || !self.is_scraper || name.char_indices().all(fits) {
            return Cow::Borrowed(name);
        }
        Cow::Owned(name.char_indices().map(|one| if fits(one) { one.1 } else { '_' }).collect())
    }
}

fn content_type(call: &Call) -> &'static str {
    let form = Form::of(call);
    match (form.is_protobuf, form.is_utf8) {
        (true, true) => PROTOBUF_UTF8,
        (true, false) => PROTOBUF,
        (false, true) => TEXT_UTF8,
        (false, false) => TEXT,
    }
}

/// Whether the name needs no quotes. In the name of a metric colons are allowed.
fn is_metric_name(name: &str) -> bool {
    is_plain_name(&name.replace(':', "_"))
}

/// As with Prometheus, a bad selector is answered in plain text.
pub(super) async fn serve(prometheus: Arc<Prometheus>, call: Call) -> Response {
    let now_ms = prometheus.services().clock.wall_ms();
    let check = move || {
        let parameters = Parameters::of(&call, now_ms).map_err(ApiError::from);
        (parameters.and_then(|parameters| selectors(&parameters)).err(), call)
    };
    match prometheus.services().work_turns.run(check).await {
        Ok((None, call)) => {
            let endpoint = StreamedEndpoint { content_type, write: federate };
            run_streamed(prometheus, call, endpoint).await
        }
        Ok((Some(error), _)) => reply::text(StatusCode::BAD_REQUEST, error.message + "\n"),
        Err(error) => reply::plain_error(error.kind, &error.message),
    }
}

/// Reads the store directly, because a query would lose either the names or the times.
fn federate(context: &Context, pieces: &mut Pieces<ApiError>) -> Result<(), ApiError> {
    let services = context.services();
    let (end_ms, lookback_ms) =
        (services.clock.wall_ms(), services.metric_options.engine.lookback_ms);
    let start_ms = end_ms.saturating_sub(lookback_ms).saturating_add(1);
    let range = (start_ms, end_ms);
    let selectors = selectors(&context.parameters)?;
    let memory = context.listing_memory();
    let mut page = Page::new(Form::of(&context.call), &memory);
    each_series(context, &selectors, range, Order::Metric, &memory, |labels, columns| {
        if let Some((time_ms, newest)) = newest(&columns, range) {
            page.add(labels, time_ms, &newest, &mut pieces.out)?;
        }
        Ok(pieces.ready()?)
    })?;
    page.end(&mut pieces.out);
    Ok(())
}

/// The numbers of types in `io.prometheus.client`.
const UNTYPED: u64 = 3;
const HISTOGRAM: u64 = 4;

/// The family of metrics that is being written.
struct Page<'a> {
    form: Form,
    memory: &'a Holding,
    /// What the family in protobuf takes.
    held: Weight,
    name: String,
    /// In protobuf a family is one message, with floats apart from histograms.
    families: [Writer; 2],
}

impl<'a> Page<'a> {
    fn new(form: Form, memory: &'a Holding) -> Self {
        let (name, families) = (String::new(), [Writer::new(), Writer::new()]);
        Self { form, memory, held: Weight::default(), name, families }
    }

    fn add(
        &mut self,
        labels: &Labels,
        time_ms: i64,
        value: &Newest<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), ApiError> {
        let is_new = labels.metric_name() != self.name;
        if is_new {
            self.end(out);
            labels.metric_name().clone_into(&mut self.name);
        }
        let labels = shown_labels(self.form, labels);
        if self.form.is_protobuf {
            self.hold(weight_of(&labels, value))?;
            let family = usize::from(matches!(value, Newest::Histogram(_)));
            let metric = &mut self.families[family];
            metric.message(4, |metric| write_metric(metric, &labels, time_ms, value));
        } else if let Newest::Float(value) = value {
            write_text(out, &self.form.metric(&self.name), &labels, is_new);
            out.push(b' ');
            json::number(out, *value);
            out.extend_from_slice(format!(" {time_ms}\n").as_bytes());
        }
        Ok(())
    }

    fn hold(&mut self, weight: Weight) -> Result<(), ApiError> {
        self.held = self.held + weight;
        Ok(self.memory.take(weight).map_err(QueryError::from)?)
    }

    /// Ends the family.
    fn end(&mut self, out: &mut Vec<u8>) {
        for (index, kind) in [UNTYPED, HISTOGRAM].into_iter().enumerate() {
            let metrics = std::mem::replace(&mut self.families[index], Writer::new()).into_bytes();
            if metrics.is_empty() {
                continue;
            }
            let mut head = Writer::new();
            head.text(1, &self.form.metric(&self.name));
            head.varint(3, kind);
            let head = head.into_bytes();
            write_length(out, head.len() + metrics.len());
            out.extend_from_slice(&head);
            out.extend_from_slice(&metrics);
        }
        self.memory.give_back(std::mem::take(&mut self.held));
    }
}

/// A series in protobuf, in a buffer that grows by doubling.
fn weight_of(labels: &[ShownLabel<'_>], value: &Newest<'_>) -> Weight {
    let labels = labels.iter().map(|(name, value)| name.len() + value.len() + 12).sum::<usize>();
    let numbers = match value {
        Newest::Float(_) => 2,
        Newest::Histogram(histogram) => 8 + 3 * histogram.sample_weight(),
    };
    Weight::bytes(2 * (labels + numbers * size_of::<f64>()))
}

fn write_length(out: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

type ShownLabel<'a> = (Cow<'a, str>, &'a str);

/// All labels but the metric's name, with an empty `instance` when the series has none.
fn shown_labels(form: Form, labels: &Labels) -> Vec<ShownLabel<'_>> {
    let others = labels.iter().filter(|(name, _)| *name != METRIC_NAME);
    let mut shown: Vec<_> = others.map(|(name, value)| (form.label(name), value)).collect();
    if labels.value(INSTANCE).is_empty() {
        shown.push((Cow::Borrowed(INSTANCE), ""));
    }
    shown
}

const INSTANCE: &str = "instance";

fn write_metric(metric: &mut Writer, labels: &[ShownLabel<'_>], time_ms: i64, value: &Newest<'_>) {
    for (name, value) in labels {
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

/// The format has no custom bounds, so they are written as classic buckets.
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

/// Writes a line up to its value.
fn write_text(out: &mut Vec<u8>, metric: &str, labels: &[ShownLabel<'_>], is_new: bool) {
    let is_plain = is_metric_name(metric);
    if is_new {
        let shown = if is_plain { metric.to_owned() } else { quoted(metric) };
        out.extend_from_slice(format!("# TYPE {shown} untyped\n").as_bytes());
    }
    let mut inside: Vec<String> = if is_plain { Vec::new() } else { vec![quoted(metric)] };
    for (name, value) in labels {
        let name = if is_plain_name(name) { name.to_string() } else { quoted(name) };
        inside.push(format!("{name}={}", quoted(value)));
    }
    let before = if is_plain { metric } else { "" };
    out.extend_from_slice(format!("{before}{{{}}}", inside.join(",")).as_bytes());
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}
