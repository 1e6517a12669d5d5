//! What is known of a target's pages: which series each line means, and which are there now.
//!
//! A line is known by its bytes before the value. Pages of a target rarely change their order, so each
//! line names the one that followed it last time: in the steady state a line is found by comparing
//! bytes, without parsing, hashing or allocating. What a page no longer has is forgotten after it.
//! Invariants: a series counts how many lines mean it; it is *live* when its last sample was written
//! and no mark has ended it since.

use super::interned::Interned;
use std::collections::HashMap;
use std::sync::Arc;

/// No line.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// The family of lines whose meaning is not known any more.
const NO_FAMILY: u8 = u8::MAX;

/// How many lines are kept over pages that fail.
const LINES_KEPT: usize = 1000;

/// What a line means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// A comment, or a series that relabeling drops.
    Nothing,
    Series(u32),
}

#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) key: Arc<[u8]>,
    /// Under what kind of family it stood: the same bytes mean other labels under another.
    pub(crate) family: u8,
    pub(crate) meaning: Meaning,
    /// The line that followed on the last page.
    next: u32,
    /// The last page that had it.
    page: u64,
}

#[derive(Debug)]
pub(crate) struct Series {
    /// Canonical.
    pub(crate) labels: Arc<[u8]>,
    lines: u32,
    /// The last page that had it.
    pub(crate) page: u64,
    /// The last page whose sample will be ended by a mark when the series vanishes.
    pub(crate) tracked: u64,
    live: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Known {
    lines: Vec<Option<Line>>,
    free_lines: Vec<u32>,
    by_key: HashMap<Arc<[u8]>, u32>,
    series: Vec<Option<Series>>,
    free_series: Vec<u32>,
    by_labels: HashMap<Arc<[u8]>, u32>,
    /// The line that a page begins with.
    first: u32,
    /// Counts pages from 1.
    pub(crate) page: u64,
    lines_on_page: usize,
}

impl Known {
    pub(crate) fn begin_page(&mut self) {
        self.page += 1;
        self.lines_on_page = 0;
        if self.lines.is_empty() {
            self.first = NOWHERE;
        }
    }

    /// How many different lines the page has so far.
    pub(crate) fn lines_on_page(&self) -> usize {
        self.lines_on_page
    }

    /// The line that probably follows.
    #[inline]
    pub(crate) fn expected(&self, previous: u32) -> Option<(u32, &Line)> {
        let at = match previous {
            NOWHERE => self.first,
            previous => self.lines.get(previous as usize)?.as_ref()?.next,
        };
        self.lines.get(at as usize)?.as_ref().map(|line| (at, line))
    }

    pub(crate) fn find(&self, key: &[u8]) -> Option<u32> {
        self.by_key.get(key).copied()
    }

    pub(crate) fn line(&self, at: u32) -> Option<&Line> {
        self.lines.get(at as usize)?.as_ref()
    }

    /// Notes that the page has the line, behind `previous`.
    #[inline]
    pub(crate) fn note(&mut self, at: u32, previous: u32) {
        let page = self.page;
        if let Some(Some(line)) = self.lines.get_mut(at as usize) {
            self.lines_on_page += usize::from(line.page != page);
            line.page = page;
        }
        match previous {
            NOWHERE => self.first = at,
            previous => {
                if let Some(Some(line)) = self.lines.get_mut(previous as usize) {
                    line.next = at;
                }
            }
        }
    }

    /// The labels of the series that a line means.
    #[inline]
    pub(crate) fn labels_of(&self, line: u32) -> Option<&[u8]> {
        match self.line(line)?.meaning {
            Meaning::Nothing => None,
            Meaning::Series(at) => Some(&self.series.get(at as usize)?.as_ref()?.labels),
        }
    }

    /// Notes that the page has all lines of the last one up to this, and their samples.
    pub(crate) fn note_up_to(&mut self, last: u32) {
        let mut previous = NOWHERE;
        while previous != last
            && let Some((at, line)) = self.expected(previous)
        {
            let meaning = line.meaning;
            self.note(at, previous);
            if let Meaning::Series(series) = meaning {
                let page = self.page;
                if let Some(series) = self.series_mut(series) {
                    (series.page, series.tracked) = (page, page);
                }
            }
            previous = at;
        }
    }

    /// Learns what a line means, also of one that is known and means something else now.
    pub(crate) fn learn(
        &mut self,
        (key, family): (&[u8], u8),
        labels: Option<&[u8]>,
        interned: &Interned,
    ) -> u32 {
        let meaning = match labels {
            None => Meaning::Nothing,
            Some(labels) => Meaning::Series(self.series_of(labels)),
        };
        if let Some(at) = self.find(key) {
            let line = self.lines[at as usize].as_mut().expect("lines with a key are there");
            line.family = family;
            let before = std::mem::replace(&mut line.meaning, meaning);
            self.let_go(before);
            return at;
        }
        let key = interned.get(key);
        let line = Line { key: Arc::clone(&key), family, meaning, next: NOWHERE, page: 0 };
        let at = put(&mut self.lines, &mut self.free_lines, line);
        self.by_key.insert(key, at);
        at
    }

    fn series_of(&mut self, labels: &[u8]) -> u32 {
        if let Some(at) = self.by_labels.get(labels) {
            let series = self.series[*at as usize].as_mut().expect("series with labels are there");
            series.lines += 1;
            return *at;
        }
        let labels: Arc<[u8]> = labels.into();
        let series =
            Series { labels: Arc::clone(&labels), lines: 1, page: 0, tracked: 0, live: false };
        let at = put(&mut self.series, &mut self.free_series, series);
        self.by_labels.insert(labels, at);
        at
    }

    /// A line no longer means this. The series itself stays until [`Known::forget_unseen`].
    fn let_go(&mut self, meaning: Meaning) {
        if let Meaning::Series(at) = meaning
            && let Some(Some(series)) = self.series.get_mut(at as usize)
        {
            series.lines -= 1;
        }
    }

    #[inline]
    pub(crate) fn series_mut(&mut self, at: u32) -> Option<&mut Series> {
        self.series.get_mut(at as usize)?.as_mut()
    }

    /// After a whole page: hands out the series that have ended with it.
    pub(crate) fn end_page(&mut self, mut ended: impl FnMut(&[u8])) {
        let page = self.page;
        for series in self.series.iter_mut().flatten() {
            let is_there = series.tracked == page;
            if series.live && !is_there {
                ended(&series.labels);
            }
            series.live = is_there;
        }
        self.forget_unseen();
    }

    /// After a page that could not be taken: as [`Self::end_all`], and what earlier pages had is only
    /// kept as long as it is no more than what this one had.
    pub(crate) fn fail_page(&mut self, ended: impl FnMut(&[u8])) {
        self.end_all(ended);
        if self.by_key.len() > 2 * self.lines_on_page + LINES_KEPT {
            self.forget_unseen();
        }
    }

    /// Where there is no page: hands out all series that were live.
    pub(crate) fn end_all(&mut self, mut ended: impl FnMut(&[u8])) {
        for series in self.series.iter_mut().flatten().filter(|series| series.live) {
            ended(&series.labels);
            series.live = false;
        }
    }

    /// No line is what it was: each must be learnt again.
    pub(crate) fn forget_meanings(&mut self) {
        self.lines.iter_mut().flatten().for_each(|line| line.family = NO_FAMILY);
    }

    fn forget_unseen(&mut self) {
        if self.lines_on_page == self.by_key.len() {
            return;
        }
        let page = self.page;
        for at in 0..self.lines.len() {
            if self.lines[at].as_ref().is_some_and(|line| line.page != page)
                && let Some(line) = self.lines[at].take()
            {
                self.by_key.remove(&line.key);
                self.let_go(line.meaning);
                self.free_lines.push(at as u32);
            }
        }
        for at in 0..self.series.len() {
            if self.series[at].as_ref().is_some_and(|series| series.lines == 0)
                && let Some(series) = self.series[at].take()
            {
                self.by_labels.remove(&series.labels);
                self.free_series.push(at as u32);
            }
        }
    }
}

fn put<T>(slots: &mut Vec<Option<T>>, free: &mut Vec<u32>, value: T) -> u32 {
    match free.pop() {
        Some(at) => {
            slots[at as usize] = Some(value);
            at
        }
        None => {
            slots.push(Some(value));
            (slots.len() - 1) as u32
        }
    }
}
