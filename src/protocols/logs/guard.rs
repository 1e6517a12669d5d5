//! The sink that every protocol of logs writes through: it adds `service_name` to streams and
//! `detected_level` to lines, and refuses what the limits keep out. The words of refusals are Loki's,
//! because people look for them.
//!
//! Invariant: a line is passed on once, with what was added, or counted as refused once.

use super::level::Level;
use super::settings::LogOptions;
use chrono::{DateTime, SecondsFormat};
use log_store::StreamRules;
use model::{Labels, write_label};
use observe::{Counter, CounterFamily, Metric};
use std::sync::Arc;
use wire::{LogSink, PairList, Rejections};

static REFUSED: CounterFamily = CounterFamily::new(
    "mirador_logs_refused_total",
    "Lines that were left out of what was stored, by reason.",
    &["reason"],
);
static TRUNCATED: Counter =
    Counter::new("mirador_logs_truncated_total", "Lines that were cut to logs.max_line_size.");
pub(crate) static METRICS: &[&dyn Metric] = &[&REFUSED, &TRUNCATED];

const SERVICE_NAME: &str = "service_name";
const UNKNOWN_SERVICE: &str = "unknown_service";
const DETECTED_LEVEL: &str = "detected_level";
const SEVERITY_NUMBER: &str = "severity_number";
const TRUNCATED_FROM: &str = "truncated_from";

/// Counts the lines of a request that are left out of its batch.
pub(crate) fn count_refused(refused: &Rejections) {
    refused.kinds.iter().for_each(|(kind, count)| REFUSED.add(&[kind], *count));
}

/// The earliest and the latest time of lines: no distance between two of them overflows.
const TIME_MIN_NS: i64 = i64::MIN / 2;
const TIME_MAX_NS: i64 = i64::MAX / 2;
const MILLI_NS: i64 = 1_000_000;

/// Characters of a stream's labels that a refusal shows.
const SHOWN_MAX: usize = 300;

/// The times that can be stored, both ends included.
#[derive(Clone, Debug)]
pub(crate) struct LogWindow {
    oldest_ns: i64,
    latest_ns: i64,
    /// The earliest time that it may be now.
    now_ms: i64,
    /// Where streams are not all kept alike.
    rules: Option<Arc<StreamRules>>,
}

impl LogWindow {
    /// `now_ms` is the earliest and the latest time that it may be now, `age_ms` how long lines are
    /// kept. While the wall clock is distrusted, only what is too old or too new by any clock is
    /// refused, because senders drop what is refused.
    pub(crate) fn new(now_ms: (i64, i64), age_ms: Option<i64>, options: &LogOptions) -> Self {
        let latest_ms = now_ms.1.saturating_add(options.future_grace_ms);
        Self {
            oldest_ns: oldest_ns(now_ms.0, age_ms),
            latest_ns: latest_ms.saturating_mul(MILLI_NS).min(TIME_MAX_NS),
            now_ms: now_ms.0,
            rules: None,
        }
    }

    /// The same where single streams have ages of their own.
    pub(crate) fn with_rules(self, rules: &Arc<StreamRules>) -> Self {
        let rules = (!rules.rules.is_empty()).then(|| Arc::clone(rules));
        Self { rules, ..self }
    }

    fn oldest_of(&self, labels: &[u8]) -> i64 {
        let Some(rules) = &self.rules else { return self.oldest_ns };
        oldest_ns(self.now_ms, rules.age_of(&Labels::from_canonical(labels)))
    }
}

fn oldest_ns(now_ms: i64, age_ms: Option<i64>) -> i64 {
    let oldest_ms = age_ms.map_or(i64::MIN, |age_ms| now_ms.saturating_sub(age_ms));
    oldest_ms.saturating_mul(MILLI_NS).max(TIME_MIN_NS)
}

/// Why a line is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    NoLabels,
    LabelCount(usize),
    /// The place of the label in the stream's.
    LabelName(usize),
    LabelValue(usize),
    TooOld(i64),
    TooNew(i64),
    LineSize(usize),
    FieldsSize(usize),
    FieldCount(usize),
}

impl Refusal {
    /// Loki's names of the reasons.
    fn kind(self) -> &'static str {
        match self {
            Self::NoLabels => "missing_labels",
            Self::LabelCount(_) => "max_label_names_per_series",
            Self::LabelName(_) => "label_name_too_long",
            Self::LabelValue(_) => "label_value_too_long",
            Self::TooOld(_) => "greater_than_max_sample_age",
            Self::TooNew(_) => "too_far_in_future",
            Self::LineSize(_) => "line_too_long",
            Self::FieldsSize(_) => "structured_metadata_too_large",
            Self::FieldCount(_) => "structured_metadata_too_many",
        }
    }
}

/// A sink that passes on what can be stored, with what is added to it, and counts the rest.
#[derive(Debug)]
pub(crate) struct LogGuard<'a, S: ?Sized> {
    sink: &'a mut S,
    options: &'a LogOptions,
    window: LogWindow,
    /// The earliest time of lines of the stream.
    oldest_ns: i64,
    /// Whether streams without labels are refused.
    needs_labels: bool,
    /// The labels as the protocol gave them, and as they are passed on.
    given: Vec<u8>,
    labels: Vec<u8>,
    /// Why the lines of the stream are refused.
    stream_refusal: Option<Refusal>,
    /// Whether the sink knows of the stream, which it is told with its first line.
    is_told: bool,
    /// The level that the labels name.
    stream_level: Option<String>,
    pairs: PairList,
    last_refusal: Option<Refusal>,
    passed: u64,
    rejected: Rejections,
    truncated: u64,
}

impl<'a, S: LogSink + ?Sized> LogGuard<'a, S> {
    pub(crate) fn new(sink: &'a mut S, options: &'a LogOptions, window: LogWindow) -> Self {
        let mut guard = Self {
            sink,
            options,
            oldest_ns: window.oldest_ns,
            window,
            needs_labels: false,
            given: Vec::new(),
            labels: Vec::new(),
            stream_refusal: None,
            is_told: false,
            stream_level: None,
            pairs: PairList::default(),
            last_refusal: None,
            passed: 0,
            rejected: Rejections::default(),
            truncated: 0,
        };
        guard.begin();
        guard
    }

    /// Refuses streams without labels from here on.
    pub(crate) fn require_labels(&mut self) {
        self.needs_labels = true;
        self.begin();
    }

    /// Whether lines get the field `detected_level`.
    pub(crate) fn adds_levels(&self) -> bool {
        self.options.levels.is_some()
    }

    /// Lines that were passed on.
    pub(crate) fn passed(&self) -> u64 {
        self.passed
    }

    /// Why the line before was refused, if it was, for protocols that answer line by line.
    pub(crate) fn last_refusal(&self) -> Option<String> {
        self.last_refusal.map(|refusal| self.describe(refusal))
    }

    /// Adds what the decoder refused; counts all of it for the operator, and answers it for the client.
    pub(crate) fn finish(self, mut decoded: Rejections) -> Rejections {
        TRUNCATED.add(self.truncated);
        decoded.merge(self.rejected);
        count_refused(&decoded);
        decoded
    }

    /// Looks at the stream whose labels are in `given`.
    fn begin(&mut self) {
        let Self { given, labels, options, .. } = self;
        let parsed = Labels::from_canonical(given);
        self.stream_refusal = stream_refusal(&parsed, options, self.needs_labels);
        let levels = options.levels.as_ref();
        let named = levels.and_then(|levels| levels.value_of(parsed.iter()));
        self.stream_level = named.map(|value| {
            let known = Level::from_value(value.as_bytes());
            known.map_or_else(|| value.to_owned(), |level| level.name().to_owned())
        });
        labels.clear();
        match service_name(&parsed, options) {
            Some(service) => append_with_service(&parsed, service, labels),
            None => labels.extend_from_slice(given),
        }
        self.oldest_ns = self.window.oldest_of(labels);
        self.is_told = false;
    }

    fn refusal(&self, time_ns: i64, line: &[u8], fields: &[(&str, &str)]) -> Option<Refusal> {
        let Self { options, window, .. } = self;
        if self.stream_refusal.is_some() {
            return self.stream_refusal;
        }
        if time_ns < self.oldest_ns {
            return Some(Refusal::TooOld(time_ns));
        }
        if time_ns > window.latest_ns {
            return Some(Refusal::TooNew(time_ns));
        }
        if line.len() > options.line_max && !options.truncate {
            return Some(Refusal::LineSize(line.len()));
        }
        if fields.len() > options.fields_max {
            return Some(Refusal::FieldCount(fields.len()));
        }
        let size = fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        (size > options.fields_size_max).then_some(Refusal::FieldsSize(size))
    }

    fn describe(&self, refusal: Refusal) -> String {
        let options = self.options;
        let stream = shown_stream(&self.given);
        let label = |index: usize| {
            let labels = Labels::from_canonical(&self.given);
            let name = labels.iter().nth(index).map_or("", |(name, _)| name);
            shown(name, SHOWN_MAX)
        };
        match refusal {
            Refusal::NoLabels => "error at least one label pair is required per stream".to_owned(),
            Refusal::LabelCount(count) => format!(
                "entry for stream '{stream}' has {count} label names; limit {} \
                 (logs.max_label_names_per_series)",
                options.labels_max
            ),
            Refusal::LabelName(index) => format!(
                "stream '{stream}' has label name too long: '{}'; limit {} \
                 (logs.max_label_name_length)",
                label(index),
                options.label_name_max
            ),
            Refusal::LabelValue(index) => format!(
                "stream '{stream}' has label value too long: that of '{}'; limit {} \
                 (logs.max_label_value_length)",
                label(index),
                options.label_value_max
            ),
            Refusal::TooOld(time_ns) => format!(
                "entry for stream '{stream}' has timestamp too old: {}, oldest acceptable timestamp \
                 is: {}",
                shown_time(time_ns),
                shown_time(self.oldest_ns)
            ),
            Refusal::TooNew(time_ns) => format!(
                "entry for stream '{stream}' has timestamp too new: {} (logs.creation_grace_period)",
                shown_time(time_ns)
            ),
            Refusal::LineSize(size) => format!(
                "max entry size '{}' bytes exceeded for stream '{stream}' while adding an entry with \
                 length '{size}' bytes (logs.max_line_size)",
                options.line_max
            ),
            Refusal::FieldsSize(size) => format!(
                "stream '{stream}' has structured metadata too large: '{size}' bytes, limit: '{}' bytes \
                 (logs.max_structured_metadata_size)",
                options.fields_size_max
            ),
            Refusal::FieldCount(count) => format!(
                "stream '{stream}' has too many structured metadata labels: '{count}', limit: '{}' \
                 (logs.max_structured_metadata_entries_count)",
                options.fields_max
            ),
        }
    }
}

/// Why all lines of a stream are refused.
fn stream_refusal(labels: &Labels, options: &LogOptions, needs_labels: bool) -> Option<Refusal> {
    if labels.is_empty() {
        return needs_labels.then_some(Refusal::NoLabels);
    }
    let mut count = 0;
    for (index, (name, value)) in labels.iter().enumerate() {
        if name.len() > options.label_name_max {
            return Some(Refusal::LabelName(index));
        }
        if value.len() > options.label_value_max {
            return Some(Refusal::LabelValue(index));
        }
        // What Mirador would add itself does not count.
        count += usize::from(name != SERVICE_NAME);
    }
    (count > options.labels_max).then_some(Refusal::LabelCount(count))
}

/// The name of the service that a stream is to have and has not.
fn service_name<'l>(labels: &'l Labels, options: &LogOptions) -> Option<&'l str> {
    if options.service_names.is_empty() || labels.get(SERVICE_NAME).is_some() {
        return None;
    }
    let named = options.service_names.iter().find_map(|name| labels.get(name));
    Some(named.unwrap_or(UNKNOWN_SERVICE))
}

fn append_with_service(labels: &Labels, service: &str, out: &mut Vec<u8>) {
    let mut waiting = Some(service);
    for (name, value) in labels.iter() {
        if name > SERVICE_NAME
            && let Some(service) = waiting.take()
        {
            write_label(SERVICE_NAME, service, out);
        }
        write_label(name, value, out);
    }
    if let Some(service) = waiting {
        write_label(SERVICE_NAME, service, out);
    }
}

/// A line's level as the field that says it.
enum Detected<'f> {
    /// The field at this place has it already.
    Already(usize),
    Level(&'static str),
    Text(&'f str),
}

fn detect<'f>(
    options: &LogOptions,
    stream_level: Option<&'f str>,
    line: &[u8],
    fields: &[(&'f str, &'f str)],
) -> Option<Detected<'f>> {
    let levels = options.levels.as_ref()?;
    if let Some(index) = fields.iter().position(|(name, _)| *name == DETECTED_LEVEL) {
        return Some(Detected::Already(index));
    }
    let named = stream_level.or_else(|| levels.value_of(fields.iter().copied()));
    if let Some(value) = named.filter(|value| !value.is_empty()) {
        let known = Level::from_value(value.as_bytes());
        return Some(known.map_or(Detected::Text(value), |level| Detected::Level(level.name())));
    }
    let severity = fields.iter().find(|(name, _)| *name == SEVERITY_NUMBER);
    let level = match severity {
        Some((_, number)) => Level::from_severity(number),
        None => levels.of_line(line),
    };
    Some(Detected::Level(level.name()))
}

/// The beginning of a line that is too long, which ends with a whole character where the line is
/// UTF-8.
fn truncated(line: &[u8], most: usize) -> &[u8] {
    let mut end = most.min(line.len());
    let floor = end.saturating_sub(3);
    while end > floor && line.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
        end -= 1;
    }
    &line[..end]
}

impl<S: LogSink + ?Sized> LogSink for LogGuard<'_, S> {
    fn stream(&mut self, labels: &[u8]) {
        if self.given != labels {
            self.given.clear();
            self.given.extend_from_slice(labels);
            self.begin();
        }
    }

    fn dated_on_arrival(&mut self) {
        self.sink.dated_on_arrival();
    }

    fn line(&mut self, time_ns: i64, line: &[u8], fields: &[(&str, &str)]) {
        self.last_refusal = self.refusal(time_ns, line, fields);
        if let Some(refusal) = self.last_refusal {
            let mut rejected = std::mem::take(&mut self.rejected);
            rejected.add(refusal.kind(), || self.describe(refusal));
            self.rejected = rejected;
            return;
        }
        self.passed += 1;
        if !self.is_told {
            self.sink.stream(&self.labels);
            self.is_told = true;
        }
        let mut digits = itoa::Buffer::new();
        let short = truncated(line, self.options.line_max);
        let from = (short.len() < line.len()).then(|| (TRUNCATED_FROM, digits.format(line.len())));
        self.truncated += u64::from(from.is_some());
        let detected = detect(self.options, self.stream_level.as_deref(), line, fields);
        let sink = &mut *self.sink;
        if from.is_none() && detected.is_none() {
            return sink.line(time_ns, short, fields);
        }
        self.pairs.with(fields.iter().copied().chain(from), |pairs| {
            match detected {
                None => {}
                Some(Detected::Level(name)) => pairs.push((DETECTED_LEVEL, name)),
                Some(Detected::Text(text)) => pairs.push((DETECTED_LEVEL, text)),
                Some(Detected::Already(index)) => {
                    if let Some((_, value)) = pairs.get_mut(index)
                        && let Some(level) = Level::from_value(value.as_bytes())
                    {
                        *value = level.name();
                    }
                }
            }
            sink.line(time_ns, short, pairs);
        });
    }
}

fn shown_stream(bytes: &[u8]) -> String {
    shown(&Labels::from_canonical(bytes).to_string(), SHOWN_MAX)
}

fn shown(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn shown_time(time_ns: i64) -> String {
    DateTime::from_timestamp_nanos(time_ns).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LogsSettings;

    const NOW_MS: i64 = 1_700_000_000_000;
    const NOW_NS: i64 = NOW_MS * MILLI_NS;

    /// Everything that came through, as text.
    #[derive(Debug, Default)]
    struct Heard(Vec<String>);

    impl LogSink for Heard {
        fn stream(&mut self, labels: &[u8]) {
            self.0.push(Labels::from_bytes(labels).unwrap().to_string());
        }
        fn line(&mut self, _: i64, line: &[u8], fields: &[(&str, &str)]) {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
            self.0.push(format!("{} {}", String::from_utf8_lossy(line), fields.join(" ")));
        }
    }

    fn run(
        adjust: impl FnOnce(&mut LogsSettings),
        write: impl FnOnce(&mut LogGuard<'_, Heard>),
    ) -> (Vec<String>, Rejections) {
        let mut settings = LogsSettings::default();
        adjust(&mut settings);
        let options = settings.options();
        let window = LogWindow::new((NOW_MS, NOW_MS), Some(86_400_000), &options);
        let mut heard = Heard::default();
        let mut guard = LogGuard::new(&mut heard, &options, window);
        write(&mut guard);
        let rejected = guard.finish(Rejections::default());
        (heard.0, rejected)
    }

    type Pairs = &'static [(&'static str, &'static str)];

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied())
    }

    fn stream(guard: &mut LogGuard<'_, Heard>, pairs: &[(&str, &str)]) {
        guard.stream(labels(pairs).as_bytes());
    }

    #[test]
    fn streams_get_the_name_of_their_service() {
        let (heard, _) = run(
            |_| {},
            |guard| {
                for pairs in [
                    &[("a", "1"), ("z", "2")][..],
                    &[("job", "j"), ("container", "c"), ("z", "2")],
                    &[("service_name", "mine"), ("app", "x")],
                    &[("service_name", "mine"), ("app", "x")],
                    &[],
                ] {
                    stream(guard, pairs);
                    guard.line(NOW_NS, b"", &[]);
                }
                stream(guard, &[("without", "lines")]);
            },
        );
        let streams: Vec<_> = heard.iter().filter(|line| line.starts_with('{')).collect();
        assert_eq!(
            streams,
            [
                r#"{a="1", service_name="unknown_service", z="2"}"#,
                r#"{container="c", job="j", service_name="c", z="2"}"#,
                r#"{app="x", service_name="mine"}"#,
                r#"{service_name="unknown_service"}"#,
            ]
        );
        let off = |settings: &mut LogsSettings| settings.discover_service_name.clear();
        let (heard, _) = run(off, |guard| {
            stream(guard, &[("a", "1")]);
            guard.line(NOW_NS, b"", &[]);
        });
        assert_eq!(heard[0], r#"{a="1"}"#);
    }

    #[test]
    fn lines_get_their_level() {
        let (heard, _) = run(
            |_| {},
            |guard| {
                guard.line(NOW_NS, b"an error", &[("a", "b")]);
                guard.line(NOW_NS, b"an error", &[("severity_number", "9")]);
                guard.line(
                    NOW_NS,
                    b"an error",
                    &[("severity_number", "9"), ("severity_text", "WARN")],
                );
                guard.line(NOW_NS, b"x", &[("level", "notice")]);
                guard.line(NOW_NS, b"an error", &[("detected_level", "INFO"), ("a", "b")]);
                stream(guard, &[("level", "Wrn")]);
                guard.line(NOW_NS, b"an error", &[]);
            },
        );
        assert_eq!(
            heard,
            [
                r#"{service_name="unknown_service"}"#,
                "an error a=b detected_level=error",
                "an error severity_number=9 detected_level=info",
                "an error severity_number=9 severity_text=WARN detected_level=warn",
                "x level=notice detected_level=notice",
                "an error detected_level=info a=b",
                r#"{level="Wrn", service_name="unknown_service"}"#,
                "an error detected_level=warn",
            ]
        );
        let off = |settings: &mut LogsSettings| settings.discover_log_levels = false;
        assert_eq!(run(off, |guard| guard.line(NOW_NS, b"an error", &[])).0[1], "an error ");
    }

    fn reason_of(
        adjust: impl FnOnce(&mut LogsSettings),
        write: impl FnOnce(&mut LogGuard<'_, Heard>),
    ) -> String {
        let (heard, rejected) = run(adjust, |guard| {
            write(guard);
            assert!(guard.last_refusal().is_some());
        });
        assert!(heard.is_empty(), "{heard:?}");
        assert_eq!(rejected.count, 1);
        format!("{}: {}", rejected.kinds[0].0, rejected.reasons[0])
    }

    #[test]
    fn what_is_beyond_a_limit_is_refused_by_its_name() {
        let one = |settings: &mut LogsSettings| {
            settings.max_line_size = ByteSize(5);
            settings.max_label_names_per_series = 1;
            settings.max_label_name_length = ByteSize(3);
            settings.max_label_value_length = ByteSize(4);
            settings.max_structured_metadata_size = ByteSize(6);
            settings.max_structured_metadata_entries_count = 2;
        };
        use crate::settings::ByteSize;
        let cases: [(Pairs, i64, &str, Pairs, &str); 8] = [
            (
                &[("a", "1"), ("b", "2")],
                0,
                "x",
                &[],
                "max_label_names_per_series: entry for stream '{a=\"1\", b=\"2\"}' has 2 label names; limit 1 (logs.max_label_names_per_series)",
            ),
            (
                &[("abcd", "1")],
                0,
                "x",
                &[],
                "label_name_too_long: stream '{abcd=\"1\"}' has label name too long: 'abcd'; limit 3 (logs.max_label_name_length)",
            ),
            (
                &[("a", "12345")],
                0,
                "x",
                &[],
                "label_value_too_long: stream '{a=\"12345\"}' has label value too long: that of 'a'; limit 4 (logs.max_label_value_length)",
            ),
            (
                &[],
                -90_000,
                "x",
                &[],
                "greater_than_max_sample_age: entry for stream '{}' has timestamp too old: 2023-11-13T21:13:20Z, oldest acceptable timestamp is: 2023-11-13T22:13:20Z",
            ),
            (
                &[],
                601,
                "x",
                &[],
                "too_far_in_future: entry for stream '{}' has timestamp too new: 2023-11-14T22:23:21Z (logs.creation_grace_period)",
            ),
            (
                &[],
                0,
                "123456",
                &[],
                "line_too_long: max entry size '5' bytes exceeded for stream '{}' while adding an entry with length '6' bytes (logs.max_line_size)",
            ),
            (
                &[],
                0,
                "x",
                &[("a", "123456")],
                "structured_metadata_too_large: stream '{}' has structured metadata too large: '7' bytes, limit: '6' bytes (logs.max_structured_metadata_size)",
            ),
            (
                &[],
                0,
                "x",
                &[("a", ""), ("b", ""), ("c", "")],
                "structured_metadata_too_many: stream '{}' has too many structured metadata labels: '3', limit: '2' (logs.max_structured_metadata_entries_count)",
            ),
        ];
        for (labels, seconds, line, fields, expected) in cases {
            let reason = reason_of(one, |guard| {
                if !labels.is_empty() {
                    stream(guard, labels);
                }
                guard.line(NOW_NS + seconds * 1_000_000_000, line.as_bytes(), fields);
            });
            assert_eq!(reason, expected);
        }
        let reason = reason_of(
            |_| {},
            |guard| {
                guard.require_labels();
                guard.line(NOW_NS, b"x", &[]);
            },
        );
        assert_eq!(reason, "missing_labels: error at least one label pair is required per stream");
    }

    #[test]
    fn long_lines_are_cut_between_characters_where_that_is_set() {
        let cut = |settings: &mut LogsSettings| {
            settings.max_line_size = crate::settings::ByteSize(5);
            settings.max_line_size_truncate = true;
        };
        let (heard, rejected) = run(cut, |guard| {
            guard.line(NOW_NS, "12345".as_bytes(), &[]);
            guard.line(NOW_NS, "한글이 error".as_bytes(), &[("a", "b")]);
            guard.line(NOW_NS, &[0x80; 9], &[]);
        });
        let heard = &heard[1..];
        assert_eq!(heard[0], "12345 detected_level=unknown");
        assert_eq!(heard[1], "한 a=b truncated_from=15 detected_level=error");
        assert!(heard[2].ends_with(" truncated_from=9 detected_level=unknown"));
        assert!(rejected.is_empty());
    }

    #[test]
    fn any_time_is_stored_or_refused_without_retention() {
        let options = LogOptions::default();
        let window = LogWindow::new((NOW_MS, NOW_MS), None, &options);
        let mut heard = Heard::default();
        let mut guard = LogGuard::new(&mut heard, &options, window);
        for time in [i64::MIN, i64::MAX, TIME_MIN_NS - 1] {
            guard.line(time, b"x", &[]);
            assert!(guard.last_refusal().is_some());
        }
        for time in [0, -1, TIME_MIN_NS, NOW_NS] {
            guard.line(time, b"x", &[]);
            assert_eq!(guard.last_refusal(), None);
        }
        assert_eq!((guard.passed(), guard.finish(Rejections::default()).count), (4, 3));
    }
}
