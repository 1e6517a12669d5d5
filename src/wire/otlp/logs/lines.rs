//! From a record to a line: which attributes become labels, the names of fields, the text of a body.
//!
//! 1. An attribute of a resource that the options name is a label of the stream.
//! 2. All other attributes are fields, those of the record first, then the resource's and the scope's.
//!    A map becomes a field for each of its entries (`http` of `{"method": …}` is `http_method`).
//! 3. Names keep letters, digits and underscores; everything else becomes an underscore.

use super::super::common::{AnyValue, Attribute};
use crate::log_sink::{
    BadStream, DecodedLogs, FIELDS_KIND, FIELDS_MAX, FieldBuffer, LABELS_KIND, LogSink, PairList,
    StreamLabels,
};

/// How records become lines.
#[derive(Clone, Copy, Debug)]
pub struct OtlpLogOptions<'o> {
    /// The attributes of resources that become labels of streams, under their names in OTLP.
    pub stream_attributes: &'o [String],
    /// The time of records that have none.
    pub now_ns: i64,
}

/// A record but for its attributes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Record<'a> {
    pub(super) time_ns: u64,
    pub(super) observed_ns: u64,
    pub(super) severity_number: i32,
    pub(super) severity_text: &'a str,
    pub(super) body: AnyValue<'a>,
    pub(super) dropped_attributes: u32,
    pub(super) flags: u32,
    pub(super) trace_id: &'a [u8],
    pub(super) span_id: &'a [u8],
    pub(super) event_name: &'a str,
}

/// Writes records into a sink. To be told of the resource and the scope before their records.
pub(super) struct Lines<'o, 's, S: ?Sized> {
    options: &'o OtlpLogOptions<'o>,
    sink: &'s mut S,
    labels: StreamLabels,
    /// Why the records of the resource are refused.
    refusal: Option<BadStream>,
    resource: FieldBuffer,
    scope: FieldBuffer,
    record: FieldBuffer,
    pairs: PairList,
    line: String,
    pub(super) decoded: DecodedLogs,
}

impl<'o, 's, S: LogSink + ?Sized> Lines<'o, 's, S> {
    pub(super) fn new(options: &'o OtlpLogOptions<'o>, sink: &'s mut S) -> Self {
        Self {
            options,
            sink,
            labels: StreamLabels::default(),
            refusal: None,
            resource: FieldBuffer::default(),
            scope: FieldBuffer::default(),
            record: FieldBuffer::default(),
            pairs: PairList::default(),
            line: String::new(),
            decoded: DecodedLogs::default(),
        }
    }

    /// Forgets the resource before.
    pub(super) fn begin_resource(&mut self) {
        self.labels.clear();
        self.resource.clear();
        self.begin_scope();
    }

    pub(super) fn resource_attribute(&mut self, attribute: &Attribute<'_>) {
        let Attribute { key, value } = attribute;
        if !self.options.stream_attributes.iter().any(|name| name == key) {
            return push_attribute(&mut self.resource, attribute);
        }
        let (mut name, value) = (String::new(), value.as_text());
        append_sanitized(key, &mut name);
        // Two attributes whose names differ only in what is replaced: the first one counts.
        if !self.labels.has(&name) {
            self.labels.push(&name, &value);
        }
    }

    /// Opens the stream of the resource, whose attributes are known by now.
    pub(super) fn end_resource(&mut self) {
        match self.labels.canonical() {
            Ok(labels) => {
                self.sink.stream(labels);
                self.decoded.streams += 1;
                self.refusal = None;
            }
            Err(bad) => self.refusal = Some(bad),
        }
    }

    pub(super) fn begin_scope(&mut self) {
        self.scope.clear();
    }

    pub(super) fn scope_attribute(&mut self, attribute: &Attribute<'_>) {
        push_attribute(&mut self.scope, attribute);
    }

    pub(super) fn scope(&mut self, name: &str, version: &str) {
        for (field, value) in [("scope_name", name), ("scope_version", version)] {
            if !value.is_empty() {
                self.scope.push(field, value);
            }
        }
    }

    pub(super) fn begin_record(&mut self) {
        self.record.clear();
    }

    pub(super) fn record_attribute(&mut self, attribute: &Attribute<'_>) {
        push_attribute(&mut self.record, attribute);
    }

    /// Passes on the record whose attributes were told.
    pub(super) fn end_record(&mut self, record: &Record<'_>) {
        if let Some(bad) = &self.refusal {
            self.decoded.rejected.add(LABELS_KIND, || bad.to_string());
            return;
        }
        push_record(&mut self.record, record);
        let count = self.record.len() + self.resource.len() + self.scope.len();
        if count > FIELDS_MAX {
            let reason = || format!("a record has {count} attributes, more than {FIELDS_MAX}");
            self.decoded.rejected.add(FIELDS_KIND, reason);
            return;
        }
        let time_ns = [record.time_ns, record.observed_ns].into_iter().find(|time| *time != 0);
        if time_ns.is_none() {
            self.sink.dated_on_arrival();
        }
        let time_ns =
            time_ns.map_or(self.options.now_ns, |time| time.try_into().unwrap_or(i64::MAX));
        let line = match &record.body {
            AnyValue::Text(text) => &**text,
            other => {
                self.line.clear();
                other.append_text(&mut self.line);
                &self.line
            }
        };
        let fields = self.record.iter().chain(self.resource.iter()).chain(self.scope.iter());
        let sink = &mut *self.sink;
        self.pairs.with(fields, |pairs| sink.line(time_ns, line.as_bytes(), pairs));
        self.decoded.lines += 1;
    }
}

/// What a record has beside its attributes and its body, where it is there.
fn push_record(fields: &mut FieldBuffer, record: &Record<'_>) {
    let numbers = [
        ("observed_timestamp", record.observed_ns),
        ("severity_number", u64::try_from(record.severity_number).unwrap_or(0)),
    ];
    let more_numbers = [
        ("dropped_attributes_count", u64::from(record.dropped_attributes)),
        ("flags", u64::from(record.flags)),
    ];
    let ids = [("trace_id", record.trace_id), ("span_id", record.span_id)];
    let number = |fields: &mut FieldBuffer, (name, value): (&str, u64)| {
        if value != 0 {
            let digits = |text: &mut String| text.push_str(itoa::Buffer::new().format(value));
            fields.push_with(|text| text.push_str(name), digits);
        }
    };
    numbers.into_iter().for_each(|one| number(fields, one));
    if !record.severity_text.is_empty() {
        fields.push("severity_text", record.severity_text);
    }
    more_numbers.into_iter().for_each(|one| number(fields, one));
    for (name, id) in ids {
        if !id.is_empty() {
            fields.push_with(|text| text.push_str(name), |text| append_hex(id, text));
        }
    }
    if !record.event_name.is_empty() {
        fields.push("event_name", record.event_name);
    }
}

fn append_hex(bytes: &[u8], out: &mut String) {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
    for byte in bytes {
        out.extend([digit(byte >> 4), digit(byte & 15)]);
    }
}

/// A field for a scalar or a list, a field for each entry of a map. Depth is bounded where values are
/// read.
fn push_attribute(fields: &mut FieldBuffer, attribute: &Attribute<'_>) {
    match &attribute.value {
        AnyValue::Map(entries) => push_entries(fields, &attribute.key, entries),
        value => {
            fields.push_with(
                |text| append_sanitized(&attribute.key, text),
                |text| value.append_text(text),
            );
        }
    }
}

fn push_entries(fields: &mut FieldBuffer, prefix: &str, entries: &[Attribute<'_>]) {
    for entry in entries {
        let key = format!("{prefix}_{}", entry.key);
        match &entry.value {
            AnyValue::Map(entries) => push_entries(fields, &key, entries),
            value => fields
                .push_with(|text| append_sanitized(&key, text), |text| value.append_text(text)),
        }
    }
}

/// A name as languages can write it: `http.status` is `http_status`, `1st` is `key_1st`.
pub fn sanitize_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    append_sanitized(name, &mut out);
    out
}

fn append_sanitized(name: &str, out: &mut String) {
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        out.push_str("key_");
    }
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    out.extend(name.chars().map(allowed));
}
