//! The label tests of a tombstone: which series or streams a delete concerns.
//!
//! A tombstone only concerns rows that existed when it was made. So patterns are resolved into the
//! label values of that moment, and the file holds no regular expressions.

use crate::{EngineError, Head, Kind, View};
use codec::{ByteReader, ByteWriter, DecodeError};
use model::{ErrorKind, Labels, MatchOp, Matcher, TimeRange, Ulid};
use parts::{Manifest, Tombstone};
use std::collections::BTreeSet;

const VERSION: u8 = 1;

/// The labels for which every test holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelDelete(Vec<LabelValues>);

/// The label's value is one of these, or (if not `listed`) none of these. A missing label has the
/// empty value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelValues {
    pub label: String,
    pub values: BTreeSet<String>,
    pub listed: bool,
}

impl LabelValues {
    fn holds(&self, value: &str) -> bool {
        self.values.contains(value) == self.listed
    }
}

impl LabelDelete {
    pub fn new(tests: Vec<LabelValues>) -> Self {
        Self(tests)
    }

    /// Resolves matchers into values. `values` returns the values that a label has among all
    /// existing series, including the empty one.
    pub fn resolve(matchers: &[Matcher], mut values: impl FnMut(&str) -> BTreeSet<String>) -> Self {
        let test = |matcher: &Matcher| {
            let (values, listed) = match matcher.op {
                MatchOp::Equal => (BTreeSet::from([matcher.value.clone()]), true),
                MatchOp::NotEqual => (BTreeSet::from([matcher.value.clone()]), false),
                MatchOp::Regex | MatchOp::NotRegex => {
                    let mut values = values(&matcher.name);
                    values.retain(|value| matcher.matches(value));
                    (values, true)
                }
            };
            LabelValues { label: matcher.name.clone(), values, listed }
        };
        Self(matchers.iter().map(test).collect())
    }

    pub fn concerns(&self, labels: &Labels) -> bool {
        self.0.iter().all(|test| test.holds(labels.value(&test.label)))
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut writer = ByteWriter::default();
        writer.u8(VERSION);
        writer.varint(self.0.len() as u64);
        for test in &self.0 {
            writer.text(&test.label);
            writer.u8(u8::from(test.listed));
            writer.varint(test.values.len() as u64);
            test.values.iter().for_each(|value| writer.text(value));
        }
        writer.bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bytes);
        let newer = reader.value_error("a delete of a newer version");
        if reader.u8()? != VERSION {
            return Err(newer);
        }
        let count = reader.length(reader.remaining() / 3)?;
        let mut tests = Vec::with_capacity(count);
        for _ in 0..count {
            let label = reader.text()?.to_owned();
            let listed = reader.u8()? != 0;
            let count = reader.length(reader.remaining())?;
            let values: Result<_, DecodeError> =
                (0..count).map(|_| Ok(reader.text()?.to_owned())).collect();
            tests.push(LabelValues { label, values: values?, listed });
        }
        reader.finish()?;
        Ok(Self(tests))
    }
}

/// The deletes that a reader of a head or part has to apply.
#[derive(Clone, Debug, Default)]
pub struct LabelDeletes(Vec<(TimeRange, LabelDelete)>);

impl LabelDeletes {
    pub fn of_part(manifest: &Manifest, part: Ulid) -> Result<Self, EngineError> {
        manifest
            .part(part)
            .map_or(Ok(Self::default()), |info| Self::read(manifest.tombstones_for(info)))
    }

    pub fn of_head<K: Kind>(view: &View<K>, head: &Head<K>) -> Result<Self, EngineError> {
        Self::read(view.tombstones_of(head))
    }

    /// Can't meet an unreadable tombstone: those were found when the tenant was opened.
    fn read<'t>(tombstones: impl Iterator<Item = &'t Tombstone>) -> Result<Self, EngineError> {
        let read = |tombstone: &Tombstone| {
            let delete = LabelDelete::decode(&tombstone.matcher);
            let delete = delete.map_err(|error| EngineError::new(ErrorKind::Corrupt, error))?;
            Ok((tombstone.time, delete))
        };
        tombstones.map(read).collect::<Result<_, _>>().map(Self)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the row with these labels at this tick is deleted.
    pub fn delete(&self, labels: &Labels, tick: i64) -> bool {
        self.0.iter().any(|(time, delete)| time.contains(tick) && delete.concerns(labels))
    }

    /// The time ranges in which rows with these labels are deleted.
    pub fn times_of(&self, labels: &Labels) -> impl Iterator<Item = TimeRange> {
        let concerned = self.0.iter().filter(|(_, delete)| delete.concerns(labels));
        concerned.map(|(time, _)| *time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn test_of(label: &str, value: &str, listed: bool) -> LabelValues {
        LabelValues { label: label.to_owned(), values: BTreeSet::from([value.to_owned()]), listed }
    }

    #[test]
    fn a_delete_concerns_what_its_tests_name() {
        let tests = vec![test_of("__name__", "up", true), test_of("job", "a", false)];
        let delete = LabelDelete::new(tests);
        let labels = |job: &str| Labels::from_pairs([("__name__", "up"), ("job", job)]);
        assert!(delete.concerns(&labels("b")) && delete.concerns(&labels("")));
        assert!(!delete.concerns(&labels("a")));
        assert_eq!(LabelDelete::decode(&delete.encode()), Ok(delete));
    }

    proptest! {
        #[test]
        fn bytes_that_make_no_sense_are_an_error(bytes: Vec<u8>) {
            if let Ok(delete) = LabelDelete::decode(&bytes) {
                prop_assert_eq!(LabelDelete::decode(&delete.encode()), Ok(delete));
            }
        }
    }
}
