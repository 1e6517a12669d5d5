//! Values with fields and methods of their own, as Go's structs and named types have them.

use crate::value::Value;
use std::fmt;

/// For what a text is safe that a template marked so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Safe {
    Html,
    Url,
}

/// A value that the caller made. What it hands out is owned, so that it may outlive the object.
pub trait Object: fmt::Debug + Send + Sync {
    /// The name of its type in Go, for messages.
    fn type_name(&self) -> &'static str;

    /// A field, or what a method without arguments answers.
    fn get(&self, name: &str) -> Option<Value<'static>>;

    /// The names of its methods that take arguments.
    fn methods(&self) -> &'static [&'static str] {
        &[]
    }

    /// Answers one of [`Self::methods`].
    fn call(&self, name: &str, arguments: &[Value<'_>]) -> Result<Value<'static>, String> {
        let _ = arguments;
        Err(format!("{name} is not a method of {}", self.type_name()))
    }

    /// The list, the map or the text that it stands for, in functions and loops.
    fn plain(&self) -> Value<'static>;

    /// What is shown of it, where that is not what it stands for.
    fn text(&self) -> Option<String> {
        None
    }

    fn safe(&self) -> Option<Safe> {
        None
    }

    /// The memory that was taken for it, roughly.
    fn bytes(&self) -> usize {
        size_of::<Value<'_>>()
    }
}
