//! The stores that cases run on: real ones on a simulated disk.

use super::spans::{Attributes, BASE_NS, LoadedSpan, Read};
use ::engine::Intake;
use model::{TenantId, WalPosition};
use parts::Site;
use platform::sim::{SimClock, SimDisk};
use platform::{Blobs, Disk, DiskBlobs, Ids, SeededRandom};
use std::sync::Arc;
use trace_store::{StoreSettings, TraceStore};
use wire::{EventRef, LinkRef, SpanRef, SpanSink};

pub(crate) struct CaseStore {
    pub(crate) store: TraceStore,
    pub(crate) tenant: TenantId,
    /// Every load becomes a part.
    is_flushed: bool,
    loads: u64,
}

impl CaseStore {
    pub(crate) fn new(is_flushed: bool) -> Read<Self> {
        let (clock, random) = (Arc::new(SimClock::new()), Arc::new(SeededRandom::new(1)));
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
        let blobs = DiskBlobs::open(disk, "blobs").map_err(|error| error.to_string())?;
        let blobs: Arc<dyn Blobs> = Arc::new(blobs);
        let ids = Arc::new(Ids::new(clock.clone(), random));
        let store = TraceStore::open(Site::new(blobs, clock, ids), StoreSettings::default());
        let store = store.map_err(|error| error.to_string())?;
        Ok(Self { store, tenant: TenantId::default_tenant(), is_flushed, loads: 0 })
    }

    pub(crate) fn load(&mut self, spans: &[LoadedSpan]) -> Read<()> {
        let mut batch = self.store.batch(&self.tenant);
        for span in spans {
            batch.resource(&span.resource);
            let (name, version, attributes) = &span.scope;
            batch.scope(name, version, attributes);
            add(&mut batch, span);
        }
        self.loads += 1;
        let position = |offset| WalPosition { segment: self.loads, offset };
        batch.encode(&mut Vec::new()).map_err(|error| error.to_string())?;
        batch.apply(position(1)).map_err(|error| error.to_string())?;
        if self.is_flushed {
            let engine = self.store.engine();
            engine.cut(&self.tenant, position(2));
            engine.flush(&self.tenant).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

fn add(batch: &mut impl SpanSink, span: &LoadedSpan) {
    let time = |nanos: i64| (BASE_NS + nanos).unsigned_abs();
    let start_ns = time(span.start_ns);
    let mut events = Vec::with_capacity(span.events.len());
    for (name, after, attributes) in &span.events {
        let (time_ns, attributes) = (start_ns + after.unsigned_abs(), attributes.clone());
        events.push(EventRef {
            time_ns,
            name: name.as_str().into(),
            dropped_attributes: 0,
            attributes,
        });
    }
    let link = |(trace, id, attributes): &(String, String, Attributes)| LinkRef {
        trace_id: id_of(trace),
        span_id: id_of(id),
        attributes: attributes.clone(),
        ..LinkRef::default()
    };
    let links: Vec<LinkRef<'_>> = span.links.iter().map(link).collect();
    batch.span(&SpanRef {
        trace_id: id_of(&span.trace),
        span_id: id_of(&span.id),
        parent_span_id: span.parent.as_deref().map_or([0; 8], id_of),
        name: &span.name,
        kind: span.kind,
        start_ns,
        end_ns: time(span.start_ns + span.length_ns),
        status: span.status,
        status_message: &span.message,
        attributes: &span.attributes,
        events: &events,
        links: &links,
        ..SpanRef::default()
    });
}

/// The identifier of a name: its bytes, as many as there is room for.
fn id_of<const WIDTH: usize>(name: &str) -> [u8; WIDTH] {
    let mut id = [0; WIDTH];
    id.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    id
}

/// The name behind an identifier.
pub(crate) fn name_of(id: &[u8]) -> String {
    let length = id.iter().position(|byte| *byte == 0).unwrap_or(id.len());
    String::from_utf8_lossy(&id[..length]).into_owned()
}
