//! Sends queries to a server and compares the answers of two servers.

use crate::client::Connection;
use crate::support::encoded;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum When {
    /// Seconds.
    Instant(i64),
    /// Start, end and step, in seconds.
    Range(i64, i64, i64),
}

#[derive(Clone, Debug)]
pub(super) struct TimedQuery {
    pub query: String,
    pub when: When,
}

impl TimedQuery {
    pub(super) fn path(&self, query: &str) -> String {
        let query = encoded(query);
        match self.when {
            When::Instant(time) => format!("/api/v1/query?query={query}&time={time}"),
            When::Range(start, end, step) => {
                format!("/api/v1/query_range?query={query}&start={start}&end={end}&step={step}")
            }
        }
    }
}

/// A server's answer, without the parts that can't be compared.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub error_type: String,
    pub error: String,
    pub data: Value,
}

pub(super) fn ask(connection: &mut Connection, path: &str) -> Answer {
    let reply = connection.send("GET", path, &[], b"");
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_else(|error| {
        panic!("{path}: {error}: {:?}", String::from_utf8_lossy(&reply.body))
    });
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    Answer {
        status: reply.status,
        error_type: text("errorType"),
        error: text("error"),
        data: body["data"].clone(),
    }
}

pub(super) fn connect(address: SocketAddr) -> Connection {
    Connection::open(address)
}

/// `None` if both answers are the same; else how they differ.
pub(super) fn difference(expected: &Answer, got: &Answer, ordered: bool) -> Option<String> {
    if expected.status != got.status || expected.error_type != got.error_type {
        return Some(format!(
            "expected {} {} {}, got {} {} {}",
            expected.status,
            expected.error_type,
            expected.error,
            got.status,
            got.error_type,
            got.error
        ));
    }
    if expected.error != got.error {
        return Some(format!("expected the words {:?}, got {:?}", expected.error, got.error));
    }
    let (left, right) = (&expected.data, &got.data);
    if left["resultType"] != right["resultType"] {
        return Some(format!("expected {}, got {}", left["resultType"], right["resultType"]));
    }
    match left["resultType"].as_str() {
        Some("vector" | "matrix") => series_difference(left, right, ordered),
        Some("scalar") => point_difference(&left["result"], &right["result"]),
        _ => (left != right).then(|| format!("expected {left}, got {right}")),
    }
}

fn series_difference(left: &Value, right: &Value, ordered: bool) -> Option<String> {
    let (left, right) = (left["result"].as_array()?, right["result"].as_array()?);
    if ordered {
        let names = |all: &[Value]| all.iter().map(|one| one["metric"].to_string()).collect();
        let (left, right): (Vec<String>, Vec<String>) = (names(left), names(right));
        if left != right {
            return Some(format!("expected the order {left:?}, got {right:?}"));
        }
    }
    let (left, right) = (by_labels(left), by_labels(right));
    for (labels, one) in &left {
        let Some(other) = right.get(labels) else {
            return Some(format!("expected {labels}, which is missing"));
        };
        if let Some(text) = points_difference(one, other) {
            return Some(format!("{labels}: {text}"));
        }
    }
    let more = right.keys().find(|labels| !left.contains_key(*labels))?;
    Some(format!("got {labels}, which is not expected", labels = more))
}

fn by_labels(series: &[Value]) -> BTreeMap<String, &Value> {
    series.iter().map(|one| (one["metric"].to_string(), one)).collect()
}

fn points_difference(left: &Value, right: &Value) -> Option<String> {
    let points = |one: &Value| match one["values"].as_array() {
        Some(values) => values.clone(),
        None => vec![one["value"].clone()],
    };
    let (left, right) = (points(left), points(right));
    if left.len() != right.len() {
        return Some(format!("expected {} points, got {}", left.len(), right.len()));
    }
    left.iter().zip(&right).find_map(|(left, right)| point_difference(left, right))
}

fn point_difference(left: &Value, right: &Value) -> Option<String> {
    let times = left[0].as_f64() == right[0].as_f64();
    (!times || !same(number(&left[1]), number(&right[1])))
        .then(|| format!("expected {left}, got {right}"))
}

pub(super) fn number(text: &Value) -> f64 {
    text.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no number: {text}"))
}

/// Equal except for the last digits; the sign of a zero counts.
fn same(left: f64, right: f64) -> bool {
    if left.is_nan() || right.is_nan() {
        return left.is_nan() && right.is_nan();
    }
    if left == 0.0 && right == 0.0 {
        return left.is_sign_negative() == right.is_sign_negative();
    }
    left == right || (left - right).abs() <= 1e-9 * left.abs().max(right.abs())
}
