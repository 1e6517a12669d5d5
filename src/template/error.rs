//! What is wrong with a template, and why one could not be executed.

use crate::bounds::Bound;
use model::ErrorKind;

/// What is wrong with a template, and where. Prints as Go does: `template: line:1: unclosed action`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("template: {name}:{line}: {message}")]
pub struct ParseError {
    /// The name of the template.
    pub name: String,
    /// From 1.
    pub line: usize,
    /// Bytes from the beginning of the line, from 1.
    pub column: usize,
    pub message: String,
}

impl ParseError {
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// Why a template could not be executed. Prints as Go does: `template: line:1:3: executing "line" at
/// <div 1 0>: error calling div: runtime error: integer divide by zero`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "template: {name}:{line}:{column}: executing {} at <{context}>: {message}",
    model::quote_go(executed.as_bytes())
)]
pub struct ExecuteError {
    /// The name of the template whose text it is.
    pub name: Box<str>,
    /// The name of the template that was executed: another one in `{{define}}`.
    pub executed: Box<str>,
    /// From 1.
    pub line: usize,
    /// Bytes from the beginning of the line, from 0 as Go counts.
    pub column: usize,
    /// The part that failed, as the template writes it.
    pub context: Box<str>,
    pub message: Box<str>,
    /// The bound that was reached, where that is the reason.
    pub bound: Option<Bound>,
}

impl ExecuteError {
    pub fn kind(&self) -> ErrorKind {
        if self.bound.is_some() { ErrorKind::Limit } else { ErrorKind::Invalid }
    }
}

/// Line, from 1, and bytes from its beginning, from 0.
pub(crate) fn line_and_column(text: &str, position: usize) -> (usize, usize) {
    let before = text.as_bytes().get(..position).unwrap_or(text.as_bytes());
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    (line, before.len() - start)
}
