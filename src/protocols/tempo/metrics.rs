//! `metrics/query_range` and `metrics/query`: numbers over time, and one number each.

use super::envelope::{Context, TempoApi, TempoError, json};
use super::parameters::default_step;
use super::search::{labels, long, statistics};
use crate::api::json as write;
use crate::traces::json::{double, hex};
use axum::response::Response;
use traceql::{Answer, Exemplar, MetricTimes, Metrics, Series};

/// Exemplars of all series together, where the request names no number; also the most.
const EXEMPLARS: usize = 100;

pub(super) fn range_found<A: TempoApi>(
    context: &Context<A>,
) -> Result<Answer<Vec<Series>>, TempoError> {
    let (start, end) = context.times()?;
    let step = context.duration_ns("step")?.filter(|step| *step != 0);
    let step_ns = step.unwrap_or_else(|| default_step(end.saturating_sub(start)));
    if step_ns < 0 {
        return Err(TempoError::bad("invalid step: it must be longer than nothing"));
    }
    let exemplars = context.positive("exemplars", EXEMPLARS)?.min(EXEMPLARS);
    run(context, (start, end), MetricTimes::Range { step_ns }, exemplars)
}

pub(super) fn instant_found<A: TempoApi>(
    context: &Context<A>,
) -> Result<Answer<Vec<Series>>, TempoError> {
    run(context, context.times()?, MetricTimes::Instant, 0)
}

pub(super) fn range(context: &Context) -> Result<Response, TempoError> {
    let answer = range_found(context)?;
    write_answer(&answer, |out, series| {
        out.extend_from_slice(b",\"samples\":");
        samples(out, series);
        if !series.exemplars.is_empty() {
            out.extend_from_slice(b",\"exemplars\":");
            write::list(out, &series.exemplars, exemplar);
        }
    })
}

pub(super) fn instant(context: &Context) -> Result<Response, TempoError> {
    let answer = instant_found(context)?;
    write_answer(&answer, |out, series| {
        out.extend_from_slice(b",\"value\":");
        double(out, instant_value(series));
    })
}

/// The one number of a series.
pub(super) fn instant_value(series: &Series) -> f64 {
    series.values.first().copied().unwrap_or(f64::NAN)
}

fn run<A: TempoApi>(
    context: &Context<A>,
    times: (i64, i64),
    of: MetricTimes,
    exemplars: usize,
) -> Result<Answer<Vec<Series>>, TempoError> {
    let query = traceql::parse(context.query())?;
    let request = context.trace_request(times);
    let (services, store) = (context.services(), &context.traces()?.store);
    let wanted = Metrics { times: of, exemplars };
    Ok(context.trace_engine().metrics(store, &*services.clock, &request, &query, &wanted)?)
}

fn write_answer(
    answer: &Answer<Vec<Series>>,
    values: impl Fn(&mut Vec<u8>, &Series),
) -> Result<Response, TempoError> {
    let mut out = b"{\"series\":".to_vec();
    write::list(&mut out, &answer.value, |out, series| {
        out.extend_from_slice(b"{\"labels\":");
        labels(out, &series.labels);
        values(out, series);
        out.push(b'}');
    });
    statistics(&mut out, &answer.statistics, 0);
    Ok(json(out))
}

/// Times in milliseconds with their numbers: a time without one has no sample.
pub(super) fn points(series: &Series) -> impl Iterator<Item = (i64, f64)> {
    let points = series.times_ms.iter().copied().zip(series.values.iter().copied());
    points.filter(|(_, value)| !value.is_nan())
}

/// The label of an exemplar by which Grafana finds its trace.
pub(super) const TRACE_LABEL: &str = "trace:id";

fn samples(out: &mut Vec<u8>, series: &Series) {
    write::list(out, points(series), |out, (time, value)| {
        out.extend_from_slice(b"{\"timestampMs\":");
        long(out, time);
        out.extend_from_slice(b",\"value\":");
        double(out, value);
        out.push(b'}');
    });
}

fn exemplar(out: &mut Vec<u8>, exemplar: &Exemplar) {
    out.extend_from_slice(b"{\"labels\":[{\"key\":");
    write::text(out, TRACE_LABEL);
    out.extend_from_slice(b",\"value\":{\"stringValue\":");
    write::text(out, &hex(&exemplar.trace_id));
    out.extend_from_slice(b"}}],\"value\":");
    double(out, exemplar.value);
    out.extend_from_slice(b",\"timestampMs\":");
    long(out, exemplar.time_ns / 1_000_000);
    out.push(b'}');
}
