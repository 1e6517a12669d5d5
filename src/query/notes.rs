//! Warnings and infos: what a query's author should know about its result.
//!
//! Each language has notes of its own; those of the shared operators and aggregations are
//! [`OperatorNote`]s, which a language's notes include. A note is told once, with the place where it
//! was first raised.
//!
//! Invariant: notes name metrics, and a query can make names as many and as long as it likes, so only
//! [`BYTES_MAX`] of notes are kept, and the others are counted.

use crate::operators::BinaryOp;
use crate::position::Position;
use model::{format_float_go, quote_go};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;

/// What two histograms were combined for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Combining {
    Addition,
    Subtraction,
    Aggregation,
}

impl Combining {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Addition => "addition",
            Self::Subtraction => "subtraction",
            Self::Aggregation => "aggregation",
        }
    }
}

/// A note of an operator or an aggregation. Numbers are kept as bits so that equal notes are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OperatorNote {
    InvalidQuantile(u64),
    InvalidRatio {
        given: u64,
        used: u64,
    },
    MixedFloatsHistograms,
    MixedExponentialCustom(String),
    /// The operator.
    IncompatibleBuckets(&'static str),
    ResetCollision(Combining),
    BoundsReconciled(Combining),
    IncompatibleTypes {
        left: &'static str,
        op: &'static str,
        right: &'static str,
    },
    /// The aggregation.
    HistogramIgnored(&'static str),
}

impl OperatorNote {
    pub fn incompatible_types(left: &'static str, op: BinaryOp, right: &'static str) -> Self {
        Self::IncompatibleTypes { left, op: op.as_str(), right }
    }

    /// Whether the result may be wrong, rather than only surprising.
    pub fn is_warning(&self) -> bool {
        !matches!(
            self,
            Self::IncompatibleTypes { .. } | Self::HistogramIgnored(_) | Self::BoundsReconciled(_)
        )
    }
}

impl fmt::Display for OperatorNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |bits: &u64| format_float_go(f64::from_bits(*bits));
        match self {
            Self::InvalidQuantile(q) => {
                write!(f, "quantile value should be between 0 and 1, got {}", number(q))
            }
            Self::InvalidRatio { given, used } => {
                let (given, used) = (number(given), number(used));
                write!(f, "ratio value should be between -1 and 1, got {given}, capping to {used}")
            }
            Self::MixedFloatsHistograms => {
                f.write_str("encountered a mix of histograms and floats for aggregation")
            }
            Self::MixedExponentialCustom(metric) => {
                f.write_str("vector contains a mix of histograms with exponential and custom ")?;
                write!(f, "buckets schemas for metric name {}", quote_go(metric.as_bytes()))
            }
            Self::IncompatibleBuckets(op) => {
                write!(f, "incompatible bucket layout encountered for binary operator {op}")
            }
            Self::ResetCollision(what) => {
                write!(f, "conflicting counter resets during histogram {}", what.as_str())
            }
            Self::BoundsReconciled(what) => {
                write!(f, "mismatched custom buckets were reconciled during {}", what.as_str())
            }
            Self::IncompatibleTypes { left, op, right } => {
                let quoted = quote_go(op.as_bytes());
                write!(f, "incompatible sample types encountered for binary operator {quoted}: ")?;
                write!(f, "{left} {op} {right}")
            }
            Self::HistogramIgnored(op) => write!(f, "ignored histogram in {op} aggregation"),
        }
    }
}

/// A language's note; it prints as the text that the author sees.
pub trait Note: Clone + Eq + Hash + fmt::Display + From<OperatorNote> {
    /// What is told about all occurrences of one note together.
    type Extent: Extent;

    fn is_warning(&self) -> bool;

    /// Whether its text is followed by its place in the query.
    fn has_place(&self) -> bool;
}

/// Prints as what follows the note's text.
pub trait Extent: fmt::Display + fmt::Debug {
    fn merge(&mut self, other: &Self);
}

#[derive(Debug)]
struct Occurrence<E> {
    position: Position,
    /// How many notes were raised before it.
    order: usize,
    extent: Option<E>,
}

/// Thousands of notes on metrics with usual names.
const BYTES_MAX: usize = 4 << 20;

/// Collects notes while a query runs. One per thread, merged afterwards.
#[derive(Debug)]
pub struct Notes<N: Note>(RefCell<Kept<N>>);

#[derive(Debug)]
struct Kept<N: Note> {
    notes: HashMap<N, Occurrence<N::Extent>>,
    /// What the texts of the notes take.
    bytes: usize,
    left_out: Omitted,
}

/// Not derived, which would ask for notes that have a default.
impl<N: Note> Default for Notes<N> {
    fn default() -> Self {
        let left_out = Omitted::default();
        Self(RefCell::new(Kept { notes: HashMap::new(), bytes: 0, left_out }))
    }
}

/// How many notes were raised that are not among those that are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Omitted {
    warnings: usize,
    infos: usize,
}

/// The length of a text that is never made.
#[derive(Default)]
struct Length(usize);

impl fmt::Write for Length {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

fn length_of(text: &impl fmt::Display) -> usize {
    let mut length = Length::default();
    fmt::write(&mut length, format_args!("{text}")).expect("a length takes everything");
    length.0
}

/// Where operators and aggregations put their notes, in whichever language.
pub trait NoteSink {
    fn note(&self, note: OperatorNote, position: Position);
}

impl<N: Note> NoteSink for Notes<N> {
    fn note(&self, note: OperatorNote, position: Position) {
        self.add(note, position);
    }
}

impl<N: Note> Notes<N> {
    pub fn add(&self, note: impl Into<N>, position: Position) {
        self.put(note.into(), position, None);
    }

    pub fn add_with_extent(&self, note: impl Into<N>, position: Position, extent: N::Extent) {
        self.put(note.into(), position, Some(extent));
    }

    fn put(&self, note: N, position: Position, extent: Option<N::Extent>) {
        let mut kept = self.0.borrow_mut();
        let Kept { notes, bytes, left_out } = &mut *kept;
        let order = notes.len();
        match notes.get_mut(&note) {
            None => {
                let length = length_of(&note);
                if *bytes + length > BYTES_MAX {
                    left_out.add(note.is_warning(), 1);
                    return;
                }
                *bytes += length;
                notes.insert(note, Occurrence { position, order, extent });
            }
            Some(known) => match (&mut known.extent, extent) {
                (Some(known), Some(new)) => known.merge(&new),
                (known, Some(new)) => *known = Some(new),
                (_, None) => {}
            },
        }
    }

    /// Takes in what another thread collected.
    pub fn merge(&self, other: Self) {
        self.0.borrow_mut().left_out.merge(other.left_out());
        for (note, Occurrence { position, extent, .. }) in other.in_order() {
            self.put(note, position, extent);
        }
    }

    fn left_out(&self) -> Omitted {
        self.0.borrow().left_out
    }

    fn in_order(self) -> Vec<(N, Occurrence<N::Extent>)> {
        let mut notes: Vec<_> = self.0.into_inner().notes.into_iter().collect();
        notes.sort_by_key(|(_, occurrence)| occurrence.order);
        notes
    }

    pub fn finish(self, query: &str) -> Annotations {
        let mut annotations = Annotations { omitted: self.left_out(), ..Annotations::default() };
        for (note, occurrence) in self.in_order() {
            let extent = occurrence.extent.map(|extent| extent.to_string()).unwrap_or_default();
            let place = occurrence.position.line_and_column(query);
            let text = match note.has_place() {
                true => format!("{note}{extent} ({place})"),
                false => format!("{note}{extent}"),
            };
            match note.is_warning() {
                true => annotations.warnings.push(text),
                false => annotations.infos.push(text),
            }
        }
        annotations
    }
}

/// The texts, in the order in which they were first raised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    pub warnings: Vec<String>,
    pub infos: Vec<String>,
    pub omitted: Omitted,
}

impl Omitted {
    fn add(&mut self, is_warning: bool, count: usize) {
        let counter = if is_warning { &mut self.warnings } else { &mut self.infos };
        *counter += count;
    }

    fn merge(&mut self, other: Self) {
        self.warnings += other.warnings;
        self.infos += other.infos;
    }
}

impl Annotations {
    /// The first few of each kind, and how many more there were.
    #[must_use]
    pub fn at_most(self, most: usize) -> Self {
        let Self { warnings, infos, omitted } = self;
        Self {
            warnings: shortened(warnings, most, omitted.warnings, "warning"),
            infos: shortened(infos, most, omitted.infos, "info"),
            omitted: Omitted::default(),
        }
    }
}

fn shortened(mut texts: Vec<String>, most: usize, omitted: usize, kind: &str) -> Vec<String> {
    let more = texts.len().saturating_sub(most) + omitted;
    if more > 0 {
        texts.truncate(most);
        texts.push(format!("{more} more {kind} annotations omitted"));
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_are_counted() {
        let texts = |count: usize| (0..count).map(|index| format!("note {index}")).collect();
        let omitted = Omitted { warnings: 0, infos: 2 };
        let annotations =
            Annotations { warnings: texts(13), infos: texts(10), omitted }.at_most(10);
        assert_eq!(annotations.warnings.len(), 11);
        assert_eq!(annotations.warnings[9..], ["note 9", "3 more warning annotations omitted"]);
        assert_eq!(annotations.infos.len(), 11);
        assert_eq!(annotations.infos[10], "2 more info annotations omitted");
    }

    #[derive(Clone, PartialEq, Eq, Hash)]
    struct Long(usize);

    impl fmt::Display for Long {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{:50000}", self.0)
        }
    }

    impl From<OperatorNote> for Long {
        fn from(_: OperatorNote) -> Self {
            Self(0)
        }
    }

    impl fmt::Display for Nothing {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            Ok(())
        }
    }

    #[derive(Debug)]
    struct Nothing;

    impl Extent for Nothing {
        fn merge(&mut self, _: &Self) {}
    }

    impl Note for Long {
        type Extent = Nothing;

        fn is_warning(&self) -> bool {
            true
        }

        fn has_place(&self) -> bool {
            false
        }
    }

    #[test]
    fn long_notes_are_counted_rather_than_kept() {
        let most = BYTES_MAX / 50_000;
        let (one, other) = (Notes::<Long>::default(), Notes::<Long>::default());
        (0..most + 2).for_each(|number| one.add(Long(number), Position::default()));
        (1..most + 4).for_each(|number| other.add(Long(number), Position::default()));
        one.merge(other);
        let annotations = one.finish("");
        assert_eq!(annotations.warnings.len(), most);
        // Two of the first, three of the second, and the last one of the second while merging.
        assert_eq!(annotations.omitted, Omitted { warnings: 2 + 3 + 1, infos: 0 });
    }
}
