//! Whole numbers in a base, and floats with exponents or without, as Go writes them.

use super::verbs::Flags;

/// The digits of a whole number, at least as many as the precision says, with sign and prefix; without
/// padding. Zeros of the width belong to the digits, so that they are made here.
pub(super) fn whole(
    value: i64,
    base: u32,
    is_upper: bool,
    flags: &Flags,
    shows_prefix: bool,
) -> String {
    let sign = sign(value < 0, flags);
    let mut digits = match base {
        2 => format!("{:b}", value.unsigned_abs()),
        8 => format!("{:o}", value.unsigned_abs()),
        16 if is_upper => format!("{:X}", value.unsigned_abs()),
        16 => format!("{:x}", value.unsigned_abs()),
        _ => value.unsigned_abs().to_string(),
    };
    let prefix = match base {
        _ if !shows_prefix => "",
        2 => "0b",
        8 => "0",
        16 if is_upper => "0X",
        16 => "0x",
        _ => "",
    };
    let least = match flags.precision {
        Some(0) if value == 0 => return String::new(),
        Some(precision) => precision,
        None if flags.zero && !flags.minus => flags.width.unwrap_or(0).saturating_sub(sign.len()),
        None => 0,
    };
    let zeros = least.saturating_sub(digits.len());
    digits.insert_str(0, &"0".repeat(zeros));
    format!("{sign}{prefix}{digits}")
}

fn sign(is_negative: bool, flags: &Flags) -> &'static str {
    match (is_negative, flags.plus, flags.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        (false, false, false) => "",
    }
}

/// A float with one of the verbs `e`, `E`, `f`, `F`, `g`, `G`. Zeros of the width are made here.
pub(super) fn float(value: f64, verb: char, flags: &Flags) -> String {
    let sign = sign(value.is_sign_negative() && !value.is_nan(), flags);
    if !value.is_finite() {
        let name = if value.is_nan() { "NaN" } else { "Inf" };
        let sign = if sign.is_empty() && value.is_infinite() { "+" } else { sign };
        return format!("{sign}{name}");
    }
    let magnitude = value.abs();
    let mut digits = match verb.to_ascii_lowercase() {
        'e' => exponential(magnitude, Some(flags.precision.unwrap_or(6))),
        'f' => fixed(magnitude, flags.precision.unwrap_or(6)),
        _ => general(magnitude, flags.precision),
    };
    if verb.is_ascii_uppercase() {
        digits = digits.to_ascii_uppercase();
    }
    if flags.zero && !flags.minus {
        let width = flags.width.unwrap_or(0).saturating_sub(sign.len());
        digits.insert_str(0, &"0".repeat(width.saturating_sub(digits.len())));
    }
    format!("{sign}{digits}")
}

/// No float has more digits behind the point; those asked for beyond are zeros.
const DECIMALS_MAX: usize = 1_100;

/// `1.50`
fn fixed(value: f64, precision: usize) -> String {
    let mut text = format!("{value:.*}", precision.min(DECIMALS_MAX));
    text.extend(std::iter::repeat_n('0', precision.saturating_sub(DECIMALS_MAX)));
    text
}

/// `1.5e+07`; as many digits as are needed where no precision is given.
fn exponential(value: f64, precision: Option<usize>) -> String {
    let text = match precision {
        Some(precision) => format!("{value:.*e}", precision.min(DECIMALS_MAX)),
        None => format!("{value:e}"),
    };
    let more = precision.unwrap_or(0).saturating_sub(DECIMALS_MAX);
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits = format!("{digits}{}", "0".repeat(more));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

/// `%g`: with an exponent where it is small or large, else without; no zeros at the end.
fn general(value: f64, precision: Option<usize>) -> String {
    let Some(precision) = precision else { return model::format_float_go(value) };
    let precision = precision.clamp(1, DECIMALS_MAX);
    let rounded = exponential(value, Some(precision - 1));
    let (digits, exponent) = rounded.split_once('e').unwrap_or((&rounded, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits = if digits.contains('.') { digits.trim_end_matches('0') } else { digits };
    let digits = digits.trim_end_matches('.');
    // Where more precision is asked for than there are digits, the digits decide.
    let count = digits.len() - usize::from(digits.contains('.'));
    let is_whole = i32::try_from(count).is_ok_and(|count| count > exponent);
    let most = if precision > count && is_whole { count } else { precision };
    if exponent < -4 || i32::try_from(most).is_ok_and(|most| exponent >= most) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.unsigned_abs());
    }
    let decimals = usize::try_from(i64::try_from(precision).unwrap_or(0) - 1 - i64::from(exponent));
    let text = format!("{value:.*}", decimals.unwrap_or(0));
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}
