//! `detected_labels`, `detected_fields`, `detected_field/<name>/values`: what could be filtered and
//! grouped by, found in the newest lines.

use super::envelope::{Context, LokiError, json};
use super::listing::{SINCE_NS, name_in_path};
use super::reading::take;
use crate::api::json as write;
use axum::response::Response;
use logql::extract::{Buffers, Fields, json as json_stage, logfmt};
use logql::{Direction, EntryLabels, LogEntry, Value};
use query::Holding;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use template::units::{parse_bytes, parse_duration};

/// Lines that are looked at, and fields or values that are answered, where nothing else is asked for.
const LINES: usize = 100;
const FIELDS: usize = 1_000;

// ── labels ──

/// These labels say where a line comes from even where their values are only identifiers.
const ALWAYS_SHOWN: [&str; 4] = ["cluster", "namespace", "instance", "pod"];

/// Labels of streams and how many values each has; those that only hold identifiers are left out.
pub(super) fn labels(context: &Context) -> Result<Response, LokiError> {
    let (time, memory) = (context.time_range(SINCE_NS)?, context.listing_memory());
    let matchers = context.matchers(context.parameters.text("query"))?;
    let store = &context.logs()?.store;
    let listing = store.streams(&context.call.tenant, time, &matchers, &mut memory.portions())?;
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in listing.streams.iter().flat_map(|labels| labels.iter()) {
        values.entry(name).or_default().insert(value);
    }
    let is_shown = |name: &str, values: &BTreeSet<&str>| {
        ALWAYS_SHOWN.contains(&name) || !values.iter().all(|value| is_id(value))
    };
    let shown = values.iter().filter(|(name, values)| is_shown(name, values));
    let mut out = b"{\"detectedLabels\":".to_vec();
    write::list(&mut out, shown, |out, (name, values)| {
        out.extend_from_slice(b"{\"label\":");
        write::text(out, name);
        out.extend_from_slice(format!(",\"cardinality\":{}}}", values.len()).as_bytes());
    });
    out.push(b'}');
    take(&memory, out.len())?;
    Ok(json(out))
}

/// A number or a UUID.
fn is_id(value: &str) -> bool {
    let is_uuid = value.len() == 36
        && value.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    is_uuid || value.parse::<f64>().is_ok()
}

// ── fields ──

/// What the values of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FieldType {
    Int,
    Float,
    Boolean,
    Duration,
    Bytes,
    String,
}

impl FieldType {
    fn of(value: &str) -> Self {
        let is_decimal = || value.bytes().any(|byte| byte.is_ascii_digit());
        if value.parse::<i64>().is_ok() {
            Self::Int
        } else if is_decimal() && value.parse::<f64>().is_ok() {
            Self::Float
        } else if ["true", "false"].iter().any(|word| value.eq_ignore_ascii_case(word)) {
            Self::Boolean
        } else if is_decimal() && parse_duration(value.as_bytes()).is_ok() {
            Self::Duration
        } else if is_decimal() && parse_bytes(value.as_bytes()).is_ok() {
            Self::Bytes
        } else {
            Self::String
        }
    }

    /// Of values of both types.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (one, other) if one == other => one,
            (Self::Int, Self::Float) | (Self::Float, Self::Int) => Self::Float,
            _ => Self::String,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Float => "float",
            Self::Boolean => "boolean",
            Self::Duration => "duration",
            Self::Bytes => "bytes",
            Self::String => "string",
        }
    }
}

/// Which stage takes the field out of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Parser {
    Json,
    Logfmt,
}

impl Parser {
    fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Logfmt => "logfmt",
        }
    }
}

#[derive(Debug, Default)]
struct Field {
    kind: Option<FieldType>,
    values: BTreeSet<String>,
    /// Empty for structured metadata.
    parsers: BTreeSet<Parser>,
    /// The keys of a line of JSON that lead to it; none where no line is one.
    path: Vec<String>,
}

/// The fields of the lines that were looked at. Labels of streams are none.
#[derive(Debug)]
struct Found<'a> {
    fields: BTreeMap<String, Field>,
    /// Other fields do not matter.
    only: Option<&'a str>,
    memory: Holding,
    buffers: Buffers,
}

/// What a field and a value take beside their texts.
const FIELD_BYTES: usize = 160;
const VALUE_BYTES: usize = 48;

impl Found<'_> {
    fn add(&mut self, name: &str, value: &str, parser: Option<Parser>) -> Result<(), LokiError> {
        if value.is_empty() || self.only.is_some_and(|only| only != name) {
            return Ok(());
        }
        if !self.fields.contains_key(name) {
            take(&self.memory, name.len() + FIELD_BYTES)?;
            self.fields.insert(name.to_owned(), Field::default());
        }
        let Some(field) = self.fields.get_mut(name) else { return Ok(()) };
        field.parsers.extend(parser);
        if !field.values.contains(value) {
            take(&self.memory, value.len() + VALUE_BYTES)?;
            let kind = FieldType::of(value);
            field.kind = Some(field.kind.map_or(kind, |known| known.and(kind)));
            field.values.insert(value.to_owned());
        }
        Ok(())
    }

    fn add_entry(&mut self, entry: &LogEntry) -> Result<(), LokiError> {
        let labels = &*entry.labels;
        for (name, value) in labels.fields.iter() {
            self.add(name, value, None)?;
        }
        let (parser, taken_out) = self.take_out(&entry.line);
        for (name, value) in &taken_out {
            let label = match is_known(labels, name) {
                true => Cow::Owned(format!("{name}_extracted")),
                false => Cow::Borrowed(&name[..]),
            };
            self.add(&label, value, Some(parser))?;
            if parser == Parser::Json {
                self.add_path(&label, name, &entry.line)?;
            }
        }
        // What stages of the query have made.
        for (name, value) in labels.parsed.iter().filter(|(name, _)| !name.starts_with("__")) {
            self.add(name, value, None)?;
        }
        Ok(())
    }

    fn add_path(&mut self, label: &str, name: &str, line: &[u8]) -> Result<(), LokiError> {
        let Some(field) = self.fields.get_mut(label) else { return Ok(()) };
        if field.path.is_empty() {
            let path = json_stage::path_of(line, name).unwrap_or_default();
            take(&self.memory, path.iter().map(|key| key.len() + VALUE_BYTES).sum())?;
            field.path = path;
        }
        Ok(())
    }

    /// The fields in a line of JSON, or else of logfmt.
    fn take_out(&mut self, line: &[u8]) -> (Parser, Vec<(String, String)>) {
        let mut pairs = Pairs::default();
        if line.trim_ascii_start().first() == Some(&b'{')
            && json_stage::extract(line, &mut self.buffers, &mut pairs).is_ok()
        {
            return (Parser::Json, pairs.0);
        }
        pairs.0.clear();
        let options = logfmt::LogfmtOptions::default();
        // Without `strict` no line is a mistake: what is no pair is left out.
        let _ = logfmt::extract(line, options, &mut self.buffers, &mut pairs);
        (Parser::Logfmt, pairs.0)
    }
}

/// Whether the line has a label of this name before its text is looked at.
fn is_known(labels: &EntryLabels, name: &str) -> bool {
    labels.stream.get(name).is_some() || labels.fields.get(name).is_some()
}

#[derive(Default)]
struct Pairs(Vec<(String, String)>);

impl Fields for Pairs {
    fn field(&mut self, name: &str, value: &str) -> ControlFlow<()> {
        self.0.push((name.to_owned(), value.to_owned()));
        ControlFlow::Continue(())
    }
}

/// Looks at the newest lines that the query selects.
fn find<'a>(context: &Context, only: Option<&'a str>) -> Result<Found<'a>, LokiError> {
    let lines = context.count("line_limit", LINES)?;
    let result = context.lines(context.default_range_ns()?, lines, Direction::Backward)?;
    let (fields, buffers) = (BTreeMap::new(), Buffers::default());
    let mut found = Found { fields, only, memory: context.listing_memory(), buffers };
    if let Value::Streams(lines) = &result.value {
        for entry in &lines.entries {
            found.add_entry(entry)?;
        }
    }
    Ok(found)
}

/// How many fields or values are wanted, under either of its names.
fn limit(context: &Context) -> Result<usize, LokiError> {
    let default = context.count("field_limit", FIELDS)?;
    context.count("limit", default)
}

pub(super) fn fields(context: &Context) -> Result<Response, LokiError> {
    let (limit, found) = (limit(context)?, find(context, None)?);
    let mut out = b"{\"fields\":".to_vec();
    write::list(&mut out, found.fields.iter().take(limit), |out, (name, field)| {
        out.extend_from_slice(b"{\"label\":");
        write::text(out, name);
        let kind = field.kind.unwrap_or(FieldType::String).name();
        let cardinality = field.values.len();
        out.extend_from_slice(
            format!(",\"type\":\"{kind}\",\"cardinality\":{cardinality},\"parsers\":").as_bytes(),
        );
        match field.parsers.is_empty() {
            true => out.extend_from_slice(b"null"),
            false => {
                write::list(out, &field.parsers, |out, parser| write::text(out, parser.name()));
            }
        }
        if !field.path.is_empty() {
            out.extend_from_slice(b",\"jsonPath\":");
            write::texts(out, field.path.iter());
        }
        out.push(b'}');
    });
    finish(out, limit, &found)
}

/// The values of one field; none where no line has it.
pub(super) fn values(context: &Context) -> Result<Response, LokiError> {
    let name = name_in_path(context)?;
    let (limit, found) = (limit(context)?, find(context, Some(&name))?);
    let values = found.fields.get(&name).into_iter().flat_map(|field| &field.values);
    let mut out = b"{\"values\":".to_vec();
    write::texts(&mut out, values.take(limit));
    finish(out, limit, &found)
}

fn finish(mut out: Vec<u8>, limit: usize, found: &Found<'_>) -> Result<Response, LokiError> {
    out.extend_from_slice(format!(",\"limit\":{limit}}}").as_bytes());
    take(&found.memory, out.len())?;
    Ok(json(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_by_values() {
        for (values, expected) in [
            (&["1", "-20"][..], "int"),
            (&["1", "2.5"], "float"),
            (&["1e3"], "float"),
            (&["nan"], "string"),
            (&["true", "False"], "boolean"),
            (&["5ms", "1m30s"], "duration"),
            (&["10KB", "1.5MiB"], "bytes"),
            (&["10KB", "5ms"], "string"),
            (&["10.0.0.1"], "string"),
            (&["a"], "string"),
        ] {
            let kind = values.iter().map(|value| FieldType::of(value)).reduce(FieldType::and);
            assert_eq!(kind.unwrap().name(), expected, "{values:?}");
        }
        assert!(is_id("6ba7b810-9dad-11d1-80b4-00c04fd430c8") && is_id("12") && !is_id("a"));
    }
}
