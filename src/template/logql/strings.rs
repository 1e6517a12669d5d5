//! Texts: cases, parts, padding, tests. The text comes last.

use crate::registry::{Arguments, Call, Failure, Function, Kind};
use crate::value::Value;
use std::borrow::Cow;

const TEXT: &[Kind] = &[Kind::Text];
const TWO_TEXTS: &[Kind] = &[Kind::Text, Kind::Text];
const INT_TEXT: &[Kind] = &[Kind::Int, Kind::Text];

type Made<'a> = Result<Value<'a>, Failure>;

pub(super) const FUNCTIONS: [Function; 19] = [
    Function::pure("lower", TEXT, |call, arguments| mapped(call, arguments, lower)),
    Function::pure("upper", TEXT, |call, arguments| mapped(call, arguments, upper)),
    Function::pure("title", TEXT, |call, arguments| mapped(call, arguments, title)),
    Function::pure("trunc", INT_TEXT, trunc),
    Function::pure("substr", &[Kind::Int, Kind::Int, Kind::Text], substr),
    Function::pure("replace", &[Kind::Text, Kind::Text, Kind::Text], |call, arguments| {
        let (old, new) = (arguments.text(0), arguments.text(1));
        replaced(call, arguments.text(2), &old, &new, usize::MAX)
    }),
    Function::pure("repeat", INT_TEXT, repeat),
    Function::pure("trim", TEXT, |_, arguments| Ok(cut(arguments.text(0), trim_space).into())),
    Function::pure("trimAll", TWO_TEXTS, |_, arguments| {
        let set = arguments.text(0);
        Ok(cut(arguments.text(1), |text| trim_end(trim_start(text, &set), &set)).into())
    }),
    Function::pure("trimPrefix", TWO_TEXTS, |_, arguments| {
        let prefix = arguments.text(0);
        Ok(cut(arguments.text(1), |text| text.strip_prefix(&*prefix).unwrap_or(text)).into())
    }),
    Function::pure("trimSuffix", TWO_TEXTS, |_, arguments| {
        let suffix = arguments.text(0);
        Ok(cut(arguments.text(1), |text| text.strip_suffix(&*suffix).unwrap_or(text)).into())
    }),
    Function::pure("indent", INT_TEXT, |call, arguments| indent(call, arguments, "")),
    Function::pure("nindent", INT_TEXT, |call, arguments| indent(call, arguments, "\n")),
    Function::pure("contains", TWO_TEXTS, |_, arguments| {
        let part = arguments.text(0);
        Ok(find(&arguments.text(1), &part).is_some().into())
    }),
    Function::pure("hasPrefix", TWO_TEXTS, |_, arguments| {
        let part = arguments.text(0);
        Ok(arguments.text(1).starts_with(&part).into())
    }),
    Function::pure("hasSuffix", TWO_TEXTS, |_, arguments| {
        let part = arguments.text(0);
        Ok(arguments.text(1).ends_with(&part).into())
    }),
    Function::pure("default", &[Kind::Any], default).with_rest(Kind::Any),
    Function::pure("alignLeft", INT_TEXT, |call, arguments| align(call, arguments, true)),
    Function::pure("alignRight", INT_TEXT, |call, arguments| align(call, arguments, false)),
];

/// A part of a text, without a copy where it is borrowed.
pub(super) fn cut<'a>(text: Cow<'a, [u8]>, part: impl Fn(&[u8]) -> &[u8]) -> Cow<'a, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(part(text)),
        Cow::Owned(text) => {
            let part = part(&text);
            if part.len() == text.len() { Cow::Owned(text) } else { Cow::Owned(part.to_vec()) }
        }
    }
}

/// Each character anew. What is no text stays as it is.
pub(crate) fn mapped<'a>(
    call: &mut Call<'_>,
    arguments: &mut Arguments<'a, '_>,
    map: fn(&str, &mut String),
) -> Made<'a> {
    /// No character becomes longer than three of its size.
    const GROWTH: usize = 3;
    let text = arguments.text(0);
    call.check_size(text.len().saturating_mul(GROWTH))?;
    let mut out = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        let mut mapped = String::with_capacity(chunk.valid().len());
        map(chunk.valid(), &mut mapped);
        out.extend_from_slice(mapped.as_bytes());
        out.extend_from_slice(chunk.invalid());
    }
    Ok(out.into())
}

/// Go maps characters to single ones.
fn single(mut mapped: impl ExactSizeIterator<Item = char>, character: char) -> char {
    let is_single = mapped.len() == 1;
    mapped.next().filter(|_| is_single).unwrap_or(character)
}

pub(crate) fn lower(text: &str, out: &mut String) {
    out.extend(text.chars().map(|character| single(character.to_lowercase(), character)));
}

pub(crate) fn upper(text: &str, out: &mut String) {
    out.extend(text.chars().map(|character| single(character.to_uppercase(), character)));
}

/// The first letter of each word.
pub(crate) fn title(text: &str, out: &mut String) {
    let mut last = ' ';
    for character in text.chars() {
        let is_first = is_separator(last);
        out.push(if is_first { single(character.to_uppercase(), character) } else { character });
        last = character;
    }
}

fn is_separator(character: char) -> bool {
    if character.is_ascii() {
        return !character.is_ascii_alphanumeric() && character != '_';
    }
    !character.is_alphanumeric() && character.is_whitespace()
}

/// The first bytes, or with a negative number the last ones.
fn trunc<'a>(_: &mut Call<'_>, arguments: &mut Arguments<'a, '_>) -> Made<'a> {
    let count = arguments.int(0);
    let length = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let part = |text: &[u8]| -> (usize, usize) {
        match text.len().checked_sub(length) {
            Some(start) if count < 0 && start > 0 => (start, text.len()),
            Some(_) if count >= 0 => (0, length),
            _ => (0, text.len()),
        }
    };
    Ok(cut(arguments.text(1), |text| {
        let (start, end) = part(text);
        text.get(start..end).unwrap_or(text)
    })
    .into())
}

/// From a byte up to another. With a negative start from the beginning, with a negative or too large end
/// up to the end. Others that there are not are errors, as Go gives them.
fn substr<'a>(_: &mut Call<'_>, arguments: &mut Arguments<'a, '_>) -> Made<'a> {
    let (start, end, text) = (arguments.int(0), arguments.int(1), arguments.text(2));
    let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let failed =
        |bounds: String| Err(format!("runtime error: slice bounds out of range [{bounds}").into());
    let (from, to) = if start < 0 {
        match end {
            ..0 => return failed(format!(":{end}]")),
            _ if end > length => return failed(format!(":{end}] with length {length}")),
            _ => (0, end),
        }
    } else if end < 0 || end > length {
        (start, length)
    } else {
        (start, end)
    };
    if from > to {
        return failed(format!("{from}:{to}]"));
    }
    let (from, to) = (usize::try_from(from).unwrap_or(0), usize::try_from(to).unwrap_or(0));
    Ok(cut(text, |text| text.get(from..to).unwrap_or_default()).into())
}

/// The first `most` of the old parts replaced by the new one.
pub(super) fn replaced<'a>(
    call: &Call<'_>,
    text: Cow<'a, [u8]>,
    old: &[u8],
    new: &[u8],
    most: usize,
) -> Made<'a> {
    let mut out = Vec::new();
    let mut rest = &text[..];
    let mut count = 0;
    while count < most {
        let Some(at) = next_part(rest, old, count == 0) else { break };
        call.check_size(out.len().saturating_add(at).saturating_add(new.len()))?;
        let (before, after) = rest.split_at_checked(at).unwrap_or((rest, b""));
        out.extend_from_slice(before);
        out.extend_from_slice(new);
        rest = after.get(old.len()..).unwrap_or_default();
        count += 1;
    }
    if count == 0 {
        return Ok(text.into());
    }
    call.check_size(out.len().saturating_add(rest.len()))?;
    out.extend_from_slice(rest);
    Ok(out.into())
}

/// Where the next part is. An empty one is before each character and at the end.
fn next_part(rest: &[u8], old: &[u8], is_first: bool) -> Option<usize> {
    if !old.is_empty() {
        return find(rest, old);
    }
    if is_first {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let head = rest.get(..rest.len().min(4)).unwrap_or(rest);
    let valid = head.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
    Some(valid.map_or(1, char::len_utf8))
}

pub(super) fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    if let (Ok(text), Ok(part)) = (std::str::from_utf8(text), std::str::from_utf8(part)) {
        return text.find(part);
    }
    if part.is_empty() { Some(0) } else { text.windows(part.len()).position(|here| here == part) }
}

fn repeat<'a>(call: &mut Call<'_>, arguments: &mut Arguments<'a, '_>) -> Made<'a> {
    let (count, text) = (arguments.int(0), arguments.text(1));
    let Ok(count) = usize::try_from(count) else {
        return Err("strings: negative Repeat count".into());
    };
    call.check_size(text.len().saturating_mul(count))?;
    Ok(if text.is_empty() { Value::text(b"") } else { text.repeat(count).into() })
}

fn indent<'a>(call: &mut Call<'_>, arguments: &mut Arguments<'a, '_>, before: &str) -> Made<'a> {
    let (count, text) = (arguments.int(0), arguments.text(1));
    let Ok(count) = usize::try_from(count) else {
        return Err("strings: negative Repeat count".into());
    };
    let lines = 1 + text.iter().filter(|byte| **byte == b'\n').count();
    call.check_size(count.saturating_mul(lines).saturating_add(text.len()))?;
    let pad = vec![b' '; count];
    let mut out = before.as_bytes().to_vec();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        out.extend_from_slice(&pad);
        out.extend_from_slice(line);
    }
    if text.is_empty() || text.ends_with(b"\n") {
        out.extend_from_slice(&pad);
    }
    Ok(out.into())
}

/// The value given last, unless it is empty.
fn default<'a>(_: &mut Call<'_>, arguments: &mut Arguments<'a, '_>) -> Made<'a> {
    let given = arguments.get(1).is_true();
    Ok(arguments.take(usize::from(given)))
}

/// As many characters as asked for: filled up with spaces, or cut. Left keeps the first ones, right the
/// last ones.
fn align<'a>(call: &mut Call<'_>, arguments: &mut Arguments<'a, '_>, is_left: bool) -> Made<'a> {
    let (wanted, text) = (arguments.int(0), arguments.text(1));
    let Ok(wanted) = usize::try_from(wanted) else { return Ok(text.into()) };
    let shown = String::from_utf8_lossy(&text);
    let count = shown.chars().count();
    if wanted <= count {
        let skipped = if is_left { wanted } else { count - wanted };
        let at = shown.char_indices().nth(skipped).map_or(shown.len(), |(at, _)| at);
        let (left, right) = shown.split_at_checked(at).unwrap_or((&shown, ""));
        return Ok(if is_left { left } else { right }.to_owned().into());
    }
    call.check_size(text.len().saturating_add(wanted - count))?;
    let pad = " ".repeat(wanted - count);
    Ok(if is_left { format!("{shown}{pad}") } else { format!("{pad}{shown}") }.into())
}

/// White space as Go sees it: that of Unicode.
pub(super) fn trim_space(text: &[u8]) -> &[u8] {
    match std::str::from_utf8(text) {
        Ok(text) => text.trim().as_bytes(),
        Err(_) => text.trim_ascii(),
    }
}

/// Without any of the characters of the set at the beginning.
pub(super) fn trim_start<'t>(text: &'t [u8], set: &[u8]) -> &'t [u8] {
    let set = String::from_utf8_lossy(set);
    let mut rest = text;
    loop {
        let head = rest.get(..rest.len().min(4)).unwrap_or(rest);
        let first = head.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
        match first {
            Some(character) if set.contains(character) => {
                rest = rest.get(character.len_utf8()..).unwrap_or_default();
            }
            _ => return rest,
        }
    }
}

pub(super) fn trim_end<'t>(text: &'t [u8], set: &[u8]) -> &'t [u8] {
    let set = String::from_utf8_lossy(set);
    let mut rest = text;
    loop {
        let start = (1..=rest.len().min(4)).map(|length| rest.len() - length);
        let mut tails = start.filter_map(|start| rest.get(start..).map(|tail| (start, tail)));
        let last = tails.find_map(|(start, tail)| Some((start, std::str::from_utf8(tail).ok()?)));
        match last {
            Some((start, tail)) if set.contains(tail) => {
                rest = rest.get(..start).unwrap_or_default();
            }
            _ => return rest,
        }
    }
}
