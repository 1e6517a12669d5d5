//! Entry spans, which screens call transactions: counted in a grid of their end and their duration
//! (`grid`), listed (`list`), or counted by the operations that call each other (`edges`).
//!
//! Times are those of ends: of a request, the entries that ended from its start up to its end. Which
//! entries count is said by a query of spans, a service, or both.

mod edges;
mod grid;
mod list;

use super::condition::Condition;
use super::plan::Plan;
use super::view::{SERVICE_NAME, View};
use super::{Request, Result, are_whole};
use crate::ast::{FieldExpr, FieldOp, Query, Root};
use crate::attribute::{Attribute, Scope};
use crate::error::QueryError;
use crate::literal::Literal;
use model::TimeUnit;
use query::RegexBudget;
use std::sync::Arc;
use trace_store::{Column, Piece, RowSet, Select, Table};

pub(super) use edges::run as run_edges;
pub use edges::{CallFilter, Calls, CallsFound, Operation};
pub(super) use grid::run as run_grid;
pub use grid::{GRID_ROWS, Grid, GridCell};
pub(super) use list::run as run_list;
pub use list::{EntryBox, EntryFound, EntryList, EntryOrder};

/// Which entries are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct EntryFilter<'q> {
    /// Those among the spans that it finds.
    pub query: Option<&'q Query>,
    /// Those of the service with this name; empty: of any.
    pub service: &'q str,
}

/// An [`EntryFilter`], compiled.
pub(super) struct Chosen {
    plan: Option<Plan>,
    service: Option<Condition>,
    are_whole: bool,
}

impl Chosen {
    pub(super) fn new(filter: &EntryFilter<'_>, request: &Request<'_>) -> Result<Self> {
        let regexes = &mut request.regexes.clone();
        let mut chosen = Self { plan: None, service: None, are_whole: false };
        if let Some(query) = filter.query {
            let Root::Spans(pipeline) = &query.root else {
                let message =
                    "this query answers numbers: send one of spans, such as `{ name = \"GET /\" }`";
                return Err(QueryError::Invalid(message.to_owned()));
            };
            chosen.are_whole = are_whole(pipeline, &[]);
            chosen.plan = Some(Plan::new(pipeline, regexes)?).filter(|plan| !plan.takes_all());
        }
        if !filter.service.is_empty() {
            chosen.service = Some(of_service(filter.service, regexes)?);
        }
        Ok(chosen)
    }

    /// Of a time in nanoseconds, both ends included.
    fn select(&self, (start_ns, end_ns): (i64, i64)) -> Select {
        let time = TimeUnit::Nanos.between(start_ns, end_ns);
        let trace_id = self.plan.as_ref().and_then(Plan::trace_id);
        Select { time, trace_id, are_whole: self.are_whole }
    }

    /// The rows of a piece among which entries count; `None`: all.
    fn rows(&self, piece: &Piece) -> Result<Option<RowSet>> {
        if self.plan.is_none() && self.service.is_none() {
            return Ok(piece.wanted().cloned());
        }
        let view = View::new(piece)?;
        let mut rows = view.wanted.clone();
        if let Some(service) = &self.service {
            rows = rows.and(&service.rows(&view)?);
        }
        if let Some(plan) = self.plan.as_ref().filter(|_| !rows.is_empty()) {
            // Relations are to spans of other services as well.
            let found = plan.sets(&view, view.wanted.clone())?.into_rows(view.rows);
            rows = rows.and(&found);
        }
        Ok(Some(rows))
    }
}

/// The names of the services that a piece's resources are.
struct Services(Arc<[Column]>);

impl Services {
    fn new(piece: &Piece) -> Result<Self> {
        Ok(Self(piece.columns(Table::Resource, false, SERVICE_NAME)?))
    }

    /// `None` where the resource names none.
    fn name(&self, resource: usize) -> Option<String> {
        self.0.iter().find_map(|column| match column {
            Column::Text(names) => {
                names.get(resource).map(|name| String::from_utf8_lossy(name).into_owned())
            }
            _ => None,
        })
    }
}

fn of_service(name: &str, regexes: &mut RegexBudget) -> Result<Condition> {
    let attribute = FieldExpr::Attribute(Attribute::named(Scope::Resource, SERVICE_NAME));
    let name = FieldExpr::Literal(Literal::Text(name.to_owned()));
    Ok(Condition::new(&FieldExpr::binary(FieldOp::Eq, attribute, name), regexes)?)
}
