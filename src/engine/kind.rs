//! What differs from engine to engine.

use crate::{EngineError, FlushOrigin, Head, HeadSize, MergeOrder, PartOrigin, Tenant};
use model::{Signal, Ulid};
use parts::{Manifest, MergePlan, NewPart};
use std::fmt::Debug;
use std::sync::Arc;

/// The rows of one signal: how they come back from the write-ahead log, go into parts, and are
/// merged. Everything else that an engine does is [`Store`](crate::Store)'s.
pub trait Kind: Debug + Sized + Send + Sync + 'static {
    const SIGNAL: Signal;

    /// The version of the payloads that this program writes into the write-ahead log.
    const BATCH_SCHEMA: u16;

    /// Which parts may be merged with each other.
    const MERGE_ORDER: MergeOrder;

    /// What stays the same from one cut to the next, such as the numbers that series have.
    type Context: Send + Sync;

    /// The rows of a head.
    type Rows: Default + Send + Sync;

    /// What a tenant keeps beside its heads and parts.
    type State: Send + Sync;

    fn new_state(&self) -> Self::State;

    /// The context of a tenant's next head; `before` is that of the head that a cut seals, if there
    /// is one. Ingestion waits: it must be quick.
    fn context(&self, state: &Self::State, before: Option<&Self::Context>) -> Self::Context;

    fn is_empty(rows: &Self::Rows) -> bool;

    fn size(head: &Head<Self>) -> HeadSize;

    /// Puts a batch of the write-ahead log into the head. What can't be put there makes an error,
    /// and the rest of the batch is put there all the same.
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

    /// Merges parts into one, without the rows that deletes concern; `None` where nothing is left.
    /// The inputs of the plan stand in the order of their age.
    fn merge(
        &self,
        tenant: &Tenant<Self>,
        manifest: &Arc<Manifest>,
        plan: &MergePlan,
        origin: PartOrigin,
    ) -> Result<Option<NewPart>, InputFailed>;

    /// Checks what a tombstone says in the engine's own bytes: a tenant with one that can't be read
    /// is not opened.
    fn check_tombstone(matcher: &[u8]) -> Result<(), EngineError>;

    /// The head was written into parts that are published.
    fn flushed(&self, _tenant: &Tenant<Self>, _head: &Head<Self>) {}

    /// Slow work that is done now and then, outside of all locks.
    fn tend(&self, _tenant: &Tenant<Self>) {}

    /// Whether a cut is wanted although no rows wait.
    fn wants_cut(_state: &Self::State) -> bool {
        false
    }

    /// Nobody replays any more.
    fn end_replay(_state: &Self::State) {}

    /// These parts are gone from the newest manifest: caches may forget them.
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
