//! Carries out how long lines of single streams are kept: as deletes, whose times move on, and which are
//! applied to files at once, so that the space is free.
//!
//! Not here: which lines are too old (`log_store::StreamRules`), parts that go as a whole (`stores`).
//! Invariants: nothing is deleted by a time that retention does not trust; what was done is recorded
//! after it was done, so that it is done again rather than left out.

use codec::xxh3_128;
use engine::EngineError;
use ingest::Gateway;
use log_store::{Expired, LogStore, StreamRules};
use model::{TenantId, TimeUnit};
use observe::Notice;
use platform::{Disk, RealDisk};
use protocols::PerTenant;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;

/// docs/formats/retention-streams.md draws it.
const FILE: &str = "retention-streams";
const FILE_BYTES_MAX: u64 = 16 << 20;

/// A tenant and the digest of a delete without its times.
type Key = (TenantId, u128);

#[derive(Debug)]
pub(crate) struct StreamRetention {
    store: LogStore,
    gateway: Arc<Gateway>,
    disk: Arc<RealDisk>,
    rules: PerTenant<Arc<StreamRules>>,
    /// Up to which time lines were deleted.
    done: Mutex<BTreeMap<Key, i64>>,
    /// Tenants whose files hold nothing that was deleted here.
    erased: Mutex<BTreeSet<TenantId>>,
}

impl StreamRetention {
    pub(crate) fn new(
        store: LogStore,
        gateway: Arc<Gateway>,
        disk: Arc<RealDisk>,
        rules: PerTenant<Arc<StreamRules>>,
    ) -> Self {
        let text = disk.read_all(FILE, FILE_BYTES_MAX).unwrap_or_default();
        let done = Mutex::new(read(&String::from_utf8_lossy(&text)));
        Self { store, gateway, disk, rules, done, erased: Mutex::default() }
    }

    /// How long whole parts of a tenant are kept: as long as its longest-kept stream.
    pub(crate) fn longest(&self) -> PerTenant<Option<i64>> {
        let longest = |rules: &Arc<StreamRules>| rules.longest_ms();
        let own = self.rules.own.iter().map(|(tenant, rules)| (tenant.clone(), longest(rules)));
        PerTenant { default: longest(&self.rules.default), own: own.collect() }
    }

    /// Deletes what is too old by the time of retention. Blocking, within a runtime. A tenant that fails
    /// is tried again the next time, and the others go on.
    pub(crate) fn carry_out(&self, now_ms: i64) -> Result<(), EngineError> {
        let mut outcome = Ok(());
        for tenant in self.store.tenants() {
            let expired = self.rules.of(&tenant).expired(now_ms);
            let done = self.delete(&tenant, &expired).and_then(|()| match expired.is_empty() {
                true => Ok(()),
                false => self.erase(&tenant),
            });
            if let Err(error) = &done {
                let fields: [(&str, &dyn std::fmt::Display); 2] =
                    [("tenant", &tenant), ("error", error)];
                Notice::warn("lines that are too old could not be deleted", &fields);
            }
            outcome = outcome.and(done);
        }
        outcome
    }

    fn delete(&self, tenant: &TenantId, expired: &[Expired]) -> Result<(), EngineError> {
        let (mut keys, mut deletes) = (Vec::new(), Vec::new());
        for Expired { before_ms, delete } in expired {
            let key = (tenant.clone(), xxh3_128(&delete.encode()));
            let done_ms = self.done().get(&key).copied();
            if done_ms.is_none_or(|done_ms| done_ms < *before_ms) {
                // Lines that are older than what was done have been refused since.
                let from = done_ms.map_or(TimeUnit::Nanos.everything().min, of_ms);
                let time = TimeUnit::Nanos.between(from, of_ms(*before_ms).saturating_sub(1));
                deletes.push((time, delete.clone()));
                keys.push((key, *before_ms));
            }
        }
        if deletes.is_empty() {
            return Ok(());
        }
        let (runtime, gateway) = (Handle::current(), &self.gateway);
        self.store.delete(tenant, &deletes, |cut| runtime.block_on(gateway.barrier(cut)))?;
        self.erased().remove(tenant);
        self.done().extend(keys);
        self.record();
        Ok(())
    }

    /// Rewrites the files, unless that was done since the last delete.
    fn erase(&self, tenant: &TenantId) -> Result<(), EngineError> {
        if !self.erased().contains(tenant) {
            self.store.erase_deleted(tenant)?;
            self.erased().insert(tenant.clone());
        }
        Ok(())
    }

    /// Without the record the same is deleted once more after the next start.
    fn record(&self) {
        let text = written(&self.done());
        if let Err(error) = self.disk.replace(FILE, text.as_bytes()) {
            Notice::warn("what retention deleted could not be recorded", &[("error", &error)]);
        }
    }

    fn done(&self) -> MutexGuard<'_, BTreeMap<Key, i64>> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn erased(&self) -> MutexGuard<'_, BTreeSet<TenantId>> {
        self.erased.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of_ms(ms: i64) -> i64 {
    TimeUnit::Nanos.of_ms(ms)
}

fn written(done: &BTreeMap<Key, i64>) -> String {
    let line = |((tenant, digest), before_ms): (&Key, &i64)| {
        format!("{before_ms} {digest:032x} {tenant}\n")
    };
    done.iter().map(line).collect()
}

/// What can't be read is done again.
fn read(text: &str) -> BTreeMap<Key, i64> {
    let entry = |line: &str| {
        let mut words = line.split(' ');
        let before_ms = words.next()?.parse().ok()?;
        let digest = u128::from_str_radix(words.next()?, 16).ok()?;
        Some(((TenantId::new(words.next()?).ok()?, digest), before_ms))
    };
    text.lines().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_read_again() {
        let key = |name: &str, digest| (TenantId::new(name).unwrap(), digest);
        let done = BTreeMap::from([(key("a", 7), -5), (key("b", u128::MAX), 1_700_000_000_000)]);
        assert_eq!(read(&written(&done)), done);
        assert_eq!(read("x\n5 z a\n5 07\n5 07 a b\n"), BTreeMap::from([(key("a", 7), 5)]));
    }
}
