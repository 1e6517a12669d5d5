//! From a map of MessagePack to fields with dotted names, or to JSON.

use wire::FieldBuffer;
use wire::msgpack::{MsgpackError, MsgpackReader, MsgpackValue};

/// How deep maps are taken apart. What lies deeper is one field, its text the JSON of it.
const FLATTENED_DEPTH: usize = 20;
/// How deep values may nest that become JSON.
const DEPTH_MAX: usize = 64;

/// Appends the fields of a record.
pub(super) fn flatten(record: &[u8], fields: &mut FieldBuffer) -> Result<(), MsgpackError> {
    let mut reader = MsgpackReader::new(record);
    let pairs = reader.map()?;
    map(&mut reader, pairs, 1, &mut String::new(), fields)
}

fn map(
    reader: &mut MsgpackReader<'_>,
    pairs: usize,
    depth: usize,
    prefix: &mut String,
    fields: &mut FieldBuffer,
) -> Result<(), MsgpackError> {
    for _ in 0..pairs {
        let length = prefix.len();
        append_lossy(reader.text()?, prefix);
        let before = reader.clone();
        match reader.value()? {
            MsgpackValue::Nil => {}
            MsgpackValue::Map(pairs) if depth < FLATTENED_DEPTH => {
                prefix.push('.');
                map(reader, pairs, depth + 1, prefix, fields)?;
            }
            MsgpackValue::Text(text) | MsgpackValue::Binary(text) => {
                fields.push_with(|name| name.push_str(prefix), |value| append_lossy(text, value));
            }
            _ => {
                *reader = before;
                let mut json = String::new();
                append_json(reader, 0, &mut json)?;
                fields.push(prefix, &json);
            }
        }
        prefix.truncate(length);
    }
    Ok(())
}

fn append_lossy(bytes: &[u8], out: &mut String) {
    out.push_str(&String::from_utf8_lossy(bytes));
}

/// Appends a value as JSON.
pub(super) fn append_json(
    reader: &mut MsgpackReader<'_>,
    depth: usize,
    out: &mut String,
) -> Result<(), MsgpackError> {
    if depth >= DEPTH_MAX {
        return Err(reader.error("less nesting than 64 levels"));
    }
    match reader.value()? {
        MsgpackValue::Nil => out.push_str("null"),
        MsgpackValue::Bool(value) => out.push_str(if value { "true" } else { "false" }),
        MsgpackValue::Unsigned(value) => out.push_str(itoa::Buffer::new().format(value)),
        MsgpackValue::Signed(value) => out.push_str(itoa::Buffer::new().format(value)),
        MsgpackValue::Float(value) if value.is_finite() => {
            out.push_str(zmij::Buffer::new().format_finite(value));
        }
        MsgpackValue::Float(value) => append_quoted(value.to_string().as_bytes(), out),
        MsgpackValue::Text(text) | MsgpackValue::Binary(text) => append_quoted(text, out),
        MsgpackValue::Extension(_, bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            append_quoted(hex.as_bytes(), out);
        }
        MsgpackValue::Array(length) => {
            out.push('[');
            for index in 0..length {
                out.push_str(if index > 0 { "," } else { "" });
                append_json(reader, depth + 1, out)?;
            }
            out.push(']');
        }
        MsgpackValue::Map(pairs) => {
            out.push('{');
            for index in 0..pairs {
                out.push_str(if index > 0 { "," } else { "" });
                append_quoted(reader.text()?, out);
                out.push(':');
                append_json(reader, depth + 1, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

fn append_quoted(text: &[u8], out: &mut String) {
    let text = String::from_utf8_lossy(text);
    out.push_str(&serde_json::to_string(&*text).expect("text is always JSON"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wire::msgpack::MsgpackWriter;

    #[test]
    fn maps_are_joined_with_dots() {
        let mut writer = MsgpackWriter::default();
        writer.map(4).text(b"log").text(b"x\xff\n");
        writer.text(b"kubernetes").map(2).text(b"pod_name").text(b"p").text(b"none").raw(b"\xc0");
        writer
            .text(b"list")
            .array(3)
            .unsigned(1)
            .raw(b"\xcb\x3f\xf8\0\0\0\0\0\0")
            .raw(b"\x81\xa1a\xc3");
        writer.text(b"n").raw(b"\xff");
        let mut fields = FieldBuffer::default();
        flatten(&writer.into_bytes(), &mut fields).unwrap();
        let fields: Vec<_> = fields.iter().collect();
        let expected = [
            ("log", "x\u{fffd}\n"),
            ("kubernetes.pod_name", "p"),
            ("list", r#"[1,1.5,{"a":true}]"#),
            ("n", "-1"),
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = [b"\x81\xa1a".repeat(1_000), b"\x01".to_vec()].concat();
        let error = flatten(&deep, &mut FieldBuffer::default()).unwrap_err();
        assert!(error.to_string().contains("64 levels"), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_fields_or_an_error(bytes: Vec<u8>) {
            drop(flatten(&bytes, &mut FieldBuffer::default()));
            let map = [&b"\x82\xa1a"[..], &bytes].concat();
            drop(flatten(&map, &mut FieldBuffer::default()));
            drop(append_json(&mut MsgpackReader::new(&bytes), 0, &mut String::new()));
        }
    }
}
