//! The functions of `line_format` and `label_format`.
//!
//! Those with small first letters are those of the sprig library, which take the text last, so that it
//! can come out of a pipeline; those with capitals are old names for functions of Go's strings package,
//! which take it first.
//!
//! Lives here: [`Entry`], the data of one line. `strings`, `old_strings`, `dates`, `math`, `units`,
//! `encoding`, `regexes`, `json`: the functions by family. `decimal`: the arithmetic of `addf` and its
//! like.

mod dates;
mod decimal;
mod encoding;
mod entry;
mod json;
mod math;
mod old_strings;
pub(crate) mod regexes;
pub(crate) mod strings;
mod units;

pub use entry::{Entry, Labels};

use crate::registry::Registry;

/// All that a template of LogQL may call.
pub fn functions() -> Registry {
    Registry::new()
        .with(&entry::FUNCTIONS)
        .with(&strings::FUNCTIONS)
        .with(&old_strings::FUNCTIONS)
        .with(&dates::FUNCTIONS)
        .with(&math::FUNCTIONS)
        .with(&units::FUNCTIONS)
        .with(&encoding::FUNCTIONS)
        .with(&regexes::FUNCTIONS)
        .with(&json::FUNCTIONS)
}
