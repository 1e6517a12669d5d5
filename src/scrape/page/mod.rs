//! Pages of a target: what they say, as samples of series.
//!
//! Lives here: one target's pages over time ([`Pages`]), with `text` and `families` for the two kinds of
//! pages, `known` (which series a line means), `outline` (pages of text that only differ in values), `rules` (labels, relabeling, limits), `histograms`
//! (limits of buckets, custom buckets), `convert` (classic histograms of text as native ones).
//! Not here: how a page is fetched, when, and the series that tell of the scrape itself (`scrape`).
//! Invariants: a page is taken as a whole or not at all: after an error what it wrote into the sink must be
//! thrown away, and [`Pages::fail`] ends what was there. In the steady state nothing is allocated for
//! a line.

mod convert;
mod families;
mod histograms;
mod interned;
mod known;
mod outline;
mod rules;
mod text;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use tests::Heard;

pub use rules::PageRules;

pub(crate) use interned::Interned;

use known::{Known, Meaning};
use model::{FloatHistogram, Labels, MetricKind, MetricMetadata, stale_marker};
use outline::{Followed, Outline};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use wire::{
    BadHistogram, BadLabels, ExemplarRef, LabelBuffer, LabelLimits, MetadataRef, MetricSink,
    ProtobufError, TextError, TextFormat,
};

/// How far in the future a sample may say that it lies.
const AHEAD_MS: i64 = 10 * 60_000;

/// In what form a page came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageFormat {
    Text(TextFormat),
    /// `io.prometheus.client.MetricFamily`, each with its length before it.
    Families,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    #[error("the page is not UTF-8: the exporter sends broken text")]
    Utf8,
    #[error("the page can't be read: {0}")]
    Text(#[from] TextError),
    #[error("the page can't be read as protobuf: {0}")]
    Protobuf(#[from] ProtobufError),
    #[error("a series has no metric name after relabeling: {0} (see metric_relabel_configs)")]
    NoName(String),
    #[error(
        "a name is not of letters, digits and underscores, which metric_name_validation_scheme: legacy \
         asks for: {0}"
    )]
    BadName(String),
    #[error("labels can't be stored: {0}")]
    Labels(#[from] BadLabels),
    #[error("{what} exceeded by {metric:?}: {found}, at most {limit} are allowed")]
    Label { metric: String, what: &'static str, found: usize, limit: usize },
    #[error("sample_limit exceeded: {found} samples after relabeling, at most {limit} are allowed")]
    SampleLimit { found: u64, limit: usize },
    #[error(
        "native_histogram_bucket_limit exceeded by {metric:?}: more than {limit} buckets at the lowest \
         resolution"
    )]
    BucketLimit { metric: String, limit: usize },
    #[error("{metric:?}: {reason}")]
    Histogram { metric: String, reason: BadHistogram },
}

/// How much a page had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageCounts {
    /// Samples on the page.
    pub scraped: u64,
    /// Samples that relabeling left.
    pub kept: u64,
    /// Series that the page before did not have.
    pub added: u64,
    /// Samples that were left out because the page had their series already.
    pub duplicates: u64,
    /// Samples that were left out because their own time is far in the future.
    pub ahead: u64,
}

/// What exporters say of their metrics, by name.
pub type Metadata = BTreeMap<Arc<str>, MetricMetadata>;

/// One target's pages.
#[derive(Debug)]
pub struct Pages {
    /// The labels of the target, which each of its series gets.
    target: Labels,
    /// The server's limits for every series.
    limits: LabelLimits,
    interned: Arc<Interned>,
    known: Known,
    /// What the last page of text had between its values.
    outline: Option<Outline>,
    /// Whether the last page of text, read line by line, had the lines of the page before.
    is_steady: bool,
    metadata: Arc<Metadata>,
    /// Metrics whose metadata has changed since it was last stored.
    changed: BTreeSet<Arc<str>>,
    scratch: Scratch,
}

#[derive(Debug, Default)]
struct Scratch {
    labels: LabelBuffer,
    exemplar: LabelBuffer,
    key: Vec<u8>,
}

impl Pages {
    pub(crate) fn new(target: Labels, limits: LabelLimits, interned: Arc<Interned>) -> Self {
        Self {
            target,
            limits,
            interned,
            known: Known::default(),
            outline: None,
            is_steady: false,
            metadata: Arc::default(),
            changed: BTreeSet::new(),
            scratch: Scratch::default(),
        }
    }

    /// Reads a page into the sink, and ends the series that it no longer has.
    pub fn read(
        &mut self,
        rules: &PageRules,
        (format, page): (PageFormat, &[u8]),
        at_ms: i64,
        sink: &mut dyn MetricSink,
    ) -> Result<PageCounts, PageError> {
        self.known.begin_page();
        let counts = PageCounts::default();
        let mut reading = Reading { pages: self, rules, at_ms, sink, counts, repeats: false };
        match format {
            PageFormat::Text(format) => {
                let text = std::str::from_utf8(page).map_err(|_| PageError::Utf8)?;
                text::read(format, text, &mut reading)?;
            }
            PageFormat::Families => {
                // It learns and forgets lines of its own.
                reading.pages.forget_outline();
                families::read(page, &mut reading)?;
            }
        }
        reading.finish()
    }

    /// After an error of [`Self::read`]: ends what was there.
    pub fn fail(&mut self, at_ms: i64, sink: &mut dyn MetricSink) {
        self.forget_outline();
        self.known.fail_page(|labels| end(labels, at_ms, sink));
    }

    /// Where there is no page, or no target any more: ends what was there.
    pub fn end(&mut self, at_ms: i64, sink: &mut dyn MetricSink) {
        self.forget_outline();
        self.known.end_all(|labels| end(labels, at_ms, sink));
    }

    pub fn metadata(&self) -> &Arc<Metadata> {
        &self.metadata
    }

    /// The rules have changed: what lines mean must be learnt anew; which series are there is known on.
    pub(crate) fn forget_meanings(&mut self) {
        self.forget_outline();
        self.known.forget_meanings();
    }

    fn forget_outline(&mut self) {
        self.outline = None;
        self.is_steady = false;
    }

    fn describe(&mut self, metric: &str, change: impl FnOnce(&mut MetricMetadata)) {
        let known = self.metadata.get(metric);
        let mut found = known.cloned().unwrap_or_default();
        change(&mut found);
        if known != Some(&found) {
            let metric: Arc<str> = metric.into();
            self.changed.insert(Arc::clone(&metric));
            Arc::make_mut(&mut self.metadata).insert(metric, found);
        }
    }
}

fn end(labels: &[u8], at_ms: i64, sink: &mut dyn MetricSink) {
    sink.series(labels);
    sink.sample(at_ms, 0, stale_marker());
}

/// A page while it is read.
struct Reading<'r> {
    pages: &'r mut Pages,
    rules: &'r PageRules,
    at_ms: i64,
    sink: &'r mut dyn MetricSink,
    counts: PageCounts,
    /// The page has exactly the lines of the last one, and each of its samples is stored.
    repeats: bool,
}

/// A series of a page, before it is known what it means.
struct Named<'n> {
    key: &'n [u8],
    family: u8,
    name: &'n str,
    labels: &'n [(&'n str, &'n str)],
}

impl Reading<'_> {
    /// Reads what is as the outline says, if there is one; from there on it must be read line by line,
    /// unless the page repeats the last one.
    fn follow(&mut self, format: TextFormat, text: &str) -> Option<Followed> {
        let outline = self.pages.outline.take().filter(|outline| outline.is_of(format))?;
        let Self { pages, at_ms, sink, counts, .. } = self;
        let followed = outline.follow(text, |line, value| {
            counts.scraped += 1;
            let Some(labels) = pages.known.labels_of(line) else { return };
            counts.kept += 1;
            sink.series(labels);
            sink.sample(*at_ms, 0, value);
        });
        self.repeats = followed.is_whole;
        match self.repeats {
            true => self.pages.outline = Some(outline),
            false => self.pages.is_steady = false,
        }
        Some(followed)
    }

    /// Learns what a line means.
    fn learn(&mut self, named: &Named<'_>) -> Result<u32, PageError> {
        let Pages { target, limits, interned, known, scratch, .. } = &mut *self.pages;
        let page = (named.name, named.labels);
        let labels = self.rules.series((target, limits), page, &mut scratch.labels)?;
        self.counts.added += u64::from(labels.is_some());
        Ok(known.learn((named.key, named.family), labels, interned))
    }

    /// Begins a sample of what a line means: names its series to the sink, and answers at what time the
    /// sample stands. `None`: it is not stored.
    #[inline]
    fn begin_sample(&mut self, meaning: Meaning, own_ms: Option<i64>) -> Option<i64> {
        self.counts.scraped += 1;
        let Meaning::Series(at) = meaning else { return None };
        self.counts.kept += 1;
        let own_ms = own_ms.filter(|_| self.rules.honor_timestamps);
        let page = self.pages.known.page;
        let series = self.pages.known.series_mut(at)?;
        if series.page == page && own_ms.is_none() {
            self.counts.duplicates += 1;
            return None;
        }
        series.page = page;
        if own_ms.is_some_and(|own_ms| own_ms > self.at_ms.saturating_add(AHEAD_MS)) {
            self.counts.ahead += 1;
            return None;
        }
        if own_ms.is_none() || self.rules.track_timestamps_staleness {
            series.tracked = page;
        }
        self.sink.series(&series.labels);
        Some(own_ms.unwrap_or(self.at_ms))
    }

    fn exemplar<'p>(&mut self, pairs: &mut [(&'p str, &'p str)], value: f64, time_ms: i64) {
        let buffer = &mut self.pages.scratch.exemplar;
        // Labels that are not labels make the exemplar useless, not the page.
        if let Ok(labels) = buffer.any(pairs, &LabelLimits::NONE) {
            self.sink.exemplar(ExemplarRef { labels, value, timestamp_ms: time_ms });
        }
    }

    fn histogram(
        &mut self,
        (metric, meaning): (&str, Meaning),
        (own_ms, start_ms): (Option<i64>, i64),
        (histogram, is_float): (FloatHistogram, bool),
    ) -> Result<Option<i64>, PageError> {
        let Some(time_ms) = self.begin_sample(meaning, own_ms) else { return Ok(None) };
        let histogram = histograms::checked(metric, histogram, is_float, self.rules)?;
        self.sink.histogram(time_ms, start_ms, histogram);
        Ok(Some(time_ms))
    }

    fn finish(self) -> Result<PageCounts, PageError> {
        let Self { pages, rules, at_ms, sink, counts, repeats } = self;
        if rules.sample_limit > 0 && counts.kept > rules.sample_limit as u64 {
            let limit = rules.sample_limit;
            return Err(PageError::SampleLimit { found: counts.kept, limit });
        }
        if !repeats {
            pages.known.end_page(|labels| end(labels, at_ms, sink));
        }
        for metric in std::mem::take(&mut pages.changed) {
            if let Some(MetricMetadata { kind, unit, help }) = pages.metadata.get(&metric) {
                sink.metadata(&metric, MetadataRef { kind: *kind, unit, help });
            }
        }
        Ok(counts)
    }
}

/// A kind of family as a part of what a line means.
fn family_code(kind: MetricKind) -> u8 {
    match kind {
        MetricKind::Histogram => 1,
        MetricKind::Summary => 2,
        _ => 0,
    }
}
