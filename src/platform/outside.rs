//! Files of the operator, outside of the data folder: configurations, rules, certificates, secrets.
//! They are only read.

use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// A pattern finds no more files than this.
const FOUND_MAX: usize = 100_000;

/// A whole file of at most `bytes_max` bytes.
#[expect(clippy::disallowed_methods, reason = "the file is the operator's, not the data folder's")]
pub fn read_outside(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max {
        let message = format!("the file is larger than {bytes_max} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// The same as a text.
pub fn read_outside_text(path: &Path, bytes_max: usize) -> io::Result<String> {
    String::from_utf8(read_outside(path, bytes_max)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the file is not UTF-8"))
}

/// The files that a pattern names, sorted. `*`, `?` and `[a-z]` stand for parts of one component of
/// the path, as in Go's `filepath.Glob`; a folder that can't be read has no files.
pub fn glob_outside(pattern: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    for component in Path::new(pattern).components() {
        let Component::Normal(part) = component else {
            found.iter_mut().for_each(|path| path.push(component));
            continue;
        };
        let part = part.to_str().ok_or(io::ErrorKind::InvalidInput)?;
        if part.contains(['*', '?', '[', '\\']) {
            check_pattern(part)?;
            found = found.iter().flat_map(|folder| matching(folder, part)).collect();
        } else {
            found.iter_mut().for_each(|path| path.push(part));
        }
        if found.len() > FOUND_MAX {
            let message = format!("`{pattern}` names more than {FOUND_MAX} files");
            return Err(io::Error::other(message));
        }
    }
    found.retain(|path| path.exists());
    found.sort();
    Ok(found)
}

/// The entries of a folder whose names match.
#[expect(
    clippy::disallowed_methods,
    reason = "the folder is the operator's, not the data folder's"
)]
fn matching(folder: &Path, part: &str) -> Vec<PathBuf> {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = std::fs::read_dir(here) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| matches_name(part, name)).map(|name| folder.join(name)).collect()
}

fn check_pattern(part: &str) -> io::Result<()> {
    let mut rest = part;
    while let Some(c) = rest.chars().next() {
        rest = match c {
            '[' => set(rest).map(|(_, after)| after),
            '\\' => rest.get(1..).and_then(|after| after.get(after.chars().next()?.len_utf8()..)),
            c => rest.get(c.len_utf8()..),
        }
        .ok_or_else(|| {
            let message = format!("`{part}` is not a pattern of file names: close its brackets");
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })?;
    }
    Ok(())
}

/// Whether a name matches a pattern. Stars are tried from the shortest on, going back to the last one
/// only, so the work is at most the product of the lengths.
fn matches_name(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern, name);
    let mut star: Option<(&str, &str)> = None;
    loop {
        if let Some(after) = pattern.strip_prefix('*') {
            star = Some((after, name));
            pattern = after;
        } else if let (Some(after), Some(c)) = (one(pattern, name), name.chars().next()) {
            pattern = after;
            name = &name[c.len_utf8()..];
        } else if pattern.is_empty() && name.is_empty() {
            return true;
        } else if let Some((after, from)) = star {
            let Some(c) = from.chars().next() else { return false };
            let from = &from[c.len_utf8()..];
            (pattern, name, star) = (after, from, Some((after, from)));
        } else {
            return false;
        }
    }
}

/// What follows in the pattern if its first element matches the name's first character.
fn one<'a>(pattern: &'a str, name: &str) -> Option<&'a str> {
    let c = name.chars().next()?;
    let first = pattern.chars().next()?;
    match first {
        '?' => Some(&pattern[1..]),
        '[' => {
            let (set, after) = set(pattern)?;
            set.contains(c).then_some(after)
        }
        '\\' => pattern[1..].strip_prefix(c),
        first => (first == c).then(|| &pattern[first.len_utf8()..]),
    }
}

/// `[a-z]` or `[^a-z]`.
struct CharacterSet<'a> {
    is_negated: bool,
    body: &'a str,
}

/// The set at the start of a pattern, and what follows it.
fn set(pattern: &str) -> Option<(CharacterSet<'_>, &str)> {
    let inner = pattern.strip_prefix('[')?;
    let is_negated = inner.starts_with('^');
    let inner = inner.strip_prefix('^').unwrap_or(inner);
    let (body, after) = inner.split_once(']').filter(|(body, _)| !body.is_empty())?;
    Some((CharacterSet { is_negated, body }, after))
}

impl CharacterSet<'_> {
    fn contains(&self, c: char) -> bool {
        let mut characters = self.body.chars().peekable();
        let mut is_in = false;
        while let Some(low) = characters.next() {
            let mut ahead = characters.clone();
            let high = match (ahead.next(), ahead.next()) {
                (Some('-'), Some(high)) => {
                    characters = ahead;
                    high
                }
                _ => low,
            };
            is_in |= (low..=high).contains(&c);
        }
        is_in != self.is_negated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_go() {
        let cases = [
            ("*.yml", "a.yml", true),
            ("*.yml", "a.yaml", false),
            ("*", "", true),
            ("a*b*c", "axxbyybzc", true),
            ("a*b*c", "axxbyybz", false),
            ("?", "가", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("\\*x", "*x", true),
            ("\\*x", "ax", false),
            ("*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(matches_name(pattern, name), expected, "{pattern} {name}");
        }
        assert!(check_pattern("[a").is_err() && check_pattern("a\\").is_err());
        assert!(check_pattern("[a]*?\\*").is_ok());
    }

    #[test]
    fn files_are_found_and_read() {
        let found = glob_outside(concat!(env!("CARGO_MANIFEST_DIR"), "/[o]uts*.rs")).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(read_outside_text(&found[0], 1 << 20).unwrap().contains("files_are_found"));
        assert_eq!(read_outside(&found[0], 10).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert!(glob_outside("/nowhere/*.yml").unwrap().is_empty());
    }
}
