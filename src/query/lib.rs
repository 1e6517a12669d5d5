//! What every query language here needs around its evaluation. Step 5.
//!
//! Lives here: the pool of threads that queries run on, deadlines and cancelling, the memory that a
//! query may take, what it counts about itself, and the tree that explains where its time went.
//! Not here: any language, any storage, what a client is told (protocols).
//! Invariants: a check costs one atomic read between looks at the clock; what was reserved is
//! given back when its holder is dropped.
//!
//! Read first: [`Pool`], [`Control`], [`Budget`].

mod budget;
mod control;
mod pool;
mod queue;
mod stats;
mod trace;

pub use budget::{Budget, OverBudget, Reservation};
pub use control::{CancelFlag, Control, Stop};
pub use pool::{Pool, PoolLoad, PoolSettings};
pub use queue::QueueFull;
pub use stats::SampleStats;
pub use trace::{Trace, TraceNode};
