//! Which streams and fields there are.

use super::{NO_TEXTS, Needs, Order, Origin, Select, select};
use crate::error::StoreError;
use crate::kind::Store;
use model::{Labels, Matcher, Room, TenantId, TimeRange};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The streams that match, and warnings about what could not be read.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    pub streams: Vec<Labels>,
    pub warnings: Vec<String>,
}

/// What a stream takes in a listing beside its labels, which are shared.
const STREAM_BYTES: usize = 64;

/// Streams with a line near the range: row groups and blocks that overlap it are not looked into.
pub(crate) fn streams(
    store: &Arc<Store>,
    tenant: &TenantId,
    time: TimeRange,
    matchers: &[Matcher],
    room: &mut dyn Room,
) -> Result<Listing, StoreError> {
    let needs = Needs { lines: false, fields: Some(BTreeSet::new()) };
    let wanted = Select {
        time,
        matchers,
        conditions: &[],
        identifier: None,
        texts: &NO_TEXTS,
        order: Order::NewestFirst,
        needs: &needs,
    };
    let selection = select(store, tenant, &wanted)?;
    let mut is_there = vec![false; selection.stream_count()];
    for place in &selection.places {
        let source = &selection.sources[place.source as usize];
        let mut note = |stream: u32| {
            if let Some(number) = source.streams[stream as usize] {
                is_there[number as usize] = true;
            }
        };
        match &source.from {
            Origin::Head(blocks) => {
                let streams = &blocks[place.index as usize].rows.streams;
                streams.chunk_by(|left, right| left == right).for_each(|run| note(run[0]));
            }
            Origin::Part(part) => {
                let group = &part.index.groups[place.index as usize];
                (group.first_stream..=group.last_stream).for_each(note);
            }
        }
    }
    let found: Vec<u32> =
        (0..selection.stream_count() as u32).filter(|stream| is_there[*stream as usize]).collect();
    room.take(found.len() * STREAM_BYTES)?;
    let streams = found.into_iter().map(|stream| selection.labels(stream).clone()).collect();
    Ok(Listing { streams, warnings: selection.warnings() })
}
