//! Fields of values, `.a.b`, `$x.a` and `(pipeline).a`, and methods of times and durations.

use super::{Executed, Executor, methods};
use crate::registry::Arguments;
use crate::tree::{Term, TermKind};
use crate::value::Value;

impl<'a> Executor<'a, '_> {
    /// A term that may end with a method, which then gets the arguments.
    pub(super) fn term_with_arguments(
        &mut self,
        term: &'a Term,
        arguments: &'a [Term],
        dot: &Value<'a>,
        last: Option<Value<'a>>,
    ) -> Executed<Value<'a>> {
        self.be_at_term(term);
        match &term.kind {
            TermKind::Field(names) => self.fields(dot, names, arguments, dot, last),
            TermKind::Variable(name, names) if names.is_empty() => {
                if last.is_some() || !arguments.is_empty() {
                    return Err(format!("can't give argument to non-function {name}").into());
                }
                self.variable(name)
            }
            TermKind::Variable(name, names) => {
                let receiver = self.variable(name)?;
                self.fields(&receiver, names, arguments, dot, last)
            }
            TermKind::Chain(inner, names) => {
                let receiver = self.term(inner, dot)?;
                self.be_at_term(term);
                self.fields(&receiver, names, arguments, dot, last)
            }
            _ => self.term(term, dot),
        }
    }

    fn variable(&mut self, name: &'a str) -> Executed<Value<'a>> {
        let found = self.variables.iter().rev().find(|(known, _)| *known == name);
        match found.map(|(_, value)| value) {
            Some(value) => {
                self.budget.made(value.owned_bytes())?;
                Ok(value.clone())
            }
            // `$` of the outermost template.
            None if name == "$" => Ok(Value::Root),
            None => Err(format!("undefined variable: {name}").into()),
        }
    }

    fn fields(
        &mut self,
        receiver: &Value<'a>,
        names: &'a [String],
        arguments: &'a [Term],
        dot: &Value<'a>,
        last: Option<Value<'a>>,
    ) -> Executed<Value<'a>> {
        let Some((name, names)) = names.split_last() else { return self.copied(receiver) };
        if matches!(receiver, Value::Nil) && arguments.is_empty() && last.is_none() {
            return Ok(Value::Nil);
        }
        let mut inner = None;
        for name in names {
            let value = inner.as_ref().unwrap_or(receiver);
            inner = Some(self.field(value, name, inner.is_some())?);
        }
        let is_inner = inner.is_some();
        let receiver = inner.as_ref().unwrap_or(receiver);
        if methods::has(receiver, name) {
            return self.method(receiver, name, arguments, dot, last);
        }
        if last.is_some() || !arguments.is_empty() {
            return Err(format!("{name} is not a method but has arguments").into());
        }
        self.field(receiver, name, is_inner)
    }

    /// `is_inner`: the receiver was a field itself, so that its lacking is a mistake.
    fn field(
        &mut self,
        receiver: &Value<'a>,
        name: &'a str,
        is_inner: bool,
    ) -> Executed<Value<'a>> {
        match receiver {
            Value::Root => {
                let data = self.data;
                Ok(data.get(name).unwrap_or_else(|| data.missing().value()))
            }
            Value::Object(object) => {
                let value = object.get(name);
                let value = value.ok_or_else(|| {
                    format!("can't evaluate field {name} in type {}", object.type_name())
                })?;
                self.budget.made(value.owned_bytes())?;
                Ok(value)
            }
            Value::Map(map) => {
                let value = map.get(name);
                self.budget.made(value.owned_bytes())?;
                Ok(value)
            }
            Value::Nil if is_inner => {
                Err(format!("nil pointer evaluating interface {{}}.{name}").into())
            }
            Value::Nil => Ok(Value::Nil),
            other if methods::has(other, name) => self.method(other, name, &[], &Value::Nil, None),
            other => {
                Err(format!("can't evaluate field {name} in type {}", other.type_name()).into())
            }
        }
    }

    fn method(
        &mut self,
        receiver: &Value<'a>,
        name: &'a str,
        arguments: &'a [Term],
        dot: &Value<'a>,
        last: Option<Value<'a>>,
    ) -> Executed<Value<'a>> {
        self.budget.step()?;
        let place = self.at;
        let mut values = Vec::with_capacity(arguments.len() + 1);
        for argument in arguments {
            values.push(self.term(argument, dot)?);
        }
        values.extend(last);
        self.at = place;
        let value = methods::call(receiver, name, &mut Arguments::new(&mut values))?;
        self.budget.made(value.owned_bytes())?;
        Ok(value)
    }
}
