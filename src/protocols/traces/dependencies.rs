//! Which services call which, counted from the spans of whole traces: a call is a span whose parent is a
//! span of another service.

use crate::api::{Api, Context};
use crate::services::ServiceError;
use model::TimeUnit;
use std::collections::BTreeMap;
use trace_store::{EdgeField, EdgeKey, EdgeKind, Measures, Select};
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
            if let Some(calls) = selection.measures_within::<EdgeKey>(index, time)? {
                add(&calls, &mut found);
            }
        }
        Ok(found)
    }
}

fn add(calls: &Measures<EdgeKey>, found: &mut Dependencies) {
    let name = |text: u32| String::from_utf8_lossy(calls.texts.get(text as usize)).into_owned();
    for of_key in calls.list.chunk_by(|left, right| left.key == right.key) {
        let EdgeKey { client, server, kind } = calls.keys[of_key[0].key as usize];
        let are_spans = !matches!(kind, EdgeKind::Database | EdgeKind::Virtual);
        let Some(client) = client.filter(|client| are_spans && *client != server) else { continue };
        let total = found.entry((name(client), name(server))).or_default();
        for one in of_key {
            if EdgeField::SERVER_BUCKETS.contains(&one.field) {
                total.calls += one.amount;
            } else if one.field == EdgeField::ERRORS {
                total.errors += one.amount;
            }
        }
    }
}
