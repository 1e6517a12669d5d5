//! The log store and LogQL, as far as the counted work uses them, and bodies of Loki's push as an agent
//! sends them, generated from a seed.

use engine::{Engine, Intake, MergeRequest};
use log_store::{LogStore, StoreSettings};
use logql::{Engine as Language, EngineOptions, Request, TenantLogs, Value};
use model::{TenantId, Unbounded, WalPosition};
use parts::Site;
use platform::sim::{SimClock, SimDisk};
use platform::{Blobs, Disk, DiskBlobs, Ids, Random, SeededRandom};
use prost::Message;
use prost_types::Timestamp;
use std::sync::Arc;
use wire::Encoding;
use wire::proto::logproto::{EntryAdapter, LabelPairAdapter, PushRequest, StreamAdapter};

/// Lines of each body.
pub(crate) const LINES: usize = 2_000;
pub(crate) const APPS: usize = 10;
const BODY_MAX: usize = 64 << 20;
const START_NS: i64 = 1_795_219_200_000_000_000;
/// Between two lines of a body.
const STEP_NS: i64 = 1_000_000;

pub(crate) struct LineLoad {
    random: SeededRandom,
    next_ns: i64,
}

impl LineLoad {
    pub(crate) fn new() -> Self {
        Self { random: SeededRandom::new(11), next_ns: START_NS }
    }

    /// The time behind the last line.
    pub(crate) fn end_ns(&self) -> i64 {
        self.next_ns
    }

    /// A snappy block of a `logproto.PushRequest`.
    pub(crate) fn next_body(&mut self) -> Vec<u8> {
        let streams = (0..APPS).map(|app| self.stream(app)).collect();
        let plain = PushRequest { streams }.encode_to_vec();
        snap::raw::Encoder::new().compress_vec(&plain).expect("it is small enough")
    }

    fn stream(&mut self, app: usize) -> StreamAdapter {
        let labels = format!("{{app=\"app{app}\", cluster=\"one\", pod=\"app{app}-0\"}}");
        let entries = (0..LINES / APPS).map(|_| self.entry(app)).collect();
        StreamAdapter { labels, entries }
    }

    fn entry(&mut self, app: usize) -> EntryAdapter {
        self.next_ns += STEP_NS;
        let below = |most: u64| self.random.below(most);
        let level = ["info", "info", "info", "warn", "error"][below(5) as usize];
        let (user, took, id) = (below(50_000), below(9_000), below(u64::MAX));
        let line = match app % 2 {
            0 => format!(
                r#"{{"level":"{level}","msg":"request handled","user":"u{user:06}","took_ms":{took},"id":"{id:016x}"}}"#
            ),
            _ => format!(
                "{level} request {id} of user u{user:06} from 10.0.3.{} took {took}ms",
                took % 250
            ),
        };
        let (seconds, nanos) = (self.next_ns / 1_000_000_000, self.next_ns % 1_000_000_000);
        let pair = |name: &str, value: String| LabelPairAdapter { name: name.to_owned(), value };
        let trace = format!("{:032x}", u128::from(id) << 7);
        EntryAdapter {
            timestamp: Some(Timestamp { seconds, nanos: nanos as i32 }),
            line,
            structured_metadata: vec![pair("level", level.to_owned()), pair("trace_id", trace)],
        }
    }
}

pub(crate) struct LineStore {
    store: LogStore,
    engine: Arc<dyn Engine>,
    tenant: TenantId,
    disk: Arc<SimDisk>,
    clock: Arc<SimClock>,
    position: WalPosition,
    plain: Vec<u8>,
    payload: Vec<u8>,
}

impl LineStore {
    pub(crate) fn new() -> Self {
        let (clock, random) = (Arc::new(SimClock::new()), Arc::new(SeededRandom::new(7)));
        let disk = Arc::new(SimDisk::new());
        let blobs = DiskBlobs::open(Arc::clone(&disk) as Arc<dyn Disk>, "blobs");
        let blobs: Arc<dyn Blobs> = Arc::new(blobs.expect("an empty disk opens"));
        let ids = Arc::new(Ids::new(clock.clone(), random));
        let store = LogStore::open(Site::new(blobs, clock.clone(), ids), StoreSettings::default());
        let store = store.expect("an empty store opens");
        Self {
            engine: store.engine(),
            store,
            tenant: TenantId::default_tenant(),
            disk,
            clock,
            position: WalPosition { segment: 1, offset: 0 },
            plain: Vec::new(),
            payload: Vec::new(),
        }
    }

    /// Takes the body of a push. Answers how many lines it had.
    pub(crate) fn write(&mut self, body: &[u8]) -> usize {
        let Self { store, tenant, plain, payload, .. } = self;
        payload.clear();
        wire::decompress_into(Encoding::Snappy, body, BODY_MAX, &mut Unbounded, plain)
            .expect("it is snappy");
        let mut batch = store.batch(tenant);
        let decoded = wire::decode_loki_push(plain, &mut batch).expect("it is a push");
        batch.encode(payload).expect("it is taken");
        self.position.offset += payload.len() as u64;
        batch.apply(self.position).expect("it is applied");
        decoded.lines as usize
    }

    pub(crate) fn flush(&mut self) {
        self.position.offset += 1;
        self.engine.cut(&self.tenant, self.position);
        self.engine.flush(&self.tenant).expect("it is flushed");
    }

    pub(crate) fn merge(&self) {
        let space = self.disk.space().expect("the disk has space");
        let request = MergeRequest { full: true, space };
        self.engine.merge(&self.tenant, &request).expect("it is merged");
    }

    pub(crate) fn parts(&self) -> usize {
        self.store.parts(&self.tenant).len()
    }

    /// Answers how many series the result of an instant query has.
    pub(crate) fn query(&self, query: &str, time_ns: i64) -> usize {
        let language = Language::new(EngineOptions::default());
        let logs = TenantLogs { store: &self.store, tenant: &self.tenant };
        let request = Request::instant(query, time_ns);
        let result = language.run(&logs, &*self.clock, &request).expect("it is answered");
        match result.value {
            Value::Vector(samples) => samples.len(),
            other => panic!("an instant query answers a vector, not {other:?}"),
        }
    }
}
