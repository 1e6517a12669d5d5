//! What every query language here needs around its evaluation. Step 5.
//!
//! Lives here: the right to go on (deadline, cancel flag), the memory a query may take, what it
//! counts about itself, and the tree that explains where its time went.
//! Not here: any language, any storage, what a client is told (protocols).
//! Invariants: a check costs one atomic read between looks at the clock; what was reserved is
//! given back when its holder is dropped.
//!
//! Read first: [`Control`], [`Budget`].

mod budget;
mod control;
mod stats;
mod trace;

pub use budget::{Budget, OverBudget, Reservation};
pub use control::{CancelFlag, Control, Stop};
pub use stats::SampleStats;
pub use trace::{Trace, TraceNode};
