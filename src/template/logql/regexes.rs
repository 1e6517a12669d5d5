//! Regular expressions, which may match any part of the text.

use super::strings::find;
use crate::registry::{Arguments, Call, Failure, Function, Kind};
use crate::value::Value;
use model::SearchRegex;
use std::borrow::Cow;

const THREE_TEXTS: &[Kind] = &[Kind::Text, Kind::Text, Kind::Text];

pub(super) const FUNCTIONS: [Function; 3] = [
    Function::pure("count", &[Kind::Text, Kind::Text], count),
    Function::pure("regexReplaceAll", THREE_TEXTS, |call, arguments| {
        let [pattern, text, new] = [0, 1, 2].map(|at| arguments.text(at));
        replace(call, &pattern, text, &new, true)
    }),
    Function::pure("regexReplaceAllLiteral", THREE_TEXTS, |call, arguments| {
        let [pattern, text, new] = [0, 1, 2].map(|at| arguments.text(at));
        replace(call, &pattern, text, &new, false)
    }),
];

fn count<'a>(call: &mut Call<'_>, arguments: &mut Arguments<'a, '_>) -> Result<Value<'a>, Failure> {
    let regex = call.regex(&arguments.text(0))?;
    let count = regex.engine().find_iter(&arguments.text(1)).count();
    Ok(Value::Int(i64::try_from(count).unwrap_or(i64::MAX)))
}

/// Every match replaced by a text, in which `$1`, `${1}` and `${name}` stand for groups.
pub(crate) fn replace<'a>(
    call: &mut Call<'_>,
    pattern: &[u8],
    text: Cow<'a, [u8]>,
    new: &[u8],
    has_groups: bool,
) -> Result<Value<'a>, Failure> {
    let regex = call.regex(pattern)?;
    replace_all(call, &regex, text, (new, has_groups))
}

/// The same with the expression at hand; the flag says whether the new text names groups.
pub(crate) fn replace_all<'a>(
    call: &mut Call<'_>,
    regex: &SearchRegex,
    text: Cow<'a, [u8]>,
    (new, has_groups): (&[u8], bool),
) -> Result<Value<'a>, Failure> {
    let has_groups = has_groups && find(new, b"$").is_some();
    let mut out = Vec::new();
    let mut end = 0;
    for captures in regex.engine().captures_iter(&text) {
        let Some(whole) = captures.get(0) else { continue };
        out.extend_from_slice(text.get(end..whole.start()).unwrap_or_default());
        if has_groups {
            expand(regex, &captures, new, &mut out);
        } else {
            out.extend_from_slice(new);
        }
        call.check_size(out.len())?;
        end = whole.end();
    }
    if end == 0 && out.is_empty() {
        return Ok(text.into());
    }
    out.extend_from_slice(text.get(end..).unwrap_or_default());
    Ok(out.into())
}

/// `$$` is a dollar; a group that there is not is empty.
fn expand(
    regex: &SearchRegex,
    captures: &regex::bytes::Captures<'_>,
    template: &[u8],
    out: &mut Vec<u8>,
) {
    let mut rest = template;
    while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
        let (before, tail) = rest.split_at_checked(at).unwrap_or((rest, b""));
        out.extend_from_slice(before);
        rest = tail.get(1..).unwrap_or_default();
        if let [b'$', after @ ..] = rest {
            out.push(b'$');
            rest = after;
            continue;
        }
        match group_reference(rest) {
            Some((name, after)) => {
                out.extend_from_slice(captured(regex, captures, name));
                rest = after;
            }
            None => out.push(b'$'),
        }
    }
    out.extend_from_slice(rest);
}

/// `name` or `{name}` at the start: the name and what follows.
fn group_reference(text: &[u8]) -> Option<(&str, &[u8])> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let (inside, skipped) = match text {
        [b'{', inside @ ..] => (inside, 1),
        _ => (text, 0),
    };
    let length = inside.iter().take_while(|byte| is_part(byte)).count();
    let (name, after) = inside.split_at_checked(length)?;
    let after = if skipped > 0 { after.strip_prefix(b"}")? } else { after };
    let name = std::str::from_utf8(name).ok()?;
    (!name.is_empty()).then_some((name, after))
}

fn captured<'t>(
    regex: &SearchRegex,
    captures: &regex::bytes::Captures<'t>,
    name: &str,
) -> &'t [u8] {
    let index = match name.parse::<usize>() {
        Ok(index) => Some(index),
        Err(_) => regex.group_names().position(|known| known == Some(name)),
    };
    index.and_then(|index| captures.get(index)).map_or(b"", |group| group.as_bytes())
}
