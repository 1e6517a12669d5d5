//! What a message holds, in its four shapes: one record (`[tag, time, record, option]`), a list of
//! them (`[tag, [[time, record], …], option]`), or a list in bytes, which may be packed.

use wire::Encoding;
use wire::msgpack::{MsgpackError, MsgpackReader, MsgpackValue};

/// A message, not taken apart yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Message<'a> {
    pub(super) tag: &'a [u8],
    pub(super) events: Events<'a>,
    pub(super) option: OptionMap<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Events<'a> {
    One {
        time_ns: Option<i64>,
        record: &'a [u8],
    },
    /// Events one after another, so many of them.
    List(&'a [u8], usize),
    /// Events one after another to the end of the bytes, once they are unpacked.
    Packed(&'a [u8]),
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct OptionMap<'a> {
    /// The value by which the sender wants to be told that the message is stored.
    pub(super) chunk: Option<&'a [u8]>,
    pub(super) encoding: Option<Encoding>,
    /// Metrics or traces of Fluent Bit, which are no logs.
    pub(super) is_other_signal: bool,
}

/// `None`: a message that says nothing, as senders send it to keep a connection.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<Message<'_>>, MsgpackError> {
    let mut reader = MsgpackReader::new(bytes);
    let length = match reader.value()? {
        MsgpackValue::Nil => return Ok(None),
        MsgpackValue::Array(length @ 2..=4) => length,
        _ => return Err(reader.error("a message of two to four parts before this")),
    };
    let tag = reader.text()?;
    let (events, parts) = match reader.value()? {
        MsgpackValue::Nil if length == 2 => return Ok(None),
        MsgpackValue::Text(packed) | MsgpackValue::Binary(packed) => (Events::Packed(packed), 2),
        MsgpackValue::Array(count) => {
            let start = reader.position();
            for _ in 0..count {
                reader.skip()?;
            }
            (Events::List(bytes.get(start..reader.position()).unwrap_or_default(), count), 2)
        }
        time => {
            let time_ns = time_of(time).ok_or_else(|| reader.error("a time before this"))?;
            if length < 3 {
                return Err(reader.error("a record"));
            }
            (Events::One { time_ns, record: reader.skip()? }, 3)
        }
    };
    let option = if length > parts { option(&mut reader)? } else { OptionMap::default() };
    Ok(Some(Message { tag, events, option }))
}

fn option<'a>(reader: &mut MsgpackReader<'a>) -> Result<OptionMap<'a>, MsgpackError> {
    let mut option = OptionMap::default();
    let pairs = match reader.value()? {
        MsgpackValue::Map(pairs) => pairs,
        MsgpackValue::Nil => 0,
        _ => return Err(reader.error("options before this")),
    };
    for _ in 0..pairs {
        match reader.text()? {
            b"chunk" => option.chunk = Some(reader.skip()?),
            b"compressed" => {
                option.encoding = match reader.text()? {
                    b"gzip" => Some(Encoding::Gzip),
                    b"zstd" => Some(Encoding::Zstd),
                    b"text" | b"" => None,
                    _ => return Err(reader.error("gzip or zstd before this")),
                };
            }
            b"fluent_signal" => {
                option.is_other_signal = !matches!(reader.value()?, MsgpackValue::Unsigned(0));
            }
            _ => drop(reader.skip()?),
        }
    }
    Ok(option)
}

/// Nanoseconds; the outer `None`: this is no time, the inner one: no time is known.
fn time_of(value: MsgpackValue<'_>) -> Option<Option<i64>> {
    const SECOND_NS: i64 = 1_000_000_000;
    Some(match value {
        MsgpackValue::Unsigned(seconds) => {
            Some(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(SECOND_NS))
        }
        MsgpackValue::Signed(seconds) => Some(seconds.saturating_mul(SECOND_NS)),
        MsgpackValue::Float(seconds) => Some((seconds * SECOND_NS as f64) as i64),
        MsgpackValue::Extension(0, bytes) => {
            let [a, b, c, d, e, f, g, h] = *bytes.first_chunk::<8>()?;
            let seconds = i64::from(u32::from_be_bytes([a, b, c, d]));
            Some(seconds * SECOND_NS + i64::from(u32::from_be_bytes([e, f, g, h])))
        }
        MsgpackValue::Nil => None,
        _ => return None,
    })
}

/// The seconds by which Fluent Bit marks the beginning and the end of a group, which are no records.
const GROUP_MARKS: [i64; 2] = [0xffff_ffff, 0xffff_fffe];

/// Calls `each` with time and record of each event.
pub(super) fn each_event<'a>(
    events: &'a [u8],
    mut each: impl FnMut(Option<i64>, &'a [u8]),
) -> Result<(), MsgpackError> {
    let mut reader = MsgpackReader::new(events);
    while !reader.is_empty() {
        if reader.array()? != 2 {
            return Err(reader.error("a time and a record"));
        }
        let time_ns = event_time(&mut reader)?;
        let record = reader.skip()?;
        let is_mark =
            time_ns.is_some_and(|time| time < 0 || GROUP_MARKS.contains(&(time / 1_000_000_000)));
        if !is_mark {
            each(time_ns, record);
        }
    }
    Ok(())
}

/// A time, or a list of it and metadata, as Fluent Bit sends it.
fn event_time(reader: &mut MsgpackReader<'_>) -> Result<Option<i64>, MsgpackError> {
    let mut value = reader.value()?;
    if let MsgpackValue::Array(parts @ 1..) = value {
        value = reader.value()?;
        for _ in 1..parts {
            reader.skip()?;
        }
    }
    time_of(value).ok_or_else(|| reader.error("a time before this"))
}
