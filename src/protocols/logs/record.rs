//! Records of names and values as lines, for protocols whose senders know no streams: documents of
//! Elasticsearch, JSON lines, Fluentd's records.
//!
//! 1. The first field of the shape's names for it is the line. Without one the whole record is.
//! 2. The first field of the names for it is the time; without one it is now. A time that can't be
//!    read refuses the record.
//! 3. The fields that the settings name become labels of the stream, dots in their names underscores.
//! 4. All other fields stay fields, under their own names.

use super::guard::LogGuard;
use crate::{Call, percent_decode};
use wire::otlp::sanitize_name;
use wire::{FieldBuffer, LogSink, PairList, StreamLabels, parse_epoch, parse_rfc3339};

/// What a field of a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// The lower the number, the sooner it counts.
    Line(usize),
    Time(usize),
    Label,
    Ignored,
}

/// Which fields are what.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecordShape {
    /// The label's name stands beside a field that becomes one.
    roles: Vec<(String, Role, String)>,
    /// A bit for each length that a name has, up to 63.
    lengths: u64,
    /// Fields that every record gets.
    extra: Vec<(String, String)>,
}

/// The names that a shape is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShapeNames<'n> {
    pub(crate) line: &'n [&'n str],
    pub(crate) time: &'n [&'n str],
    pub(crate) labels: &'n [String],
}

impl RecordShape {
    pub(crate) fn new(names: ShapeNames<'_>) -> Self {
        let mut shape = Self::default();
        shape.set_lines(names.line.iter().copied());
        shape.set_times(names.time.iter().copied());
        shape.set_labels(names.labels.iter().map(String::as_str));
        shape
    }

    fn set_lines<'n>(&mut self, names: impl Iterator<Item = &'n str>) {
        self.set(|role| matches!(role, Role::Line(_)), Role::Line, names);
    }

    fn set_times<'n>(&mut self, names: impl Iterator<Item = &'n str>) {
        self.set(|role| matches!(role, Role::Time(_)), Role::Time, names);
    }

    fn set_labels<'n>(&mut self, names: impl Iterator<Item = &'n str>) {
        self.set(|role| role == Role::Label, |_| Role::Label, names);
    }

    /// Replaces the names of a role. A name that has another role already keeps it.
    fn set<'n>(
        &mut self,
        is_replaced: impl Fn(Role) -> bool,
        role: impl Fn(usize) -> Role,
        names: impl Iterator<Item = &'n str>,
    ) {
        self.roles.retain(|(_, role, _)| !is_replaced(*role));
        for (index, name) in names.enumerate().filter(|(_, name)| !name.is_empty()) {
            if !self.roles.iter().any(|(known, ..)| known == name) {
                self.roles.push((name.to_owned(), role(index), sanitize_name(name)));
                self.lengths |= length_bit(name);
            }
        }
    }

    /// With what VictoriaLogs' parameters and headers of this request say: `_msg_field`,
    /// `_time_field`, `_stream_fields`, `ignore_fields` and `extra_fields`.
    pub(crate) fn of_call(mut self, call: &Call) -> Self {
        let asked = |parameter: &str, header: &str| {
            let asked = call.parameter(parameter).unwrap_or_else(|| call.header(header).to_owned());
            (!asked.is_empty()).then_some(asked)
        };
        // What is asked for by name comes before the names that are only usual.
        if let Some(names) = asked("ignore_fields", "vl-ignore-fields") {
            self.set(|_| false, |_| Role::Ignored, split(&names));
        }
        if let Some(names) = asked("_msg_field", "vl-msg-field") {
            self.release(&names);
            self.set_lines(split(&names));
        }
        if let Some(names) = asked("_time_field", "vl-time-field") {
            self.release(&names);
            self.set_times(split(&names));
        }
        if let Some(names) = asked("_stream_fields", "vl-stream-fields") {
            self.release(&names);
            self.set_labels(split(&names));
        }
        if let Some(pairs) = asked("extra_fields", "vl-extra-fields") {
            let pairs = split(&pairs).filter_map(|pair| pair.split_once('='));
            self.extra =
                pairs.map(|(name, value)| (name.to_owned(), percent_decode(value))).collect();
        }
        self
    }

    /// Takes all roles from these names.
    fn release(&mut self, names: &str) {
        self.roles.retain(|(known, ..)| !split(names).any(|name| name == known));
    }

    fn role(&self, name: &str) -> Option<(Role, &str)> {
        if self.lengths & length_bit(name) == 0 {
            return None;
        }
        let found = self.roles.iter().find(|(known, ..)| known == name)?;
        Some((found.1, &found.2))
    }
}

fn length_bit(name: &str) -> u64 {
    1 << name.len().min(63)
}

fn split(names: &str) -> impl Iterator<Item = &str> {
    names.split(',').map(str::trim).filter(|name| !name.is_empty())
}

/// Why a record is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadRecord {
    #[error(
        "the time in field {name:?} is {value:?}: expected RFC 3339 or a number of seconds or \
         milliseconds since 1970"
    )]
    Time { name: String, value: String },
    #[error("{0}")]
    Labels(String),
    /// The guard refused the line and has counted it.
    #[error("{0}")]
    Line(String),
}

impl BadRecord {
    /// The reason under which it is to be counted; `None` where it is counted already.
    pub(crate) fn kind(&self) -> Option<&'static str> {
        match self {
            Self::Time { .. } => Some("timestamp"),
            Self::Labels(_) => Some(wire::LABELS_KIND),
            Self::Line(_) => None,
        }
    }
}

/// Turns one record after another into lines.
#[derive(Debug, Default)]
pub(crate) struct RecordWriter {
    /// The fields of the present record, which protocols fill.
    pub(crate) fields: FieldBuffer,
    /// The labels of the present record, to which protocols may add.
    pub(crate) labels: StreamLabels,
    /// The label of records that have no other.
    stand_in: Option<(&'static str, String)>,
    /// The places of the fields that stay fields.
    rest: Vec<usize>,
    pairs: PairList,
    line: String,
}

/// A field that may be the line or the time: its rank, and its place.
type Ranked = (usize, usize);

/// Characters of a time that can't be read which an error shows.
const SHOWN_MAX: usize = 50;

impl RecordWriter {
    pub(crate) fn begin(&mut self) {
        self.fields.clear();
        self.labels.clear();
    }

    /// From here on, records without any label get this one.
    pub(crate) fn stand_in(&mut self, name: &'static str, value: &str) {
        self.stand_in = Some((name, value.to_owned()));
    }

    /// Passes on the record as a line, without line breaks at its end. Its time is `now_ns` unless a field
    /// says another; `whole` appends the record as text, to be the line where no field is.
    pub(crate) fn write<S: LogSink + ?Sized>(
        &mut self,
        shape: &RecordShape,
        now_ns: i64,
        guard: &mut LogGuard<'_, S>,
        whole: impl FnOnce(&mut String),
    ) -> Result<(), BadRecord> {
        self.write_dated(shape, (None, now_ns), guard, whole)
    }

    /// The same for a record to which its sender may have given a time beside its fields.
    pub(crate) fn write_dated<S: LogSink + ?Sized>(
        &mut self,
        shape: &RecordShape,
        (sent_ns, now_ns): (Option<i64>, i64),
        guard: &mut LogGuard<'_, S>,
        whole: impl FnOnce(&mut String),
    ) -> Result<(), BadRecord> {
        let (line, time) = self.sort(shape);
        let named_ns = match time.and_then(|(_, index)| self.fields.get(index)) {
            Some((name, value)) => time_of(name, value)?,
            None => None,
        };
        let time_ns = named_ns.or(sent_ns).unwrap_or_else(|| {
            guard.dated_on_arrival();
            now_ns
        });
        if let Some((name, value)) = self.stand_in.as_ref().filter(|_| self.labels.is_empty()) {
            self.labels.push(name, value);
        }
        let stream = self.labels.canonical().map_err(|bad| BadRecord::Labels(bad.to_string()))?;
        guard.stream(stream);
        let line = match line.and_then(|(_, index)| self.fields.get(index)) {
            Some((_, value)) => value.trim_end_matches(['\n', '\r']),
            None => {
                self.line.clear();
                whole(&mut self.line);
                &self.line
            }
        };
        let fields = self.rest.iter().filter_map(|index| self.fields.get(*index));
        let extra = shape.extra.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        self.pairs.with(fields.chain(extra), |pairs| guard.line(time_ns, line.as_bytes(), pairs));
        guard.last_refusal().map_or(Ok(()), |reason| Err(BadRecord::Line(reason)))
    }

    /// Gives each field its place; answers those of the line and the time with their ranks.
    fn sort(&mut self, shape: &RecordShape) -> (Option<Ranked>, Option<Ranked>) {
        let Self { fields, labels, rest, .. } = self;
        let (mut line, mut time) = (None, None);
        rest.clear();
        for index in 0..fields.len() {
            let Some((name, value)) = fields.get(index) else { break };
            match shape.role(name) {
                None => rest.push(index),
                Some((Role::Line(rank), _)) => choose(&mut line, (rank, index), rest),
                Some((Role::Time(rank), _)) => choose(&mut time, (rank, index), rest),
                Some((Role::Label, label)) if !labels.has(label) => labels.push(label, value),
                Some((Role::Label | Role::Ignored, _)) => {}
            }
        }
        (line, time)
    }
}

/// Keeps the better one of two fields for the same role; the other one stays a field. Of equal names
/// the last one counts.
fn choose(best: &mut Option<Ranked>, found: Ranked, rest: &mut Vec<usize>) {
    match best {
        Some((rank, _)) if *rank < found.0 => rest.push(found.1),
        Some((rank, index)) => {
            if *rank > found.0 {
                rest.push(*index);
            }
            *best = Some(found);
        }
        None => *best = Some(found),
    }
}

/// `None`: the field says nothing.
fn time_of(name: &str, value: &str) -> Result<Option<i64>, BadRecord> {
    if value.is_empty() || value == "0" {
        return Ok(None);
    }
    let time = parse_rfc3339(value.as_bytes()).or_else(|| parse_epoch(value));
    time.map(Some).ok_or_else(|| {
        let shown = |text: &str| text.chars().take(SHOWN_MAX).collect();
        BadRecord::Time { name: shown(name), value: shown(value) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::guard::LogWindow;
    use crate::logs::settings::LogsSettings;
    use model::Labels;
    use wire::Rejections;

    struct Heard(Vec<String>);

    impl LogSink for Heard {
        fn stream(&mut self, labels: &[u8]) {
            self.0.push(Labels::from_bytes(labels).unwrap().to_string());
        }
        fn line(&mut self, time_ns: i64, line: &[u8], fields: &[(&str, &str)]) {
            self.0.push(format!("{time_ns} {:?} {fields:?}", String::from_utf8_lossy(line)));
        }
    }

    const NOW_NS: i64 = 1_700_000_000_000_000_000;

    fn write(shape: &RecordShape, fields: &[(&str, &str)]) -> Result<Vec<String>, BadRecord> {
        let settings = LogsSettings {
            discover_log_levels: false,
            discover_service_name: vec![],
            ..LogsSettings::default()
        };
        let options = settings.options();
        let now_ms = NOW_NS / 1_000_000;
        let mut heard = Heard(Vec::new());
        let mut guard =
            LogGuard::new(&mut heard, &options, LogWindow::new((now_ms, now_ms), None, &options));
        let mut writer = RecordWriter::default();
        writer.begin();
        fields.iter().for_each(|(name, value)| writer.fields.push(name, value));
        let written = writer.write(shape, NOW_NS, &mut guard, |text| text.push_str("{whole}"));
        guard.finish(Rejections::default());
        written.map(|()| heard.0)
    }

    fn shape() -> RecordShape {
        let labels = ["service.name", "pod"].map(str::to_owned);
        RecordShape::new(ShapeNames {
            line: &["message", "log"],
            time: &["@timestamp", "time"],
            labels: &labels,
        })
    }

    #[test]
    fn every_field_has_its_place() {
        let fields = [
            ("a", "1"),
            ("log", "l"),
            ("pod", "p"),
            ("message", "m"),
            ("service.name", "s"),
            ("time", "2023-11-14T22:13:20Z"),
            ("b", "2"),
        ];
        assert_eq!(
            write(&shape(), &fields).unwrap(),
            [
                r#"{pod="p", service_name="s"}"#,
                r#"1700000000000000000 "m" [("a", "1"), ("log", "l"), ("b", "2")]"#
            ]
        );
        let bare = [
            ("a", "1"),
            ("@timestamp", "1700000000500"),
            ("time", "x"),
            ("log", "first"),
            ("log", "last"),
        ];
        assert_eq!(
            write(&shape(), &bare).unwrap(),
            ["{}", r#"1700000000500000000 "last" [("a", "1"), ("time", "x")]"#]
        );
        assert_eq!(write(&shape(), &[]).unwrap(), ["{}", "1700000000000000000 \"{whole}\" []"]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = write(&shape(), &[("time", "yesterday")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the time in field \"time\" is \"yesterday\": expected RFC 3339 or a number of seconds or milliseconds since 1970"
        );
        assert_eq!(error.kind(), Some("timestamp"));
        let error = write(&shape(), &[("time", "2100-01-01T00:00:00Z")]).unwrap_err();
        assert!(matches!(&error, BadRecord::Line(reason) if reason.contains("too new")), "{error}");
        assert_eq!(error.kind(), None);
    }
}
