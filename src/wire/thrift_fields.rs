//! Fields of spans in Thrift, as Jaeger's and Zipkin's structs have them.

use crate::decoding::{Decoding, Result};
use crate::thrift::{ThriftField, ThriftReader};
use std::borrow::Cow;

pub(crate) fn integer(
    reader: &mut ThriftReader<'_>,
    field: ThriftField,
    place: &mut i64,
) -> Result<()> {
    *place = reader.integer(field)?;
    Ok(())
}

pub(crate) fn span_id(
    reader: &mut ThriftReader<'_>,
    field: ThriftField,
    place: &mut Option<[u8; 8]>,
) -> Result<()> {
    *place = Some(reader.integer(field)?.to_be_bytes());
    Ok(())
}

pub(crate) fn text<'a>(
    reader: &mut ThriftReader<'a>,
    field: ThriftField,
    place: &mut Cow<'a, str>,
    decoding: &mut Decoding<'_>,
) -> Result<()> {
    *place = decoding.lossy_text(reader.string(field)?)?;
    Ok(())
}
