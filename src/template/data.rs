//! What the caller gives to an execution.

use crate::registry::{Arguments, Failure};
use crate::value::{Map, Missing, Value};
use std::collections::BTreeMap;

/// The data of one execution: what `.` and `$` are at the beginning, and what the caller's own
/// functions do. Keys are looked up when a template asks for them, so that nothing is copied before.
pub trait Data {
    fn get(&self, key: &str) -> Option<Value<'_>>;

    /// All of it, for templates that go through the keys or show everything.
    fn entries(&self) -> BTreeMap<String, Value<'_>>;

    /// What stands for a key that there is not.
    fn missing(&self) -> Missing {
        Missing::EmptyText
    }

    /// Answers a function that is declared as [`crate::Run::Data`].
    fn call<'a>(
        &'a self,
        name: &str,
        arguments: &mut Arguments<'a, '_>,
    ) -> Result<Value<'a>, Failure> {
        let _ = arguments;
        Err(Failure::message(format!("{name} is not available here")))
    }
}

impl Data for Map<'_> {
    fn get(&self, key: &str) -> Option<Value<'_>> {
        self.entries.get(key).cloned()
    }

    fn entries(&self) -> BTreeMap<String, Value<'_>> {
        self.entries.clone()
    }

    fn missing(&self) -> Missing {
        self.missing
    }
}
