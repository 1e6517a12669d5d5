//! A flush: writes a head into parts, one for each day on which traces started.

use crate::block::{Trace, Traces as TraceRows, tick};
use crate::error::StoreError;
use crate::head::Head;
use crate::kind::{Tenant, Traces};
use crate::part::PartBuilder;
use crate::select::traces_in_parts;
use columns::Effort;
use engine::FlushOrigin;
use model::{Day, Signal, TimeUnit};
use parts::NewPart;
use std::collections::BTreeMap;

pub(crate) fn write(
    kind: &Traces,
    tenant: &Tenant,
    head: &Head,
    origin: &FlushOrigin,
) -> Result<Vec<NewPart>, StoreError> {
    let sources = head.spans();
    let traces = TraceRows::of(&sources);
    let mut days: BTreeMap<Day, Vec<Trace>> = BTreeMap::new();
    for trace in &traces.list {
        let day = Day::of(tick(trace.start), Signal::Traces);
        days.entry(day).or_default().push(*trace);
    }
    let mut elsewhere = fragments(kind, tenant, &traces)?;
    // A trace begins on one day, however its spans are spread over flushes.
    elsewhere.sort_unstable();
    let mut parts = Vec::new();
    for (day, of_day) in days {
        let mut builder = PartBuilder::new(&tenant.store, origin.of_day(day), Effort::Quick)?;
        builder.builder().sources(&sources);
        let mut known: Vec<[u8; 16]> = of_day.iter().map(|trace| trace.id).collect();
        known.retain(|id| elsewhere.binary_search(id).is_ok());
        known.sort_unstable();
        builder.fragments(known);
        for trace in &of_day {
            builder.push(trace.id, traces.places(trace), &sources)?;
        }
        parts.extend(builder.finish()?);
    }
    Ok(parts)
}

/// The traces of which there are spans in parts already.
fn fragments(
    kind: &Traces,
    tenant: &Tenant,
    traces: &TraceRows,
) -> Result<Vec<[u8; 16]>, StoreError> {
    let starts = traces.list.first().zip(traces.list.last());
    let Some((first, last)) = starts else { return Ok(Vec::new()) };
    let time = TimeUnit::Nanos.between(tick(first.start), tick(last.start));
    let ids: Vec<[u8; 16]> = traces.list.iter().map(|trace| trace.id).collect();
    let manifest = tenant.store.snapshot();
    let mut found = Vec::new();
    for part in crate::select::parts_near(&manifest, time) {
        // A part that can't be read is quarantined by the next reader.
        if let Ok(part) = crate::select::open(kind, tenant, &manifest, part.id) {
            found.extend(traces_in_parts(&part, &ids).unwrap_or_default());
        }
    }
    Ok(found)
}
