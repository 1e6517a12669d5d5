//! Pages of text.

use super::convert::Gathered;
use super::known::{Meaning, NOWHERE};
use super::outline::{Followed, Recorder};
use super::{Named, PageError, Reading, family_code};
use model::MetricKind;
use wire::{
    TextComment, TextExemplar, TextFamily, TextFormat, TextLabel, TextLines, parse_comment,
    parse_series, parse_values,
};

pub(super) fn read(
    format: TextFormat,
    text: &str,
    reading: &mut Reading<'_>,
) -> Result<(), PageError> {
    let followed = reading.follow(format, text);
    if reading.repeats {
        return Ok(());
    }
    let mut page = Text {
        format,
        family: TextFamily::default(),
        labels: Vec::new(),
        at: NOWHERE,
        gathered: Gathered::default(),
        is_as_before: followed.is_none(),
        lines: 0,
        recorder: (reading.pages.is_steady && !reading.rules.convert_classic)
            .then(|| Recorder::new(text)),
    };
    let mut lines = TextLines::new(format, text);
    if let Some(followed) = followed {
        lines = TextLines::behind(format, text, followed.bytes);
        page.go_on(followed, text, reading)?;
    }
    while let Some(line) = lines.next_line()? {
        match page.line(line, reading) {
            Ok(()) => {}
            Err(LineError::Text(message)) => return Err(lines.error(message).into()),
            Err(LineError::Page(error)) => return Err(error),
        }
    }
    page.end_histogram(reading)?;
    page.take_outline(reading);
    Ok(())
}

enum LineError {
    Text(&'static str),
    Page(PageError),
}

impl From<&'static str> for LineError {
    fn from(message: &'static str) -> Self {
        Self::Text(message)
    }
}

impl From<PageError> for LineError {
    fn from(error: PageError) -> Self {
        Self::Page(error)
    }
}

pub(super) struct Text<'a> {
    format: TextFormat,
    pub(super) family: TextFamily<'a>,
    labels: Vec<TextLabel<'a>>,
    /// The line before.
    pub(super) at: u32,
    pub(super) gathered: Gathered<'a>,
    /// Whether each line so far followed the same line on the last page.
    is_as_before: bool,
    /// How many lines were read, equal ones as often as they come.
    lines: usize,
    /// Takes down what is between the values.
    recorder: Option<Recorder<'a>>,
}

impl<'a> Text<'a> {
    /// Goes on line by line behind what was as the outline said.
    fn go_on(
        &mut self,
        followed: Followed,
        text: &'a str,
        reading: &mut Reading<'_>,
    ) -> Result<(), PageError> {
        self.at = followed.line;
        reading.pages.known.note_up_to(followed.line);
        if let Some(at) = followed.kind_at {
            let mut lines = TextLines::behind(self.format, text, at);
            if let Some(line) = lines.next_line()?
                && let Ok(Some(TextComment::Kind { metric, kind })) =
                    parse_comment(self.format, line)
            {
                self.family = TextFamily { name: metric, kind };
            }
        }
        Ok(())
    }

    /// The next page may be read by this one's outline, if both this page and the one before have the
    /// same lines in the same order, each of them once: the way from a line to the next must be known.
    fn take_outline(self, reading: &mut Reading<'_>) {
        let pages = &mut *reading.pages;
        let counts = &reading.counts;
        let is_each_once = self.lines == pages.known.lines_on_page();
        pages.is_steady =
            self.is_as_before && is_each_once && counts.duplicates + counts.ahead == 0;
        if let Some(recorder) = self.recorder.filter(|_| pages.is_steady) {
            pages.outline = recorder.finish(self.format, &pages.interned);
        }
    }

    fn line(&mut self, line: &'a str, reading: &mut Reading<'_>) -> Result<(), LineError> {
        if line.starts_with('#') {
            return self.comment(line, reading);
        }
        if reading.rules.convert_classic && self.converts(line, reading)? {
            return Ok(());
        }
        let (at, meaning, rest) = self.series(line, reading)?;
        reading.pages.known.note(at, self.at);
        (self.at, self.lines) = (at, self.lines + 1);
        if let Some(recorder) = &mut self.recorder {
            recorder.sample(at, rest);
        }
        let values = parse_values(self.format, rest)?;
        let Some(time_ms) = reading.begin_sample(meaning, values.timestamp_ms) else {
            return Ok(());
        };
        reading.sink.sample(time_ms, 0, values.value);
        if let Some(exemplar) = values.exemplar {
            self.exemplar(&exemplar, time_ms, reading);
        }
        Ok(())
    }

    /// Takes the line for a native histogram; whether nothing else is to be made of it.
    fn converts(&mut self, line: &'a str, reading: &mut Reading<'_>) -> Result<bool, LineError> {
        if self.family.kind != MetricKind::Histogram {
            self.end_histogram(reading)?;
            return Ok(false);
        }
        let mut labels = std::mem::take(&mut self.labels);
        labels.clear();
        let (name, rest) = parse_series(line, &mut labels)?;
        let values = parse_values(self.format, rest)?;
        let is_taken = self.gather(&name, &labels, &values, reading)?;
        self.labels = labels;
        Ok(is_taken && !reading.rules.classic_too)
    }

    pub(super) fn exemplar(
        &self,
        exemplar: &TextExemplar<'_>,
        time_ms: i64,
        reading: &mut Reading<'_>,
    ) {
        let labels = exemplar.labels.iter().map(|(name, value)| (&**name, &**value));
        let mut labels: Vec<(&str, &str)> = labels.collect();
        reading.exemplar(&mut labels, exemplar.value, exemplar.timestamp_ms.unwrap_or(time_ms));
    }

    /// What the line means, and what is behind its series.
    #[inline]
    fn series(
        &mut self,
        line: &'a str,
        reading: &mut Reading<'_>,
    ) -> Result<(u32, Meaning, &'a str), LineError> {
        let family = family_code(self.family.kind);
        if let Some((at, known)) = reading.pages.known.expected(self.at)
            && known.family == family
            && let Some(rest) = behind(line, &known.key)
        {
            return Ok((at, known.meaning, rest));
        }
        self.is_as_before = false;
        self.labels.clear();
        let (name, rest) = parse_series(line, &mut self.labels)?;
        let key = &line.as_bytes()[..line.len() - rest.len()];
        let known = reading.pages.known.find(key);
        let at = match known
            .filter(|at| reading.pages.known.line(*at).is_some_and(|l| l.family == family))
        {
            Some(at) => at,
            None => {
                self.family.normalise_bound(&mut self.labels);
                let labels = self.labels.iter().map(|(name, value)| (&**name, &**value));
                let labels: Vec<(&str, &str)> = labels.collect();
                reading.learn(&Named { key, family, name: &name, labels: &labels })?
            }
        };
        let meaning = reading.pages.known.line(at).map_or(Meaning::Nothing, |line| line.meaning);
        Ok((at, meaning, rest))
    }

    fn comment(&mut self, line: &'a str, reading: &mut Reading<'_>) -> Result<(), LineError> {
        let pages = &mut *reading.pages;
        let expected = pages.known.expected(self.at);
        let expected = expected.filter(|(_, known)| *known.key == *line.as_bytes());
        self.is_as_before &= expected.is_some();
        let known = expected.map(|(at, _)| at).or_else(|| pages.known.find(line.as_bytes()));
        // `# TYPE` says what the following lines mean: it is read on every page.
        if known.is_none() || is_type(line) {
            match parse_comment(self.format, line)? {
                Some(TextComment::Help { metric, help }) => {
                    pages.describe(&metric, |known| known.help = help.into_owned());
                }
                Some(TextComment::Unit { metric, unit }) => {
                    pages.describe(&metric, |known| unit.clone_into(&mut known.unit));
                }
                Some(TextComment::Kind { metric, kind }) => {
                    if known.is_none() {
                        pages.describe(&metric, |known| known.kind = kind);
                    }
                    if let Some(recorder) = &mut self.recorder {
                        recorder.kind(line);
                    }
                    self.family = TextFamily { name: metric, kind };
                }
                None => {}
            }
        }
        let learn = || pages.known.learn((line.as_bytes(), 0), None, &pages.interned);
        let at = known.unwrap_or_else(learn);
        pages.known.note(at, self.at);
        (self.at, self.lines) = (at, self.lines + 1);
        Ok(())
    }
}

fn is_type(line: &str) -> bool {
    line[1..].trim_start_matches([' ', '\t']).starts_with("TYPE")
}

/// What is behind the series if the line begins with this one.
#[inline]
fn behind<'a>(line: &'a str, key: &[u8]) -> Option<&'a str> {
    let rest = line.as_bytes().strip_prefix(key)?;
    let first = *rest.first()?;
    let rest = line.get(key.len()..)?;
    // A name may go on, and its labels may stand behind a blank.
    let is_whole = key.ends_with(b"}") || !rest.trim_start_matches([' ', '\t']).starts_with('{');
    (matches!(first, b' ' | b'\t') && is_whole).then_some(rest)
}
