//! The check that every protocol makes before a store sees a sample: whether its time can be stored.
//!
//! A sample that retention would drop at once, or one from too far in the future, is refused, and the
//! refusal names the series, the time and the limit. Times that pass lie within half of what 64 bits
//! can count, so that no distance between two samples overflows.

use crate::services::{Kept, ServiceError, Services};
use crate::{Call, percent_decode};
use chrono::{DateTime, SecondsFormat};
use model::{ErrorKind, FloatHistogram, Labels, LabelsBuilder, TenantId};
use observe::{CounterFamily, Metric};
use std::sync::Arc;
use wire::{ExemplarRef, MetadataRef, MetricSink, Rejections};

static REFUSED: CounterFamily = CounterFamily::new(
    "mirador_samples_refused_total",
    "Samples, series and exemplars that were left out of what was stored, by reason.",
    &["reason"],
);
pub(crate) static METRICS: &[&dyn Metric] = &[&REFUSED];

/// Counts the samples of a request that are left out of its batch.
pub(crate) fn count_refused(refused: &Rejections) {
    refused.kinds.iter().for_each(|(kind, count)| REFUSED.add(&[kind], *count));
}

/// The earliest and the latest time of samples and queries.
pub(crate) const TIME_MIN_MS: i64 = i64::MIN / 2;
pub(crate) const TIME_MAX_MS: i64 = i64::MAX / 2;

/// Characters of a series' labels that a refusal shows.
const SHOWN_MAX: usize = 300;

/// The times that can be stored, both ends included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    oldest_ms: i64,
    latest_ms: i64,
    kept: Kept,
    grace_ms: i64,
}

impl Window {
    /// That of a tenant. While the wall clock is distrusted, only what is too old or too new by any
    /// clock is refused, because senders drop what is refused.
    pub(crate) fn now(services: &Services, tenant: &TenantId) -> Self {
        let wall_ms = services.clock.wall_ms();
        let metrics = services.metrics();
        let (earliest_ms, latest_ms) =
            metrics.map_or((wall_ms, wall_ms), |metrics| metrics.retention_clock.range_ms());
        let kept = *services.metric_retention.of(tenant);
        let grace_ms = services.metric_options.future_grace_ms;
        let oldest_ms =
            kept.age_ms.map_or(TIME_MIN_MS, |age_ms| earliest_ms.saturating_sub(age_ms));
        Self {
            oldest_ms: oldest_ms.max(TIME_MIN_MS),
            latest_ms: latest_ms.saturating_add(grace_ms).min(TIME_MAX_MS),
            kept,
            grace_ms,
        }
    }

    fn refusal(&self, timestamp_ms: i64) -> Option<Refusal> {
        match timestamp_ms {
            _ if timestamp_ms > self.latest_ms => Some(Refusal::Future),
            _ if timestamp_ms < TIME_MIN_MS => Some(Refusal::Range),
            _ if timestamp_ms < self.oldest_ms => Some(Refusal::Retention),
            _ => None,
        }
    }

    pub(crate) fn admits(&self, timestamp_ms: i64) -> bool {
        self.refusal(timestamp_ms).is_none()
    }

    /// Counts a refusal into `rejected`; answers whether there was none.
    pub(crate) fn check(
        &self,
        timestamp_ms: i64,
        rejected: &mut Rejections,
        shown: impl FnOnce() -> String,
    ) -> bool {
        let Some(refusal) = self.refusal(timestamp_ms) else { return true };
        rejected.add(refusal.name(), || self.reason(refusal, &shown(), timestamp_ms));
        false
    }

    fn reason(&self, refusal: Refusal, shown: &str, timestamp_ms: i64) -> String {
        let time = shown_time(timestamp_ms);
        let why = match refusal {
            Refusal::Future => {
                let grace = self.grace_ms / 1000;
                format!("is too far in the future (prometheus.future_grace, {grace} s)")
            }
            Refusal::Retention => {
                let seconds = self.kept.age_ms.unwrap_or_default() / 1000;
                format!("is older than what is kept ({}, {seconds} s)", self.kept.setting)
            }
            Refusal::Range => "can't be stored".to_owned(),
        };
        format!("{shown} has the timestamp {time}, which {why}")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Future,
    Retention,
    Range,
}

impl Refusal {
    fn name(self) -> &'static str {
        match self {
            Self::Future => "future",
            Self::Retention => "retention",
            Self::Range => "range",
        }
    }
}

/// `extra_label=name=value` in the URL of a write, any number of times: VictoriaMetrics' way to add a
/// label to every series of a sender. It replaces a label of the same name.
#[derive(Debug, Default)]
pub(crate) struct ExtraLabels(Vec<(String, String)>);

impl ExtraLabels {
    pub(crate) fn of(call: &Call) -> Result<Self, ServiceError> {
        let pairs = call.query.split('&').filter_map(|pair| pair.split_once('='));
        let texts = pairs.filter(|(name, _)| *name == "extra_label");
        let read = |(_, text): (&str, &str)| {
            let text = percent_decode(text);
            let named =
                text.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty());
            let bad = || ServiceError::new(ErrorKind::Invalid, "extra_label must be name=value");
            named.map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(bad)
        };
        texts.map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Adds what distinguishes a series from those of other senders with the same labels.
    pub(crate) fn append_to(&self, key: &mut Vec<u8>) {
        for text in self.0.iter().flat_map(|(name, value)| [name, value]) {
            key.extend_from_slice(&(text.len() as u64).to_le_bytes());
            key.extend_from_slice(text.as_bytes());
        }
    }

    fn added_to(&self, labels: &[u8]) -> Option<Labels> {
        if self.0.is_empty() {
            return None;
        }
        let mut builder = LabelsBuilder::from_labels(&Labels::from_bytes(labels)?);
        for (name, value) in &self.0 {
            builder.set(name, value);
        }
        Some(builder.build())
    }
}

fn shown_series(bytes: &[u8]) -> String {
    let text = Labels::from_bytes(bytes).map_or_else(String::new, |labels| labels.to_string());
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn shown_time(timestamp_ms: i64) -> String {
    match DateTime::from_timestamp_millis(timestamp_ms) {
        Some(time) => time.to_rfc3339_opts(SecondsFormat::Millis, true),
        None => format!("{timestamp_ms} ms"),
    }
}

/// A sink that passes on what can be stored, and counts the rest.
#[derive(Debug)]
pub(crate) struct Guard<'a, S: ?Sized> {
    sink: &'a mut S,
    window: Window,
    /// The series that was begun last, to be named in refusals.
    series: Vec<u8>,
    /// Labels that are added to every series.
    extra: Arc<ExtraLabels>,
    /// The time of the series' last sample, for exemplars without a time of their own.
    sample_ms: i64,
    pub(crate) rejected: Rejections,
}

impl<'a, S: MetricSink + ?Sized> Guard<'a, S> {
    pub(crate) fn new(sink: &'a mut S, window: Window) -> Self {
        let (series, extra, rejected) = Default::default();
        Self { sink, window, series, extra, sample_ms: 0, rejected }
    }

    pub(crate) fn with_labels(self, extra: impl Into<Arc<ExtraLabels>>) -> Self {
        Self { extra: extra.into(), ..self }
    }

    fn admits(&mut self, what: &str, timestamp_ms: i64) -> bool {
        let Self { window, series, rejected, .. } = self;
        window.check(timestamp_ms, rejected, || format!("{what} of {}", shown_series(series)))
    }
}

/// A start behind its sample, or before the earliest time, counts as unknown.
fn plausible_start(start_ms: i64, timestamp_ms: i64) -> i64 {
    if (TIME_MIN_MS..=timestamp_ms).contains(&start_ms) { start_ms } else { 0 }
}

impl<S: MetricSink + ?Sized> MetricSink for Guard<'_, S> {
    fn series(&mut self, labels: &[u8]) {
        self.series.clear();
        match self.extra.added_to(labels) {
            None => self.series.extend_from_slice(labels),
            Some(more) => self.series.extend_from_slice(more.as_bytes()),
        }
        self.sink.series(&self.series);
    }

    fn sample(&mut self, timestamp_ms: i64, start_ms: i64, value: f64) {
        self.sample_ms = timestamp_ms;
        if self.admits("a sample", timestamp_ms) {
            self.sink.sample(timestamp_ms, plausible_start(start_ms, timestamp_ms), value);
        }
    }

    fn histogram(&mut self, timestamp_ms: i64, start_ms: i64, histogram: FloatHistogram) {
        self.sample_ms = timestamp_ms;
        if self.admits("a histogram", timestamp_ms) {
            self.sink.histogram(timestamp_ms, plausible_start(start_ms, timestamp_ms), histogram);
        }
    }

    fn exemplar(&mut self, mut exemplar: ExemplarRef<'_>) {
        if exemplar.timestamp_ms == 0 {
            exemplar.timestamp_ms = self.sample_ms;
        }
        // An exemplar that is too old is left out without making its sample fail.
        match self.window.refusal(exemplar.timestamp_ms) {
            None => self.sink.exemplar(exemplar),
            Some(refusal) => REFUSED.increment(&[refusal.name()]),
        }
    }

    fn metadata(&mut self, metric: &str, metadata: MetadataRef<'_>) {
        self.sink.metadata(metric, metadata);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times that came through.
    #[derive(Default)]
    struct Times(Vec<(i64, i64)>);

    impl MetricSink for Times {
        fn series(&mut self, _: &[u8]) {}
        fn sample(&mut self, timestamp_ms: i64, start_ms: i64, _: f64) {
            self.0.push((timestamp_ms, start_ms));
        }
        fn histogram(&mut self, _: i64, _: i64, _: FloatHistogram) {}
        fn exemplar(&mut self, exemplar: ExemplarRef<'_>) {
            self.0.push((exemplar.timestamp_ms, -1));
        }
        fn metadata(&mut self, _: &str, _: MetadataRef<'_>) {}
    }

    const NOW_MS: i64 = 1_700_000_000_000;

    fn window(retention_ms: Option<i64>) -> Window {
        Window {
            oldest_ms: retention_ms.map_or(TIME_MIN_MS, |kept| NOW_MS - kept),
            latest_ms: NOW_MS + 1_000,
            kept: Kept { age_ms: retention_ms, setting: "retention.metrics" },
            grace_ms: 1_000,
        }
    }

    fn passed(retention_ms: Option<i64>, times: &[i64]) -> (Vec<i64>, Rejections) {
        let mut sink = Times::default();
        let mut guard = Guard::new(&mut sink, window(retention_ms));
        guard.series(Labels::from_pairs([("__name__", "up"), ("job", "x")]).as_bytes());
        times.iter().for_each(|time| guard.sample(*time, 0, 1.0));
        let rejected = guard.rejected;
        (sink.0.into_iter().map(|(time, _)| time).collect(), rejected)
    }

    #[test]
    fn the_window_ends_where_the_settings_say() {
        let ends = [NOW_MS - 5_000, NOW_MS, NOW_MS + 1_000];
        let outside = [NOW_MS - 5_001, NOW_MS + 1_001, 0, -1, i64::MIN, i64::MAX];
        let (kept, rejected) = passed(Some(5_000), &[&ends[..], &outside[..]].concat());
        assert_eq!(kept, ends);
        assert_eq!(rejected.count, outside.len() as u64);
        assert_eq!(
            rejected.reasons[0],
            "a sample of {__name__=\"up\", job=\"x\"} has the timestamp 2023-11-14T22:13:14.999Z, which is older than what is kept \
             (retention.metrics, 5 s)"
        );
        assert_eq!(
            rejected.reasons[5],
            "a sample of {__name__=\"up\", job=\"x\"} has the timestamp 9223372036854775807 ms, which is too far in the future \
             (prometheus.future_grace, 1 s)"
        );
    }

    #[test]
    fn without_retention_any_time_that_can_be_counted_goes() {
        let (kept, rejected) = passed(None, &[0, -1, TIME_MIN_MS, i64::MIN]);
        assert_eq!(kept, [0, -1, TIME_MIN_MS]);
        assert!(rejected.reasons[0].ends_with("which can't be stored"));
    }

    #[test]
    fn starts_that_cannot_be_are_unknown_and_exemplars_take_the_samples_time() {
        let mut sink = Times::default();
        let mut guard = Guard::new(&mut sink, window(None));
        guard.sample(10, 11, 1.0);
        guard.sample(10, i64::MIN, 1.0);
        guard.sample(10, 9, 1.0);
        guard.exemplar(ExemplarRef { labels: &[], value: 1.0, timestamp_ms: 0 });
        assert_eq!(sink.0, [(10, 0), (10, 0), (10, 9), (10, -1)]);
    }
}
