//! A list of texts, which are any bytes.

use codec::{ByteReader, ByteWriter, DecodeError};

/// Texts one after the other, and where each ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextList {
    pub bytes: Vec<u8>,
    pub ends: Vec<u32>,
}

/// All texts have this length.
const SAME_LENGTH: u8 = 0;
/// A byte for each length.
const SHORT: u8 = 1;
/// A variable-length integer for each length.
const ANY: u8 = 2;

impl TextList {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    pub fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len() as u32);
    }

    #[inline]
    pub fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        &self.bytes[start..self.ends[index] as usize]
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// The memory that it takes.
    pub fn memory(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<u32>()
    }

    fn lengths(&self) -> impl Iterator<Item = u32> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        self.ends.iter().zip(starts).map(|(end, start)| end - start)
    }

    /// Writes the texts; how many there are is the caller's to know.
    pub fn encode(&self, writer: &mut ByteWriter) {
        let first = self.ends.first().copied().unwrap_or(0);
        let longest = self.lengths().max().unwrap_or(0);
        if self.lengths().all(|length| length == first) {
            writer.u8(SAME_LENGTH);
            writer.varint(u64::from(first));
        } else if longest <= u32::from(u8::MAX) {
            writer.u8(SHORT);
            self.lengths().for_each(|length| writer.u8(length as u8));
        } else {
            writer.u8(ANY);
            self.lengths().for_each(|length| writer.varint(u64::from(length)));
        }
        writer.raw(&self.bytes);
    }

    /// Appends `count` texts.
    pub fn decode(&mut self, reader: &mut ByteReader<'_>, count: usize) -> Result<(), DecodeError> {
        let start = self.bytes.len();
        let wrong = reader.value_error("not a list of texts");
        let mut end = start as u64;
        self.ends.reserve(count.min(reader.remaining()));
        let mut push = |length: u64| {
            end += length;
            self.ends.push(end as u32);
        };
        each_length(reader, count, &mut push)?;
        if end > u64::from(u32::MAX) {
            return Err(wrong);
        }
        self.bytes.extend_from_slice(reader.bytes(end as usize - start)?);
        Ok(())
    }

    /// Appends the texts at rising places, of `count` that there are.
    pub fn pick(
        &mut self,
        reader: &mut ByteReader<'_>,
        count: usize,
        places: &[u32],
    ) -> Result<(), DecodeError> {
        let (mut place, mut end, mut wanted) = (0u32, 0u64, places.iter().copied().peekable());
        let mut ranges = Vec::with_capacity(places.len());
        each_length(reader, count, &mut |length| {
            while wanted.next_if_eq(&place).is_some() {
                ranges.push(end as usize..(end + length) as usize);
            }
            (place, end) = (place + 1, end + length);
        })?;
        let wrong = reader.value_error("not a list of texts");
        let bytes = reader.bytes(usize::try_from(end).map_err(|_| wrong)?)?;
        ranges.into_iter().for_each(|range| self.push(&bytes[range]));
        Ok(())
    }
}

/// Reads the lengths of `count` texts.
fn each_length(
    reader: &mut ByteReader<'_>,
    count: usize,
    each: &mut impl FnMut(u64),
) -> Result<(), DecodeError> {
    let wrong = reader.value_error("not a list of texts");
    match reader.u8()? {
        SAME_LENGTH => {
            let length = reader.length(reader.remaining())? as u64;
            if length * count as u64 > reader.remaining() as u64 {
                return Err(wrong);
            }
            (0..count).for_each(|_| each(length));
        }
        SHORT => reader.bytes(count)?.iter().for_each(|length| each(u64::from(*length))),
        ANY => {
            for _ in 0..count {
                let length = reader.length(reader.remaining())?;
                each(length as u64);
            }
        }
        _ => return Err(wrong),
    }
    Ok(())
}

impl<T: AsRef<[u8]>> FromIterator<T> for TextList {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let mut list = Self::default();
        texts.into_iter().for_each(|text| list.push(text.as_ref()));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(texts: &[Vec<u8>]) {
        let list: TextList = texts.iter().collect();
        let mut writer = ByteWriter::default();
        list.encode(&mut writer);
        let mut reader = ByteReader::new(&writer.bytes);
        let mut back = TextList::default();
        back.push(b"before");
        back.decode(&mut reader, texts.len()).unwrap();
        assert_eq!(back.iter().skip(1).collect::<Vec<_>>(), list.iter().collect::<Vec<_>>());
        reader.finish().unwrap();
        let places: Vec<u32> = (0..texts.len() as u32).filter(|place| place % 3 != 1).collect();
        let (mut reader, mut picked) = (ByteReader::new(&writer.bytes), TextList::default());
        picked.pick(&mut reader, texts.len(), &places).unwrap();
        reader.finish().unwrap();
        let expected: TextList = places.iter().map(|place| list.get(*place as usize)).collect();
        assert_eq!(picked, expected);
    }

    proptest! {
        #[test]
        fn texts_come_back(texts: Vec<Vec<u8>>, count in 0usize..9, one: [u8; 5]) {
            round_trip(&texts);
            round_trip(&vec![one.to_vec(); count]);
            round_trip(&[texts, vec![vec![7; 300]]].concat());
        }

        #[test]
        fn any_bytes_are_texts_or_an_error(bytes: Vec<u8>, count in 0usize..100) {
            let mut list = TextList::default();
            let _ = list.pick(&mut ByteReader::new(&bytes), count, &[0, 3, 4]);
            list.clear();
            if list.decode(&mut ByteReader::new(&bytes), count).is_ok() {
                prop_assert_eq!(list.iter().count(), count);
            }
        }
    }
}
