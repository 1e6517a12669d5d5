//! Exports: the whole catalog as text, one entry per line. `docs/formats/catalog-export.md`.

use crate::CatalogError;
use codec::crc32c;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub const EXPORT_FORMAT_VERSION: u64 = 1;

/// Far above the size alarm; checked before memory is allocated.
const TEXT_LENGTH_MAX: usize = 1 << 30;
const ZSTD_LEVEL: i32 = 3;

/// A decoded export. Values are JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Export {
    pub(crate) sequence: u64,
    pub(crate) created_ms: i64,
    pub(crate) entries: Vec<(String, Vec<u8>)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    mirador_catalog_export: u64,
    sequence: u64,
    created_ms: i64,
    entries: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    key: String,
    #[serde(borrow)]
    value: &'a RawValue,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trailer {
    crc32c: u32,
}

pub(crate) fn encode(export: &Export) -> Result<Vec<u8>, CatalogError> {
    let Export { sequence, created_ms, entries } = export;
    let mut text = Vec::new();
    let header = Header {
        mirador_catalog_export: EXPORT_FORMAT_VERSION,
        sequence: *sequence,
        created_ms: *created_ms,
        entries: entries.len() as u64,
    };
    push_line(&mut text, &header);
    for (key, value) in entries {
        let wrong = |_| CatalogError::damaged(key, "its value is not JSON");
        let value = serde_json::from_slice(value).map_err(wrong)?;
        push_line(&mut text, &Line { key: key.clone(), value });
    }
    let crc32c = crc32c(&text);
    push_line(&mut text, &Trailer { crc32c });
    zstd::bulk::compress(&text, ZSTD_LEVEL).map_err(CatalogError::io("export"))
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Export, CatalogError> {
    let text = decompress(bytes)?;
    let body = check_trailer(&text)?;
    let mut lines = body.split_inclusive(|byte| *byte == b'\n');
    let header: Header = parse(lines.next().unwrap_or_default())?;
    if header.mirador_catalog_export != EXPORT_FORMAT_VERSION {
        let found = header.mirador_catalog_export;
        let text = format!("it has version {found}, this program reads {EXPORT_FORMAT_VERSION}");
        return Err(CatalogError::BadExport(text));
    }
    let mut entries = Vec::new();
    for line in lines {
        let line: Line<'_> = parse(line)?;
        entries.push((line.key, line.value.get().as_bytes().to_vec()));
    }
    if entries.len() as u64 != header.entries {
        return Err(CatalogError::BadExport("entries are missing".to_owned()));
    }
    Ok(Export { sequence: header.sequence, created_ms: header.created_ms, entries })
}

fn push_line(text: &mut Vec<u8>, line: &impl Serialize) {
    serde_json::to_writer(&mut *text, line).expect("plain structs become JSON in memory");
    text.push(b'\n');
}

fn parse<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, CatalogError> {
    serde_json::from_slice(line).map_err(|error| CatalogError::BadExport(error.to_string()))
}

fn decompress(bytes: &[u8]) -> Result<Vec<u8>, CatalogError> {
    let bad = |what: &str| CatalogError::BadExport(what.to_owned());
    let length =
        zstd::bulk::Decompressor::upper_bound(bytes).ok_or_else(|| bad("it is not zstd"))?;
    if length > TEXT_LENGTH_MAX {
        return Err(bad("it is larger than any export"));
    }
    zstd::bulk::decompress(bytes, length)
        .map_err(|error| CatalogError::BadExport(error.to_string()))
}

/// Returns the text before the last line if that line's checksum matches.
fn check_trailer(text: &[u8]) -> Result<&[u8], CatalogError> {
    let ended = text.strip_suffix(b"\n").unwrap_or_default();
    let start = ended.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let trailer: Trailer = parse(&ended[start..])?;
    if trailer.crc32c != crc32c(&text[..start]) {
        return Err(CatalogError::BadExport("its checksum does not match".to_owned()));
    }
    Ok(&text[..start])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn exports_come_back(sequence: u64, keys: Vec<(String, String, f64)>) {
            let value = |text: &String, number: f64| {
                serde_json::json!({ "text": text, "n": number }).to_string().into_bytes()
            };
            let entries = keys.iter().map(|(key, text, n)| (key.clone(), value(text, *n))).collect();
            let export = Export { sequence, created_ms: -5, entries };
            prop_assert_eq!(decode(&encode(&export).unwrap()).unwrap(), export);
        }

        #[test]
        fn any_bytes_are_an_export_or_an_error(bytes: Vec<u8>) {
            prop_assert!(decode(&bytes).is_err());
            let packed = zstd::bulk::compress(&bytes, 1).unwrap();
            prop_assert!(decode(&packed).is_err());
        }
    }

    #[test]
    fn flipped_bits_are_errors_or_change_nothing() {
        let entries = vec![("users/a".to_owned(), b"{\"x\":1}".to_vec())];
        let export = Export { sequence: 7, created_ms: 1, entries };
        let bytes = encode(&export).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&flipped).map_or(true, |read| read == export), "bit {bit}");
        }
    }
}
