//! Rows of a piece that are found first and read later, for a reader who wants few of many: their times tell
//! it which.

use super::read::{Content, GroupRows, common};
use super::{LogRows, Origin, Place, Scratch, Selection, Source};
use crate::error::StoreError;
use crate::lines::Lines;
use crate::part::Group;
use columns::RowSet;
use model::TimeRange;

/// The rows of a piece that were selected, of which nothing but times has been read.
#[derive(Debug)]
pub struct FoundRows {
    piece: usize,
    /// In the order of the rows.
    pub times: Vec<i64>,
    rows: FoundIn,
}

#[derive(Debug)]
enum FoundIn {
    Nothing,
    /// The rows of a block.
    Block(Vec<usize>),
    Group(Box<FoundInGroup>),
}

#[derive(Debug)]
struct FoundInGroup {
    group: Group,
    rows: RowSet,
    lines: Option<Lines<Group>>,
}

/// What finding rows has read of lines is kept for reading them, up to this size: many pieces may wait.
const FOUND_BYTES_MAX: usize = 512 << 10;

impl Selection {
    /// Finds the rows of a piece that lie within a time, for a reader who wants the lines of some of them.
    pub fn find_within(
        &self,
        piece: usize,
        time: TimeRange,
        scratch: &mut Scratch,
    ) -> Result<FoundRows, StoreError> {
        let mut found = FoundRows { piece, times: Vec::new(), rows: FoundIn::Nothing };
        let Some(time) = common(self.time, time) else { return Ok(found) };
        let Place { source, index } = self.places[piece];
        let source = &self.sources[source as usize];
        match &source.from {
            Origin::Head(blocks) => {
                let block = &blocks[index as usize];
                let rows = self.rows_of_block(source, block, time);
                found.times.extend(rows.iter().map(|row| block.rows.times[*row]));
                found.rows = FoundIn::Block(rows);
            }
            Origin::Part(part) => {
                let times = &mut found.times;
                match self.find_in_group(source, (part, index), time, times, scratch) {
                    Ok(Some((group, GroupRows { rows, lines, .. }))) => {
                        let lines = lines.filter(|lines| lines.held_bytes() <= FOUND_BYTES_MAX);
                        found.rows = FoundIn::Group(Box::new(FoundInGroup { group, rows, lines }));
                    }
                    Ok(None) => {}
                    Err(error) => {
                        found.times.clear();
                        self.part_failed(part.id, error)?;
                    }
                }
            }
        }
        Ok(found)
    }

    /// Reads those of the rows that were found that also lie within a time.
    pub fn read_found<'s>(
        &self,
        found: FoundRows,
        time: TimeRange,
        scratch: &'s mut Scratch,
    ) -> Result<LogRows<'s>, StoreError> {
        scratch.clear();
        let FoundRows { piece, times, rows } = found;
        let source = &self.sources[self.places[piece].source as usize];
        let is_wanted: Vec<bool> = times.iter().map(|at| time.contains(*at)).collect();
        if !is_wanted.contains(&true) {
            return Ok(scratch.rows());
        }
        match (rows, &source.from) {
            (FoundIn::Block(mut rows), Origin::Head(blocks)) => {
                let mut is_wanted = is_wanted.iter();
                rows.retain(|_| is_wanted.next() == Some(&true));
                let block = &blocks[self.places[piece].index as usize];
                self.collect_block(source, block, &rows, Content::Lines, scratch);
            }
            (FoundIn::Group(found), Origin::Part(part)) => {
                scratch.times.extend(times.iter().filter(|at| time.contains(**at)));
                if let Err(error) = self.collect_found(source, *found, &is_wanted, scratch) {
                    scratch.clear();
                    self.part_failed(part.id, error)?;
                }
            }
            _ => {}
        }
        Ok(scratch.rows())
    }

    fn collect_found(
        &self,
        source: &Source,
        FoundInGroup { group, rows, lines }: FoundInGroup,
        is_wanted: &[bool],
        scratch: &mut Scratch,
    ) -> Result<(), StoreError> {
        let mut wanted = RowSet::none(rows.rows());
        let of_rows = rows.iter().zip(is_wanted);
        of_rows.filter(|(_, is_wanted)| **is_wanted).for_each(|(row, _)| wanted.insert(row));
        let lines = match lines {
            None if self.needs.lines => Some(Lines::new(group.lines()?, group.clone())),
            lines => lines,
        };
        self.collect(source, &group, (&wanted, lines), Content::Lines, scratch)
    }
}
