//! Stages that make labels of what a line says.
//!
//! Of two values of one name the first counts. A name that the line's stream or its fields have already
//! gets [`EXTRACTED`] appended. Only labels that somebody looks at are extracted; where that is no label,
//! the line is not even read, and where all have been found, the rest of it is not: what would be wrong
//! there is no error then, as in Loki.

use super::field_reader::FieldReader;
use super::labels::{ERROR, ERROR_DETAILS, EXTRACTED, LineLabels};
use super::{Compiling, EarlyFilters, Line, LineState, Wanted};
use crate::ast::StageKind;
use crate::extract::{Buffers, ExtractError, Fields, unpack};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A stage that extracts labels, compiled.
#[derive(Debug)]
pub(super) struct Extractor {
    method: Method,
    wanted: WantedNames,
    early: Arc<EarlyFilters>,
}

#[derive(Debug)]
enum Method {
    Fields(FieldReader),
    Unpack,
}

impl Method {
    fn can_fail(&self) -> bool {
        match self {
            Self::Fields(reader) => reader.can_fail(),
            Self::Unpack => true,
        }
    }
}

/// The labels that somebody looks at, and the names under which lines may have them.
#[derive(Debug)]
enum WantedNames {
    All,
    These { labels: Names, names: Names },
}

/// A few names, most of which differ from others in their length: looking at all of them costs less
/// than a search would.
#[derive(Debug)]
struct Names(Vec<String>);

impl Names {
    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|known| known.len() == name.len() && known == name)
    }
}

impl WantedNames {
    /// `can_fail`: whether the stage may make the labels that tell errors.
    fn new(wanted: &Wanted, can_fail: bool) -> Self {
        let Wanted::These(labels) = wanted else { return Self::All };
        let mut labels = labels.clone();
        labels.retain(|name| can_fail || (name != ERROR && name != ERROR_DETAILS));
        let renamed = labels.iter().filter_map(|name| name.strip_suffix(EXTRACTED));
        let names: BTreeSet<&str> = labels.iter().map(String::as_str).chain(renamed).collect();
        let names = Names(names.into_iter().map(str::to_owned).collect());
        Self::These { labels: Names(labels.iter().cloned().collect()), names }
    }

    fn has_name(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::These { names, .. } => names.has(name),
        }
    }

    fn has_name_below(&self, prefix: &str) -> bool {
        match self {
            Self::All => true,
            Self::These { names, .. } => names.0.iter().any(|name| name.starts_with(prefix)),
        }
    }

    fn has_label(&self, label: &str) -> bool {
        match self {
            Self::All => true,
            Self::These { labels, .. } => labels.has(label),
        }
    }

    fn is_nothing(&self) -> bool {
        matches!(self, Self::These { labels, .. } if labels.0.is_empty())
    }

    /// Whether the rest of the line can't matter. Where its mistakes would be errors, all labels must have
    /// been extracted, as in Loki; otherwise the line may also have them from elsewhere.
    fn are_settled(&self, labels: &LineLabels<'_>, can_fail: bool) -> bool {
        let is_settled =
            |name: &String| labels.is_parsed(name) || (!can_fail && labels.is_taken(name));
        match self {
            Self::All => false,
            Self::These { labels: wanted, .. } => wanted.0.iter().all(is_settled),
        }
    }
}

impl Extractor {
    /// `Err`: what is wrong with the stage.
    pub(super) fn new(kind: &StageKind, compiling: &Compiling<'_>) -> Result<Self, String> {
        let method = match kind {
            StageKind::Unpack => Method::Unpack,
            other => Method::Fields(FieldReader::new(other)?),
        };
        let wanted = WantedNames::new(compiling.wanted, method.can_fail());
        let early = Arc::clone(compiling.early);
        Ok(Self { method, wanted, early })
    }

    /// Unpacking makes another line.
    pub(super) fn makes_lines(&self) -> bool {
        matches!(self.method, Method::Unpack)
    }

    /// `false` where a condition on an extracted label does not hold.
    pub(super) fn run(&self, state: &mut LineState<'_>, buffers: &mut Buffers) -> bool {
        let can_fail = self.method.can_fail();
        let is_settled = !can_fail && self.wanted.are_settled(&state.labels, can_fail);
        if is_settled || (self.wanted.is_nothing() && !self.makes_lines()) {
            return true;
        }
        let LineState { labels, line, .. } = state;
        let (mut sink, text) = (Sink { extractor: self, labels, is_dropped: false }, line.bytes());
        let (mut entry, mut is_packed) = (Vec::new(), false);
        let outcome = match &self.method {
            Method::Fields(reader) => reader.extract(text, buffers, &mut sink),
            Method::Unpack => unpack::unpack(text, buffers, &mut entry, &mut sink)
                .map(|packed| is_packed = packed),
        };
        let is_dropped = sink.is_dropped;
        if let Err(error) = outcome {
            set_error(&error, labels);
        }
        if is_packed {
            *line = Line::Made(entry);
        }
        !is_dropped
    }
}

fn set_error(error: &ExtractError, labels: &mut LineLabels<'_>) {
    labels.set_error(error.code(), &error.details().unwrap_or_default());
}

/// Makes labels of fields.
struct Sink<'s, 'a> {
    extractor: &'s Extractor,
    labels: &'s mut LineLabels<'a>,
    is_dropped: bool,
}

impl Sink<'_, '_> {
    fn set(&mut self, label: &str, value: &str) -> ControlFlow<()> {
        let Extractor { wanted, early, .. } = self.extractor;
        if !wanted.has_label(label) || self.labels.is_parsed(label) {
            return ControlFlow::Continue(());
        }
        self.labels.set_parsed(label, value);
        if !early.pass(label, self.labels) {
            self.is_dropped = true;
            return ControlFlow::Break(());
        }
        match wanted.are_settled(self.labels, self.extractor.method.can_fail()) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

impl Fields for Sink<'_, '_> {
    fn wants(&self, name: &str) -> bool {
        self.extractor.wanted.has_name(name)
    }

    fn wants_below(&self, prefix: &str) -> bool {
        self.extractor.wanted.has_name_below(prefix)
    }

    fn field(&mut self, name: &str, value: &str) -> ControlFlow<()> {
        if self.labels.is_taken(name) {
            return self.set(&format!("{name}{EXTRACTED}"), value);
        }
        self.set(name, value)
    }

    fn absent(&mut self, name: &str) {
        if self.labels.get(name).is_none() && self.extractor.wanted.has_label(name) {
            self.labels.set_parsed(name, "");
        }
    }
}
