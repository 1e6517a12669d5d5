//! PromQL: the query language of Prometheus, complete, over columns. Step 6.
//!
//! Lives here: lexer, parser, formatter, planner, engine, functions; the test language of
//! Prometheus (`script`) with an in-memory store for it; how the metric store is read (`store`), and the
//! series that spans give (`spans`).
//! Not here: HTTP, JSON, statuses, storing. The engine sees stores through [`Storage`].
//! Invariants: no text and no data makes it panic; every error and annotation names its place in
//! the query; instant and range queries take one path.
//!
//! Read first: [`parse`], [`Storage`], [`Engine::run`].

mod annotations;
pub mod ast;
pub mod engine;
mod error;
mod function;
pub mod functions;
mod lex;
mod options;
mod parse;
mod pretty;
mod print;
pub mod script;
mod selector;
pub mod spans;
pub mod storage;
mod store;
pub mod tree;
pub mod types;
mod value;

pub use annotations::Note;
pub use engine::{
    Engine, QueryResult, QueryTimes, QueryValue, Request, SampleOf, SampledSeries, VectorSample,
};
pub use error::{ParseError, QueryError};
pub use options::{EngineOptions, ParseOptions};
pub use parse::{DEPTH_MAX, LENGTH_MAX, parse, parse_metric, parse_selector, parse_within};
pub use pretty::prettify;
pub use spans::{SpanSelection, SpanSeries, TenantSeries};
pub use storage::{SelectHints, Selection, Storage, StorageError};
pub use store::TenantMetrics;
