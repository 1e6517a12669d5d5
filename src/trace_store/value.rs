//! Values of attributes that are lists, maps, bytes, or nothing: protobuf, as OTLP sends them.

pub use wire::otlp::decode_any_value as decode_value;
pub(crate) use wire::otlp::encode_any_value as encode_value;
