//! Templates, and how they are executed.
//!
//! The tree is walked with `.` and the variables at hand. As in Go, `at` is where the execution is, so
//! that an error can say it.
//! Invariants: each node and each call is a step of the budget; what is written and what is made are
//! counted before they are kept; the stack of the machine is bounded by `depth`.

mod arguments;
mod fields;
mod html;
mod methods;
mod range;

use crate::bounds::{Bound, Bounds, Budget};
use crate::data::Data;
use crate::error::{ExecuteError, ParseError, line_and_column};
use crate::format::{Sink, show};
use crate::library::Library;
use crate::parse::parse;
use crate::registry::Registry;
use crate::tree::{Branch, Command, Node, Nodes, Pipeline, TemplateCall, Term, TermKind};
use crate::value::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A template that has been parsed, with those that it defines.
#[derive(Debug)]
pub struct Template {
    name: String,
    text: String,
    trees: BTreeMap<String, Nodes>,
    library: Option<Arc<Library>>,
}

/// What becomes of the values that a template shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Escape {
    /// They are shown as they are.
    #[default]
    Nothing,
    /// They are made safe for HTML by the place where they stand: between tags, in attributes, as
    /// addresses. Not for scripts and styles.
    Html,
}

/// A template by its name, and the text that it stands in.
pub(crate) struct Named<'a> {
    source: &'a Template,
    name: &'a str,
    nodes: &'a Nodes,
}

impl Template {
    /// `name` is for messages. All functions of the text must be in the registry.
    pub fn parse(name: &str, text: &str, registry: &Registry) -> Result<Self, ParseError> {
        let trees = parse(name, text, registry)?;
        Ok(Self { name: name.to_owned(), text: text.to_owned(), trees, library: None })
    }

    /// With the templates that it may call beside its own.
    #[must_use]
    pub fn with_library(self, library: Arc<Library>) -> Self {
        Self { library: Some(library), ..self }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn trees(&self) -> impl Iterator<Item = &Nodes> {
        self.trees.values()
    }

    /// The templates that the text defines, its own included.
    pub(crate) fn named_trees(&self) -> &BTreeMap<String, Nodes> {
        &self.trees
    }

    /// A template that this one may call: of its own text, or of the library.
    fn find(&self, name: &str) -> Option<Named<'_>> {
        self.own(name).or_else(|| self.library.as_ref()?.find(name))
    }

    /// A template that the text defines.
    pub(crate) fn own(&self, name: &str) -> Option<Named<'_>> {
        let (name, nodes) = self.trees.get_key_value(name)?;
        Some(Named { source: self, name, nodes })
    }

    /// Appends what the template makes of the data. Where it fails nothing is appended.
    pub fn execute(
        &self,
        data: &dyn Data,
        bounds: &Bounds,
        out: &mut Vec<u8>,
    ) -> Result<(), ExecuteError> {
        self.execute_value(&Value::Root, data, Escape::Nothing, bounds, out)
    }

    /// The same where `.` and `$` are a value; `data` answers the functions that ask for it.
    pub fn execute_value<'a>(
        &'a self,
        dot: &Value<'a>,
        data: &'a dyn Data,
        escape: Escape,
        bounds: &Bounds,
        out: &mut Vec<u8>,
    ) -> Result<(), ExecuteError> {
        let (start, nodes) = (out.len(), self.trees.get(&self.name));
        let nodes = nodes.map(Vec::as_slice).unwrap_or_default();
        let mut executor = Executor {
            template: self,
            source: self,
            data,
            escape,
            budget: Budget::new(bounds),
            start,
            out,
            variables: match dot {
                Value::Root => Vec::new(),
                value => vec![("$", value.clone())],
            },
            stack: Vec::new(),
            executed: &self.name,
            at: Place { position: 0, shown: &"" },
            depth: 0,
        };
        match executor.walk(nodes, dot) {
            Ok(_) => Ok(()),
            Err(stop) => {
                let error = executor.error(stop);
                out.truncate(start);
                Err(error)
            }
        }
    }
}

/// Why the execution ends. It is at `Executor::at`.
struct Stop {
    message: String,
    bound: Option<Bound>,
}

impl From<String> for Stop {
    fn from(message: String) -> Self {
        Self { message, bound: None }
    }
}

impl From<Bound> for Stop {
    fn from(bound: Bound) -> Self {
        Self { message: bound.to_string(), bound: Some(bound) }
    }
}

type Executed<T> = Result<T, Stop>;

/// What comes behind a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// A place in the template, and how errors show it.
#[derive(Clone, Copy)]
struct Place<'a> {
    position: usize,
    shown: &'a dyn fmt::Display,
}

struct Executor<'a, 'o> {
    template: &'a Template,
    /// The text that is executed: the template's, or one of its library.
    source: &'a Template,
    escape: Escape,
    data: &'a dyn Data,
    budget: Budget,
    out: &'o mut Vec<u8>,
    /// Where the output of this execution begins.
    start: usize,
    /// Without `$` of the outermost template, which is the data.
    variables: Vec<(&'a str, Value<'a>)>,
    /// Arguments of the calls that are under way.
    stack: Vec<Value<'a>>,
    /// The name of the template that is executed.
    executed: &'a str,
    at: Place<'a>,
    depth: u32,
}

impl<'a> Executor<'a, '_> {
    fn error(&self, stop: Stop) -> ExecuteError {
        let (line, column) = line_and_column(&self.source.text, self.at.position);
        ExecuteError {
            name: self.source.name.as_str().into(),
            executed: self.executed.into(),
            line,
            column,
            context: self.at.shown.to_string().into(),
            message: stop.message.into(),
            bound: stop.bound,
        }
    }

    fn be_at(&mut self, position: usize, shown: &'a dyn fmt::Display) {
        self.at = Place { position, shown };
    }

    fn be_at_term(&mut self, term: &'a Term) {
        self.be_at(term.position, term);
    }

    // ── nodes ──

    fn walk(&mut self, nodes: &'a [Node], dot: &Value<'a>) -> Executed<Flow> {
        for node in nodes {
            self.budget.step()?;
            let flow = match node {
                Node::Text(text) => {
                    self.sink().write(text.as_bytes())?;
                    Flow::Next
                }
                Node::Action(pipeline) => {
                    self.action(pipeline, dot)?;
                    Flow::Next
                }
                Node::If(branch) => self.branch(branch, dot, false)?,
                Node::With(branch) => self.branch(branch, dot, true)?,
                Node::Range(branch) => self.range(branch, dot)?,
                Node::Template(call) => self.template(call, dot)?,
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn sink(&mut self) -> Sink<'_> {
        let written = self.out.len() - self.start;
        let left = self.budget.output_most().saturating_sub(written);
        Sink::new(self.out, left, self.budget.output_bound())
    }

    fn action(&mut self, pipeline: &'a Pipeline, dot: &Value<'a>) -> Executed<()> {
        // A label that is only shown goes straight from the data to the output.
        if let (Value::Root, Some((name, term))) = (dot, pipeline.plain_field()) {
            self.be_at_term(term);
            let data = self.data;
            let value = data.get(name).unwrap_or_else(|| data.missing().value());
            return Ok(show(&value, &mut self.sink())?);
        }
        let value = self.pipeline(pipeline, dot)?;
        if pipeline.variables.is_empty() {
            self.be_at(pipeline.position, pipeline);
            let value = self.whole(value)?;
            match self.escape {
                Escape::Nothing => show(&value, &mut self.sink())?,
                Escape::Html => self.show_in_html(&value)?,
            }
        }
        Ok(())
    }

    fn enter(&mut self) -> Executed<()> {
        self.depth = self.budget.enter(self.depth)?;
        Ok(())
    }

    fn branch(&mut self, branch: &'a Branch, dot: &Value<'a>, is_with: bool) -> Executed<Flow> {
        self.enter()?;
        let outside = self.variables.len();
        let value = self.pipeline(&branch.pipeline, dot)?;
        let flow = match (self.whole_is_true(&value), is_with) {
            (true, true) => self.walk(&branch.body, &value)?,
            (true, false) => self.walk(&branch.body, dot)?,
            (false, _) => self.walk(&branch.otherwise, dot)?,
        };
        self.variables.truncate(outside);
        self.depth -= 1;
        Ok(flow)
    }

    fn whole_is_true(&self, value: &Value<'a>) -> bool {
        match value {
            Value::Root => !self.data.entries().is_empty(),
            value => value.is_true(),
        }
    }

    fn template(&mut self, call: &'a TemplateCall, dot: &Value<'a>) -> Executed<Flow> {
        self.be_at(call.position, call);
        let named = self.named(call.name.as_bytes())?;
        self.enter()?;
        let value = match &call.pipeline {
            Some(pipeline) => self.pipeline(pipeline, dot)?,
            None => Value::Nil,
        };
        self.execute_named(named, &value)?;
        self.depth -= 1;
        Ok(Flow::Next)
    }

    /// A template that this one may call.
    fn named(&self, name: &[u8]) -> Executed<Named<'a>> {
        let template = self.template;
        let known = std::str::from_utf8(name).ok().and_then(|name| template.find(name));
        let missing = || format!("template {} not defined", model::quote_go(name));
        Ok(known.ok_or_else(missing)?)
    }

    fn execute_named(&mut self, named: Named<'a>, value: &Value<'a>) -> Executed<()> {
        let own = vec![("$", self.copied(value)?)];
        let outside = std::mem::replace(&mut self.variables, own);
        let executed = std::mem::replace(&mut self.executed, named.name);
        let calling = std::mem::replace(&mut self.source, named.source);
        self.walk(named.nodes, value)?;
        (self.variables, self.executed, self.source) = (outside, executed, calling);
        Ok(())
    }

    /// What a template of the text writes, as a value instead.
    fn template_as_value(&mut self, name: &Value<'a>, data: &Value<'a>) -> Executed<Value<'a>> {
        let Value::Text(name) = name else { return Ok(Value::Nil) };
        let named = self.named(name)?;
        self.enter()?;
        let before = self.out.len();
        self.execute_named(named, data)?;
        self.depth -= 1;
        let written = self.out.split_off(before);
        self.budget.made(written.len())?;
        Ok(written.into())
    }

    // ── pipelines ──

    /// The value of a pipeline, which its variables have then.
    fn pipeline(&mut self, pipeline: &'a Pipeline, dot: &Value<'a>) -> Executed<Value<'a>> {
        self.be_at(pipeline.position, pipeline);
        let mut value = None;
        for command in &pipeline.commands {
            value = Some(self.command(command, dot, value)?);
        }
        let value = value.unwrap_or_default();
        for name in &pipeline.variables {
            let kept = self.copied(&value)?;
            if pipeline.is_assignment {
                self.assign(name, kept);
            } else {
                self.variables.push((name, kept));
            }
        }
        Ok(value)
    }

    /// The parser has seen that there is such a variable.
    fn assign(&mut self, name: &str, value: Value<'a>) {
        match self.variables.iter_mut().rev().find(|(known, _)| *known == name) {
            Some((_, place)) => *place = value,
            // `$` of the outermost template.
            None => self.variables.insert(0, ("$", value)),
        }
    }

    /// A command, which gets the value of the one before as its last argument.
    fn command(
        &mut self,
        command: &'a Command,
        dot: &Value<'a>,
        last: Option<Value<'a>>,
    ) -> Executed<Value<'a>> {
        let first = &command.first;
        match &first.kind {
            TermKind::Function(term) => {
                self.be_at_term(first);
                let place = Place { position: command.position, shown: command };
                self.call(term, place, &command.arguments, dot, last)
            }
            TermKind::Field(_) | TermKind::Variable(..) | TermKind::Chain(..) => {
                self.term_with_arguments(first, &command.arguments, dot, last)
            }
            _ => {
                self.be_at_term(first);
                if last.is_some() || !command.arguments.is_empty() {
                    return Err(format!("can't give argument to non-function {first}").into());
                }
                match &first.kind {
                    TermKind::Nil => Err("nil is not a command".to_owned().into()),
                    _ => self.term(first, dot),
                }
            }
        }
    }

    /// The value of a term that stands for itself.
    fn term(&mut self, term: &'a Term, dot: &Value<'a>) -> Executed<Value<'a>> {
        self.be_at_term(term);
        match &term.kind {
            TermKind::Dot => self.copied(dot),
            TermKind::Nil => Ok(Value::Nil),
            TermKind::Bool(value) => Ok(Value::Bool(*value)),
            TermKind::Text { value, .. } => Ok(Value::text(value)),
            TermKind::Number(number) => match (number.is_float, number.float, number.int) {
                (true, Some(float), _) => Ok(Value::Float(float)),
                (_, _, Some(int)) => Ok(Value::Int(int)),
                _ => Err(format!("{} overflows int", number.source).into()),
            },
            TermKind::Pipeline(pipeline) => {
                self.enter()?;
                let value = self.pipeline(pipeline, dot)?;
                self.depth -= 1;
                Ok(value)
            }
            TermKind::Function(function) => {
                let place = Place { position: term.position, shown: term };
                self.call(function, place, &[], dot, None)
            }
            TermKind::Field(_) | TermKind::Variable(..) | TermKind::Chain(..) => {
                self.term_with_arguments(term, &[], dot, None)
            }
        }
    }

    /// A copy, whose bytes count as made.
    fn copied(&mut self, value: &Value<'a>) -> Executed<Value<'a>> {
        self.budget.made(value.owned_bytes())?;
        Ok(value.clone())
    }

    /// The data itself, where the value stands for it.
    fn whole(&mut self, value: Value<'a>) -> Executed<Value<'a>> {
        match value {
            Value::Root => {
                let (entries, missing) = (self.data.entries(), self.data.missing());
                self.budget.take_steps(entries.len())?;
                Ok(Value::Map(Arc::new(Map { entries, missing })))
            }
            value => Ok(value),
        }
    }
}
