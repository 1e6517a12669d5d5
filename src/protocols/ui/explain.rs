//! `explain`: what differs between a selection and its baseline, ranked.
//!
//! The answer is a line of JSON for each source, sent as soon as it has looked, and a last one with the
//! ranking over all of them. Each source waits for its turn among the queries of the tenant.

use super::envelope::{Context, UiError, whole};
use crate::Call;
use crate::api::json as write;
use crate::api::stream::Pieces;
use crate::services::ServiceError;
use explain::{Asking, ExplainError, Figures, Finding, Found, Question, RuledOut, Source, Window};
use model::ErrorKind;
use std::sync::Arc;
use std::sync::mpsc;

const MILLI_NS: i64 = 1_000_000;
/// Findings of the ranking over all sources.
const RANKED_MAX: usize = 30;

pub(super) fn content_type(_: &Call) -> &'static str {
    "application/x-ndjson"
}

pub(super) fn explain(context: &Context, pieces: &mut Pieces<UiError>) -> Result<(), UiError> {
    let started = context.services().clock.now();
    let asking = Arc::new(asking(context)?);
    let (mut all, mut failed) = (Vec::new(), 0);
    for source in Source::ALL {
        let found = in_turn(context, &asking, source)?;
        line(&mut pieces.out, source, &found);
        pieces.send().map_err(|gone| UiError::new(ErrorKind::Cancelled, gone.to_string()))?;
        match found {
            Ok(found) => all.extend(found.findings),
            Err(_) => failed += 1,
        }
    }
    explain::rank(&mut all);
    all.truncate(RANKED_MAX);
    let out = &mut pieces.out;
    let Question { selection, baseline, .. } = asking.question();
    let head = format!(
        "{{\"source\":\"all\",\"from\":{},\"to\":{},\"baseline_from\":{},\"baseline_to\":{},\"findings\":",
        selection.start_ms, selection.end_ms, baseline.start_ms, baseline.end_ms
    );
    out.extend_from_slice(head.as_bytes());
    write::list(out, &all, finding);
    let millis = context.services().clock.now().since(started).as_secs_f64() * 1_000.0;
    let stats = format!(",\"stats\":{{\"ms\":{millis:.3},\"partial\":{}}}}}\n", failed > 0);
    out.extend_from_slice(stats.as_bytes());
    Ok(())
}

/// The question that the parameters ask.
fn asking(context: &Context) -> Result<Asking, UiError> {
    let services = context.services();
    let window = |(start, end): (i64, i64)| Window {
        start_ms: start.div_euclid(MILLI_NS),
        end_ms: end.div_euclid(MILLI_NS),
    };
    let selection = window(context.times()?);
    let baseline = context.times_between("baseline_from", "baseline_to")?.map(window);
    let mut question = Question::new(context.call.tenant.clone(), selection, baseline)
        .map_err(|error| UiError::bad(error.to_string()))?;
    let text = |name: &str| {
        let text = context.parameters.text(name);
        (!text.is_empty()).then(|| text.to_owned())
    };
    question.service = text("service");
    question.spans = context.query()?.and_then(|_| text("q"));
    let stores = explain::Stores {
        clock: Arc::clone(&services.clock),
        memory: Arc::clone(&services.query_memory),
        metrics: services.metrics()?.store.clone(),
        logs: services.logs()?.store.clone(),
        traces: services.traces()?.store.clone(),
        promql: services.metric_options.engine.clone(),
        traceql: services.traceql.clone(),
    };
    Ok(Asking::new(stores, question, context.cancel.clone()))
}

/// Looks in a turn of the query pool.
fn in_turn(
    context: &Context,
    asking: &Arc<Asking>,
    source: Source,
) -> Result<Result<Found, ExplainError>, UiError> {
    let (tell, told) = mpsc::sync_channel(1);
    let asking = Arc::clone(asking);
    let work = move || {
        // Nobody is told whose client has gone.
        let _ = tell.send(asking.find(source));
    };
    let pool = &context.services().query_pool;
    let submitted = pool.submit(&context.call.tenant, context.cancel.clone(), work);
    submitted.map_err(|full| UiError::new(full.kind(), full.to_string()))?;
    told.recv().map_err(|_| ServiceError::mistake().into())
}

fn line(out: &mut Vec<u8>, source: Source, found: &Result<Found, ExplainError>) {
    out.extend_from_slice(b"{\"source\":");
    write::text(out, source.as_str());
    match found {
        Ok(found) => {
            out.extend_from_slice(b",\"looked_at\":");
            whole(out, found.looked_at);
            out.extend_from_slice(b",\"findings\":");
            write::list(out, &found.findings, finding);
            out.extend_from_slice(b",\"ruled_out\":");
            write::list(out, &found.ruled_out, ruled_out);
            if let Some(left_out) = &found.left_out {
                out.extend_from_slice(b",\"left_out\":");
                write::text(out, left_out);
            }
        }
        Err(error) => {
            out.extend_from_slice(b",\"error\":");
            write::text(out, &error.message);
            out.extend_from_slice(b",\"kind\":");
            write::text(out, error.kind.as_str());
        }
    }
    out.extend_from_slice(b"}\n");
}

fn finding(out: &mut Vec<u8>, finding: &Finding) {
    let mut field = |name: &str, value: &str| {
        out.push(if name == "kind" { b'{' } else { b',' });
        write::text(out, name);
        out.push(b':');
        write::text(out, value);
    };
    field("kind", finding.kind.as_str());
    field("name", &finding.name);
    field("value", &finding.value);
    field("formula", finding.formula);
    field("query", &finding.query);
    field("language", finding.language);
    number(out, "score", finding.score);
    figures(out, finding.figures);
    out.push(b'}');
}

fn figures(out: &mut Vec<u8>, figures: Figures) {
    match figures {
        Figures::Shares { selection, baseline, of_selection, of_baseline } => {
            number(out, "selection", selection);
            number(out, "baseline", baseline);
            number(out, "of_selection", of_selection as f64);
            number(out, "of_baseline", of_baseline as f64);
        }
        Figures::Values { selection, baseline, distance, critical, hops } => {
            number(out, "selection", selection);
            number(out, "baseline", baseline);
            number(out, "distance", distance);
            number(out, "critical", critical);
            number(out, "hops", f64::from(hops));
        }
        Figures::Counts { selection, baseline } => {
            number(out, "selection", selection as f64);
            number(out, "baseline", baseline as f64);
        }
        Figures::Time { at_ms, distance_ms, is_near } => {
            number(out, "at", at_ms as f64);
            number(out, "before_ms", distance_ms as f64);
            out.extend_from_slice(if is_near { b",\"near\":true" } else { b",\"near\":false" });
        }
    }
}

fn ruled_out(out: &mut Vec<u8>, one: &RuledOut) {
    out.extend_from_slice(b"{\"name\":");
    write::text(out, &one.name);
    number(out, "distance", one.distance);
    number(out, "critical", one.critical);
    out.push(b'}');
}

/// A further field; what is no number is `null`.
fn number(out: &mut Vec<u8>, name: &str, value: f64) {
    out.push(b',');
    write::text(out, name);
    out.push(b':');
    if value.is_finite() { write::number(out, value) } else { out.extend_from_slice(b"null") }
}
