//! The columns of a group: where the times and values of each series are.

use codec::{ByteReader, ByteWriter, DecodeError};
use std::collections::BTreeMap;

const CONSTANT: u8 = 1;
const CODED: u8 = 2;
const FORM: u8 = 3;
const STALE: u8 = 4;
const STARTS: u8 = 8;
const HISTOGRAMS: u8 = 16;

/// The form of a series' floats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    #[default]
    None,
    /// All values have these bits.
    Constant(u64),
    /// A page of the group's values.
    Coded { offset: u32, length: u32 },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SeriesColumn {
    pub(super) form: Form,
    pub(super) has_stale: bool,
    pub(super) times: u32,
    pub(super) count: u32,
    /// How many coded values of the group precede those of this series.
    pub(super) first: u32,
}

/// Histograms of a series: its time column and its bytes among the group's histograms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HistogramColumn {
    pub(super) times: u32,
    pub(super) offset: u32,
    pub(super) length: u32,
}

/// Runs of starts: the number of the first sample, and the start from there on.
pub(super) type StartRuns = Vec<(u32, i64)>;

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupColumns {
    pub(super) series: Vec<SeriesColumn>,
    pub(super) starts: BTreeMap<u32, StartRuns>,
    pub(super) histograms: BTreeMap<u32, (HistogramColumn, StartRuns)>,
}

pub(super) fn encode(columns: &GroupColumns) -> Vec<u8> {
    let mut writer = ByteWriter::default();
    let flags = |(index, series)| flags_of(columns, index as u32, series);
    columns.series.iter().enumerate().for_each(|entry| writer.u8(flags(entry)));
    let floats = || columns.series.iter().filter(|series| series.form != Form::None);
    write_deltas(floats().map(|series| series.times), &mut writer);
    write_deltas(floats().map(|series| series.count), &mut writer);
    let mut before = 0;
    for series in &columns.series {
        if let Form::Constant(bits) = series.form {
            writer.u64(bits ^ before);
            before = bits;
        }
    }
    for series in &columns.series {
        if let Form::Coded { length, .. } = series.form {
            writer.varint(u64::from(length));
        }
    }
    columns.starts.values().for_each(|runs| write_starts(runs, &mut writer));
    write_deltas(columns.histograms.values().map(|(column, _)| column.times), &mut writer);
    for (column, runs) in columns.histograms.values() {
        writer.varint(u64::from(column.length));
        write_starts(runs, &mut writer);
    }
    writer.bytes
}

fn flags_of(columns: &GroupColumns, index: u32, series: &SeriesColumn) -> u8 {
    let form = match series.form {
        Form::None => 0,
        Form::Constant(_) => CONSTANT,
        Form::Coded { .. } => CODED,
    };
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    form | flag(series.has_stale, STALE)
        | flag(columns.starts.contains_key(&index), STARTS)
        | flag(columns.histograms.contains_key(&index), HISTOGRAMS)
}

fn write_deltas(numbers: impl Iterator<Item = u32>, writer: &mut ByteWriter) {
    let mut before = 0i64;
    for number in numbers {
        writer.varint_signed(i64::from(number) - before);
        before = i64::from(number);
    }
}

fn write_starts(runs: &StartRuns, writer: &mut ByteWriter) {
    writer.varint(runs.len() as u64);
    let (mut index_before, mut start_before) = (0, 0i64);
    for (index, start) in runs {
        writer.varint(u64::from(index - index_before));
        writer.varint_signed(start.wrapping_sub(start_before));
        (index_before, start_before) = (*index, *start);
    }
}

/// `series` comes from the directory; each takes at least a byte of flags.
pub(super) fn decode(bytes: &[u8], series: u32) -> Result<GroupColumns, DecodeError> {
    let mut reader = ByteReader::new(bytes);
    let flags = reader.bytes(series as usize)?;
    let mut columns = GroupColumns {
        series: vec![SeriesColumn::default(); flags.len()],
        ..GroupColumns::default()
    };
    let all = || columns_with(flags);
    let mut before = 0;
    for index in all() {
        columns.series[index].times = read_delta(&mut reader, &mut before)?;
        columns.series[index].has_stale = flags[index] & STALE != 0;
    }
    before = 0;
    for index in all() {
        columns.series[index].count = read_delta(&mut reader, &mut before)?;
    }
    decode_forms(&mut reader, flags, &mut columns.series)?;
    for index in with_flag(flags, STARTS) {
        columns.starts.insert(index as u32, read_starts(&mut reader)?);
    }
    decode_histograms(&mut reader, flags, &mut columns)?;
    reader.finish()?;
    Ok(columns)
}

fn columns_with(flags: &[u8]) -> impl Iterator<Item = usize> + '_ {
    flags.iter().enumerate().filter(|(_, flag)| **flag & FORM != 0).map(|(index, _)| index)
}

fn with_flag(flags: &[u8], flag: u8) -> impl Iterator<Item = usize> + '_ {
    flags.iter().enumerate().filter(move |(_, set)| **set & flag != 0).map(|(index, _)| index)
}

fn read_delta(reader: &mut ByteReader<'_>, before: &mut i64) -> Result<u32, DecodeError> {
    let wrong = reader.value_error("a number is out of range");
    *before = before.wrapping_add(reader.varint_signed()?);
    u32::try_from(*before).map_err(|_| wrong)
}

fn decode_forms(
    reader: &mut ByteReader<'_>,
    flags: &[u8],
    series: &mut [SeriesColumn],
) -> Result<(), DecodeError> {
    let mut before = 0;
    for (index, _) in flags.iter().enumerate().filter(|(_, flag)| *flag & FORM == CONSTANT) {
        before ^= reader.u64()?;
        series[index].form = Form::Constant(before);
    }
    let (mut offset, mut first) = (0u32, 0u32);
    for (index, _) in flags.iter().enumerate().filter(|(_, flag)| *flag & FORM == CODED) {
        let wrong = reader.value_error("a group's values are too long");
        let length = reader.length(u32::MAX as usize)? as u32;
        series[index].form = Form::Coded { offset, length };
        series[index].first = first;
        offset = offset.checked_add(length).ok_or(wrong)?;
        first = first.checked_add(series[index].count).ok_or(wrong)?;
    }
    match flags.iter().any(|flag| flag & FORM == FORM) {
        true => Err(reader.value_error("a series has two forms")),
        false => Ok(()),
    }
}

fn read_starts(reader: &mut ByteReader<'_>) -> Result<StartRuns, DecodeError> {
    let count = reader.length(reader.remaining() / 2)?;
    let (mut index, mut start) = (0u32, 0i64);
    let mut runs = Vec::with_capacity(count);
    for _ in 0..count {
        index = index.saturating_add(reader.length(u32::MAX as usize)? as u32);
        start = start.wrapping_add(reader.varint_signed()?);
        runs.push((index, start));
    }
    Ok(runs)
}

fn decode_histograms(
    reader: &mut ByteReader<'_>,
    flags: &[u8],
    columns: &mut GroupColumns,
) -> Result<(), DecodeError> {
    let (mut before, mut offset) = (0, 0u32);
    let mut times = Vec::new();
    for _ in with_flag(flags, HISTOGRAMS) {
        times.push(read_delta(reader, &mut before)?);
    }
    for (index, times) in with_flag(flags, HISTOGRAMS).zip(times) {
        let wrong = reader.value_error("a group's histograms are too long");
        let length = reader.length(u32::MAX as usize)? as u32;
        let starts = read_starts(reader)?;
        columns
            .histograms
            .insert(index as u32, (HistogramColumn { times, offset, length }, starts));
        offset = offset.checked_add(length).ok_or(wrong)?;
    }
    Ok(())
}

/// Starts by sample as runs; empty if there are no starts.
pub(super) fn start_runs(starts: &[i64]) -> StartRuns {
    let mut runs = StartRuns::new();
    for (index, start) in starts.iter().enumerate() {
        if runs.last().map_or(0, |(_, before)| *before) != *start {
            runs.push((index as u32, *start));
        }
    }
    runs
}

/// Appends the starts of the samples number `from..to`.
pub(super) fn expand_starts(runs: &StartRuns, from: usize, to: usize, into: &mut Vec<i64>) {
    let at = |index: usize| {
        let behind = runs.partition_point(|(first, _)| *first as usize <= index);
        behind.checked_sub(1).map_or(0, |run| runs[run].1)
    };
    into.extend((from..to).map(at));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_columns() -> impl Strategy<Value = GroupColumns> {
        let starts = prop::collection::vec(0i64..4, 0..6);
        let series = (
            0u8..3,
            any::<bool>(),
            0u32..50,
            1u32..9,
            0u32..99,
            starts.clone(),
            prop::option::of((0u32..9, 1u32..9, starts)),
        );
        prop::collection::vec(series, 0..20).prop_map(|all| {
            let mut columns = GroupColumns::default();
            let (mut offset, mut first, mut histogram_offset) = (0, 0, 0);
            for (index, (form, stale, times, count, length, starts, histograms)) in
                all.into_iter().enumerate()
            {
                let mut series = SeriesColumn::default();
                if form > 0 {
                    series = SeriesColumn { has_stale: stale, times, count, ..series };
                    series.form = Form::Constant(u64::from(length));
                }
                if form == 2 {
                    series.form = Form::Coded { offset, length };
                    series.first = first;
                    (offset, first) = (offset + length, first + count);
                }
                columns.series.push(series);
                let runs = start_runs(&starts);
                if !runs.is_empty() {
                    columns.starts.insert(index as u32, runs);
                }
                if let Some((times, length, starts)) = histograms {
                    let column = HistogramColumn { times, offset: histogram_offset, length };
                    columns.histograms.insert(index as u32, (column, start_runs(&starts)));
                    histogram_offset += length;
                }
            }
            columns
        })
    }

    proptest! {
        #[test]
        fn columns_come_back(columns in any_columns()) {
            let bytes = encode(&columns);
            prop_assert_eq!(&decode(&bytes, columns.series.len() as u32).unwrap(), &columns);
        }

        #[test]
        fn starts_come_back(starts in prop::collection::vec(0i64..3, 0..30)) {
            let mut back = Vec::new();
            expand_starts(&start_runs(&starts), 0, starts.len(), &mut back);
            prop_assert_eq!(back, starts);
        }

        #[test]
        fn any_bytes_are_columns_or_an_error(bytes: Vec<u8>, series in 0u32..100) {
            let _ = decode(&bytes, series);
        }
    }
}
