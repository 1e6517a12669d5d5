//! Rule files by their patterns.

use crate::definition::Group;
use crate::language::Languages;
use crate::read::{FileError, read_groups};
use model::Labels;
use platform::{glob_outside, read_outside_text};
use std::fmt;
use std::path::Path;

/// The largest rule file.
const FILE_MAX: usize = 16 << 20;

/// Rule files of one configuration, and what it says to their groups: the section `[rules]`, or
/// `rule_files` and `global` of a Prometheus configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleFiles {
    /// Paths that may have `*`, `?` and `[…]`.
    pub globs: Vec<String>,
    /// Groups that have been read already, by what they came from.
    pub given: Vec<(String, Vec<Group>)>,
    /// Of groups that name none.
    pub interval_ms: i64,
    /// Of groups that name none.
    pub query_offset_ms: i64,
    /// Added to alerts that are sent, and seen by templates.
    pub external_labels: Labels,
}

/// No files, and Prometheus' default interval.
impl Default for RuleFiles {
    fn default() -> Self {
        let (globs, given, external_labels) = (Vec::new(), Vec::new(), Labels::empty());
        Self { globs, given, interval_ms: 60_000, query_offset_ms: 0, external_labels }
    }
}

/// What is wrong with rule files, all of it: one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesError(pub Vec<String>);

impl fmt::Display for FilesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for FilesError {}

/// The groups of all files that the patterns name, with the paths of the files; sorted by path.
pub fn load_files(
    globs: &[String],
    languages: &Languages,
) -> Result<Vec<(String, Vec<Group>)>, FilesError> {
    let (mut paths, mut errors) = (Vec::new(), Vec::new());
    for glob in globs {
        match matching(glob) {
            Ok(found) => paths.extend(found),
            Err(error) => errors.push(error),
        }
    }
    paths.sort();
    paths.dedup();
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        match read_file(&path, languages) {
            Ok(groups) => files.push((path, groups)),
            Err(found) => errors.extend(found.into_iter().map(|error| format!("{path}: {error}"))),
        }
    }
    if errors.is_empty() { Ok(files) } else { Err(FilesError(errors)) }
}

fn read_file(path: &str, languages: &Languages) -> Result<Vec<Group>, Vec<FileError>> {
    let whole = |error: std::io::Error| {
        let message = format!("the file can't be read: {error}");
        vec![FileError { line: 0, column: 0, message }]
    };
    let text = read_outside_text(Path::new(path), FILE_MAX).map_err(whole)?;
    read_groups(&text, languages)
}

/// The paths of the files that a pattern names. A path without a pattern must be there.
fn matching(glob: &str) -> Result<Vec<String>, String> {
    if !glob.contains(['*', '?', '[', '\\']) {
        return Ok(vec![glob.to_owned()]);
    }
    let found = glob_outside(glob).map_err(|error| format!("{glob}: {error}"))?;
    Ok(found.iter().map(|path| path.display().to_string()).collect())
}
