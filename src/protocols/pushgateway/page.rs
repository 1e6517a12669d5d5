//! A pushed page as families whose series have the labels of their group.

use model::{FloatHistogram, Labels, LabelsBuilder, METRIC_NAME, MetricKind};
use std::collections::{BTreeMap, BTreeSet};
use wire::{
    BadLabels, FamilyHistogram, FamilyValue, LabelBuffer, LabelLimits, MetricFamilies, TextFormat,
    TextSample, TextVisitor, float_text, parse_exposition,
};

/// How a page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageFormat {
    Text,
    /// Families as protobuf, each with its length before it.
    Protobuf,
}

impl PageFormat {
    pub(super) fn of_content_type(value: &str) -> Self {
        let is_protobuf = value.starts_with("application/vnd.google.protobuf")
            && value.contains("io.prometheus.client.MetricFamily");
        if is_protobuf { Self::Protobuf } else { Self::Text }
    }
}

pub(super) type Families = BTreeMap<String, Family>;

#[derive(Clone, Debug, Default)]
pub(super) struct Family {
    pub(super) kind: MetricKind,
    pub(super) help: String,
    pub(super) unit: String,
    /// When it was pushed.
    pub(super) push_ms: i64,
    pub(super) series: Vec<Series>,
}

#[derive(Clone, Debug)]
pub(super) struct Series {
    /// With the metric's name and the labels of the group.
    pub(super) labels: Labels,
    pub(super) value: Value,
    pub(super) start_ms: i64,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Float(f64),
    Histogram(Box<FloatHistogram>),
}

/// Reads a page. `Err` says what is wrong with it, in a sentence for its sender.
pub(super) fn read(
    format: PageFormat,
    body: &[u8],
    group: &Labels,
    limits: &LabelLimits,
    push_ms: i64,
) -> Result<Families, String> {
    let mut reading = Reading {
        group,
        limits,
        push_ms,
        families: Families::new(),
        current: String::new(),
        seen: BTreeSet::new(),
        buffer: LabelBuffer::default(),
        failure: None,
    };
    match format {
        PageFormat::Text => reading.text(body)?,
        PageFormat::Protobuf => reading.protobuf(body)?,
    }
    match reading.failure {
        Some(failure) => Err(failure),
        None => Ok(reading.families),
    }
}

struct Reading<'a> {
    group: &'a Labels,
    limits: &'a LabelLimits,
    push_ms: i64,
    families: Families,
    /// The family that the last `# TYPE` named.
    current: String,
    /// The series so far, by their labels.
    seen: BTreeSet<Labels>,
    buffer: LabelBuffer,
    failure: Option<String>,
}

const TIMESTAMPS: &str = "pushed metrics must not have timestamps";

impl Reading<'_> {
    fn text(&mut self, body: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(body).map_err(|_| "the page is not UTF-8".to_owned())?;
        if !text.is_empty() && !text.ends_with('\n') {
            let line = text.lines().count();
            return Err(format!(
                "text format parsing error in line {line}: unexpected end of input stream"
            ));
        }
        let wrong = |error: wire::TextError| {
            format!("text format parsing error in line {}: {}", error.line, error.message)
        };
        parse_exposition(TextFormat::Prometheus, text, self).map_err(wrong)
    }

    fn protobuf(&mut self, body: &[u8]) -> Result<(), String> {
        let wrong = |error: wire::ProtobufError| format!("the page is not protobuf: {error}");
        let mut families = MetricFamilies::new(body);
        while let Some(mut family) = families.next_family().map_err(wrong)? {
            let name = family.name;
            if self.families.contains_key(name) {
                return Err(format!("the family \"{name}\" is in the page twice"));
            }
            let (kind, help, unit) = (family.kind, family.help.to_owned(), family.unit.to_owned());
            let (push_ms, series) = (self.push_ms, Vec::new());
            self.families.insert(name.to_owned(), Family { kind, help, unit, push_ms, series });
            while let Some(metric) = family.next_metric().map_err(wrong)? {
                if metric.timestamp_ms.is_some() {
                    return Err(TIMESTAMPS.to_owned());
                }
                self.value(name, &metric.labels, metric.value)?;
            }
        }
        Ok(())
    }

    fn value(
        &mut self,
        family: &str,
        labels: &[(&str, &str)],
        value: FamilyValue<'_>,
    ) -> Result<(), String> {
        match value {
            FamilyValue::Number { value, start_ms, .. } => {
                self.float(family, family, labels, None, (value, start_ms))
            }
            FamilyValue::Summary { count, sum, start_ms, quantiles } => {
                for (quantile, value) in quantiles {
                    let bound = Some(("quantile", float_text(quantile)));
                    self.float(family, family, labels, bound, (value, start_ms))?;
                }
                self.float(family, &format!("{family}_sum"), labels, None, (sum, start_ms))?;
                self.float(family, &format!("{family}_count"), labels, None, (count, start_ms))
            }
            FamilyValue::Histogram(histogram) => self.histogram(family, labels, *histogram),
        }
    }

    fn histogram(
        &mut self,
        family: &str,
        labels: &[(&str, &str)],
        histogram: FamilyHistogram<'_>,
    ) -> Result<(), String> {
        let start_ms = histogram.start_ms;
        let is_native = histogram.native.is_some();
        if let Some(native) = histogram.native {
            self.add(family, family, labels, None, Value::Histogram(Box::new(native)), start_ms)?;
        }
        if is_native && histogram.buckets.is_empty() {
            return Ok(());
        }
        let bucket = format!("{family}_bucket");
        let mut has_infinite = false;
        for one in &histogram.buckets {
            has_infinite |= one.upper_bound == f64::INFINITY;
            let bound = Some(("le", float_text(one.upper_bound)));
            self.float(family, &bucket, labels, bound, (one.cumulative, start_ms))?;
        }
        if !has_infinite {
            let bound = Some(("le", "+Inf".to_owned()));
            self.float(family, &bucket, labels, bound, (histogram.count, start_ms))?;
        }
        self.float(family, &format!("{family}_sum"), labels, None, (histogram.sum, start_ms))?;
        self.float(family, &format!("{family}_count"), labels, None, (histogram.count, start_ms))
    }

    fn float(
        &mut self,
        family: &str,
        name: &str,
        labels: &[(&str, &str)],
        more: Option<(&str, String)>,
        (value, start_ms): (f64, i64),
    ) -> Result<(), String> {
        self.add(family, name, labels, more, Value::Float(value), start_ms)
    }

    /// Adds a series to its family. The labels of the group replace those of the page.
    fn add(
        &mut self,
        family: &str,
        name: &str,
        labels: &[(&str, &str)],
        more: Option<(&str, String)>,
        value: Value,
        start_ms: i64,
    ) -> Result<(), String> {
        let mut pairs: Vec<(&str, &str)> = vec![(METRIC_NAME, name)];
        pairs.extend(more.as_ref().map(|(name, value)| (*name, value.as_str())));
        pairs.extend(labels.iter().filter(|(name, _)| self.group.get(name).is_none()));
        pairs.extend(self.group.iter());
        let bytes = self.buffer.series(&mut pairs, self.limits);
        let labels =
            bytes.map(Labels::from_canonical).map_err(|error: BadLabels| error.to_string())?;
        if !self.seen.insert(labels.clone()) {
            return Err(format!(
                "collected metric \"{name}\" {{ {labels} }} was collected before with the same name and label values"
            ));
        }
        let push_ms = self.push_ms;
        let new = || Family { push_ms, ..Family::default() };
        let family = self.families.entry(family.to_owned()).or_insert_with(new);
        family.series.push(Series { labels, value, start_ms });
        Ok(())
    }

    fn family(&mut self, name: &str) -> &mut Family {
        let push_ms = self.push_ms;
        let new = || Family { push_ms, ..Family::default() };
        self.families.entry(name.to_owned()).or_insert_with(new)
    }

    /// The family of a sample in a text page: the last named one, if its name fits.
    fn family_of(&self, sample: &str) -> String {
        let suffixes: &[&str] = match self.families.get(&self.current).map(|family| family.kind) {
            Some(MetricKind::Histogram | MetricKind::GaugeHistogram) => {
                &["_bucket", "_sum", "_count"]
            }
            Some(MetricKind::Summary) => &["_sum", "_count"],
            _ => &[],
        };
        let fits = suffixes
            .iter()
            .any(|suffix| sample.strip_suffix(suffix).is_some_and(|name| name == self.current));
        if fits { self.current.clone() } else { sample.to_owned() }
    }
}

impl<'p> TextVisitor<'p> for Reading<'_> {
    fn kind(&mut self, metric: &str, kind: MetricKind) {
        self.family(metric).kind = kind;
        metric.clone_into(&mut self.current);
    }

    fn help(&mut self, metric: &str, help: &str) {
        help.clone_into(&mut self.family(metric).help);
    }

    fn unit(&mut self, metric: &str, unit: &str) {
        unit.clone_into(&mut self.family(metric).unit);
    }

    fn sample(&mut self, sample: &mut TextSample<'p>) {
        if self.failure.is_some() {
            return;
        }
        if sample.timestamp_ms.is_some() {
            self.failure = Some(TIMESTAMPS.to_owned());
            return;
        }
        let family = self.family_of(&sample.name);
        let bound = match self.families.get(&family).map(|family| family.kind) {
            Some(MetricKind::Histogram | MetricKind::GaugeHistogram) => "le",
            Some(MetricKind::Summary) => "quantile",
            _ => "",
        };
        // A scrape writes bounds in one form too, whatever the page has.
        for (name, value) in &mut sample.labels {
            if *name == bound
                && let Ok(number) = value.parse::<f64>()
            {
                *value = float_text(number).into();
            }
        }
        let labels: Vec<(&str, &str)> =
            sample.labels.iter().map(|(name, value)| (&**name, &**value)).collect();
        let added = self.float(&family, &sample.name, &labels, None, (sample.value, 0));
        self.failure = added.err();
    }
}

/// How the text formats and the API name a kind.
pub(super) fn kind_name(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram | MetricKind::GaugeHistogram => "histogram",
        MetricKind::Summary => "summary",
        _ => "untyped",
    }
}

/// The labels of a series as a page writes them, without those that only tell the parts of one
/// histogram or summary apart.
pub(super) fn without(labels: &Labels, names: &[&str]) -> Labels {
    let mut builder = LabelsBuilder::from_labels(labels);
    names.iter().for_each(|name| {
        builder.remove(name);
    });
    builder.build()
}
