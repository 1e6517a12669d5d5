//! What differs between engines.

use crate::{EngineError, FlushOrigin, Head, HeadSize, MergeOrder, PartOrigin, Tenant};
use model::{Signal, Ulid};
use parts::{Manifest, MergePlan, NewPart};
use std::fmt::Debug;
use std::sync::Arc;

/// The rows of one signal: how they are replayed from the write-ahead log, written into parts, and
/// merged. [`Store`](crate::Store) does everything else that an engine does.
pub trait Kind: Debug + Sized + Send + Sync + 'static {
    const SIGNAL: Signal;

    /// The version of the payloads that this program writes into the write-ahead log.
    const BATCH_SCHEMA: u16;

    /// Which parts may be merged with each other.
    const MERGE_ORDER: MergeOrder;

    /// State that does not change between two cuts, such as the numbers of series.
    type Context: Send + Sync;

    /// The rows of a head.
    type Rows: Default + Send + Sync;

    /// What a tenant keeps beside its heads and parts.
    type State: Send + Sync;

    fn new_state(&self) -> Self::State;

    /// The context of a tenant's next head. `before` is the context of the head that a cut seals,
    /// if there is one. Ingestion waits meanwhile, so it must be quick.
    fn context(&self, state: &Self::State, before: Option<&Self::Context>) -> Self::Context;

    fn is_empty(rows: &Self::Rows) -> bool;

    fn size(head: &Head<Self>) -> HeadSize;

    /// The memory that the tenant's heads take with all that belongs to them; unlike
    /// [`Kind::size`], also what a flush does not free.
    fn memory(tenant: &Tenant<Self>) -> u64 {
        tenant.all_heads().iter().map(|head| Self::size(head).bytes).sum()
    }

    /// Called about once a second with the memory of all tenants.
    fn measured(&self, _bytes: u64) {}

    /// Adds a batch of the write-ahead log to the head. If some of it can't be added, the rest is
    /// added all the same, and an error returned.
    fn replay(
        &self,
        tenant: &Tenant<Self>,
        head: &Head<Self>,
        payload: &[u8],
    ) -> Result<(), EngineError>;

    /// Writes the rows of a frozen head into parts, one for each day.
    fn write(
        &self,
        tenant: &Tenant<Self>,
        head: &Head<Self>,
        origin: &FlushOrigin,
    ) -> Result<Vec<NewPart>, EngineError>;

    /// Merges parts into one, or a few where one can't hold all, without deleted rows; none if no
    /// row is left. The inputs of the
    /// plan are in the order of their age.
    fn merge(
        &self,
        tenant: &Tenant<Self>,
        manifest: &Arc<Manifest>,
        plan: &MergePlan,
        origin: PartOrigin,
    ) -> Result<Vec<NewPart>, InputFailed>;

    /// Checks the tombstone's bytes that the engine wrote: a tenant with an unreadable tombstone is
    /// not opened.
    fn check_tombstone(matcher: &[u8]) -> Result<(), EngineError>;

    /// Called after the parts of this head were published.
    fn flushed(&self, _tenant: &Tenant<Self>, _head: &Head<Self>) {}

    /// Slow, regular work, outside of all locks.
    fn tend(&self, _tenant: &Tenant<Self>) {}

    /// Whether a cut is requested although no rows wait.
    fn wants_cut(_state: &Self::State) -> bool {
        false
    }

    /// Called when the replay has ended.
    fn end_replay(_state: &Self::State) {}

    /// Called when these parts are no longer in the newest manifest, so that caches can drop them.
    fn parts_gone(&self, _parts: &[Ulid]) {}
}

/// An error of a merge, and the input that it came from: a damaged input is quarantined.
#[derive(Debug)]
pub struct InputFailed {
    pub input: Option<Ulid>,
    pub error: EngineError,
}

impl InputFailed {
    /// Marks errors that come from reading this input.
    pub fn of<E: Into<EngineError>>(input: Ulid) -> impl Fn(E) -> Self {
        move |error| Self { input: Some(input), error: error.into() }
    }
}

impl<E: Into<EngineError>> From<E> for InputFailed {
    fn from(error: E) -> Self {
        Self { input: None, error: error.into() }
    }
}
