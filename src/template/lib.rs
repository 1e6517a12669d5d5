//! Go's text/template: what `line_format` and `label_format` of LogQL, alert rules and Alertmanager
//! write their texts with.
//!
//! ```text
//! let template = Template::parse("line", "{{ .level | upper }}", logql::functions())?;
//! template.execute(&entry, &Bounds::default(), &mut out)?;
//! ```
//!
//! A template is parsed once, into a tree whose nodes know their positions, and executed many times
//! into a buffer of the caller. Strings are bytes, as in Go: functions may cut them anywhere.
//!
//! Lives here: the language (`lex`, `parse`, `tree`, `execute`), its values, its own functions
//! (`builtins`) and verbs (`format`); Go's layouts of times (`time`) and its ways to read durations,
//! sizes and floats (`units`); what functions a template may call (`registry`), those of LogQL
//! (`logql`), of Prometheus' alert rules (`alerts`) and of Alertmanager (`alertmanager`); templates that
//! others may call ([`Library`]).
//! Not here: where values come from ([`Data`] and [`Object`], which the caller brings), reading files.
//! Invariants: parsing and executing never panic; an execution is bounded in steps, depth, bytes
//! written and bytes made on the way ([`Bounds`]), and what it has written before it fails is taken
//! back. A text or a label that is only shown is copied once, into the buffer.

pub mod alertmanager;
pub mod alerts;
mod bounds;
mod builtins;
mod data;
mod error;
mod execute;
mod format;
mod keys;
mod lex;
mod library;
pub mod logql;
mod object;
mod parse;
mod registry;
pub mod time;
mod tree;
pub mod units;
mod value;

#[cfg(test)]
mod tests;

pub use bounds::{Bound, Bounds};
pub use data::Data;
pub use error::{ExecuteError, ParseError};
pub use execute::{Escape, Template};
pub use library::Library;
pub use object::{Object, Safe};
pub use registry::{Arguments, Call, Failure, Function, Kind, Pure, Registry, Run};
pub use value::{Map, Missing, Value};
