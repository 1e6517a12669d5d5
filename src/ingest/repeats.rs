//! Batches that count once: which of them were stored recently, so that one that arrives again is
//! answered without being stored again. Why and how far: docs/adr/0017.
//!
//! Lives here: the table of recent batches, and what the write-ahead log says of them
//! (docs/formats/wal.md). Not here: which batches count once (`Intake::origin`).
//! Invariants: a batch is in the table only after it is durable and readable; batches of one content are
//! written one after the other, so that the second one knows what became of the first; each batch of the
//! table is in the write-ahead log, itself or its digest, as long as it counts.

use codec::{ByteReader, ByteWriter, DecodeError, SecretHash};
use model::{Signal, TenantId, WalPosition};
use platform::Clock;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// For how long a batch is known. Senders try again for some minutes.
pub(crate) const KNOWN_MS: i64 = 10 * 60_000;

/// How many batches are known of one tenant.
const OF_TENANT_MAX: usize = 4_096;

/// How many batches are known of all tenants, about: some 10 MB. With many tenants each has its share.
const OF_ALL_MAX: usize = 128 << 10;

/// The share of a tenant, however many there are.
const OF_TENANT_MIN: usize = 64;

/// Added to the schema of a batch that counts once. The header comes before the engine's own payload.
pub(crate) const ONCE: u16 = 1 << 15;

/// The schema of a list of batches that are known and whose segments are gone.
pub(crate) const KNOWN_BATCHES: u16 = u16::MAX;

const LIST_VERSION: u8 = 1;
const LISTED_BYTES: usize = 32;

/// What stands before the payload of a batch that counts once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header<'a> {
    pub(crate) time_ms: i64,
    /// What the digest is made of: the origin and the engine's payload.
    pub(crate) content: &'a [u8],
    /// The engine's payload.
    pub(crate) payload: &'a [u8],
}

/// The length of the time, which is not part of the content.
const TIME_BYTES: usize = 8;

pub(crate) fn begin_payload(time_ms: i64, origin: &[u8], payload: &mut Vec<u8>) {
    let mut writer = ByteWriter { bytes: std::mem::take(payload) };
    writer.u64(time_ms as u64);
    writer.prefixed(origin);
    *payload = writer.bytes;
}

/// What the digest is made of, of a payload with a header.
pub(crate) fn content(payload: &[u8]) -> &[u8] {
    payload.get(TIME_BYTES..).unwrap_or_default()
}

impl<'a> Header<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bytes);
        let time_ms = reader.u64()? as i64;
        reader.prefixed()?;
        let payload = reader.bytes(reader.remaining())?;
        Ok(Self { time_ms, content: content(bytes), payload })
    }
}

/// The table. Its lock is held for a moment only.
#[derive(Debug)]
pub struct Repeats {
    clock: Arc<dyn Clock>,
    hash: SecretHash,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tenants: HashMap<(Signal, TenantId), OfTenant>,
    /// Seeds of processes before this one, and until when a digest of theirs counts.
    seeds: Vec<(u64, i64)>,
}

#[derive(Debug, Default)]
struct OfTenant {
    underway: HashMap<u128, watch::Receiver<()>>,
    stored: HashMap<u128, Known>,
    /// The order in which they became known: the digest, and its place in that order.
    order: VecDeque<(u128, u64)>,
    next: u64,
}

/// A batch that is durable and readable.
#[derive(Clone, Copy, Debug)]
struct Known {
    time_ms: i64,
    seed: u64,
    /// The segment of the write-ahead log that says so.
    segment: u64,
    place: u64,
}

/// What to do with a batch.
pub(crate) enum Claim {
    /// Write it. Equal ones wait until the claim is dropped.
    Write(Claimed),
    /// It is durable and readable already.
    Stored,
    /// An equal one is being written: ask again when that has ended.
    Underway(Underway),
}

/// An equal batch that is being written.
pub(crate) struct Underway(watch::Receiver<()>);

impl Underway {
    pub(crate) async fn ended(mut self) {
        // Nothing is ever sent: the sender is dropped when the other batch is stored or has failed.
        let _ = self.0.changed().await;
    }
}

/// The right to write a batch.
pub(crate) struct Claimed {
    repeats: Arc<Repeats>,
    tenant: (Signal, TenantId),
    digest: u128,
    time_ms: i64,
    stored_in: Option<u64>,
    /// Wakes those that wait, after `drop` has noted what became of the batch.
    _ended: watch::Sender<()>,
}

impl Claimed {
    /// The batch is durable and readable.
    pub(crate) fn stored(mut self, position: WalPosition) {
        self.stored_in = Some(position.segment);
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        let mut state = self.repeats.state();
        let most = state.share();
        let Some(of_tenant) = state.tenants.get_mut(&self.tenant) else { return };
        of_tenant.underway.remove(&self.digest);
        if let Some(segment) = self.stored_in {
            let seed = self.repeats.hash.seed();
            let known = Known { time_ms: self.time_ms, seed, segment, place: 0 };
            of_tenant.note(self.digest, known, most);
        }
    }
}

impl Repeats {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, hash: SecretHash::default(), state: Mutex::default() }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.wall_ms()
    }

    /// What to do with a batch of this content.
    pub(crate) fn claim(
        self: &Arc<Self>,
        signal: Signal,
        tenant: &TenantId,
        time_ms: i64,
        content: &[u8],
    ) -> Claim {
        let digest = self.hash.wide(content);
        let inherited = self.inherited(content, time_ms);
        let key = (signal, tenant.clone());
        let mut state = self.state();
        let of_tenant = state.tenants.entry(key.clone()).or_default();
        of_tenant.forget_old(time_ms);
        if of_tenant.knows(digest, time_ms)
            || inherited.iter().any(|d| of_tenant.knows(*d, time_ms))
        {
            return Claim::Stored;
        }
        if let Some(ended) = of_tenant.underway.get(&digest) {
            return Claim::Underway(Underway(ended.clone()));
        }
        let (sender, receiver) = watch::channel(());
        of_tenant.underway.insert(digest, receiver);
        let (repeats, tenant) = (Arc::clone(self), key);
        let claimed = Claimed { repeats, tenant, digest, time_ms, stored_in: None, _ended: sender };
        Claim::Write(claimed)
    }

    /// The digests that processes before this one would have given the content.
    fn inherited(&self, content: &[u8], now_ms: i64) -> Vec<u128> {
        let seeds: Vec<u64> = {
            let mut state = self.state();
            state.seeds.retain(|(_, until_ms)| now_ms < *until_ms);
            state.seeds.iter().map(|(seed, _)| *seed).collect()
        };
        seeds.into_iter().map(|seed| SecretHash::with_seed(seed).wide(content)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ── the write-ahead log ──

    /// Notes a batch of the write-ahead log. Answers whether to apply it: not where the one before it
    /// failed without having left no trace, and its sender sent it again.
    pub(crate) fn replayed(
        &self,
        signal: Signal,
        tenant: &TenantId,
        header: &Header<'_>,
        position: WalPosition,
    ) -> bool {
        let digest = self.hash.wide(header.content);
        let inherited = self.inherited(header.content, header.time_ms);
        let mut state = self.state();
        let most = state.share();
        let of_tenant = state.tenants.entry((signal, tenant.clone())).or_default();
        // Batches are written in a slightly other order than they were claimed in. Half of the table is
        // taken for what the claim saw, so that no batch is left out that was written on purpose.
        let oldest = of_tenant.next.saturating_sub(most as u64 / 2);
        let is_repeated = |digest: &u128| {
            let known = of_tenant.stored.get(digest);
            known.is_some_and(|known| known.place >= oldest && known.counts_at(header.time_ms))
        };
        if is_repeated(&digest) || inherited.iter().any(is_repeated) {
            return false;
        }
        let (time_ms, seed, segment) = (header.time_ms, self.hash.seed(), position.segment);
        of_tenant.note(digest, Known { time_ms, seed, segment, place: 0 }, most);
        true
    }

    /// The batches of which only segments below this one tell, by tenant: what has to be written before
    /// those are deleted.
    pub(crate) fn only_below(&self, segment: u64) -> Vec<(Signal, TenantId, Vec<u8>)> {
        let now_ms = self.now_ms();
        let mut state = self.state();
        state.tenants.retain(|_, of_tenant| {
            of_tenant.forget_old(now_ms);
            !(of_tenant.stored.is_empty() && of_tenant.underway.is_empty())
        });
        let list = |((signal, tenant), of_tenant): (&(Signal, TenantId), &OfTenant)| {
            let list = of_tenant.list_below(segment)?;
            Some((*signal, tenant.clone(), list))
        };
        state.tenants.iter().filter_map(list).collect()
    }

    /// Such a list was written.
    pub(crate) fn listed(
        &self,
        signal: Signal,
        tenant: &TenantId,
        list: &[u8],
        position: WalPosition,
    ) -> Result<(), DecodeError> {
        let own = self.hash.seed();
        let mut state = self.state();
        let most = state.share();
        let State { tenants, seeds } = &mut *state;
        let of_tenant = tenants.entry((signal, tenant.clone())).or_default();
        each_listed(list, |digest, time_ms, seed| {
            let segment = position.segment;
            match of_tenant.stored.get_mut(&digest) {
                Some(known) => known.segment = known.segment.max(segment),
                None => of_tenant.note(digest, Known { time_ms, seed, segment, place: 0 }, most),
            }
            let until_ms = time_ms.saturating_add(KNOWN_MS);
            match seeds.iter_mut().find(|(of, _)| *of == seed) {
                Some((_, until)) => *until = (*until).max(until_ms),
                None if seed == own => {}
                None => seeds.push((seed, until_ms)),
            }
        })
    }
}

impl State {
    /// How many batches are known of one tenant.
    fn share(&self) -> usize {
        (OF_ALL_MAX / self.tenants.len().max(1)).clamp(OF_TENANT_MIN, OF_TENANT_MAX)
    }
}

impl Known {
    /// Also where the clock was set back.
    fn counts_at(&self, now_ms: i64) -> bool {
        now_ms.abs_diff(self.time_ms) < KNOWN_MS as u64
    }
}

impl OfTenant {
    fn knows(&self, digest: u128, now_ms: i64) -> bool {
        self.stored.get(&digest).is_some_and(|known| known.counts_at(now_ms))
    }

    fn note(&mut self, digest: u128, known: Known, most: usize) {
        let place = self.next;
        self.next += 1;
        self.stored.insert(digest, Known { place, ..known });
        self.order.push_back((digest, place));
        while self.order.len() > most {
            self.forget_first();
        }
    }

    fn forget_old(&mut self, now_ms: i64) {
        while let Some((digest, place)) = self.order.front() {
            let known = self.stored.get(digest).filter(|known| known.place == *place);
            if known.is_some_and(|known| known.counts_at(now_ms)) {
                break;
            }
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        let Some((digest, place)) = self.order.pop_front() else { return };
        if self.stored.get(&digest).is_some_and(|known| known.place == place) {
            self.stored.remove(&digest);
        }
    }

    fn list_below(&self, segment: u64) -> Option<Vec<u8>> {
        let mut writer = ByteWriter::default();
        writer.u8(LIST_VERSION);
        for (digest, place) in &self.order {
            let known = self.stored.get(digest).filter(|known| known.place == *place);
            if let Some(known) = known.filter(|known| known.segment < segment) {
                writer.u128(*digest);
                writer.u64(known.time_ms as u64);
                writer.u64(known.seed);
            }
        }
        (writer.len() > 1).then_some(writer.bytes)
    }
}

fn each_listed(list: &[u8], mut each: impl FnMut(u128, i64, u64)) -> Result<(), DecodeError> {
    let mut reader = ByteReader::new(list);
    let newer = reader.value_error("a list of batches of a newer version");
    if reader.u8()? != LIST_VERSION {
        return Err(newer);
    }
    while reader.remaining() >= LISTED_BYTES {
        each(reader.u128()?, reader.u64()? as i64, reader.u64()?);
    }
    reader.finish()
}
