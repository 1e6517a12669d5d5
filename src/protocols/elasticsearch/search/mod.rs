//! Searching lines as Elasticsearch searches documents.
//!
//! Lives here: what a request asks for (`request`, `dsl`, `lucene`, with `leaf`, `date`, `zone`, `words`,
//! `field` under them), the tree that it becomes (`expr`), what of it the store can decide (`plan`), rows
//! (`row`, `eval`), reading (`run`), and what comes of it (`hits`, `source`, `aggs`, `answer`).
//! Not here: HTTP, paths and the names of indices, which are `elasticsearch`'s.
//! Invariants: any request is an answer or an error that names what is wrong; a plan may read too much but
//! never leaves out a line for which the query holds; trees, lists and buckets are bounded, and memory is
//! asked for before it is taken.

mod aggs;
mod answer;
mod date;
mod dsl;
mod error;
mod eval;
mod expr;
mod field;
mod hits;
mod json;
mod leaf;
mod lucene;
mod plan;
mod request;
mod row;
mod run;
mod source;
mod words;
mod zone;

pub(super) use answer::{Limits, count, search};
pub(super) use error::SearchError;
pub(super) use field::{INDEX_LABEL, MESSAGE, OTHER_INDEX, TIME};
pub(super) use request::{Parameter, SearchRequest};
pub(super) use run::Searcher;
pub(super) use source::is_like;
