//! Rule files by their patterns.

use crate::definition::Group;
use crate::language::Languages;
use crate::read::{FileError, read_groups};
use model::Labels;
use platform::{Disk, RealDisk};
use std::fmt;
use std::path::Path;

/// The largest rule file.
const FILE_MAX: u64 = 16 << 20;

/// Rule files of one configuration, and what it says to their groups: the section `[rules]`, or
/// `rule_files` and `global` of a Prometheus configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleFiles {
    /// Paths whose last part may have `*`, `?` and `[…]`.
    pub globs: Vec<String>,
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
        let (globs, external_labels) = (Vec::new(), Labels::empty());
        Self { globs, interval_ms: 60_000, query_offset_ms: 0, external_labels }
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
    let whole = |message: String| vec![FileError { line: 0, column: 0, message }];
    let bytes = read_bytes(path).map_err(whole)?;
    let text = String::from_utf8(bytes).map_err(|_| whole("the file is not UTF-8".to_owned()))?;
    read_groups(&text, languages)
}

fn read_bytes(path: &str) -> Result<Vec<u8>, String> {
    let (folder, name) = split(path);
    let disk = open(folder)?.ok_or_else(|| format!("there is no folder {folder}"))?;
    disk.read_all(name, FILE_MAX).map_err(|error| format!("the file can't be read: {error}"))
}

/// Folder and last part of a path.
fn split(path: &str) -> (&str, &str) {
    match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((folder, name)) => (folder, name),
        None => (".", path),
    }
}

/// A folder for reading; `None` where there is none.
fn open(folder: &str) -> Result<Option<RealDisk>, String> {
    if !Path::new(folder).is_dir() {
        return Ok(None);
    }
    let failed = |error| format!("the folder {folder} can't be read: {error}");
    RealDisk::open(folder).map(Some).map_err(failed)
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// The paths of the files that a pattern names. A path without a pattern must be there.
fn matching(glob: &str) -> Result<Vec<String>, String> {
    let (folder, name) = split(glob);
    if is_pattern(folder) {
        return Err(format!(
            "{glob}: only the last part of a path may be a pattern: name the folders one by one"
        ));
    }
    if !is_pattern(name) {
        return Ok(vec![glob.to_owned()]);
    }
    let Some(disk) = open(folder)? else { return Ok(Vec::new()) };
    let entries = disk.list("").map_err(|error| format!("{folder} can't be listed: {error}"))?;
    let prefix = glob.strip_suffix(name).unwrap_or_default();
    let found = entries.iter().filter(|entry| !entry.is_dir && fits(name, &entry.name));
    Ok(found.map(|entry| format!("{prefix}{}", entry.name)).collect())
}

/// Whether a name fits a pattern: `*` stands for any text, `?` for a character, `[a-c]` for one of them.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // Where to go on when what follows the last `*` does not fit.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let next = match pattern.get(at) {
            None if seen == name.len() => return true,
            None => None,
            Some('*') => {
                retry = Some((at + 1, seen));
                Some((at + 1, seen))
            }
            Some(_) => name.get(seen).and_then(|c| {
                let length = one_fits(&pattern[at..], *c)?;
                Some((at + length, seen + 1))
            }),
        };
        match (next, retry) {
            (Some(next), _) => (at, seen) = next,
            (None, Some((behind, from))) if from < name.len() => {
                retry = Some((behind, from + 1));
                (at, seen) = (behind, from + 1);
            }
            (None, _) => return false,
        }
    }
}

/// How much of a pattern one character takes, if it fits.
fn one_fits(pattern: &[char], c: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => {
            let end = pattern.iter().position(|c| *c == ']').filter(|end| *end > 1)?;
            let (negated, set) = match &pattern[1..end] {
                ['^' | '!', set @ ..] => (true, set),
                set => (false, set),
            };
            (in_set(set, c) != negated).then_some(end + 1)
        }
        '\\' => (pattern.get(1) == Some(&c)).then_some(2),
        other => (*other == c).then_some(1),
    }
}

fn in_set(set: &[char], c: char) -> bool {
    match set {
        [from, '-', to, rest @ ..] => (*from..=*to).contains(&c) || in_set(rest, c),
        [one, rest @ ..] => *one == c || in_set(rest, c),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_names() {
        for (pattern, name, expected) in [
            ("*.yml", "a.yml", true),
            ("*.yml", ".yml", true),
            ("*.yml", "a.yaml", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("*a*a", "aaba", true),
            ("?.yml", "é.yml", true),
            ("?.yml", ".yml", false),
            ("[a-c]1", "b1", true),
            ("[^a-c]1", "b1", false),
            ("[a", "a", false),
            ("\\*", "*", true),
            ("", "", true),
            ("*", "", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
