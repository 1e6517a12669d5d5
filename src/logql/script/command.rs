//! Reading a script: commands, and the lines that belong to them.

use crate::engine::QueryTimes;
use crate::labels::LabelPairs;
use crate::lex::parse_duration;
use crate::memory::LoadedLine;
use crate::print;
use crate::storage::Direction;
use model::{Labels, quote_go, unquote_go};
use query::{parse_number, script_blocks};
use std::fmt;

#[derive(Clone, Debug)]
pub(super) enum Command {
    Clear,
    Load(Load),
    Evaluate(Evaluation),
}

/// Lines of one stream.
#[derive(Clone, Debug)]
pub struct Load {
    pub labels: Labels,
    pub lines: Vec<LoadedLine>,
}

/// A query and what it should answer.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// In the script.
    pub line: usize,
    pub query: String,
    pub when: When,
    pub limit: usize,
    pub direction: Direction,
    /// The order of the answer matters.
    pub ordered: bool,
    /// Fields and parsed labels are compared apart.
    pub categorized: bool,
    pub expected: Expectation,
}

/// Nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Instant(i64),
    Range { start: i64, end: i64, step: i64 },
    Log { start: i64, end: i64, interval: i64 },
}

impl When {
    pub(super) fn times(self) -> QueryTimes {
        match self {
            Self::Instant(time_ns) => QueryTimes::Instant { time_ns },
            Self::Range { start, end, step } => {
                QueryTimes::Range { start_ns: start, end_ns: end, step_ns: step, interval_ns: 0 }
            }
            Self::Log { start, end, interval } => {
                let step_ns = 1_000_000_000;
                QueryTimes::Range { start_ns: start, end_ns: end, step_ns, interval_ns: interval }
            }
        }
    }
}

#[derive(Clone, Debug)]
pub enum Expectation {
    /// Labels as they are shown, and a value for each step.
    Series(Vec<(String, Vec<Option<f64>>)>),
    Lines(Vec<ExpectedLine>),
    /// A part of the error's text.
    Failure(String),
}

/// A line of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedLine {
    pub time_ns: i64,
    pub labels: LabelPairs,
    /// Fields and parsed labels, where they are compared apart.
    pub parts: Vec<LabelPairs>,
    pub line: Vec<u8>,
}

impl fmt::Display for ExpectedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.labels, print::duration(self.time_ns))?;
        for part in &self.parts {
            let shown = part.to_string();
            write!(f, " [{}]", shown.trim_start_matches('{').trim_end_matches('}'))?;
        }
        write!(f, ": {}", quote_go(&self.line))
    }
}

type Read<T> = Result<T, String>;

/// `Err`: the line of the script, and what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Vec<Command>, (usize, String)> {
    let blocks = script_blocks(text).into_iter();
    let commands = blocks.map(|block| {
        let texts: Vec<&str> = block.body.iter().map(|(_, line)| line.trim()).collect();
        command(block.line, block.head, &texts).map_err(|message| (block.line, message))
    });
    commands.collect()
}

fn command(number: usize, head: &str, body: &[&str]) -> Read<Command> {
    let (word, rest) = head.split_once(' ').unwrap_or((head, ""));
    match word {
        "clear" => Ok(Command::Clear),
        "load" => {
            let (labels, _) = pairs(rest.trim(), '{', '}')?;
            let labels = Labels::from_pairs(labels.iter());
            let mut lines = Vec::new();
            for text in body {
                lines.extend(loaded(text)?);
            }
            Ok(Command::Load(Load { labels, lines }))
        }
        "eval" => evaluation(number, rest, body).map(Command::Evaluate),
        _ => Err(format!("unknown command {word:?}: expected clear, load or eval")),
    }
}

/// Labels between brackets at the start, and what follows.
fn pairs(text: &str, open: char, close: char) -> Read<(LabelPairs, &str)> {
    let mut rest = text.strip_prefix(open).ok_or_else(|| format!("expected {open} at {text:?}"))?;
    let mut found: Vec<(String, String)> = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if let Some(after) = rest.strip_prefix(close) {
            let pairs = found.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            return Ok((LabelPairs::new(pairs), after));
        }
        let (name, after) =
            rest.split_once('=').ok_or_else(|| format!("expected = in {rest:?}"))?;
        let (value, after) = quoted(after)?;
        let value = String::from_utf8(value).map_err(|_| "a label is no UTF-8".to_owned())?;
        found.push((name.trim().to_owned(), value));
        rest = after;
    }
}

/// A quoted string at the start, and what follows.
fn quoted(text: &str) -> Read<(Vec<u8>, &str)> {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' if text.starts_with('"') => {
                return Ok((unquote_go(&text[..=at])?, &text[at + 1..]));
            }
            _ => {}
        }
    }
    Err(format!("expected a quoted string at {text:?}"))
}

fn time(text: &str) -> Read<i64> {
    if text == "0" { Ok(0) } else { parse_duration(text) }
}

/// `20s [user="u1"]: text`, or `0s..1m/10s: text` for many of them.
fn loaded(text: &str) -> Read<Vec<LoadedLine>> {
    let end = text.find([' ', ':']).ok_or("expected a time and a colon")?;
    let (times, rest) = text.split_at(end);
    let (fields, rest) = match rest.trim_start() {
        bracket if bracket.starts_with('[') => pairs(bracket, '[', ']')?,
        other => (LabelPairs::default(), other),
    };
    let fields: Vec<(String, String)> =
        fields.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let line = line_text(rest)?;
    let times: Vec<i64> = match times.split_once("..") {
        None => vec![time(times)?],
        Some((first, rest)) => {
            let (last, step) = rest.split_once('/').ok_or("expected first..last/step")?;
            let (first, last, step) = (time(first)?, time(last)?, time(step)?.max(1));
            (0..).map(|index| first + index * step).take_while(|time| *time <= last).collect()
        }
    };
    let repeated = times.len() > 1;
    let made = times.into_iter().enumerate().map(|(index, time_ns)| {
        let line = if repeated { replaced(&line, index) } else { line.clone() };
        LoadedLine { time_ns, line, fields: fields.clone() }
    });
    Ok(made.collect())
}

fn replaced(line: &[u8], index: usize) -> Vec<u8> {
    String::from_utf8_lossy(line).replace("{i}", &index.to_string()).into_bytes()
}

/// What stands behind a colon.
fn line_text(rest: &str) -> Read<Vec<u8>> {
    let text = rest.trim_start().strip_prefix(':').ok_or("expected a colon before the text")?;
    let text = text.strip_prefix(' ').unwrap_or(text);
    match text.starts_with('"') {
        true => quoted(text).map(|(text, _)| text),
        false => Ok(text.as_bytes().to_vec()),
    }
}

struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn next(&mut self) -> &'a str {
        let text = self.0.trim_start();
        let end = text.find(' ').unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        self.0 = rest;
        word
    }

    fn eat(&mut self, word: &str) -> bool {
        let mut copy = Self(self.0);
        let found = copy.next() == word;
        if found {
            *self = copy;
        }
        found
    }

    fn expect(&mut self, word: &str) -> Read<()> {
        if self.eat(word) { Ok(()) } else { Err(format!("expected {word} at {:?}", self.0)) }
    }

    /// The time behind a word.
    fn time(&mut self, word: &str) -> Read<i64> {
        self.expect(word)?;
        time(self.next())
    }
}

fn evaluation(line: usize, text: &str, body: &[&str]) -> Read<Evaluation> {
    let mut words = Words(text);
    let fails = words.eat("fail");
    let kind = words.next();
    let (ordered, categorized) = (words.eat("ordered"), words.eat("categorized"));
    let when = when(kind, &mut words)?;
    let (mut limit, mut direction) = (100, Direction::Backward);
    if kind == "log" {
        if words.eat("limit") {
            limit = words.next().parse().map_err(|_| "expected a number behind limit")?;
        }
        if words.eat("forward") {
            direction = Direction::Forward;
        } else {
            words.eat("backward");
        }
    }
    let query = words.0.trim().to_owned();
    let expected = match kind {
        _ if fails => Expectation::Failure(body.join(" ")),
        "log" => {
            Expectation::Lines(body.iter().map(|text| expected_line(text)).collect::<Read<_>>()?)
        }
        _ => {
            Expectation::Series(body.iter().map(|text| expected_series(text)).collect::<Read<_>>()?)
        }
    };
    let ordered = ordered || kind == "log";
    Ok(Evaluation { line, query, when, limit, direction, ordered, categorized, expected })
}

fn when(kind: &str, words: &mut Words<'_>) -> Read<When> {
    match kind {
        "instant" => Ok(When::Instant(words.time("at")?)),
        "range" => {
            let (start, end) = (words.time("from")?, words.time("to")?);
            Ok(When::Range { start, end, step: words.time("step")? })
        }
        "log" => {
            let (start, end) = (words.time("from")?, words.time("to")?);
            let has_interval = words.0.trim_start().starts_with("interval ");
            let interval = if has_interval { words.time("interval")? } else { 0 };
            Ok(When::Log { start, end, interval })
        }
        other => Err(format!("unknown kind {other:?}: expected instant, range or log")),
    }
}

/// `{app="web"} 1 _ 2.5`
fn expected_series(text: &str) -> Read<(String, Vec<Option<f64>>)> {
    let (labels, rest) = pairs(text, '{', '}')?;
    let value = |text: &str| match text {
        "_" => Ok(None),
        number => parse_number(number).map(Some),
    };
    let values = rest.split_whitespace().map(value).collect::<Read<_>>()?;
    Ok((Labels::from_pairs(labels.iter()).to_string(), values))
}

/// `{app="web"} 20s [user="u1"] []: text`
fn expected_line(text: &str) -> Read<ExpectedLine> {
    let (labels, rest) = pairs(text, '{', '}')?;
    let rest = rest.trim_start();
    let end = rest.find([' ', ':']).ok_or("expected a time and a colon")?;
    let time_ns = time(&rest[..end])?;
    let (mut rest, mut parts) = (rest[end..].trim_start(), Vec::new());
    while rest.starts_with('[') {
        let (part, after) = pairs(rest, '[', ']')?;
        parts.push(part);
        rest = after.trim_start();
    }
    Ok(ExpectedLine { time_ns, labels, parts, line: line_text(rest)? })
}
