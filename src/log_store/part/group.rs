//! What a row group records about itself.

use super::times::{RunRows, Ticks};
use crate::lines::PAGE_KINDS;
use codec::{ByteReader, ByteWriter, DecodeError};
use columns::TextList;

/// Lines of one stream, next to each other in a row group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// The stream's place in the part.
    pub(crate) stream: u32,
    pub(crate) rows: u32,
    /// The bytes of the lines.
    pub(crate) bytes: u64,
    pub(super) ticks: Ticks,
    /// Where the lines of the ticks are among those of the row group.
    pub(super) first: u32,
}

/// A field with a column of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldPlace {
    pub(crate) name: String,
    pub(crate) page: u32,
    /// The values and how many rows have each, in the order of the column's dictionary; empty where there
    /// are too many.
    pub(crate) values: TextList,
    pub(crate) counts: Vec<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupHead {
    pub(crate) rows: u32,
    pub(crate) runs: Vec<Run>,
    /// The lines of each tick that is recorded, of all runs.
    pub(super) ticks: Vec<u32>,
    pub(crate) fields: Vec<FieldPlace>,
    /// The page of the fields that few lines have.
    pub(crate) rare_fields: Option<u32>,
    pub(crate) times: u32,
    pub(crate) lines: u32,
    /// The first page of each kind of columns of lines.
    pub(crate) columns: [u32; PAGE_KINDS],
}

impl GroupHead {
    /// Adds a run whose lines have these times.
    pub(super) fn add_run(&mut self, run: Run, times: &[i64]) {
        let (ticks, lines) = Ticks::of(times);
        self.runs.push(Run { ticks, first: self.ticks.len() as u32, ..run });
        self.ticks.extend(lines);
    }

    /// How many lines a run has in each tick; empty where that is not recorded.
    pub(super) fn ticks_of(&self, run: &Run) -> &[u32] {
        let first = run.first as usize;
        self.ticks.get(first..first + run.ticks.count as usize).unwrap_or_default()
    }

    /// The runs with their rows.
    pub(crate) fn run_rows(&self) -> impl Iterator<Item = RunRows<'_>> {
        let mut start = 0;
        self.runs.iter().map(move |run| {
            start += run.rows as usize;
            RunRows::new(self, run, start - run.rows as usize)
        })
    }

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
        let (mut before, mut tick) = (0, 0i64);
        for run in &self.runs {
            writer.varint(u64::from(run.stream - before));
            writer.varint(u64::from(run.rows));
            writer.varint(run.bytes);
            before = run.stream;
            run.ticks.encode(&mut tick, writer);
            self.ticks_of(run).iter().for_each(|lines| writer.varint(u64::from(*lines)));
        }
        writer.varint(self.fields.len() as u64);
        for field in &self.fields {
            writer.text(&field.name);
            writer.varint(u64::from(field.page));
            writer.varint(field.counts.len() as u64);
            field.counts.iter().for_each(|count| writer.varint(u64::from(*count)));
            if !field.counts.is_empty() {
                field.values.encode(writer);
            }
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
            let counted = reader.length(reader.remaining())?;
            let counts = (0..counted).map(|_| number(&mut reader)).collect::<Result<_, _>>()?;
            let mut values = TextList::default();
            if counted > 0 {
                values.decode(&mut reader, counted)?;
            }
            head.fields.push(FieldPlace { name, page, values, counts });
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
        let wrong = reader.value_error("runs of streams that are not the rows of the group");
        let (mut stream, mut rows, mut tick) = (0u32, 0u32, 0i64);
        for _ in 0..reader.length(reader.remaining())? {
            stream = stream.checked_add(number(reader)?).ok_or(wrong)?;
            let mut run =
                Run { stream, rows: number(reader)?, bytes: reader.varint()?, ..Run::default() };
            rows = rows.checked_add(run.rows).ok_or(wrong)?;
            run.first = self.ticks.len() as u32;
            run.ticks = Ticks::decode(&mut tick, reader)?;
            self.read_ticks(&run, reader)?;
            self.runs.push(run);
        }
        if rows == self.rows { Ok(()) } else { Err(wrong) }
    }

    /// The ticks of a run have its lines.
    fn read_ticks(&mut self, run: &Run, reader: &mut ByteReader<'_>) -> Result<(), DecodeError> {
        let wrong = reader.value_error("ticks that do not have the lines of their run");
        let mut lines = 0u64;
        for _ in 0..run.ticks.count {
            let of_tick = number(reader)?;
            lines += u64::from(of_tick);
            self.ticks.push(of_tick);
        }
        if run.ticks.count == 0 || lines == u64::from(run.rows) { Ok(()) } else { Err(wrong) }
    }

    pub(crate) fn memory(&self) -> usize {
        let field = |field: &FieldPlace| {
            field.name.len() + field.values.memory() + field.counts.len() * 4 + 96
        };
        let ticks = self.ticks.len() * size_of::<u32>();
        ticks
            + self.runs.len() * size_of::<Run>()
            + self.fields.iter().map(field).sum::<usize>()
            + 128
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
            runs in prop::collection::vec((0u32..9, 1u32..99, any::<u64>(), 0i64..1 << 36), 0..9),
            fields in prop::collection::vec((".*", any::<u32>(), any::<Vec<u32>>()), 0..4),
            rare in prop::option::of(0u32..99), pages: [u32; 6],
        ) {
            let (mut stream, mut with_runs) = (0, GroupHead::default());
            for (gap, rows, bytes, step) in runs {
                stream += gap;
                let times: Vec<i64> = (0..i64::from(rows)).map(|row| row * step).collect();
                with_runs.add_run(Run { stream, rows, bytes, ..Run::default() }, &times);
            }
            let field = |(name, page, counts): (String, u32, Vec<u32>)| {
                let values = counts.iter().map(|count| count.to_string().into_bytes()).collect();
                FieldPlace { name, page, values, counts }
            };
            let head = GroupHead {
                rows: with_runs.runs.iter().map(|run| run.rows).sum(),
                fields: fields.into_iter().map(field).collect(), rare_fields: rare,
                times: pages[0], lines: pages[1], columns: [pages[2], pages[3], pages[4], pages[5]],
                ..with_runs
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
