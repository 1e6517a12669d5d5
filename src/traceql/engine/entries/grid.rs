//! How many entries ended in each column of time with a duration of each row.

use super::super::{Context, Request, Result, reading};
use super::Chosen;
use crate::error::QueryError;
use query::Weight;
use trace_store::{Piece, TraceStore};

/// The rows of a grid: 125 ms each up to 5 s, 250 ms up to 10 s, 500 ms up to 20 s, 1 s up to 40 s and 2 s
/// up to 80 s; what took longer is in the last one.
pub const GRID_ROWS: usize = 120;

/// For each step of the rows: the eighths of a second at which it begins, its first row, and how many
/// eighths each of its rows has, as a power of two.
const STEPS: [(u32, u32, u32); 5] =
    [(320, 100, 4), (160, 80, 3), (80, 60, 2), (40, 40, 1), (0, 0, 0)];

/// The row of a duration in eighths of a second.
fn row_of(eighths: u32) -> usize {
    let step = STEPS.iter().find(|(from, ..)| eighths >= *from);
    let row = step.map_or(0, |(from, row, power)| row + ((eighths - from) >> power));
    (row as usize).min(GRID_ROWS - 1)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GridCell {
    pub column: u32,
    pub row: u8,
    /// Entries, failed ones included.
    pub hits: u32,
    pub errors: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    /// When the first column begins, in seconds: a multiple of the width.
    pub first_s: i64,
    /// The width of a column, in seconds.
    pub column_s: i64,
    pub columns: usize,
    /// Those with entries, in the order of their columns, then of their rows.
    pub cells: Vec<GridCell>,
}

const SECOND_NS: i64 = 1_000_000_000;

/// More columns than a screen has points.
const COLUMNS_MAX: i64 = 20_000;

/// The columns of a grid, as seconds.
#[derive(Clone, Copy)]
struct Columns {
    first_s: i64,
    width_s: i64,
    count: usize,
}

impl Columns {
    /// Those that hold the times of a request.
    fn of(request: &Request<'_>, width_s: i64) -> Result<Self> {
        let width_s = width_s.max(1);
        let first = request.start_ns.div_euclid(SECOND_NS).div_euclid(width_s);
        let last = request.end_ns.div_euclid(SECOND_NS).div_euclid(width_s);
        let count = last - first + 1;
        if !(1..=COLUMNS_MAX).contains(&count) {
            let message = format!(
                "the time has {count} columns of {width_s} s, the most is {COLUMNS_MAX}: ask for a \
                 shorter time, or wider columns"
            );
            return Err(QueryError::Invalid(message));
        }
        Ok(Self { first_s: first * width_s, width_s, count: count as usize })
    }

    fn place(&self, end_s: u64) -> Option<usize> {
        let offset = i64::try_from(end_s).ok()?.checked_sub(self.first_s)?;
        let column = usize::try_from(offset).ok()? / self.width_s as usize;
        (column < self.count).then_some(column)
    }

    /// Nanoseconds, both ends included.
    fn times(&self) -> (i64, i64) {
        let end_s = self.first_s.saturating_add(self.count as i64 * self.width_s);
        (self.first_s.saturating_mul(SECOND_NS), end_s.saturating_mul(SECOND_NS) - 1)
    }

    /// What an empty grid takes.
    fn bytes(&self) -> usize {
        self.count * GRID_ROWS * size_of::<[u32; 2]>()
    }
}

/// Hits and errors, column by column.
type Counts = Vec<[u32; 2]>;

pub(in super::super) fn run(
    context: &Context<'_>,
    store: &TraceStore,
    chosen: &Chosen,
    request: &Request<'_>,
    column_s: i64,
) -> Result<Grid> {
    let columns = Columns::of(request, column_s)?;
    let threads = context.options.helpers.width().max(1);
    context.holding.take(Weight::bytes(columns.bytes() * (threads + 1)))?;
    let selection = context.select(store, &chosen.select(columns.times()))?;
    let state = || vec![[0; 2]; columns.count * GRID_ROWS];
    let count = |counts: &mut Counts, piece: &Piece| count(counts, piece, chosen, columns);
    let pieces = (0..selection.pieces().len()).collect();
    let states = reading::fold(context, &selection, pieces, state, count)?;
    context.finish(&selection);
    let mut states = states.into_iter();
    let mut total = states.next().unwrap_or_else(state);
    for other in states {
        total.iter_mut().zip(other).for_each(|(sum, more)| {
            sum[0] += more[0];
            sum[1] += more[1];
        });
    }
    let cells = cells(&total);
    context.hold(size_of_val(&*cells))?;
    let Columns { first_s, width_s, count } = columns;
    Ok(Grid { first_s, column_s: width_s, columns: count, cells })
}

fn count(counts: &mut Counts, piece: &Piece, chosen: &Chosen, columns: Columns) -> Result<()> {
    let entries = piece.entries()?;
    let rows = chosen.rows(piece)?;
    for (entry, end_s) in entries.ends_s.iter().enumerate() {
        let Some(column) = columns.place(*end_s) else { continue };
        if rows.as_ref().is_some_and(|rows| !rows.contains(entries.rows[entry] as usize)) {
            continue;
        }
        let cell = &mut counts[column * GRID_ROWS + row_of(entries.eighths(entry))];
        cell[0] += 1;
        cell[1] += u32::from(entries.is_error(entry));
    }
    Ok(())
}

fn cells(counts: &[[u32; 2]]) -> Vec<GridCell> {
    let is_used = |(_, [hits, _]): &(usize, &[u32; 2])| *hits > 0;
    let cell = |(place, [hits, errors]): (usize, &[u32; 2])| GridCell {
        column: (place / GRID_ROWS) as u32,
        row: (place % GRID_ROWS) as u8,
        hits: *hits,
        errors: *errors,
    };
    counts.iter().enumerate().filter(is_used).map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_get_longer() {
        let rows = [
            (0, 0),
            (124, 0),
            (125, 1),
            (4_999, 39),
            (5_000, 40),
            (5_249, 40),
            (9_999, 59),
            (10_000, 60),
            (10_500, 61),
            (19_999, 79),
            (20_000, 80),
            (39_999, 99),
            (40_000, 100),
            (41_999, 100),
            (42_000, 101),
            (79_999, 119),
            (80_000, 119),
            (9_000_000, 119),
        ];
        for (millis, row) in rows {
            assert_eq!(row_of(millis / 125), row, "{millis} ms");
        }
        assert_eq!(row_of(u32::MAX), GRID_ROWS - 1);
    }
}
