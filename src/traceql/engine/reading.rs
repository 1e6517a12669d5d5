//! Pieces of a selection, read by one thread or by several.

use super::{Context, Result};
use crate::error::QueryError;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use trace_store::{Piece, Selection};

/// Runs `work` on pieces and answers in no order. A part that is damaged is left out: the selection's
/// warnings tell of it.
pub(super) fn each<R: Send>(
    context: &Context<'_>,
    selection: &Selection,
    pieces: Vec<usize>,
    work: impl Fn(&Piece) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let results = Mutex::new(Vec::with_capacity(pieces.len()));
    fold(
        context,
        selection,
        pieces,
        || (),
        |(), piece| {
            let result = work(piece)?;
            results.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(result);
            Ok(())
        },
    )?;
    Ok(results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// Runs `work` on pieces, each thread with a state of its own, and answers the states.
pub(super) fn fold<W: Send>(
    context: &Context<'_>,
    selection: &Selection,
    pieces: Vec<usize>,
    state: impl Fn() -> W + Sync,
    work: impl Fn(&mut W, &Piece) -> Result<()> + Sync,
) -> Result<Vec<W>> {
    /// Fewer rows than this are not worth a second thread.
    const ROWS_FOR_THREADS: u64 = 8_192;
    let rows: u64 = pieces.iter().map(|piece| selection.pieces()[*piece].rows).sum();
    let is_small = rows < ROWS_FOR_THREADS;
    let helpers = &context.options.helpers;
    let threads = if is_small { 1 } else { helpers.width().clamp(1, pieces.len().max(1)) };
    let next = AtomicUsize::new(0);
    let run = |_: usize| {
        let mut state = state();
        while let Some(index) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
            context.control.check()?;
            let Some(piece) = selection.read(*index)? else { continue };
            context.count(&selection.pieces()[*index]);
            match work(&mut state, &piece) {
                Err(QueryError::Store(error)) => selection.piece_failed(*index, error)?,
                other => other?,
            }
        }
        Ok(state)
    };
    if threads == 1 {
        return Ok(vec![run(0)?]);
    }
    helpers.scatter((0..threads).collect(), run).into_iter().collect()
}
