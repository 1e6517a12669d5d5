//! A span while a decoder puts it together, and the way from there into a sink: the same for every
//! format.
//!
//! Lives here: [`SpanParts`], whose lists keep their memory from span to span; [`SpanWriter`], which
//! checks ids, lets the last attribute of a key count, and marks spans whose texts were replaced.
//! Not here: any format.

use crate::otlp::{AnyValue, Attribute};
use crate::span_sink::{
    DecodedSpans, EventRef, LinkRef, SPAN_ID_KIND, SpanRef, SpanSink, TRACE_ID_KIND,
};
use std::borrow::Cow;

/// The attribute of a span, a resource or a scope in whose texts U+FFFD stands in the place of bytes
/// that are not UTF-8.
const INVALID_UTF8: &str = "invalid_utf8";

/// The tags in which OpenTelemetry's exporters for other formats write name and version of a scope, the
/// present names and those before.
const SCOPE_TAGS: [[&str; 2]; 2] =
    [["otel.scope.name", "otel.library.name"], ["otel.scope.version", "otel.library.version"]];

/// What is known of a span so far. Ids that can't be read are `None`.
#[derive(Debug, Default)]
pub(crate) struct SpanParts<'a> {
    pub(crate) trace_id: Option<[u8; 16]>,
    pub(crate) span_id: Option<[u8; 8]>,
    /// All zeros in a span without a parent.
    pub(crate) parent_span_id: Option<[u8; 8]>,
    pub(crate) name: Cow<'a, str>,
    pub(crate) kind: u8,
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    pub(crate) status: u8,
    pub(crate) status_message: Cow<'a, str>,
    pub(crate) trace_state: Cow<'a, str>,
    pub(crate) flags: u32,
    pub(crate) dropped_attributes: u32,
    pub(crate) dropped_events: u32,
    pub(crate) dropped_links: u32,
    pub(crate) attributes: Vec<Attribute<'a>>,
    pub(crate) events: Vec<EventRef<'a>>,
    pub(crate) links: Vec<LinkRef<'a>>,
    /// The lists of events and links of spans before.
    spare: Vec<Vec<Attribute<'a>>>,
}

impl<'a> SpanParts<'a> {
    /// Forgets the span before, and keeps the memory of its lists.
    pub(crate) fn clear(&mut self) {
        let Self { mut attributes, mut events, mut links, mut spare, .. } = std::mem::take(self);
        attributes.clear();
        let of_events = events.drain(..).map(|event| event.attributes);
        for mut list in of_events.chain(links.drain(..).map(|link| link.attributes)) {
            list.clear();
            spare.push(list);
        }
        *self = Self {
            parent_span_id: Some([0; 8]),
            attributes,
            events,
            links,
            spare,
            ..Self::default()
        };
    }

    /// An empty list for the attributes of an event or a link.
    pub(crate) fn list(&mut self) -> Vec<Attribute<'a>> {
        self.spare.pop().unwrap_or_default()
    }

    /// Removes the attributes of a key; answers the last one's value.
    pub(crate) fn take_attribute(&mut self, key: &str) -> Option<AnyValue<'a>> {
        take(&mut self.attributes, key)
    }

    pub(crate) fn attribute(&self, key: &str) -> Option<&AnyValue<'a>> {
        let found = self.attributes.iter().rev().find(|attribute| attribute.key == key);
        found.map(|attribute| &attribute.value)
    }
}

/// Removes the attributes of a key; answers the last one's value.
pub(crate) fn take<'a>(attributes: &mut Vec<Attribute<'a>>, key: &str) -> Option<AnyValue<'a>> {
    let mut found = None;
    while let Some(at) = attributes.iter().position(|attribute| attribute.key == key) {
        found = Some(attributes.remove(at).value);
    }
    found
}

/// A sink, and what was passed to it.
pub(crate) struct SpanWriter<'s, S: ?Sized> {
    sink: &'s mut S,
    /// The name and the version that [`SpanWriter::scope_of_tags`] told last.
    scope: Option<[String; 2]>,
    order: Vec<usize>,
    pub(crate) decoded: DecodedSpans,
}

impl<'s, S: SpanSink + ?Sized> SpanWriter<'s, S> {
    pub(crate) fn new(sink: &'s mut S) -> Self {
        Self { sink, scope: None, order: Vec::new(), decoded: DecodedSpans::default() }
    }

    /// The resource of the spans that follow. `has_replaced`: see [`Decoding::take_replaced`].
    ///
    /// [`Decoding::take_replaced`]: crate::decoding::Decoding::take_replaced
    pub(crate) fn resource(&mut self, attributes: &mut Vec<Attribute<'_>>, has_replaced: bool) {
        self.finish(attributes, has_replaced);
        self.sink.resource(attributes);
        self.scope = None;
    }

    pub(crate) fn scope(
        &mut self,
        name: &str,
        version: &str,
        attributes: &mut Vec<Attribute<'_>>,
        has_replaced: bool,
    ) {
        self.finish(attributes, has_replaced);
        self.sink.scope(name, version, attributes);
    }

    /// The scope of a span that formats without scopes have in tags, which are removed. The sink is told
    /// where it is another than that of the span before.
    pub(crate) fn scope_of_tags(&mut self, parts: &mut SpanParts<'_>) {
        let [name, version] = SCOPE_TAGS.map(|keys| {
            let taken = keys.map(|key| parts.take_attribute(key));
            taken.into_iter().flatten().next().unwrap_or_default()
        });
        let [name, version] = [name.as_text(), version.as_text()];
        let is_told = self.scope.as_ref().is_some_and(|told| *told == [&*name, &*version]);
        if !is_told {
            self.sink.scope(&name, &version, &[]);
            self.scope = Some([name.into_owned(), version.into_owned()]);
        }
    }

    /// Passes the span on, or counts it as rejected.
    pub(crate) fn span(&mut self, parts: &mut SpanParts<'_>, has_replaced: bool) {
        let trace_id = parts.trace_id.filter(|id| *id != [0; 16]);
        let span_id = parts.span_id.filter(|id| *id != [0; 8]);
        let Some(trace_id) = trace_id else {
            return self.reject(TRACE_ID_KIND, &parts.name, "trace id is not 16 bytes (32 digits)");
        };
        let Some(span_id) = span_id else {
            return self.reject(SPAN_ID_KIND, &parts.name, "span id is not 8 bytes (16 digits)");
        };
        let Some(parent_span_id) = parts.parent_span_id else {
            let problem = "parent's span id is not 8 bytes (16 digits)";
            return self.reject(SPAN_ID_KIND, &parts.name, problem);
        };
        self.finish(&mut parts.attributes, has_replaced);
        for event in &mut parts.events {
            self.keep_last(&mut event.attributes);
        }
        for link in &mut parts.links {
            self.keep_last(&mut link.attributes);
        }
        self.decoded.spans += 1;
        self.sink.span(&SpanRef {
            trace_id,
            span_id,
            parent_span_id,
            name: &parts.name,
            kind: parts.kind,
            start_ns: parts.start_ns,
            end_ns: parts.end_ns,
            status: parts.status,
            status_message: &parts.status_message,
            trace_state: &parts.trace_state,
            flags: parts.flags,
            dropped_attributes: parts.dropped_attributes,
            dropped_events: parts.dropped_events,
            dropped_links: parts.dropped_links,
            attributes: &parts.attributes,
            events: &parts.events,
            links: &parts.links,
        });
    }

    fn reject(&mut self, kind: &'static str, name: &str, problem: &str) {
        let name = crate::log_sink::shown(name);
        let reason = || format!("the span {name:?} is refused: its {problem}, or is all zeros");
        self.decoded.rejected.add(kind, reason);
    }

    fn finish(&mut self, attributes: &mut Vec<Attribute<'_>>, has_replaced: bool) {
        if has_replaced {
            let key = Cow::Borrowed(INVALID_UTF8);
            attributes.push(Attribute { key, value: AnyValue::Bool(true) });
        }
        self.keep_last(attributes);
    }

    /// Removes all attributes of a key but the last one.
    fn keep_last(&mut self, attributes: &mut Vec<Attribute<'_>>) {
        let order = &mut self.order;
        order.clear();
        order.extend(0..attributes.len());
        order.sort_unstable_by(|left, right| {
            attributes[*left].key.cmp(&attributes[*right].key).then(left.cmp(right))
        });
        let is_followed = |pair: &[usize]| attributes[pair[0]].key == attributes[pair[1]].key;
        if !order.windows(2).any(is_followed) {
            return;
        }
        let mut is_kept = vec![true; attributes.len()];
        for pair in order.windows(2).filter(|pair| is_followed(pair)) {
            is_kept[pair[0]] = false;
        }
        let mut kept = is_kept.into_iter();
        attributes.retain(|_| kept.next().unwrap_or(true));
    }
}

/// The kind of a span by its name in tags, as OTLP numbers it; `None` for an unknown one.
pub(crate) fn kind_of_name(name: &str) -> Option<u8> {
    const NAMES: [&str; 5] = ["internal", "server", "client", "producer", "consumer"];
    let at = NAMES.iter().position(|known| name.eq_ignore_ascii_case(known))?;
    Some(at as u8 + 1)
}

/// An id of `N` bytes in hex, neither more nor fewer digits.
pub(crate) fn id_of_hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let mut id = [0; N];
    for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = (digit(0)? << 4 | digit(1)?) as u8;
    }
    Some(id)
}
