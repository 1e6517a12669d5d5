//! What the query languages share: what surrounds an evaluation, and evaluation on columns. Step 5.
//!
//! Lives here, around an evaluation: the pool of threads that queries run on, deadlines and
//! cancelling, the memory that a query may take, notes for its author, what it counts about itself,
//! and the tree that explains where its time went.
//! Lives here, of the evaluation: numbers as text, positions in a query, the grid of
//! steps, columns with a slot per step, aggregations, binary operators with vector matching; what running
//! a script of test cases finds.
//! Not here: any language's syntax or functions, any storage, what a client is told (protocols).
//! Invariants: a check costs one atomic read between looks at the clock; what was reserved is
//! given back when its holder is dropped; nothing is called through a pointer for each sample.
//!
//! Read first: [`Pool`], [`Control`], [`Grid`], [`StepColumn`], [`aggregate::Fold`], [`Binary`].

pub mod aggregate;
mod binary;
mod bitmap;
mod budget;
mod column;
mod control;
mod error;
mod grid;
mod groups;
mod holding;
pub mod mapping;
mod notes;
mod number;
mod operators;
mod parallel;
mod pool;
mod position;
mod queue;
mod regexes;
mod script;
mod series;
mod stats;
mod trace;

pub use binary::{Binary, on_numbers};
pub use bitmap::Bitmap;
pub use budget::{Budget, OverBudget, Reservation};
pub use column::{Slot, StepColumn};
pub use control::{CancelFlag, Control, Stop};
pub use error::QueryError;
pub use grid::{Grid, STEPS_MAX};
pub use groups::LabelGroups;
pub use holding::{HeldMemory, Holding, HoldingLimits, Portions, Weight};
pub use notes::{Annotations, Combining, Extent, Note, NoteSink, Notes, Omitted, OperatorNote};
pub use number::{format_fixed_go, format_label_number, format_number, parse_number};
pub use operators::{AggregateOp, BinaryOp, Cardinality, Grouping, VectorMatching};
pub use parallel::in_parts;
pub use pool::{Pool, PoolLoad, PoolSettings, Turn};
pub use position::{LineColumn, Position};
pub use queue::QueueFull;
pub use regexes::{RegexBudget, TooManyRegexes};
pub use script::{ScriptBlock, ScriptError, ScriptReport, script_blocks};
pub use series::{DUPLICATES, Series, has_duplicates, merged};
pub use stats::SampleStats;
pub use trace::{Trace, TraceNode};
