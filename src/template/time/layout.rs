//! The parts of a layout: how Go writes what a time should look like, with the moment
//! `Mon Jan 2 15:04:05 MST 2006` as the example.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'l> {
    Literal(&'l str),
    /// `January`
    LongMonth,
    /// `Jan`
    Month,
    /// `1`, or `01` with a zero.
    MonthNumber(Pad),
    /// `Monday`
    LongWeekday,
    /// `Mon`
    Weekday,
    /// `2`, `_2`, `02`
    Day(Pad),
    /// `__2`, `002`
    YearDay(Pad),
    /// `15`
    Hour,
    /// `3`, `03`
    Hour12(Pad),
    Minute(Pad),
    Second(Pad),
    /// `2006`
    LongYear,
    /// `06`
    Year,
    /// `PM`, or `pm`.
    Half {
        is_upper: bool,
    },
    /// `MST`
    ZoneName,
    /// `-0700` and its like: how much is shown, with colons or without, `Z` for UTC.
    Offset {
        parts: u8,
        colons: bool,
        is_z: bool,
    },
    /// `.000` or `.999`: digits, and whether zeros at the end are left out. With the point or comma.
    Fraction {
        digits: usize,
        trims: bool,
        mark: char,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pad {
    None,
    Space,
    Zero,
}

/// Longer ones before those that they begin with.
const OFFSETS: [(&str, u8, bool, bool); 10] = [
    ("-07:00:00", 3, true, false),
    ("-070000", 3, false, false),
    ("-07:00", 2, true, false),
    ("-0700", 2, false, false),
    ("-07", 1, false, false),
    ("Z07:00:00", 3, true, true),
    ("Z070000", 3, false, true),
    ("Z07:00", 2, true, true),
    ("Z0700", 2, false, true),
    ("Z07", 1, false, true),
];

const SIMPLE: [(&str, Part<'static>); 23] = [
    ("January", Part::LongMonth),
    ("Jan", Part::Month),
    ("Monday", Part::LongWeekday),
    ("Mon", Part::Weekday),
    ("MST", Part::ZoneName),
    ("01", Part::MonthNumber(Pad::Zero)),
    ("02", Part::Day(Pad::Zero)),
    ("03", Part::Hour12(Pad::Zero)),
    ("04", Part::Minute(Pad::Zero)),
    ("05", Part::Second(Pad::Zero)),
    ("06", Part::Year),
    ("002", Part::YearDay(Pad::Zero)),
    ("15", Part::Hour),
    ("1", Part::MonthNumber(Pad::None)),
    ("2006", Part::LongYear),
    ("2", Part::Day(Pad::None)),
    ("_2", Part::Day(Pad::Space)),
    ("__2", Part::YearDay(Pad::Space)),
    ("3", Part::Hour12(Pad::None)),
    ("4", Part::Minute(Pad::None)),
    ("5", Part::Second(Pad::None)),
    ("PM", Part::Half { is_upper: true }),
    ("pm", Part::Half { is_upper: false }),
];

/// The parts of a layout, in order.
pub(super) fn parts(layout: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = layout;
    std::iter::from_fn(move || {
        let mut length = 0;
        while length < rest.len() {
            let here = rest.get(length..).unwrap_or_default();
            let found = part_at(here);
            match found {
                Some(_) if length > 0 => break,
                Some((part, size)) => {
                    rest = here.get(size..).unwrap_or_default();
                    return Some(part);
                }
                None => length += here.chars().next().map_or(1, char::len_utf8),
            }
        }
        let (literal, after) = rest.split_at_checked(length)?;
        rest = after;
        (!literal.is_empty()).then_some(Part::Literal(literal))
    })
}

/// The part that begins here, and its length.
fn part_at(text: &str) -> Option<(Part<'_>, usize)> {
    if let Some(fraction) = fraction_at(text) {
        return Some(fraction);
    }
    let offset = OFFSETS.iter().find(|(name, ..)| text.starts_with(name));
    if let Some((name, parts, colons, is_z)) = offset {
        return Some((Part::Offset { parts: *parts, colons: *colons, is_z: *is_z }, name.len()));
    }
    // An underscore before a year is only that.
    if text.starts_with("_2006") {
        return Some((Part::Literal("_"), 1));
    }
    // `Januar` is no month, but `Jan` with something behind it.
    let is_word = |name: &str| text[name.len()..].starts_with(|c: char| c.is_ascii_lowercase());
    let found = SIMPLE.iter().filter(|(name, _)| text.starts_with(name));
    let found = found.filter(|(name, _)| !(matches!(*name, "Jan" | "Mon") && is_word(name)));
    found.max_by_key(|(name, _)| name.len()).map(|(name, part)| (*part, name.len()))
}

/// A point or comma, zeros or nines, and no digit behind them.
fn fraction_at(text: &str) -> Option<(Part<'_>, usize)> {
    let mark = text.chars().next().filter(|mark| matches!(mark, '.' | ','))?;
    let digits = &text[1..];
    let digit = digits.chars().next().filter(|digit| matches!(digit, '0' | '9'))?;
    let count = digits.chars().take_while(|next| *next == digit).count();
    let is_end = !digits[count..].starts_with(|c: char| c.is_ascii_digit());
    let part = Part::Fraction { digits: count, trims: digit == '9', mark };
    is_end.then_some((part, count + 1))
}

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub(super) const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
