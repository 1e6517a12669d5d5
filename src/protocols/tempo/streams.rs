//! `tempopb.StreamingQuerier`: what Grafana asks over gRPC where its data source streams.
//!
//! A message's fields are what the parameters of HTTP are, and become them; then it is the same question.
//! Its answer is in messages of at most a megabyte: traces and series once, each with what was looked at.

use super::envelope::{Context, TempoError};
use super::{Streams, messages, metrics, search, tags};
use crate::grpc::{Question, run_prepared};
use crate::route::percent_encode_value;
use crate::{Access, Body, Call, Handler, Route, grpc};
use axum::http::Method;
use catalog::Scope;
use model::quote_go;
use wire::proto::tempopb as pb;

type StreamHandler = Handler<Streams>;
type StreamRoute = Route<StreamHandler>;

/// A message that asks for something.
trait Asking: Question {
    /// What it asks, as parameters.
    fn parameters(&self) -> Parameters;
}

type Parameters = Vec<(&'static str, String)>;

/// Makes a call that asks by parameters of one that asks by a message.
fn ask<Q: Asking>(question: &Q, call: &mut Call) {
    let pair = |(name, value): (_, String)| format!("{name}={}", percent_encode_value(&value));
    let pairs: Vec<String> = question.parameters().into_iter().map(pair).collect();
    call.query = pairs.join("&");
    call.body.clear();
}

/// The handler of a method whose question is answered by `$found`, and the answer written by `$write`.
macro_rules! streams {
    ($question:ty, $found:path, $write:path) => {{
        let handler: StreamHandler = |streams, call| {
            Box::pin(run_prepared(streams, call, ask::<$question>, |context, _, out| {
                $write(out, &$found(context)?);
                Ok(())
            }))
        };
        handler
    }};
}

const fn route(path: &'static str, handler: StreamHandler, about: &'static str) -> StreamRoute {
    let (methods, access, body) = (&[Method::POST], Access::Tenant(Scope::Read), Body::AsSent);
    Route { methods, path, access, body, needs_stores: true, handler, refuse: grpc::refuse, about }
}

type Values = Result<traceql::Answer<traceql::TagValues>, TempoError>;

fn values(context: &Context<Streams>) -> Values {
    tags::found_values(context, context.parameters.text(TAG), "")
}

fn values_v1(context: &Context<Streams>) -> Values {
    tags::found_values(context, context.parameters.text(TAG), tags::ANY_SCOPE)
}

pub(super) static ROUTES: &[StreamRoute] = &[
    route(
        "/tempopb.StreamingQuerier/Search",
        streams!(pb::SearchRequest, search::found, messages::search),
        "Traces that TraceQL finds, over gRPC",
    ),
    route(
        "/tempopb.StreamingQuerier/SearchTags",
        streams!(pb::SearchTagsRequest, tags::found_names, messages::names_v1),
        "Names of attributes",
    ),
    route(
        "/tempopb.StreamingQuerier/SearchTagsV2",
        streams!(pb::SearchTagsRequest, tags::found_names, messages::names),
        "Names of attributes by scope",
    ),
    route(
        "/tempopb.StreamingQuerier/SearchTagValues",
        streams!(pb::SearchTagValuesRequest, values_v1, messages::values_v1),
        "Values of an attribute",
    ),
    route(
        "/tempopb.StreamingQuerier/SearchTagValuesV2",
        streams!(pb::SearchTagValuesRequest, values, messages::values),
        "Values of an attribute with their types",
    ),
    route(
        "/tempopb.StreamingQuerier/MetricsQueryRange",
        streams!(pb::QueryRangeRequest, metrics::range_found, messages::range),
        "TraceQL metrics over a range",
    ),
    route(
        "/tempopb.StreamingQuerier/MetricsQueryInstant",
        streams!(pb::QueryInstantRequest, metrics::instant_found, messages::instant),
        "TraceQL metrics as one number each",
    ),
];

/// The parameter that names a tag, which over HTTP stands in the path.
const TAG: &str = "tag";

/// Adds a number that is there: zero stands for none.
fn number(parameters: &mut Parameters, name: &'static str, number: u32) {
    if number > 0 {
        parameters.push((name, number.to_string()));
    }
}

/// Adds nanoseconds since 1970, with so many digits that they are not taken for seconds.
fn nanos(parameters: &mut Parameters, name: &'static str, nanos: u64) {
    if nanos > 0 {
        parameters.push((name, format!("{nanos:019}")));
    }
}

fn duration_ms(parameters: &mut Parameters, name: &'static str, millis: u32) {
    if millis > 0 {
        parameters.push((name, format!("{millis}ms")));
    }
}

impl Asking for pb::SearchRequest {
    fn parameters(&self) -> Parameters {
        let tag =
            |(key, value): (&String, &String)| format!("{key}={}", quote_go(value.as_bytes()));
        let tags: Vec<String> = self.tags.iter().map(tag).collect();
        let mut all = vec![("q", self.query.clone()), ("tags", tags.join(" "))];
        duration_ms(&mut all, "minDuration", self.min_duration_ms);
        duration_ms(&mut all, "maxDuration", self.max_duration_ms);
        number(&mut all, "limit", self.limit);
        number(&mut all, "start", self.start);
        number(&mut all, "end", self.end);
        number(&mut all, "spss", self.spans_per_span_set);
        all
    }
}

impl Asking for pb::SearchTagsRequest {
    fn parameters(&self) -> Parameters {
        let mut all = vec![("scope", self.scope.clone()), ("q", self.query.clone())];
        number(&mut all, "start", self.start);
        number(&mut all, "end", self.end);
        all
    }
}

impl Asking for pb::SearchTagValuesRequest {
    fn parameters(&self) -> Parameters {
        let mut all = vec![(TAG, self.tag_name.clone()), ("q", self.query.clone())];
        number(&mut all, "start", self.start);
        number(&mut all, "end", self.end);
        all
    }
}

impl Asking for pb::QueryRangeRequest {
    fn parameters(&self) -> Parameters {
        const SECOND_NS: u64 = 1_000_000_000;
        let mut all = vec![("q", self.query.clone())];
        nanos(&mut all, "start", self.start);
        nanos(&mut all, "end", self.end);
        if self.step > 0 {
            all.push(("step", format!("{}.{:09}", self.step / SECOND_NS, self.step % SECOND_NS)));
        }
        number(&mut all, "exemplars", self.exemplars);
        all
    }
}

impl Asking for pb::QueryInstantRequest {
    fn parameters(&self) -> Parameters {
        let mut all = vec![("q", self.query.clone())];
        nanos(&mut all, "start", self.start);
        nanos(&mut all, "end", self.end);
        all
    }
}
