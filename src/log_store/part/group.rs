//! What a row group records about itself.

use crate::lines::PAGE_KINDS;
use codec::{ByteReader, ByteWriter, DecodeError};

/// Lines of one stream, next to each other in a row group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// The stream's place in the part.
    pub(crate) stream: u32,
    pub(crate) rows: u32,
    /// The bytes of the lines.
    pub(crate) bytes: u64,
}

/// A field with a column of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldPlace {
    pub(crate) name: String,
    pub(crate) page: u32,
    /// How many rows have each value, in the order of the column's dictionary; empty where there are
    /// too many values.
    pub(crate) counts: Vec<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupHead {
    pub(crate) rows: u32,
    pub(crate) runs: Vec<Run>,
    pub(crate) fields: Vec<FieldPlace>,
    /// The page of the fields that few lines have.
    pub(crate) rare_fields: Option<u32>,
    pub(crate) times: u32,
    pub(crate) lines: u32,
    /// The first page of each kind of columns of lines.
    pub(crate) columns: [u32; PAGE_KINDS],
}

impl GroupHead {
    /// The stream of each row.
    pub(crate) fn streams_of_rows(&self) -> Vec<u32> {
        let mut streams = Vec::with_capacity(self.rows as usize);
        for run in &self.runs {
            streams.resize(streams.len() + run.rows as usize, run.stream);
        }
        streams
    }

    pub(crate) fn encode(&self, writer: &mut ByteWriter) {
        writer.varint(u64::from(self.rows));
        writer.varint(self.runs.len() as u64);
        let mut before = 0;
        for run in &self.runs {
            writer.varint(u64::from(run.stream - before));
            writer.varint(u64::from(run.rows));
            writer.varint(run.bytes);
            before = run.stream;
        }
        writer.varint(self.fields.len() as u64);
        for field in &self.fields {
            writer.text(&field.name);
            writer.varint(u64::from(field.page));
            writer.varint(field.counts.len() as u64);
            field.counts.iter().for_each(|count| writer.varint(u64::from(*count)));
        }
        writer.varint(self.rare_fields.map_or(0, |page| u64::from(page) + 1));
        for page in [self.times, self.lines].into_iter().chain(self.columns) {
            writer.varint(u64::from(page));
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bytes);
        let mut head = Self { rows: number(&mut reader)?, ..Self::default() };
        head.read_runs(&mut reader)?;
        let count = reader.length(reader.remaining())?;
        for _ in 0..count {
            let (name, page) = (reader.text()?.to_owned(), number(&mut reader)?);
            let values = reader.length(reader.remaining())?;
            let counts = (0..values).map(|_| number(&mut reader)).collect::<Result<_, _>>()?;
            head.fields.push(FieldPlace { name, page, counts });
        }
        head.rare_fields = number(&mut reader)?.checked_sub(1);
        head.times = number(&mut reader)?;
        head.lines = number(&mut reader)?;
        for page in &mut head.columns {
            *page = number(&mut reader)?;
        }
        reader.finish()?;
        Ok(head)
    }

    fn read_runs(&mut self, reader: &mut ByteReader<'_>) -> Result<(), DecodeError> {
        let (mut stream, mut rows) = (0u32, 0u32);
        for _ in 0..reader.length(reader.remaining())? {
            let wrong = reader.value_error("runs of streams that are not the rows of the group");
            stream = stream.checked_add(number(reader)?).ok_or(wrong)?;
            let run = Run { stream, rows: number(reader)?, bytes: reader.varint()? };
            rows = rows.checked_add(run.rows).ok_or(wrong)?;
            self.runs.push(run);
        }
        let wrong = reader.value_error("runs of streams that are not the rows of the group");
        if rows == self.rows { Ok(()) } else { Err(wrong) }
    }

    pub(crate) fn memory(&self) -> usize {
        let field = |field: &FieldPlace| field.name.len() + field.counts.len() * 4 + 64;
        self.runs.len() * size_of::<Run>() + self.fields.iter().map(field).sum::<usize>() + 128
    }
}

fn number(reader: &mut ByteReader<'_>) -> Result<u32, DecodeError> {
    Ok(reader.length(u32::MAX as usize)? as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn heads_come_back(
            runs in prop::collection::vec((0u32..9, 1u32..99, any::<u64>()), 0..9),
            fields in prop::collection::vec((".*", any::<u32>(), any::<Vec<u32>>()), 0..4),
            rare in prop::option::of(0u32..99), pages: [u32; 5],
        ) {
            let mut stream = 0;
            let run = |(gap, rows, bytes)| {
                stream += gap;
                Run { stream, rows, bytes }
            };
            let runs: Vec<Run> = runs.into_iter().map(run).collect();
            let field = |(name, page, counts)| FieldPlace { name, page, counts };
            let head = GroupHead {
                rows: runs.iter().map(|run| run.rows).sum(), runs,
                fields: fields.into_iter().map(field).collect(), rare_fields: rare,
                times: pages[0], lines: pages[1], columns: [pages[2], pages[3], pages[4]],
            };
            let mut writer = ByteWriter::default();
            head.encode(&mut writer);
            prop_assert_eq!(GroupHead::decode(&writer.bytes), Ok(head));
        }

        #[test]
        fn any_bytes_are_a_head_or_an_error(bytes: Vec<u8>) {
            let _ = GroupHead::decode(&bytes);
        }
    }
}
