//! Texts as times.

use super::layout::{MONTHS, Pad, Part, WEEKDAYS, parts};
use super::{Time, Zone};
use chrono::{NaiveDate, NaiveTime};

/// What has been read so far. Go's defaults: January 1 of the year 0, midnight.
struct Fields {
    year: i32,
    month: Option<u32>,
    day: Option<u32>,
    year_day: Option<u32>,
    hour: u32,
    minute: u32,
    second: u32,
    nanosecond: u32,
    is_afternoon: Option<bool>,
    offset: Option<i32>,
    zone_name: Option<String>,
}

/// A time that a text gives in a layout. Where the text has no zone it is in `zone`.
pub fn read(layout: &str, text: &str, zone: Zone) -> Option<Time> {
    let mut fields = Fields {
        year: 0,
        month: None,
        day: None,
        year_day: None,
        hour: 0,
        minute: 0,
        second: 0,
        nanosecond: 0,
        is_afternoon: None,
        offset: None,
        zone_name: None,
    };
    let mut rest = text;
    let mut layout = parts(layout).peekable();
    while let Some(part) = layout.next() {
        fields.read_part(part, &mut rest)?;
        let is_second = matches!(part, Part::Second(_));
        // A fraction behind the seconds is read although the layout has none.
        if is_second && !matches!(layout.peek(), Some(Part::Fraction { .. })) {
            fields.read_unasked_fraction(&mut rest);
        }
    }
    if rest.is_empty() { fields.time(zone) } else { None }
}

impl Fields {
    fn read_part(&mut self, part: Part<'_>, rest: &mut &str) -> Option<()> {
        match part {
            Part::Literal(text) => literal(rest, text)?,
            Part::LongMonth => self.month = Some(name(rest, &MONTHS, usize::MAX)? + 1),
            Part::Month => self.month = Some(name(rest, &MONTHS, 3)? + 1),
            Part::LongWeekday => drop(name(rest, &WEEKDAYS, usize::MAX)?),
            Part::Weekday => drop(name(rest, &WEEKDAYS, 3)?),
            Part::MonthNumber(pad) => self.month = Some(padded(rest, pad, 2)?),
            Part::Day(pad) => self.day = Some(padded(rest, pad, 2)?),
            Part::YearDay(pad) => self.year_day = Some(padded(rest, pad, 3)?),
            Part::Hour => self.hour = padded(rest, Pad::None, 2)?,
            Part::Hour12(pad) => self.hour = padded(rest, pad, 2).filter(|hour| *hour <= 12)?,
            Part::Minute(pad) => self.minute = padded(rest, pad, 2)?,
            Part::Second(pad) => self.second = padded(rest, pad, 2)?,
            Part::LongYear => self.year = i32::try_from(digits(rest, 4, 4)?).ok()?,
            Part::Year => {
                let year = i32::try_from(digits(rest, 2, 2)?).ok()?;
                self.year = year + if year >= 69 { 1900 } else { 2000 };
            }
            Part::Half { is_upper } => self.is_afternoon = Some(half(rest, is_upper)?),
            Part::ZoneName => self.read_zone_name(rest)?,
            Part::Offset { parts, colons, is_z } => self.read_offset(rest, parts, colons, is_z)?,
            Part::Fraction { digits: count, trims: false, .. } => {
                *rest = rest.strip_prefix(['.', ','])?;
                let length = rest.bytes().take_while(u8::is_ascii_digit).count();
                self.nanosecond = fraction(rest, length).filter(|_| length == count)?;
            }
            Part::Fraction { .. } => self.read_unasked_fraction(rest),
        }
        Some(())
    }

    fn read_unasked_fraction(&mut self, rest: &mut &str) {
        let digits =
            rest.strip_prefix(['.', ',']).filter(|d| d.starts_with(|c: char| c.is_ascii_digit()));
        let Some(mut digits) = digits else { return };
        let length = digits.bytes().take_while(u8::is_ascii_digit).count();
        self.nanosecond = fraction(&mut digits, length).unwrap_or(0);
        *rest = digits;
    }

    /// Three or four capitals, such as `UTC` and `CEST`.
    fn read_zone_name(&mut self, rest: &mut &str) -> Option<()> {
        let length = rest.bytes().take_while(u8::is_ascii_uppercase).count();
        if !(3..=5).contains(&length) {
            return None;
        }
        let (name, after) = rest.split_at(length);
        (self.zone_name, *rest) = (Some(name.to_owned()), after);
        Some(())
    }

    fn read_offset(&mut self, rest: &mut &str, count: u8, colons: bool, is_z: bool) -> Option<()> {
        if is_z && let Some(after) = rest.strip_prefix('Z') {
            (self.offset, *rest) = (Some(0), after);
            return Some(());
        }
        let sign = match rest.chars().next()? {
            '+' => 1,
            '-' => -1,
            _ => return None,
        };
        *rest = &rest[1..];
        let mut seconds = 0;
        for (index, unit) in [3600, 60, 1].into_iter().enumerate().take(usize::from(count)) {
            if index > 0 && colons {
                literal(rest, ":")?;
            }
            let value = digits(rest, 2, 2)?;
            let most = if index == 0 { 24 } else { 59 };
            seconds += i32::try_from(value).ok().filter(|value| *value <= most)? * unit;
        }
        self.offset = Some(sign * seconds);
        Some(())
    }

    fn time(self, zone: Zone) -> Option<Time> {
        let hour = match self.is_afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let date = match self.year_day {
            Some(day) => {
                let date = NaiveDate::from_yo_opt(self.year, day)?;
                let agrees = |read: Option<u32>, is: u32| read.is_none_or(|read| read == is);
                let agrees = agrees(self.month, chrono::Datelike::month(&date))
                    && agrees(self.day, chrono::Datelike::day(&date));
                agrees.then_some(date)?
            }
            None => {
                NaiveDate::from_ymd_opt(self.year, self.month.unwrap_or(1), self.day.unwrap_or(1))?
            }
        };
        let time = NaiveTime::from_hms_nano_opt(hour, self.minute, self.second, self.nanosecond)?;
        let zone = match (self.offset, self.zone_name) {
            (Some(0), _) => Zone::Utc,
            (Some(offset), name) => Zone::Fixed(offset, name.unwrap_or_default()),
            (None, Some(name)) if name == "UTC" => Zone::Utc,
            // Go keeps a name that it doesn't know, and takes it for UTC.
            (None, Some(name)) => named(name, date.and_time(time), zone),
            (None, None) => zone,
        };
        Some(Time::from_local(date.and_time(time), zone))
    }
}

/// The zone whose clocks had this name then, else one of that name without an offset.
fn named(name: String, local: chrono::NaiveDateTime, zone: Zone) -> Zone {
    let is_it = Time::from_local(local, zone.clone()).clock().abbreviation == name;
    if is_it { zone } else { Zone::Fixed(0, name) }
}

/// Spaces stand for any number of spaces.
fn literal(rest: &mut &str, text: &str) -> Option<()> {
    let mut text = text;
    while let Some(next) = text.chars().next() {
        if next == ' ' {
            if !rest.is_empty() && !rest.starts_with(' ') {
                return None;
            }
            (text, *rest) = (text.trim_start_matches(' '), rest.trim_start_matches(' '));
        } else {
            *rest = rest.strip_prefix(next)?;
            text = &text[next.len_utf8()..];
        }
    }
    Some(())
}

/// The place of the name that comes next, in any case, of each its first `length` letters.
fn name(rest: &mut &str, names: &[&str], length: usize) -> Option<u32> {
    let found = names.iter().position(|name| {
        let name = name.get(..length).unwrap_or(name);
        rest.get(..name.len()).is_some_and(|text| text.eq_ignore_ascii_case(name))
    })?;
    let size = names.get(found)?.len().min(length);
    *rest = rest.get(size..)?;
    u32::try_from(found).ok()
}

fn half(rest: &mut &str, is_upper: bool) -> Option<bool> {
    let (morning, afternoon) = if is_upper { ("AM", "PM") } else { ("am", "pm") };
    let is_afternoon = rest.starts_with(afternoon);
    *rest = rest.strip_prefix(if is_afternoon { afternoon } else { morning })?;
    Some(is_afternoon)
}

/// A number of one to `most` digits, or of exactly as many where zeros fill it up.
fn padded(rest: &mut &str, pad: Pad, most: usize) -> Option<u32> {
    match pad {
        Pad::Zero => digits(rest, most, most),
        Pad::None => digits(rest, 1, most),
        Pad::Space => {
            *rest = rest.trim_start_matches(' ');
            digits(rest, 1, most)
        }
    }
}

fn digits(rest: &mut &str, least: usize, most: usize) -> Option<u32> {
    let length = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if length < least {
        return None;
    }
    let (digits, after) = rest.split_at(length);
    *rest = after;
    digits.parse().ok()
}

/// That many digits as nanoseconds.
fn fraction(rest: &mut &str, length: usize) -> Option<u32> {
    let (digits, after) = rest.split_at_checked(length)?;
    *rest = after;
    let digits = digits.get(..9).unwrap_or(digits);
    let value: u32 = digits.parse().ok()?;
    Some(value * 10_u32.pow(9 - u32::try_from(digits.len()).ok()?))
}
