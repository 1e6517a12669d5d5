//! `logproto.PushRequest`: every stream has the text of its labels and its lines.

use super::labels::parse_stream_labels;
use crate::log_sink::{DecodedLogs, FIELDS_KIND, FIELDS_MAX, LABELS_KIND, LogSink, StreamLabels};
use crate::protobuf::{Field, ProtobufError, Reader};
use std::borrow::Cow;

const STREAM: u32 = 1;

const LABELS: u32 = 1;
const ENTRY: u32 = 2;

const TIMESTAMP: u32 = 1;
const LINE: u32 = 2;
const STRUCTURED_METADATA: u32 = 3;

const SECOND_NS: i64 = 1_000_000_000;

/// Passes every line of a request to `sink`. Texts of labels and fields that are not UTF-8 have U+FFFD
/// in the place of what is not; lines stay as they are.
pub fn decode_loki_push(
    request: &[u8],
    sink: &mut (impl LogSink + ?Sized),
) -> Result<DecodedLogs, ProtobufError> {
    let mut decoder = Decoder {
        labels: StreamLabels::default(),
        fields: Vec::new(),
        decoded: DecodedLogs::default(),
    };
    let mut reader = Reader::new(request);
    while let Some(field) = reader.next_field()? {
        if field.number == STREAM {
            decoder.stream(field.message()?, sink)?;
        }
    }
    Ok(decoder.decoded)
}

struct Decoder<'a> {
    labels: StreamLabels,
    /// The fields of the present line.
    fields: Vec<(&'a str, &'a str)>,
    decoded: DecodedLogs,
}

impl<'a> Decoder<'a> {
    fn stream(
        &mut self,
        reader: Reader<'a>,
        sink: &mut (impl LogSink + ?Sized),
    ) -> Result<(), ProtobufError> {
        let text = labels_of(reader)?;
        let text = String::from_utf8_lossy(text);
        let parsed = parse_stream_labels(&text, &mut self.labels);
        let refusal = match parsed.and_then(|()| self.labels.canonical()) {
            Ok(labels) => {
                sink.stream(labels);
                self.decoded.streams += 1;
                None
            }
            Err(bad) => Some(bad),
        };
        let mut entries = reader;
        while let Some(field) = entries.next_field()? {
            match (&refusal, field.number) {
                (None, ENTRY) => self.entry(field.message()?, sink)?,
                (Some(bad), ENTRY) => {
                    self.decoded.rejected.add(LABELS_KIND, || bad.to_string());
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        mut reader: Reader<'a>,
        sink: &mut (impl LogSink + ?Sized),
    ) -> Result<(), ProtobufError> {
        let (mut time_ns, mut line) = (0, &b""[..]);
        let whole = reader;
        let (mut fields, mut all_text) = (0, true);
        self.fields.clear();
        while let Some(field) = reader.next_field()? {
            match field.number {
                TIMESTAMP => time_ns = timestamp(field)?,
                LINE => line = field.bytes()?,
                STRUCTURED_METADATA => {
                    fields += 1;
                    let [name, value] =
                        pair(field.message()?)?.map(|text| std::str::from_utf8(text));
                    match (name, value) {
                        (Ok(""), _) => {}
                        (Ok(name), Ok(value)) if fields <= FIELDS_MAX => {
                            self.fields.push((name, value));
                        }
                        (Ok(_), Ok(_)) => {}
                        _ => all_text = false,
                    }
                }
                _ => {}
            }
        }
        if fields > FIELDS_MAX {
            let reason = || {
                format!("a line has {fields} fields of structured metadata, more than {FIELDS_MAX}")
            };
            self.decoded.rejected.add(FIELDS_KIND, reason);
            return Ok(());
        }
        self.decoded.lines += 1;
        match all_text {
            true => sink.line(time_ns, line, &self.fields),
            false => line_with_lossy_fields(whole, time_ns, line, sink)?,
        }
        Ok(())
    }
}

/// The text of the labels, which senders put first and protobuf allows anywhere.
fn labels_of(mut reader: Reader<'_>) -> Result<&[u8], ProtobufError> {
    let mut labels = &b""[..];
    while let Some(field) = reader.next_field()? {
        match field.number {
            LABELS => labels = field.bytes()?,
            // The last one counts, but no sender repeats it: don't read all lines for that.
            ENTRY if !labels.is_empty() => break,
            _ => {}
        }
    }
    Ok(labels)
}

/// `google.protobuf.Timestamp`; beyond what 64 bits can count it is the first or last time that they
/// can.
fn timestamp(field: Field<'_>) -> Result<i64, ProtobufError> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = field.message()?;
    while let Some(field) = reader.next_field()? {
        match field.number {
            1 => seconds = field.signed()?,
            2 => nanos = field.int32()?,
            _ => {}
        }
    }
    Ok(seconds.saturating_mul(SECOND_NS).saturating_add(nanos.into()))
}

fn pair(mut reader: Reader<'_>) -> Result<[&[u8]; 2], ProtobufError> {
    let mut pair = [&b""[..]; 2];
    while let Some(field) = reader.next_field()? {
        match field.number {
            1 => pair[0] = field.bytes()?,
            2 => pair[1] = field.bytes()?,
            _ => {}
        }
    }
    Ok(pair)
}

fn line_with_lossy_fields(
    mut reader: Reader<'_>,
    time_ns: i64,
    line: &[u8],
    sink: &mut (impl LogSink + ?Sized),
) -> Result<(), ProtobufError> {
    let mut owned: Vec<[Cow<'_, str>; 2]> = Vec::new();
    while let Some(field) = reader.next_field()? {
        if field.number == STRUCTURED_METADATA {
            owned.push(pair(field.message()?)?.map(String::from_utf8_lossy));
        }
    }
    let pairs = owned.iter().map(|[name, value]| (&**name, &**value));
    let fields: Vec<(&str, &str)> = pairs.filter(|(name, _)| !name.is_empty()).collect();
    sink.line(time_ns, line, &fields);
    Ok(())
}
