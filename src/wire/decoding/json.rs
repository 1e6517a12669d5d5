//! Reading objects of JSON key by key, where anything may be `null` and what isn't known is passed over.

use super::{Decoding, Result};
use crate::json::{JsonError, JsonKind, JsonReader, JsonText};
use std::borrow::Cow;

/// Calls `take` with each key of an object; it must read the key's value. No format has keys with
/// escapes: such a key is empty here.
pub(crate) fn each_key<'a>(
    reader: &mut JsonReader<'a>,
    mut take: impl FnMut(&mut JsonReader<'a>, &'a [u8]) -> Result<()>,
) -> Result<()> {
    if reader.kind()? == JsonKind::Null {
        return Ok(reader.null()?);
    }
    reader.object(|reader, key| take(reader, key.plain().unwrap_or_default()))
}

/// Calls `take` at each element of a list; it must read the element.
pub(crate) fn each<'a>(
    reader: &mut JsonReader<'a>,
    take: impl FnMut(&mut JsonReader<'a>) -> Result<()>,
) -> Result<()> {
    if reader.kind()? == JsonKind::Null {
        return Ok(reader.null()?);
    }
    reader.array(take)
}

pub(crate) fn skip(reader: &mut JsonReader<'_>) -> Result<()> {
    reader.skip()?;
    Ok(())
}

pub(crate) fn optional_text<'a>(
    reader: &mut JsonReader<'a>,
) -> Result<Option<JsonText<'a>>, JsonError> {
    match reader.kind()? {
        JsonKind::Null => reader.null().map(|()| None),
        _ => reader.text().map(Some),
    }
}

pub(crate) fn text<'a>(
    reader: &mut JsonReader<'a>,
    place: &mut Cow<'a, str>,
    decoding: &mut Decoding<'_>,
) -> Result<()> {
    if let Some(text) = optional_text(reader)? {
        *place = decoding.json_text(text)?;
    }
    Ok(())
}

/// A number that has no place in its type is 0.
pub(crate) fn unsigned<T: TryFrom<i128> + Default>(
    reader: &mut JsonReader<'_>,
    place: &mut T,
) -> Result<()> {
    *place = T::try_from(reader.whole()?).unwrap_or_default();
    Ok(())
}
