//! The visitor that every decoder of logs calls; a store's batch builder implements it.
//!
//! Lives here: the visitor, what decoders tell of a request, and the buffers in which fields and labels
//! are put together without an allocation for each line.
//! Not here: what is refused or added (protocols), what becomes of a line (the store).

use crate::metric_sink::Rejections;
use model::{LABEL_LENGTH_MAX, write_label};

/// What decoders of logs write into.
///
/// A decoder that returns an error may have called these before: the owner of the sink discards the
/// batch then.
pub trait LogSink {
    /// The stream of the lines that follow: canonical label bytes, as `MetricSink::series` takes them.
    fn stream(&mut self, labels: &[u8]);
    /// One line; `fields` is its structured metadata, in the sender's order, names not empty. The line
    /// may hold any bytes.
    fn line(&mut self, time_ns: i64, line: &[u8], fields: &[(&str, &str)]);
    /// The next line's sender gave it no time: it gets that of its arrival, and so is another line each
    /// time that it arrives.
    fn dated_on_arrival(&mut self) {}
}

/// What was passed to the sink, and what was refused because it can't be a line of any store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecodedLogs {
    pub streams: u64,
    pub lines: u64,
    /// Counted in lines.
    pub rejected: Rejections,
}

/// The most fields that a decoder passes on with one line; a line with more is refused.
pub const FIELDS_MAX: usize = 4_096;
/// The kind under which such a line is counted.
pub const FIELDS_KIND: &str = "fields";
/// The kind under which lines are counted whose stream's labels can't be read.
pub const LABELS_KIND: &str = "labels";

/// How much of a text an error shows.
const SHOWN_MAX: usize = 200;

pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Names and values in one text, used again from line to line.
#[derive(Clone, Debug, Default)]
pub struct FieldBuffer {
    text: String,
    /// Where each name and its value end.
    ends: Vec<(usize, usize)>,
}

impl FieldBuffer {
    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn push(&mut self, name: &str, value: &str) {
        self.push_with(|text| text.push_str(name), |text| text.push_str(value));
    }

    /// The functions append name and value to a text that holds others before. A field without a name
    /// is left out.
    pub fn push_with(&mut self, name: impl FnOnce(&mut String), value: impl FnOnce(&mut String)) {
        let start = self.text.len();
        name(&mut self.text);
        let name_end = self.text.len();
        if name_end == start {
            return;
        }
        value(&mut self.text);
        self.ends.push((name_end, self.text.len()));
    }

    /// `None` when there are not so many.
    pub fn get(&self, index: usize) -> Option<(&str, &str)> {
        let &(name_end, end) = self.ends.get(index)?;
        let start = match index {
            0 => 0,
            _ => self.ends.get(index - 1)?.1,
        };
        Some((self.text.get(start..name_end)?, self.text.get(name_end..end)?))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// What it may take of memory: the text, and what is kept of each field.
    pub fn bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * size_of::<(usize, usize)>()
    }
}

/// The memory of a list of fields, which are borrowed anew for each line.
#[derive(Debug, Default)]
pub struct PairList(Vec<(&'static str, &'static str)>);

impl PairList {
    /// Calls `take` with the list of all pairs.
    pub fn with<'p, T>(
        &mut self,
        pairs: impl Iterator<Item = (&'p str, &'p str)>,
        take: impl FnOnce(&mut Vec<(&'p str, &'p str)>) -> T,
    ) -> T {
        let mut list: Vec<(&'p str, &'p str)> = recycled(std::mem::take(&mut self.0));
        list.extend(pairs);
        let taken = take(&mut list);
        self.0 = recycled(list);
        taken
    }
}

/// An empty list with the memory of another: collecting an iterator of a list into a list of the same
/// shape takes over its memory.
fn recycled<'to>(mut list: Vec<(&str, &str)>) -> Vec<(&'to str, &'to str)> {
    list.clear();
    list.into_iter().map(|_| ("", "")).collect()
}

/// Why the labels of a stream are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadStream {
    #[error("error parsing labels {shown:?}: expected {expected} at byte {at}")]
    Syntax { shown: String, expected: &'static str, at: usize },
    #[error("error parsing labels {shown:?}: they are longer than {limit} bytes")]
    TooLong { shown: String, limit: usize },
    #[error("stream '{shown}' has duplicate label name: '{name}'")]
    Duplicate { shown: String, name: String },
}

/// Labels of a stream longer than this together are refused, whatever a store would take.
pub(crate) const LABELS_SIZE_MAX: usize = 1 << 20;
const _: () = assert!(LABELS_SIZE_MAX <= LABEL_LENGTH_MAX);

/// Collects the labels of one stream after another, and writes their canonical bytes.
#[derive(Clone, Debug, Default)]
pub struct StreamLabels {
    pairs: FieldBuffer,
    order: Vec<usize>,
    bytes: Vec<u8>,
}

impl StreamLabels {
    pub fn clear(&mut self) {
        self.pairs.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    pub fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(known, _)| known == name)
    }

    pub fn push(&mut self, name: &str, value: &str) {
        self.pairs.push(name, value);
    }

    pub fn push_with(&mut self, name: impl FnOnce(&mut String), value: impl FnOnce(&mut String)) {
        self.pairs.push_with(name, value);
    }

    /// The canonical bytes of what was pushed: sorted, without empty values.
    pub fn canonical(&mut self) -> Result<&[u8], BadStream> {
        let Self { pairs, order, bytes } = self;
        if pairs.text.len() > LABELS_SIZE_MAX {
            let shown = shown_pairs(pairs);
            return Err(BadStream::TooLong { shown, limit: LABELS_SIZE_MAX });
        }
        order.clear();
        order.extend(0..pairs.len());
        let name_of = |index: usize| pairs.get(index).map_or("", |(name, _)| name);
        order.sort_unstable_by(|left, right| name_of(*left).cmp(name_of(*right)));
        bytes.clear();
        let mut previous = None;
        for (name, value) in order.iter().filter_map(|index| pairs.get(*index)) {
            if previous == Some(name) {
                return Err(BadStream::Duplicate { shown: shown_pairs(pairs), name: shown(name) });
            }
            previous = Some(name);
            if !value.is_empty() {
                write_label(name, value, bytes);
            }
        }
        Ok(bytes)
    }
}

fn shown_pairs(pairs: &FieldBuffer) -> String {
    let each = pairs.iter().map(|(name, value)| format!("{name}={value:?}"));
    shown(&format!("{{{}}}", each.collect::<Vec<_>>().join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Labels;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn labels_are_canonical_in_whatever_order(
            pairs in prop::collection::btree_map(".{1,3}", ".{0,300}", 0..8),
            turn in 0usize..8,
        ) {
            let mut given: Vec<_> = pairs.iter().collect();
            let turn = turn % given.len().max(1);
            given.rotate_left(turn);
            let mut labels = StreamLabels::default();
            for (name, value) in &given {
                labels.push(name, value);
            }
            let expected = Labels::from_pairs(given.iter().map(|(n, v)| (n.as_str(), v.as_str())));
            prop_assert_eq!(labels.canonical().unwrap(), expected.as_bytes());
        }
    }

    #[test]
    fn duplicates_are_named() {
        let mut labels = StreamLabels::default();
        labels.push("a", "1");
        labels.push("a", "2");
        let error = labels.canonical().unwrap_err().to_string();
        assert_eq!(error, r#"stream '{a="1", a="2"}' has duplicate label name: 'a'"#);
    }

    #[test]
    fn the_list_keeps_its_memory() {
        let mut list = PairList::default();
        let many = vec![("a", "b"); 100];
        list.with(many.iter().copied(), |pairs| assert_eq!(pairs.len(), 100));
        assert!(list.0.capacity() >= 100);
        let text = "local".to_owned();
        list.with([("x", &*text)].into_iter(), |pairs| assert_eq!(pairs[..], [("x", "local")]));
        assert!(list.0.capacity() >= 100);
    }
}
