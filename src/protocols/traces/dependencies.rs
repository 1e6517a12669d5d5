//! Which services call which, counted from the spans of whole traces: a call is a span whose parent is a
//! span of another service.

use crate::api::{Api, Context};
use crate::services::ServiceError;
use model::TimeUnit;
use std::collections::{BTreeMap, HashMap};
use trace_store::{Column, ORPHAN, Piece, ROOT, Select, StoreError, Table};
use traceql::QueryError;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    pub(crate) calls: u64,
    /// How many of them failed.
    pub(crate) errors: u64,
}

/// By caller and called.
pub(crate) type Dependencies = BTreeMap<(String, String), Calls>;

impl<A: Api> Context<A> {
    /// The calls that began in a time; nanoseconds, both ends included.
    pub(crate) fn dependencies(
        &self,
        (start_ns, end_ns): (i64, i64),
    ) -> Result<Dependencies, ServiceError> {
        let time = TimeUnit::Nanos.between(start_ns, end_ns);
        let wanted = Select { time, trace_id: None, are_whole: true };
        let selection = self.services().traces()?.store.select(&self.call.tenant, &wanted)?;
        let control = self.trace_control();
        let mut found = Dependencies::new();
        for index in 0..selection.pieces().len() {
            control.check().map_err(QueryError::from)?;
            let Some(piece) = selection.read(index)? else { continue };
            match between_services(&piece, (start_ns, end_ns)) {
                Ok(calls) => calls.into_iter().for_each(|(pair, more)| {
                    let calls = found.entry(pair).or_default();
                    calls.calls += more.calls;
                    calls.errors += more.errors;
                }),
                Err(error) => selection.piece_failed(index, error)?,
            }
        }
        Ok(found)
    }
}

/// Calls by the rows of the two resources.
fn between_resources(
    piece: &Piece,
    (start_ns, end_ns): (i64, i64),
) -> Result<HashMap<(u32, u32), Calls>, StoreError> {
    const ERROR: u8 = 2;
    let (resources, parents) = (piece.entities(Table::Resource)?, piece.parents()?);
    let (starts, statuses) = (piece.starts()?, piece.statuses()?);
    let times = u64::try_from(start_ns).unwrap_or(0)..=u64::try_from(end_ns).unwrap_or(0);
    let mut found: HashMap<(u32, u32), Calls> = HashMap::new();
    let mut add = |row: usize| {
        let parent = parents[row];
        if parent == ROOT || parent == ORPHAN || !times.contains(&starts[row]) {
            return;
        }
        let pair = (resources[parent as usize], resources[row]);
        if pair.0 != pair.1 {
            let calls = found.entry(pair).or_default();
            calls.calls += 1;
            calls.errors += u64::from(statuses[row] == ERROR);
        }
    };
    match piece.wanted() {
        Some(rows) => rows.iter().for_each(&mut add),
        None => (0..piece.rows()).for_each(&mut add),
    }
    Ok(found)
}

fn between_services(piece: &Piece, times: (i64, i64)) -> Result<Dependencies, StoreError> {
    let columns = piece.columns(Table::Resource, false, "service.name")?;
    let service = |row: u32| {
        columns.iter().find_map(|column| match column {
            Column::Text(names) => names.get(row as usize).map(String::from_utf8_lossy),
            _ => None,
        })
    };
    let mut found = Dependencies::new();
    for ((parent, child), more) in between_resources(piece, times)? {
        let (Some(parent), Some(child)) = (service(parent), service(child)) else { continue };
        if parent != child {
            let pair = (parent.into_owned(), child.into_owned());
            let calls = found.entry(pair).or_default();
            calls.calls += more.calls;
            calls.errors += more.errors;
        }
    }
    Ok(found)
}
