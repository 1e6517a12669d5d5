//! The functions that a template may call.
//!
//! Whoever uses templates brings the functions; those of the language itself (`and`, `printf`, …) are
//! always there. A function declares what it takes, so that the number and the types of its arguments
//! are checked before it runs.

use crate::bounds::{Bound, Budget};
use crate::builtins;
use crate::format::Sink;
use crate::time::Time;
use crate::tree::FunctionTerm;
use crate::value::Value;
use model::SearchRegex;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// What a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Any,
    Text,
    Int,
    Float,
    Bool,
    Time,
}

impl Kind {
    /// The name of the type in Go, for messages.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Text => "string",
            Self::Int => "int",
            Self::Float => "float64",
            Self::Bool => "bool",
            Self::Time => "time.Time",
        }
    }
}

/// A function that templates may call.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    pub name: &'static str,
    pub parameters: &'static [Kind],
    /// What further arguments are, where there may be any number of them.
    pub rest: Option<Kind>,
    pub run: Run,
}

/// A function that depends on nothing but its arguments.
pub type Pure = for<'a> fn(&mut Call<'_>, &mut Arguments<'a, '_>) -> Result<Value<'a>, Failure>;

/// How a function runs.
#[derive(Clone, Copy)]
pub enum Run {
    Pure(Pure),
    /// The data of the execution answers, see [`crate::Data::call`].
    Data,
    /// `and`, which takes no further argument when one is false.
    And,
    /// `or`, which takes no further argument when one is true.
    Or,
    /// A template that the text defines, by name, with the data for it: gives what it writes.
    Template,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pure(_) => "Pure",
            Self::Data => "Data",
            Self::And => "And",
            Self::Or => "Or",
            Self::Template => "Template",
        })
    }
}

impl Function {
    pub const fn pure(name: &'static str, parameters: &'static [Kind], run: Pure) -> Self {
        Self { name, parameters, rest: None, run: Run::Pure(run) }
    }

    /// With any number of further arguments.
    pub const fn with_rest(self, rest: Kind) -> Self {
        Self { rest: Some(rest), ..self }
    }

    /// One that the data of the execution answers.
    pub const fn of_data(name: &'static str, parameters: &'static [Kind]) -> Self {
        Self { name, parameters, rest: None, run: Run::Data }
    }

    /// One that executes a template of the text.
    pub const fn template(name: &'static str) -> Self {
        Self { name, parameters: &[Kind::Text, Kind::Any], rest: None, run: Run::Template }
    }

    /// What the argument at a place must be.
    pub(crate) fn kind_at(&self, index: usize) -> Option<Kind> {
        self.parameters.get(index).copied().or(self.rest)
    }
}

/// Functions by name.
#[derive(Clone, Debug)]
pub struct Registry {
    functions: BTreeMap<&'static str, Function>,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// The functions of the language itself.
    pub fn new() -> Self {
        Self { functions: BTreeMap::new() }.with(&builtins::functions())
    }

    /// With more functions. One that has the name of an older one takes its place.
    #[must_use]
    pub fn with(mut self, functions: &[Function]) -> Self {
        self.functions.extend(functions.iter().map(|function| (function.name, *function)));
        self
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Function> {
        self.functions.get(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.functions.keys().copied()
    }
}

/// Why a function failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    Message(String),
    Bound(Bound),
}

impl Failure {
    pub fn message(message: impl Into<String>) -> Self {
        Self::Message(message.into())
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Message(message)
    }
}

impl From<&str> for Failure {
    fn from(message: &str) -> Self {
        Self::Message(message.to_owned())
    }
}

impl From<Bound> for Failure {
    fn from(bound: Bound) -> Self {
        Self::Bound(bound)
    }
}

/// One call of a function: what it may take, and what is kept for it.
#[derive(Debug)]
pub struct Call<'c> {
    pub(crate) term: &'c FunctionTerm,
    pub(crate) budget: &'c mut Budget,
}

impl Call<'_> {
    /// To be asked before a text of this size is made. What is made is counted by the caller too, so
    /// that only functions ask that make more than they get.
    pub fn check_size(&self, bytes: usize) -> Result<(), Failure> {
        let fits = bytes <= self.budget.made_left();
        if fits { Ok(()) } else { Err(self.budget.made_bound().into()) }
    }

    /// The most bytes that a text may have now.
    pub fn size_most(&self) -> usize {
        self.budget.made_left()
    }

    /// Counts what the function makes beside a text that it returns.
    pub fn made(&mut self, bytes: usize) -> Result<(), Failure> {
        Ok(self.budget.made(bytes)?)
    }

    /// A text that is written into a buffer, as long as it may become.
    pub(crate) fn write<'a>(
        &self,
        write: impl FnOnce(&mut Sink<'_>) -> Result<(), Bound>,
    ) -> Result<Value<'a>, Failure> {
        let mut out = Vec::new();
        write(&mut Sink::new(&mut out, self.budget.made_left(), self.budget.made_bound()))?;
        Ok(out.into())
    }

    /// A regular expression, compiled once where the template always gives the same.
    pub fn regex(&mut self, pattern: &[u8]) -> Result<SearchRegex, Failure> {
        /// What compiling another one costs.
        const STEPS: usize = 500;
        let pattern = std::str::from_utf8(pattern)
            .map_err(|_| "error parsing regexp: invalid UTF-8: ``".to_owned())?;
        match self.term.pattern.get() {
            Some((known, regex)) if known == pattern => Ok(regex.clone()),
            Some(_) => {
                self.budget.take_steps(STEPS)?;
                Ok(SearchRegex::new(pattern)?)
            }
            None => {
                let regex = SearchRegex::new(pattern)?;
                let kept = (pattern.to_owned(), regex.clone());
                // Where another thread was quicker its pattern is kept.
                let _ = self.term.pattern.set(kept);
                Ok(regex)
            }
        }
    }
}

/// The arguments of one call, in number and types as the function declares them.
#[derive(Debug)]
pub struct Arguments<'a, 's> {
    values: &'s mut [Value<'a>],
}

impl<'a, 's> Arguments<'a, 's> {
    pub(crate) fn new(values: &'s mut [Value<'a>]) -> Self {
        Self { values }
    }

    pub fn count(&self) -> usize {
        self.values.len()
    }

    /// An argument, of any kind. It is taken: asked a second time it is nil.
    pub fn take(&mut self, index: usize) -> Value<'a> {
        self.values.get_mut(index).map(std::mem::take).unwrap_or_default()
    }

    pub fn get(&self, index: usize) -> &Value<'a> {
        self.values.get(index).unwrap_or(&Value::Nil)
    }

    /// All from a place on.
    pub fn from(&self, index: usize) -> &[Value<'a>] {
        self.values.get(index..).unwrap_or_default()
    }

    /// A text, taken.
    pub fn text(&mut self, index: usize) -> Cow<'a, [u8]> {
        match self.take(index) {
            Value::Text(text) => text,
            _ => Cow::Borrowed(b""),
        }
    }

    pub fn int(&self, index: usize) -> i64 {
        match self.get(index) {
            Value::Int(value) | Value::Duration(value) => *value,
            _ => 0,
        }
    }

    pub fn float(&self, index: usize) -> f64 {
        match self.get(index) {
            Value::Float(value) => *value,
            _ => 0.0,
        }
    }

    pub fn time(&self, index: usize) -> Time {
        match self.get(index) {
            Value::Time(time) => time.clone(),
            _ => Time::ZERO,
        }
    }
}
