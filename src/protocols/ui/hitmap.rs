//! `hitmap`: how many transactions ended in each column of time, in rows of duration.
//!
//! Columns are five seconds wide, and wider for a day and more, or where `cols` asks for fewer. Rows are
//! those of [`traceql::GRID_ROWS`].

use super::envelope::{Context, Stats, UiError, column, whole};
use axum::response::Response;
use traceql::{GRID_ROWS, Grid};

const DAY_S: i64 = 86_400;

/// The narrowest columns, and from which length of time on, in seconds.
const DEFAULT_WIDTHS: [(i64, i64); 4] =
    [(30 * DAY_S, 1_800), (7 * DAY_S, 300), (DAY_S, 60), (0, 5)];

/// The widths that columns may have, in seconds.
const WIDTHS_S: [i64; 11] = [5, 10, 30, 60, 300, 600, 1_800, 3_600, 10_800, 43_200, DAY_S];

/// The most columns of a time that begins and ends with one; others have one more.
const COLUMNS_MAX: usize = 18_000;

pub(super) fn hitmap(context: &Context) -> Result<Response, UiError> {
    let (services, store) = (context.services(), &context.traces()?.store);
    let started = services.clock.now();
    let (start, end) = context.times()?;
    let columns_max = context.number("cols", COLUMNS_MAX, COLUMNS_MAX)?;
    let width_s = width(end.saturating_sub(start) / 1_000_000_000, columns_max);
    let query = context.query()?;
    let filter = context.filter(query.as_ref());
    let request = context.trace_request((start, end - 1));
    let engine = context.trace_engine();
    let answer = engine.entry_grid(store, &*services.clock, &request, &filter, width_s)?;
    context.finish(written(&answer.value), &Stats::of(&answer), started)
}

/// The width of the columns of a time of so many seconds.
fn width(length_s: i64, columns_max: usize) -> i64 {
    let least = DEFAULT_WIDTHS.iter().find(|(from, _)| length_s >= *from);
    let least = least.map_or(5, |(_, width)| *width);
    let needed = length_s / columns_max as i64 + i64::from(length_s % columns_max as i64 > 0);
    let fits = |width: &&i64| **width >= least && **width >= needed;
    let days = || (needed / DAY_S + i64::from(needed % DAY_S > 0)) * DAY_S;
    WIDTHS_S.iter().find(fits).copied().unwrap_or_else(days)
}

fn written(grid: &Grid) -> Vec<u8> {
    let head = format!(
        "{{\"from\":{},\"step\":{},\"columns\":{},\"rows\":{GRID_ROWS}",
        grid.first_s, grid.column_s, grid.columns
    );
    let mut out = head.into_bytes();
    column(&mut out, "column", &grid.cells, |out, cell| whole(out, cell.column));
    column(&mut out, "row", &grid.cells, |out, cell| whole(out, cell.row));
    column(&mut out, "hits", &grid.cells, |out, cell| whole(out, cell.hits));
    column(&mut out, "errors", &grid.cells, |out, cell| whole(out, cell.errors));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_times_have_wider_columns() {
        let widths = [
            (600, COLUMNS_MAX, 5),
            (DAY_S - 1, COLUMNS_MAX, 5),
            (DAY_S, COLUMNS_MAX, 60),
            (7 * DAY_S, COLUMNS_MAX, 300),
            (30 * DAY_S, COLUMNS_MAX, 1_800),
            (600, 120, 5),
            (600, 119, 10),
            (600, 1, 600),
            (DAY_S, 10, 10_800),
            (3_000 * DAY_S, 2, 1_500 * DAY_S),
        ];
        for (length, columns, expected) in widths {
            assert_eq!(width(length, columns), expected, "{length} s in {columns} columns");
        }
    }
}
