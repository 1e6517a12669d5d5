//! Documents of JSON as names and values: what Elasticsearch's bulk requests and JSON lines hold.
//!
//! A nested object becomes a field for each of its values, its name joined with dots; a list is one
//! field, its text the JSON of it; `null` is no field. Of equal names all are kept, in their order.

use crate::json::{JsonError, JsonKind, JsonReader};
use crate::log_sink::FieldBuffer;

/// How deep objects are taken apart. What lies deeper is one field, its text the JSON of it.
const FLATTENED_DEPTH: usize = 20;

/// Appends the fields of the object that `reader` stands before.
pub fn flatten_json(
    reader: &mut JsonReader<'_>,
    fields: &mut FieldBuffer,
) -> Result<(), JsonError> {
    let mut prefix = String::new();
    object(reader, 1, &mut prefix, fields)
}

fn object(
    reader: &mut JsonReader<'_>,
    depth: usize,
    prefix: &mut String,
    fields: &mut FieldBuffer,
) -> Result<(), JsonError> {
    reader.object(|reader, key| {
        let kind = reader.kind()?;
        match kind {
            JsonKind::Object if depth < FLATTENED_DEPTH => {
                let length = prefix.len();
                key.append_to(prefix);
                prefix.push('.');
                let nested = object(reader, depth + 1, prefix, fields);
                prefix.truncate(length);
                nested
            }
            JsonKind::Text => {
                let value = reader.text()?;
                let name = |text: &mut String| {
                    text.push_str(prefix);
                    key.append_to(text);
                };
                fields.push_with(name, |text| value.append_to(text));
                Ok(())
            }
            JsonKind::Null => reader.null(),
            _ => {
                let value = reader.skip()?;
                let name = |text: &mut String| {
                    text.push_str(prefix);
                    key.append_to(text);
                };
                fields.push_with(name, |text| text.push_str(&String::from_utf8_lossy(value)));
                Ok(())
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn flat(json: &str) -> Vec<(String, String)> {
        let mut fields = FieldBuffer::default();
        flatten_json(&mut JsonReader::new(json.as_bytes()), &mut fields).unwrap();
        fields.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn nested_objects_are_joined_with_dots() {
        let json = r#"{"a":"x\n","b":{"c":1.50,"d":{"e":true,"f":null}},"g":[1, {"h":2}],"a":"y","":"z","i":{}}"#;
        let expected = [
            ("a", "x\n"),
            ("b.c", "1.50"),
            ("b.d.e", "true"),
            ("g", r#"[1, {"h":2}]"#),
            ("a", "y"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(flat(json), expected);
    }

    #[test]
    fn what_lies_deep_stays_json() {
        let json = format!("{}1{}", "{\"a\":".repeat(25), "}".repeat(25));
        let fields = flat(&json);
        assert_eq!(fields[0].0, ["a"; 20].join("."));
        assert_eq!(fields[0].1, format!("{}1{}", "{\"a\":".repeat(5), "}".repeat(5)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_fields_or_an_error(text in "[{}\\[\\]\":,a-c0-1\\\\ ]{0,60}") {
            drop(flatten_json(&mut JsonReader::new(text.as_bytes()), &mut FieldBuffer::default()));
        }
    }
}
