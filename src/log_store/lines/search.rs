//! Finds the lines of a row group that hold a text, without putting lines together.
//!
//! For each template there are three verdicts: every line holds the text, because the template does;
//! none can; or it depends on slots. A text may lie in one slot, or begin in one, go on through the
//! template and further slots, and end in one. Each such place is a list of tests of slots that all
//! have to hold. Stamps rule most of them out before a column is read.

use super::column::{Column, Form, LETTERS, Marks, Stamp, marks_in_any_case, marks_of};
use super::directory::{ColumnPlace, LinesDirectory};
use super::letters::pieces_of;
use super::number::Numbers;
use super::reader::{ColumnPages, Lines};
use super::split::{SLOT, WHOLE};
use crate::error::StoreError;
use columns::RowSet;
use columns::{ABSENT, TextList, UUID_LENGTH, identifier};
use memchr::memmem::Finder;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::{Range, RangeInclusive};

/// A text that is searched for.
#[derive(Clone, Debug)]
pub(crate) struct Needle {
    text: Vec<u8>,
    /// ASCII letters match in both cases; `text` is in lower case.
    ignore_case: bool,
    finder: Finder<'static>,
    /// Pieces of three letters: see `letters`.
    letters: Vec<u32>,
    pieces: Vec<PieceMarks>,
    /// Whether a byte is one of the text, but for its last one.
    goes_on: [bool; 256],
}

/// The marks that a piece of the needle asks of a slot.
#[derive(Clone, Copy, Debug)]
struct PieceMarks {
    /// All of these must be there.
    all: Marks,
    /// One of these must be there, if there are any.
    any: Marks,
}

impl PieceMarks {
    #[inline]
    fn may_be_in(self, stamp: &Stamp) -> bool {
        self.all & !stamp.marks == 0 && (self.any == 0 || self.any & stamp.marks != 0)
    }
}

/// The pieces of a longer needle are looked at each time.
const LISTED_LENGTH: usize = 64;

impl Needle {
    pub(crate) fn new(text: &str, ignore_case: bool) -> Self {
        let text = text.as_bytes();
        let text = if ignore_case { text.to_ascii_lowercase() } else { text.to_vec() };
        let finder = Finder::new(&text).into_owned();
        let letters = match ignore_case {
            false => pieces_of(&text),
            // Other letters have forms beyond ASCII: the Kelvin sign is a `k`, the long s an `s`.
            true => text
                .split(|byte| !byte.is_ascii() || b"ks".contains(byte))
                .flat_map(pieces_of)
                .collect(),
        };
        let (pieces, goes_on) = (Vec::new(), [false; 256]);
        let mut needle = Self { text, ignore_case, finder, letters, pieces, goes_on };
        let length = needle.text.len();
        let but_last = &needle.text[..length.saturating_sub(1)];
        but_last.iter().for_each(|byte| needle.goes_on[usize::from(*byte)] = true);
        if length <= LISTED_LENGTH {
            let ranges = (0..length).flat_map(|start| (0..=length).map(move |end| (start, end)));
            needle.pieces = ranges.map(|(start, end)| needle.marks(start, end)).collect();
        }
        needle
    }

    fn marks(&self, start: usize, end: usize) -> PieceMarks {
        let piece = &self.text[start..end.max(start)];
        if !self.ignore_case {
            return PieceMarks { all: marks_of(piece), any: 0 };
        }
        let has_letters = piece.iter().any(u8::is_ascii_alphabetic);
        let any = if has_letters { LETTERS } else { 0 };
        PieceMarks { all: marks_in_any_case(piece), any }
    }

    #[inline]
    fn piece(&self, start: usize, end: usize) -> PieceMarks {
        match self.pieces.get(start * (self.text.len() + 1) + end) {
            Some(piece) => *piece,
            None => self.marks(start, end),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    /// The pieces of letters that every line has which holds the text, in whatever case.
    pub(crate) fn letters(&self) -> &[u32] {
        &self.letters
    }

    fn folded<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        match self.ignore_case {
            true => Cow::Owned(text.to_ascii_lowercase()),
            false => Cow::Borrowed(text),
        }
    }

    /// Whether a text that is not in a column holds it.
    pub(crate) fn is_in(&self, text: &[u8]) -> bool {
        self.finder.find(&self.folded(text)).is_some()
    }
}

/// What has to hold of the text in a slot; ranges are of the needle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Contains,
    BeginsWith,
    EndsWith,
    Equals,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SlotTest {
    slot: usize,
    relation: Relation,
    /// The piece of the needle.
    start: usize,
    end: usize,
}

/// The places in a template at which a needle may lie.
#[derive(Debug, Default)]
struct Places {
    /// There may be more than are listed.
    is_cut: bool,
    /// How many pieces of the needle were tried at slots.
    tried: usize,
    /// Any of them, of each all tests.
    any_of: Vec<Vec<SlotTest>>,
}

/// More places than this in one template are not told apart: its lines are put together.
const PLACES_MAX: usize = 64;

/// The same after so many pieces were tried: where each of many slots may hold a longer or a shorter
/// piece, there are more ways than could be followed.
const TRIED_MAX: usize = 16 << 10;

impl Places {
    /// Notes that a piece is tried. True: enough were, and places may be missing.
    fn try_one(&mut self) -> bool {
        self.tried += 1;
        self.is_cut |= self.tried > TRIED_MAX;
        self.is_cut
    }
}

/// The rows whose lines hold the text. Of those that are not `among` the rows that matter it is not
/// always known.
pub(crate) fn search<P: ColumnPages>(
    lines: &Lines<P>,
    needle: &Needle,
    among: &RowSet,
) -> Result<RowSet, StoreError> {
    let directory = &*lines.directory;
    let in_text = templates_with(directory, needle);
    let wanted = templates_of(lines, among);
    let mut verdicts = Vec::with_capacity(directory.templates.len());
    for template in 0..directory.templates.len() {
        let is_wanted = wanted.as_ref().is_none_or(|wanted| wanted[template]);
        verdicts.push(match is_wanted {
            true => verdict(directory, template, needle, in_text.contains(template)),
            false => Verdict::None,
        });
    }
    if verdicts.iter().all(|verdict| matches!(verdict, Verdict::None)) {
        return Ok(RowSet::none(directory.rows.len()));
    }
    if among.len() < among.rows() / FEW_SHARE {
        return search_few(lines, needle, among, &verdicts);
    }
    let mut found = Vec::with_capacity(verdicts.len());
    for (template, verdict) in verdicts.into_iter().enumerate() {
        found.push(match verdict {
            Verdict::All => Found::All,
            Verdict::None => Found::None,
            Verdict::Depends(places) => rows_of_template(lines, template, needle, &places)?,
        });
    }
    match found.iter().all(|found| matches!(found, Found::None)) {
        true => Ok(RowSet::none(directory.rows.len())),
        false => Ok(rows_of_templates(&directory.rows, &found)),
    }
}

/// Where less than this share of the rows matters, only these are read of each column.
const FEW_SHARE: usize = 64;

/// The rows of few whose lines hold the text.
fn search_few<P: ColumnPages>(
    lines: &Lines<P>,
    needle: &Needle,
    among: &RowSet,
    verdicts: &[Verdict],
) -> Result<RowSet, StoreError> {
    let (mut found, mut open) = (RowSet::none(among.rows()), BTreeMap::<u16, Vec<u32>>::new());
    for row in among.iter() {
        let template = lines.directory.rows[row];
        match verdicts[usize::from(template)] {
            Verdict::All => found.insert(row),
            Verdict::None => {}
            Verdict::Depends(_) => open.entry(template).or_default().push(row as u32),
        }
    }
    for (template, rows) in open {
        let template = usize::from(template);
        let Verdict::Depends(places) = &verdicts[template] else { continue };
        let holding = few_of_template(lines, template, (needle, places), &rows)?;
        holding.iter().for_each(|at| found.insert(rows[at] as usize));
    }
    Ok(found)
}

/// The places, among these rows of a template, of those that hold the needle.
fn few_of_template<P: ColumnPages>(
    lines: &Lines<P>,
    template: usize,
    (needle, places): (&Needle, &Places),
    rows: &[u32],
) -> Result<RowSet, StoreError> {
    if places.is_cut {
        let mut texts = TextList::default();
        lines.collect_few(rows, &mut texts)?;
        return Ok(RowSet::of(rows.len(), |at| needle.is_in(texts.get(at))));
    }
    let ordinals: Vec<u32> =
        rows.iter().map(|row| lines.directory.ordinal(*row as usize)).collect();
    let first = lines.directory.columns_of(template).start;
    let mut picked: BTreeMap<usize, TextList> = BTreeMap::new();
    at_any_place(places, rows.len(), |test| {
        let column = first + test.slot;
        if rules_out(lines, column, test, needle)? {
            return Ok(RowSet::none(rows.len()));
        }
        let texts = match picked.entry(column) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(lines.pick(column, &ordinals)?),
        };
        Ok(passing_texts(texts, test, needle))
    })
}

/// What a template tells about its lines.
enum Verdict {
    /// All of them hold the text.
    All,
    /// None does.
    None,
    Depends(Places),
}

fn verdict(
    directory: &LinesDirectory,
    template: usize,
    needle: &Needle,
    is_in_text: bool,
) -> Verdict {
    // No needle holds the byte that stands for a slot, but for those of which no template is made.
    if needle.text.is_empty() || is_in_text && !needle.text.contains(&SLOT) {
        return Verdict::All;
    }
    let text = directory.templates.get(template);
    if text == WHOLE && !directory.whole.may_hold(&needle.text) {
        return Verdict::None;
    }
    let columns = directory.columns_of(template);
    let (slots, ends) = (&directory.columns[columns.clone()], &directory.slots[columns]);
    let places = PlaceFinder { text: &needle.folded(text), ends, slots, needle }.find();
    if places.any_of.is_empty() { Verdict::None } else { Verdict::Depends(places) }
}

/// The templates whose text holds the needle: all are searched at once.
fn templates_with(directory: &LinesDirectory, needle: &Needle) -> RowSet {
    let templates = &directory.templates;
    match (needle.text.is_empty(), needle.ignore_case) {
        (true, _) => RowSet::all(templates.len()),
        (_, false) => holding(templates, needle),
        (_, true) => {
            let bytes = templates.bytes.to_ascii_lowercase();
            holding(&TextList { bytes, ends: templates.ends.clone() }, needle)
        }
    }
}

/// Rows of so few templates are looked for one template after the other.
const FEW_TEMPLATES: usize = 4;

/// The rows that were found; `templates` are those of all rows.
fn rows_of_templates(templates: &[u16], found: &[Found]) -> RowSet {
    let is_found = |template: &usize| !matches!(found[*template], Found::None);
    let few: Vec<usize> = (0..found.len()).filter(is_found).take(FEW_TEMPLATES + 1).collect();
    if few.len() <= FEW_TEMPLATES {
        let mut rows = RowSet::none(templates.len());
        few.iter().for_each(|template| {
            insert_rows_of(*template as u16, templates, &found[*template], &mut rows);
        });
        return rows;
    }
    // Small, because it is looked at for each row.
    let is_any: Vec<bool> = found.iter().map(|found| !matches!(found, Found::None)).collect();
    let mut next = vec![0u32; found.len()];
    RowSet::of(templates.len(), |row| {
        let template = templates[row] as usize;
        if !is_any[template] {
            return false;
        }
        next[template] += 1;
        found[template].has(next[template] as usize - 1)
    })
}

/// Rows that are compared with a template at once.
const CHUNK: usize = 64;

/// Inserts the rows of one template that were found.
fn insert_rows_of(template: u16, templates: &[u16], found: &Found, rows: &mut RowSet) {
    let mut ordinal = 0;
    for (chunk, start) in templates.chunks(CHUNK).zip((0..).step_by(CHUNK)) {
        let count = chunk.iter().filter(|of_row| **of_row == template).count();
        let next = ordinal + count;
        if count > 0 && found.has_any(ordinal..next) {
            let of_template = chunk.iter().zip(start..).filter(|(it, _)| **it == template);
            for ((_, row), ordinal) in of_template.zip(ordinal..) {
                if found.has(ordinal) {
                    rows.insert(row);
                }
            }
        }
        ordinal = next;
    }
}

/// For each template whether one of the rows is of it; `None`: all are.
fn templates_of<P: ColumnPages>(lines: &Lines<P>, rows: &RowSet) -> Option<Vec<bool>> {
    if rows.len() == rows.rows() {
        return None;
    }
    let mut wanted = vec![false; lines.directory.templates.len()];
    rows.iter().for_each(|row| wanted[lines.directory.rows[row] as usize] = true);
    Some(wanted)
}

/// Which rows of one template were found.
enum Found {
    All,
    None,
    Some(RowSet),
}

impl Found {
    fn of(rows: RowSet) -> Self {
        if rows.is_empty() { Self::None } else { Self::Some(rows) }
    }

    /// Whether one of these of the template's rows was found.
    fn has_any(&self, ordinals: Range<usize>) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Some(rows) => rows.count(ordinals) > 0,
        }
    }

    /// Whether the template's row with this number was found.
    fn has(&self, ordinal: usize) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Some(rows) => rows.contains(ordinal),
        }
    }
}

/// The rows of a template that hold the needle at one of the places.
fn rows_of_template<P: ColumnPages>(
    lines: &Lines<P>,
    template: usize,
    needle: &Needle,
    places: &Places,
) -> Result<Found, StoreError> {
    let directory = &*lines.directory;
    let columns = directory.columns_of(template);
    let rows = directory.counts[template] as usize;
    if places.is_cut {
        let (mut line, mut found) = (Vec::new(), RowSet::none(rows));
        for ordinal in 0..rows {
            line.clear();
            lines.append_of(template, ordinal, &mut line)?;
            if needle.is_in(&line) {
                found.insert(ordinal);
            }
        }
        return Ok(Found::of(found));
    }
    let found = at_any_place(places, rows, |test| {
        let column = columns.start + test.slot;
        match rules_out(lines, column, test, needle)? {
            true => Ok(RowSet::none(rows)),
            false => Ok(passing(lines.column(column)?, rows, test, needle)),
        }
    })?;
    Ok(Found::of(found))
}

/// The rows, of so many, for which all tests of one of the places hold.
fn at_any_place(
    places: &Places,
    rows: usize,
    mut passing: impl FnMut(&SlotTest) -> Result<RowSet, StoreError>,
) -> Result<RowSet, StoreError> {
    let mut found = RowSet::none(rows);
    for tests in &places.any_of {
        let mut all = RowSet::all(rows);
        for test in tests {
            if all.is_empty() {
                break;
            }
            all = all.and(&passing(test)?);
        }
        found = found.or(&all);
    }
    Ok(found)
}

/// Whether the filter of the column says that no text can pass, or a piece would have to be a whole text and
/// the index of identifiers says that it is none.
fn rules_out<P: ColumnPages>(
    lines: &Lines<P>,
    column: usize,
    test: &SlotTest,
    needle: &Needle,
) -> Result<bool, StoreError> {
    let ColumnPlace { form, stamp, .. } = lines.directory.columns[column];
    let piece = &needle.text[test.start..test.end];
    if form == Form::Ids && !may_be_in_id(piece, stamp.longest as usize) {
        return Ok(true);
    }
    let is_whole = test.relation == Relation::Equals
        || stamp.shortest == stamp.longest && piece.len() == stamp.longest as usize;
    if needle.ignore_case {
        return Ok(false);
    }
    if let Some(filter) = lines.directory.filters.get(&(column as u32)) {
        let may_pass = if is_whole { filter.may_be(piece) } else { filter.may_be_in(piece) };
        return Ok(!may_pass);
    }
    if !is_whole {
        return Ok(false);
    }
    match identifier(piece).filter(|_| form == Form::Ids) {
        Some(id) => Ok(!lines.may_hold_id(&id)?),
        None => Ok(false),
    }
}

/// Whether a column of identifiers of this length may hold a piece: a UUID has a dash after at most so many
/// digits.
fn may_be_in_id(piece: &[u8], length: usize) -> bool {
    const GROUP_MAX: usize = 12;
    let is_long = |group: &[u8]| group.len() > GROUP_MAX;
    length != UUID_LENGTH || !piece.split(|byte| *byte == b'-').any(is_long)
}

/// Finds the places of a needle in one template.
struct PlaceFinder<'f> {
    text: &'f [u8],
    /// Where the slots are in the text.
    ends: &'f [u32],
    slots: &'f [ColumnPlace],
    needle: &'f Needle,
}

impl PlaceFinder<'_> {
    fn find(&self) -> Places {
        let (mut places, mut tests) = (Places::default(), Vec::new());
        let needle = self.needle;
        let (all, first) = (needle.piece(0, needle.len()), needle.piece(0, 1));
        for (slot, ColumnPlace { stamp, .. }) in self.slots.iter().enumerate() {
            if places.is_cut {
                break;
            }
            // Mostly the needle can't begin in a slot nor before it.
            let before = (self.ends[slot] as usize).checked_sub(1).map(|at| self.text[at]);
            if before.is_some_and(|byte| needle.goes_on[usize::from(byte)]) {
                self.begin_in_segment(slot, &mut tests, &mut places);
            }
            let may_begin = needle.len() > 1 && first.may_be_in(stamp);
            if may_begin || all.may_be_in(stamp) {
                self.begin_in_slot(slot, &mut tests, &mut places);
            }
        }
        places
    }

    /// What stands before a slot, or behind the last one.
    fn segment(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize + 1);
        let end = self.ends.get(index).map_or(self.text.len(), |end| *end as usize);
        &self.text[start..end]
    }

    /// The needle begins in the segment before a slot and reaches the slot.
    fn begin_in_segment(&self, slot: usize, tests: &mut Vec<SlotTest>, places: &mut Places) {
        let (segment, needle) = (self.segment(slot), &self.needle.text);
        let Some(last) = segment.last() else { return };
        for length in 1..=segment.len().min(needle.len() - 1) {
            if *last == needle[length - 1] && segment[segment.len() - length..] == needle[..length]
            {
                self.go_on(slot, length, tests, places);
            }
        }
    }

    /// The needle begins in a slot.
    fn begin_in_slot(&self, slot: usize, tests: &mut Vec<SlotTest>, places: &mut Places) {
        let needle = &self.needle.text;
        self.place(
            SlotTest { slot, relation: Relation::Contains, start: 0, end: needle.len() },
            tests,
            places,
        );
        for length in 1..needle.len() {
            let test = SlotTest { slot, relation: Relation::EndsWith, start: 0, end: length };
            if !self.is_possible(&test) || places.try_one() {
                break;
            }
            if let Some(reached) = self.through_segment(slot + 1, length) {
                tests.push(test);
                self.reach(slot + 1, reached, tests, places);
                tests.pop();
            }
        }
    }

    /// The needle has been matched up to `at`, which is where a slot begins.
    fn go_on(&self, slot: usize, at: usize, tests: &mut Vec<SlotTest>, places: &mut Places) {
        let needle = &self.needle.text;
        let rest = SlotTest { slot, relation: Relation::BeginsWith, start: at, end: needle.len() };
        self.place(rest, tests, places);
        for end in at..needle.len() {
            let test = SlotTest { slot, relation: Relation::Equals, start: at, end };
            if places.try_one() {
                break;
            }
            let Some(reached) = self.through_segment(slot + 1, end) else { continue };
            if self.is_possible(&test) {
                tests.push(test);
                self.reach(slot + 1, reached, tests, places);
                tests.pop();
            }
        }
    }

    /// Where the needle is matched up to if the segment follows at `at`; `None` if it does not fit.
    fn through_segment(&self, segment: usize, at: usize) -> Option<usize> {
        let (segment, rest) = (self.segment(segment), &self.needle.text[at..]);
        let length = segment.len().min(rest.len());
        (segment[..length] == rest[..length]).then_some(at + length)
    }

    /// The needle has been matched up to `at`, which is the end of the needle or of a segment.
    fn reach(&self, segment: usize, at: usize, tests: &mut Vec<SlotTest>, places: &mut Places) {
        if at == self.needle.text.len() {
            self.keep(tests, places);
        } else if segment < self.slots.len() {
            self.go_on(segment, at, tests, places);
        }
    }

    fn place(&self, test: SlotTest, tests: &mut Vec<SlotTest>, places: &mut Places) {
        if self.is_possible(&test) {
            tests.push(test);
            self.keep(tests, places);
            tests.pop();
        }
    }

    fn keep(&self, tests: &[SlotTest], places: &mut Places) {
        match places.any_of.len() < PLACES_MAX {
            true => places.any_of.push(tests.to_vec()),
            false => places.is_cut = true,
        }
    }

    /// Whether any text with the stamp of the slot can pass.
    fn is_possible(&self, test: &SlotTest) -> bool {
        let stamp = self.slots[test.slot].stamp;
        let length = (test.end - test.start) as u32;
        let fits = match test.relation {
            Relation::Equals => (stamp.shortest..=stamp.longest).contains(&length),
            _ => length <= stamp.longest,
        };
        let piece = self.needle.piece(test.start, test.end);
        fits && piece.all & !stamp.marks == 0 && (piece.any == 0 || piece.any & stamp.marks != 0)
    }
}

/// The rows of a column whose text passes.
fn passing(column: &Column, rows: usize, test: &SlotTest, needle: &Needle) -> RowSet {
    match column {
        Column::Same(text) if test.passes(text, needle) => RowSet::all(rows),
        Column::Same(_) => RowSet::none(rows),
        Column::Texts(texts) => passing_texts(texts, test, needle),
        Column::Dictionary(column) => {
            let passing = passing_texts(&column.values, test, needle);
            if passing.is_empty() {
                return RowSet::none(rows);
            }
            let passes = |code: u32| code != ABSENT && passing.contains(code as usize);
            RowSet::of(rows, |row| passes(column.codes[row]))
        }
        Column::Ids(column) => {
            let piece = &needle.text[test.start..test.end];
            let passing = match piece.len() == column.length() {
                true => match column.find(piece) {
                    Some(code) => return RowSet::of(rows, |row| column.codes[row] == code),
                    None => return RowSet::none(rows),
                },
                false => passing_texts(&column.values(), test, needle),
            };
            if passing.is_empty() {
                return RowSet::none(rows);
            }
            RowSet::of(rows, |row| passing.contains(column.codes[row] as usize))
        }
        Column::Numbers(numbers, shape) => {
            let piece = &needle.text[test.start..test.end];
            let known = match test.relation {
                _ if needle.ignore_case => None,
                _ if !shape.has_bytes_of(piece) => Some(Numbers::Within(Vec::new())),
                Relation::Equals => shape.equal_to(piece),
                Relation::BeginsWith => shape.beginning_with(piece),
                Relation::Contains if shape.begins_where_it_occurs(piece) => {
                    shape.beginning_with(piece)
                }
                Relation::Contains | Relation::EndsWith => None,
            };
            if let Some(wanted) = known {
                return of_numbers(numbers, &wanted);
            }
            let mut text = Vec::new();
            RowSet::of(rows, |row| {
                text.clear();
                column.append(row, &mut text);
                test.passes(&text, needle)
            })
        }
    }
}

impl SlotTest {
    fn passes(&self, text: &[u8], needle: &Needle) -> bool {
        self.passes_folded(&needle.folded(text), needle)
    }

    /// The same for a text in lower case, where the needle ignores cases.
    #[inline]
    fn passes_folded(&self, text: &[u8], needle: &Needle) -> bool {
        let piece = &needle.text[self.start..self.end];
        match self.relation {
            // All of the needle.
            Relation::Contains => needle.finder.find(text).is_some(),
            Relation::BeginsWith => text.starts_with(piece),
            Relation::EndsWith => text.ends_with(piece),
            Relation::Equals => *text == *piece,
        }
    }
}

/// The places of the texts that pass.
fn passing_texts(texts: &TextList, test: &SlotTest, needle: &Needle) -> RowSet {
    let folded = needle
        .ignore_case
        .then(|| TextList { bytes: texts.bytes.to_ascii_lowercase(), ends: texts.ends.clone() });
    let texts = folded.as_ref().unwrap_or(texts);
    match test.relation {
        Relation::Contains => holding(texts, needle),
        _ => RowSet::of(texts.len(), |index| test.passes_folded(texts.get(index), needle)),
    }
}

fn of_numbers(numbers: &[u64], wanted: &Numbers) -> RowSet {
    match wanted {
        Numbers::All => RowSet::all(numbers.len()),
        Numbers::Within(ranges) => {
            let mut found = RowSet::none(numbers.len());
            for range in ranges {
                insert_within(numbers, range, &mut found);
            }
            found
        }
    }
}

/// Numbers that are looked at together: mostly none is in the range.
const NUMBERS_AT_ONCE: usize = 64;

fn insert_within(numbers: &[u64], range: &RangeInclusive<u64>, found: &mut RowSet) {
    let (first, span) = (*range.start(), range.end().saturating_sub(*range.start()));
    let is_within = |number: &u64| number.wrapping_sub(first) <= span;
    for (index, chunk) in numbers.chunks(NUMBERS_AT_ONCE).enumerate() {
        // Without a branch for each number.
        if chunk.iter().fold(false, |any, number| any | is_within(number)) {
            let start = index * NUMBERS_AT_ONCE;
            let rows = chunk.iter().enumerate().filter(|(_, number)| is_within(number));
            rows.for_each(|(row, _)| found.insert(start + row));
        }
    }
}

/// The texts that hold a needle, which is not empty: all are searched at once.
fn holding(texts: &TextList, needle: &Needle) -> RowSet {
    let mut found = RowSet::none(texts.len());
    let (mut from, mut row) = (0, 0);
    while let Some(at) = needle.finder.find(&texts.bytes[from..]) {
        let start = from + at;
        row += texts.ends[row..].partition_point(|end| *end as usize <= start);
        if start + needle.len() <= texts.ends[row] as usize {
            found.insert(row);
            from = texts.ends[row] as usize;
            row += 1;
        } else {
            from = start + 1;
        }
        if row >= texts.len() {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::reader::tests::{any_line, written};
    use super::*;
    use proptest::prelude::*;

    fn found(lines: &[Vec<u8>], text: &str, ignore_case: bool) -> Vec<usize> {
        let (directory, pages) = written(lines);
        let read = Lines::new(directory, &pages);
        search(&read, &Needle::new(text, ignore_case), &RowSet::all(lines.len()))
            .unwrap()
            .iter()
            .collect()
    }

    fn expected(lines: &[Vec<u8>], text: &str, ignore_case: bool) -> Vec<usize> {
        let fold =
            |text: &[u8]| if ignore_case { text.to_ascii_lowercase() } else { text.to_vec() };
        let text = fold(text.as_bytes());
        let holds = |line: &[u8]| memchr::memmem::find(&fold(line), &text).is_some();
        (0..lines.len()).filter(|row| holds(&lines[*row])).collect()
    }

    /// Pieces of a needle can be dealt out to the slots of a list in more ways than there is time for.
    #[test]
    fn a_needle_that_fits_in_very_many_ways_is_found() {
        let list = |length: usize| {
            let texts = (0..60).map(|i| format!("\"{}\"", "a\\\",\\\"".repeat((i + length) % 3)));
            format!("{{\"l\":[{}]}}", texts.collect::<Vec<_>>().join(",")).into_bytes()
        };
        let lines: Vec<Vec<u8>> = (0..40).map(list).collect();
        for needle in ["\",\"".repeat(60), "\\\",\\\"".repeat(40), "a\\\",\\\"\",\"".repeat(30)] {
            assert_eq!(found(&lines, &needle, false), expected(&lines, &needle, false), "{needle}");
        }
    }

    #[test]
    fn a_text_may_lie_across_slots() {
        let lines: Vec<Vec<u8>> =
            ["user u7 from 10.0.3.44 port 80", "user u17 from 10.0.3.4 port 8", "결제 7"]
                .map(|line| line.as_bytes().to_vec())
                .to_vec();
        for text in ["u7 from 1", "7 from 10.0.3.4", "4 port 8", ".3.4 ", "user u", "제 7", "", "x"]
        {
            assert_eq!(found(&lines, text, false), expected(&lines, text, false), "{text}");
        }
        assert_eq!(found(&lines, "U7 FROM", true), [0]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn the_same_is_found_as_in_whole_lines(
            lines in prop::collection::vec(any_line(), 1..80),
            texts in prop::collection::vec("[aAbB0-9 =.]{1,5}|제|\"b\":|[0-9]{1,3}\\}|\": \"[ab]", 1..6),
            from in any::<prop::sample::Index>(), start in 0usize..20, length in 1usize..12,
        ) {
            let line = String::from_utf8_lossy(&lines[from.index(lines.len())]).into_owned();
            let own: String = line.chars().skip(start).take(length).collect();
            let (directory, pages) = written(&lines);
            let read = Lines::new(directory, &pages);
            for text in texts.into_iter().chain([own]) {
                let one = start * lines.len() / 20;
                let among = RowSet::of(lines.len(), |row| row == one);
                let in_one = search(&read, &Needle::new(&text, false), &among).unwrap();
                prop_assert_eq!(
                    in_one.contains(one), expected(&lines, &text, false).contains(&one)
                );
                for ignore_case in [false, true] {
                    prop_assert_eq!(
                        found(&lines, &text, ignore_case), expected(&lines, &text, ignore_case),
                        "{:?} {}", text, ignore_case
                    );
                }
            }
        }
    }
}
