//! `POST /api/v1/import/prometheus` (text) and `/api/v1/import` (JSON lines).

use super::Prometheus;
use crate::commit::{Committed, commit, room_for_batch};
use crate::guard::{ExtraLabels, Guard, Window, count_refused};
use crate::services::{ServiceError, Services};
use crate::{Call, reply};
use axum::http::StatusCode;
use axum::response::Response;
use metric_store::MetricBatch;
use model::{ErrorKind, METRIC_NAME, MetricKind};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use wire::{
    ExemplarRef, LabelBuffer, LabelLimits, MetadataRef, MetricSink, Rejections, TextError,
    TextFormat, TextSample, TextVisitor, parse_exposition,
};

type Read = fn(&Call, &mut Importing<'_>) -> Result<(), ServiceError>;

pub(super) async fn text(prometheus: Arc<Prometheus>, call: Call) -> Response {
    import(prometheus, call, read_text).await
}

pub(super) async fn json_lines(prometheus: Arc<Prometheus>, call: Call) -> Response {
    import(prometheus, call, read_json_lines).await
}

async fn import(prometheus: Arc<Prometheus>, call: Call, read: Read) -> Response {
    let fill = {
        let prometheus = Arc::clone(&prometheus);
        move |call: &Call, batch: &mut MetricBatch| fill(prometheus.services(), call, read, batch)
    };
    match commit(prometheus.services(), call, fill).await {
        Ok((rejected, committed)) => answer(rejected, committed),
        Err(error) => reply::plain_error(error.kind, &error.message),
    }
}

fn answer(mut rejected: Rejections, committed: Committed) -> Response {
    rejected.merge(committed.rejected);
    match rejected.is_empty() {
        true => reply::empty(StatusCode::NO_CONTENT),
        false => {
            let message = format!("{} not stored: {}\n", rejected.count, rejected.summary());
            reply::text(StatusCode::BAD_REQUEST, message)
        }
    }
}

/// Answers what was left out of the batch.
fn fill(
    services: &Services,
    call: &Call,
    read: Read,
    batch: &mut MetricBatch,
) -> Result<Rejections, ServiceError> {
    let now_ms = default_time(call, services.clock.wall_ms())?;
    room_for_batch(call, call.body.len())?;
    call.held.take(memory_of_reading(&call.body))?;
    let mut guard =
        Guard::new(batch, Window::now(services, &call.tenant)).with_labels(ExtraLabels::of(call)?);
    let limits = services.metric_options.labels;
    let mut importing = Importing {
        sink: &mut guard,
        limits,
        now_ms,
        buffer: LabelBuffer::default(),
        exemplar_buffer: LabelBuffer::default(),
        starts: Starts::default(),
        metadata: BTreeMap::new(),
        rejected: Rejections::default(),
    };
    read(call, &mut importing)?;
    let mut rejected = importing.finish();
    rejected.merge(guard.rejected);
    count_refused(&rejected);
    Ok(rejected)
}

/// What a line may take while it is read, for each of its bytes: a value of a JSON line is two of them,
/// a label of a text line five.
const LINE_PER_BYTE: usize = 16;
/// What is kept of a comment, or of a `_created` line, beside its text.
const COMMENT_SIZE: usize = 200;
const CREATED: &str = "_created";

/// What reading a body may take beside the batch: its longest line, and what is kept of comments.
fn memory_of_reading(body: &[u8]) -> usize {
    let (mut longest, mut comments) = (0, 0);
    for line in body.split(|byte| *byte == b'\n') {
        longest = longest.max(line.len());
        if line.starts_with(b"#") {
            comments += line.len() + COMMENT_SIZE;
        }
    }
    longest * LINE_PER_BYTE + comments
}

/// What is kept of `_created` lines.
fn memory_of_starts(text: &str) -> usize {
    let created = text.lines().filter(|line| line.contains(CREATED));
    created.map(|line| line.len() + COMMENT_SIZE).sum()
}

/// `timestamp=` in milliseconds, for samples without a time of their own.
fn default_time(call: &Call, now_ms: i64) -> Result<i64, ServiceError> {
    let bad = |_| ServiceError::new(ErrorKind::Invalid, "timestamp must be in milliseconds");
    call.parameter("timestamp").map_or(Ok(now_ms), |text| text.parse().map_err(bad))
}

/// What both formats do with a series.
struct Importing<'s> {
    sink: &'s mut dyn MetricSink,
    limits: LabelLimits,
    now_ms: i64,
    buffer: LabelBuffer,
    exemplar_buffer: LabelBuffer,
    starts: Starts,
    /// Kept until the end, because the text has kind, help and unit on three lines.
    metadata: BTreeMap<String, (MetricKind, String, String)>,
    rejected: Rejections,
}

impl Importing<'_> {
    /// Whether the series may have samples.
    fn series<'p>(&mut self, pairs: &mut [(&'p str, &'p str)]) -> bool {
        match self.buffer.series(pairs, &self.limits) {
            Ok(labels) => {
                self.sink.series(labels);
                true
            }
            Err(reason) => {
                self.rejected.add(reason.kind(), || reason.to_string());
                false
            }
        }
    }

    fn finish(self) -> Rejections {
        for (metric, (kind, help, unit)) in &self.metadata {
            self.sink.metadata(metric, MetadataRef { kind: *kind, unit, help });
        }
        self.rejected
    }
}

fn utf8(call: &Call) -> Result<&str, ServiceError> {
    std::str::from_utf8(&call.body)
        .map_err(|_| ServiceError::new(ErrorKind::Invalid, "the body is not UTF-8"))
}

fn read_text(call: &Call, into: &mut Importing<'_>) -> Result<(), ServiceError> {
    let format = TextFormat::from_content_type(call.header("content-type"));
    let text = utf8(call)?;
    let invalid = |error: TextError| ServiceError::new(ErrorKind::Invalid, error.to_string());
    if format == TextFormat::OpenMetrics && text.contains(CREATED) {
        call.held.take(memory_of_starts(text))?;
        parse_exposition(format, text, &mut into.starts).map_err(invalid)?;
    }
    parse_exposition(format, text, into).map_err(invalid)
}

/// When counters began, from OpenMetrics' `_created` lines. These come after the samples that they
/// are about, so the page is first read for them alone.
#[derive(Default)]
struct Starts {
    /// By the labels of the family, which are the family's name and all labels but `le` and `quantile`.
    by_family: HashMap<Vec<u8>, i64>,
    buffer: LabelBuffer,
}

impl Starts {
    fn key(&mut self, family: &str, sample: &TextSample<'_>) -> Option<&[u8]> {
        let labels = sample.labels.iter().map(|(name, value)| (&**name, &**value));
        let mut pairs: Vec<(&str, &str)> =
            labels.filter(|(name, _)| !matches!(*name, "le" | "quantile")).collect();
        pairs.push((METRIC_NAME, family));
        self.buffer.any(&mut pairs, &LabelLimits::NONE).ok()
    }

    /// 0 when it is not known.
    fn of(&mut self, sample: &TextSample<'_>) -> i64 {
        if self.by_family.is_empty() {
            return 0;
        }
        let suffixes = ["_total", "_bucket", "_count", "_sum", ""];
        let families = suffixes.into_iter().filter_map(|suffix| sample.name.strip_suffix(suffix));
        for family in families {
            let key = self.key(family, sample).map(<[u8]>::to_vec);
            if let Some(start_ms) = key.and_then(|key| self.by_family.get(&key)) {
                return *start_ms;
            }
        }
        0
    }
}

impl<'a> TextVisitor<'a> for Starts {
    fn kind(&mut self, _: &str, _: MetricKind) {}
    fn help(&mut self, _: &str, _: &str) {}
    fn unit(&mut self, _: &str, _: &str) {}

    fn sample(&mut self, sample: &mut TextSample<'a>) {
        let start_ms = (sample.value * 1000.0).round();
        if !sample.is_created || !start_ms.is_finite() {
            return;
        }
        let family = sample.name.trim_end_matches("_created").to_owned();
        if let Some(key) = self.key(&family, sample).map(<[u8]>::to_vec) {
            self.by_family.insert(key, start_ms as i64);
        }
    }
}

impl<'a> TextVisitor<'a> for Importing<'_> {
    fn kind(&mut self, metric: &str, kind: MetricKind) {
        self.metadata.entry(metric.to_owned()).or_default().0 = kind;
    }

    fn help(&mut self, metric: &str, help: &str) {
        help.clone_into(&mut self.metadata.entry(metric.to_owned()).or_default().1);
    }

    fn unit(&mut self, metric: &str, unit: &str) {
        unit.clone_into(&mut self.metadata.entry(metric.to_owned()).or_default().2);
    }

    fn sample(&mut self, sample: &mut TextSample<'a>) {
        if sample.is_created {
            return;
        }
        let start_ms = self.starts.of(sample);
        let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(sample.labels.len() + 1);
        pairs.push((METRIC_NAME, &sample.name));
        pairs.extend(sample.labels.iter().map(|(name, value)| (&**name, &**value)));
        if !self.series(&mut pairs) {
            return;
        }
        let timestamp_ms = sample.timestamp_ms.unwrap_or(self.now_ms);
        self.sink.sample(timestamp_ms, start_ms, sample.value);
        let Some(exemplar) = &sample.exemplar else { return };
        let mut pairs: Vec<(&str, &str)> =
            exemplar.labels.iter().map(|(name, value)| (&**name, &**value)).collect();
        if let Ok(labels) = self.exemplar_buffer.any(&mut pairs, &LabelLimits::NONE) {
            let timestamp_ms = exemplar.timestamp_ms.unwrap_or(timestamp_ms);
            self.sink.exemplar(ExemplarRef { labels, value: exemplar.value, timestamp_ms });
        }
    }
}

/// A line as `/api/v1/export` writes it.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    metric: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    values: Vec<LineValue>,
    timestamps: Vec<i64>,
}

/// Values for which JSON has no numbers come as words or as null.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum LineValue {
    Number(f64),
    Word(Word),
    Null(()),
}

#[derive(Clone, Copy, Deserialize)]
enum Word {
    #[serde(alias = "Infinity", alias = "Inf")]
    #[serde(rename = "+Inf")]
    Infinite,
    #[serde(alias = "-Infinity")]
    #[serde(rename = "-Inf")]
    NegativeInfinite,
    #[serde(rename = "NaN")]
    NotANumber,
}

impl LineValue {
    fn as_f64(self) -> f64 {
        match self {
            Self::Number(value) => value,
            Self::Word(Word::Infinite) => f64::INFINITY,
            Self::Word(Word::NegativeInfinite) => f64::NEG_INFINITY,
            Self::Word(Word::NotANumber) | Self::Null(()) => f64::NAN,
        }
    }
}

fn read_json_lines(call: &Call, into: &mut Importing<'_>) -> Result<(), ServiceError> {
    let lines = utf8(call)?.split('\n').enumerate().filter(|(_, line)| !line.trim().is_empty());
    for (index, line) in lines {
        let invalid = |message: String| {
            let message = format!("line {}: {message}", index + 1);
            ServiceError::new(ErrorKind::Invalid, message)
        };
        let line: Line<'_> =
            serde_json::from_str(line).map_err(|error| invalid(error.to_string()))?;
        if line.values.len() != line.timestamps.len() {
            return Err(invalid("there are not as many values as timestamps".to_owned()));
        }
        let mut pairs: Vec<(&str, &str)> =
            line.metric.iter().map(|(name, value)| (&**name, &**value)).collect();
        if into.series(&mut pairs) {
            for (value, timestamp_ms) in line.values.iter().zip(&line.timestamps) {
                into.sink.sample(*timestamp_ms, 0, value.as_f64());
            }
        }
    }
    Ok(())
}
