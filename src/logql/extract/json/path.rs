//! `json a="b.c[0]", d="[\"some key\"]"`: single values by their paths.
//!
//! All paths are looked for in one pass. A value that is an object is given as it stands in the line; an
//! array, as Loki does it, after its escapes have been undone.

use super::super::Fields;
use super::super::buffers::{Buffers, Progress, as_text};
use super::super::error::{ExtractError, JsonMistake};
use super::super::names::is_name;
use super::scan::{Key, Kind, Members, Value, block_end, next_token, text_end, value_at};
use super::shown;
use super::unescape::unescape;
use std::ops::ControlFlow;

/// Steps of one path.
const STEPS_MAX: usize = 128;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// `b.c[0]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath(Vec<Step>);

impl JsonPath {
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        let mut rest = text.trim_matches(SPACES);
        let failed = |rest: &str, wanted: &str| {
            let column = text.len() - rest.len() + 1;
            format!("cannot parse expression [{text}]: expected {wanted} at column {column}")
        };
        loop {
            let (step, after) = match rest.strip_prefix('[') {
                Some(inside) => bracket(inside).ok_or_else(|| failed(rest, "[0] or [\"key\"]"))?,
                None => field(rest).ok_or_else(|| failed(rest, "a name or ["))?,
            };
            steps.push(step);
            if steps.len() > STEPS_MAX {
                return Err(failed(rest, &format!("at most {STEPS_MAX} steps")));
            }
            rest = after.trim_start_matches(SPACES);
            if rest.is_empty() {
                return Ok(Self(steps));
            }
            rest = match rest.strip_prefix('.') {
                Some(after) if !after.trim_start_matches(SPACES).starts_with('[') => {
                    after.trim_start_matches(SPACES)
                }
                None if rest.starts_with('[') => rest,
                _ => return Err(failed(rest, "a name behind a dot, [ or the end")),
            };
        }
    }
}

const SPACES: [char; 3] = [' ', '\t', '\n'];

fn field(text: &str) -> Option<(Step, &str)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    is_name(name).then(|| (Step::Key(name.to_owned()), rest))
}

/// `0]` or `"key"]`, behind the bracket.
fn bracket(text: &str) -> Option<(Step, &str)> {
    let text = text.trim_start_matches(SPACES);
    let (step, rest) = match text.strip_prefix('"') {
        Some(inside) => {
            let (key, rest) = inside.split_once('"')?;
            (Step::Key(key.to_owned()), rest)
        }
        None => {
            let end = text.find(|c: char| !c.is_ascii_digit())?;
            let (digits, rest) = text.split_at_checked(end)?;
            (Step::Index(digits.parse().ok()?), rest)
        }
    };
    rest.trim_start_matches(SPACES).strip_prefix(']').map(|rest| (step, rest))
}

/// Expressions: labels, and where their values stand.
#[derive(Clone, Debug)]
pub struct JsonPaths {
    paths: Vec<(String, JsonPath)>,
    /// The steps of the longest.
    steps_max: usize,
}

impl JsonPaths {
    /// Pairs of a label and an expression.
    pub fn new<'e>(expressions: impl Iterator<Item = (&'e str, &'e str)>) -> Result<Self, String> {
        let path = |(label, text): (&str, &str)| {
            if !is_name(label) {
                return Err(format!("invalid extracted label name '{label}'"));
            }
            Ok((label.to_owned(), JsonPath::parse(text)?))
        };
        let paths = expressions.map(path).collect::<Result<Vec<_>, _>>()?;
        let steps_max = paths.iter().map(|(_, path)| path.0.len()).max().unwrap_or(0);
        Ok(Self { paths, steps_max })
    }

    /// The values that the line has; the others are absent. Of a line with a mistake those before it.
    pub fn extract(
        &self,
        line: &[u8],
        buffers: &mut Buffers,
        fields: &mut impl Fields,
    ) -> Result<(), ExtractError> {
        if line.is_empty() {
            return Ok(());
        }
        if !matches!(line.first(), Some(b'"' | b'{' | b'[')) {
            return Err(JsonMistake::Start.into());
        }
        let Buffers { key, bytes, text, progress, .. } = buffers;
        progress.clear();
        progress.resize(self.paths.len(), Progress::default());
        let missing = self.paths.len();
        let mut search = Search {
            paths: self,
            line,
            level: 0,
            key,
            bytes,
            text,
            progress,
            missing,
            fields,
            mistake: None,
        };
        if search.run().is_break() {
            return Ok(());
        }
        let mistake = search.mistake;
        for ((label, _), progress) in self.paths.iter().zip(progress.iter()) {
            if !progress.is_given {
                fields.absent(label);
            }
        }
        mistake.map_or(Ok(()), |mistake| Err(mistake.into()))
    }
}

/// One pass through a line. Keys and brackets are followed, values are looked at where a path leads to
/// them.
struct Search<'s, F> {
    paths: &'s JsonPaths,
    line: &'s [u8],
    /// Objects that are open, and arrays that a path leads into.
    level: i64,
    key: &'s mut Vec<u8>,
    bytes: &'s mut Vec<u8>,
    text: &'s mut String,
    progress: &'s mut Vec<Progress>,
    /// How many paths have not been found.
    missing: usize,
    fields: &'s mut F,
    mistake: Option<JsonMistake>,
}

impl<F: Fields> Search<'_, F> {
    /// Breaks when the caller wants no more.
    fn run(&mut self) -> ControlFlow<()> {
        let mut at = 0;
        while let Some(found) = self.line.get(at..).and_then(next_mark) {
            at += found;
            let behind = match self.line.get(at) {
                Some(b'"') => self.text_or_key(at)?,
                Some(b'[') => self.array(at)?,
                Some(b'{') => {
                    self.level += 1;
                    Some(at + 1)
                }
                _ => {
                    self.level -= 1;
                    Some(at + 1)
                }
            };
            match behind {
                Some(behind) if self.missing > 0 => at = behind,
                _ => break,
            }
        }
        ControlFlow::Continue(())
    }

    /// Where it goes on behind a text; nowhere, where the line has a mistake.
    fn text_or_key(&mut self, at: usize) -> ControlFlow<(), Option<usize>> {
        let line = self.line;
        let Some((end, has_escapes)) = text_end(line, at + 1) else { return go_on(None) };
        let Some(behind) = next_token(line, end) else { return go_on(None) };
        if line.get(behind) != Some(&b':') {
            return go_on(Some(behind));
        }
        let key = Key { bytes: line.get(at + 1..end - 1).unwrap_or_default(), has_escapes };
        let level = match usize::try_from(self.level) {
            Ok(level @ 1..) => level,
            _ => {
                self.mistake = Some(JsonMistake::Line);
                return go_on(None);
            }
        };
        if level <= self.paths.steps_max {
            self.key.clear();
            let unescaped = if has_escapes {
                unescape(key.bytes, self.key)
            } else {
                self.key.extend_from_slice(key.bytes);
                Some(())
            };
            if unescaped.is_none() {
                return go_on(None);
            }
            self.follow_key(level, behind + 1)?;
        }
        go_on(Some(behind + 1))
    }

    /// The key of an object at this level leads some paths on, and ends some.
    fn follow_key(&mut self, level: usize, value_begins: usize) -> ControlFlow<()> {
        for index in 0..self.paths.paths.len() {
            let Some((_, path)) = self.paths.paths.get(index) else { continue };
            let Some(progress) = self.progress.get_mut(index) else { continue };
            if progress.steps + 1 < level {
                continue;
            }
            let is_it = matches!(path.0.get(level - 1), Some(Step::Key(key)) if key.as_bytes() == &self.key[..]);
            progress.steps = if is_it { level } else { level - 1 };
            if is_it && path.0.len() == level && !progress.is_found {
                progress.is_found = true;
                self.missing -= 1;
                match value_at(self.line, value_begins) {
                    Ok((value, _)) => self.give(index, value)?,
                    Err(mistake) => self.mistake = Some(mistake),
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Arrays are skipped, unless a path leads into them.
    fn array(&mut self, at: usize) -> ControlFlow<(), Option<usize>> {
        let Ok(level) = usize::try_from(self.level) else {
            self.mistake = Some(JsonMistake::Line);
            return go_on(None);
        };
        if !(0..self.paths.paths.len()).any(|index| self.wanted_item(index, level).is_some()) {
            return go_on(block_end(self.line, at, b'[', b']'));
        }
        self.level += 1;
        let mut items = Items { line: self.line, at: at + 1, index: 0 };
        while let Some(value) = items.next_item() {
            for index in 0..self.paths.paths.len() {
                if self.wanted_item(index, level) == Some(items.index - 1) {
                    self.follow_item(index, level, value)?;
                }
            }
        }
        go_on(Some(items.at))
    }

    /// The place in an array at this level that a path leads to.
    fn wanted_item(&self, index: usize, level: usize) -> Option<usize> {
        let (_, path) = self.paths.paths.get(index)?;
        let progress = self.progress.get(index)?;
        match path.0.get(level)? {
            Step::Index(place) if progress.steps >= level && !progress.is_found => Some(*place),
            _ => None,
        }
    }

    fn follow_item(&mut self, index: usize, level: usize, value: Value<'_>) -> ControlFlow<()> {
        let Some((_, path)) = self.paths.paths.get(index) else { return ControlFlow::Continue(()) };
        let steps = path.0.get(level + 1..).unwrap_or_default();
        if let Some(progress) = self.progress.get_mut(index) {
            progress.is_found = true;
            self.missing -= 1;
        }
        match descend(value, steps, self.key) {
            Some(value) => self.give(index, value),
            None => ControlFlow::Continue(()),
        }
    }

    fn give(&mut self, index: usize, value: Value<'_>) -> ControlFlow<()> {
        let Some((label, _)) = self.paths.paths.get(index) else {
            return ControlFlow::Continue(());
        };
        if let Some(progress) = self.progress.get_mut(index) {
            progress.is_given = true;
        }
        let shown = match value.kind {
            Kind::Null => "",
            Kind::Object => as_text(value.bytes, self.text),
            _ => shown(value.bytes, self.bytes, self.text),
        };
        self.fields.field(label, shown)
    }
}

/// The next quote or bracket.
fn next_mark(line: &[u8]) -> Option<usize> {
    line.iter().position(|byte| matches!(byte, b'"' | b'[' | b']' | b'{' | b'}'))
}

fn go_on(at: Option<usize>) -> ControlFlow<(), Option<usize>> {
    ControlFlow::Continue(at)
}

/// The value at the end of a path within a value.
fn descend<'l>(value: Value<'l>, steps: &[Step], buffer: &mut Vec<u8>) -> Option<Value<'l>> {
    let mut value = value;
    for step in steps {
        value = match (step, value.kind) {
            (Step::Key(key), Kind::Object) => member(value.bytes, key.as_bytes(), buffer)?,
            (Step::Index(place), Kind::Array) => {
                let mut items = Items { line: value.bytes, at: 1, index: 0 };
                std::iter::from_fn(|| items.next_item()).nth(*place)?
            }
            _ => return None,
        };
    }
    Some(value)
}

fn member<'l>(object: &'l [u8], wanted: &[u8], buffer: &mut Vec<u8>) -> Option<Value<'l>> {
    let mut members = Members::open(object, 0).ok()?;
    while let Some(key) = members.next_key().ok()? {
        let is_it = if key.has_escapes {
            buffer.clear();
            unescape(key.bytes, buffer)?;
            buffer == wanted
        } else {
            key.bytes == wanted
        };
        let value = members.value().ok()?;
        if is_it {
            return Some(value);
        }
    }
    None
}

/// The items of an array, behind its bracket.
struct Items<'l> {
    line: &'l [u8],
    /// At the end where the closing bracket is, or the mistake.
    at: usize,
    /// The place of the next item.
    index: usize,
}

impl<'l> Items<'l> {
    fn next_item(&mut self) -> Option<Value<'l>> {
        self.at = next_token(self.line, self.at)?;
        if self.index > 0 {
            if self.line.get(self.at) != Some(&b',') {
                return None;
            }
            self.at += 1;
        } else if self.line.get(self.at) == Some(&b']') {
            return None;
        }
        let (value, end) = value_at(self.line, self.at).ok()?;
        (self.at, self.index) = (end, self.index + 1);
        Some(value)
    }
}
