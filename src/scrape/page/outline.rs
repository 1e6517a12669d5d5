//! What a page of text had between its values, so that a page that differs from the last one in nothing
//! but values is read by comparing a few long pieces, without looking for lines.
//!
//! Lives here: the outline ([`Outline`]), how one is taken down while a page is read line by line
//! ([`Recorder`]), and how far a page follows one. Not here: what lines mean (`known`).
//! Invariants: an outline stands for the last page, none of whose lines came twice and all of whose samples
//! were stored, without times or exemplars of their own; it is dropped as soon as a page differs from it, a scrape fails, or lines
//! may mean something else.

use super::Interned;
use super::known::NOWHERE;
use std::sync::Arc;
use wire::{TextFormat, plain_value};

/// No `# TYPE` stands before the value.
const NO_KIND: u32 = u32::MAX;

/// A value of the page.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// Where what stands before the value ends, in the outline.
    end: u32,
    line: u32,
    /// Where the last `# TYPE` begins in what stands before the value, in the outline.
    kind_at: u32,
}

#[derive(Debug)]
pub(crate) struct Outline {
    format: TextFormat,
    /// The page without its values.
    text: Arc<[u8]>,
    steps: Vec<Step>,
}

/// How far a page followed an outline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Followed {
    /// The page has nothing else than the outline.
    pub(super) is_whole: bool,
    /// The line of the last value.
    pub(super) line: u32,
    /// Up to where the page is read: the beginning of a line.
    pub(super) bytes: usize,
    /// Where the `# TYPE` begins that holds there.
    pub(super) kind_at: Option<usize>,
}

impl Outline {
    pub(super) fn is_of(&self, format: TextFormat) -> bool {
        self.format == format
    }

    /// Hands out lines and values as long as the page is as the outline says.
    #[inline]
    pub(super) fn follow(&self, page: &str, mut value: impl FnMut(u32, f64)) -> Followed {
        let bytes = page.as_bytes();
        let mut followed = Followed { is_whole: false, line: NOWHERE, bytes: 0, kind_at: None };
        let (mut at, mut begin) = (0, 0);
        for step in &self.steps {
            let before = &self.text[begin..step.end as usize];
            if !bytes[at..].starts_with(before) {
                return followed;
            }
            let value_at = at + before.len();
            let Some((number, length)) = plain_value(&page[value_at..]) else { return followed };
            if step.kind_at != NO_KIND {
                followed.kind_at = Some(at + step.kind_at as usize - begin);
            }
            value(step.line, number);
            (at, begin) = (value_at + length, step.end as usize);
            followed.line = step.line;
            followed.bytes = (at + 1).min(bytes.len());
        }
        followed.is_whole = bytes[at..] == self.text[begin..];
        followed
    }
}

/// Takes an outline down.
#[derive(Debug)]
pub(super) struct Recorder<'a> {
    page: &'a str,
    text: Vec<u8>,
    steps: Vec<Step>,
    kind_at: u32,
    /// What of the page is in the outline, or a value.
    taken: usize,
    is_possible: bool,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(page: &'a str) -> Self {
        let is_possible = u32::try_from(page.len()).is_ok();
        let text = Vec::with_capacity(page.len());
        Self { page, text, steps: Vec::new(), kind_at: NO_KIND, taken: 0, is_possible }
    }

    /// Where a piece of the page begins in it.
    fn offset(&self, piece: &str) -> usize {
        piece.as_ptr() as usize - self.page.as_ptr() as usize
    }

    /// A `# TYPE`.
    pub(super) fn kind(&mut self, comment: &str) {
        let at = self.text.len() + self.offset(comment) - self.taken;
        self.kind_at = at as u32;
    }

    /// A sample: its line, and what stands behind its series.
    pub(super) fn sample(&mut self, line: u32, rest: &str) {
        let value = rest.trim_start_matches([' ', '\t']);
        let at = self.offset(value);
        let follows =
            plain_value(&self.page[at..]).is_some_and(|(_, length)| length == value.len());
        self.is_possible &= follows;
        self.text.extend_from_slice(&self.page.as_bytes()[self.taken..at]);
        self.taken = at + value.len();
        let kind_at = std::mem::replace(&mut self.kind_at, NO_KIND);
        self.steps.push(Step { end: self.text.len() as u32, line, kind_at });
    }

    pub(super) fn finish(mut self, format: TextFormat, interned: &Interned) -> Option<Outline> {
        if !self.is_possible || self.steps.is_empty() {
            return None;
        }
        self.text.extend_from_slice(&self.page.as_bytes()[self.taken..]);
        self.steps.shrink_to_fit();
        Some(Outline { format, text: interned.get(&self.text), steps: self.steps })
    }
}
