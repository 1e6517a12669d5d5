//! What running a script of test cases finds, in any language.

use model::ErrorKind;
use std::fmt;

/// Something is wrong with a script, or a script has found something wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError {
    pub file: String,
    pub line: usize,
    pub message: String,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

impl std::error::Error for ScriptError {}

impl ScriptError {
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// How many evaluations went as expected, and what was wrong with the others.
#[derive(Clone, Debug, Default)]
pub struct ScriptReport {
    pub passed: usize,
    pub failures: Vec<ScriptError>,
}

/// A script that could not be read is one failure.
impl From<ScriptError> for ScriptReport {
    fn from(error: ScriptError) -> Self {
        Self { passed: 0, failures: vec![error] }
    }
}
