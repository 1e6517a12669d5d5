//! JSON written straight into bytes, because building a tree of values for a matrix of a million
//! points would cost more than printing it. Numbers are printed as Prometheus prints them.

use model::Labels;
use std::io::Write as _;

/// Writing into memory can't fail.
macro_rules! put {
    ($out:expr, $($format:tt)*) => {
        write!($out, $($format)*).expect("memory takes everything")
    };
}

/// A text with its quotes.
pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    let plain = text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if plain {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        serde_json::to_writer(out, text).expect("memory takes everything");
    }
}

/// Items between brackets, with commas.
pub(crate) fn list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

pub(crate) fn texts<'a>(out: &mut Vec<u8>, items: impl IntoIterator<Item = &'a String>) {
    list(out, items, |out, item| text(out, item));
}

pub(crate) fn labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        text(out, name);
        out.push(b':');
        text(out, value);
    }
    out.push(b'}');
}

/// Seconds with milliseconds where there are any: `1700000000`, `1.500`.
pub(crate) fn time(out: &mut Vec<u8>, millis: i64) {
    let (seconds, fraction) = (millis.unsigned_abs() / 1000, millis.unsigned_abs() % 1000);
    if millis < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(itoa::Buffer::new().format(seconds).as_bytes());
    if fraction > 0 {
        put!(out, ".{fraction:03}");
    }
}

/// A value in quotes: without an exponent from 1e-6 up to 1e21.
pub(crate) fn value(out: &mut Vec<u8>, value: f64) {
    out.push(b'"');
    number(out, value);
    out.push(b'"');
}

/// Whole floats up to here are exact integers, which print faster.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

pub(crate) fn number(out: &mut Vec<u8>, value: f64) {
    let size = value.abs();
    if size < EXACT_MAX && value.fract() == 0.0 && (value != 0.0 || value.is_sign_positive()) {
        out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
    } else if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if size != 0.0 && !(1e-6..1e21).contains(&size) {
        exponent(out, value);
    } else {
        shortest(out, value);
    }
}

/// The fewest digits that identify the number. Numbers that zmij prints with an exponent, or with a
/// point behind a whole number, are rare here and printed by the standard library.
fn shortest(out: &mut Vec<u8>, value: f64) {
    let mut buffer = zmij::Buffer::new();
    let printed = buffer.format_finite(value);
    if printed.contains('e') || printed.ends_with(".0") {
        put!(out, "{value}");
    } else {
        out.extend_from_slice(printed.as_bytes());
    }
}

/// `1e-07`: the exponent has a sign and at least two digits.
fn exponent(out: &mut Vec<u8>, value: f64) {
    let printed = format!("{value:e}");
    let (digits, exponent) = printed.split_once('e').expect("this format has an exponent");
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    put!(out, "{digits}e{sign}{exponent:0>2}");
}

/// `[time,"value"]`.
pub(crate) fn point(out: &mut Vec<u8>, time: impl Moment, float: f64) {
    time.begin(out);
    value(out, float);
    out.push(b']');
}

/// The time of a point.
pub(crate) trait Moment {
    /// `[time,`.
    fn begin(self, out: &mut Vec<u8>);
}

/// Milliseconds.
impl Moment for i64 {
    fn begin(self, out: &mut Vec<u8>) {
        out.push(b'[');
        time(out, self);
        out.push(b',');
    }
}

/// The times that many series share, printed once.
pub(crate) struct Moments {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Moments {
    pub(crate) fn new(times_ms: &[i64]) -> Self {
        let mut text = Vec::with_capacity(times_ms.len() * 16);
        let print = |millis: &i64| {
            millis.begin(&mut text);
            text.len()
        };
        let ends = times_ms.iter().map(print).collect();
        Self { text, ends }
    }

    pub(crate) fn at(&self, step: usize) -> Printed<'_> {
        let start = step.checked_sub(1).map_or(0, |before| self.ends[before]);
        Printed(&self.text[start..self.ends[step]])
    }
}

pub(crate) struct Printed<'a>(&'a [u8]);

impl Moment for Printed<'_> {
    fn begin(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_print_like_prometheus() {
        for (float, expected) in [
            (1.0, "1"),
            (-0.0, "-0"),
            (0.1, "0.1"),
            (1e-6, "0.000001"),
            (9.9e-7, "9.9e-07"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (-1.5e300, "-1.5e+300"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (9_007_199_254_740_993.0, "9007199254740992"),
        ] {
            assert_eq!(written(|out| number(out, float)), expected);
        }
    }

    #[test]
    fn times_are_seconds() {
        for (millis, expected) in [
            (1_700_000_000_000, "1700000000"),
            (1_500, "1.500"),
            (-1, "-0.001"),
            (i64::MIN, "-9223372036854775.808"),
        ] {
            assert_eq!(written(|out| time(out, millis)), expected);
        }
    }

    #[test]
    fn moments_are_printed_as_times_are() {
        let times = [-1, 0, 1_500, 1_700_000_000_000];
        let moments = Moments::new(&times);
        for (step, time) in times.into_iter().enumerate() {
            let expected = written(|out| point(out, time, 2.5));
            assert_eq!(written(|out| point(out, moments.at(step), 2.5)), expected);
        }
    }

    proptest! {
        #[test]
        fn numbers_come_back(float: f64) {
            let printed = written(|out| number(out, float));
            let read: f64 = printed.replace("Inf", "inf").parse().unwrap();
            prop_assert!(read == float || float.is_nan());
        }

        #[test]
        fn numbers_print_as_ever(mantissa in -1_000_000_000i64..1_000_000_000, exponent in 0i32..14) {
            let float = mantissa as f64 / 10f64.powi(exponent);
            if float == 0.0 || (1e-6..1e21).contains(&float.abs()) {
                prop_assert_eq!(written(|out| number(out, float)), float.to_string());
            }
        }

        #[test]
        fn texts_come_back(words: String) {
            let printed = written(|out| text(out, &words));
            prop_assert_eq!(serde_json::from_str::<String>(&printed).unwrap(), words);
        }
    }
}
