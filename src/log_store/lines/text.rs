//! Texts that a reader finds in lines by rules of its own, such as the value of a key of JSON, read from
//! columns.
//!
//! The reader looks at a template once. Mostly it finds that the text depends on one slot, or on none:
//! then it is asked once for each distinct text of that slot, with a line in which only this slot is
//! filled, or not at all where it says that the slot's text is the answer as it is. Lines are put
//! together only for templates in which the text may be anywhere.
//! Invariant: what is found is what the reader finds in the whole line.

use super::column::Column;
use super::number::NumberShape;
use super::reader::{ColumnPages, Lines};
use super::split::{SLOT, WHOLE, is_json};
use crate::error::StoreError;
use columns::RowSet;
use columns::{ABSENT, Interner, TextColumn, TextList};
use std::fmt::Debug;
use std::sync::Arc;

/// Rules by which a text is found in a line.
pub trait LineText: Debug + Send + Sync {
    /// For one thread.
    fn reader(&self) -> Box<dyn TextReader + '_>;
}

/// Finds texts in lines.
pub trait TextReader {
    /// Where the text is in all lines of a template.
    fn in_template(&mut self, template: &Template<'_>) -> InTemplate;

    /// Appends the text of a line.
    fn in_line(&mut self, line: &[u8], text: &mut Vec<u8>) -> Found;

    /// Whether the text of the only slot on which the answer depends is the answer as it stands there.
    fn is_verbatim(&self, answer: Answer, text: &[u8]) -> bool;
}

/// What was found in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Text,
    Nothing,
    /// The line is not such as can be read. Only the whole line says what is wrong.
    Failed,
}

/// What the lines of a template have in common.
#[derive(Clone, Copy, Debug)]
pub struct Template<'t> {
    /// [`Template::SLOT`] stands for each slot.
    pub text: &'t [u8],
    /// Whether each slot is a value of a JSON object: what stands between the quotes of a text, a number,
    /// or a word of JSON. Otherwise it is a word with a digit (letters, digits, `_` and bytes beyond
    /// ASCII, between other bytes) or a UUID.
    pub is_json: bool,
}

impl Template<'_> {
    /// The byte that stands for a slot.
    pub const SLOT: u8 = SLOT;
}

/// Where a text is in the lines of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InTemplate {
    /// It is the same in all lines, whatever their slots hold.
    Same,
    /// It depends on these slots.
    Slots { slots: Vec<usize>, answer: Answer },
    /// It may be anywhere.
    Lines,
}

/// What the text of a slot is to the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is the answer, if it needs no reading.
    Bare,
    /// The same, and quotes stand around it.
    Quoted,
    /// A part of it.
    Part,
}

/// The number that a text stands for.
pub trait TextNumber: Debug + Send + Sync {
    /// `None` where it stands for none.
    fn read(&self, text: &[u8]) -> Option<f64>;

    /// Whether a text of digits, with a point or not, is the number as it stands there.
    fn reads_decimals(&self) -> bool;
}

/// A text that is looked for.
#[derive(Clone, Debug)]
pub struct WantedText {
    pub text: Arc<dyn LineText>,
    /// Where only the number matters that the text stands for.
    pub number: Option<Arc<dyn TextNumber>>,
}

/// The texts of rows, or the numbers that they stand for.
#[derive(Debug, Default)]
pub struct FoundTexts {
    /// A code for each of the rows that were asked for, in their order: the place of its text or number,
    /// or [`ABSENT`].
    pub codes: Vec<u32>,
    /// Equal ones may stand in several places.
    pub texts: TextList,
    /// In place of texts.
    pub numbers: Vec<f64>,
    /// The places in `codes` of rows whose lines can't be read; their code is [`ABSENT`].
    pub failed: Vec<u32>,
    /// The same of rows whose texts stand for no number.
    pub no_numbers: Vec<u32>,
}

impl FoundTexts {
    fn push(&mut self, code: u32) {
        let place = self.codes.len() as u32;
        let code = match code {
            FAILED => {
                self.failed.push(place);
                ABSENT
            }
            NO_NUMBER => {
                self.no_numbers.push(place);
                ABSENT
            }
            code => code,
        };
        self.codes.push(code);
    }
}

/// What must hold of a text: `None` where a line does not have it.
pub trait TextTest: Debug + Send + Sync {
    fn holds(&self, text: Option<&[u8]>) -> bool;
}

/// A condition that readers look at themselves, too: of lines for which it does not hold a store may leave
/// out any. It holds of lines that can't be read, of those that have a field of this name, and of
/// streams that have such a label.
#[derive(Clone, Debug)]
pub struct TextCondition {
    pub name: String,
    pub text: Arc<dyn LineText>,
    pub test: Arc<dyn TextTest>,
}

/// A code of [`ABSENT`] is for nothing, this one for a line that can't be read.
const FAILED: u32 = ABSENT - 1;
/// A text that stands for no number.
const NO_NUMBER: u32 = ABSENT - 2;
/// Not looked at yet.
const UNKNOWN: u32 = ABSENT - 3;
/// Stands in a slot on which nothing depends.
const STAND_IN: u8 = b'0';

/// Finds a text in some rows, in rising order.
pub(crate) fn find<P: ColumnPages>(
    lines: &Lines<P>,
    wanted: &WantedText,
    rows: &RowSet,
) -> Result<FoundTexts, StoreError> {
    let templates = lines.directory.templates.len();
    let (values, met) = (Values::of(wanted), MetNumbers::of_rows(rows.len()));
    let mut finder = Finder { lines, reader: wanted.text.reader(), values, met };
    let mut of_templates: Vec<Option<OfTemplate<'_>>> = Vec::new();
    of_templates.resize_with(templates, || None);
    let ordinals = lines.ordinals();
    let mut found = FoundTexts::default();
    found.codes.reserve(rows.len());
    for row in rows.iter() {
        let template = lines.directory.rows[row] as usize;
        let of_template = match &mut of_templates[template] {
            Some(known) => known,
            unknown => unknown.insert(finder.of_template(template)?),
        };
        found.push(finder.code(of_template, template, ordinals[row] as usize)?);
    }
    finder.values.finish(&mut found);
    Ok(found)
}

/// The same for lines that are there as they are.
pub(crate) fn find_in<'l>(
    lines: impl Iterator<Item = &'l [u8]>,
    wanted: &WantedText,
) -> FoundTexts {
    let (mut reader, mut values) = (wanted.text.reader(), Values::of(wanted));
    let mut found = FoundTexts::default();
    lines.for_each(|line| found.push(values.of_line(&mut *reader, line)));
    values.finish(&mut found);
    found
}

/// The rows among these for which the condition on the text holds, as far as is known without reading
/// lines.
pub(crate) fn rows_where<P: ColumnPages>(
    lines: &Lines<P>,
    condition: &TextCondition,
    among: &RowSet,
) -> Result<RowSet, StoreError> {
    let wanted = WantedText { text: Arc::clone(&condition.text), number: None };
    let FoundTexts { codes, texts, failed, .. } = find(lines, &wanted, among)?;
    let test = &condition.test;
    let passing: Vec<bool> = texts.iter().map(|text| test.holds(Some(text))).collect();
    let without = test.holds(None);
    let mut rows = RowSet::none(among.rows());
    let mut failed = failed.iter().peekable();
    for (place, (row, code)) in among.iter().zip(&codes).enumerate() {
        let is_failed = failed.next_if(|failed| **failed as usize == place).is_some();
        let holds = match *code {
            _ if is_failed => true,
            ABSENT => without,
            code => passing[code as usize],
        };
        if holds {
            rows.insert(row);
        }
    }
    Ok(rows)
}

/// Codes from here to twice this are places in `Values::unlike`.
const UNLIKE: u32 = 1 << 30;

/// What was found so far.
struct Values {
    texts: Interner,
    /// Texts of columns in which few are equal: telling them apart would cost more than it saves.
    unlike: TextList,
    /// Where numbers are wanted.
    number: Option<Arc<dyn TextNumber>>,
    numbers: Vec<f64>,
    text: Vec<u8>,
}

impl Values {
    fn of(wanted: &WantedText) -> Self {
        Self {
            texts: Interner::default(),
            unlike: TextList::default(),
            number: wanted.number.clone(),
            numbers: Vec::new(),
            text: Vec::new(),
        }
    }

    fn finish(self, found: &mut FoundTexts) {
        found.texts = self.texts.into_texts();
        found.numbers = self.numbers;
        if !self.unlike.is_empty() {
            let before = found.texts.len() as u32;
            let unlike = found.codes.iter_mut().filter(|code| (UNLIKE..2 * UNLIKE).contains(*code));
            unlike.for_each(|code| *code = *code - UNLIKE + before);
            match before {
                0 => found.texts = self.unlike,
                _ => self.unlike.iter().for_each(|text| found.texts.push(text)),
            }
        }
    }

    fn of_line(&mut self, reader: &mut dyn TextReader, line: &[u8]) -> u32 {
        self.text.clear();
        match reader.in_line(line, &mut self.text) {
            Found::Text => self.of_text(),
            Found::Nothing => ABSENT,
            Found::Failed => FAILED,
        }
    }

    /// The code of the text that lies in the buffer.
    fn of_text(&mut self) -> u32 {
        match &self.number {
            None => self.texts.number(&self.text),
            Some(number) => match number.read(&self.text) {
                Some(number) => self.of_number(number),
                None => NO_NUMBER,
            },
        }
    }

    /// The same where the text is hardly one that was found before.
    fn of_unlike_text(&mut self) -> u32 {
        if self.number.is_some() {
            return self.of_text();
        }
        self.unlike.push(&self.text);
        UNLIKE + self.unlike.len() as u32 - 1
    }

    fn of_number(&mut self, number: f64) -> u32 {
        self.numbers.push(number);
        self.numbers.len() as u32 - 1
    }

    /// The code of a number of a column, where the text need not be made.
    fn of_packed(&mut self, number: u64, shape: &NumberShape) -> Option<u32> {
        self.number.as_ref().filter(|number| number.reads_decimals())?;
        shape.value(number).map(|value| self.of_number(value))
    }
}

/// Numbers that were met, with the codes of their texts: many are met again soon. Each has one place, from
/// which a later one drives it out, so that a number that is no more there costs little.
#[derive(Default)]
struct MetNumbers<'l> {
    /// What tells equal numbers apart.
    kinds: Vec<(&'l NumberShape, Answer)>,
    /// As many as a power of two; the kind, the number and its code.
    places: Vec<(u32, u64, u32)>,
}

impl<'l> MetNumbers<'l> {
    const PLACES_MAX: usize = 16 << 10;
    const FREE: u32 = u32::MAX;

    fn of_rows(rows: usize) -> Self {
        let places = rows.next_power_of_two().min(Self::PLACES_MAX);
        Self { kinds: Vec::new(), places: vec![(Self::FREE, 0, 0); places] }
    }

    fn kind(&mut self, shape: &'l NumberShape, answer: Answer) -> u32 {
        let known = self.kinds.iter().position(|kind| *kind == (shape, answer));
        known.unwrap_or_else(|| {
            self.kinds.push((shape, answer));
            self.kinds.len() - 1
        }) as u32
    }

    #[inline]
    fn place(&mut self, number: u64) -> &mut (u32, u64, u32) {
        let hash = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let mask = self.places.len() - 1;
        &mut self.places[hash as usize & mask]
    }
}

/// How the text of a template's rows is found.
enum OfTemplate<'l> {
    Same(u32),
    /// It depends on one slot.
    Slot {
        slot: usize,
        answer: Answer,
        texts: SlotTexts<'l>,
    },
    Slots(Vec<usize>),
    Lines,
}

/// The texts of a slot, and the codes that are known for them.
enum SlotTexts<'l> {
    Dictionary(&'l TextColumn, Vec<u32>),
    Numbers {
        numbers: &'l [u64],
        shape: &'l NumberShape,
        /// Of `MetNumbers`.
        kind: u32,
    },
    Texts,
}

struct Finder<'l, P> {
    lines: &'l Lines<P>,
    reader: Box<dyn TextReader + 'l>,
    values: Values,
    met: MetNumbers<'l>,
}

impl<'l, P: ColumnPages> Finder<'l, P> {
    fn of_template(&mut self, template: usize) -> Result<OfTemplate<'l>, StoreError> {
        let text = self.lines.directory.templates.get(template);
        if text == WHOLE {
            return Ok(OfTemplate::Lines);
        }
        let located = self.reader.in_template(&Template { text, is_json: is_json(text) });
        Ok(match located {
            InTemplate::Lines => OfTemplate::Lines,
            InTemplate::Slots { slots, answer } => match slots[..] {
                [slot] => self.of_slot(template, slot, answer)?,
                _ => OfTemplate::Slots(slots),
            },
            InTemplate::Same => {
                let line = self.line_with(template, &[], 0)?;
                OfTemplate::Same(self.values.of_line(&mut *self.reader, &line))
            }
        })
    }

    fn of_slot(
        &mut self,
        template: usize,
        slot: usize,
        answer: Answer,
    ) -> Result<OfTemplate<'l>, StoreError> {
        let texts = match self.column(template, slot)? {
            Column::Same(_) => {
                let line = self.line_with(template, &[slot], 0)?;
                return Ok(OfTemplate::Same(self.values.of_line(&mut *self.reader, &line)));
            }
            Column::Dictionary(column) => {
                SlotTexts::Dictionary(column, vec![UNKNOWN; column.values.len()])
            }
            Column::Numbers(numbers, shape) => {
                SlotTexts::Numbers { numbers, shape, kind: self.met.kind(shape, answer) }
            }
            Column::Texts(_) | Column::Ids(_) => SlotTexts::Texts,
        };
        Ok(OfTemplate::Slot { slot, answer, texts })
    }

    /// The code of a template's row.
    fn code(
        &mut self,
        of_template: &mut OfTemplate<'l>,
        template: usize,
        ordinal: usize,
    ) -> Result<u32, StoreError> {
        match of_template {
            OfTemplate::Same(code) => Ok(*code),
            OfTemplate::Slot { slot, answer, texts } => {
                self.code_of_slot((template, *slot), *answer, texts, ordinal)
            }
            OfTemplate::Slots(slots) => {
                let line = self.line_with(template, slots, ordinal)?;
                Ok(self.values.of_line(&mut *self.reader, &line))
            }
            OfTemplate::Lines => {
                let mut line = Vec::new();
                self.lines.append_of(template, ordinal, &mut line)?;
                Ok(self.values.of_line(&mut *self.reader, &line))
            }
        }
    }

    fn code_of_slot(
        &mut self,
        place: (usize, usize),
        answer: Answer,
        texts: &mut SlotTexts<'l>,
        ordinal: usize,
    ) -> Result<u32, StoreError> {
        match texts {
            SlotTexts::Dictionary(column, known) => {
                let Some(code) = column.codes.get(ordinal) else { return Ok(ABSENT) };
                let Some(known) = known.get_mut(*code as usize) else { return Ok(ABSENT) };
                if *known == UNKNOWN {
                    *known = self.code_of(place, answer, ordinal)?;
                }
                Ok(*known)
            }
            SlotTexts::Numbers { numbers, shape, kind } if answer != Answer::Part => {
                let number = numbers[ordinal];
                if let Some(code) = self.values.of_packed(number, shape) {
                    return Ok(code);
                }
                let met = self.met.place(number);
                if (met.0, met.1) == (*kind, number) {
                    return Ok(met.2);
                }
                let text = &mut self.values.text;
                text.clear();
                shape.append(number, text);
                match self.reader.is_verbatim(answer, text) {
                    true => {
                        *met = (*kind, number, self.values.of_unlike_text());
                        Ok(met.2)
                    }
                    false => self.code_of(place, answer, ordinal),
                }
            }
            SlotTexts::Numbers { .. } | SlotTexts::Texts => self.code_of(place, answer, ordinal),
        }
    }

    /// The code of a row by the text of its slot.
    fn code_of(
        &mut self,
        (template, slot): (usize, usize),
        answer: Answer,
        ordinal: usize,
    ) -> Result<u32, StoreError> {
        if answer != Answer::Part {
            let text = &mut self.values.text;
            text.clear();
            self.lines.column_of(template, slot)?.append(ordinal, text);
            if self.reader.is_verbatim(answer, text) {
                return Ok(self.values.of_text());
            }
        }
        let line = self.line_with(template, &[slot], ordinal)?;
        Ok(self.values.of_line(&mut *self.reader, &line))
    }

    fn column(&self, template: usize, slot: usize) -> Result<&'l Column, StoreError> {
        self.lines.column_of(template, slot)
    }

    /// A line of the template in which only these slots are filled with a row's texts.
    fn line_with(
        &self,
        template: usize,
        slots: &[usize],
        ordinal: usize,
    ) -> Result<Vec<u8>, StoreError> {
        let mut line = Vec::new();
        let text = self.lines.directory.templates.get(template);
        for (number, segment) in text.split(|byte| *byte == SLOT).enumerate() {
            if let Some(slot) = number.checked_sub(1) {
                match slots.contains(&slot) {
                    true => self.column(template, slot)?.append(ordinal, &mut line),
                    false => line.push(STAND_IN),
                }
            }
            line.extend_from_slice(segment);
        }
        Ok(line)
    }
}
