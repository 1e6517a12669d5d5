//! Reading scripts: lines to commands.

use super::nhcb;
use super::series::{LoadedSample, LoadedSeries, SequenceValue, parse_series, parse_starts};
use crate::engine::QueryTimes;
use model::{Labels, parse_duration};
use query::parse_number;
use regex::Regex;

#[derive(Clone, Debug)]
pub enum Command {
    Clear { line: usize },
    Load(Load),
    Evaluate(Box<Evaluation>),
}

#[derive(Clone, Debug)]
pub struct Load {
    pub line: usize,
    pub series: Vec<LoadedSeries>,
    /// Classic histograms are loaded as native ones with custom buckets too.
    pub with_custom_buckets: bool,
}

impl Load {
    pub(super) fn all_series(&self) -> Vec<LoadedSeries> {
        let mut all = self.series.clone();
        if self.with_custom_buckets {
            all.extend(nhcb::converted(&self.series));
        }
        all
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Instant { time_ms: i64 },
    Range { start_ms: i64, end_ms: i64, step_ms: i64 },
}

/// How a message is to look.
#[derive(Clone, Debug)]
pub enum Expectation {
    Anything,
    Message(String),
    Pattern(Regex),
}

impl Expectation {
    pub(super) fn fits(&self, text: &str) -> bool {
        match self {
            Self::Anything => true,
            Self::Message(message) => message == text,
            Self::Pattern(pattern) => pattern.is_match(text),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Evaluation {
    pub line: usize,
    pub query: String,
    pub when: When,
    pub ordered: bool,
    pub fail: Option<Expectation>,
    pub warn: Vec<Expectation>,
    pub info: Vec<Expectation>,
    pub no_warn: bool,
    pub no_info: bool,
    pub string: Option<String>,
    pub scalar: Option<f64>,
    /// In the order of the script.
    pub series: Vec<(Labels, Vec<SequenceValue>)>,
    /// The steps that expected values stand for.
    pub expected_steps: When,
    /// Not to be run as a range.
    pub only_instant: bool,
}

impl Evaluation {
    pub fn expects_failure(&self) -> bool {
        self.fail.is_some()
    }

    pub(super) fn times(&self) -> QueryTimes {
        match self.when {
            When::Instant { time_ms } => QueryTimes::Instant { time_ms },
            When::Range { start_ms, end_ms, step_ms } => {
                QueryTimes::Range { start_ms, end_ms, step_ms }
            }
        }
    }
}

type Parsed<T> = Result<T, (usize, String)>;

/// The lines of a script, comments blanked, with a place to read from.
struct Lines<'a> {
    lines: Vec<&'a str>,
    next: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let clean = |line: &'a str| {
            let line = line.trim();
            if line.starts_with('#') { "" } else { line }
        };
        Self { lines: text.split('\n').map(clean).collect(), next: 0 }
    }

    fn take(&mut self) -> Option<(usize, &'a str)> {
        let line = self.lines.get(self.next)?;
        self.next += 1;
        Some((self.next, line))
    }

    /// The next line of the same command; a blank one ends it.
    fn take_more(&mut self) -> Option<(usize, &'a str)> {
        let more = self.lines.get(self.next).is_some_and(|line| !line.is_empty());
        if more { self.take() } else { None }
    }
}

pub(super) fn parse(text: &str) -> Parsed<Vec<Command>> {
    let mut lines = Lines::new(text);
    let mut commands = Vec::new();
    while let Some((number, line)) = lines.take() {
        let word = line.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        match word.as_str() {
            "" => {}
            "clear" => commands.push(Command::Clear { line: number }),
            _ if word.starts_with("load") => {
                commands.push(Command::Load(load(number, line, &mut lines)?));
            }
            _ if word.starts_with("eval") => {
                commands.push(Command::Evaluate(Box::new(evaluation(number, line, &mut lines)?)));
            }
            _ => return Err((number, format!("invalid command {line:?}"))),
        }
    }
    Ok(commands)
}

fn load(number: usize, line: &str, lines: &mut Lines<'_>) -> Parsed<Load> {
    let invalid = || (number, "invalid load command (load[_with_nhcb] <step>)".to_owned());
    let (word, step) = line.split_once(char::is_whitespace).ok_or_else(invalid)?;
    let with_custom_buckets = match word.to_ascii_lowercase().as_str() {
        "load" => false,
        "load_with_nhcb" => true,
        _ => return Err(invalid()),
    };
    let step_ms = parse_duration(step.trim()).map_err(|message| (number, message))?;
    let mut series: Vec<LoadedSeries> = Vec::new();
    let mut default_starts: Vec<Option<i64>> = Vec::new();
    let mut starts: Option<(Labels, Vec<Option<i64>>)> = None;
    while let Some((number, line)) = lines.take_more() {
        if let Some((metric, found)) = parse_starts(line).map_err(|message| (number, message))? {
            match metric {
                Some(labels) => starts = Some((labels, found)),
                None => default_starts = found,
            }
            continue;
        }
        let (labels, values) = parse_series(line).map_err(|message| (number, message))?;
        let own = match starts.take() {
            Some((metric, own)) if metric == labels && own.len() == values.len() => Some(own),
            Some(_) => {
                return Err((number, "@st line does not fit the series after it".to_owned()));
            }
            None => None,
        };
        let samples = samples(&values, step_ms, own.as_deref(), &default_starts);
        series.retain(|one| one.labels != labels);
        series.push(LoadedSeries { labels, samples });
    }
    if starts.is_some() {
        return Err((number, "@st line has no following sample line".to_owned()));
    }
    Ok(Load { line: number, series, with_custom_buckets })
}

fn samples(
    values: &[SequenceValue],
    step_ms: i64,
    own_starts: Option<&[Option<i64>]>,
    default_starts: &[Option<i64>],
) -> Vec<LoadedSample> {
    let mut samples = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        let time_ms = step_ms * index as i64;
        let start = match own_starts {
            Some(starts) => starts[index],
            None if default_starts.is_empty() => None,
            None => default_starts[index % default_starts.len()],
        };
        let start_ms = start.map_or(0, |offset| time_ms + offset);
        samples.extend(LoadedSample::new(value, time_ms, start_ms));
    }
    samples
}

fn evaluation(number: usize, line: &str, lines: &mut Lines<'_>) -> Parsed<Evaluation> {
    let fail = |message: String| (number, message);
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let (when, query) = header(rest.trim()).map_err(fail)?;
    let mut evaluation = Evaluation {
        line: number,
        query: query.to_owned(),
        when,
        ordered: false,
        fail: None,
        warn: Vec::new(),
        info: Vec::new(),
        no_warn: false,
        no_info: false,
        string: None,
        scalar: None,
        series: Vec::new(),
        expected_steps: when,
        only_instant: false,
    };
    match word {
        "eval" => {}
        "eval_ordered" => evaluation.ordered = true,
        "eval_fail" => evaluation.fail = Some(Expectation::Anything),
        "eval_warn" => evaluation.warn.push(Expectation::Anything),
        "eval_info" => evaluation.info.push(Expectation::Anything),
        _ => return Err((number, format!("invalid command {word:?}"))),
    }
    while let Some((number, line)) = lines.take_more() {
        let last = expected_line(&mut evaluation, line).map_err(|message| (number, message))?;
        if last {
            break;
        }
    }
    if evaluation.no_warn && !evaluation.warn.is_empty() {
        return Err(fail("warn and no_warn cannot be used together".to_owned()));
    }
    if evaluation.no_info && !evaluation.info.is_empty() {
        return Err(fail("info and no_info cannot be used together".to_owned()));
    }
    Ok(evaluation)
}

/// `instant at 5m QUERY` or `range from 0 to 10m step 1m QUERY`.
fn header(rest: &str) -> Result<(When, &str), String> {
    let mut rest = rest;
    let mut word = || {
        let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        rest = after.trim_start();
        word
    };
    match word() {
        "instant" => {
            if word() != "at" {
                return Err("expected: eval instant at <time> <query>".to_owned());
            }
            let time_ms = parse_duration(word())?;
            Ok((When::Instant { time_ms }, rest))
        }
        "range" => {
            let mut times = [0; 3];
            for (keyword, time) in ["from", "to", "step"].into_iter().zip(&mut times) {
                if word() != keyword {
                    return Err(
                        "expected: eval range from <time> to <time> step <time> <query>".to_owned()
                    );
                }
                *time = parse_duration(word())?;
            }
            let [start_ms, end_ms, step_ms] = times;
            if end_ms < start_ms || step_ms == 0 {
                return Err("the range of the evaluation is empty".to_owned());
            }
            Ok((When::Range { start_ms, end_ms, step_ms }, rest))
        }
        _ => Err("an evaluation is either instant or range".to_owned()),
    }
}

/// `true` where nothing can follow.
fn expected_line(evaluation: &mut Evaluation, line: &str) -> Result<bool, String> {
    if let Some(message) = line.strip_prefix("expected_fail_message") {
        evaluation.fail = Some(Expectation::Message(message.trim().to_owned()));
        return Ok(true);
    }
    if let Some(pattern) = line.strip_prefix("expected_fail_regexp") {
        evaluation.fail = Some(Expectation::Pattern(compile(pattern.trim())?));
        return Ok(true);
    }
    if let Some(text) = line.strip_prefix("expect string") {
        let unquoted = unquote(text.trim())?;
        evaluation.string = Some(unquoted);
        evaluation.only_instant = true;
        return Ok(false);
    }
    if let Some(steps) = line.strip_prefix("expect range vector ") {
        let header_line = format!("range {steps} x");
        evaluation.expected_steps = header(&header_line)?.0;
        evaluation.only_instant = true;
        return Ok(false);
    }
    if line.split(' ').next() == Some("expect") {
        expect(evaluation, line["expect".len()..].trim())?;
        return Ok(false);
    }
    if let Ok(number) = parse_number(line) {
        evaluation.scalar = Some(number);
        return Ok(true);
    }
    let (labels, values) = parse_series(line)?;
    let instant = matches!(evaluation.expected_steps, When::Instant { .. });
    if instant && values.len() > 1 {
        return Err("an instant evaluation has one value per series".to_owned());
    }
    evaluation.series.retain(|(known, _)| *known != labels);
    evaluation.series.push((labels, values));
    Ok(false)
}

fn expect(evaluation: &mut Evaluation, rest: &str) -> Result<(), String> {
    let (word, detail) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let detail = detail.trim();
    let expectation = if let Some(message) = detail.strip_prefix("msg:") {
        Expectation::Message(message.trim().to_owned())
    } else if let Some(pattern) = detail.strip_prefix("regex:") {
        Expectation::Pattern(compile(pattern.trim())?)
    } else if detail.is_empty() {
        Expectation::Anything
    } else {
        return Err(format!("invalid expectation {rest:?}"));
    };
    match word {
        "fail" if evaluation.fail.is_some() => return Err("more than one expect fail".to_owned()),
        "fail" => evaluation.fail = Some(expectation),
        "warn" => evaluation.warn.push(expectation),
        "info" => evaluation.info.push(expectation),
        "no_warn" => evaluation.no_warn = true,
        "no_info" => evaluation.no_info = true,
        "ordered" => evaluation.ordered = true,
        _ => return Err(format!("invalid expectation {word:?}")),
    }
    Ok(())
}

fn compile(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| format!("invalid regex {pattern}: {error}"))
}

fn unquote(text: &str) -> Result<String, String> {
    let quoted =
        text.len() >= 2 && text.starts_with(['"', '\'', '`']) && text.ends_with(&text[..1]);
    if !quoted {
        return Err("a quoted string literal is required".to_owned());
    }
    let bytes = model::unquote_go(text)?;
    String::from_utf8(bytes).map_err(|_| "the expected string is not text".to_owned())
}
