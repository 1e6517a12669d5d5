//! The notation for series: `name{labels} 1 2+1x3 _ stale {{count:2 sum:3}}`.

use crate::parse::parse_metric;
use model::{
    Buckets, FloatHistogram, Labels, ResetHint, SampleValue, parse_duration, stale_marker,
};
use query::parse_number;
use std::sync::Arc;

/// The most values that one line may make.
const VALUES_MAX: usize = 1 << 20;

/// One value of a sequence, or a gap.
#[derive(Clone, Debug)]
pub enum SequenceValue {
    Omitted,
    Float(f64),
    /// The flag: whether the script names a reset hint, so that it counts in comparisons.
    Histogram(Arc<FloatHistogram>, bool),
}

/// Samples of one series, in order of time.
#[derive(Clone, Debug)]
pub struct LoadedSeries {
    pub labels: Labels,
    pub samples: Vec<LoadedSample>,
}

/// A sample to be stored.
#[derive(Clone, Debug)]
pub struct LoadedSample {
    pub time_ms: i64,
    /// 0 where unknown.
    pub start_ms: i64,
    pub value: SampleValue,
}

impl LoadedSample {
    pub(super) fn new(value: &SequenceValue, time_ms: i64, start_ms: i64) -> Option<Self> {
        let value = match value {
            SequenceValue::Omitted => return None,
            SequenceValue::Float(value) => SampleValue::Float(*value),
            SequenceValue::Histogram(histogram, _) => SampleValue::Histogram(histogram.clone()),
        };
        Some(Self { time_ms, start_ms, value })
    }
}

/// A series as it is loaded: a value at each interval from a time on.
pub fn load_series(line: &str, start_ms: i64, interval_ms: i64) -> Result<LoadedSeries, String> {
    let (labels, values) = parse_series(line)?;
    let mut samples = Vec::with_capacity(values.len());
    for (index, value) in (0_i64..).zip(&values) {
        let time_ms = index.checked_mul(interval_ms).and_then(|ms| ms.checked_add(start_ms));
        let time_ms = time_ms.ok_or("the series has values after the end of time")?;
        samples.extend(LoadedSample::new(value, time_ms, 0));
    }
    Ok(LoadedSeries { labels, samples })
}

pub(super) fn parse_series(line: &str) -> Result<(Labels, Vec<SequenceValue>), String> {
    let end = metric_end(line);
    let labels = parse_metric(&line[..end]).map_err(|error| error.to_string())?;
    let mut values = Vec::new();
    let mut rest = line[end..].trim_start();
    while !rest.is_empty() {
        let (item, after) = rest.split_at(item_end(rest));
        values.extend(parse_item(item)?);
        if values.len() > VALUES_MAX {
            return Err(format!("more than {VALUES_MAX} values in one line"));
        }
        rest = after.trim_start();
    }
    Ok((labels, values))
}

/// Where the name and labels end: at the first blank outside of braces and quotes.
fn metric_end(line: &str) -> usize {
    let (mut braces, mut quote, mut escaped) = (0, None, false);
    for (index, c) in line.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(open), '\\') if open != '`' => escaped = true,
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '{') => braces += 1,
            (None, '}') => {
                braces -= 1;
                if braces == 0 {
                    return index + 1;
                }
            }
            (None, ' ' | '\t') if braces == 0 && !line[index..].trim_start().starts_with('{') => {
                return index;
            }
            (None, ' ' | '\t') if braces == 0 && line[index..].trim_start().starts_with("{{") => {
                return index;
            }
            _ => {}
        }
    }
    line.len()
}

/// Blanks inside of `{{…}}` belong to the item.
fn item_end(text: &str) -> usize {
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let blank = rest.find(char::is_whitespace).unwrap_or(rest.len());
        match rest.find("{{").filter(|open| *open < blank) {
            Some(open) => match rest[open..].find("}}") {
                Some(close) => at += open + close + 2,
                None => return text.len(),
            },
            None => return at + blank,
        }
    }
}

fn parse_item(item: &str) -> Result<Vec<SequenceValue>, String> {
    if item.starts_with("{{") {
        return parse_histograms(item);
    }
    if let Some(rest) = item.strip_prefix('_') {
        let times = if rest.is_empty() { 1 } else { times(rest)?.0 };
        return Ok(vec![SequenceValue::Omitted; times]);
    }
    let (first, rest) = number_prefix(item)?;
    if rest.is_empty() {
        return Ok(vec![SequenceValue::Float(first)]);
    }
    let (delta, rest) =
        if rest.starts_with(['+', '-']) { number_prefix(rest)? } else { (0.0, rest) };
    let (count, after) = times(rest)?;
    if !after.is_empty() {
        return Err(format!("unexpected {after:?} in series values"));
    }
    let mut value = first;
    let values = (0..=count).map(|_| {
        let current = value;
        value += delta;
        SequenceValue::Float(current)
    });
    Ok(values.collect())
}

/// `x10` and what follows it.
fn times(text: &str) -> Result<(usize, &str), String> {
    let invalid = || format!("invalid repetition in series values: {text:?}");
    let digits = text.strip_prefix('x').ok_or_else(invalid)?;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let count: usize = digits[..end].parse().map_err(|_| invalid())?;
    if count > VALUES_MAX {
        return Err(invalid());
    }
    Ok((count, &digits[end..]))
}

/// A signed number at the start; `x` ends it.
fn number_prefix(text: &str) -> Result<(f64, &str), String> {
    if let Some(rest) = text.strip_prefix("stale") {
        return Ok((stale_marker(), rest));
    }
    let unsigned = text.trim_start_matches(['+', '-']);
    let sign = text.len() - unsigned.len();
    let bytes = unsigned.as_bytes();
    let word = unsigned.get(..3).map(str::to_ascii_lowercase);
    let mut end = 0;
    if word.as_deref().is_some_and(|word| word == "inf" || word == "nan") {
        end = 3;
    } else {
        while end < bytes.len() {
            let exponent_sign = matches!(bytes[end], b'+' | b'-')
                && end > 0
                && matches!(bytes[end - 1], b'e' | b'E');
            let part =
                bytes[end].is_ascii_digit() || matches!(bytes[end], b'.' | b'e' | b'E' | b'_');
            if !part && !exponent_sign {
                break;
            }
            end += 1;
        }
    }
    let (number, rest) = text.split_at(sign + end);
    Ok((parse_number(number)?, rest))
}

// ── histograms ──

fn parse_histograms(item: &str) -> Result<Vec<SequenceValue>, String> {
    let (first, rest) = histogram_prefix(item)?;
    let single = |(histogram, hinted): (FloatHistogram, bool)| {
        SequenceValue::Histogram(Arc::new(histogram), hinted)
    };
    if rest.is_empty() {
        return Ok(vec![single(first)]);
    }
    if rest.starts_with('x') {
        let (count, _) = times(rest)?;
        return Ok(vec![single(first); count + 1]);
    }
    let (sign, rest) = rest.split_at(1);
    if !matches!(sign, "+" | "-") {
        return Err(format!("unexpected {sign:?} after a histogram"));
    }
    let ((step, hinted), rest) = histogram_prefix(rest)?;
    let (count, _) = times(rest)?;
    let mut current = first.0;
    let mut values = vec![single((current.clone(), hinted))];
    for _ in 0..count {
        let done = if sign == "+" { current.add(&step) } else { current.subtract(&step) };
        done.map_err(|error| error.to_string())?;
        values.push(single((current.clone(), hinted)));
    }
    Ok(values)
}

/// `{{…}}` at the start: the histogram, whether it names its reset hint, and what follows.
fn histogram_prefix(text: &str) -> Result<((FloatHistogram, bool), &str), String> {
    let inner = text.strip_prefix("{{").ok_or_else(|| format!("expected a histogram: {text:?}"))?;
    let (inner, rest) = inner.split_once("}}").ok_or("histogram is not closed")?;
    Ok((parse_histogram(inner)?, rest))
}

#[derive(Default)]
struct Description {
    histogram: FloatHistogram,
    hinted: bool,
    buckets: Vec<f64>,
    offset: i32,
    negative_buckets: Vec<f64>,
    negative_offset: i32,
}

fn parse_histogram(text: &str) -> Result<(FloatHistogram, bool), String> {
    let mut description = Description::default();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (key, value) =
            rest.split_once(':').ok_or_else(|| format!("bad histogram descriptor {rest:?}"))?;
        let end = if value.starts_with('[') {
            value.find(']').ok_or("bucket list is not closed")? + 1
        } else {
            value.find(char::is_whitespace).unwrap_or(value.len())
        };
        describe(&mut description, key, &value[..end])?;
        rest = value[end..].trim_start();
    }
    let Description { mut histogram, hinted, .. } = description;
    let side = |counts: Vec<f64>, offset: i32| {
        Buckets::from_entries(counts.into_iter().enumerate().map(|(i, c)| (offset + i as i32, c)))
    };
    histogram.positive = side(description.buckets, description.offset);
    histogram.negative = side(description.negative_buckets, description.negative_offset);
    Ok((histogram, hinted))
}

fn describe(description: &mut Description, key: &str, value: &str) -> Result<(), String> {
    let number = || parse_number(value);
    let integer = || value.parse::<i32>().map_err(|_| format!("not an integer: {value:?}"));
    let list = || {
        let inner = value.trim_start_matches('[').trim_end_matches(']');
        inner.split_whitespace().map(parse_number).collect::<Result<Vec<f64>, _>>()
    };
    let histogram = &mut description.histogram;
    match key {
        "schema" => histogram.schema = integer()?,
        "sum" => histogram.sum = number()?,
        "count" => histogram.count = number()?,
        "z_bucket" => histogram.zero_count = number()?,
        "z_bucket_w" => histogram.zero_threshold = number()?,
        "custom_values" => histogram.custom_bounds = list()?.into(),
        "buckets" => description.buckets = list()?,
        "offset" => description.offset = integer()?,
        "n_buckets" => description.negative_buckets = list()?,
        "n_offset" => description.negative_offset = integer()?,
        "counter_reset_hint" => {
            description.hinted = true;
            histogram.reset_hint = match value {
                "unknown" => ResetHint::Unknown,
                "reset" => ResetHint::Reset,
                "not_reset" => ResetHint::NotReset,
                "gauge" => ResetHint::Gauge,
                _ => return Err(format!("bad counter reset hint {value:?}")),
            };
        }
        _ => return Err(format!("bad histogram descriptor found: {key:?}")),
    }
    Ok(())
}

// ── start timestamps ──

/// Offsets from the samples' times; of all series where no metric is named.
type Starts = (Option<Labels>, Vec<Option<i64>>);

/// `metric{labels}@st -1m -30s+10sx3`; `None` where the line is something else.
pub(super) fn parse_starts(line: &str) -> Result<Option<Starts>, String> {
    let end = line.find(char::is_whitespace).unwrap_or(line.len());
    let Some(metric) = line[..end].strip_suffix("@st") else {
        return Ok(None);
    };
    let labels = match metric {
        "" => None,
        _ => Some(parse_metric(metric).map_err(|error| error.to_string())?),
    };
    let mut starts: Vec<Option<i64>> = Vec::new();
    for item in line[end..].split_whitespace() {
        let previous = starts.iter().rev().flatten().next().copied().unwrap_or(0);
        starts.extend(parse_start_item(item, previous)?);
        if starts.len() > VALUES_MAX {
            return Err(format!("more than {VALUES_MAX} values in one line"));
        }
    }
    Ok(Some((labels, starts)))
}

fn parse_start_item(item: &str, previous: i64) -> Result<Vec<Option<i64>>, String> {
    if let Some(rest) = item.strip_prefix('_') {
        let count = if rest.is_empty() { 1 } else { times(rest)?.0 };
        return Ok(vec![None; count]);
    }
    if let Some(rest) = item.strip_prefix('*') {
        let count = if rest.is_empty() { 0 } else { times(rest)?.0 };
        return Ok(vec![Some(previous); count + 1]);
    }
    let (first, rest) = duration_prefix(item)?;
    if rest.is_empty() {
        return Ok(vec![Some(first)]);
    }
    let (delta, rest) =
        if rest.starts_with(['+', '-']) { duration_prefix(rest)? } else { (0, rest) };
    let (count, _) = times(rest)?;
    Ok((0..=count as i64).map(|index| Some(first + delta * index)).collect())
}

fn duration_prefix(text: &str) -> Result<(i64, &str), String> {
    let unsigned = text.trim_start_matches(['+', '-']);
    let digits = unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len());
    let unit = unsigned[digits..].find(|c: char| !c.is_ascii_alphabetic() || c == 'x');
    let end = unit.map_or(unsigned.len(), |unit| digits + unit);
    let millis = parse_duration(&unsigned[..end])?;
    let rest = &unsigned[end..];
    Ok((if text.starts_with('-') { -millis } else { millis }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(line: &str) -> Vec<f64> {
        let (_, values) = parse_series(line).unwrap();
        let float = |value: &SequenceValue| match value {
            SequenceValue::Float(value) => *value,
            _ => f64::NAN,
        };
        values.iter().map(float).collect()
    }

    #[test]
    fn sequences_expand() {
        assert_eq!(floats("x 1 2+1x2 4x1 -1-2x1"), [1.0, 2.0, 3.0, 4.0, 4.0, 4.0, -1.0, -3.0]);
        assert_eq!(floats("x{a=\"b c\"} 1e-3 Inf"), [0.001, f64::INFINITY]);
        assert_eq!(floats("{\"my metric\"} 0x2").len(), 3);
        assert!(floats("x _ _x2").iter().all(|value| value.is_nan()));
    }

    #[test]
    fn histograms_expand() {
        let (_, values) =
            parse_series("x {{schema:0 count:1 buckets:[1 2]}}+{{count:1 buckets:[1]}}x2").unwrap();
        let SequenceValue::Histogram(last, _) = &values[2] else { panic!("not a histogram") };
        assert_eq!((last.count, last.positive.counts.as_slice()), (3.0, &[3.0, 2.0][..]));
    }

    #[test]
    fn start_timestamps_expand() {
        let (labels, starts) = parse_starts("x{a=\"b\"}@st _ -1m-30sx1 * 5ms").unwrap().unwrap();
        assert_eq!(labels.unwrap().metric_name(), "x");
        assert_eq!(starts, [None, Some(-60_000), Some(-90_000), Some(-90_000), Some(5)]);
        assert!(parse_starts("x 1").unwrap().is_none());
    }
}
