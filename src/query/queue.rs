//! A bounded queue that is fair between tenants: tenants take turns, and the jobs of one tenant keep
//! their order.

use crate::CancelFlag;
use model::{ErrorKind, TenantId};
use std::collections::{HashMap, VecDeque};

/// Work to be run, unless it was cancelled before its turn.
pub(crate) struct Job {
    pub(crate) cancel: CancelFlag,
    pub(crate) work: Box<dyn FnOnce() + Send>,
}

impl Job {
    pub(crate) fn run(self) {
        if !self.cancel.is_cancelled() {
            (self.work)();
        }
    }
}

/// Why a query was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueFull {
    #[error(
        "{limit} queries of this tenant are waiting already: try again when some of them have been \
         answered, or raise limits.tenant_queries_waiting"
    )]
    Tenant { limit: usize },
    #[error(
        "{limit} queries are waiting already: try again when some of them have been answered, or \
         raise limits.queries_waiting"
    )]
    All { limit: usize },
}

impl QueueFull {
    pub fn kind(self) -> ErrorKind {
        ErrorKind::Overloaded
    }
}

/// Invariants: `turns` has each tenant with waiting jobs exactly once, and `waiting` no others.
pub(crate) struct FairQueue {
    turns: VecDeque<TenantId>,
    waiting: HashMap<TenantId, VecDeque<Job>>,
    count: usize,
    max: usize,
    tenant_max: usize,
}

impl FairQueue {
    pub(crate) fn new(max: usize, tenant_max: usize) -> Self {
        Self { turns: VecDeque::new(), waiting: HashMap::new(), count: 0, max, tenant_max }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    fn check(&self, tenant: &TenantId) -> Result<(), QueueFull> {
        if self.waiting.get(tenant).map_or(0, VecDeque::len) >= self.tenant_max {
            return Err(QueueFull::Tenant { limit: self.tenant_max });
        }
        if self.count >= self.max {
            return Err(QueueFull::All { limit: self.max });
        }
        Ok(())
    }

    /// Gives the job back where it does not fit in.
    pub(crate) fn push(&mut self, tenant: &TenantId, job: Job) -> Result<(), (QueueFull, Job)> {
        if let Err(full) = self.check(tenant) {
            return Err((full, job));
        }
        self.count += 1;
        match self.waiting.get_mut(tenant) {
            Some(jobs) => jobs.push_back(job),
            None => {
                self.turns.push_back(tenant.clone());
                self.waiting.insert(tenant.clone(), VecDeque::from([job]));
            }
        }
        Ok(())
    }

    /// The first job of the tenant whose turn it is.
    pub(crate) fn pop(&mut self) -> Option<Job> {
        let tenant = self.turns.pop_front()?;
        let jobs = self.waiting.get_mut(&tenant)?;
        let job = jobs.pop_front()?;
        self.count -= 1;
        if jobs.is_empty() {
            self.waiting.remove(&tenant);
        } else {
            self.turns.push_back(tenant);
        }
        Some(job)
    }

    /// Takes out the cancelled jobs. The caller drops them when it holds no lock, because dropping
    /// what a job owns may run any code.
    pub(crate) fn remove_cancelled(&mut self) -> Vec<Job> {
        let mut cancelled = Vec::new();
        for jobs in self.waiting.values_mut() {
            let (gone, kept): (Vec<Job>, Vec<Job>) =
                std::mem::take(jobs).into_iter().partition(|job| job.cancel.is_cancelled());
            cancelled.extend(gone);
            jobs.extend(kept);
        }
        self.count -= cancelled.len();
        self.waiting.retain(|_, jobs| !jobs.is_empty());
        self.turns.retain(|tenant| self.waiting.contains_key(tenant));
        cancelled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    fn job() -> Job {
        Job { cancel: CancelFlag::new(), work: Box::new(|| {}) }
    }

    #[test]
    fn tenants_take_turns() {
        let mut queue = FairQueue::new(10, 10);
        let flags: Vec<CancelFlag> = ["a", "a", "a", "b", "c", "b"]
            .map(|name| {
                let job = job();
                let flag = job.cancel.clone();
                assert!(queue.push(&tenant(name), job).is_ok());
                flag
            })
            .into();
        let mut order = Vec::new();
        while let Some(job) = queue.pop() {
            job.cancel.cancel();
            let popped = |flag: &CancelFlag| flag.is_cancelled();
            let index = (0..flags.len()).find(|i| popped(&flags[*i]) && !order.contains(i));
            order.push(index.unwrap());
        }
        assert_eq!(order, [0, 3, 4, 1, 5, 2]);
        assert_eq!(queue.len(), 0);
        assert!(queue.turns.is_empty() && queue.waiting.is_empty());
    }

    #[test]
    fn both_limits_hold_and_cancelled_jobs_give_way() {
        let mut queue = FairQueue::new(3, 2);
        let (a, b) = (tenant("a"), tenant("b"));
        let first = job();
        let flag = first.cancel.clone();
        assert!(queue.push(&a, first).is_ok() && queue.push(&a, job()).is_ok());
        let refused = queue.push(&a, job()).map_err(|(full, _)| full);
        assert_eq!(refused, Err(QueueFull::Tenant { limit: 2 }));
        assert!(queue.push(&b, job()).is_ok());
        assert_eq!(queue.check(&b), Err(QueueFull::All { limit: 3 }));
        assert!(queue.remove_cancelled().is_empty());
        flag.cancel();
        assert_eq!(queue.remove_cancelled().len(), 1);
        assert_eq!((queue.len(), queue.check(&a), queue.check(&b)), (2, Ok(()), Ok(())));
    }

    #[test]
    fn a_refusal_names_the_setting() {
        let (tenant, all) = (QueueFull::Tenant { limit: 2 }, QueueFull::All { limit: 3 });
        assert!(tenant.to_string().ends_with("raise limits.tenant_queries_waiting"));
        assert!(all.to_string().ends_with("raise limits.queries_waiting"));
        assert_eq!((tenant.kind(), all.kind()), (ErrorKind::Overloaded, ErrorKind::Overloaded));
    }
}
