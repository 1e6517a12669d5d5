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

/// A command of a script, and the lines that are indented below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptBlock<'a> {
    /// The number of its first line, from 1 on.
    pub line: usize,
    pub head: &'a str,
    /// With their indentation, and the numbers of the lines.
    pub body: Vec<(usize, &'a str)>,
}

/// The commands of a script. Blank lines and those that begin with `#` are left out.
pub fn script_blocks(text: &str) -> Vec<ScriptBlock<'_>> {
    let is_blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !is_blank(line));
    let mut blocks: Vec<ScriptBlock<'_>> = Vec::new();
    for (number, line) in lines {
        match blocks.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => {
                last.body.push((number, line.trim_end()))
            }
            _ => blocks.push(ScriptBlock { line: number, head: line.trim(), body: Vec::new() }),
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indented_lines_belong_to_the_command_above() {
        let blocks = script_blocks("# a\nload x \n  one\n\n  # b\n    two\nclear\n");
        let shown: Vec<_> = blocks.iter().map(|block| (block.line, block.head)).collect();
        assert_eq!(shown, [(2, "load x"), (7, "clear")]);
        assert_eq!(blocks[0].body, [(3, "  one"), (6, "    two")]);
    }
}
