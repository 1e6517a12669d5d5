//! Calls of functions: their arguments are evaluated, checked against what the function declares, and
//! handed over.

use super::{Executed, Executor, Place, Stop};
use crate::registry::{Arguments, Call, Failure, Function, Kind, Run};
use crate::tree::{FunctionTerm, Term, TermKind};
use crate::value::Value;

/// About as much text as a regular expression goes through in the time of a step.
const TEXT_BYTES_PER_STEP: usize = 256;

impl<'a> Executor<'a, '_> {
    pub(super) fn call(
        &mut self,
        term: &'a FunctionTerm,
        place: Place<'a>,
        arguments: &'a [Term],
        dot: &Value<'a>,
        last: Option<Value<'a>>,
    ) -> Executed<Value<'a>> {
        self.budget.step()?;
        let function = &term.function;
        check_count(function, arguments.len() + usize::from(last.is_some()), arguments.len())?;
        match function.run {
            Run::And => return self.and_or(false, arguments, dot, last),
            Run::Or => return self.and_or(true, arguments, dot, last),
            Run::Pure(_) | Run::Data | Run::Template => {}
        }
        let base = self.stack.len();
        for (index, argument) in arguments.iter().enumerate() {
            let kind = function.kind_at(index).unwrap_or(Kind::Any);
            let value = self.argument(argument, kind, dot)?;
            self.stack.push(value);
        }
        if let Some(value) = last {
            let kind = function.kind_at(arguments.len()).unwrap_or(Kind::Any);
            let value = self.checked(value, kind)?;
            self.stack.push(value);
        }
        self.take_steps_of_texts(base)?;
        if matches!(function.run, Run::Template) {
            let data = self.stack.pop().unwrap_or_default();
            let name = self.stack.pop().unwrap_or_default();
            self.stack.truncate(base);
            return self.template_as_value(&name, &data);
        }
        let result = self.run(term, base);
        self.stack.truncate(base);
        let value = result.map_err(|failure| {
            self.at = place;
            match failure {
                Failure::Message(message) => {
                    Stop::from(format!("error calling {}: {message}", function.name))
                }
                Failure::Bound(bound) => Stop::from(bound),
            }
        })?;
        self.budget.made(value.owned_bytes())?;
        Ok(value)
    }

    /// What a call costs beside itself: functions go through the texts that they get.
    fn take_steps_of_texts(&mut self, base: usize) -> Executed<()> {
        let values = self.stack.get(base..).unwrap_or_default();
        let bytes = values.iter().map(|value| match value {
            Value::Text(text) => text.len(),
            _ => 0,
        });
        let steps = bytes.sum::<usize>() / TEXT_BYTES_PER_STEP;
        Ok(self.budget.take_steps(steps)?)
    }

    fn run(&mut self, term: &'a FunctionTerm, base: usize) -> Result<Value<'a>, Failure> {
        let values = self.stack.get_mut(base..).unwrap_or_default();
        let mut arguments = Arguments::new(values);
        match term.function.run {
            Run::Pure(run) => run(&mut Call { term, budget: &mut self.budget }, &mut arguments),
            Run::Data => self.data.call(term.function.name, &mut arguments),
            Run::And | Run::Or | Run::Template => Ok(Value::Nil),
        }
    }

    /// `and` and `or`: the first argument that decides, or the last one.
    fn and_or(
        &mut self,
        is_or: bool,
        arguments: &'a [Term],
        dot: &Value<'a>,
        last: Option<Value<'a>>,
    ) -> Executed<Value<'a>> {
        let mut value = Value::Nil;
        for argument in arguments {
            value = self.argument(argument, Kind::Any, dot)?;
            if value.is_true() == is_or {
                return Ok(value);
            }
        }
        match last {
            Some(last) => self.checked(last, Kind::Any),
            None => Ok(value),
        }
    }

    fn argument(&mut self, term: &'a Term, kind: Kind, dot: &Value<'a>) -> Executed<Value<'a>> {
        self.be_at_term(term);
        let found = |what: &str| Err(format!("expected {what}; found {term}").into());
        match (&term.kind, kind) {
            (TermKind::Nil, Kind::Any) => Ok(Value::Nil),
            (TermKind::Nil, _) => Err(format!("cannot assign nil to {}", kind.type_name()).into()),
            (TermKind::Bool(_) | TermKind::Number(_) | TermKind::Text { .. }, Kind::Any) => {
                self.term(term, dot)
            }
            (TermKind::Bool(value), Kind::Bool) => Ok(Value::Bool(*value)),
            (TermKind::Text { value, .. }, Kind::Text) => Ok(Value::text(value)),
            (TermKind::Number(number), Kind::Int) => match number.int {
                Some(value) => Ok(Value::Int(value)),
                None => found("integer"),
            },
            (TermKind::Number(number), Kind::Float) => match number.float {
                Some(value) => Ok(Value::Float(value)),
                None => found("float"),
            },
            (TermKind::Bool(_) | TermKind::Number(_) | TermKind::Text { .. }, kind) => match kind {
                Kind::Text => found("string"),
                Kind::Int => found("integer"),
                Kind::Float => found("float"),
                Kind::Bool => found("bool"),
                Kind::Time | Kind::Any => {
                    let wanted = kind.type_name();
                    Err(format!("can't handle {term} for arg of type {wanted}").into())
                }
            },
            _ => {
                let value = self.term(term, dot)?;
                self.checked(value, kind)
            }
        }
    }

    /// A value that a parameter takes.
    fn checked(&mut self, value: Value<'a>, kind: Kind) -> Executed<Value<'a>> {
        match (&value, kind) {
            (_, Kind::Any) => Ok(self.whole(value)?.plain()),
            (Value::Object(_), _) => self.checked(value.plain(), kind),
            (Value::Text(_), Kind::Text)
            | (Value::Int(_), Kind::Int)
            | (Value::Float(_), Kind::Float)
            | (Value::Bool(_), Kind::Bool)
            | (Value::Time(_), Kind::Time) => Ok(value),
            (Value::Nil, _) => Err(format!("invalid value; expected {}", kind.type_name()).into()),
            (value, _) => {
                let (wanted, got) = (kind.type_name(), value.type_name());
                Err(format!("wrong type for value; expected {wanted}; got {got}").into())
            }
        }
    }
}

fn check_count(function: &Function, count: usize, written: usize) -> Result<(), Stop> {
    let (name, wanted) = (function.name, function.parameters.len());
    if function.rest.is_some() {
        if count >= wanted {
            return Ok(());
        }
        let message =
            format!("wrong number of args for {name}: want at least {wanted} got {written}");
        return Err(message.into());
    }
    if count == wanted {
        return Ok(());
    }
    Err(format!("wrong number of args for {name}: want {wanted} got {count}").into())
}
