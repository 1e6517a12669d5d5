//! A store that shows a query only the series that `extra_label` and `extra_filters[]` let through.

use model::{Labels, Matcher};
use promql::storage::{Scratch, SeriesColumns};
use promql::{SelectHints, Selection, Storage, StorageError};
use std::collections::BTreeSet;

/// Every selection holds only series that match one of the filters.
pub(super) struct Narrowed<'a> {
    pub(super) storage: &'a dyn Storage,
    pub(super) filters: Vec<Vec<Matcher>>,
}

impl Storage for Narrowed<'_> {
    fn select<'a>(
        &'a self,
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<Box<dyn Selection + 'a>, StorageError> {
        let select =
            |filter: &Vec<Matcher>| self.storage.select(hints, &[matchers, &filter[..]].concat());
        match &self.filters[..] {
            [] => self.storage.select(hints, matchers),
            [filter] => select(filter),
            filters => {
                let selections = filters.iter().map(select).collect::<Result<Vec<_>, _>>()?;
                Ok(Box::new(Union::of(selections)))
            }
        }
    }
}

/// The series of several selections, each once.
struct Union<'a> {
    selections: Vec<Box<dyn Selection + 'a>>,
    /// The number of a selection and of a series in it, in order of labels.
    places: Vec<(usize, usize)>,
}

impl<'a> Union<'a> {
    fn of(selections: Vec<Box<dyn Selection + 'a>>) -> Self {
        let mut seen: BTreeSet<Labels> = BTreeSet::new();
        let mut found = Vec::new();
        for (number, selection) in selections.iter().enumerate() {
            for index in 0..selection.len() {
                let labels = selection.labels(index);
                if seen.insert(labels.clone()) {
                    found.push((labels, number, index));
                }
            }
        }
        found.sort();
        let places = found.into_iter().map(|(_, number, index)| (number, index)).collect();
        Self { selections, places }
    }
}

impl Selection for Union<'_> {
    fn len(&self) -> usize {
        self.places.len()
    }

    fn labels(&self, index: usize) -> Labels {
        let (selection, index) = self.places[index];
        self.selections[selection].labels(index)
    }

    fn columns<'s>(
        &'s self,
        index: usize,
        scratch: &'s mut Scratch,
    ) -> Result<SeriesColumns<'s>, StorageError> {
        let (selection, index) = self.places[index];
        self.selections[selection].columns(index, scratch)
    }

    fn warnings(&self) -> Vec<String> {
        self.selections.iter().flat_map(|selection| selection.warnings()).collect()
    }
}
