//! Threads that take over parts of a caller's work, and stay for the next caller.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A fixed number of threads, shared by all callers. Copies are handles to the same threads, which
/// end when the last handle is dropped. They step behind, as [`super::Worker::start_behind`] says.
///
/// A caller never waits for a helper that has not begun: it only gets helpers that are idle, and
/// works through whatever they leave.
#[derive(Clone, Debug, Default)]
pub struct Helpers(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    pool: rayon::ThreadPool,
    count: usize,
    idle: AtomicUsize,
}

impl Helpers {
    /// No threads: callers do everything themselves.
    pub fn none() -> Self {
        Self(None)
    }

    pub fn start(name: &'static str, count: usize) -> io::Result<Self> {
        if count == 0 {
            return Ok(Self::none());
        }
        let builder = rayon::ThreadPoolBuilder::new().num_threads(count);
        let builder = builder.thread_name(move |index| format!("{name}-{index}"));
        let pool = builder.start_handler(|_| super::step_behind()).build();
        let pool = pool.map_err(io::Error::other)?;
        Ok(Self(Some(Arc::new(Shared { pool, count, idle: AtomicUsize::new(count) }))))
    }

    /// How many threads can work for one caller at once, itself included: the number of parts that
    /// work is best split into.
    pub fn width(&self) -> usize {
        1 + self.0.as_ref().map_or(0, |shared| shared.count)
    }

    /// Runs `work` on every item and answers in the order of the items. The caller does the first
    /// item; helpers that are idle and the caller share the others. A panic in one is passed on.
    pub fn scatter<T: Send, R: Send>(&self, items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
        let mut items = items.into_iter();
        let Some(first) = items.next() else { return Vec::new() };
        let tasks = Tasks::new(items);
        let alone = || {
            let first = work(first);
            tasks.run(&work);
            first
        };
        let others = tasks.len();
        let first = match &self.0 {
            Some(shared) if others > 0 => shared.pool.in_place_scope(|scope| {
                for _ in 0..shared.take_idle(others) {
                    scope.spawn(|_| {
                        let _busy = Busy(shared);
                        tasks.run(&work);
                    });
                }
                alone()
            }),
            _ => alone(),
        };
        std::iter::once(first).chain(tasks.into_results()).collect()
    }
}

impl Shared {
    /// Claims up to so many idle helpers. Each must become a [`Busy`].
    fn take_idle(&self, wanted: usize) -> usize {
        let claim = |idle: usize| Some(idle.saturating_sub(wanted));
        let before = self.idle.fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim);
        before.map_or(0, |idle| idle.min(wanted))
    }
}

/// One helper at work; idle again when dropped, also by a panic.
struct Busy<'a>(&'a Shared);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.idle.fetch_add(1, Ordering::Relaxed);
    }
}

/// Items that several threads take from, and what came of them.
struct Tasks<T, R> {
    left: Mutex<std::iter::Enumerate<std::vec::IntoIter<T>>>,
    done: Mutex<Vec<(usize, R)>>,
}

impl<T, R> Tasks<T, R> {
    fn new(items: std::vec::IntoIter<T>) -> Self {
        Self { left: Mutex::new(items.enumerate()), done: Mutex::new(Vec::new()) }
    }

    fn len(&self) -> usize {
        lock(&self.left).len()
    }

    /// Works until no item is left.
    fn run(&self, work: &impl Fn(T) -> R) {
        loop {
            // Not in the loop's condition: the lock would be held while the item is worked on.
            let next = lock(&self.left).next();
            let Some((index, item)) = next else { return };
            let result = work(item);
            lock(&self.done).push((index, result));
        }
    }

    fn into_results(self) -> impl Iterator<Item = R> {
        let mut done = self.done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_unstable_by_key(|(index, _)| *index);
        done.into_iter().map(|(_, result)| result)
    }
}

/// No panic can happen while one of these locks is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::Barrier;
    use std::thread::ThreadId;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        for helpers in [Helpers::none(), Helpers::start("test", 3).unwrap()] {
            let text = String::from("abcdefgh");
            let results = helpers.scatter((0..8).collect(), |index: usize| text.as_bytes()[index]);
            assert_eq!(results, b"abcdefgh");
            assert!(helpers.scatter(Vec::<u8>::new(), |item| item).is_empty());
        }
        assert_eq!((Helpers::none().width(), Helpers::start("test", 3).unwrap().width()), (1, 4));
    }

    #[test]
    fn the_threads_stay_from_call_to_call() {
        let helpers = Helpers::start("test", 2).unwrap();
        let mut seen: HashSet<ThreadId> = HashSet::new();
        for _ in 0..20 {
            // All three items meet, so each is on a thread of its own.
            let meet = Barrier::new(3);
            seen.extend(helpers.scatter(vec![(); 3], |()| {
                meet.wait();
                std::thread::current().id()
            }));
            while helpers.0.as_ref().unwrap().idle.load(Ordering::Relaxed) < 2 {
                std::thread::yield_now();
            }
        }
        assert_eq!(seen.len(), 3);
    }

    #[test]
    fn a_caller_does_not_wait_for_busy_helpers() {
        let helpers = Helpers::start("test", 1).unwrap();
        let (begun, end) = (Barrier::new(2), Barrier::new(2));
        let results = helpers.scatter(vec![0, 1], |item| {
            if item == 1 {
                begun.wait();
                end.wait();
                return Vec::new();
            }
            begun.wait();
            let inner = helpers.scatter(vec![0, 1, 2], |item| item * 2);
            end.wait();
            inner
        });
        assert_eq!(results, [vec![0, 2, 4], Vec::new()]);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_leaves_the_threads() {
        let helpers = Helpers::start("test", 2).unwrap();
        for bad in [0, 2] {
            let work = |item: i32| assert!(item != bad, "item {item}");
            let call = || helpers.scatter(vec![0, 1, 2], work);
            assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).is_err());
        }
        assert_eq!(helpers.scatter(vec![1, 2, 3], |item| item + 1), [2, 3, 4]);
        assert_eq!(helpers.0.as_ref().unwrap().idle.load(Ordering::Relaxed), 2);
    }
}
