//! What a row group counts: as its pages record it, or from its columns.

use super::counts::{Count, decode_counts, encode_counts};
use super::index::Cached;
use super::{Group, TracePart};
use crate::error::StoreError;
use crate::measures::{Measure, MeasureKey, Measures};
use codec::{ByteReader, ByteWriter, DecodeError};
use std::sync::Arc;

impl TracePart {
    /// What all spans of a row group count. `count` reads its columns, where nothing is recorded.
    pub(crate) fn kept_measures<K: MeasureKey>(
        &self,
        index: u32,
        count: impl FnOnce(Group) -> Result<Measures<K>, StoreError>,
    ) -> Result<Arc<Measures<K>>, StoreError> {
        self.caches.get(self.id, Cached::Measures(K::PAGE, index), || {
            let group = self.group(index)?;
            let measures = match group.head.extra(K::PAGE) {
                Some(page) => Measures::decode(&self.part.page(page)?)?,
                None => count(group)?,
            };
            let memory = measures.memory();
            Ok((measures, memory))
        })
    }
}

impl<K: MeasureKey> Measures<K> {
    pub(super) fn encode(&self, writer: &mut ByteWriter) {
        writer.varint(self.texts.len() as u64);
        self.texts.encode(writer);
        writer.varint(self.keys.len() as u64);
        self.keys.iter().for_each(|key| key.encode(writer));
        let count = |one: &Measure| {
            let Measure { key, slot, field, amount } = *one;
            Count { key, slot, small: field, amount }
        };
        encode_counts(self.list.iter().map(count), writer);
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bytes);
        let wrong = reader.value_error("not an amount");
        let mut measures = Self::default();
        let texts = reader.length(reader.remaining())?;
        measures.texts.decode(&mut reader, texts)?;
        for _ in 0..reader.length(reader.remaining())? {
            measures.keys.push(K::decode(&mut reader, texts)?);
        }
        for Count { key, slot, small, amount } in decode_counts(&mut reader, measures.keys.len())? {
            if usize::from(small) >= K::FIELDS {
                return Err(wrong);
            }
            measures.list.push(Measure { key, slot, field: small, amount });
        }
        reader.finish()?;
        Ok(measures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::BlockBuilder;
    use crate::measures::{EdgeKey, SpanKey};
    use crate::piece::Piece;
    use crate::spans::tests::any_spans;
    use proptest::prelude::*;

    fn comes_back<K: MeasureKey>(piece: &Piece) -> Result<(), TestCaseError> {
        let measures = Measures::<K>::of(piece).unwrap();
        let mut writer = ByteWriter::default();
        measures.encode(&mut writer);
        prop_assert_eq!(Measures::decode(&writer.bytes), Ok(measures));
        Ok(())
    }

    proptest! {
        #[test]
        fn measures_come_back(spans in any_spans()) {
            let piece = Piece::of_block(Arc::new(BlockBuilder::ordered(&[&spans]))).unwrap();
            comes_back::<SpanKey>(&piece)?;
            comes_back::<EdgeKey>(&piece)?;
        }

        #[test]
        fn any_bytes_are_measures_or_an_error(bytes: Vec<u8>) {
            let _ = (Measures::<SpanKey>::decode(&bytes), Measures::<EdgeKey>::decode(&bytes));
        }
    }
}
