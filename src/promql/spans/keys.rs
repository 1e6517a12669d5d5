//! The labels that keys of measures have as series.

use super::shapes::SeriesSource;
use model::{Labels, LabelsBuilder};
use trace_store::{EdgeKey, EdgeKind, MeasureKey, SpanKey};

/// A key whose texts can be told.
pub(super) trait Shown: MeasureKey {
    const SOURCE: SeriesSource;

    /// The labels of its series; `None` if it has none.
    fn labels(self, text: &dyn Fn(u32) -> String) -> Option<Labels>;

    fn has_one_side(self) -> bool;

    /// What tells it from other keys with the same texts.
    fn code(self) -> [u8; 3];
}

impl Shown for SpanKey {
    const SOURCE: SeriesSource = SeriesSource::Spans;

    fn labels(self, text: &dyn Fn(u32) -> String) -> Option<Labels> {
        const KINDS: [&str; 6] =
            ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
        const STATUSES: [&str; 3] = ["UNSET", "OK", "ERROR"];
        let kind = KINDS.get(usize::from(self.kind))?;
        let status = STATUSES.get(usize::from(self.status))?;
        let mut labels = LabelsBuilder::new();
        labels.set("service", &self.service.map_or_else(String::new, text));
        labels.set("span_name", &text(self.name));
        labels.set("span_kind", &format!("SPAN_KIND_{kind}"));
        labels.set("status_code", &format!("STATUS_CODE_{status}"));
        Some(labels.build())
    }

    fn has_one_side(self) -> bool {
        true
    }

    fn code(self) -> [u8; 3] {
        [self.kind, self.status, u8::from(self.service.is_some())]
    }
}

/// The client of calls from outside.
const USER: &str = "user";

impl Shown for EdgeKey {
    const SOURCE: SeriesSource = SeriesSource::Edges;

    fn labels(self, text: &dyn Fn(u32) -> String) -> Option<Labels> {
        let kind = match self.kind {
            EdgeKind::Call => "",
            EdgeKind::Messaging => "messaging_system",
            EdgeKind::Database => "database",
            EdgeKind::Virtual => "virtual_node",
            EdgeKind::Untold => return None,
        };
        let mut labels = LabelsBuilder::new();
        labels.set("client", &self.client.map_or_else(|| USER.to_owned(), text));
        labels.set("server", &text(self.server));
        labels.set("connection_type", kind);
        Some(labels.build())
    }

    fn has_one_side(self) -> bool {
        !self.kind.has_both_sides()
    }

    fn code(self) -> [u8; 3] {
        [self.kind as u8, 0, u8::from(self.client.is_some())]
    }
}
