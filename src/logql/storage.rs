//! What LogQL needs from a store, and nothing about how a store works.
//!
//! A selection numbers its streams and hands out their lines in pieces, each read as a whole, by any
//! thread. A piece is columns: times, numbers of streams, lines, and one column of codes for each field
//! (structured metadata). A store that has them in memory lends them; one that must decode writes into
//! the caller's [`Scratch`], which is reused from piece to piece. There is no call per line.

pub use log_store::{LineTexts, NO_TEXTS};
use model::{ErrorKind, Labels, Matcher, Room, TimeRange};
use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The order in which lines are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The newest first.
    #[default]
    Backward,
    Forward,
}

/// How many conditions a selection may have: [`Rows::checked`] has a bit for each.
pub const CONDITIONS_MAX: usize = 64;

/// What is wanted of a store.
#[derive(Clone, Copy, Debug)]
pub struct Select<'a> {
    /// Nanoseconds, both ends included.
    pub time: TimeRange,
    /// All must match the labels of a stream.
    pub matchers: &'a [Matcher],
    /// What must hold of a line for it to matter (a conjunction, at most [`CONDITIONS_MAX`]). A store may
    /// use them to read less. It must not leave out a line for which all hold.
    pub conditions: &'a [Condition],
    /// Texts in lines. A store that has no columns of them may pass over these.
    pub texts: &'a LineTexts,
    pub direction: Direction,
    pub needs: &'a Needs,
}

impl Select<'_> {
    /// Whether a field is looked at, also by conditions that the store does not check itself.
    pub fn wants_field(&self, name: &str) -> bool {
        let looks_at = |condition: &Condition| matches!(condition, Condition::Field(matcher) if matcher.name == name);
        self.needs.fields.wants(name) || self.conditions.iter().any(looks_at)
    }
}

/// Which columns will be looked at, beside those that unchecked conditions look at (see
/// [`Rows::checked`]). Others may be given or left empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    pub lines: bool,
    pub fields: FieldNeeds,
}

impl Needs {
    pub fn everything() -> Self {
        Self { lines: true, fields: FieldNeeds::All }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldNeeds {
    None,
    These(BTreeSet<String>),
    All,
}

impl FieldNeeds {
    pub fn wants(&self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::These(names) => names.contains(name),
            Self::All => true,
        }
    }
}

/// What must hold of a line.
#[derive(Clone, Debug)]
pub enum Condition {
    /// The line contains one of these texts. With `ignore_case`, as `(?i)` compares.
    Contains { texts: Vec<String>, ignore_case: bool },
    /// The line contains none of these.
    Lacks { texts: Vec<String> },
    /// The line matches (`|~`) or does not match (`!~`) the unanchored regular expression.
    Matches { regex: Arc<regex::bytes::Regex>, negated: bool },
    /// The field of this name (absent = "") satisfies the matcher, for streams that have no label of
    /// that name. Of the lines of other streams it holds always.
    Field(Matcher),
}

/// Lines that lie together in a store. Its times are those that its rows may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub time: TimeRange,
    pub rows: u64,
    /// Of its lines, as far as they are known.
    pub bytes: u64,
}

/// Texts that lie one behind the other: text `i` ends where `ends[i]` says and begins where the one
/// before it ends. They are bytes, because lines may be no valid UTF-8.
#[derive(Clone, Copy, Debug, Default)]
pub struct Texts<'s> {
    pub bytes: &'s [u8],
    pub ends: &'s [u32],
}

impl<'s> Texts<'s> {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Empty where there is no such text.
    #[inline]
    pub fn get(&self, index: usize) -> &'s [u8] {
        self.bytes.get(self.range(index)).unwrap_or_default()
    }

    /// Where a text lies in the bytes.
    #[inline]
    pub fn range(&self, index: usize) -> std::ops::Range<usize> {
        let end = |index: usize| self.ends.get(index).map_or(0, |end| *end as usize);
        index.checked_sub(1).map_or(0, end)..end(index)
    }
}

/// The code of a line that does not have a field.
pub const ABSENT: u32 = u32::MAX;

/// One field of the lines of a piece.
#[derive(Clone, Copy, Debug)]
pub struct FieldColumn<'s> {
    pub name: &'s str,
    /// For each row the place of its value in `values`, or [`ABSENT`].
    pub codes: &'s [u32],
    /// The distinct values.
    pub values: Texts<'s>,
}

/// The lines of one piece: columns of one length, sorted by stream, then by time, so that the rows of
/// one stream are adjacent. All of them lie within the time that was
/// selected.
#[derive(Clone, Debug, Default)]
pub struct Rows<'s> {
    /// Nanoseconds.
    pub times: &'s [i64],
    pub streams: &'s [u32],
    /// Empty when not needed.
    pub lines: Texts<'s>,
    /// Those needed that some line has. A list of its own, so that a store may lend what it has just
    /// decoded.
    pub fields: Vec<FieldColumn<'s>>,
    /// What [`Selection::read_texts`] found.
    pub texts: Vec<TextRows<'s>>,
    /// Bit `i`: condition `i` holds of every row here, so it need not be looked at again.
    pub checked: u64,
}

/// A text in each line of a piece.
#[derive(Clone, Copy, Debug)]
pub struct TextRows<'s> {
    /// For each row the place of its text or number, or [`ABSENT`].
    pub codes: &'s [u32],
    /// Empty where numbers were asked for.
    pub values: Texts<'s>,
    pub numbers: &'s [f64],
    /// Rows, rising, whose lines are not such as can be read.
    pub failed: &'s [u32],
    /// Rows, rising, whose texts stand for no number.
    pub no_numbers: &'s [u32],
}

/// Lines of one stream in one step of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLines {
    pub stream: u32,
    pub step: usize,
    pub lines: u64,
    /// Of the lines, where they were asked for.
    pub bytes: u64,
}

/// The lines of a piece by the values of one field.
#[derive(Clone, Copy, Debug)]
pub struct ValueLines<'s> {
    /// The distinct values.
    pub values: Texts<'s>,
    /// For each value how many lines have it.
    pub lines: &'s [u32],
    /// How many lines do not have the field.
    pub without: u64,
}

/// Buffers of a reading thread, one for each thread, reused. What is in it is the store's business.
#[derive(Default)]
pub struct Scratch {
    buffers: Option<Box<dyn Any + Send>>,
}

impl Scratch {
    /// The buffers of this type, made when they are asked for first. A thread that reads two stores in
    /// turn makes them anew at each change.
    pub fn buffers<T: Any + Default + Send>(&mut self) -> &mut T {
        let is_there = self.buffers.as_ref().is_some_and(|buffers| buffers.is::<T>());
        if !is_there {
            self.buffers = Some(Box::<T>::default());
        }
        let buffers = self.buffers.as_mut().and_then(|buffers| buffers.downcast_mut::<T>());
        buffers.expect("buffers of this type have just been made")
    }
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scratch").field("is_used", &self.buffers.is_some()).finish()
    }
}

/// Rows of a piece for which all conditions hold, of which only times are known.
pub struct FoundRows {
    pub piece: usize,
    pub times: Vec<i64>,
    /// What the store needs to read the rest of them.
    pub rest: Box<dyn Any + Send>,
}

impl std::fmt::Debug for FoundRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { piece, times, .. } = self;
        f.debug_struct("FoundRows").field("piece", piece).field("times", times).finish()
    }
}

/// The store failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StorageError {
    pub message: String,
    pub kind: ErrorKind,
}

/// The streams and lines that may matter, as of one moment.
pub trait Selection: Send + Sync {
    /// Streams are numbered from 0.
    fn stream_count(&self) -> usize;

    fn labels(&self, stream: u32) -> &Labels;

    /// Ordered by the end of their time for [`Direction::Backward`], the newest first; by their start
    /// for [`Direction::Forward`].
    fn pieces(&self) -> &[Piece];

    fn read<'s>(&'s self, piece: usize, scratch: &'s mut Scratch)
    -> Result<Rows<'s>, StorageError>;

    /// Whether [`Self::read_within`] reads less than a whole piece.
    fn reads_within(&self) -> bool {
        false
    }

    /// As [`Self::read`], where only rows within a time (both ends included) matter: others may be left
    /// out.
    fn read_within<'s>(
        &'s self,
        piece: usize,
        time: TimeRange,
        scratch: &'s mut Scratch,
    ) -> Result<Rows<'s>, StorageError> {
        let _ = time;
        self.read(piece, scratch)
    }

    /// Finds the rows of a piece within a time, for a reader who then wants the lines of few of them;
    /// `None` where the store can't tell for which rows all conditions hold.
    fn find_within(
        &self,
        piece: usize,
        time: TimeRange,
        scratch: &mut Scratch,
    ) -> Result<Option<FoundRows>, StorageError> {
        let _ = (piece, time, scratch);
        Ok(None)
    }

    /// Reads those rows of the ones that [`Self::find_within`] found that also lie within a time.
    fn read_found<'s>(
        &'s self,
        found: FoundRows,
        time: TimeRange,
        scratch: &'s mut Scratch,
    ) -> Result<Rows<'s>, StorageError> {
        self.read_within(found.piece, time, scratch)
    }

    /// As [`Self::read`], without lines but with these of the texts in lines that were selected; `None`
    /// where the store does not find them.
    fn read_texts<'s>(
        &'s self,
        piece: usize,
        which: &[usize],
        scratch: &'s mut Scratch,
    ) -> Result<Option<Rows<'s>>, StorageError> {
        let _ = (piece, which, scratch);
        Ok(None)
    }

    /// How many lines of each stream a piece has in each step, where the store counts them itself: only
    /// if all conditions hold of them. `steps` are starts in rising order; a step ends where the next one
    /// starts, and none of the selected lines is before the first. A stream and step may come several
    /// times.
    fn count(
        &self,
        piece: usize,
        steps: &[i64],
        with_bytes: bool,
        scratch: &mut Scratch,
    ) -> Result<Option<Vec<StreamLines>>, StorageError> {
        let _ = (piece, steps, with_bytes, scratch);
        Ok(None)
    }

    /// How many lines of a piece have each value of a field, where the store knows that of all lines
    /// that were selected without reading them: only if all conditions hold of them.
    fn lines_with_values<'s>(
        &'s self,
        piece: usize,
        field: &str,
        scratch: &'s mut Scratch,
    ) -> Result<Option<ValueLines<'s>>, StorageError> {
        let _ = (piece, field, scratch);
        Ok(None)
    }

    /// What the reader should know, such as data that could not be read.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

pub trait Storage: Send + Sync {
    /// `room`: in the query's memory, for what finding the streams takes.
    fn select<'a>(
        &'a self,
        select: &Select<'_>,
        room: &mut dyn Room,
    ) -> Result<Box<dyn Selection + 'a>, StorageError>;
}
