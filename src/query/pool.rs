//! The threads that queries run on: a fixed number, started once, with a bounded queue before them.
//!
//! A query is one job and stays on one thread, so a thread that runs a query never takes up another
//! before the first is done. What can be split within a query is shared with the pool's helpers
//! ([`Pool::helpers`]), which are threads of their own for the same reason.
//!
//! The threads step behind those that take data in, so that queries don't keep writes waiting.
//!
//! A caller may also run a query on a thread of its own when no other waits ([`Pool::turn_now`]): it
//! counts as if one of the pool's threads ran it, so that never more queries run than there are
//! threads.

use crate::CancelFlag;
use crate::queue::{FairQueue, Job, QueueFull};
use model::TenantId;
use platform::threads::{Helpers, Worker};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// Queries that run at the same time.
    pub threads: usize,
    /// Queries that may wait, of all tenants together (`limits.queries_waiting`).
    pub waiting_max: usize,
    /// Queries of one tenant that may wait (`limits.tenant_queries_waiting`).
    pub tenant_waiting_max: usize,
}

/// Dropping it drops the jobs that wait and waits for those that run. A job may own what owns the
/// pool: where its thread drops that last, it waits for the other threads only.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    helpers: Helpers,
    /// Dropped, and so joined, after [`Pool::drop`] has closed the queue.
    _workers: Vec<Worker>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Signalled for every job that is put in, and when the pool is closed.
    changed: Condvar,
}

struct State {
    queue: FairQueue,
    /// Queries that run, on the pool's threads and on those of callers.
    running: usize,
    running_max: usize,
    closed: bool,
}

impl State {
    fn new(queue: FairQueue, running_max: usize) -> Self {
        Self { queue, running: 0, running_max, closed: false }
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (waiting, running) = (self.queue.len(), self.running);
        write!(f, "State {{ waiting: {waiting}, running: {running}, closed: {} }}", self.closed)
    }
}

/// How busy a pool is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLoad {
    pub waiting: usize,
    pub running: usize,
}

impl Pool {
    /// `Err` where the system starts no more threads.
    pub fn start(settings: PoolSettings) -> io::Result<Self> {
        let threads = settings.threads.max(1);
        let queue = FairQueue::new(settings.waiting_max, settings.tenant_waiting_max);
        let state = Mutex::new(State::new(queue, threads));
        let shared = Arc::new(Shared { state, changed: Condvar::new() });
        // A query's own thread does a share too.
        let helpers = Helpers::start("query-part", threads - 1)?;
        let mut pool = Self { shared, helpers, _workers: Vec::with_capacity(threads) };
        for index in 0..threads {
            let shared = Arc::clone(&pool.shared);
            let worker = Worker::start_behind(&format!("query-{index}"), move || shared.work())?;
            pool._workers.push(worker);
        }
        Ok(pool)
    }

    /// A pool that takes no queries, for a server that is made but not started.
    pub fn without_threads() -> Self {
        let state = Mutex::new(State { closed: true, ..State::new(FairQueue::new(0, 0), 0) });
        let shared = Arc::new(Shared { state, changed: Condvar::new() });
        Self { shared, helpers: Helpers::none(), _workers: Vec::new() }
    }

    /// The threads that help a query with what can be split.
    pub fn helpers(&self) -> &Helpers {
        &self.helpers
    }

    /// Has `work` run on one of the threads when its tenant's turn comes. It is dropped without
    /// being run if `cancel` is raised before that; raised later, it is for the work itself to look at.
    pub fn submit(
        &self,
        tenant: &TenantId,
        cancel: CancelFlag,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<(), QueueFull> {
        let job = Job { cancel, work: Box::new(work) };
        let mut state = self.shared.lock();
        let mut cancelled = Vec::new();
        let pushed = state.queue.push(tenant, job).or_else(|(_, job)| {
            cancelled = state.queue.remove_cancelled();
            state.queue.push(tenant, job)
        });
        drop(state);
        self.shared.changed.notify_one();
        // Dropping what a job owns may run any code, so the lock is not held.
        drop(cancelled);
        pushed.map_err(|(full, _)| full)
    }

    /// The right to run one query on the caller's own thread. `None` where others wait or all
    /// threads run queries: then the query is to be submitted.
    pub fn turn_now(&self) -> Option<Turn> {
        let mut state = self.shared.lock();
        let is_free = state.queue.len() == 0 && state.running < state.running_max;
        is_free.then(|| {
            state.running += 1;
            Turn(Arc::clone(&self.shared))
        })
    }

    pub fn load(&self) -> PoolLoad {
        let state = self.shared.lock();
        PoolLoad { waiting: state.queue.len(), running: state.running }
    }
}

/// Held while a query runs on a thread that is not the pool's.
#[derive(Debug)]
pub struct Turn(Arc<Shared>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.ended();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        let mut waiting = Vec::with_capacity(state.queue.len());
        while let Some(job) = state.queue.pop() {
            waiting.push(job);
        }
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl Shared {
    /// No panic can happen while the lock is held.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What each thread does until the pool is closed.
    fn work(&self) {
        while let Some(job) = self.next() {
            // The panic hook has written the message; the thread goes on with the next job.
            let _ = catch_unwind(AssertUnwindSafe(|| job.run()));
            self.ended();
        }
    }

    /// One query less runs.
    fn ended(&self) {
        let mut state = self.lock();
        state.running -= 1;
        let waits = state.queue.len() > 0;
        drop(state);
        if waits {
            self.changed.notify_one();
        }
    }

    /// Waits for a job, which counts as running from then on.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if state.running < state.running_max
                && let Some(job) = state.queue.pop()
            {
                state.running += 1;
                return Some(job);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    /// A pool of one thread that is busy until the sender is dropped or sends.
    fn busy_pool(waiting_max: usize, tenant_waiting_max: usize) -> (Pool, Sender<()>) {
        let settings = PoolSettings { threads: 1, waiting_max, tenant_waiting_max };
        let pool = Pool::start(settings).unwrap();
        let (end, ended) = channel();
        let (begin, begun) = channel();
        let busy = move || {
            begin.send(()).unwrap();
            let _ = ended.recv();
        };
        pool.submit(&tenant("busy"), CancelFlag::new(), busy).unwrap();
        begun.recv().unwrap();
        (pool, end)
    }

    fn note(pool: &Pool, name: &'static str, sender: &Sender<&'static str>) -> CancelFlag {
        let (cancel, sender) = (CancelFlag::new(), sender.clone());
        let work = move || sender.send(name).unwrap();
        pool.submit(&tenant(&name[..1]), cancel.clone(), work).unwrap();
        cancel
    }

    fn all(receiver: Receiver<&'static str>) -> Vec<&'static str> {
        receiver.into_iter().collect()
    }

    #[test]
    fn tenants_take_turns() {
        let (pool, end) = busy_pool(10, 10);
        let (sender, receiver) = channel();
        for name in ["a1", "a2", "a3", "b1", "b2", "c1"] {
            note(&pool, name, &sender);
        }
        drop((end, sender));
        assert_eq!(all(receiver), ["a1", "b1", "c1", "a2", "b2", "a3"]);
    }

    #[test]
    fn a_full_queue_refuses() {
        let (pool, end) = busy_pool(3, 2);
        let (sender, receiver) = channel();
        let first = note(&pool, "a1", &sender);
        note(&pool, "a2", &sender);
        let more = |name| pool.submit(&tenant(name), CancelFlag::new(), || unreachable!("refused"));
        assert_eq!(more("a"), Err(QueueFull::Tenant { limit: 2 }));
        note(&pool, "b1", &sender);
        assert_eq!(more("c"), Err(QueueFull::All { limit: 3 }));
        assert_eq!(pool.load(), PoolLoad { waiting: 3, running: 1 });
        // A cancelled job makes place for another.
        first.cancel();
        note(&pool, "a3", &sender);
        drop((end, sender));
        assert_eq!(all(receiver), ["a2", "b1", "a3"]);
    }

    #[test]
    fn a_turn_counts_like_a_thread() {
        let settings = PoolSettings { threads: 2, waiting_max: 10, tenant_waiting_max: 10 };
        let pool = Pool::start(settings).unwrap();
        let (first, second) = (pool.turn_now().unwrap(), pool.turn_now().unwrap());
        assert!(pool.turn_now().is_none());
        let (sender, receiver) = channel();
        note(&pool, "a1", &sender);
        assert_eq!(pool.load(), PoolLoad { waiting: 1, running: 2 });
        drop(first);
        assert_eq!(receiver.recv(), Ok("a1"));
        drop((second, sender));
    }

    #[test]
    fn nobody_overtakes_those_who_wait() {
        let (pool, end) = busy_pool(10, 10);
        let (sender, receiver) = channel();
        note(&pool, "a1", &sender);
        assert!(pool.turn_now().is_none());
        drop((end, sender));
        assert_eq!(all(receiver), ["a1"]);
    }

    #[test]
    fn a_cancelled_job_is_skipped() {
        let (pool, end) = busy_pool(10, 10);
        let (sender, receiver) = channel();
        note(&pool, "a1", &sender);
        note(&pool, "a2", &sender).cancel();
        note(&pool, "a3", &sender);
        drop((end, sender));
        assert_eq!(all(receiver), ["a1", "a3"]);
    }

    #[test]
    fn a_panic_does_not_end_the_thread() {
        let (pool, end) = busy_pool(10, 10);
        let bad = || panic!("for the test");
        pool.submit(&tenant("a"), CancelFlag::new(), bad).unwrap();
        let (sender, receiver) = channel();
        note(&pool, "a1", &sender);
        drop((end, sender));
        assert_eq!(all(receiver), ["a1"]);
    }

    #[test]
    fn a_job_may_be_the_last_owner_of_its_pool() {
        let settings = PoolSettings { threads: 2, waiting_max: 10, tenant_waiting_max: 10 };
        let pool = Arc::new(Pool::start(settings).unwrap());
        let (tell, told) = channel();
        let (go, wait) = channel::<()>();
        let owned = Arc::clone(&pool);
        let work = move || {
            let _ = wait.recv();
            drop(owned);
            tell.send(()).unwrap();
        };
        pool.submit(&tenant("a"), CancelFlag::new(), work).unwrap();
        drop(pool);
        drop(go);
        assert_eq!(told.recv(), Ok(()));
    }

    #[test]
    fn a_pool_that_is_dropped_drops_what_waits() {
        let (pool, end) = busy_pool(10, 10);
        let (sender, receiver) = channel();
        note(&pool, "a1", &sender);
        drop(sender);
        let closing = Worker::start("close", move || drop(pool)).unwrap();
        assert!(all(receiver).is_empty());
        drop(end);
        closing.join().unwrap();
    }
}
