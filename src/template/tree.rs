//! The tree of a template. Nodes know their positions and print as the template would write them,
//! which is what errors show.

use crate::registry::Function;
use model::SearchRegex;
use std::fmt::{self, Write};
use std::sync::OnceLock;

pub(crate) type Nodes = Vec<Node>;

#[derive(Debug)]
pub(crate) enum Node {
    Text(String),
    /// `{{ pipeline }}`
    Action(Pipeline),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template(TemplateCall),
    Break,
    Continue,
}

#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) pipeline: Pipeline,
    pub(crate) body: Nodes,
    pub(crate) otherwise: Nodes,
}

#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) position: usize,
    pub(crate) variables: Vec<String>,
    /// `=` and not `:=`.
    pub(crate) is_assignment: bool,
    /// At least one.
    pub(crate) commands: Vec<Command>,
}

#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) position: usize,
    pub(crate) first: Term,
    pub(crate) arguments: Vec<Term>,
}

#[derive(Debug)]
pub(crate) struct Term {
    pub(crate) position: usize,
    pub(crate) kind: TermKind,
}

#[derive(Debug)]
pub(crate) enum TermKind {
    Dot,
    Nil,
    Bool(bool),
    Number(Number),
    Text {
        value: Vec<u8>,
        /// With its quotes.
        source: String,
    },
    /// `.a.b`
    Field(Vec<String>),
    /// `$x.a.b`: the name with its `$`, and fields.
    Variable(String, Vec<String>),
    Function(Box<FunctionTerm>),
    /// `(pipeline)`
    Pipeline(Box<Pipeline>),
    /// `(pipeline).a.b` or `function.a.b`
    Chain(Box<Term>, Vec<String>),
}

#[derive(Debug)]
pub(crate) struct FunctionTerm {
    pub(crate) function: Function,
    /// The pattern that it was called with first, compiled. Templates write their patterns as
    /// constants, so that this is the only one.
    pub(crate) pattern: OnceLock<(String, SearchRegex)>,
}

/// A number may stand for an integer, for a float, or for both.
#[derive(Debug)]
pub(crate) struct Number {
    pub(crate) source: String,
    pub(crate) int: Option<i64>,
    pub(crate) float: Option<f64>,
    /// Its syntax says that it is a float where nothing else does.
    pub(crate) is_float: bool,
}

impl Pipeline {
    /// The name, where the pipeline is nothing but `.name`.
    pub(crate) fn plain_field(&self) -> Option<(&str, &Term)> {
        let ([command], []) = (&self.commands[..], &self.variables[..]) else { return None };
        match (&command.first.kind, &command.arguments[..]) {
            (TermKind::Field(names), []) => match &names[..] {
                [name] => Some((name, &command.first)),
                _ => None,
            },
            _ => None,
        }
    }
}

impl fmt::Display for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, variable) in self.variables.iter().enumerate() {
            f.write_str(if index > 0 { ", " } else { "" })?;
            f.write_str(variable)?;
        }
        if !self.variables.is_empty() {
            f.write_str(if self.is_assignment { " = " } else { " := " })?;
        }
        for (index, command) in self.commands.iter().enumerate() {
            f.write_str(if index > 0 { " | " } else { "" })?;
            command.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(f)?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            TermKind::Dot => f.write_char('.'),
            TermKind::Nil => f.write_str("nil"),
            TermKind::Bool(value) => value.fmt(f),
            TermKind::Number(number) => f.write_str(&number.source),
            TermKind::Text { source, .. } => f.write_str(source),
            TermKind::Field(names) => write_fields(names, f),
            TermKind::Variable(name, fields) => {
                f.write_str(name)?;
                write_fields(fields, f)
            }
            TermKind::Function(term) => f.write_str(term.function.name),
            TermKind::Pipeline(pipeline) => write!(f, "({pipeline})"),
            TermKind::Chain(term, fields) => {
                term.fmt(f)?;
                write_fields(fields, f)
            }
        }
    }
}

fn write_fields(names: &[String], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    names.iter().try_for_each(|name| write!(f, ".{name}"))
}

/// `{{template "name" pipeline}}`
#[derive(Debug)]
pub(crate) struct TemplateCall {
    pub(crate) position: usize,
    pub(crate) name: String,
    pub(crate) pipeline: Option<Pipeline>,
}

impl fmt::Display for TemplateCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{template {}", model::quote_go(self.name.as_bytes()))?;
        if let Some(pipeline) = &self.pipeline {
            write!(f, " {pipeline}")?;
        }
        f.write_str("}}")
    }
}
