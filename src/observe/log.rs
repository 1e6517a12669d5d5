//! The server's own log lines on standard error: JSON for machines, plain text for people. Whatever
//! a field contains, the line stays one line and no control character reaches a terminal.

use crate::event::{Field, Fields, Level};
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Human,
    Json,
}

/// How lines are written. The clock is passed in: this crate reads none.
#[derive(Clone, Copy, Debug)]
pub struct LogSettings {
    pub level: Level,
    pub format: LogFormat,
    /// The time as RFC 3339, for the start of each line.
    pub timestamp: fn() -> String,
}

static SETTINGS: OnceLock<LogSettings> = OnceLock::new();

/// A line of the server's log, kept until it is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptLine {
    /// RFC 3339.
    pub time: String,
    pub level: Level,
    /// The message and the fields as one JSON object.
    pub text: String,
}

/// Lines that nobody has taken yet; more than these are dropped.
const KEPT_MAX: usize = 1_000;

static KEPT: Mutex<Option<Vec<KeptLine>>> = Mutex::new(None);

/// From now on lines are also kept, so that they can be stored like any others.
pub fn keep_lines() {
    kept().get_or_insert_default();
}

/// The lines since the last call.
pub fn take_lines() -> Vec<KeptLine> {
    kept().as_mut().map(std::mem::take).unwrap_or_default()
}

fn kept() -> MutexGuard<'static, Option<Vec<KeptLine>>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep(time: &str, level: Level, message: &str, fields: &[(&'static str, Field)]) {
    if let Some(lines) = kept().as_mut().filter(|lines| lines.len() < KEPT_MAX) {
        let mut text = json(time, level, message, fields);
        text.truncate(text.trim_end().len());
        lines.push(KeptLine { time: time.to_owned(), level, text });
    }
}

/// Switches logging on. Before (and in tests that never call it) lines go nowhere. Only the first
/// call counts.
pub fn init_log(settings: LogSettings) {
    let _ = SETTINGS.set(settings);
}

pub(crate) fn write(level: Level, message: &str, fill: impl FnOnce(&mut Fields<'_>)) {
    let Some(settings) = SETTINGS.get().filter(|settings| level >= settings.level) else {
        return;
    };
    let mut fields = Vec::new();
    fill(&mut Fields { fields: &mut fields });
    let time = (settings.timestamp)();
    let line = match settings.format {
        LogFormat::Human => human(&time, level, message, &fields),
        LogFormat::Json => json(&time, level, message, &fields),
    };
    keep(&time, level, message, &fields);
    // A line that can't be written must not stop the server.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

fn human(time: &str, level: Level, message: &str, fields: &[(&'static str, Field)]) -> String {
    let mut line = format!("{time} {:5} {message}", level.as_str());
    for (key, field) in fields {
        let _ = write!(line, " {key}=");
        match field {
            Field::Text(text) if bare(text) => line.push_str(text),
            Field::Text(text) => quote(&mut line, text),
            Field::Number(number) => line.push_str(&number.to_string()),
            Field::Integer(integer) => line.push_str(&integer.to_string()),
        }
    }
    line.push('\n');
    line
}

fn json(time: &str, level: Level, message: &str, fields: &[(&'static str, Field)]) -> String {
    let mut line = String::from("{\"time\":");
    quote(&mut line, time);
    let _ = write!(line, ",\"level\":\"{}\",\"message\":", level.as_str());
    quote(&mut line, message);
    for (key, field) in fields {
        line.push(',');
        quote(&mut line, key);
        line.push(':');
        match field {
            Field::Text(text) => quote(&mut line, text),
            Field::Number(number) if number.is_finite() => line.push_str(&number.to_string()),
            Field::Number(number) => quote(&mut line, &number.to_string()),
            Field::Integer(integer) => line.push_str(&integer.to_string()),
        }
    }
    line.push_str("}\n");
    line
}

fn bare(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| !c.is_control() && !" \"=\\".contains(c))
}

/// A JSON string; control characters (C1 too, which some terminals obey) become `\u` escapes.
fn quote(line: &mut String, text: &str) {
    line.push('"');
    for c in text.chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\t' => line.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(line, "\\u{:04x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_never_reach_the_terminal() {
        let fields = [("who", Field::Text("a\u{1b}[31m\nb\u{9b}\"".to_owned()))];
        for line in [human("T", Level::Warn, "m", &fields), json("T", Level::Warn, "m", &fields)] {
            assert_eq!(line.matches('\n').count(), 1, "one line: {line:?}");
            assert!(line.trim_end().chars().all(|c| !c.is_control()), "{line:?}");
            assert!(line.contains("\\u001b[31m\\nb\\u009b\\\""), "{line:?}");
        }
    }

    #[test]
    fn both_forms_carry_the_fields() {
        let fields = [("n", Field::Integer(3)), ("f", Field::Number(f64::NAN))];
        assert_eq!(human("T", Level::Info, "m", &fields), "T info  m n=3 f=NaN\n");
        assert_eq!(
            json("T", Level::Info, "m", &fields),
            "{\"time\":\"T\",\"level\":\"info\",\"message\":\"m\",\"n\":3,\"f\":\"NaN\"}\n"
        );
    }
}
