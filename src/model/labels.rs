//! Labels: the name of a series.
//!
//! One allocation holds everything: for each label, in order of names, the length and bytes of its
//! name and of its value. A length below 255 takes one byte; a longer one the byte 255 and three
//! bytes, little-endian. These are the canonical bytes: equal labels have equal bytes on every
//! machine, so hashes of them can be stored. They are also the bytes that Prometheus hashes when it
//! samples series, which is why the lengths look as they do.
//!
//! Invariants: names rise strictly, no value is empty (an empty value means that the label is not
//! there), and everything is UTF-8.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::{Arc, LazyLock};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The label that holds the metric's name.
pub const METRIC_NAME: &str = "__name__";
/// Labels that describe what a metric means and do not tell series apart. An operation that changes
/// the meaning of a value drops them together with the name.
pub const METADATA_LABELS: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];

/// The longest name or value that can be encoded.
pub const LABEL_LENGTH_MAX: usize = (1 << 24) - 1;

static EMPTY: LazyLock<Arc<[u8]>> = LazyLock::new(|| Arc::from([]));

/// A sorted, immutable set of labels. Cloning costs a reference count.
#[derive(Clone, PartialEq, Eq)]
pub struct Labels(Arc<[u8]>);

impl Labels {
    pub fn empty() -> Self {
        Self(EMPTY.clone())
    }

    /// Sorts the labels by name. Of equal names the last one wins; labels with empty values are left
    /// out.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut builder = LabelsBuilder::new();
        for (name, value) in pairs {
            builder.set(name, value);
        }
        builder.build()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The canonical bytes (see the module's header).
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Checks bytes that come from outside: lengths, order, UTF-8, no empty value.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut previous: Option<&str> = None;
        while !rest.is_empty() {
            let (name, after_name) = checked_text(rest)?;
            let (value, after_value) = checked_text(after_name)?;
            if value.is_empty() || previous.is_some_and(|previous| previous >= name) {
                return None;
            }
            previous = Some(name);
            rest = after_value;
        }
        Some(Self(bytes.into()))
    }

    /// Takes bytes that code of this project wrote in the canonical form; all other bytes go through
    /// [`Labels::from_bytes`].
    pub fn from_canonical(bytes: &[u8]) -> Self {
        debug_assert!(Self::from_bytes(bytes).is_some(), "not canonical: {bytes:?}");
        Self(bytes.into())
    }

    pub fn iter(&self) -> LabelsIter<'_> {
        LabelsIter { rest: &self.0 }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.pairs().find(|pair| pair.name == name.as_bytes())?;
        Some(trusted_str(found.value))
    }

    /// The label's value; empty if there is no such label.
    pub fn value(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    pub fn metric_name(&self) -> &str {
        self.value(METRIC_NAME)
    }

    /// A copy without the labels that name and describe the metric.
    pub fn without_metadata(&self) -> Self {
        let metadata = |name: &[u8]| METADATA_LABELS.iter().any(|known| known.as_bytes() == name);
        if self.pairs().any(|pair| metadata(pair.name)) {
            self.filtered_pairs(|name| !metadata(name))
        } else {
            self.clone()
        }
    }

    /// A copy in which the label has another value; an empty value removes it. Neither may be longer
    /// than [`LABEL_LENGTH_MAX`].
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut bytes = Vec::with_capacity(self.length_with(name, value.len()));
        let write = |bytes: &mut Vec<u8>| {
            if !value.is_empty() {
                write_label(name, value, bytes);
            }
        };
        let mut is_written = false;
        for pair in self.pairs() {
            if !is_written && pair.name >= name.as_bytes() {
                write(&mut bytes);
                is_written = true;
            }
            if pair.name != name.as_bytes() {
                bytes.extend_from_slice(pair.bytes);
            }
        }
        if !is_written {
            write(&mut bytes);
        }
        Self(bytes.into())
    }

    /// The most bytes that [`Self::with`] makes of a value of this length, for callers that reserve
    /// memory before they use it.
    pub fn length_with(&self, name: &str, value_length: usize) -> usize {
        let lengths_of_texts = 8;
        self.0.len() + name.len() + value_length + lengths_of_texts
    }

    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        self.filtered_pairs(|name| keep(trusted_str(name)))
    }

    fn filtered_pairs(&self, keep: impl Fn(&[u8]) -> bool) -> Self {
        let mut bytes = Vec::with_capacity(self.0.len());
        for pair in self.pairs() {
            if keep(pair.name) {
                bytes.extend_from_slice(pair.bytes);
            }
        }
        Self(bytes.into())
    }

    /// Appends the canonical bytes of the labels that `choice` keeps: a key for grouping that costs
    /// no allocation per series.
    pub fn write_key(&self, choice: &LabelChoice, key: &mut Vec<u8>) {
        for pair in self.pairs() {
            if choice.keeps_bytes(pair.name) {
                key.extend_from_slice(pair.bytes);
            }
        }
    }

    pub fn chosen(&self, choice: &LabelChoice) -> Self {
        self.filtered_pairs(|name| choice.keeps_bytes(name))
    }

    fn pairs(&self) -> impl Iterator<Item = EncodedPair<'_>> {
        let mut rest: &[u8] = &self.0;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (name, after_name) = trusted_bytes(rest);
            let (value, after_value) = trusted_bytes(after_name);
            let bytes = &rest[..rest.len() - after_value.len()];
            rest = after_value;
            Some(EncodedPair { name, value, bytes })
        })
    }
}

/// Names and values stay bytes where they are only compared: most are looked at and passed over.
struct EncodedPair<'a> {
    name: &'a [u8],
    value: &'a [u8],
    bytes: &'a [u8],
}

/// Which labels make up a key: those listed, or all but those listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelChoice {
    names: Vec<String>,
    listed: bool,
}

impl LabelChoice {
    pub fn only(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::new(names, true)
    }

    pub fn all_but(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::new(names, false)
    }

    fn new(names: impl IntoIterator<Item = impl Into<String>>, listed: bool) -> Self {
        let mut names: Vec<String> = names.into_iter().map(Into::into).collect();
        names.sort_unstable();
        names.dedup();
        Self { names, listed }
    }

    pub fn keeps(&self, name: &str) -> bool {
        self.keeps_bytes(name.as_bytes())
    }

    fn keeps_bytes(&self, name: &[u8]) -> bool {
        self.names.iter().any(|candidate| candidate.as_bytes() == name) == self.listed
    }

    /// Whether every series has the same key.
    pub fn keeps_nothing(&self) -> bool {
        self.listed && self.names.is_empty()
    }
}

#[derive(Clone, Debug)]
pub struct LabelsIter<'a> {
    rest: &'a [u8],
}

impl<'a> LabelsIter<'a> {
    /// Of bytes that code of this project wrote in the canonical form.
    pub fn of_canonical(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for LabelsIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (name, rest) = trusted_bytes(self.rest);
        let (value, rest) = trusted_bytes(rest);
        self.rest = rest;
        Some((trusted_str(name), trusted_str(value)))
    }
}

/// Appends one label in the canonical form. The caller keeps the order of names, writes no empty
/// value, and has checked the lengths; [`Labels::from_bytes`] checks all of it again.
pub fn write_label(name: &str, value: &str, bytes: &mut Vec<u8>) {
    write_text(name, bytes);
    write_text(value, bytes);
}

fn write_text(text: &str, bytes: &mut Vec<u8>) {
    let length = text.len();
    assert!(length <= LABEL_LENGTH_MAX, "a label is longer than its length can say");
    if length < 255 {
        bytes.push(length as u8);
    } else {
        bytes.extend_from_slice(&[255, length as u8, (length >> 8) as u8, (length >> 16) as u8]);
    }
    bytes.extend_from_slice(text.as_bytes());
}

fn split_text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let (length, rest) = if first < 255 {
        (usize::from(first), rest)
    } else {
        let (long, rest) = rest.split_at_checked(3)?;
        let length = usize::from(long[0]) | usize::from(long[1]) << 8 | usize::from(long[2]) << 16;
        (length, rest)
    };
    rest.split_at_checked(length)
}

fn checked_text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (text, rest) = split_text(bytes)?;
    let short_form = bytes[0] < 255 || text.len() >= 255;
    Some((std::str::from_utf8(text).ok()?, rest)).filter(|_| short_form)
}

#[inline]
fn trusted_bytes(bytes: &[u8]) -> (&[u8], &[u8]) {
    split_text(bytes).expect("labels are checked when they are made")
}

fn trusted_str(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("labels are checked when they are made")
}

/// Orders by name, then by value, label for label. If one set is the beginning of the other, the
/// shorter one comes first.
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_canonical(&self.0, &other.0)
    }
}

/// Orders canonical bytes as [`Labels`] are ordered. Only where they differ first is looked at.
pub fn compare_canonical(left: &[u8], right: &[u8]) -> Ordering {
    let differ = first_difference(left, right);
    if differ == left.len() || differ == right.len() {
        return left.len().cmp(&right.len());
    }
    let mut at = 0;
    loop {
        let rest = &left[at..];
        let (text, behind) = trusted_bytes(rest);
        let text_start = at + (rest.len() - behind.len() - text.len());
        if differ < text_start {
            // Lengths differ: one text may continue the other.
            return text.cmp(trusted_bytes(&right[at..]).0);
        }
        at = text_start + text.len();
        if differ < at {
            return left[differ].cmp(&right[differ]);
        }
    }
}

fn first_difference(left: &[u8], right: &[u8]) -> usize {
    let words = left.chunks_exact(8).zip(right.chunks_exact(8));
    let same = words.take_while(|(left, right)| left == right).count() * 8;
    let rest = left[same..].iter().zip(&right[same..]);
    same + rest.take_while(|(left, right)| left == right).count()
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

/// `{__name__="up", job="api"}`, as error messages show it.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (name, value)) in self.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            let plain = is_plain_name(name);
            match plain {
                true => write!(f, "{comma}{name}={value:?}")?,
                false => write!(f, "{comma}{name:?}={value:?}")?,
            }
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`: needs no quotes anywhere.
pub fn is_plain_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Collects labels in any order.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    pairs: Vec<(String, String)>,
}

impl LabelsBuilder {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn from_labels(labels: &Labels) -> Self {
        let pairs = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { pairs: pairs.collect() }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.as_str())
    }

    /// An empty value removes the label. Neither may be longer than [`LABEL_LENGTH_MAX`].
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        assert!(
            name.len().max(value.len()) <= LABEL_LENGTH_MAX,
            "callers check what they are given"
        );
        if value.is_empty() {
            return self.remove(name);
        }
        match self.pairs.iter_mut().find(|pair| pair.0 == name) {
            Some(pair) => value.clone_into(&mut pair.1),
            None => self.pairs.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.pairs.retain(|pair| pair.0 != name);
        self
    }

    pub fn build(&mut self) -> Labels {
        self.pairs.sort_unstable();
        let length = self.pairs.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
        let mut bytes = Vec::with_capacity(length);
        for (name, value) in &self.pairs {
            write_text(name, &mut bytes);
            write_text(value, &mut bytes);
        }
        Labels(bytes.into())
    }
}

/// A fast hasher for byte strings. Its seed is fixed, so an attacker who may choose many keys can
/// make them collide: not for such keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct BytesHasher(u64);

impl Hasher for BytesHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn write_usize(&mut self, value: usize) {
        self.0 = self.0.wrapping_add(value as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn write_u8(&mut self, value: u8) {
        self.write_usize(usize::from(value));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

pub type BytesHash = BuildHasherDefault<BytesHasher>;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sorts_and_leaves_out_the_empty() {
        let labels =
            Labels::from_pairs([("job", "api"), ("__name__", "up"), ("x", ""), ("a", "1")]);
        assert_eq!(labels.to_string(), r#"{__name__="up", a="1", job="api"}"#);
        assert_eq!(labels.metric_name(), "up");
        assert_eq!(labels.value("x"), "");
        assert_eq!(labels.without_metadata().to_string(), r#"{a="1", job="api"}"#);
    }

    #[test]
    fn orders_label_for_label() {
        let of = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied());
        assert!(of(&[]) < of(&[("a", "1")]));
        assert!(of(&[("a", "1")]) < of(&[("a", "1"), ("b", "1")]));
        assert!(of(&[("a", "10")]) < of(&[("a", "2")]));
        assert!(of(&[("a", "long value")]) < of(&[("b", "x")]));
    }

    #[test]
    fn keys_hold_what_was_chosen() {
        let labels = Labels::from_pairs([("__name__", "up"), ("a", "1"), ("b", "2")]);
        let mut key = Vec::new();
        labels.write_key(&LabelChoice::only(["b", "zz"]), &mut key);
        assert_eq!(key, b"\x01b\x012");
        key.clear();
        labels.write_key(&LabelChoice::all_but(["b", "__name__"]), &mut key);
        assert_eq!(key, b"\x01a\x011");
    }

    #[test]
    fn refuses_bytes_that_are_not_canonical() {
        for bytes in
            [&b"\x01"[..], b"\x01a\x00", b"\x01b\x011\x01a\x011", b"\x01\xff\x011", b"\xff"]
        {
            assert_eq!(Labels::from_bytes(bytes), None, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_names_and_values(
            left in prop::collection::vec(("[ab]{1,2}", "[ab]{0,9}|.{250,300}"), 0..4),
            right in prop::collection::vec(("[ab]{1,2}", "[ab]{0,9}|.{250,300}"), 0..4),
        ) {
            let of = |pairs: &[(String, String)]| {
                Labels::from_pairs(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())))
            };
            let (left, right) = (of(&left), of(&right));
            prop_assert_eq!(left.cmp(&right), left.iter().cmp(right.iter()));
        }

        #[test]
        fn one_label_is_set_as_the_builder_sets_it(
            pairs in prop::collection::vec(("[a-z]{1,3}", ".{0,300}"), 0..8),
            (name, value) in ("[a-z]{1,3}", ".{0,300}"),
        ) {
            let labels = Labels::from_pairs(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())));
            let built = LabelsBuilder::from_labels(&labels).set(&name, &value).build();
            let changed = labels.with(&name, &value);
            prop_assert!(changed.as_bytes().len() <= labels.length_with(&name, value.len()));
            prop_assert_eq!(changed, built);
        }

        #[test]
        fn bytes_come_back(pairs in prop::collection::vec(("[a-z]{1,3}", ".{0,300}"), 0..8)) {
            let labels = Labels::from_pairs(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())));
            prop_assert_eq!(Labels::from_bytes(labels.as_bytes()), Some(labels.clone()));
            let rebuilt = LabelsBuilder::from_labels(&labels).build();
            prop_assert_eq!(rebuilt, labels);
        }

        #[test]
        fn labels_written_one_by_one_are_canonical(name in "[a-z]{1,300}", value in ".{1,300}") {
            let mut bytes = Vec::new();
            write_label(&name, &value, &mut bytes);
            prop_assert_eq!(
                Labels::from_bytes(&bytes),
                Some(Labels::from_pairs([(name.as_str(), value.as_str())]))
            );
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some(labels) = Labels::from_bytes(&bytes) {
                prop_assert_eq!(labels.as_bytes(), &bytes[..]);
                prop_assert!(labels.iter().all(|(_, value)| !value.is_empty()));
            }
        }
    }
}
