//! `/api/v1/export`: JSON lines as VictoriaMetrics writes and reads them. The format has no native
//! histograms, so they are written as classic ones; remote read and federation in protobuf send them.

use super::classic::{At, classic_series};
use super::envelope::{ApiError, Context};
use super::selected::{Order, each_series};
use super::selectors::series_query;
use crate::Call;
use crate::api::json;
use crate::api::stream::Pieces;
use model::{Labels, is_stale};

/// Samples of one line, unless the request sets `max_rows_per_line`.
const LINE_SAMPLES: usize = 10_000;

pub(super) fn content_type(_: &Call) -> &'static str {
    "application/stream+json; charset=utf-8"
}

/// One JSON object a line: the labels, the values, the times in milliseconds.
pub(super) fn export(context: &Context, pieces: &mut Pieces<ApiError>) -> Result<(), ApiError> {
    let query = series_query(&context.parameters)?;
    let line_samples = context.parameters.count("max_rows_per_line")?.unwrap_or(LINE_SAMPLES);
    let range = (query.start_ms, query.end_ms);
    let wanted = query.start_ms..=query.end_ms;
    let memory = context.listing_memory();
    each_series(context, &query.selectors, range, Order::Labels, &memory, |labels, columns| {
        let floats = columns.floats;
        let points = floats.times.iter().copied().zip(floats.values.iter().copied());
        let kept: Vec<_> =
            points.filter(|(time, value)| wanted.contains(time) && !is_stale(*value)).collect();
        let mut write = |labels: &Labels, points: &[(i64, f64)]| {
            for line in points.chunks(line_samples) {
                write_line(&mut pieces.out, labels, line);
                pieces.ready()?;
            }
            Ok(())
        };
        write(labels, &kept)?;
        let histograms = columns.histograms.times.iter().copied().zip(columns.histograms.values);
        let histograms: Vec<At<'_>> = histograms
            .filter(|(time, histogram)| wanted.contains(time) && !is_stale(histogram.sum))
            .map(|(time, histogram)| (time, &**histogram))
            .collect();
        match histograms.is_empty() {
            true => Ok(()),
            false => classic_series(labels, &histograms, write),
        }
    })
}

fn write_line(out: &mut Vec<u8>, labels: &Labels, points: &[(i64, f64)]) {
    out.extend_from_slice(b"{\"metric\":");
    json::labels(out, labels);
    out.extend_from_slice(b",\"values\":");
    json::list(out, points, |out, (_, value)| write_value(out, *value));
    out.extend_from_slice(b",\"timestamps\":");
    json::list(out, points, |out, (time, _)| out.extend_from_slice(time.to_string().as_bytes()));
    out.extend_from_slice(b"}\n");
}

/// Finite values as numbers; infinities and NaN as text, because JSON has no numbers for them.
fn write_value(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        json::number(out, value);
    } else {
        json::value(out, value);
    }
}
