//! TraceQL: the query language of Tempo, over columns. Step 6.
//!
//! Lives here: lexer, parser, validation, formatter; the reader of incomplete queries (`lenient`), the
//! older parameters of a search as a query (`old_search`).
//! Not here: HTTP, JSON, statuses, storing.
//! Invariants: no text makes it panic, and nesting is bounded before it recurses; every error names what
//! is wrong and where.
//!
//! Read first: [`parse`], [`ast::Query`].

pub mod ast;
mod attribute;
mod check;
mod error;
mod fold;
mod lenient;
mod lex;
mod literal;
mod old_search;
mod parse;
mod print;

pub use attribute::{Attribute, Intrinsic, Scope};
pub use error::ParseError;
pub use lenient::parse_lenient;
pub use literal::{Kind, Literal, Status, Type};
pub use old_search::OldSearch;
pub use parse::{DEPTH_MAX, LENGTH_MAX, parse, parse_attribute};
pub use print::prettify;
