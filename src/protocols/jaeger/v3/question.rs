//! What a search asks: service, name, attributes, times, durations, how many.

use crate::api::{Api, Context};
use crate::services::ServiceError;
use crate::traces::SpanFilter;
use crate::traces::json::text_of;
use chrono::DateTime;
use model::{ErrorKind, parse_duration_ns};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use wire::proto::jaeger::{api_v3, storage::v2 as storage};

/// Traces of an answer, as in Jaeger.
const LIMIT: usize = 100;
/// Without a start, a search looks back two days, as in the first version.
const LOOKBACK_NS: i64 = 48 * 3_600 * 1_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;

/// A search. An empty text, and a time or duration that is not there, stand for any.
#[derive(Debug, Default)]
pub(super) struct TraceQuestion {
    service: String,
    operation: String,
    attributes: Vec<(String, String)>,
    /// Nanoseconds; the second is not included.
    times: (Option<i64>, Option<i64>),
    /// Nanoseconds, both included.
    durations: (Option<i64>, Option<i64>),
    limit: usize,
}

pub(super) fn bad(message: impl Into<String>) -> ServiceError {
    ServiceError::new(ErrorKind::Invalid, message)
}

/// What would be left out silently if it were not refused.
fn no_filter(has_filter: bool) -> Result<(), ServiceError> {
    match has_filter {
        true => Err(bad(
            "'filter' is not understood: send service, operation, attributes and durations, or ask \
             Tempo's API in TraceQL",
        )),
        false => Ok(()),
    }
}

fn limit_of(depth: i64) -> Result<usize, ServiceError> {
    match usize::try_from(depth) {
        Ok(0) => Ok(LIMIT),
        Ok(depth) => Ok(depth),
        Err(_) => Err(bad(format!("malformed parameter query.searchDepth: {depth} is negative"))),
    }
}

impl TraceQuestion {
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn filter(&self) -> Result<SpanFilter, ServiceError> {
        let (min, max) = self.durations;
        if max.is_some() && max < min {
            return Err(bad("query.durationMax must not be less than query.durationMin"));
        }
        let mut filter = SpanFilter::default();
        filter.service(&self.service);
        filter.name(&self.operation);
        filter.duration(min, max);
        self.attributes.iter().for_each(|(key, value)| filter.tag(key, value));
        Ok(filter)
    }

    /// Both ends included.
    pub(super) fn times<A: Api>(&self, context: &Context<A>) -> Result<(i64, i64), ServiceError> {
        let end = self.times.1.map_or_else(|| context.newest_ns(), |end| end.saturating_sub(1));
        let start = self.times.0.unwrap_or_else(|| end.saturating_sub(LOOKBACK_NS));
        match start <= end {
            true => Ok((start, end)),
            false => Err(bad("query.startTimeMin must be before query.startTimeMax")),
        }
    }

    /// From the parameters of a request.
    pub(super) fn of_parameters<A: Api>(context: &Context<A>) -> Result<Self, ServiceError> {
        let text = |names: &[&str]| {
            let texts = names.iter().map(|name| context.parameters.text(&format!("query.{name}")));
            texts.into_iter().find(|text| !text.is_empty()).unwrap_or("").to_owned()
        };
        let attributes = match text(&["attributes"]) {
            text if text.is_empty() => BTreeMap::new(),
            text => serde_json::from_str(&text)
                .map_err(|error| bad(format!("malformed parameter query.attributes: {error}")))?,
        };
        Self::of_texts(text, attributes)
    }

    /// From the body of a request, which is a message as JSON.
    pub(super) fn of_body(body: &[u8]) -> Result<Self, ServiceError> {
        let wrong = |error| bad(format!("the body is no search as JSON: {error}"));
        let body: Map<String, Value> = serde_json::from_slice(body).map_err(wrong)?;
        let Some(Value::Object(query)) = body.get("query") else {
            return Err(bad("the body has no object 'query'"));
        };
        let text = |names: &[&str]| match names.iter().find_map(|name| query.get(*name)) {
            Some(Value::String(text)) => text.clone(),
            None | Some(Value::Null) => String::new(),
            Some(other) => other.to_string(),
        };
        let attributes = match query.get("attributes") {
            None | Some(Value::Null) => BTreeMap::new(),
            Some(object) => serde_json::from_value(object.clone())
                .map_err(|error| bad(format!("malformed parameter query.attributes: {error}")))?,
        };
        Self::of_texts(text, attributes)
    }

    /// `text` answers the first text that is there under one of a parameter's names.
    fn of_texts(
        text: impl Fn(&[&str]) -> String,
        attributes: BTreeMap<String, String>,
    ) -> Result<Self, ServiceError> {
        no_filter(!text(&["filter"]).is_empty())?;
        let time = |names: &[&str]| match text(names) {
            text if text.is_empty() => Ok(None),
            text => time_of(&format!("query.{}", names[0]), &text).map(Some),
        };
        let duration = |names: &[&str]| match text(names) {
            text if text.is_empty() => Ok(None),
            text => parse_duration_ns(&text).map(Some).map_err(|message| {
                bad(format!("malformed parameter query.{}: {message}", names[0]))
            }),
        };
        let depth = match text(&["searchDepth", "search_depth", "num_traces"]) {
            text if text.is_empty() => 0,
            text => text.parse().map_err(|_| {
                bad(format!("malformed parameter query.searchDepth: {text:?} is no whole number"))
            })?,
        };
        Ok(Self {
            service: text(&["serviceName", "service_name"]),
            operation: text(&["operationName", "operation_name"]),
            attributes: attributes.into_iter().collect(),
            times: (
                time(&["startTimeMin", "start_time_min"])?,
                time(&["startTimeMax", "start_time_max"])?,
            ),
            durations: (
                duration(&["durationMin", "duration_min"])?,
                duration(&["durationMax", "duration_max"])?,
            ),
            limit: limit_of(depth)?,
        })
    }
}

/// RFC 3339, in nanoseconds.
pub(super) fn time_of(name: &str, text: &str) -> Result<i64, ServiceError> {
    let wrong = || bad(format!("malformed parameter {name}: {text:?} is no time of RFC 3339"));
    let time = DateTime::parse_from_rfc3339(text).ok();
    time.and_then(|time| time.timestamp_nanos_opt()).ok_or_else(wrong)
}

/// Seconds and nanoseconds of a message, together.
pub(super) fn nanos(seconds: i64, nanos: i32) -> i64 {
    seconds.saturating_mul(SECOND_NS).saturating_add(i64::from(nanos))
}

/// The times and durations of a message, which are there or not.
macro_rules! nanos_of {
    ($field:expr) => {
        $field.as_ref().map(|field| nanos(field.seconds, field.nanos))
    };
}

pub(super) use nanos_of;

/// A duration of zero asks for nothing.
fn bound(nanos: Option<i64>) -> Option<i64> {
    nanos.filter(|nanos| *nanos != 0)
}

impl TryFrom<&api_v3::FindTracesRequest> for TraceQuestion {
    type Error = ServiceError;

    fn try_from(request: &api_v3::FindTracesRequest) -> Result<Self, ServiceError> {
        let query = request.query.as_ref().ok_or_else(|| bad("the request has no query"))?;
        no_filter(!query.filter.is_empty())?;
        Ok(Self {
            service: query.service_name.clone(),
            operation: query.operation_name.clone(),
            attributes: query.attributes.clone().into_iter().collect(),
            times: (nanos_of!(query.start_time_min), nanos_of!(query.start_time_max)),
            durations: (bound(nanos_of!(query.duration_min)), bound(nanos_of!(query.duration_max))),
            limit: limit_of(query.search_depth.into())?,
        })
    }
}

impl TryFrom<&storage::FindTracesRequest> for TraceQuestion {
    type Error = ServiceError;

    fn try_from(request: &storage::FindTracesRequest) -> Result<Self, ServiceError> {
        let query = request.query.as_ref().ok_or_else(|| bad("the request has no query"))?;
        no_filter(!query.filter.is_empty())?;
        let attributes = query.attributes.iter().map(|attribute| {
            let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
            (attribute.key.clone(), text_of(value))
        });
        Ok(Self {
            service: query.service_name.clone(),
            operation: query.operation_name.clone(),
            attributes: attributes.collect(),
            times: (nanos_of!(query.start_time_min), nanos_of!(query.start_time_max)),
            durations: (bound(nanos_of!(query.duration_min)), bound(nanos_of!(query.duration_max))),
            limit: limit_of(query.search_depth.into())?,
        })
    }
}
