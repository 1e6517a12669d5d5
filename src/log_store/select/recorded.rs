//! How many lines have each value of a field, as row groups record it or as codes tell.
//!
//! That is known only of whole row groups: no condition, no delete and no end of the selected time may
//! leave lines out.

use super::{Origin, Place, Scratch, Selection, Source};
use crate::error::StoreError;
use crate::part::LogPart;
use columns::{ABSENT, TextList};

/// Lines by the values of one field.
#[derive(Clone, Copy, Debug)]
pub struct ValueLines<'s> {
    /// The distinct values.
    pub values: &'s TextList,
    /// For each value how many lines have it.
    pub lines: &'s [u32],
    /// How many lines do not have the field.
    pub without: u64,
}

impl Selection {
    /// How many lines of a piece have each value of a field; `None` where they have to be read to know.
    /// A piece that is damaged has no lines, and is told in [`Selection::warnings`].
    pub fn lines_with_values<'s>(
        &self,
        piece: usize,
        field: &str,
        scratch: &'s mut Scratch,
    ) -> Result<Option<ValueLines<'s>>, StoreError> {
        let Some((source, part, index)) = self.whole_group(piece) else { return Ok(None) };
        let without = match count_values(source, part, index, field, scratch) {
            Ok(Some(without)) => without,
            Ok(None) => return Ok(None),
            Err(error) => {
                self.part_failed(part.id, error)?;
                scratch.column.values.clear();
                scratch.counts.clear();
                0
            }
        };
        let Scratch { column, counts, .. } = scratch;
        Ok(Some(ValueLines { values: &column.values, lines: counts, without }))
    }

    /// The row group that is a piece, if all its lines of streams that matched are selected.
    fn whole_group(&self, piece: usize) -> Option<(&Source, &LogPart, u32)> {
        let Place { source, index } = self.places[piece];
        let source = &self.sources[source as usize];
        let Origin::Part(part) = &source.from else { return None };
        self.is_whole(source, part, index).then_some((source, part, index))
    }

    /// Whether all lines of a row group are selected whose streams matched.
    pub(super) fn is_whole(&self, source: &Source, part: &LogPart, index: u32) -> bool {
        let time = part.index.groups[index as usize].time;
        self.conditions.is_empty()
            && self.identifier.is_none()
            && self.texts.conditions.is_empty()
            && self.time.covers(time)
            && source.deletes.at(time).next().is_none()
    }
}

/// Puts the values and their counts into the buffers, and answers how many lines lack the field. `None`
/// where lines of other streams are among them.
fn count_values(
    source: &Source,
    part: &LogPart,
    index: u32,
    field: &str,
    scratch: &mut Scratch,
) -> Result<Option<u64>, StoreError> {
    let group = part.group(index)?;
    if group.head.runs.iter().any(|run| source.streams[run.stream as usize].is_none()) {
        return Ok(None);
    }
    let Scratch { column, counts, page, .. } = scratch;
    counts.clear();
    if !group.field_counts(field, column, counts, page)? {
        column.values.clear();
        return Ok(Some(group.rows() as u64));
    }
    if counts.is_empty() {
        counts.resize(column.values.len(), 0);
        let codes = column.codes.iter().filter(|code| **code != ABSENT);
        codes.for_each(|code| counts[*code as usize] += 1);
    }
    let with: u64 = counts.iter().map(|count| u64::from(*count)).sum();
    Ok(Some((group.rows() as u64).saturating_sub(with)))
}
