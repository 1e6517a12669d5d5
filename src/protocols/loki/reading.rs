//! What the endpoints have in common that go through pieces of the store themselves.

use super::envelope::{Context, LokiError};
use log_store::{NO_TEXTS, Needs, Order, Select, Selection};
use logql::{Direction, Engine, QueryError, QueryResult, QueryTimes, Request, TenantLogs};
use model::{Matcher, TimeRange};
use query::{Control, Holding, RegexBudget, Weight};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A stream that was selected, and a piece.
const STREAM_BYTES: usize = 96;
const PIECE_BYTES: usize = 64;

impl Context {
    /// Ends the work when its client is gone, or it takes too long.
    pub(super) fn control(&self) -> Control<'_> {
        let timeout = Duration::from_millis(self.services().logql.limits.timeout_ms.unsigned_abs());
        Control::new(&*self.services().clock, Some(timeout), self.cancel.clone())
    }

    /// The streams and pieces, of which no line and no field will be read.
    pub(super) fn select_counted(
        &self,
        time: TimeRange,
        matchers: &[Matcher],
        memory: &Holding,
    ) -> Result<Selection, LokiError> {
        let needs = Needs { lines: false, fields: Some(BTreeSet::new()) };
        let (conditions, order) = (&[][..], Order::NewestFirst);
        let wanted = Select {
            time,
            matchers,
            conditions,
            identifier: None,
            texts: &NO_TEXTS,
            order,
            needs: &needs,
        };
        let selection = self.logs()?.store.select(&self.call.tenant, &wanted)?;
        let (streams, pieces) = (selection.stream_count(), selection.pieces().len());
        take(memory, streams * STREAM_BYTES + pieces * PIECE_BYTES)?;
        Ok(selection)
    }

    /// The lines that the parameter `query` selects.
    pub(super) fn lines(
        &self,
        (start_ns, end_ns): (i64, i64),
        limit: usize,
        direction: Direction,
    ) -> Result<QueryResult, LokiError> {
        let query = self.parameters.text("query");
        let mut regexes = RegexBudget::default();
        logql::parse_log(query, &mut regexes)?;
        let services = self.services();
        let engine = Engine::new(services.logql.clone());
        let storage = TenantLogs { store: &self.logs()?.store, tenant: &self.call.tenant };
        let times = QueryTimes::Range { start_ns, end_ns, step_ns: 1, interval_ns: 0 };
        let memory = Some(Arc::clone(&services.query_memory));
        let cancel = self.cancel.clone();
        let request = Request {
            query,
            times,
            limit,
            direction,
            cancel,
            memory,
            regexes: RegexBudget::default(),
        };
        Ok(engine.run(&storage, &*services.clock, &request)?)
    }

    /// The matchers of the parameter `query`, which must be there; `{}` matches every stream.
    pub(super) fn selector(&self) -> Result<Vec<Matcher>, LokiError> {
        match self.parameters.text("query").trim() {
            "" => Err(LokiError::bad(
                "parameter 'query' is missing: send a selector such as {app=\"web\"}",
            )),
            "{}" => Ok(Vec::new()),
            selector => self.matchers(selector),
        }
    }
}

pub(super) fn take(memory: &Holding, bytes: usize) -> Result<(), LokiError> {
    Ok(memory.take(Weight::bytes(bytes)).map_err(QueryError::from)?)
}

pub(super) fn check(control: &Control<'_>) -> Result<(), LokiError> {
    Ok(control.check().map_err(QueryError::from)?)
}

/// The starts of the steps of a range: its own start, then whole multiples of the step.
pub(super) fn step_starts(
    (start, end): (i64, i64),
    step: i64,
    most: usize,
) -> Result<Vec<i64>, LokiError> {
    let count = (i128::from(end) - i128::from(start)) / i128::from(step);
    if count > most as i128 {
        return Err(LokiError::bad(format!(
            "exceeded maximum resolution of {most} points per time series. Try increasing the value of the \
             step parameter"
        )));
    }
    let mut starts = vec![start];
    let mut next = start.div_euclid(step).checked_add(1).and_then(|n| n.checked_mul(step));
    while let Some(at) = next.filter(|at| *at <= end) {
        starts.push(at);
        next = at.checked_add(step);
    }
    Ok(starts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_begin_at_the_start_and_at_multiples() {
        assert_eq!(step_starts((7, 31), 10, 9).unwrap(), [7, 10, 20, 30]);
        assert_eq!(step_starts((10, 30), 10, 9).unwrap(), [10, 20, 30]);
        assert_eq!(step_starts((-7, 5), 10, 9).unwrap(), [-7, 0]);
        assert_eq!(step_starts((7, 7), 10, 9).unwrap(), [7]);
        assert!(step_starts((0, 100), 10, 9).is_err());
        assert!(step_starts((i64::MIN, i64::MAX), 1, 9).is_err());
    }
}
