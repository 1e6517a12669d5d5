//! The push in JSON, in the present form (`stream`, `values`) and the old one (`labels`, `entries`).

use super::labels::parse_stream_labels;
use crate::json::{JsonError, JsonKind, JsonReader, JsonText};
use crate::log_sink::{
    BadStream, DecodedLogs, FIELDS_KIND, FIELDS_MAX, FieldBuffer, LABELS_KIND, LogSink, PairList,
    StreamLabels,
};
use crate::time_text::parse_rfc3339;
use model::{ErrorKind, NoRoom, Room, is_plain_name};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LokiJsonError {
    #[error("the body is not a push in JSON: {0}")]
    Json(#[from] JsonError),
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

impl LokiJsonError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Json(_) => ErrorKind::Invalid,
            Self::NoRoom(error) => error.kind(),
        }
    }
}

/// Passes every line of a request to `sink`. Texts with escapes are undone in buffers, which take no
/// more than the request: `room` is asked for that.
pub fn decode_loki_push_json(
    request: &[u8],
    room: &mut dyn Room,
    sink: &mut (impl LogSink + ?Sized),
) -> Result<DecodedLogs, LokiJsonError> {
    room.take(request.len())?;
    let mut decoder = Decoder::default();
    let mut reader = JsonReader::new(request);
    reader.object(|reader, key| match key.is("streams") && reader.kind()? != JsonKind::Null {
        true => reader.array(|reader| decoder.stream(reader, sink)),
        false => reader.skip().map(drop),
    })?;
    reader.end()?;
    Ok(decoder.decoded)
}

#[derive(Default)]
struct Decoder {
    labels: StreamLabels,
    fields: FieldBuffer,
    pairs: PairList,
    /// The line and the text of labels, where they have escapes.
    line: Vec<u8>,
    text: String,
    decoded: DecodedLogs,
}

impl Decoder {
    fn stream<'a>(
        &mut self,
        reader: &mut JsonReader<'a>,
        sink: &mut (impl LogSink + ?Sized),
    ) -> Result<(), JsonError> {
        // Lines belong to labels that may stand behind them: they are passed over then, and read when
        // the labels are known.
        let mut labels: Option<Result<(), BadStream>> = None;
        let mut waiting: Option<JsonReader<'a>> = None;
        reader.object(|reader, key| {
            if key.is("stream") {
                labels = Some(self.begin_with_map(reader, sink)?);
            } else if key.is("labels") {
                labels = Some(self.begin_with_text(reader.text()?, sink));
            } else if key.is("values") || key.is("entries") {
                match &labels {
                    Some(labels) => return self.lines(reader, labels, sink),
                    None => waiting = Some(reader.clone()),
                }
                reader.skip()?;
            } else {
                reader.skip()?;
            }
            Ok(())
        })?;
        let Some(mut lines) = waiting else { return Ok(()) };
        let labels = match labels {
            Some(labels) => labels,
            None => {
                self.labels.clear();
                self.begin(sink)
            }
        };
        self.lines(&mut lines, &labels, sink)
    }

    fn begin(&mut self, sink: &mut (impl LogSink + ?Sized)) -> Result<(), BadStream> {
        sink.stream(self.labels.canonical()?);
        self.decoded.streams += 1;
        Ok(())
    }

    /// `{"app": "shop"}`. The outer error is one of JSON.
    fn begin_with_map(
        &mut self,
        reader: &mut JsonReader<'_>,
        sink: &mut (impl LogSink + ?Sized),
    ) -> Result<Result<(), BadStream>, JsonError> {
        self.labels.clear();
        let mut bad = None;
        reader.object(|reader, key| {
            self.text.clear();
            key.append_to(&mut self.text);
            if !is_plain_name(&self.text) && bad.is_none() {
                let expected = "the name of a label (letters, digits and '_')";
                let shown = crate::log_sink::shown(&self.text);
                bad = Some(BadStream::Syntax { shown, expected, at: 0 });
            }
            let value = reader.text()?;
            self.labels.push_with(|out| out.push_str(&self.text), |out| value.append_to(out));
            Ok::<_, JsonError>(())
        })?;
        Ok(bad.map_or_else(|| self.begin(sink), Err))
    }

    /// `"{app=\"shop\"}"`.
    fn begin_with_text(
        &mut self,
        text: JsonText<'_>,
        sink: &mut (impl LogSink + ?Sized),
    ) -> Result<(), BadStream> {
        self.text.clear();
        text.append_to(&mut self.text);
        parse_stream_labels(&self.text, &mut self.labels)?;
        self.begin(sink)
    }

    fn lines(
        &mut self,
        reader: &mut JsonReader<'_>,
        labels: &Result<(), BadStream>,
        sink: &mut (impl LogSink + ?Sized),
    ) -> Result<(), JsonError> {
        if reader.kind()? == JsonKind::Null {
            return reader.null();
        }
        reader.array(|reader| match (labels, reader.kind()?) {
            (Err(bad), _) => {
                self.decoded.rejected.add(LABELS_KIND, || bad.to_string());
                reader.skip().map(drop)
            }
            (Ok(()), JsonKind::Object) => self.old_entry(reader, sink),
            (Ok(()), _) => self.entry(reader, sink),
        })
    }

    /// `["1700000000000000000", "the line", {"a": "b"}]`.
    fn entry(
        &mut self,
        reader: &mut JsonReader<'_>,
        sink: &mut (impl LogSink + ?Sized),
    ) -> Result<(), JsonError> {
        let (mut index, mut time_ns, mut line) = (0, None, None);
        self.fields.clear();
        reader.array(|reader| {
            match index {
                0 => time_ns = Some(time(reader)?),
                1 => line = Some(reader.text()?),
                2 => fields(reader, &mut self.fields)?,
                _ => drop(reader.skip()?),
            }
            index += 1;
            Ok::<_, JsonError>(())
        })?;
        let (Some(time_ns), Some(line)) = (time_ns, line) else {
            return Err(reader.error("a time and a line in the list before"));
        };
        self.pass(time_ns, line, sink);
        Ok(())
    }

    /// `{"ts": "2026-08-31T00:00:00Z", "line": "the line"}`.
    fn old_entry(
        &mut self,
        reader: &mut JsonReader<'_>,
        sink: &mut (impl LogSink + ?Sized),
    ) -> Result<(), JsonError> {
        let (mut time_ns, mut line) = (None, None);
        self.fields.clear();
        reader.object(|reader, key| {
            if key.is("ts") || key.is("timestamp") {
                time_ns = Some(old_time(reader)?);
            } else if key.is("line") {
                line = Some(reader.text()?);
            } else if key.is("structuredMetadata") {
                fields(reader, &mut self.fields)?;
            } else {
                reader.skip()?;
            }
            Ok::<_, JsonError>(())
        })?;
        let (Some(time_ns), Some(line)) = (time_ns, line) else {
            return Err(reader.error("ts and line in the entry before"));
        };
        self.pass(time_ns, line, sink);
        Ok(())
    }

    fn pass(&mut self, time_ns: i64, line: JsonText<'_>, sink: &mut (impl LogSink + ?Sized)) {
        let count = self.fields.len();
        if count > FIELDS_MAX {
            let reason = || {
                format!("a line has {count} fields of structured metadata, more than {FIELDS_MAX}")
            };
            self.decoded.rejected.add(FIELDS_KIND, reason);
            return;
        }
        self.decoded.lines += 1;
        let line = line.bytes(&mut self.line);
        self.pairs.with(self.fields.iter(), |pairs| sink.line(time_ns, line, pairs));
    }
}

/// A text, because numbers of JSON lose digits on their way through many programs.
fn time(reader: &mut JsonReader<'_>) -> Result<i64, JsonError> {
    let expected = "a time as a text of nanoseconds (\"1700000000000000000\")";
    if reader.kind()? != JsonKind::Text {
        return Err(reader.error(expected));
    }
    let at = reader.position();
    let text = reader.text()?.plain().and_then(|text| std::str::from_utf8(text).ok());
    text.and_then(|text| text.parse().ok()).ok_or(JsonError { at, expected })
}

fn old_time(reader: &mut JsonReader<'_>) -> Result<i64, JsonError> {
    let expected = "a time as RFC 3339 (\"2026-08-31T12:00:00Z\")";
    if reader.kind()? != JsonKind::Text {
        return Err(reader.error(expected));
    }
    let at = reader.position();
    reader.text()?.plain().and_then(parse_rfc3339).ok_or(JsonError { at, expected })
}

fn fields(reader: &mut JsonReader<'_>, fields: &mut FieldBuffer) -> Result<(), JsonError> {
    reader.object(|reader, key| {
        let value = reader.text()?;
        fields.push_with(|out| key.append_to(out), |out| value.append_to(out));
        Ok(())
    })
}
