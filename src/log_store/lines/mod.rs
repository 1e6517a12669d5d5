//! The column of lines of a row group.
//!
//! A line is a template and the texts in its slots. The template is what the program that wrote it
//! printed each time; slots hold what differed. Lines of one template are kept as columns, one for
//! each slot, so that numbers lie beside numbers and ids beside ids, and a search looks only at
//! templates and columns that can hold what is searched for. `docs/adr/0016-lines-as-templates.md` has
//! the figures.
//!
//! Lives here: `split` takes a line apart. `builder` collects and encodes the lines of a row group.
//! `column` is the texts of one slot, `number` those that are numbers. `reader` puts lines together.
//! `search` finds the rows whose lines hold a text, and `text` the texts that a reader's own rules find in
//! lines, both without putting them together where that is possible. `letters` says of whole row groups that
//! they do not hold a word.
//! Invariants: every line comes back byte for byte, whatever it holds.

mod builder;
mod column;
mod directory;
mod filter;
mod grams;
mod letters;
mod number;
mod reader;
mod search;
mod split;
mod text;

pub(crate) use builder::{EncodedLines, LinesBuilder};
pub(crate) use column::NUMBER_PAGES;
pub(crate) use directory::{LinesDirectory, PAGE_KINDS};
#[cfg(test)]
pub(crate) use letters::pieces_of;
pub(crate) use letters::{LetterSet, PIECES};
pub(crate) use reader::{ColumnPages, Lines};
pub(crate) use search::{Needle, search};
pub(crate) use split::{Split, WHOLE};
pub use text::{
    Answer, Found, FoundTexts, InTemplate, LineText, Template, TextCondition, TextNumber,
    TextReader, TextTest, WantedText,
};
pub(crate) use text::{find, find_in, rows_where};
