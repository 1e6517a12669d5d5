//! The probe's engine: opaque records, kept as any engine keeps its rows. It is the smallest
//! [`Kind`] that there can be, and the worked example of `docs/how-to/add-an-engine.md`.

use super::records::{self, Record, Records, SCHEMA};
use engine::{
    BatchKind, EngineError, FlushOrigin, Head, HeadSize, InputFailed, Intake, Kind, MergeOrder,
    PartOrigin, Store, Tenant,
};
use model::{Day, ErrorKind, Signal, TenantId, TimeRange, TimeUnit, Ulid, WalPosition};
use parts::{Compression, Manifest, MergePlan, NewPart, PartStore};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The kind of the only pages that a part of the probe has.
const PAGE: u16 = 1;
const PAGE_RECORDS: usize = 1_024;

/// What a record takes of memory beside its text.
const RECORD_BYTES: u64 = 64;

#[derive(Debug)]
pub struct Probe;

pub type ProbeStore = Store<Probe>;

impl Kind for Probe {
    const SIGNAL: Signal = Signal::Probe;
    const BATCH_SCHEMA: u16 = SCHEMA;
    /// The same id again is the same record, whichever comes later.
    const MERGE_ORDER: MergeOrder = MergeOrder::Any;

    type Context = ();
    type Rows = Records;
    type State = ();

    fn new_state(&self) {}

    fn context(&self, (): &(), _: Option<&()>) {}

    fn is_empty(rows: &Records) -> bool {
        rows.is_empty()
    }

    fn size(head: &Head<Self>) -> HeadSize {
        let rows = head.read();
        let bytes = rows.values().map(|record| record.text.len() as u64 + RECORD_BYTES).sum();
        HeadSize { rows: rows.len() as u64, bytes, series: 0 }
    }

    fn replay(
        &self,
        _: &Tenant<Self>,
        head: &Head<Self>,
        payload: &[u8],
    ) -> Result<(), EngineError> {
        let records = records::decode(payload).map_err(damaged)?;
        let mut rows = head.write().expect("nobody cuts during the replay");
        rows.extend(records);
        Ok(())
    }

    fn write(
        &self,
        tenant: &Tenant<Self>,
        head: &Head<Self>,
        origin: &FlushOrigin,
    ) -> Result<Vec<NewPart>, EngineError> {
        let rows = head.read();
        let mut days: BTreeMap<Day, Vec<(u64, &Record)>> = BTreeMap::new();
        for (id, record) in rows.iter() {
            days.entry(Day::of(record.tick, Signal::Probe)).or_default().push((*id, record));
        }
        let write = |(day, rows): (Day, Vec<_>)| write(&tenant.store, origin.of_day(day), &rows);
        days.into_iter().map(write).collect()
    }

    fn merge(
        &self,
        tenant: &Tenant<Self>,
        manifest: &Arc<Manifest>,
        plan: &MergePlan,
        origin: PartOrigin,
    ) -> Result<Vec<NewPart>, InputFailed> {
        let mut records = Records::new();
        for id in &plan.inputs {
            let found = read(&tenant.store, manifest, *id).map_err(InputFailed::of(*id))?;
            records.extend(found);
        }
        let rows: Vec<(u64, &Record)> = records.iter().map(|(id, record)| (*id, record)).collect();
        Ok(vec![write(&tenant.store, origin, &rows)?])
    }

    fn check_tombstone(_: &[u8]) -> Result<(), EngineError> {
        Err(EngineError::new(ErrorKind::Corrupt, "records of the probe can't be deleted"))
    }
}

fn damaged(error: codec::DecodeError) -> EngineError {
    EngineError::new(ErrorKind::Corrupt, error)
}

fn write(
    store: &PartStore,
    origin: PartOrigin,
    rows: &[(u64, &Record)],
) -> Result<NewPart, EngineError> {
    let mut writer = store.new_part()?;
    for page in rows.chunks(PAGE_RECORDS) {
        let bytes = records::encode(page.iter().copied());
        writer.page(PAGE, Some(page[0].0), &bytes, Compression::Zstd { level: 1 })?;
    }
    let ticks = rows.iter().map(|(_, record)| TimeUnit::Millis.at(record.tick));
    let time = ticks.reduce(TimeRange::union).expect("a part has rows");
    Ok(writer.finish(origin.summary(SCHEMA, time, rows.len() as u64, 0))?)
}

fn read(store: &PartStore, manifest: &Manifest, id: Ulid) -> Result<Records, EngineError> {
    let part = store.part(manifest, id)?;
    let mut found = Records::new();
    for page in part.pages_of(PAGE)? {
        found.extend(records::decode(&part.page(*page)?).map_err(damaged)?);
    }
    Ok(found)
}

/// All records of a tenant, and warnings about what could not be read.
pub fn read_all(
    store: &ProbeStore,
    tenant: &TenantId,
) -> Result<(Records, Vec<String>), EngineError> {
    let Some(tenant) = store.tenant(tenant) else { return Ok(Default::default()) };
    let view = tenant.view(&store.kind);
    let (mut found, mut warnings) =
        (Records::new(), view.manifest.warnings(TimeUnit::Millis.everything()));
    for part in &view.manifest.parts {
        match read(&tenant.store, &view.manifest, part.id) {
            Ok(records) => found.extend(records),
            Err(error) => warnings.push(tenant.quarantine_damaged(&store.kind, part.id, error)?),
        }
    }
    for head in &view.heads {
        found.extend(head.read().iter().map(|(id, record)| (*id, record.clone())));
    }
    Ok((found, warnings))
}

/// Records on their way into the store.
#[derive(Debug)]
pub struct ProbeBatch {
    pub store: Arc<ProbeStore>,
    pub tenant: TenantId,
    pub records: Records,
}

impl Intake for ProbeBatch {
    type Done = ();

    fn kind(&self) -> BatchKind {
        BatchKind { tenant: self.tenant.clone(), signal: Signal::Probe, schema: SCHEMA }
    }

    fn size_bytes(&self) -> usize {
        self.records.values().map(|record| record.text.len()).sum()
    }

    fn encode(&mut self, payload: &mut Vec<u8>) -> Result<(), EngineError> {
        *payload = records::encode(self.records.iter().map(|(id, record)| (*id, record)));
        Ok(())
    }

    fn apply(self, position: WalPosition) -> Result<(), EngineError> {
        let tenant = self.store.tenant_or_new(&self.tenant)?;
        loop {
            let head = tenant.live(&self.store.kind);
            // A head that a cut has sealed meanwhile takes no more rows.
            if let Some(mut rows) = head.write() {
                rows.extend(self.records);
                break;
            }
        }
        tenant.note_applied(position);
        Ok(())
    }
}
