//! TraceQL: the query language of Tempo, over columns. Step 6.
//!
//! Lives here: lexer, parser, validation, formatter; the reader of incomplete queries (`lenient`), the
//! older parameters of a search as a query (`old_search`); searches, metrics and tags over the columns of
//! the store (`engine`); the language of cases (`script`), which runs on real stores on a simulated disk.
//! Not here: HTTP, JSON, statuses, storing.
//! Invariants: no text makes it panic, and nesting is bounded before it recurses; every error names what
//! is wrong and where; nothing is allocated for a span that is only counted.
//!
//! Read first: [`parse`], [`ast::Query`], [`Engine`].

pub mod ast;
mod attribute;
mod check;
mod engine;
mod error;
mod fold;
mod lenient;
mod lex;
mod literal;
mod old_search;
mod options;
mod parse;
mod print;
pub mod script;
mod value;

pub use attribute::{Attribute, Intrinsic, Scope};
pub use engine::{
    Answer, CallFilter, Calls, CallsFound, Engine, EntryBox, EntryFilter, EntryFound, EntryList,
    EntryOrder, Exemplar, GRID_ROWS, Grid, GridCell, MetricTimes, Metrics, Operation, Request,
    SearchLimits, Series, ServiceSpans, SetFound, SpanFound, Statistics, TagNames, TagScope,
    TagValues, TraceFound,
};
pub use error::{ParseError, QueryError};
pub use lenient::parse_lenient;
pub use literal::{Kind, Literal, Status, Type};
pub use old_search::{OldSearch, attribute_like};
pub use options::{EngineOptions, Limits};
pub use parse::{DEPTH_MAX, LENGTH_MAX, parse, parse_attribute};
pub use print::prettify;
pub use value::FieldValue;
