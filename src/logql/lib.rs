//! LogQL: the query language of Loki, over columns. Step 6.
//!
//! Lives here: lexer, parser, formatter; what queries ask of a store ([`Storage`]).
//! Not here: HTTP, JSON, statuses, storing; templates, which are a crate of their own.
//! Invariants: no text and no line makes it panic; every error names what is wrong.
//!
//! Read first: [`parse`], [`ast`], [`storage`].

pub mod ast;
mod error;
mod lex;
mod parse;
mod pretty;
mod print;
pub mod storage;

pub use error::{ParseError, QueryError};
pub use parse::{DEPTH_MAX, LENGTH_MAX, parse, parse_log, parse_matchers, parse_within};
pub use pretty::prettify;
pub use storage::{
    Condition, Direction, FieldColumn, FieldNeeds, Needs, Piece, Rows, Scratch, Select, Selection,
    Storage, StorageError, Texts,
};
