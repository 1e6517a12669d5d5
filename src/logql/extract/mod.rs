//! What stages take out of a line: fields by name, addresses, texts between texts.
//!
//! Pure functions of one line. Each stage is compiled once and is used by many threads; what it writes
//! into are the caller's [`Buffers`], so that a line costs no memory of its own. Fields go to the
//! caller's [`Fields`], in the order of the line: which of two of one name counts, and how a name is
//! changed that the line has already, is up to the caller.
//!
//! Lives here: `json`, `logfmt`, `regexp`, `pattern`, `unpack`, `decolorize`, `ip`; `names`: keys as
//! names of labels. Not here: labels and errors of a line; quantities, which are read by
//! `template::units`.
//! Invariants: any bytes give fields or an error, in time that grows with the line and not with its
//! nesting; values are text (what is no text becomes spaces, as Prometheus accepts no U+FFFD).

mod buffers;
pub mod decolorize;
mod error;
pub mod ip;
pub mod json;
pub mod logfmt;
pub mod names;
pub mod pattern;
pub mod regexp;
pub mod unpack;

#[cfg(test)]
mod tests;

pub use buffers::Buffers;
pub(crate) use buffers::is_text;
pub use error::{ExtractError, JsonMistake, LogfmtMistake};

use std::ops::ControlFlow;

/// Where extracted fields go.
pub trait Fields {
    /// Whether this field matters. Values of others are not even decoded.
    fn wants(&self, name: &str) -> bool {
        let _ = name;
        true
    }

    /// Whether any field matters whose name begins so. The prefix ends with `_`.
    fn wants_below(&self, prefix: &str) -> bool {
        let _ = prefix;
        true
    }

    /// Takes a field. After a break nothing else of the line is read, and nothing is said about what is
    /// wrong with it.
    fn field(&mut self, name: &str, value: &str) -> ControlFlow<()>;

    /// An expression found nothing. The label is empty then, unless the line has one of its name.
    fn absent(&mut self, name: &str) {
        let _ = name;
    }
}
