//! Rows counted, or their values unwrapped, by texts that the store found in their lines.
//!
//! The labels that a stage extracts are columns then, as fields are. Where that can't give what the
//! stages give, because a line can't be read, a value is no number, or a line has a field of the label's
//! name, nothing is counted, and the caller reads lines.

use super::columns::FieldCodes;
use super::pieces::Reading;
use super::range::{Collected, Worker};
use super::unwrapped::Sample;
use super::{Bounds, Result};
use crate::pipeline::conditions::{Picked, stream_runs};
use crate::pipeline::texts::TextPlan;
use crate::storage::{ABSENT, FieldColumn, Rows, Scratch, TextRows};
use crate::value::Statistics;
use model::Labels;
use query::{Portions, Weight};

impl Worker<'_> {
    /// Whether a piece could be counted so.
    pub(super) fn count_texts(
        &mut self,
        bounds: Bounds<'_>,
        reading: &Reading<'_>,
        (piece, scratch): (usize, &mut Scratch),
    ) -> Result<bool> {
        let Some((plan, which)) = &reading.texts else { return Ok(false) };
        let Some(rows) = reading.selection.read_texts(piece, which, scratch)? else {
            return Ok(false);
        };
        let Rows { times, streams, lines, fields, texts, checked } = rows;
        let rows = Rows { times, streams, lines, fields, texts: Vec::new(), checked };
        if rows.fields.iter().any(|field| plan.makes(field.name)) {
            return Ok(false);
        }
        let mut statistics = Statistics::default();
        let mut is_counted = false;
        reading.visit(piece, &rows, &mut statistics, |rows, picked| {
            let Some(picked) = narrowed(plan, which, &texts, picked) else { return Ok(()) };
            is_counted = self.count_picked(bounds, reading, (rows, &picked), &texts)?;
            Ok(())
        })?;
        if is_counted {
            self.statistics.add(&statistics);
        }
        Ok(is_counted)
    }

    fn count_picked(
        &mut self,
        bounds: Bounds<'_>,
        reading: &Reading<'_>,
        (rows, picked): (&Rows<'_>, &Picked),
        texts: &[TextRows<'_>],
    ) -> Result<bool> {
        let Some((plan, which)) = &reading.texts else { return Ok(false) };
        let mut all = rows.clone();
        for (place, text) in which.iter().zip(texts) {
            let TextRows { codes, values, .. } = *text;
            all.fields.extend(plan.name(*place).map(|name| FieldColumn { name, codes, values }));
        }
        let mut portions = bounds.holding.portions();
        if plan.unwraps_any() {
            let Some(numbers) = texts.last() else { return Ok(false) };
            self.unwrap_rows(bounds, reading, (&all, picked), numbers, &mut portions)?;
        } else {
            let nothing = Labels::empty();
            let recorded = self.counting.told_apart(&*reading.selection);
            let codes = recorded.as_ref().and_then(|it| FieldCodes::new(it, &all, &nothing));
            match codes {
                Some(codes) => {
                    self.count_fields(bounds, reading, (&all, picked), codes, &mut portions)?;
                }
                None => self.count_columns(bounds, reading, &all, picked, &mut portions)?,
            }
        }
        portions.settle()?;
        Ok(true)
    }

    /// Takes the value of each row that has one.
    fn unwrap_rows(
        &mut self,
        bounds: Bounds<'_>,
        reading: &Reading<'_>,
        (rows, picked): (&Rows<'_>, &Picked),
        numbers: &TextRows<'_>,
        portions: &mut Portions<'_>,
    ) -> Result<()> {
        let with_value = (0..picked.len()).map(|index| picked.row(index) as u32);
        let with_value: Vec<u32> =
            with_value.filter(|row| number_of(numbers, *row as usize).is_some()).collect();
        let picked = Picked::Some(with_value);
        self.statistics.lines_after_filters += picked.len() as u64;
        let windows = self.counting.windows;
        let mut at = 0;
        for run in stream_runs(rows) {
            bounds.control.check()?;
            let indexes = at..at + picked.before(run.end, at);
            at = indexes.end;
            if indexes.is_empty() {
                continue;
            }
            portions.take(Weight::bytes(2 * size_of::<Sample>() * indexes.len()))?;
            let stream = reading.selection.labels(rows.streams[run.start]);
            let series = self.series_of(stream, rows, (&picked, indexes.clone()), portions)?;
            let Collected::Samples(samples) = &mut self.collected else { return Ok(()) };
            for (offset, index) in indexes.enumerate() {
                let row = picked.row(index);
                let time = rows.times[row];
                let is_in_any = windows.first_step(time) < windows.end_step(time);
                if let (true, Some(value)) = (is_in_any, number_of(numbers, row)) {
                    samples[series.number(offset)].push((time, value));
                }
            }
        }
        Ok(())
    }
}

fn number_of(numbers: &TextRows<'_>, row: usize) -> Option<f64> {
    let code = numbers.codes.get(row).filter(|code| **code != ABSENT)?;
    numbers.numbers.get(*code as usize).copied()
}

/// The rows that pass the conditions on texts; `None` where that can't be said.
fn narrowed(
    plan: &TextPlan,
    which: &[usize],
    texts: &[TextRows<'_>],
    picked: &Picked,
) -> Option<Picked> {
    let mut rows: Vec<u32> = (0..picked.len()).map(|index| picked.row(index) as u32).collect();
    for (place, text) in which.iter().zip(texts).filter(|(place, _)| plan.is_filtered(**place)) {
        let values = &text.values;
        let passing: Option<Vec<bool>> =
            (0..values.len()).map(|code| plan.passes(*place, Some(values.get(code)))).collect();
        let (passing, without) = (passing?, plan.passes(*place, None)?);
        rows.retain(|row| match text.codes.get(*row as usize) {
            None | Some(&ABSENT) => without,
            Some(code) => passing.get(*code as usize).copied().unwrap_or(false),
        });
    }
    let is_in = |list: &[u32], row: &u32| list.binary_search(row).is_ok();
    if plan.drops_failed() {
        for text in texts.iter().filter(|text| !text.failed.is_empty()) {
            rows.retain(|row| !is_in(text.failed, row));
        }
    }
    let fails =
        |text: &TextRows<'_>, row: &u32| is_in(text.failed, row) || is_in(text.no_numbers, row);
    let has_failed = texts
        .iter()
        .filter(|text| !text.failed.is_empty() || !text.no_numbers.is_empty())
        .any(|text| rows.iter().any(|row| fails(text, row)));
    (!has_failed).then_some(Picked::Some(rows))
}
