//! Classic histograms of text that become native ones with custom buckets
//! (`convert_classic_histograms_to_nhcb`).
//!
//! The lines of one histogram stand together: they are gathered until another series follows. What is not
//! a whole histogram is left out.

use super::histograms::custom_buckets;
use super::known::Meaning;
use super::text::Text;
use super::{Named, PageError, Reading};
use wire::{TextExemplar, TextFamily, TextLabel, TextValues};

/// In keys, in front of and between texts: no text has this byte.
const BETWEEN: u8 = 0xff;

/// One histogram while its lines are read.
#[derive(Default)]
pub(super) struct Gathered<'a> {
    key: Vec<u8>,
    name: String,
    labels: Vec<TextLabel<'a>>,
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
    own_ms: Option<i64>,
    exemplars: Vec<TextExemplar<'a>>,
}

/// What a line says of a histogram.
enum Part {
    Bucket(f64),
    Sum,
    Count,
}

/// `None` where the sample is no part of the family's histograms.
fn part(family: &TextFamily<'_>, name: &str, labels: &[TextLabel<'_>]) -> Option<Part> {
    match name.strip_prefix(&*family.name)? {
        "_sum" => Some(Part::Sum),
        "_count" => Some(Part::Count),
        "_bucket" => {
            let (_, bound) = labels.iter().find(|(name, _)| name == "le")?;
            bound.parse().ok().map(Part::Bucket)
        }
        _ => None,
    }
}

impl<'a> Text<'a> {
    /// Takes a line of a histogram; `false` where it is none.
    pub(super) fn gather(
        &mut self,
        name: &str,
        labels: &[TextLabel<'a>],
        values: &TextValues<'a>,
        reading: &mut Reading<'_>,
    ) -> Result<bool, PageError> {
        let Some(part) = part(&self.family, name, labels) else {
            self.end_histogram(reading)?;
            return Ok(false);
        };
        let own = labels.iter().filter(|(name, _)| name != "le");
        let mut key = vec![BETWEEN];
        key.extend_from_slice(self.family.name.as_bytes());
        for (name, value) in own.clone() {
            for text in [name, value] {
                key.push(BETWEEN);
                key.extend_from_slice(text.as_bytes());
            }
        }
        if key != self.gathered.key {
            self.end_histogram(reading)?;
            let (name, own_ms) = (self.family.name.clone().into_owned(), values.timestamp_ms);
            let labels = own.cloned().collect();
            self.gathered = Gathered { key, name, labels, own_ms, ..Gathered::default() };
        }
        let gathered = &mut self.gathered;
        match part {
            Part::Bucket(bound) => gathered.buckets.push((bound, values.value)),
            Part::Sum => gathered.sum = values.value,
            Part::Count => gathered.count = Some(values.value),
        }
        gathered.exemplars.extend(values.exemplar.clone());
        Ok(true)
    }

    /// Stores the histogram whose lines have ended, if there is one.
    pub(super) fn end_histogram(&mut self, reading: &mut Reading<'_>) -> Result<(), PageError> {
        let Gathered { key, name, labels, mut buckets, count, sum, own_ms, exemplars } =
            std::mem::take(&mut self.gathered);
        if key.is_empty() {
            return Ok(());
        }
        let Some(histogram) = custom_buckets(&mut buckets, count, sum) else { return Ok(()) };
        let known = &reading.pages.known;
        let found = known.find(&key);
        let found = found.filter(|at| known.line(*at).is_some_and(|line| line.family == 0));
        let at = match found {
            Some(at) => at,
            None => {
                let pairs = labels.iter().map(|(name, value)| (&**name, &**value));
                let labels: Vec<(&str, &str)> = pairs.collect();
                reading.learn(&Named { key: &key, family: 0, name: &name, labels: &labels })?
            }
        };
        reading.pages.known.note(at, self.at);
        self.at = at;
        let meaning = reading.pages.known.line(at).map_or(Meaning::Nothing, |line| line.meaning);
        // Counts of buckets may be floats, which need not add up to the last digit.
        let stored = reading.histogram((&name, meaning), (own_ms, 0), (histogram, true))?;
        if let Some(time_ms) = stored {
            exemplars.iter().for_each(|one| self.exemplar(one, time_ms, reading));
        }
        Ok(())
    }
}
