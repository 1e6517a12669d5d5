//! What a delete of logs concerns: streams by their labels, and lines of them by conditions.

use crate::condition::{Condition, Prepared};
use crate::error::StoreError;
use codec::{ByteReader, ByteWriter, DecodeError};
use engine::{EngineError, View};
use model::{ErrorKind, Labels, MatchOp, Matcher, TimeRange, Ulid, matches_all};
use parts::{Manifest, Tombstone};
use regex::bytes::Regex;
use std::sync::Arc;

/// The version of deletes with exceptions. Others are written as version 1, which every Mirador reads.
const VERSION: u8 = 2;
const WITHOUT_EXCEPTIONS: u8 = 1;

/// The lines that match all of it.
#[derive(Clone, Debug)]
pub struct LogDelete {
    pub matchers: Vec<Matcher>,
    /// Streams that match all of one of these are left alone.
    pub except: Vec<Vec<Matcher>>,
    pub conditions: Vec<Condition>,
    /// How the delete was asked for, to be shown to people.
    pub text: String,
}

/// A delete that is not applied to all files yet. Readers see no line that it concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownDelete {
    pub id: Ulid,
    pub time: TimeRange,
    pub created_ms: i64,
    pub text: String,
}

impl KnownDelete {
    pub(crate) fn of(tombstone: &Tombstone) -> Result<Self, EngineError> {
        let Tombstone { id, time, created_ms, .. } = *tombstone;
        let text = LogDelete::decode(&tombstone.matcher)?.text;
        Ok(Self { id, time, created_ms, text })
    }
}

const CONTAINS: u8 = 0;
const CONTAINS_ANY_CASE: u8 = 1;
const LACKS: u8 = 2;
const MATCHES: u8 = 3;
const MATCHES_NOT: u8 = 4;
const FIELD: u8 = 5;

const OPS: [MatchOp; 4] = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];

impl LogDelete {
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = ByteWriter::default();
        writer.u8(if self.except.is_empty() { WITHOUT_EXCEPTIONS } else { VERSION });
        write_matchers(&self.matchers, &mut writer);
        if !self.except.is_empty() {
            writer.varint(self.except.len() as u64);
            self.except.iter().for_each(|matchers| write_matchers(matchers, &mut writer));
        }
        writer.varint(self.conditions.len() as u64);
        self.conditions.iter().for_each(|condition| write_condition(condition, &mut writer));
        writer.text(&self.text);
        writer.bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, EngineError> {
        let corrupt = |error| EngineError::new(ErrorKind::Corrupt, error);
        Self::read(bytes).map_err(corrupt)
    }

    fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bytes);
        let newer = reader.value_error("a delete of a newer version");
        let version = reader.u8()?;
        if !(WITHOUT_EXCEPTIONS..=VERSION).contains(&version) {
            return Err(newer);
        }
        let matchers = read_matchers(&mut reader)?;
        let mut except = Vec::new();
        if version > WITHOUT_EXCEPTIONS {
            let count = reader.length(reader.remaining())?;
            except = (0..count).map(|_| read_matchers(&mut reader)).collect::<Result<_, _>>()?;
        }
        let count = reader.length(reader.remaining())?;
        let conditions =
            (0..count).map(|_| read_condition(&mut reader)).collect::<Result<_, _>>()?;
        let text = reader.text()?.to_owned();
        reader.finish()?;
        Ok(Self { matchers, except, conditions, text })
    }
}

fn write_matchers(matchers: &[Matcher], writer: &mut ByteWriter) {
    writer.varint(matchers.len() as u64);
    matchers.iter().for_each(|matcher| write_matcher(matcher, writer));
}

fn read_matchers(reader: &mut ByteReader<'_>) -> Result<Vec<Matcher>, DecodeError> {
    let count = reader.length(reader.remaining())?;
    (0..count).map(|_| read_matcher(reader)).collect()
}

fn write_matcher(matcher: &Matcher, writer: &mut ByteWriter) {
    let op = OPS.iter().position(|op| *op == matcher.op).unwrap_or_default();
    writer.u8(op as u8);
    writer.text(&matcher.name);
    writer.text(&matcher.value);
}

fn read_matcher(reader: &mut ByteReader<'_>) -> Result<Matcher, DecodeError> {
    let wrong = reader.value_error("not a matcher of labels");
    let op = OPS.get(usize::from(reader.u8()?)).ok_or(wrong)?;
    let (name, value) = (reader.text()?, reader.text()?);
    Matcher::new(*op, name, value).map_err(|_| wrong)
}

fn write_condition(condition: &Condition, writer: &mut ByteWriter) {
    let mut texts = |code: u8, texts: &[String]| {
        writer.u8(code);
        writer.varint(texts.len() as u64);
        texts.iter().for_each(|text| writer.text(text));
    };
    match condition {
        Condition::Contains { texts: list, ignore_case } => {
            texts(if *ignore_case { CONTAINS_ANY_CASE } else { CONTAINS }, list);
        }
        Condition::Lacks { texts: list } => texts(LACKS, list),
        Condition::Matches { regex, negated } => {
            writer.u8(if *negated { MATCHES_NOT } else { MATCHES });
            writer.text(regex.as_str());
        }
        Condition::Field(matcher) => {
            writer.u8(FIELD);
            write_matcher(matcher, writer);
        }
    }
}

fn read_condition(reader: &mut ByteReader<'_>) -> Result<Condition, DecodeError> {
    let wrong = reader.value_error("not a condition on lines");
    let code = reader.u8()?;
    let mut texts = || {
        let count = reader.length(reader.remaining())?;
        (0..count).map(|_| Ok(reader.text()?.to_owned())).collect::<Result<Vec<_>, DecodeError>>()
    };
    Ok(match code {
        CONTAINS | CONTAINS_ANY_CASE => {
            Condition::Contains { texts: texts()?, ignore_case: code == CONTAINS_ANY_CASE }
        }
        LACKS => Condition::Lacks { texts: texts()? },
        MATCHES | MATCHES_NOT => {
            let regex = Regex::new(reader.text()?).map_err(|_| wrong)?;
            Condition::Matches { regex: Arc::new(regex), negated: code == MATCHES_NOT }
        }
        FIELD => Condition::Field(read_matcher(reader)?),
        _ => return Err(wrong),
    })
}

/// The deletes that a reader of a head or part has to apply.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogDeletes(Vec<(TimeRange, PreparedDelete)>);

/// A delete whose conditions are made ready, once for all rows.
#[derive(Clone, Debug)]
pub(crate) struct PreparedDelete {
    matchers: Vec<Matcher>,
    except: Vec<Vec<Matcher>>,
    pub(crate) conditions: Vec<Prepared>,
}

impl LogDeletes {
    pub(crate) fn of_part(manifest: &Manifest, part: Ulid) -> Result<Self, StoreError> {
        manifest
            .part(part)
            .map_or(Ok(Self::default()), |info| Self::read(manifest.tombstones_for(info)))
    }

    pub(crate) fn of_head(
        view: &View<crate::kind::Logs>,
        head: &crate::kind::LogHead,
    ) -> Result<Self, StoreError> {
        Self::read(view.tombstones_of(head))
    }

    fn read<'t>(tombstones: impl Iterator<Item = &'t Tombstone>) -> Result<Self, StoreError> {
        let read = |tombstone: &Tombstone| {
            let LogDelete { matchers, except, conditions, .. } =
                LogDelete::decode(&tombstone.matcher)?;
            let conditions = conditions.iter().map(Prepared::of).collect();
            Ok((tombstone.time, PreparedDelete { matchers, except, conditions }))
        };
        tombstones.map(read).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The deletes that may concern lines of these times.
    pub(crate) fn at(&self, time: TimeRange) -> impl Iterator<Item = (TimeRange, &PreparedDelete)> {
        self.0.iter().filter(move |(of, _)| of.overlaps(time)).map(|(of, delete)| (*of, delete))
    }
}

impl PreparedDelete {
    pub(crate) fn concerns(&self, labels: &Labels) -> bool {
        let is_excepted = |matchers: &Vec<Matcher>| matches_all(matchers, labels);
        matches_all(&self.matchers, labels) && !self.except.iter().any(is_excepted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn deletes_come_back() {
        let mut delete = LogDelete {
            except: Vec::new(),
            matchers: vec![Matcher::equal("app", "a"), Matcher::not_equal("b", "")],
            conditions: vec![
                Condition::Contains {
                    texts: vec!["x".to_owned(), "y".to_owned()],
                    ignore_case: true,
                },
                Condition::Lacks { texts: vec!["z".to_owned()] },
                Condition::Matches { regex: Arc::new(Regex::new("a+").unwrap()), negated: true },
                Condition::Field(Matcher::equal("level", "error")),
            ],
            text: "{app=\"a\"} |= \"x\"".to_owned(),
        };
        for (version, except) in [(1, vec![]), (2, vec![vec![Matcher::equal("c", "d")], vec![]])] {
            delete.except = except;
            let bytes = delete.encode();
            assert_eq!(bytes[0], version);
            let back = LogDelete::decode(&bytes).unwrap();
            assert_eq!(format!("{back:?}"), format!("{delete:?}"));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_delete_or_an_error(bytes: Vec<u8>) {
            let _ = LogDelete::decode(&bytes);
        }
    }
}
