//! `unpack`: lines that Promtail has packed into JSON, with labels beside the line itself.

use super::error::{ExtractError, JsonMistake};
use super::json::scan::{Kind, Members};
use super::json::shown;
use super::json::unescape::unescape;
use super::names::push_name;
use super::{Buffers, Fields};
use std::ops::ControlFlow;

/// The key of the line itself.
const ENTRY: &[u8] = b"_entry";

/// The texts of an object that has an entry, as fields. `entry` becomes the line that was packed; the
/// result says whether there was one. Without one there are no fields.
pub fn unpack(
    line: &[u8],
    buffers: &mut Buffers,
    entry: &mut Vec<u8>,
    fields: &mut impl Fields,
) -> Result<bool, ExtractError> {
    if line.is_empty() {
        return Ok(false);
    }
    if line.first() != Some(&b'{') {
        return Err(JsonMistake::NotPacked.into());
    }
    let Buffers { name, key: unescaped, bytes, text, .. } = buffers;
    // The line must be right to its end before anything of it is given.
    let mut is_packed = false;
    each_text(line, unescaped, |key, value| {
        if key == ENTRY {
            is_packed = true;
            entry.clear();
            unescape(value, entry).ok_or(JsonMistake::Escape)?;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if !is_packed {
        return Ok(false);
    }
    each_text(line, unescaped, |key, value| {
        name.clear();
        push_name(key, name);
        if key == ENTRY || name.is_empty() || !fields.wants(name) {
            return Ok(ControlFlow::Continue(()));
        }
        Ok(fields.field(name, shown(value, bytes, text)))
    })?;
    Ok(true)
}

/// Each key with a text as its value, which may have escapes.
fn each_text(
    line: &[u8],
    unescaped: &mut Vec<u8>,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, JsonMistake>,
) -> Result<(), JsonMistake> {
    let mut members = Members::open(line, 0)?;
    while let Some(key) = members.next_key()? {
        let value = members.value()?;
        let key = if key.has_escapes {
            unescaped.clear();
            unescape(key.bytes, unescaped).ok_or(JsonMistake::Escape)?;
            &unescaped[..]
        } else {
            key.bytes
        };
        if value.kind == Kind::Text && visit(key, value.bytes)?.is_break() {
            return Ok(());
        }
    }
    Ok(())
}
