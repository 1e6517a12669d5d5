//! The metric store as the engine reads it.

use crate::storage::{
    Column, SampleDetail, Scratch, SelectHints, Selection, SeriesColumns, Storage, StorageError,
};
use metric_store::{MetricStore, Samples, Select, SeriesSamples, StoreError, Union};
use model::{Labels, Matcher, Room, TenantId, TimeUnit};

/// The metrics of one tenant, or some of them.
#[derive(Clone, Debug)]
pub struct TenantMetrics<'a> {
    pub store: &'a MetricStore,
    pub tenant: &'a TenantId,
    /// Only the series that match one of these show. None: all series.
    pub filters: Vec<Vec<Matcher>>,
}

impl From<StoreError> for StorageError {
    fn from(error: StoreError) -> Self {
        Self { message: error.to_string(), kind: error.kind() }
    }
}

impl Storage for TenantMetrics<'_> {
    fn select<'a>(
        &'a self,
        hints: &SelectHints,
        matchers: &[Matcher],
        room: &mut dyn Room,
    ) -> Result<Box<dyn Selection + 'a>, StorageError> {
        let time = TimeUnit::Millis.between(hints.start_ms, hints.end_ms.max(hints.start_ms));
        let values_needed = hints.detail != SampleDetail::Times;
        let mut select = |matchers: &[Matcher]| {
            self.store.select(self.tenant, &Select { time, matchers, values_needed }, room)
        };
        match &self.filters[..] {
            [] => Ok(Box::new(select(matchers)?)),
            [filter] => Ok(Box::new(select(&[matchers, filter].concat())?)),
            _ => {
                let narrowed = self.narrowed(matchers);
                let selections: Result<_, _> = narrowed.iter().map(|one| select(one)).collect();
                Ok(Box::new(Union::of(selections?, room)?))
            }
        }
    }
}

impl TenantMetrics<'_> {
    /// A selector with each of the filters.
    pub(crate) fn narrowed(&self, matchers: &[Matcher]) -> Vec<Vec<Matcher>> {
        match &self.filters[..] {
            [] => vec![matchers.to_vec()],
            filters => filters.iter().map(|filter| [matchers, filter].concat()).collect(),
        }
    }
}

fn column<'a, T>(samples: Samples<'a, T>) -> Column<'a, T> {
    let Samples { times, values, starts } = samples;
    Column { times, values, starts }
}

fn columns(read: SeriesSamples<'_>) -> SeriesColumns<'_> {
    let SeriesSamples { floats, histograms } = read;
    SeriesColumns { floats: column(floats), histograms: column(histograms) }
}

/// Implements the trait by methods that have the same names.
macro_rules! selection {
    ($store_type:ty) => {
        impl Selection for $store_type {
            fn len(&self) -> usize {
                self.len()
            }

            fn labels(&self, index: usize) -> Labels {
                self.labels(index)
            }

            fn columns<'s>(
                &'s self,
                index: usize,
                scratch: &'s mut Scratch,
            ) -> Result<SeriesColumns<'s>, StorageError> {
                Ok(columns(self.read(index, &mut scratch.metric_store)?))
            }

            fn warnings(&self) -> Vec<String> {
                self.warnings()
            }
        }
    };
}

selection!(metric_store::Selection);
selection!(Union);
