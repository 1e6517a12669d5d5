//! A cache of decoded values, bounded by bytes.

use std::any::Any;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// When it exceeds its budget, the least recently used values are dropped. Values of all types
/// share the budget.
#[derive(Debug)]
pub struct Cache<K> {
    budget: usize,
    inner: Mutex<Inner<K>>,
}

#[derive(Debug)]
struct Inner<K> {
    kept: HashMap<K, Kept>,
    bytes: usize,
    clock: u64,
}

#[derive(Debug)]
struct Kept {
    value: Arc<dyn Any + Send + Sync>,
    bytes: usize,
    used: u64,
}

impl<K: Hash + Eq + Clone> Cache<K> {
    pub fn new(budget: usize) -> Self {
        let inner = Inner { kept: HashMap::new(), bytes: 0, clock: 0 };
        Self { budget, inner: Mutex::new(inner) }
    }

    /// A key stands for values of one type. If two threads miss at once, both load; no lock is held
    /// while loading.
    pub fn get_or_load<V: Any + Send + Sync, E>(
        &self,
        key: &K,
        load: impl FnOnce() -> Result<(V, usize), E>,
    ) -> Result<Arc<V>, E> {
        if let Some(value) = self.lock().get(key) {
            return Ok(value);
        }
        let (value, bytes) = load()?;
        let value = Arc::new(value);
        if bytes <= self.budget {
            self.lock().keep(key.clone(), Arc::clone(&value) as _, bytes, self.budget);
        }
        Ok(value)
    }

    pub fn retain(&self, wanted: impl Fn(&K) -> bool) {
        let mut inner = self.lock();
        inner.kept.retain(|key, _| wanted(key));
        inner.bytes = inner.kept.values().map(|kept| kept.bytes).sum();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner<K>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq + Clone> Inner<K> {
    fn get<V: Any + Send + Sync>(&mut self, key: &K) -> Option<Arc<V>> {
        self.clock += 1;
        let kept = self.kept.get_mut(key)?;
        kept.used = self.clock;
        Arc::clone(&kept.value).downcast().ok()
    }

    fn keep(&mut self, key: K, value: Arc<dyn Any + Send + Sync>, bytes: usize, budget: usize) {
        self.clock += 1;
        let kept = Kept { value, bytes, used: self.clock };
        if let Some(before) = self.kept.insert(key, kept) {
            self.bytes -= before.bytes;
        }
        self.bytes += bytes;
        if self.bytes > budget {
            self.shrink(budget - budget / 4);
        }
    }

    /// Drops the least recently used values until `target` is reached: a quarter of the budget at
    /// once, so that it is rarely needed.
    fn shrink(&mut self, target: usize) {
        let mut by_use: Vec<(u64, K)> =
            self.kept.iter().map(|(key, kept)| (kept.used, key.clone())).collect();
        by_use.sort_unstable_by_key(|(used, _)| *used);
        for (_, key) in by_use {
            if self.bytes <= target {
                break;
            }
            if let Some(gone) = self.kept.remove(&key) {
                self.bytes -= gone.bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_goes() {
        let cache: Cache<u32> = Cache::new(100);
        let load = |key: u32| cache.get_or_load(&key, || Ok::<_, ()>((key, 30))).unwrap();
        (0..3).for_each(|key| assert_eq!(*load(key), key));
        load(0);
        load(3);
        let hit = |key: u32| cache.get_or_load::<u32, _>(&key, || Err(())).is_ok();
        assert!(hit(0) && hit(3) && !hit(1));
        cache.retain(|key| *key != 0);
        assert!(!hit(0));
        let large = cache.get_or_load(&9, || Ok::<_, ()>((vec![0u8; 4], 101)));
        assert!(large.is_ok() && !hit(9) && hit(3), "what does not fit leaves the rest alone");
    }
}
