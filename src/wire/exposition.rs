//! The text formats of metrics: Prometheus 0.0.4 (and 1.0.0) and OpenMetrics 1.0.
//!
//! Lives here: one line-by-line parser for both, which tells a visitor what it reads.
//! Not here: what the metrics become (scraping, importing).
//! Invariants: no recursion; nothing is copied but texts with escapes; an error names its line.
//!
//! Where the formats differ: OpenMetrics ends with `# EOF`, has `# UNIT`, and its timestamps are
//! seconds; the older one's are milliseconds and it allows free comments. Exemplars belong to
//! OpenMetrics, but some exporters send them in the older format: they are read there too.

use model::MetricKind;
use std::borrow::Cow;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFormat {
    Prometheus,
    OpenMetrics,
}

impl TextFormat {
    /// The format that a `Content-Type` header names; the older one if it names neither.
    pub fn from_content_type(value: &str) -> Self {
        let media_type = value.split(';').next().unwrap_or("").trim();
        if media_type.eq_ignore_ascii_case("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }
}

/// Texts with escapes are copied, all others are borrowed from the page.
pub type TextLabel<'a> = (Cow<'a, str>, Cow<'a, str>);

#[derive(Clone, Debug, PartialEq)]
pub struct TextExemplar<'a> {
    pub labels: Vec<TextLabel<'a>>,
    pub value: f64,
    pub timestamp_ms: Option<i64>,
}

/// One line with a value.
#[derive(Clone, Debug, PartialEq)]
pub struct TextSample<'a> {
    pub name: Cow<'a, str>,
    /// In the order of the page, without the name.
    pub labels: Vec<TextLabel<'a>>,
    pub value: f64,
    pub timestamp_ms: Option<i64>,
    pub exemplar: Option<TextExemplar<'a>>,
    /// OpenMetrics' `_created` of a counter, histogram or summary: the value is when it began.
    pub is_created: bool,
}

/// Receives what the parser reads, in the order of the lines.
pub trait TextVisitor<'a> {
    fn kind(&mut self, metric: &str, kind: MetricKind);
    fn help(&mut self, metric: &str, help: &str);
    fn unit(&mut self, metric: &str, unit: &str);
    /// The visitor may change the sample: the parser reuses its memory for the next one.
    fn sample(&mut self, sample: &mut TextSample<'a>);
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct TextError {
    pub line: usize,
    pub message: &'static str,
}

type Result<T> = std::result::Result<T, &'static str>;

/// Reads a whole page of metrics. Lines before an error have reached the visitor by then.
pub fn parse_exposition<'a>(
    format: TextFormat,
    text: &'a str,
    visitor: &mut impl TextVisitor<'a>,
) -> std::result::Result<(), TextError> {
    let mut lines = TextLines::new(format, text);
    let mut page = Page { format, family: Family::default(), sample: empty_sample() };
    while let Some(line) = lines.next_line()? {
        page.line(line, visitor).map_err(|message| lines.error(message))?;
    }
    Ok(())
}

/// The lines of a page that say something: neither blank ones nor `# EOF`, whose rules are kept here.
/// Who knows a line from the page before need not have it parsed again.
#[derive(Clone, Debug)]
pub struct TextLines<'a> {
    format: TextFormat,
    rest: &'a str,
    /// The number of the line that was read last.
    line: usize,
    ended: bool,
}

impl<'a> TextLines<'a> {
    pub fn new(format: TextFormat, text: &'a str) -> Self {
        Self { format, rest: text, line: 0, ended: false }
    }

    /// Goes on where a line begins.
    pub fn behind(format: TextFormat, text: &'a str, at: usize) -> Self {
        let line = memchr::memchr_iter(b'\n', &text.as_bytes()[..at]).count();
        Self { format, rest: &text[at..], line, ended: false }
    }

    /// An error on the line that was read last.
    pub fn error(&self, message: &'static str) -> TextError {
        TextError { line: self.line, message }
    }

    #[inline]
    pub fn next_line(&mut self) -> std::result::Result<Option<&'a str>, TextError> {
        while !self.rest.is_empty() {
            self.line += 1;
            let end = memchr::memchr(b'\n', self.rest.as_bytes());
            let line = &self.rest[..end.unwrap_or(self.rest.len())];
            self.rest = end.map_or("", |end| &self.rest[end + 1..]);
            if self.ended {
                return Err(self.error("there is more behind # EOF"));
            }
            let is_open_metrics = self.format == TextFormat::OpenMetrics;
            let line = if is_open_metrics { line } else { line.trim_matches([' ', '\t', '\r']) };
            match line {
                "# EOF" if is_open_metrics => self.ended = true,
                "" if is_open_metrics => return Err(self.error("a line is empty")),
                "" => {}
                line => return Ok(Some(line)),
            }
        }
        if self.format == TextFormat::OpenMetrics && !self.ended {
            self.line += 1;
            return Err(self.error("the page does not end with # EOF"));
        }
        Ok(None)
    }
}

fn empty_sample<'a>() -> TextSample<'a> {
    TextSample {
        name: Cow::Borrowed(""),
        labels: Vec::new(),
        value: 0.0,
        timestamp_ms: None,
        exemplar: None,
        is_created: false,
    }
}

/// A comment that says something about a family.
#[derive(Clone, Debug, PartialEq)]
pub enum TextComment<'a> {
    Kind { metric: Cow<'a, str>, kind: MetricKind },
    Help { metric: Cow<'a, str>, help: Cow<'a, str> },
    Unit { metric: Cow<'a, str>, unit: &'a str },
}

/// Reads a line that begins with `#`. `None`: it is for people.
pub fn parse_comment(format: TextFormat, line: &str) -> Result<Option<TextComment<'_>>> {
    let mut cursor = Cursor { rest: line.strip_prefix('#').ok_or("a comment begins with #")? };
    cursor.blanks();
    let keyword = cursor.word();
    if !matches!(keyword, "HELP" | "TYPE" | "UNIT") {
        let strict = (format == TextFormat::OpenMetrics)
            .then_some("a comment is none of HELP, TYPE, UNIT and EOF");
        return strict.map_or(Ok(None), Err);
    }
    cursor.blanks();
    let metric = cursor.metric_name()?;
    cursor.blanks();
    Ok(Some(match keyword {
        "HELP" => TextComment::Help { metric, help: unescape(cursor.rest) },
        "UNIT" => TextComment::Unit { metric, unit: cursor.rest },
        _ => TextComment::Kind { metric, kind: kind(cursor.rest, format)? },
    }))
}

/// Reads the name and the labels at the beginning of a line with a value, and returns what is behind.
/// The labels are appended in the order of the line.
pub fn parse_series<'a>(
    line: &'a str,
    labels: &mut Vec<TextLabel<'a>>,
) -> Result<(Cow<'a, str>, &'a str)> {
    let mut cursor = Cursor { rest: line };
    let mut name = cursor.bare_name();
    let bare = cursor.rest;
    cursor.blanks();
    if cursor.take('{') {
        cursor.labels(labels, Some(&mut name))?;
    } else {
        cursor.rest = bare;
    }
    if name.is_empty() {
        return Err("a line has no metric name");
    }
    Ok((name, cursor.rest))
}

/// What a line says behind its series.
#[derive(Clone, Debug, PartialEq)]
pub struct TextValues<'a> {
    pub value: f64,
    pub timestamp_ms: Option<i64>,
    pub exemplar: Option<TextExemplar<'a>>,
}

/// Reads what [`parse_series`] left of a line.
#[inline]
pub fn parse_values(format: TextFormat, rest: &str) -> Result<TextValues<'_>> {
    let mut cursor = Cursor { rest };
    cursor.blanks();
    let value = number(cursor.word())?;
    let mut values = TextValues { value, timestamp_ms: None, exemplar: None };
    cursor.blanks();
    if cursor.rest.is_empty() {
        return Ok(values);
    }
    values.timestamp_ms = cursor.timestamp(format)?;
    cursor.blanks();
    if cursor.take('#') {
        values.exemplar = Some(cursor.exemplar()?);
    }
    if cursor.rest.is_empty() { Ok(values) } else { Err("there is more behind the value") }
}

/// Whole numbers of so many digits are floats without loss.
const EXACT_DIGITS: usize = 15;

/// A value with nothing but the end of the line behind it, and its length in bytes.
#[inline]
pub fn plain_value(text: &str) -> Option<(f64, usize)> {
    let (mut whole, mut length) = (0_u64, 0);
    for byte in text.bytes().take(EXACT_DIGITS + 1).take_while(u8::is_ascii_digit) {
        whole = whole * 10 + u64::from(byte - b'0');
        length += 1;
    }
    let ends = text.as_bytes().get(length).is_none_or(|byte| *byte == b'\n');
    if ends && (1..=EXACT_DIGITS).contains(&length) {
        return Some((whole as f64, length));
    }
    let length = memchr::memchr(b'\n', text.as_bytes()).unwrap_or(text.len());
    let value = number(&text[..length]).ok()?;
    Some((value, length))
}

/// The family that `# TYPE` named last: what its samples' names and labels mean.
#[derive(Clone, Debug, Default)]
pub struct TextFamily<'a> {
    pub name: Cow<'a, str>,
    pub kind: MetricKind,
}

type Family<'a> = TextFamily<'a>;

impl TextFamily<'_> {
    /// Whether a sample of this name is OpenMetrics' `_created`.
    pub fn is_created(&self, sample: &str) -> bool {
        let begins =
            matches!(self.kind, MetricKind::Counter | MetricKind::Histogram | MetricKind::Summary);
        begins && sample.strip_suffix("_created").is_some_and(|family| family == self.name)
    }

    /// `le="1"` and `le="1.0"` are one bucket, so both are stored as OpenMetrics writes floats.
    pub fn normalise_bound(&self, labels: &mut [TextLabel<'_>]) {
        let bound = match self.kind {
            MetricKind::Histogram => "le",
            MetricKind::Summary => "quantile",
            _ => return,
        };
        for (_, value) in labels.iter_mut().filter(|(name, _)| name == bound) {
            if let Some(float) = number(value).ok().map(float_text).filter(|float| float != value) {
                *value = Cow::Owned(float);
            }
        }
    }
}

struct Page<'a> {
    format: TextFormat,
    family: Family<'a>,
    sample: TextSample<'a>,
}

impl<'a> Page<'a> {
    fn line(&mut self, line: &'a str, visitor: &mut impl TextVisitor<'a>) -> Result<()> {
        if line.starts_with('#') {
            match parse_comment(self.format, line)? {
                None => {}
                Some(TextComment::Help { metric, help }) => visitor.help(&metric, &help),
                Some(TextComment::Unit { metric, unit }) => visitor.unit(&metric, unit),
                Some(TextComment::Kind { metric, kind }) => {
                    visitor.kind(&metric, kind);
                    self.family = Family { name: metric, kind };
                }
            }
            return Ok(());
        }
        let sample = &mut self.sample;
        sample.labels.clear();
        let (name, rest) = parse_series(line, &mut sample.labels)?;
        sample.name = name;
        let TextValues { value, timestamp_ms, exemplar } = parse_values(self.format, rest)?;
        (sample.value, sample.timestamp_ms, sample.exemplar) = (value, timestamp_ms, exemplar);
        sample.is_created = self.family.is_created(&sample.name);
        self.family.normalise_bound(&mut sample.labels);
        visitor.sample(sample);
        Ok(())
    }
}

/// What is left of a line.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn take(&mut self, wanted: char) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn split(&mut self, at: usize) -> &'a str {
        let (head, rest) = self.rest.split_at(at);
        self.rest = rest;
        head
    }

    /// Up to the next blank.
    #[inline]
    fn word(&mut self) -> &'a str {
        let is_blank = |byte: u8| byte == b' ' || byte == b'\t';
        self.split(self.rest.bytes().position(is_blank).unwrap_or(self.rest.len()))
    }

    /// Letters, digits, `_`, `:`: as far as they go, possibly nothing.
    fn bare_name(&mut self) -> Cow<'a, str> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':';
        let end = self.rest.bytes().position(|byte| !is_name(byte)).unwrap_or(self.rest.len());
        if self.rest.starts_with(|first: char| first.is_ascii_digit()) {
            return Cow::Borrowed("");
        }
        Cow::Borrowed(self.split(end))
    }

    fn metric_name(&mut self) -> Result<Cow<'a, str>> {
        let name = if self.rest.starts_with('"') { self.quoted()? } else { self.bare_name() };
        if name.is_empty() { Err("a comment has no metric name") } else { Ok(name) }
    }

    /// Behind the opening brace, to the closing one. A quoted text without a value is the metric's
    /// name, where there may be one.
    fn labels(
        &mut self,
        labels: &mut Vec<TextLabel<'a>>,
        mut metric: Option<&mut Cow<'a, str>>,
    ) -> Result<()> {
        loop {
            self.blanks();
            if self.take('}') {
                return Ok(());
            }
            let is_quoted = self.rest.starts_with('"');
            let name = if is_quoted { self.quoted()? } else { self.bare_name() };
            self.blanks();
            if self.take('=') {
                self.blanks();
                labels.push((name, self.quoted()?));
            } else if is_quoted && let Some(metric) = metric.take_if(|metric| metric.is_empty()) {
                *metric = name;
            } else {
                return Err("a label has no value");
            }
            self.blanks();
            if !self.take(',') && !self.rest.starts_with('}') {
                return Err("a list of labels does not end with }");
            }
        }
    }

    fn quoted(&mut self) -> Result<Cow<'a, str>> {
        if !self.take('"') {
            return Err("a text does not begin with a quote");
        }
        let mut escaped = false;
        let end = self.rest.bytes().position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let text = self.split(end.ok_or("a text does not end with a quote")?);
        self.rest = &self.rest[1..];
        Ok(unescape(text))
    }

    fn timestamp(&mut self, format: TextFormat) -> Result<Option<i64>> {
        if self.rest.is_empty() || self.rest.starts_with('#') {
            return Ok(None);
        }
        let word = self.word();
        match format {
            TextFormat::Prometheus => {
                word.parse().map(Some).map_err(|_| "a timestamp is no whole number of milliseconds")
            }
            TextFormat::OpenMetrics => seconds(word).map(Some),
        }
    }

    /// Behind the `#`.
    fn exemplar(&mut self) -> Result<TextExemplar<'a>> {
        self.blanks();
        if !self.take('{') {
            return Err("an exemplar has no labels");
        }
        let mut labels = Vec::new();
        self.labels(&mut labels, None)?;
        self.blanks();
        let value = number(self.word())?;
        self.blanks();
        let timestamp_ms = self.timestamp(TextFormat::OpenMetrics)?;
        self.blanks();
        Ok(TextExemplar { labels, value, timestamp_ms })
    }
}

/// Numbers as Go reads them, without its hexadecimal and underscores.
#[inline]
fn number(word: &str) -> Result<f64> {
    match word.bytes().any(|byte| matches!(byte, b'x' | b'X' | b'_' | b'p' | b'P')) {
        true => Err("a value is no number"),
        false => word.parse().map_err(|_| "a value is no number"),
    }
}

/// As OpenMetrics writes floats: `1.0`, `0.25`, `1e+06`, `+Inf`.
pub fn float_text(float: f64) -> String {
    if !float.is_finite() {
        let sign = if float.is_sign_negative() { "-Inf" } else { "+Inf" };
        return if float.is_nan() { "NaN" } else { sign }.to_owned();
    }
    let printed = format!("{float:e}");
    let (digits, exponent) = printed.split_once('e').expect("this format has an exponent");
    let exponent: i32 = exponent.parse().expect("and it is a number");
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.unsigned_abs());
    }
    let plain = format!("{float}");
    if plain.contains('.') { plain } else { plain + ".0" }
}

fn seconds(word: &str) -> Result<i64> {
    let seconds = number(word).ok().filter(|seconds| seconds.is_finite());
    let millis = seconds.map(|seconds| (seconds * 1000.0).round());
    let in_range = millis.filter(|millis| millis.abs() < 9.2e18);
    in_range.map(|millis| millis as i64).ok_or("a timestamp is no number of seconds")
}

fn kind(word: &str, format: TextFormat) -> Result<MetricKind> {
    match word {
        "counter" => Ok(MetricKind::Counter),
        "gauge" => Ok(MetricKind::Gauge),
        "histogram" => Ok(MetricKind::Histogram),
        "summary" => Ok(MetricKind::Summary),
        "untyped" | "unknown" => Ok(MetricKind::Unknown),
        "gaugehistogram" if format == TextFormat::OpenMetrics => Ok(MetricKind::GaugeHistogram),
        "info" if format == TextFormat::OpenMetrics => Ok(MetricKind::Info),
        "stateset" if format == TextFormat::OpenMetrics => Ok(MetricKind::StateSet),
        _ => Err("a metric has an unknown type"),
    }
}

/// `\\`, `\"` and `\n`; any other backslash stands for itself.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(char) = rest.next() {
        match (char, rest.as_str().chars().next()) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some(next @ ('\\' | '"'))) => out.push(next),
            _ => {
                out.push(char);
                continue;
            }
        }
        rest.next();
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Default)]
    struct Heard(Vec<String>);

    impl<'a> TextVisitor<'a> for Heard {
        fn kind(&mut self, metric: &str, kind: MetricKind) {
            self.0.push(format!("{metric} is a {}", kind.as_str()));
        }
        fn help(&mut self, metric: &str, help: &str) {
            self.0.push(format!("{metric} helps: {help:?}"));
        }
        fn unit(&mut self, metric: &str, unit: &str) {
            self.0.push(format!("{metric} counts {unit}"));
        }
        fn sample(&mut self, sample: &mut TextSample<'a>) {
            let labels: Vec<_> = sample.labels.iter().map(|(n, v)| format!("{n}={v:?}")).collect();
            let mut line = format!("{} {labels:?} {}", sample.name, sample.value);
            if let Some(time) = sample.timestamp_ms {
                line += &format!(" @{time}");
            }
            if let Some(exemplar) = &sample.exemplar {
                line += &format!(" e.g. {:?} {}", exemplar.labels, exemplar.value);
                line += &format!(" @{:?}", exemplar.timestamp_ms);
            }
            if sample.is_created {
                line += " (created)";
            }
            self.0.push(line);
        }
    }

    fn check(format: TextFormat, text: &str, expected: &[&str]) {
        let mut heard = Heard::default();
        parse_exposition(format, text, &mut heard).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(heard.0, expected);
    }

    fn check_error(format: TextFormat, text: &str, expected: &str) {
        let error = parse_exposition(format, text, &mut Heard::default()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn prometheus_text() {
        let text = "# HELP up Is it \\\\ up\\n?\n# TYPE up gauge\n# just a comment\n\n\
                    up 1\n up{ job = \"a\\\"b\\n\", x=\"\" , } +Inf 1700000000000 \r\n\
                    {\"my.metric\",\"label.x\"=\"v\"} NaN\nweird{} 1.5e-3 -5\n\
                    shown 1 # {a=\"b\"} 2\nshown 1 5 # {} 2 1.5";
        let expected = [
            "up helps: \"Is it \\\\ up\\n?\"",
            "up is a gauge",
            "up [] 1",
            "up [\"job=\\\"a\\\\\\\"b\\\\n\\\"\", \"x=\\\"\\\"\"] inf @1700000000000",
            "my.metric [\"label.x=\\\"v\\\"\"] NaN",
            "weird [] 0.0015 @-5",
            "shown [] 1 e.g. [(\"a\", \"b\")] 2 @None",
            "shown [] 1 @5 e.g. [] 2 @Some(1500)",
        ];
        check(TextFormat::Prometheus, text, &expected);
    }

    #[test]
    fn open_metrics() {
        let text = "# TYPE foo_seconds counter\n# UNIT foo_seconds seconds\n\
                    foo_seconds_total{a=\"b\"} 1 1.5 # {trace_id=\"x\"} 0.5 1.25\n\
                    foo_seconds_created{a=\"b\"} 1520430000.123\n\
                    # TYPE bar gauge\nbar_created 2 # {} 3\n# EOF\n";
        let expected = [
            "foo_seconds is a counter",
            "foo_seconds counts seconds",
            "foo_seconds_total [\"a=\\\"b\\\"\"] 1 @1500 e.g. [(\"trace_id\", \"x\")] 0.5 @Some(1250)",
            "foo_seconds_created [\"a=\\\"b\\\"\"] 1520430000.123 (created)",
            "bar is a gauge",
            "bar_created [] 2 e.g. [] 3 @None",
        ];
        check(TextFormat::OpenMetrics, text, &expected);
    }

    #[test]
    fn bounds_are_floats_whoever_writes_them() {
        let text = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\n\
                    h_bucket{le=\"x\"} 1\n# TYPE s summary\ns{quantile=\"0.50\",le=\"1\"} 1\n\
                    # TYPE g gauge\ng{le=\"1\"} 1\n";
        let expected = [
            "h is a histogram",
            "h_bucket [\"le=\\\"1.0\\\"\"] 1",
            "h_bucket [\"le=\\\"+Inf\\\"\"] 1",
            "h_bucket [\"le=\\\"x\\\"\"] 1",
            "s is a summary",
            "s [\"quantile=\\\"0.5\\\"\", \"le=\\\"1\\\"\"] 1",
            "g is a gauge",
            "g [\"le=\\\"1\\\"\"] 1",
        ];
        check(TextFormat::Prometheus, text, &expected);
        for (float, shown) in [
            (0.0, "0.0"),
            (-1.0, "-1.0"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (100_000.0, "100000.0"),
            (1e6, "1e+06"),
            (1.5e300, "1.5e+300"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(float_text(float), shown);
        }
    }

    #[test]
    fn errors_name_their_line() {
        let old = TextFormat::Prometheus;
        check_error(old, "a 1\nb", "line 2: a value is no number");
        check_error(old, "a 0x1", "line 1: a value is no number");
        check_error(old, "a{b=\"c} 1", "line 1: a text does not end with a quote");
        check_error(old, "a{b} 1", "line 1: a label has no value");
        check_error(old, "a{b=\"c\" d=\"e\"} 1", "line 1: a list of labels does not end with }");
        check_error(old, "a 1 1.5", "line 1: a timestamp is no whole number of milliseconds");
        check_error(old, "a 1 # x", "line 1: an exemplar has no labels");
        check_error(old, "a 1 1 1", "line 1: there is more behind the value");
        check_error(old, "{} 1", "line 1: a line has no metric name");
        check_error(old, "a{\"b\"} 1", "line 1: a label has no value");
        check_error(old, "# TYPE a x", "line 1: a metric has an unknown type");
        let new = TextFormat::OpenMetrics;
        check_error(new, "a 1\n", "line 2: the page does not end with # EOF");
        check_error(new, "# EOF\na 1\n", "line 2: there is more behind # EOF");
        check_error(new, "\n# EOF\n", "line 1: a line is empty");
        check_error(new, "a 1 NaN\n# EOF", "line 1: a timestamp is no number of seconds");
    }

    proptest! {
        #[test]
        fn any_text_ends_in_samples_or_an_error(text in "([a-c#{}=\", \\\\\n.0-9]|# TYPE |\\PC){0,60}") {
            for format in [TextFormat::Prometheus, TextFormat::OpenMetrics] {
                let mut heard = Heard::default();
                let _ = parse_exposition(format, &text, &mut heard);
                prop_assert!(heard.0.len() <= text.len());
            }
        }

        #[test]
        fn what_is_written_is_read(
            labels in prop::collection::vec(("[a-z]{1,5}", "\\PC{0,9}|[\\\\\"\n]{1,4}"), 0..4),
            value: f64, time: Option<i64>,
        ) {
            let escaped = |v: &str| v.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let list: Vec<_> = labels.iter().map(|(n, v)| format!("{n}=\"{}\"", escaped(v))).collect();
            let time_text = time.map_or(String::new(), |time| format!(" {time}"));
            let text = format!("m{{{}}} {value}{time_text}\n", list.join(","));
            let mut read = Kept(None);
            parse_exposition(TextFormat::Prometheus, &text, &mut read).unwrap();
            let sample = read.0.unwrap();
            let pairs: Vec<_> = sample.labels.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
            prop_assert_eq!(pairs, labels);
            prop_assert_eq!(sample.timestamp_ms, time);
            prop_assert!(sample.value.to_bits() == value.to_bits() || value.is_nan());
        }
    }

    struct Kept<'a>(Option<TextSample<'a>>);

    impl<'a> TextVisitor<'a> for Kept<'a> {
        fn kind(&mut self, _: &str, _: MetricKind) {}
        fn help(&mut self, _: &str, _: &str) {}
        fn unit(&mut self, _: &str, _: &str) {}
        fn sample(&mut self, sample: &mut TextSample<'a>) {
            self.0 = Some(sample.clone());
        }
    }
}
