//! LogQL: the query language of Loki, over columns. Step 6.
//!
//! Lives here: lexer, parser, formatter; pipelines compiled to conditions on columns and to stages for
//! single lines (`pipeline`), what stages take out of a line (`extract`); queries of lines, windows,
//! operators (`engine`); the language of cases (`script`) with an in-memory store for it; how the log
//! store is read (`store`). What queries ask of a store is [`Storage`].
//! Not here: HTTP, JSON, statuses, storing; templates, which are a crate of their own.
//! Invariants: no text and no line makes it panic; every error names what is wrong; labels of a line
//! are put together only where somebody asks for them.
//!
//! Read first: [`parse`], [`Storage`], [`Engine::run`].

pub mod ast;
pub mod engine;
mod error;
pub mod extract;
mod labels;
mod lex;
mod memory;
mod options;
mod parse;
mod pipeline;
mod pretty;
mod print;
pub mod script;
pub mod storage;
mod store;
#[cfg(test)]
mod store_tests;
mod value;

pub use engine::{Engine, Follow, QueryTimes, Request};
pub use error::{ParseError, QueryError};
pub use labels::LabelPairs;
pub use memory::{LoadedLine, MemoryLogs};
pub use options::{EngineOptions, Limits};
pub use parse::{DEPTH_MAX, LENGTH_MAX, parse, parse_log, parse_matchers, parse_within};
pub use pretty::prettify;
pub use storage::{
    Condition, Direction, FieldColumn, FieldNeeds, Needs, Piece, Rows, Scratch, Select, Selection,
    Storage, StorageError, StreamLines, Texts, ValueLines,
};
pub use store::{FreshLogs, TenantLogs, delete_of};
pub use value::{
    EntryLabels, LogEntry, LogLines, LogStream, QueryResult, Statistics, Value, VectorSample,
};
