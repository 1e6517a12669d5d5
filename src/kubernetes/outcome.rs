//! What became of an object, for the page and the API that say so.

use crate::Object;

/// An object, and what was made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub file: String,
    pub line: usize,
    pub verdict: Verdict,
    /// What is tolerated, but not what its author may expect.
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The jobs, groups of rules or receivers that it became.
    Became(Vec<String>),
    /// Why it became nothing.
    Refused(String),
    /// It becomes nothing by itself: targets may be found in it (a Service, its endpoints, a Pod, …).
    Discovered,
    /// It becomes nothing by itself: others may refer to its values (a Secret, a ConfigMap).
    Values,
    /// Nothing is made of objects of its kind.
    Unused,
}

impl Outcome {
    pub(crate) fn new(object: &Object, verdict: Verdict) -> Self {
        Self {
            kind: object.kind.clone(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
            file: object.file.clone(),
            line: object.line,
            verdict,
            warnings: Vec::new(),
        }
    }
}
