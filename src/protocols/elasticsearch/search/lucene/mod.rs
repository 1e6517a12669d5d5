//! The query language of `query_string`, `simple_query_string` and the parameter `q`: Lucene's.
//!
//! Lives here: `lex` (tokens with positions), `parse` (clauses and what they must), `simple` (the
//! language that knows no errors).
//! Not here: what a condition on a field means (`leaf`).
//! Invariants: any text is a tree or an error that says where; parentheses nest to a bounded depth.

mod lex;
mod parse;
mod simple;
#[cfg(test)]
mod tests;

pub(super) use parse::{Options, parse};
pub(super) use simple::parse as parse_simple;
