//! One log line, as a template sees it: its labels by name, its text, its time.

use crate::data::Data;
use crate::registry::{Arguments, Failure, Function};
use crate::time::Time;
use crate::value::Value;
use std::collections::BTreeMap;

/// What depends on the line.
pub(super) const FUNCTIONS: [Function; 3] = [
    Function::of_data("__line__", &[]),
    Function::of_data("__timestamp__", &[]),
    Function::of_data("now", &[]),
];

/// The labels of a line, whatever they are of.
pub trait Labels {
    fn get(&self, name: &str) -> Option<&[u8]>;

    /// All of them, for templates that go through them.
    fn each<'l>(&'l self, visit: &mut dyn FnMut(&'l str, &'l [u8]));
}

/// The data of one line.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'l, L> {
    pub labels: &'l L,
    pub line: &'l [u8],
    /// Nanoseconds since 1970.
    pub timestamp: i64,
    /// What the clock shows, likewise: the same for all lines of a query.
    pub now: i64,
}

impl<L: Labels> Data for Entry<'_, L> {
    fn get(&self, key: &str) -> Option<Value<'_>> {
        self.labels.get(key).map(Value::text)
    }

    fn entries(&self) -> BTreeMap<String, Value<'_>> {
        let mut entries = BTreeMap::new();
        self.labels.each(&mut |name, value| {
            entries.insert(name.to_owned(), Value::text(value));
        });
        entries
    }

    fn call<'a>(&'a self, name: &str, _: &mut Arguments<'a, '_>) -> Result<Value<'a>, Failure> {
        Ok(match name {
            "__line__" => Value::text(self.line),
            "__timestamp__" => Value::Time(Time::from_unix_nanoseconds(self.timestamp)),
            _ => Value::Time(Time::from_unix_nanoseconds(self.now)),
        })
    }
}

impl Labels for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<&[u8]> {
        self.get(name).map(String::as_bytes)
    }

    fn each<'l>(&'l self, visit: &mut dyn FnMut(&'l str, &'l [u8])) {
        self.iter().for_each(|(name, value)| visit(name, value.as_bytes()));
    }
}
