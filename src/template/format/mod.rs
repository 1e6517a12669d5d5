//! Values as text, as Go's fmt writes them: by default (`print`), and with verbs (`printf`).
//!
//! Lives here: the default texts, `print` and `println`. `verbs`: the directives of `printf` and what
//! they take. `one`: one value with one verb. `number`: whole numbers and floats.
//! Invariants: what is written never grows beyond what the caller allows; a wrong verb is no error but
//! a text such as `%!d(string=x)`, as in Go.

mod number;
mod one;
mod verbs;

pub(crate) use verbs::printf;

use crate::bounds::Bound;
use crate::time::{format_duration, show_default};
use crate::value::Value;
use verbs::Flags;

/// Where text goes, up to a number of bytes.
#[derive(Debug)]
pub(crate) struct Sink<'o> {
    out: &'o mut Vec<u8>,
    /// The length that the buffer may reach.
    most: usize,
    bound: Bound,
}

impl<'o> Sink<'o> {
    /// A sink that takes `most` bytes more.
    pub(crate) fn new(out: &'o mut Vec<u8>, most: usize, bound: Bound) -> Self {
        let most = out.len().saturating_add(most);
        Self { out, most, bound }
    }

    #[inline]
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Bound> {
        if bytes.len() > self.most.saturating_sub(self.out.len()) {
            return Err(self.bound);
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn repeat(&mut self, byte: u8, count: usize) -> Result<(), Bound> {
        if count > self.most.saturating_sub(self.out.len()) {
            return Err(self.bound);
        }
        self.out.resize(self.out.len() + count, byte);
        Ok(())
    }
}

/// A float with a number of significant digits, as `%.4g` writes it with 4.
pub(crate) fn significant(value: f64, digits: usize) -> String {
    number::float(value, 'g', &Flags { precision: Some(digits), ..Flags::default() })
}

/// A value as an action shows it.
pub(crate) fn show(value: &Value<'_>, sink: &mut Sink<'_>) -> Result<(), Bound> {
    match value {
        Value::Nil => sink.write(b"<no value>"),
        value => write_value(value, sink),
    }
}

/// A value as `print` and `%v` show it.
pub(crate) fn write_value(value: &Value<'_>, sink: &mut Sink<'_>) -> Result<(), Bound> {
    match value {
        Value::Text(text) => sink.write(text),
        Value::Nil => sink.write(b"<nil>"),
        Value::Bool(value) => sink.write(if *value { b"true" } else { b"false" }),
        Value::Int(value) => sink.write(value.to_string().as_bytes()),
        Value::Float(value) => sink.write(model::format_float_go(*value).as_bytes()),
        Value::Time(time) => sink.write(show_default(time).as_bytes()),
        Value::Duration(nanoseconds) => sink.write(format_duration(*nanoseconds).as_bytes()),
        Value::List(_) | Value::Map(_) => write_items(value, sink, &mut write_value),
        Value::Object(object) => match object.text() {
            Some(text) => sink.write(text.as_bytes()),
            None => write_value(&object.plain(), sink),
        },
        // The executor replaces it before anything is written.
        Value::Root => sink.write(b"map[]"),
    }
}

/// `[a b]` or `map[a:1 b:2]`, each value written in the caller's way.
fn write_items(
    value: &Value<'_>,
    sink: &mut Sink<'_>,
    write: &mut dyn FnMut(&Value<'_>, &mut Sink<'_>) -> Result<(), Bound>,
) -> Result<(), Bound> {
    let space = |index: usize| if index > 0 { &b" "[..] } else { b"" };
    match value {
        Value::List(items) => {
            sink.write(b"[")?;
            for (index, item) in items.iter().enumerate() {
                sink.write(space(index))?;
                write(item, sink)?;
            }
        }
        Value::Map(map) => {
            sink.write(b"map[")?;
            for (index, (key, item)) in map.entries.iter().enumerate() {
                sink.write(space(index))?;
                sink.write(key.as_bytes())?;
                sink.write(b":")?;
                write(item, sink)?;
            }
        }
        _ => return Ok(()),
    }
    sink.write(b"]")
}

/// All values one after the other, with spaces between two that are no texts.
pub(crate) fn print(values: &[Value<'_>], sink: &mut Sink<'_>) -> Result<(), Bound> {
    let is_text = |value: &Value<'_>| matches!(value, Value::Text(_));
    let mut last_is_text = true;
    for value in values {
        if !last_is_text && !is_text(value) {
            sink.write(b" ")?;
        }
        write_value(value, sink)?;
        last_is_text = is_text(value);
    }
    Ok(())
}

/// All values with spaces between, and a line end.
pub(crate) fn println(values: &[Value<'_>], sink: &mut Sink<'_>) -> Result<(), Bound> {
    for (index, value) in values.iter().enumerate() {
        sink.write(if index > 0 { b" " } else { b"" })?;
        write_value(value, sink)?;
    }
    sink.write(b"\n")
}
