//! The way of messages into the store.

use super::message::{Events, Message, each_event, parse};
use super::record::{append_json, flatten};
use super::{DROPPED, Fluent};
use crate::Stop;
use crate::bounds::Held;
use crate::logs::{Guard, RecordRoom, RecordShape, RecordWriter, commit_held, room_for_lines};
use crate::services::ServiceError;
use observe::{Event, Fields, Level, Seldom};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use wire::msgpack::{MsgpackError, MsgpackReader};
use wire::{DecompressError, Rejections, decompress_into};

/// How long the store is given before it is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// Logs once a minute at most.
static SAID: Seldom = Seldom::new(60_000);

/// Records were lost.
struct RecordsLost<'a> {
    reason: &'a str,
}

impl Event for RecordsLost<'_> {
    const LEVEL: Level = Level::Warn;
    const MESSAGE: &'static str = "records of Fluentd's forward protocol were lost";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.text("reason", self.reason);
    }
}

/// Whole messages, one after another.
#[derive(Debug, Default)]
pub(super) struct Messages {
    pub(super) bytes: Vec<u8>,
    /// Where each of them ends.
    pub(super) ends: Vec<usize>,
}

impl Messages {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| self.bytes.get(start..*end).unwrap_or_default())
    }
}

/// Messages that are stored as one batch. One that its sender gave a name is alone: it arrives again
/// if the acknowledgement is missed, maybe beside other messages, and is to count once.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) messages: Arc<Messages>,
    pub(super) range: Range<usize>,
    /// The name, as its sender encoded it.
    pub(super) chunk: Option<Vec<u8>>,
}

impl Group {
    /// The groups of messages with these names.
    pub(super) fn of(messages: Messages, chunks: Vec<Option<Vec<u8>>>) -> Vec<Self> {
        let messages = Arc::new(messages);
        let mut groups: Vec<Self> = Vec::new();
        for (index, chunk) in chunks.into_iter().enumerate() {
            match groups.last_mut() {
                Some(last) if last.chunk.is_none() && chunk.is_none() => last.range.end = index + 1,
                _ => {
                    let (messages, range) = (Arc::clone(&messages), index..index + 1);
                    groups.push(Self { messages, range, chunk });
                }
            }
        }
        groups
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.messages.iter().skip(self.range.start).take(self.range.len())
    }
}

/// What became of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// They may be acknowledged: they are durable, or can never be.
    Done,
    /// The server stops before they could be stored: their sender is to send them again.
    Stopping,
}

/// Stores messages, each of which is whole: all groups at once, so that they share syncs.
pub(super) async fn store(fluent: &Arc<Fluent>, groups: Vec<Group>, stop: &Stop) -> Outcome {
    let mut storing = JoinSet::new();
    for group in groups {
        let (fluent, stop) = (Arc::clone(fluent), stop.clone());
        storing.spawn(async move { store_group(&fluent, &group, &stop).await });
    }
    let outcomes = storing.join_all().await;
    if outcomes.contains(&Outcome::Stopping) { Outcome::Stopping } else { Outcome::Done }
}

/// Tries again while the store can't take them.
async fn store_group(fluent: &Arc<Fluent>, group: &Group, stop: &Stop) -> Outcome {
    loop {
        let Err(error) = attempt(fluent, group).await else { return Outcome::Done };
        if !error.kind.is_retryable() {
            DROPPED.add(&["store"], group.range.len() as u64);
            if SAID.admits(fluent.services.clock.wall_ms()).is_some() {
                observe::emit(&RecordsLost { reason: &error.message });
            }
            return Outcome::Done;
        }
        tokio::select! {
            () = stop.requested() => return Outcome::Stopping,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

async fn attempt(fluent: &Arc<Fluent>, group: &Group) -> Result<(), ServiceError> {
    let held = fluent.services.request_memory.hold();
    let fill = {
        let (fluent, group) = (Arc::clone(fluent), group.clone());
        move |held: &Held, guard: &mut Guard<'_>| {
            let mut writing = Writing::new(&fluent);
            for message in group.iter() {
                // What is malformed was found when the message was taken from its connection.
                if let Ok(Some(message)) = parse(message) {
                    writing.message(&message, &fluent, held, guard)?;
                }
            }
            Ok(writing.rejected)
        }
    };
    let (tenant, origin) = (&fluent.settings.tenant.0, group.chunk.clone());
    commit_held(&fluent.services, tenant, held, origin, fill).await.map(drop)
}

struct Writing<'f> {
    shape: &'f RecordShape,
    now_ns: i64,
    writer: RecordWriter,
    room: RecordRoom,
    plain: Vec<u8>,
    rejected: Rejections,
}

impl<'f> Writing<'f> {
    fn new(fluent: &'f Fluent) -> Self {
        Self {
            shape: &fluent.shape,
            now_ns: fluent.services.clock.wall_ms().saturating_mul(1_000_000),
            writer: RecordWriter::default(),
            room: RecordRoom::default(),
            plain: Vec::new(),
            rejected: Rejections::default(),
        }
    }

    fn message(
        &mut self,
        message: &Message<'_>,
        fluent: &Fluent,
        held: &Held,
        guard: &mut Guard<'_>,
    ) -> Result<(), ServiceError> {
        if message.option.is_other_signal {
            DROPPED.increment(&["signal"]);
            return Ok(());
        }
        let tag = String::from_utf8_lossy(message.tag);
        self.writer.stand_in("tag", &tag);
        let events = match message.events {
            Events::One { time_ns, record } => {
                room_for_lines(held, record.len())?;
                self.room.ask(held, record.len())?;
                self.event(&tag, time_ns, record, guard);
                return Ok(());
            }
            Events::List(events, _) => events,
            Events::Packed(packed) => match message.option.encoding {
                None => packed,
                Some(encoding) => {
                    let limit = fluent.settings.decompressed_size.length();
                    let mut plain = std::mem::take(&mut self.plain);
                    let unpacked =
                        decompress_into(encoding, packed, limit, &mut &*held, &mut plain);
                    let done = match unpacked {
                        Ok(()) => self.events(&tag, &plain, held, guard),
                        Err(error) => self.not_unpacked(error),
                    };
                    self.plain = plain;
                    return done;
                }
            },
        };
        self.events(&tag, events, held, guard)
    }

    /// What can't be unpacked now may be later; what never can is dropped.
    fn not_unpacked(&mut self, error: DecompressError) -> Result<(), ServiceError> {
        if error.kind().is_retryable() {
            return Err(ServiceError::new(error.kind(), error.to_string()));
        }
        self.rejected.add("encoding", || error.to_string());
        Ok(())
    }

    fn events(
        &mut self,
        tag: &str,
        events: &[u8],
        held: &Held,
        guard: &mut Guard<'_>,
    ) -> Result<(), ServiceError> {
        room_for_lines(held, events.len())?;
        let mut refused = Ok(());
        let whole = each_event(events, |time_ns, record| {
            if refused.is_ok() {
                refused = self.room.ask(held, record.len());
            }
            if refused.is_ok() {
                self.event(tag, time_ns, record, guard);
            }
        });
        if let Err(error) = whole {
            self.rejected.add("msgpack", || error.to_string());
        }
        refused
    }

    fn event(&mut self, tag: &str, time_ns: Option<i64>, record: &[u8], guard: &mut Guard<'_>) {
        if let Err((kind, reason)) = self.write(tag, time_ns, record, guard)
            && let Some(kind) = kind
        {
            self.rejected.add(kind, || reason);
        }
    }

    /// The reason under which a refusal is to be counted is `None` where it is counted already.
    fn write(
        &mut self,
        tag: &str,
        time_ns: Option<i64>,
        record: &[u8],
        guard: &mut Guard<'_>,
    ) -> Result<(), (Option<&'static str>, String)> {
        let malformed = |error: MsgpackError| (Some("msgpack"), error.to_string());
        self.writer.begin();
        flatten(record, &mut self.writer.fields).map_err(malformed)?;
        self.writer.fields.push("fluent.tag", tag);
        let whole = |text: &mut String| {
            // It was read as fields before, which would have failed.
            let _ = append_json(&mut MsgpackReader::new(record), 0, text);
        };
        let written = self.writer.write_dated(self.shape, (time_ns, self.now_ns), guard, whole);
        written.map_err(|bad| (bad.kind(), bad.to_string()))
    }
}
