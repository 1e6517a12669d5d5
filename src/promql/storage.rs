//! What the language needs from a store, and nothing about how a store works.
//!
//! A selection names its series by number, in a stable order, and hands out the columns of any of
//! them to any thread: work is split by ranges of numbers. A store that has the columns in memory
//! lends them; one that must decode writes them into the caller's scratch, which is reused from
//! series to series. There is no call per sample.

use model::{ErrorKind, FloatHistogram, Labels, Matcher, Room};
use std::sync::Arc;

/// What a selection is for. A store may use it to read less; what it returns beyond the range is
/// ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SelectHints {
    /// The first and last millisecond that can matter, both included.
    pub start_ms: i64,
    pub end_ms: i64,
    pub step_ms: i64,
    /// The length of the window; 0 for instant selectors.
    pub range_ms: i64,
    pub detail: SampleDetail,
}

/// What is needed of samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SampleDetail {
    #[default]
    Everything,
    /// Of histograms only their counts and sums.
    WithoutBuckets,
    /// Only when there are samples, and which of them are stale markers.
    Times,
}

/// Samples of one kind, in rising order of time, one per millisecond at most.
#[derive(Debug)]
pub struct Column<'a, T> {
    pub times: &'a [i64],
    pub values: &'a [T],
    /// When the counter behind each value began, 0 where unknown; empty where none is known.
    pub starts: &'a [i64],
}

/// Not derived, which would ask for values that can be copied: a column only borrows them.
impl<T> Clone for Column<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Column<'_, T> {}

impl<T> Column<'_, T> {
    pub const EMPTY: Self = Column { times: &[], values: &[], starts: &[] };
}

/// Everything a series has in the range. A float and a histogram never share a millisecond.
#[derive(Clone, Copy, Debug)]
pub struct SeriesColumns<'a> {
    pub floats: Column<'a, f64>,
    pub histograms: Column<'a, Arc<FloatHistogram>>,
}

/// Where a store puts what it decodes. One per thread, reused.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    /// For the metric store, which lends from buffers of its own.
    pub metric_store: metric_store::Scratch,
    pub float_times: Vec<i64>,
    pub floats: Vec<f64>,
    pub float_starts: Vec<i64>,
    pub histogram_times: Vec<i64>,
    pub histograms: Vec<Arc<FloatHistogram>>,
    pub histogram_starts: Vec<i64>,
}

impl Scratch {
    pub fn clear(&mut self) {
        self.float_times.clear();
        self.floats.clear();
        self.float_starts.clear();
        self.histogram_times.clear();
        self.histograms.clear();
        self.histogram_starts.clear();
    }

    pub fn columns(&self) -> SeriesColumns<'_> {
        let Self { float_times, floats, float_starts, .. } = self;
        let Self { histogram_times, histograms, histogram_starts, .. } = self;
        SeriesColumns {
            floats: Column { times: float_times, values: floats, starts: float_starts },
            histograms: Column {
                times: histogram_times,
                values: histograms,
                starts: histogram_starts,
            },
        }
    }
}

/// The store failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StorageError {
    pub message: String,
    pub kind: ErrorKind,
}

/// The series that matched, best in order of labels.
pub trait Selection: Send + Sync {
    fn len(&self) -> usize;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Cheap: labels are shared, not copied.
    fn labels(&self, index: usize) -> Labels;

    /// Whether the name of a series is to be dropped at the end of the query.
    fn drops_name(&self, _index: usize) -> bool {
        false
    }

    /// The columns of one series. Stale markers are included.
    fn columns<'s>(
        &'s self,
        index: usize,
        scratch: &'s mut Scratch,
    ) -> Result<SeriesColumns<'s>, StorageError>;

    /// What the reader should know, such as data that could not be read.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

pub trait Storage: Send + Sync {
    /// `room`: in the query's memory, for what finding the series takes.
    fn select<'a>(
        &'a self,
        hints: &SelectHints,
        matchers: &[Matcher],
        room: &mut dyn Room,
    ) -> Result<Box<dyn Selection + 'a>, StorageError>;
}
