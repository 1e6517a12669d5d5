//! Lines that carry an identifier, wherever it is: as a word of the line, as the value of a field, or as
//! that of a label.
//!
//! Invariant: it is found in either form, hexadecimal or UUID, whichever was asked for.

use crate::error::StoreError;
use crate::lines::{ColumnPages, Lines, Needle, search};
use columns::RowSet;
use columns::{IdForm, TextList, each_word, id_form};
use model::Labels;

/// An identifier that is looked for.
#[derive(Clone, Debug)]
pub(crate) struct Identifier {
    /// If the index of identifiers of a part has all such.
    pub(crate) indexed: Option<Vec<u8>>,
    /// How it is written.
    texts: Vec<Vec<u8>>,
    needles: Vec<Needle>,
}

/// A UUID has so many bytes.
const UUID_BYTES: usize = 16;

/// Candidates are put together so many at a time.
const TURN_ROWS: usize = 1_024;

impl Identifier {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let text = |form: IdForm| {
            let mut text = Vec::new();
            form.append(bytes, &mut text);
            text
        };
        let mut texts = vec![text(IdForm::Hex)];
        if bytes.len() == UUID_BYTES {
            texts.push(text(IdForm::Uuid));
        }
        let needle = |text: &Vec<u8>| Needle::new(&String::from_utf8_lossy(text), false);
        let indexed = id_form(&texts[0]).map(|_| bytes.to_vec());
        Self { indexed, needles: texts.iter().map(needle).collect(), texts }
    }

    pub(crate) fn texts(&self) -> &[Vec<u8>] {
        &self.texts
    }

    pub(crate) fn is(&self, text: &[u8]) -> bool {
        self.texts.iter().any(|known| known == text)
    }

    /// Whether a label has it.
    pub(crate) fn is_in_labels(&self, labels: &Labels) -> bool {
        labels.iter().any(|(_, value)| self.is(value.as_bytes()))
    }

    /// Whether a line has it as a word.
    pub(crate) fn is_in_line(&self, line: &[u8]) -> bool {
        let mut found = false;
        if self.needles.iter().any(|needle| needle.is_in(line)) {
            each_word(line, |word| found |= self.is(word));
        }
        found
    }

    /// The rows among these whose line has it as a word.
    pub(crate) fn of_lines<P: ColumnPages>(
        &self,
        lines: &Lines<P>,
        among: &RowSet,
    ) -> Result<RowSet, StoreError> {
        let mut found = RowSet::none(among.rows());
        for needle in &self.needles {
            let candidates = search(lines, needle, among)?.and(among);
            let candidates: Vec<u32> = candidates.iter().map(|row| row as u32).collect();
            let mut texts = TextList::default();
            for rows in candidates.chunks(TURN_ROWS) {
                texts.clear();
                lines.collect_few(rows, &mut texts)?;
                let holding =
                    rows.iter().zip(texts.iter()).filter(|(_, line)| self.is_in_line(line));
                holding.for_each(|(row, _)| found.insert(*row as usize));
            }
        }
        Ok(found)
    }
}
