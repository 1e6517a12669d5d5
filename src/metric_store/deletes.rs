//! What a delete means, as tombstones carry it.
//!
//! A tombstone only concerns samples that were there when it was made, so patterns are resolved
//! into the label values that there were: the file needs no regular expressions.

use codec::{ByteReader, ByteWriter, DecodeError};
use model::{Labels, METRIC_NAME, MatchOp, Matcher};
use std::collections::BTreeSet;

/// Series for which every test holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deleted(Vec<ValueSet>);

/// The label's value is one of these, or is none of these.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ValueSet {
    label: String,
    values: BTreeSet<String>,
    listed: bool,
}

impl ValueSet {
    fn holds(&self, value: &str) -> bool {
        self.values.contains(value) == self.listed
    }
}

impl Deleted {
    /// `values` are those that the label has among all series there are, the empty one included.
    pub(crate) fn resolve(
        matchers: &[Matcher],
        mut values: impl FnMut(&str) -> BTreeSet<String>,
    ) -> Self {
        let set = |matcher: &Matcher| {
            let (values, listed) = match matcher.op {
                MatchOp::Equal => (BTreeSet::from([matcher.value.clone()]), true),
                MatchOp::NotEqual => (BTreeSet::from([matcher.value.clone()]), false),
                MatchOp::Regex | MatchOp::NotRegex => {
                    let mut values = values(&matcher.name);
                    values.retain(|value| matcher.matches(value));
                    (values, true)
                }
            };
            ValueSet { label: matcher.name.clone(), values, listed }
        };
        Self(matchers.iter().map(set).collect())
    }

    pub(crate) fn concerns(&self, labels: &Labels) -> bool {
        self.0.iter().all(|set| set.holds(labels.value(&set.label)))
    }

    /// False only where no series of the metric is concerned.
    pub(crate) fn concerns_metric(&self, metric: &str) -> bool {
        self.0.iter().filter(|set| set.label == METRIC_NAME).all(|set| set.holds(metric))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = ByteWriter::default();
        writer.u8(1);
        writer.varint(self.0.len() as u64);
        for set in &self.0 {
            writer.text(&set.label);
            writer.u8(u8::from(set.listed));
            writer.varint(set.values.len() as u64);
            set.values.iter().for_each(|value| writer.text(value));
        }
        writer.bytes
    }

    /// The manifest's checksum has agreed; what can't be read all the same deletes nothing.
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let nothing = ValueSet { label: String::new(), values: BTreeSet::new(), listed: true };
        Self::try_decode(bytes).unwrap_or(Self(vec![nothing]))
    }

    fn try_decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bytes);
        let newer = reader.value_error("a tombstone of a newer version");
        if reader.u8()? != 1 {
            return Err(newer);
        }
        let count = reader.length(reader.remaining() / 3)?;
        let mut sets = Vec::with_capacity(count);
        for _ in 0..count {
            let label = reader.text()?.to_owned();
            let listed = reader.u8()? != 0;
            let count = reader.length(reader.remaining())?;
            let values: Result<BTreeSet<String>, DecodeError> =
                (0..count).map(|_| Ok(reader.text()?.to_owned())).collect();
            sets.push(ValueSet { label, values: values?, listed });
        }
        Ok(Self(sets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_delete_concerns_what_its_matchers_name() {
        let matchers = [Matcher::equal("__name__", "up"), Matcher::not_equal("job", "a")];
        let deleted = Deleted::resolve(&matchers, |_| BTreeSet::new());
        let labels = |job: &str| Labels::from_pairs([("__name__", "up"), ("job", job)]);
        assert!(deleted.concerns(&labels("b")) && deleted.concerns(&labels("")));
        assert!(!deleted.concerns(&labels("a")) && !deleted.concerns_metric("down"));
        assert_eq!(Deleted::decode(&deleted.encode()), deleted);
    }

    proptest! {
        #[test]
        fn bytes_that_make_no_sense_delete_nothing(bytes: Vec<u8>) {
            if Deleted::try_decode(&bytes).is_err() {
                prop_assert!(!Deleted::decode(&bytes).concerns(&Labels::empty()));
            }
        }
    }
}
