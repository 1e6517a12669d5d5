//! A line as a document: its id, `_source`, `fields`, `highlight`.
//!
//! `_source` is flat, names joined with dots: labels, then the line's fields, then the values of a line of
//! JSON under names that are still free; `message` is always the line as it was stored. Labels and fields
//! are texts; values of JSON keep their type.

use super::date;
use super::expr::{Expr, LineTest};
use super::field::{DETECTED_LEVEL, ID, INDEX_LABEL, MESSAGE, TIME};
use super::row::{Row, index_of};
use super::words::fold_with_places;
use super::zone::Zone;
use model::Labels;
use serde_json::{Map, Value};
use wire::json::{JsonError, JsonKind, JsonReader};

/// A line that may be in the answer.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) time: i64,
    labels: Labels,
    fields: Vec<(String, String)>,
    line: Vec<u8>,
}

impl Document {
    pub(super) fn of(row: &Row<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            time: row.time(),
            labels: row.labels().clone(),
            fields: row.fields().map(|(name, value)| (name.to_owned(), text(value))).collect(),
            line: row.line().to_vec(),
        }
    }

    /// What it takes of memory, and what its JSON will.
    pub(super) fn bytes(&self) -> usize {
        let fields = self.fields.iter().map(|(name, value)| name.len() + value.len() + 96);
        size_of::<Self>()
            + self.labels.as_bytes().len()
            + 3 * self.line.len()
            + 3 * fields.sum::<usize>()
    }

    pub(super) fn index(&self) -> &str {
        index_of(&self.labels)
    }

    pub(super) fn id(&self) -> String {
        let sent = self.fields.iter().find(|(name, _)| name == ID);
        sent.map_or_else(|| made_id(self.time, &self.labels, &self.line), |(_, id)| id.clone())
    }

    pub(super) fn source(&self) -> Map<String, Value> {
        let mut source = Map::new();
        source.insert(TIME.to_owned(), date::write_exactly(self.time).into());
        for (name, value) in self.labels.iter().filter(|(name, _)| *name != INDEX_LABEL) {
            source.insert(name.to_owned(), value.into());
        }
        source.insert(MESSAGE.to_owned(), String::from_utf8_lossy(&self.line).into());
        for (name, value) in self.fields.iter().filter(|(name, _)| name != ID) {
            source.entry(name.as_str()).or_insert_with(|| value.as_str().into());
        }
        if self.line.trim_ascii_start().first() == Some(&b'{') {
            let mut path = String::new();
            let _ = flatten(&mut JsonReader::new(&self.line), &mut path, &mut source);
        }
        if let Some(level) = source.get(DETECTED_LEVEL).cloned().filter(|level| level != "unknown")
        {
            source.entry("level").or_insert(level);
        }
        source
    }

    /// The line with what was searched for between tags; `None` where nothing of it is in the line.
    pub(super) fn highlight(&self, query: &Expr, (before, behind): (&str, &str)) -> Option<String> {
        let line = String::from_utf8_lossy(&self.line);
        let (mut folded, mut places) = (String::new(), Vec::new());
        fold_with_places(&line, &mut folded, &mut places);
        let mut found = Vec::new();
        query.each_line_test(&mut |test| finds(test, (&line, &folded), &places, &mut found));
        found.sort_unstable();
        let (mut text, mut at) = (String::new(), 0);
        for (start, end) in found.iter().copied() {
            // Finds that overlap an earlier one are part of it.
            if start < at || end <= start {
                continue;
            }
            text.push_str(&line[at..start]);
            text.extend([before, &line[start..end], behind]);
            at = end;
        }
        text.push_str(&line[at..]);
        (at > 0).then_some(text)
    }
}

/// More finds of one condition in one line are not shown.
const FINDS_MAX: usize = 1_000;

/// The places of the line that satisfy a test, first and behind the last byte.
fn finds(
    test: &LineTest,
    (line, folded): (&str, &str),
    places: &[usize],
    found: &mut Vec<(usize, usize)>,
) {
    let original = |start: usize, end: usize| {
        let place = |at: usize| places.get(at).copied().unwrap_or(line.len());
        (place(start), place(end))
    };
    match test {
        LineTest::Words(words) => {
            let mut at = 0;
            while let Some(range) = words.find(folded, at)
                && found.len() < FINDS_MAX
            {
                found.push(original(range.start, range.end));
                at = range.end;
            }
        }
        LineTest::Pattern { regex, .. } => {
            let all = regex.engine().find_iter(folded.as_bytes()).take(FINDS_MAX);
            found.extend(all.map(|find| original(find.start(), find.end())));
        }
        LineTest::Regex(regex) => {
            let all = regex.engine().find_iter(line.as_bytes()).take(FINDS_MAX);
            let is_text = |at: usize| line.is_char_boundary(at);
            let all = all.map(|find| (find.start(), find.end()));
            found.extend(all.filter(|(start, end)| is_text(*start) && is_text(*end)));
        }
    }
}

/// Adds the values of an object under names that are free.
fn flatten(
    reader: &mut JsonReader<'_>,
    path: &mut String,
    source: &mut Map<String, Value>,
) -> Result<(), JsonError> {
    reader.object(|reader, key| {
        let length = path.len();
        key.append_to(path);
        let added = match reader.kind()? {
            JsonKind::Object => {
                path.push('.');
                flatten(reader, path, source)
            }
            JsonKind::Null => reader.null(),
            _ => reader.skip().map(|bytes| {
                if !source.contains_key(path.as_str())
                    && let Ok(value) = serde_json::from_slice(bytes)
                {
                    source.insert(path.clone(), value);
                }
            }),
        };
        path.truncate(length);
        added
    })
}

/// The id of a row: as it was sent, or made of its time, labels and text.
pub(super) fn id(row: &Row<'_>) -> String {
    let sent = row.fields().find(|(name, _)| *name == ID);
    match sent {
        Some((_, id)) => String::from_utf8_lossy(id).into_owned(),
        None => made_id(row.time(), row.labels(), row.line()),
    }
}

fn made_id(time: i64, labels: &Labels, line: &[u8]) -> String {
    format!("{time:016x}{:016x}", content_hash(labels, line))
}

/// The same for the same line, wherever it lies.
pub(super) fn content_hash(labels: &Labels, line: &[u8]) -> u64 {
    codec::xxh3_64(labels.as_bytes()).rotate_left(17) ^ codec::xxh3_64(line)
}

/// Which keys of `_source` are wanted.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    /// Nothing at all.
    pub(super) is_off: bool,
    pub(super) includes: Vec<String>,
    pub(super) excludes: Vec<String>,
}

impl Filter {
    pub(super) fn apply(&self, source: &mut Map<String, Value>) {
        if self.includes.is_empty() && self.excludes.is_empty() {
            return;
        }
        let covers = |patterns: &[String], key: &str| {
            // A name stands for all below it as well.
            patterns.iter().any(|pattern| {
                is_like(pattern, key)
                    || key.strip_prefix(pattern).is_some_and(|rest| rest.starts_with('.'))
            })
        };
        source.retain(|key, _| {
            let is_in = self.includes.is_empty() || covers(&self.includes, key);
            is_in && !covers(&self.excludes, key)
        });
    }
}

/// Whether a name is like a pattern, in which `*` stands for any characters.
pub(in crate::elasticsearch) fn is_like(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// A field of `fields` or `docvalue_fields`, and how its dates are written.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) name: String,
    pub(super) format: String,
}

/// The values of the wanted fields, each as a list.
pub(super) fn shown_fields(
    time: i64,
    source: &Map<String, Value>,
    wanted: &[Shown],
) -> Map<String, Value> {
    let mut fields = Map::new();
    for shown in wanted {
        let name = shown.name.strip_suffix(".keyword").unwrap_or(&shown.name);
        for (key, value) in source.iter().filter(|(key, _)| is_like(name, key)) {
            let value = match (key.as_str(), value) {
                (TIME, _) => date::write(time, &shown.format, Zone::UTC).into(),
                (_, value) => value.clone(),
            };
            let values = if value.is_array() { value } else { vec![value].into() };
            let key = if is_like(&shown.name, key) { key.clone() } else { shown.name.clone() };
            // Of a field that is asked for twice, the first counts.
            fields.entry(key).or_insert(values);
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_like_patterns() {
        for (pattern, name, expected) in [
            ("*", "a", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "abc", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXc", false),
            ("ab", "abc", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(is_like(pattern, name), expected, "{pattern} {name}");
        }
    }
}
