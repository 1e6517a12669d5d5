//! Time columns: a page holds many, each coded as differences of its steps.

use codec::{ByteReader, ByteWriter, DecodeError};

pub(super) fn encode_column(times: &[i64], writer: &mut ByteWriter) {
    writer.varint(times.len() as u64);
    let (mut before, mut step) = (0i64, 0i64);
    for time in times {
        let next = time.wrapping_sub(before);
        writer.varint_signed(next.wrapping_sub(step));
        (before, step) = (*time, next);
    }
}

/// The columns of one page, one after the other.
#[derive(Debug)]
pub(crate) struct TimesPage {
    times: Vec<i64>,
    ends: Vec<u32>,
}

impl TimesPage {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bytes);
        let mut page = Self { times: Vec::new(), ends: Vec::new() };
        while !reader.is_empty() {
            let count = reader.length(reader.remaining())?;
            let (mut before, mut step) = (0i64, 0i64);
            page.times.reserve(count);
            for _ in 0..count {
                step = step.wrapping_add(reader.varint_signed()?);
                before = before.wrapping_add(step);
                page.times.push(before);
            }
            page.ends.push(page.times.len() as u32);
        }
        Ok(page)
    }

    /// The n-th column of the page.
    pub(super) fn column(&self, index: usize) -> Option<&[i64]> {
        let end = *self.ends.get(index)? as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        Some(&self.times[start..end])
    }

    pub(super) fn bytes(&self) -> usize {
        self.times.len() * 8 + self.ends.len() * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn columns_come_back(columns: Vec<Vec<i64>>) {
            let mut writer = ByteWriter::default();
            columns.iter().for_each(|column| encode_column(column, &mut writer));
            let page = TimesPage::decode(&writer.bytes).unwrap();
            for (index, column) in columns.iter().enumerate() {
                prop_assert_eq!(page.column(index), Some(column.as_slice()));
            }
            prop_assert_eq!(page.column(columns.len()), None);
        }

        #[test]
        fn any_bytes_are_times_or_an_error(bytes: Vec<u8>) {
            let _ = TimesPage::decode(&bytes);
        }
    }
}
