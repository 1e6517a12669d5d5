//! Single values as OTLP's protobuf: how stores keep lists, maps and bytes.

use super::binary::any_value;
use super::common::AnyValue;
use crate::decoding::{Decoding, Result};
use crate::protobuf::{Reader, Writer};
use model::Unbounded;

/// The value as an `AnyValue` message.
pub fn encode_any_value(value: &AnyValue<'_>) -> Vec<u8> {
    let mut writer = Writer::new();
    write(value, &mut writer);
    writer.into_bytes()
}

/// Depth is bounded where values are read.
fn write(value: &AnyValue<'_>, writer: &mut Writer) {
    match value {
        AnyValue::Empty => {}
        AnyValue::Text(text) => writer.text(1, text),
        AnyValue::Bool(value) => writer.varint(2, u64::from(*value)),
        AnyValue::Int(value) => writer.signed(3, *value),
        AnyValue::Double(value) => writer.double(4, *value),
        AnyValue::Array(values) => writer.message(5, |writer| {
            values.iter().for_each(|value| writer.message(1, |writer| write(value, writer)));
        }),
        AnyValue::Map(entries) => writer.message(6, |writer| {
            for entry in entries {
                writer.message(1, |writer| {
                    writer.text(1, &entry.key);
                    writer.message(2, |writer| write(&entry.value, writer));
                });
            }
        }),
        AnyValue::Bytes(bytes) => writer.bytes(7, bytes),
    }
}

/// Reads an `AnyValue` message. It takes no more memory than a small multiple of it.
pub fn decode_any_value(bytes: &[u8]) -> Result<AnyValue<'_>> {
    any_value(Reader::new(bytes), &mut Decoding::strict(bytes.len(), &mut Unbounded), 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::Attribute;
    use proptest::prelude::*;

    fn values() -> impl Strategy<Value = AnyValue<'static>> {
        let leaf = prop_oneof![
            Just(AnyValue::Empty),
            ".{0,9}".prop_map(|text| AnyValue::Text(text.into())),
            any::<bool>().prop_map(AnyValue::Bool),
            any::<i64>().prop_map(AnyValue::Int),
            (-1e9..1e9).prop_map(AnyValue::Double),
            any::<Vec<u8>>().prop_map(|bytes| AnyValue::Bytes(bytes.into())),
        ];
        leaf.prop_recursive(4, 30, 5, |inner| {
            let entry = (".{0,5}", inner.clone())
                .prop_map(|(key, value)| Attribute { key: key.into(), value });
            prop_oneof![
                prop::collection::vec(inner, 0..5).prop_map(AnyValue::Array),
                prop::collection::vec(entry, 0..5).prop_map(AnyValue::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_come_back(value in values()) {
            let bytes = encode_any_value(&value);
            prop_assert_eq!(decode_any_value(&bytes), Ok(value));
        }

        #[test]
        fn any_bytes_are_a_value_or_an_error(bytes: Vec<u8>) {
            let _ = decode_any_value(&bytes);
        }
    }
}
