//! `query`, `query_range`, `query_exemplars`, `format_query`, `parse_query`.

use super::envelope::{ApiError, Context, Data};
use super::histogram_json;
use super::listing::{self, ListingQuery};
use super::memory;
use super::selectors::{filters, narrow, time_range};
use crate::api::json::{self, Moment, Moments};
use crate::reply;
use axum::http::StatusCode;
use axum::response::Response;
use metric_store::Exemplar;
use model::{FloatHistogram, Labels};
use promql::tree::Tree;
use promql::{
    Engine, EngineOptions, QueryError, QueryResult, QueryTimes, QueryValue, Request, SampleOf,
    SampledSeries, TenantMetrics, TenantSeries, VectorSample, parse, parse_within, prettify,
};
use query::{CancelFlag, RegexBudget, SampleStats, Series, Slot, Stop, TraceNode};
use serde_json::{Value, json};
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// Prometheus' own limit, more than the width of any screen.
const POINTS_MAX: i64 = 11_000;
/// Warnings, and infos, in one answer.
const ANNOTATIONS_MAX: usize = 10;

pub(super) fn instant(context: &Context) -> Result<Data, ApiError> {
    let time_ms = context.parameters.time("time", context.services().clock.wall_ms())?;
    evaluate(context, QueryTimes::Instant { time_ms })
}

pub(super) fn range(context: &Context) -> Result<Data, ApiError> {
    let parameters = &context.parameters;
    let (start_ms, end_ms) = (parameters.needed_time("start")?, parameters.needed_time("end")?);
    if end_ms < start_ms {
        let message = "end timestamp must not be before start time";
        return Err(ApiError::parameter("end", message));
    }
    let step_ms = parameters.needed_duration("step")?;
    if step_ms <= 0 {
        let message = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(ApiError::parameter("step", message));
    }
    if end_ms.saturating_sub(start_ms) / step_ms > POINTS_MAX {
        return Err(ApiError::bad(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ));
    }
    evaluate(context, QueryTimes::Range { start_ms, end_ms, step_ms })
}

fn evaluate(context: &Context, times: QueryTimes) -> Result<Data, ApiError> {
    let limit = context.parameters.limit()?;
    let engine = Engine::new(options(context)?);
    let control = context.metric_control(engine.options().timeout_ms);
    let (store, tenant) = (&context.metrics()?.store, &context.call.tenant);
    let mut regexes = RegexBudget::default();
    let filters = filters(&context.parameters, &mut regexes)?;
    let metrics = TenantMetrics { store, tenant, filters };
    let storage = TenantSeries { metrics, spans: context.span_series(&control) };
    let digits = context.parameters.digits("round_digits")?;
    let query = context.parameters.text("query");
    let trace = matches!(context.parameters.text("trace"), "1" | "true");
    let memory = Some(Arc::clone(&context.services().query_memory));
    let cancel = context.cancel.clone();
    let request = Request { query, times, cancel, trace, memory, regexes };
    let clock = &*context.services().clock;
    let started = clock.now();
    let mut result = engine.run(&storage, clock, &request)?;
    let took = clock.now().since(started);
    if let Some(digits) = digits {
        round(&mut result.value, digits);
    }
    let was_cut = cut(&mut result.value, limit);
    let mut data = Data::default();
    write_result(&mut data.json, &result, &context.cancel)?;
    let stats = context.parameters.text("stats");
    if !stats.is_empty() {
        write_stats(&mut data.json, &result.stats, (stats == "all").then_some(times), took);
    }
    data.json.push(b'}');
    let annotations = result.annotations.at_most(ANNOTATIONS_MAX);
    (data.warnings, data.infos) = (annotations.warnings, annotations.infos);
    if trace {
        let nodes = result.trace.iter().map(trace_node).collect();
        data.trace = Some(traced(format!("query {query:?}"), took, nodes));
    }
    if was_cut {
        data.truncated();
    }
    Ok(data)
}

/// The server's options, changed by this request's parameters. A request can only shorten the timeout.
fn options(context: &Context) -> Result<EngineOptions, ApiError> {
    let mut options = context.services().metric_options.engine.clone();
    if let Some(timeout_ms) = context.parameters.duration("timeout")? {
        options.timeout_ms = timeout_ms.clamp(0, options.timeout_ms.max(0));
    }
    if let Some(lookback_ms) = context.parameters.duration("lookback_delta")?
        && lookback_ms > 0
    {
        options.lookback_ms = lookback_ms;
    }
    match context.call.header(USE_START_TIMESTAMPS) {
        "" => {}
        "1" | "t" | "T" | "true" | "True" | "TRUE" => options.start_timestamps = true,
        "0" | "f" | "F" | "false" | "False" | "FALSE" => options.start_timestamps = false,
        other => {
            let message =
                format!("invalid header {USE_START_TIMESTAMPS}: {other:?}: send true or false");
            return Err(ApiError::bad(message));
        }
    }
    Ok(options)
}

/// Whether counters of this query begin where their start timestamps say, whatever the setting.
const USE_START_TIMESTAMPS: &str = "x-prometheus-use-start-timestamps";

/// VictoriaMetrics' `round_digits`: rounds to that many digits behind the point.
fn round(value: &mut QueryValue, digits: i32) {
    let rounded = |float: f64| {
        let scaled = float * 10f64.powi(digits);
        // It overflows when the number has fewer digits than that, and so needs no rounding.
        if scaled.is_finite() { scaled.round() / 10f64.powi(digits) } else { float }
    };
    let sample = |sample: &mut SampleOf| {
        if let SampleOf::Float(float) = sample {
            *float = rounded(*float);
        }
    };
    match value {
        QueryValue::Scalar { value, .. } => *value = rounded(*value),
        QueryValue::String { .. } => {}
        QueryValue::Vector(samples) => samples.iter_mut().for_each(|one| sample(&mut one.value)),
        QueryValue::Samples(series) => {
            let all = series.iter_mut().flat_map(|one| &mut one.samples);
            all.for_each(|(_, one)| sample(one));
        }
        QueryValue::Matrix { series, .. } => {
            for column in series.iter_mut().map(|one| &mut one.column) {
                for step in 0..column.steps() {
                    if let Some(float) = column.float(step) {
                        column.set_float(step, rounded(float));
                    }
                }
            }
        }
    }
}

/// The plan and the work of each node, in the shape of VictoriaMetrics' traces.
fn trace_node(node: &TraceNode) -> Value {
    let TraceNode { name, elapsed, series, samples, children } = node;
    let message = format!("{name}: series={series}, samples={samples}");
    traced(message, *elapsed, children.iter().map(trace_node).collect())
}

fn traced(message: String, took: Duration, children: Vec<Value>) -> Value {
    let millis = took.as_micros() as f64 / 1_000.0;
    match children.is_empty() {
        true => json!({ "duration_msec": millis, "message": message }),
        false => json!({ "duration_msec": millis, "message": message, "children": children }),
    }
}

fn cut(value: &mut QueryValue, limit: usize) -> bool {
    let length = match value {
        QueryValue::Vector(samples) => samples.len(),
        QueryValue::Matrix { series, .. } => series.len(),
        QueryValue::Samples(series) => series.len(),
        QueryValue::Scalar { .. } | QueryValue::String { .. } => return false,
    };
    match value {
        QueryValue::Vector(samples) => samples.truncate(limit),
        QueryValue::Matrix { series, .. } => series.truncate(limit),
        QueryValue::Samples(series) => series.truncate(limit),
        QueryValue::Scalar { .. } | QueryValue::String { .. } => {}
    }
    length > limit
}

/// Writes all but the closing brace, before which statistics may follow.
fn write_result(
    out: &mut Vec<u8>,
    result: &QueryResult,
    cancel: &CancelFlag,
) -> Result<(), QueryError> {
    let name = match result.value {
        QueryValue::Scalar { .. } => "scalar",
        QueryValue::String { .. } => "string",
        QueryValue::Vector(_) => "vector",
        QueryValue::Matrix { .. } | QueryValue::Samples(_) => "matrix",
    };
    out.extend_from_slice(format!("{{\"resultType\":\"{name}\",\"result\":").as_bytes());
    match &result.value {
        QueryValue::Scalar { time_ms, value } => json::point(out, *time_ms, *value),
        QueryValue::String { time_ms, value } => {
            out.push(b'[');
            json::time(out, *time_ms);
            out.push(b',');
            json::text(out, value);
            out.push(b']');
        }
        QueryValue::Vector(samples) => {
            return write_list(out, samples, (result, cancel), write_sample);
        }
        QueryValue::Matrix { times_ms, series } => {
            let moments = Moments::new(times_ms);
            let write = |out: &mut Vec<u8>, series: &Series| write_steps(out, &moments, series);
            return write_list(out, series, (result, cancel), write);
        }
        QueryValue::Samples(series) => {
            return write_list(out, series, (result, cancel), write_samples);
        }
    }
    Ok(())
}

/// Writes items as long as the query's memory limit allows, because the answer counts towards it, and
/// as long as somebody waits for them.
fn write_list<T>(
    out: &mut Vec<u8>,
    items: &[T],
    (result, cancel): (&QueryResult, &CancelFlag),
    write: impl Fn(&mut Vec<u8>, &T),
) -> Result<(), QueryError> {
    let mut taken = Ok(());
    json::list(out, items, |out, item| {
        if taken.is_ok() {
            let before = out.len();
            write(out, item);
            taken = match cancel.is_cancelled() {
                true => Err(Stop::Cancelled.into()),
                false => result.hold(out.len() - before),
            };
        }
    });
    taken
}

fn write_sample(out: &mut Vec<u8>, sample: &VectorSample) {
    out.extend_from_slice(b"{\"metric\":");
    json::labels(out, &sample.labels);
    match &sample.value {
        SampleOf::Float(value) => {
            out.extend_from_slice(b",\"value\":");
            json::point(out, sample.time_ms, *value);
        }
        SampleOf::Histogram(histogram) => {
            out.extend_from_slice(b",\"histogram\":");
            histogram_json::point(out, sample.time_ms, histogram);
        }
    }
    out.push(b'}');
}

/// Range queries spend their time here, so it works on a column at a time.
fn write_steps(out: &mut Vec<u8>, moments: &Moments, series: &Series) {
    let column = &series.column;
    let slots = || column.iter().map(|(step, slot)| (moments.at(step), slot));
    let floats = slots().filter_map(|(moment, slot)| match slot {
        Slot::Float(value) => Some((moment, value)),
        Slot::Histogram(_) => None,
    });
    let histograms = column.has_histograms().then(slots).into_iter().flatten();
    let histograms = histograms.filter_map(|(moment, slot)| match slot {
        Slot::Float(_) => None,
        Slot::Histogram(histogram) => Some((moment, histogram)),
    });
    write_series(out, &series.labels, floats, histograms);
}

fn write_samples(out: &mut Vec<u8>, series: &SampledSeries) {
    let floats = series.samples.iter().filter_map(|(time, sample)| match sample {
        SampleOf::Float(value) => Some((*time, *value)),
        SampleOf::Histogram(_) => None,
    });
    let histograms = series.samples.iter().filter_map(|(time, sample)| match sample {
        SampleOf::Float(_) => None,
        SampleOf::Histogram(histogram) => Some((*time, histogram)),
    });
    write_series(out, &series.labels, floats, histograms);
}

/// Writes `values` if there are floats, and `histograms` if there are histograms.
fn write_series<'a, M: Moment>(
    out: &mut Vec<u8>,
    labels: &Labels,
    floats: impl Iterator<Item = (M, f64)>,
    histograms: impl Iterator<Item = (M, &'a Arc<FloatHistogram>)>,
) {
    out.extend_from_slice(b"{\"metric\":");
    json::labels(out, labels);
    let mut floats = floats.peekable();
    if floats.peek().is_some() {
        out.extend_from_slice(b",\"values\":");
        json::list(out, floats, |out, (time, value)| json::point(out, time, value));
    }
    let mut histograms = histograms.peekable();
    if histograms.peek().is_some() {
        out.extend_from_slice(b",\"histograms\":");
        json::list(out, histograms, |out, (time, sample)| histogram_json::point(out, time, sample));
    }
    out.push(b'}');
}

fn write_stats(out: &mut Vec<u8>, stats: &SampleStats, each: Option<QueryTimes>, took: Duration) {
    let seconds = took.as_secs_f64();
    let head = format!(
        ",\"stats\":{{\"timings\":{{\"evalTotalTime\":{seconds},\"resultSortTime\":0,\
         \"queryPreparationTime\":0,\"innerEvalTime\":{seconds},\"execQueueTime\":0,\
         \"execTotalTime\":{seconds}}},\"samples\":{{"
    );
    out.extend_from_slice(head.as_bytes());
    for (name, total, per_step) in [
        ("totalQueryableSamples", stats.total, &stats.per_step),
        ("samplesRead", stats.read(), &stats.read_per_step()),
    ] {
        if let Some(times) = each {
            write_steps_of_stats(out, name, times, per_step);
        }
        write!(out, "\"{name}\":{total},").expect("memory takes everything");
    }
    write!(out, "\"peakSamples\":{}}}}}", stats.peak).expect("memory takes everything");
}

fn write_steps_of_stats(out: &mut Vec<u8>, name: &str, times: QueryTimes, per_step: &[u64]) {
    let (start_ms, step_ms) = match times {
        QueryTimes::Instant { time_ms } => (time_ms, 0),
        QueryTimes::Range { start_ms, step_ms, .. } => (start_ms, step_ms),
    };
    write!(out, "\"{name}PerStep\":").expect("memory takes everything");
    json::list(out, (0i64..).zip(per_step), |out, (step, count)| {
        out.push(b'[');
        json::time(out, start_ms + step * step_ms);
        write!(out, ",{count}]").expect("memory takes everything");
    });
    out.push(b',');
}

/// The exemplars of all series that the query selects.
pub(super) fn exemplars(context: &Context) -> Result<Data, ApiError> {
    let parameters = &context.parameters;
    let (start_ms, end_ms) = time_range(parameters)?;
    if end_ms < start_ms {
        return Err(ApiError::bad("end timestamp must not be before start timestamp"));
    }
    let (options, mut regexes) =
        (&context.services().metric_options.engine.parse, RegexBudget::default());
    let expr = parse_within(parameters.text("query"), options, &mut regexes)
        .map_err(|error| ApiError::parameter("query", &error.to_string()))?;
    let selectors = expr.selectors().into_iter().filter(|selector| !selector.labels_only);
    let selectors: Vec<_> = selectors.map(|selector| selector.matchers.clone()).collect();
    if selectors.is_empty() {
        return Ok(Data::of("[]"));
    }
    let selectors = narrow(parameters, selectors, &mut regexes)?;
    let query = ListingQuery { selectors, start_ms, end_ms, limit: usize::MAX };
    let memory = context.listing_memory();
    let found = listing::exemplars(context, &query, &memory)?;
    let mut data = Data::default();
    memory::write_list(&mut data.json, &found, &memory, write_exemplars)?;
    Ok(data)
}

fn write_exemplars(out: &mut Vec<u8>, (series, exemplars): &(Labels, Vec<Exemplar>)) {
    out.extend_from_slice(b"{\"seriesLabels\":");
    json::labels(out, series);
    out.extend_from_slice(b",\"exemplars\":");
    json::list(out, exemplars, |out, exemplar| {
        out.extend_from_slice(b"{\"labels\":");
        json::labels(out, &exemplar.labels);
        out.extend_from_slice(b",\"value\":");
        json::value(out, exemplar.value);
        out.extend_from_slice(b",\"timestamp\":");
        json::time(out, exemplar.time_ms);
        out.push(b'}');
    });
    out.push(b'}');
}

pub(super) fn format(context: &Context) -> Result<Data, ApiError> {
    let expr =
        parse(context.parameters.text("query"), &context.services().metric_options.engine.parse)
            .map_err(|error| ApiError::parameter("query", &error.to_string()))?;
    let mut data = Data::default();
    json::text(&mut data.json, &prettify(&expr));
    Ok(data)
}

/// VictoriaMetrics' name for [`format`], with its own shape of an answer.
pub(super) fn prettify_query(context: &Context) -> Result<Response, ApiError> {
    let answer = match parse(
        context.parameters.text("query"),
        &context.services().metric_options.engine.parse,
    ) {
        Ok(expr) => json!({ "status": "success", "query": prettify(&expr) }),
        Err(error) => json!({ "status": "error", "msg": error.to_string() }),
    };
    Ok(reply::json(StatusCode::OK, &answer))
}

pub(super) fn tree(context: &Context) -> Result<Data, ApiError> {
    let expr =
        parse(context.parameters.text("query"), &context.services().metric_options.engine.parse)
            .map_err(|error| ApiError::parameter("query", &error.to_string()))?;
    let tree =
        serde_json::to_vec(&Tree::of(&expr)).map_err(|error| ApiError::bad(error.to_string()))?;
    Ok(Data::of(tree))
}
