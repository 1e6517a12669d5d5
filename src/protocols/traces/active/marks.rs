//! Spans that are sent while the span that they tell of is in flight.
//!
//! Logfire's: a span of its own below the one it tells of, with `logfire.span_type` `pending_span`; whose
//! child that one is, is said by `logfire.pending_parent_id`. Datadog's: the span itself, with a number in
//! `_dd.partial_version`.

use super::{ActiveSpan, Changes, ToldBy, kept};
use std::sync::Arc;
use wire::SpanRef;
use wire::otlp::{AnyValue, Attribute};

const SPAN_TYPE: &str = "logfire.span_type";
const PENDING: &str = "pending_span";
const PENDING_PARENT: &str = "logfire.pending_parent_id";
const PARTIAL_VERSION: &str = "_dd.partial_version";

/// What says best what a span is busy with.
pub(super) const DETAILS: [&str; 6] =
    ["db.query.text", "db.statement", "url.path", "http.route", "http.target", "url.full"];

/// Takes the spans out of a request that tell of others, and what they tell.
#[derive(Debug, Default)]
pub(crate) struct Lifecycles {
    service: Arc<str>,
    /// Whether there are spans in flight that may end now.
    are_any: bool,
    changes: Changes,
}

impl Lifecycles {
    /// `are_any`: whether the tenant has spans in flight.
    pub(crate) fn new(are_any: bool) -> Self {
        Self { are_any, ..Self::default() }
    }

    pub(crate) fn into_changes(self) -> Changes {
        self.changes
    }

    pub(crate) fn resource(&mut self, attributes: &[Attribute<'_>]) {
        let service = text(attributes, "service.name").unwrap_or_default();
        if *self.service != *service {
            self.service = kept(service);
        }
    }

    /// Whether a span only tells that one is in flight; any other has ended.
    pub(crate) fn takes(&mut self, span: &SpanRef<'_>) -> bool {
        match active(span, &self.service) {
            Some(active) => {
                self.are_any = true;
                self.changes.begun.push(active);
                true
            }
            None => {
                if self.are_any {
                    self.changes.ended.push((span.trace_id, span.span_id));
                }
                false
            }
        }
    }
}

fn text<'a>(attributes: &'a [Attribute<'_>], name: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    match &found.value {
        AnyValue::Text(text) => Some(text),
        _ => None,
    }
}

/// What a span is busy with, by its attributes.
fn detail(attributes: &[Attribute<'_>]) -> Arc<str> {
    kept(DETAILS.iter().find_map(|name| text(attributes, name)).unwrap_or_default())
}

/// An id of a parent; `None` where it is all zeros, or none.
pub(super) fn parent_id(hex: &str) -> Option<[u8; 8]> {
    let number = u64::from_str_radix(hex, 16).ok()?;
    (number != 0).then(|| number.to_be_bytes())
}

/// The span in flight that a span tells of.
fn active(span: &SpanRef<'_>, service: &Arc<str>) -> Option<ActiveSpan> {
    let told_by =
        span.attributes.iter().find_map(|attribute| match (&*attribute.key, &attribute.value) {
            (SPAN_TYPE, AnyValue::Text(text)) if text == PENDING => Some(ToldBy::Pending),
            (PARTIAL_VERSION, AnyValue::Int(version)) if *version >= 0 => Some(ToldBy::Partial),
            (PARTIAL_VERSION, AnyValue::Double(version)) if *version >= 0.0 => {
                Some(ToldBy::Partial)
            }
            _ => None,
        })?;
    let parent = Some(span.parent_span_id).filter(|id| *id != [0; 8]);
    let (span_id, parent_id) = match (told_by, parent) {
        (ToldBy::Pending, Some(of)) => {
            (of, text(span.attributes, PENDING_PARENT).and_then(parent_id))
        }
        (_, parent) => (span.span_id, parent),
    };
    // Logfire adds this to the name of what is pending.
    let name = span.name.strip_suffix(" (pending)").unwrap_or(span.name);
    Some(ActiveSpan {
        key: (span.trace_id, span_id),
        parent_id,
        service: Arc::clone(service),
        name: kept(name),
        detail: detail(span.attributes),
        kind: span.kind,
        start_ns: span.start_ns,
        told_by,
        heartbeat: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute<'a>(key: &'a str, value: AnyValue<'a>) -> Attribute<'a> {
        Attribute { key: key.into(), value }
    }

    fn span<'a>(id: u8, parent: u8, attributes: &'a [Attribute<'a>]) -> SpanRef<'a> {
        SpanRef {
            trace_id: [9; 16],
            span_id: [id; 8],
            parent_span_id: [parent; 8],
            name: "SELECT (pending)",
            start_ns: 7,
            attributes,
            ..SpanRef::default()
        }
    }

    #[test]
    fn a_pending_span_tells_of_its_parent() {
        let attributes = [
            attribute("logfire.span_type", AnyValue::Text("pending_span".into())),
            attribute("logfire.pending_parent_id", AnyValue::Text("0000000000000003".into())),
            attribute("db.statement", AnyValue::Text("SELECT pg_sleep($1)".into())),
        ];
        let mut lifecycles = Lifecycles::new(false);
        lifecycles.resource(&[attribute("service.name", AnyValue::Text("shop".into()))]);
        assert!(lifecycles.takes(&span(8, 2, &attributes)));
        assert!(!lifecycles.takes(&span(2, 3, &[])));
        let changes = lifecycles.into_changes();
        let begun = &changes.begun[0];
        assert_eq!((begun.key, begun.parent_id), (([9; 16], [2; 8]), Some(3u64.to_be_bytes())));
        assert_eq!((&*begun.name, &*begun.service), ("SELECT", "shop"));
        assert_eq!((&*begun.detail, begun.told_by), ("SELECT pg_sleep($1)", ToldBy::Pending));
        assert_eq!(changes.ended, [([9; 16], [2; 8])]);
    }

    #[test]
    fn a_partial_span_tells_of_itself() {
        for version in [AnyValue::Int(1), AnyValue::Double(170.0)] {
            let attributes = [attribute("_dd.partial_version", version)];
            let mut lifecycles = Lifecycles::new(false);
            assert!(lifecycles.takes(&span(8, 2, &attributes)));
            let begun = &lifecycles.into_changes().begun[0];
            assert_eq!((begun.key.1, begun.parent_id), ([8; 8], Some([2; 8])));
        }
    }

    #[test]
    fn other_spans_are_passed_on() {
        let attributes = [
            attribute("logfire.span_type", AnyValue::Text("span".into())),
            attribute("_dd.partial_version", AnyValue::Int(-1)),
        ];
        let mut lifecycles = Lifecycles::new(false);
        assert!(!lifecycles.takes(&span(8, 2, &attributes)));
        assert!(lifecycles.into_changes().ended.is_empty(), "nothing is in flight");
        let mut lifecycles = Lifecycles::new(true);
        assert!(!lifecycles.takes(&span(8, 2, &attributes)));
        assert_eq!(lifecycles.into_changes().ended.len(), 1);
    }
}
