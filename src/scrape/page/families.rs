//! Pages of protobuf.

use super::histograms::custom_buckets;
use super::known::{Meaning, NOWHERE};
use super::{Named, PageError, Reading};
use wire::{
    FamilyExemplar, FamilyHistogram, FamilyMetric, FamilyValue, MetricFamilies, MetricFamily,
    float_text,
};

/// In keys, between texts: no text has this byte.
const BETWEEN: u8 = 0xff;

pub(super) fn read(page: &[u8], reading: &mut Reading<'_>) -> Result<(), PageError> {
    let mut families = MetricFamilies::new(page);
    let mut page = Families { at: NOWHERE };
    while let Some(mut family) = families.next_family()? {
        reading.pages.describe(family.name, |known| {
            known.kind = family.kind;
            family.unit.clone_into(&mut known.unit);
            family.help.clone_into(&mut known.help);
        });
        while let Some(metric) = family.next_metric()? {
            page.metric(&family, &metric, reading)?;
        }
    }
    Ok(())
}

struct Families {
    /// The line before.
    at: u32,
}

/// A series of a metric: what its name and labels have beyond the metric's own.
#[derive(Clone, Copy, Default)]
struct Suffix<'s> {
    name: &'static str,
    label: Option<(&'static str, &'s str)>,
}

/// Which metric a sample belongs to, and when it says that it and its counter began.
#[derive(Clone, Copy)]
struct Of<'o, 'a> {
    family: &'o MetricFamily<'a>,
    metric: &'o FamilyMetric<'a>,
    start_ms: i64,
}

impl Families {
    fn metric<'a>(
        &mut self,
        family: &MetricFamily<'a>,
        metric: &FamilyMetric<'a>,
        reading: &mut Reading<'_>,
    ) -> Result<(), PageError> {
        let of = |start_ms| Of { family, metric, start_ms };
        match &metric.value {
            FamilyValue::Number { value, start_ms, exemplar } => {
                let examples = exemplar.as_slice();
                self.sample(of(*start_ms), Suffix::default(), *value, examples, reading)
            }
            FamilyValue::Summary { count, sum, start_ms, quantiles } => {
                let of = of(*start_ms);
                self.plain(of, "_count", *count, reading)?;
                self.plain(of, "_sum", *sum, reading)?;
                for (quantile, value) in quantiles {
                    let bound = float_text(*quantile);
                    let suffix = Suffix { name: "", label: Some(("quantile", &bound)) };
                    self.sample(of, suffix, *value, &[], reading)?;
                }
                Ok(())
            }
            FamilyValue::Histogram(histogram) => {
                self.histogram(of(histogram.start_ms), histogram, reading)
            }
        }
    }

    fn histogram(
        &mut self,
        of: Of<'_, '_>,
        histogram: &FamilyHistogram<'_>,
        reading: &mut Reading<'_>,
    ) -> Result<(), PageError> {
        let rules = reading.rules;
        let native = histogram.native.as_ref().filter(|_| rules.native_histograms);
        if let Some(native) = native {
            let found = (native.clone(), histogram.is_float);
            self.whole(of, found, &histogram.exemplars, reading)?;
        } else if rules.convert_classic {
            let mut buckets: Vec<(f64, f64)> =
                histogram.buckets.iter().map(|one| (one.upper_bound, one.cumulative)).collect();
            let custom = custom_buckets(&mut buckets, Some(histogram.count), histogram.sum);
            if let Some(custom) = custom {
                let examples: Vec<_> =
                    histogram.buckets.iter().filter_map(|one| one.exemplar.clone()).collect();
                self.whole(of, (custom, histogram.is_float), &examples, reading)?;
            }
        }
        if (native.is_some() || rules.convert_classic) && !rules.classic_too {
            return Ok(());
        }
        self.classic(of, histogram, reading)
    }

    fn classic(
        &mut self,
        of: Of<'_, '_>,
        histogram: &FamilyHistogram<'_>,
        reading: &mut Reading<'_>,
    ) -> Result<(), PageError> {
        self.plain(of, "_count", histogram.count, reading)?;
        self.plain(of, "_sum", histogram.sum, reading)?;
        let mut is_closed = false;
        for bucket in &histogram.buckets {
            is_closed |= bucket.upper_bound == f64::INFINITY;
            let bound = float_text(bucket.upper_bound);
            let suffix = Suffix { name: "_bucket", label: Some(("le", &bound)) };
            let examples = bucket.exemplar.as_slice();
            self.sample(of, suffix, bucket.cumulative, examples, reading)?;
        }
        if !is_closed {
            let suffix = Suffix { name: "_bucket", label: Some(("le", "+Inf")) };
            self.sample(of, suffix, histogram.count, &[], reading)?;
        }
        Ok(())
    }

    fn plain(
        &mut self,
        of: Of<'_, '_>,
        name: &'static str,
        value: f64,
        reading: &mut Reading<'_>,
    ) -> Result<(), PageError> {
        self.sample(of, Suffix { name, label: None }, value, &[], reading)
    }

    fn sample(
        &mut self,
        of: Of<'_, '_>,
        suffix: Suffix<'_>,
        value: f64,
        examples: &[FamilyExemplar<'_>],
        reading: &mut Reading<'_>,
    ) -> Result<(), PageError> {
        let meaning = self.series(of, suffix, reading)?;
        if let Some(time_ms) = reading.begin_sample(meaning, of.metric.timestamp_ms) {
            reading.sink.sample(time_ms, of.start_ms, value);
            examples.iter().for_each(|one| exemplar(one, time_ms, reading));
        }
        Ok(())
    }

    fn whole(
        &mut self,
        of: Of<'_, '_>,
        histogram: (model::FloatHistogram, bool),
        examples: &[FamilyExemplar<'_>],
        reading: &mut Reading<'_>,
    ) -> Result<(), PageError> {
        let meaning = self.series(of, Suffix::default(), reading)?;
        let times = (of.metric.timestamp_ms, of.start_ms);
        let time_ms = reading.histogram((of.family.name, meaning), times, histogram)?;
        if let Some(time_ms) = time_ms {
            examples.iter().for_each(|one| exemplar(one, time_ms, reading));
        }
        Ok(())
    }

    fn series(
        &mut self,
        of: Of<'_, '_>,
        suffix: Suffix<'_>,
        reading: &mut Reading<'_>,
    ) -> Result<Meaning, PageError> {
        let mut key = std::mem::take(&mut reading.pages.scratch.key);
        write_key(of, suffix, &mut key);
        let known = &reading.pages.known;
        let expected = known.expected(self.at).filter(|(_, line)| *line.key == *key);
        let found = expected.map(|(at, _)| at).or_else(|| known.find(&key));
        // Its meaning may have been forgotten.
        let found = found.filter(|at| known.line(*at).is_some_and(|line| line.family == 0));
        let at = match found {
            Some(at) => at,
            None => learn(of, suffix, &key, reading)?,
        };
        reading.pages.scratch.key = key;
        reading.pages.known.note(at, self.at);
        self.at = at;
        Ok(reading.pages.known.line(at).map_or(Meaning::Nothing, |line| line.meaning))
    }
}

fn learn(
    of: Of<'_, '_>,
    suffix: Suffix<'_>,
    key: &[u8],
    reading: &mut Reading<'_>,
) -> Result<u32, PageError> {
    let name = format!("{}{}", of.family.name, suffix.name);
    let mut labels = of.metric.labels.clone();
    labels.extend(suffix.label);
    reading.learn(&Named { key, family: 0, name: &name, labels: &labels })
}

fn write_key(of: Of<'_, '_>, suffix: Suffix<'_>, key: &mut Vec<u8>) {
    key.clear();
    // Keys of text begin otherwise: a target may change from one form to the other.
    key.push(BETWEEN);
    let label = suffix.label.unwrap_or_default();
    for text in [of.family.name, suffix.name, label.0, label.1] {
        key.extend_from_slice(text.as_bytes());
        key.push(BETWEEN);
    }
    for (name, value) in &of.metric.labels {
        key.extend_from_slice(name.as_bytes());
        key.push(BETWEEN);
        key.extend_from_slice(value.as_bytes());
        key.push(BETWEEN);
    }
}

fn exemplar(exemplar: &FamilyExemplar<'_>, time_ms: i64, reading: &mut Reading<'_>) {
    let time_ms = exemplar.timestamp_ms.unwrap_or(time_ms);
    reading.exemplar(&mut exemplar.labels.clone(), exemplar.value, time_ms);
}
