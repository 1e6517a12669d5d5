//! The level of a line, as Loki finds it:
//!
//! 1. A label or a field that names a level says it, in the spelling below or in its own.
//! 2. Else OTLP's severity number does.
//! 3. Else a line of JSON or logfmt is asked for a key that names a level (in JSON to a depth of two).
//! 4. Else the line is looked through for words: the gravest words do not win, but those that are the
//!    rarest in ordinary text (trace, debug, fatal, critical, error, warn, info).
//!
//! A word ends at whatever is no ASCII letter, digit or underscore, so `errors` and `error_code` are
//! not `error`; a Korean particle behind a word (`error가`) does not hide it.

use memchr::memchr;
use wire::json::{JsonError, JsonKind, JsonReader};

/// How deep objects of a line are looked into.
const JSON_DEPTH: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    // In the order in which words of a line count.
    Trace,
    Debug,
    Fatal,
    Critical,
    Error,
    Warn,
    Info,
    Unknown,
}

impl Level {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Fatal => "fatal",
            Self::Critical => "critical",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Unknown => "unknown",
        }
    }

    /// From the value of a field that names a level.
    pub(crate) fn from_value(value: &[u8]) -> Option<Self> {
        let short = Self::from_word(value);
        short.or_else(|| {
            let others: [(&str, Self); 6] = [
                ("trc", Self::Trace),
                ("dbg", Self::Debug),
                ("inf", Self::Info),
                ("information", Self::Info),
                ("wrn", Self::Warn),
                ("warning", Self::Warn),
            ];
            let found = others.iter().find(|(word, _)| value.eq_ignore_ascii_case(word.as_bytes()));
            found.map(|(_, level)| *level)
        })
    }

    /// From a word of a line.
    #[inline]
    fn from_word(word: &[u8]) -> Option<Self> {
        let &first = word.first()?;
        let (expected, level) = match (word.len(), first | 0x20) {
            (4, b'i') => ("info", Self::Info),
            (5, b'e') => ("error", Self::Error),
            (4, b'w') => ("warn", Self::Warn),
            (5, b'd') => ("debug", Self::Debug),
            (3, b'e') => ("err", Self::Error),
            (7, b'w') => ("warning", Self::Warn),
            (5, b't') => ("trace", Self::Trace),
            (5, b'f') => ("fatal", Self::Fatal),
            (8, b'c') => ("critical", Self::Critical),
            _ => return None,
        };
        word.eq_ignore_ascii_case(expected.as_bytes()).then_some(level)
    }

    /// From OTLP's severity number, four numbers for each level.
    pub(crate) fn from_severity(number: &str) -> Self {
        match number.parse() {
            Err(_) => Self::Info,
            Ok(1..=4) => Self::Trace,
            Ok(5..=8) => Self::Debug,
            Ok(9..=12) => Self::Info,
            Ok(13..=16) => Self::Warn,
            Ok(17..=20) => Self::Error,
            Ok(21..=24) => Self::Fatal,
            Ok(_) => Self::Unknown,
        }
    }
}

/// The names of fields that name a level, in the order in which they count.
#[derive(Clone, Debug)]
pub(crate) struct LevelFields {
    names: Vec<String>,
    /// A bit for each length that a name has, up to 63.
    lengths: u64,
}

impl LevelFields {
    pub(crate) fn new(names: &[String]) -> Self {
        let lengths = names.iter().fold(0, |lengths, name| lengths | Self::length_bit(name.len()));
        Self { names: names.to_vec(), lengths }
    }

    fn length_bit(length: usize) -> u64 {
        1 << length.min(63)
    }

    /// The place of a name in the order; `None`: it names no level.
    #[inline]
    pub(crate) fn rank(&self, name: &[u8]) -> Option<usize> {
        if self.lengths & Self::length_bit(name.len()) == 0 {
            return None;
        }
        self.names.iter().position(|known| name.eq_ignore_ascii_case(known.as_bytes()))
    }

    /// The value of the field that counts first.
    pub(crate) fn value_of<'a>(
        &self,
        fields: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Option<&'a str> {
        let ranked = fields.filter_map(|(name, value)| Some((self.rank(name.as_bytes())?, value)));
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, value)| value)
    }

    /// The level that a line names itself.
    pub(crate) fn of_line(&self, line: &[u8]) -> Level {
        let line = line.trim_ascii();
        let value = match line {
            [b'{', .., b'}'] => self.in_json(line),
            _ => self.in_logfmt(line),
        };
        value.and_then(Level::from_value).unwrap_or_else(|| of_words(line))
    }

    fn in_json<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        let mut found = None;
        let mut reader = JsonReader::new(line);
        // An error means that the key was found, or that this is no JSON.
        let _ = self.in_object(&mut reader, 1, &mut found);
        found
    }

    fn in_object<'a>(
        &self,
        reader: &mut JsonReader<'a>,
        depth: usize,
        found: &mut Option<&'a [u8]>,
    ) -> Result<(), JsonError> {
        reader.object(|reader, key| match reader.kind()? {
            JsonKind::Text if key.plain().is_some_and(|key| self.rank(key).is_some()) => {
                *found = reader.text()?.plain();
                Err(reader.error("nothing more"))
            }
            JsonKind::Object if depth < JSON_DEPTH => self.in_object(reader, depth + 1, found),
            _ => reader.skip().map(drop),
        })
    }

    /// Looks at what stands before each `=`.
    fn in_logfmt<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        let mut best: Option<(usize, &[u8])> = None;
        let mut at = 0;
        while let Some(found) = memchr(b'=', line.get(at..)?) {
            let equals = at + found;
            let key_length =
                line[at..equals].iter().rev().take_while(|byte| !is_between(**byte)).count();
            let (value, end) = value_at(line, equals + 1);
            if let Some(rank) = self.rank(&line[equals - key_length..equals])
                && best.is_none_or(|(other, _)| rank < other)
            {
                best = Some((rank, value));
                if rank == 0 {
                    break;
                }
            }
            at = end;
        }
        best.map(|(_, value)| value)
    }
}

/// What separates the pairs of logfmt.
fn is_between(byte: u8) -> bool {
    byte <= b' ' || byte == b'"'
}

/// The value that begins at `start`, without its quotes, and where it ends.
fn value_at(line: &[u8], start: usize) -> (&[u8], usize) {
    let rest = line.get(start..).unwrap_or_default();
    if let [b'"', quoted @ ..] = rest {
        let mut length = 0;
        while let Some(found) = memchr::memchr2(b'"', b'\\', &quoted[length..]) {
            length += found;
            if quoted[length] == b'"' {
                return (&quoted[..length], start + length + 2);
            }
            length = (length + 2).min(quoted.len());
        }
        return (quoted, line.len());
    }
    let length = rest.iter().position(|byte| *byte <= b' ').unwrap_or(rest.len());
    (&rest[..length], start + length)
}

/// Whether a byte belongs to a word.
static OF_WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || byte as u8 == b'_';
        byte += 1;
    }
    table
};

fn is_of_word(byte: u8) -> bool {
    OF_WORD[usize::from(byte)]
}

/// The level of the word that counts first.
fn of_words(line: &[u8]) -> Level {
    let mut best = Level::Unknown;
    let mut rest = line;
    while let Some(start) = rest.iter().position(|byte| is_of_word(*byte)) {
        rest = &rest[start..];
        let length = rest.iter().position(|byte| !is_of_word(*byte)).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(length);
        if let Some(level) = Level::from_word(word) {
            best = best.min(level);
        }
        rest = behind;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LogsSettings;
    use proptest::prelude::*;

    fn fields() -> LevelFields {
        LevelFields::new(&LogsSettings::default().log_level_fields)
    }

    fn level(line: &str) -> &'static str {
        fields().of_line(line.as_bytes()).name()
    }

    #[test]
    fn words_count_alone() {
        for (line, expected) in [
            ("", "unknown"),
            ("an ordinary line", "unknown"),
            ("2026-08-31 ERROR: no such host", "error"),
            ("[Warning] disk is nearly full", "warn"),
            ("(err) x", "error"),
            ("CRITICAL|x", "critical"),
            ("fatal", "fatal"),
            ("terror, errors, error_code, my_error, error1", "unknown"),
            ("information for debugging", "unknown"),
            ("info: an error is not the debug of it", "debug"),
            ("errors before the error", "error"),
            ("결제 error가 났습니다", "error"),
            ("path=/trace/x status=200", "trace"),
        ] {
            assert_eq!(level(line), expected, "{line}");
        }
    }

    #[test]
    fn json_and_logfmt_name_their_level() {
        for (line, expected) in [
            (r#"{"msg":"an error","level":"INFO"}"#, "info"),
            (r#" {"a":{"severity":"wrn"},"msg":"error"} "#, "warn"),
            (r#"{"a":{"b":{"level":"info"}},"msg":"x error"}"#, "error"),
            (r#"{"level":30,"msg":"x"}"#, "unknown"),
            (r#"{"level":"odd","msg":"warn"}"#, "warn"),
            (r#"{"log.level":"Dbg"}"#, "debug"),
            (r#"{"level":"inf" no json"#, "unknown"),
            (r#"ts=1 level=warn msg="an error""#, "warn"),
            (r#"msg="level=debug or error" LVL="err""#, "error"),
            ("lvl=debug level=info", "info"),
            ("level=", "unknown"),
            ("=x a==b level=information", "info"),
            (r#"msg="no end level=warn"#, "warn"),
        ] {
            assert_eq!(level(line), expected, "{line}");
        }
    }

    #[test]
    fn severities_are_levels() {
        for (number, expected) in [
            ("1", "trace"),
            ("8", "debug"),
            ("9", "info"),
            ("16", "warn"),
            ("17", "error"),
            ("24", "fatal"),
            ("25", "unknown"),
            ("0", "unknown"),
            ("x", "info"),
        ] {
            assert_eq!(Level::from_severity(number).name(), expected, "{number}");
        }
    }

    #[test]
    fn the_first_name_of_the_list_counts() {
        let pairs = [("severity", "b"), ("Level", "a"), ("lvl", "c")];
        assert_eq!(fields().value_of(pairs.into_iter()), Some("a"));
        assert_eq!(fields().value_of([("x", "y")].into_iter()), None);
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_level(bytes: Vec<u8>, text in "[={}\":\\\\a-e lv]{0,40}") {
            fields().of_line(&bytes);
            fields().of_line(text.as_bytes());
            fields().of_line(format!("{{{text}}}").as_bytes());
        }
    }
}
