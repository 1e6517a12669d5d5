//! Typed events: what happened, as a type, so that an event's log line and its counters can't
//! drift apart. Each crate declares its own beside the code that emits them.

use crate::log;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Debug, Self::Info, Self::Warn, Self::Error].into_iter().find(|l| l.as_str() == name)
    }
}

/// Something that happened. `MESSAGE` is a short fixed sentence without values; values are fields.
pub trait Event {
    const LEVEL: Level;
    const MESSAGE: &'static str;

    fn fields(&self, fields: &mut Fields<'_>);

    /// Counters that move with the event.
    fn count(&self) {}
}

/// Counts the event and writes its line.
pub fn emit<E: Event>(event: &E) {
    event.count();
    log::write(E::LEVEL, E::MESSAGE, |fields| event.fields(fields));
}

/// Writes a line that counts nothing: start-up, shut-down.
#[derive(Debug)]
pub struct Notice;

impl Notice {
    pub fn info(message: &'static str, fields: &[(&'static str, &dyn fmt::Display)]) {
        Self::at(Level::Info, message, fields);
    }

    pub fn warn(message: &'static str, fields: &[(&'static str, &dyn fmt::Display)]) {
        Self::at(Level::Warn, message, fields);
    }

    pub fn error(message: &'static str, fields: &[(&'static str, &dyn fmt::Display)]) {
        Self::at(Level::Error, message, fields);
    }

    fn at(level: Level, message: &'static str, pairs: &[(&'static str, &dyn fmt::Display)]) {
        log::write(level, message, |fields| {
            for (key, value) in pairs {
                fields.text(key, value);
            }
        });
    }
}

/// One named value of a log line.
#[derive(Clone, Debug, PartialEq)]
pub enum Field {
    Text(String),
    Number(f64),
    Integer(i64),
}

/// Where an event writes its values.
#[derive(Debug)]
pub struct Fields<'a> {
    pub(crate) fields: &'a mut Vec<(&'static str, Field)>,
}

impl Fields<'_> {
    pub fn text(&mut self, key: &'static str, value: impl fmt::Display) {
        self.fields.push((key, Field::Text(value.to_string())));
    }

    pub fn integer(&mut self, key: &'static str, value: u64) {
        self.fields.push((key, Field::Integer(i64::try_from(value).unwrap_or(i64::MAX))));
    }

    pub fn number(&mut self, key: &'static str, value: f64) {
        self.fields.push((key, Field::Number(value)));
    }

    /// An error with all its causes.
    pub fn error(&mut self, error: &dyn std::error::Error) {
        self.fields.push(("error", Field::Text(with_causes(error))));
    }
}

/// The error and every cause behind it, in one line.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
