//! One value with one verb.

use super::number::{float, whole};
use super::verbs::{Flags, write_typed};
use super::{Sink, write_items};
use crate::bounds::Bound;
use crate::time::{format_duration, show_default};
use crate::value::Value;

pub(super) fn write_one(
    value: &Value<'_>,
    verb: char,
    flags: &Flags,
    sink: &mut Sink<'_>,
) -> Result<(), Bound> {
    if verb == 'T' {
        let name = if matches!(value, Value::Nil) { "<nil>" } else { value.type_name() };
        return text(name.as_bytes(), 's', flags, sink);
    }
    match value {
        Value::Nil if verb == 'v' => padded(b"<nil>", flags, sink),
        Value::Nil => wrong(value, verb, sink),
        Value::Bool(value) if matches!(verb, 't' | 'v') => {
            padded(value.to_string().as_bytes(), flags, sink)
        }
        Value::Int(number) => int(*number, value, verb, flags, sink),
        Value::Float(number) => match verb {
            'v' => {
                padded(float(*number, 'g', flags).as_bytes(), &spaces_if_zero(*number, flags), sink)
            }
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' => padded(
                float(*number, verb, flags).as_bytes(),
                &spaces_if_zero(*number, flags),
                sink,
            ),
            _ => wrong(value, verb, sink),
        },
        Value::Text(bytes) => match verb {
            'v' if flags.sharp => {
                let flags = Flags { sharp: false, ..flags.clone() };
                text(bytes, 'q', &flags, sink)
            }
            'v' | 's' | 'q' | 'x' | 'X' => text(bytes, verb, flags, sink),
            _ => wrong(value, verb, sink),
        },
        Value::Time(time) if is_text_verb(verb) => {
            text(show_default(time).as_bytes(), verb, flags, sink)
        }
        Value::Duration(nanoseconds) if is_text_verb(verb) => {
            text(format_duration(*nanoseconds).as_bytes(), verb, flags, sink)
        }
        Value::Duration(nanoseconds) => int(*nanoseconds, value, verb, flags, sink),
        Value::List(_) | Value::Map(_) => {
            write_items(value, sink, &mut |item, sink| write_one(item, verb, flags, sink))
        }
        Value::Object(object) => {
            let shown = object.text().map_or_else(|| object.plain(), Value::from);
            write_one(&shown, verb, flags, sink)
        }
        Value::Bool(_) | Value::Time(_) | Value::Root => wrong(value, verb, sink),
    }
}

fn is_text_verb(verb: char) -> bool {
    matches!(verb, 'v' | 's' | 'q' | 'x' | 'X')
}

/// Infinity and NaN are filled up with spaces.
fn spaces_if_zero(number: f64, flags: &Flags) -> Flags {
    Flags { zero: flags.zero && number.is_finite(), ..flags.clone() }
}

/// `%!d(string=x)`
fn wrong(value: &Value<'_>, verb: char, sink: &mut Sink<'_>) -> Result<(), Bound> {
    sink.write(format!("%!{verb}(").as_bytes())?;
    write_typed(value, sink)?;
    sink.write(b")")
}

fn int(
    number: i64,
    value: &Value<'_>,
    verb: char,
    flags: &Flags,
    sink: &mut Sink<'_>,
) -> Result<(), Bound> {
    let character = || u32::try_from(number).ok().and_then(char::from_u32);
    let shown = match verb {
        'v' | 'd' => whole(number, 10, false, flags, false),
        'b' => whole(number, 2, false, flags, flags.sharp),
        'o' => whole(number, 8, false, flags, flags.sharp),
        'O' => format!("0o{}", whole(number, 8, false, flags, false)),
        'x' => whole(number, 16, false, flags, flags.sharp),
        'X' => whole(number, 16, true, flags, flags.sharp),
        'c' => character().unwrap_or('\u{fffd}').to_string(),
        'q' => model::quote_rune_go(character()),
        'U' => format!("U+{number:04X}"),
        _ => return wrong(value, verb, sink),
    };
    padded(shown.as_bytes(), flags, sink)
}

/// A text, cut to as many characters as the precision says.
fn text(bytes: &[u8], verb: char, flags: &Flags, sink: &mut Sink<'_>) -> Result<(), Bound> {
    let cut = match flags.precision {
        Some(most) => first_characters(bytes, most),
        None => bytes,
    };
    match verb {
        'q' if flags.sharp && can_be_raw(cut) => padded(&[b"`", cut, b"`"].concat(), flags, sink),
        'q' => padded(model::quote_go(cut).as_bytes(), flags, sink),
        'x' | 'X' => padded(hex(bytes, verb, flags).as_bytes(), flags, sink),
        _ => padded(cut, flags, sink),
    }
}

fn can_be_raw(bytes: &[u8]) -> bool {
    let is_plain = |c: char| c != '`' && c != '\u{feff}' && (c == '\t' || !c.is_control());
    std::str::from_utf8(bytes).is_ok_and(|text| text.chars().all(is_plain))
}

fn first_characters(bytes: &[u8], most: usize) -> &[u8] {
    let mut length = 0;
    let mut count = 0;
    for chunk in bytes.utf8_chunks() {
        let valid = chunk.valid().chars().map(char::len_utf8);
        for size in valid.chain(chunk.invalid().iter().map(|_| 1)) {
            if count == most {
                return bytes.get(..length).unwrap_or(bytes);
            }
            (length, count) = (length + size, count + 1);
        }
    }
    bytes
}

/// Two digits per byte; with a space flag apart, with `#` behind `0x`.
fn hex(bytes: &[u8], verb: char, flags: &Flags) -> String {
    let bytes = flags.precision.and_then(|most| bytes.get(..most)).unwrap_or(bytes);
    let digits =
        |byte: &u8| if verb == 'X' { format!("{byte:02X}") } else { format!("{byte:02x}") };
    let prefix = match (flags.sharp && !bytes.is_empty(), verb) {
        (false, _) => "",
        (true, 'X') => "0X",
        (true, _) => "0x",
    };
    let parts: Vec<String> = bytes.iter().map(digits).collect();
    let separator = if flags.space { format!(" {prefix}") } else { String::new() };
    format!("{prefix}{}", parts.join(&separator))
}

/// Filled up to the width, which counts characters.
fn padded(shown: &[u8], flags: &Flags, sink: &mut Sink<'_>) -> Result<(), Bound> {
    let width = flags.width.unwrap_or(0);
    let count = if width == 0 { 0 } else { characters(shown) };
    let missing = width.saturating_sub(count);
    if flags.minus {
        sink.write(shown)?;
        return sink.repeat(b' ', missing);
    }
    sink.repeat(if flags.zero { b'0' } else { b' ' }, missing)?;
    sink.write(shown)
}

fn characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.chars().count(),
        Err(_) => bytes.utf8_chunks().map(|c| c.valid().chars().count() + c.invalid().len()).sum(),
    }
}
