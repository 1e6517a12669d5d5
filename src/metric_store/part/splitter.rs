//! Writes series into a part, and what one part can't hold into further ones.
//!
//! A part has one column of histograms for each series, within one page. So the later histograms of
//! a series that has more go into a second part of the same day, level and age, and so on. Readers
//! see nothing special: the parts hold different times.

use super::PartBuilder;
use crate::StoreError;
use crate::batch::Exemplar;
use crate::columns::Columns;
use crate::values::Effort;
use engine::PartOrigin;
use model::{Labels, MetricMetadata};
use parts::{NewPart, PartStore};

#[derive(Debug)]
pub(crate) struct PartSplitter<'s> {
    store: &'s PartStore,
    origin: PartOrigin,
    effort: Effort,
    /// The first takes all that fits; usually there is no other.
    builders: Vec<PartBuilder>,
}

impl<'s> PartSplitter<'s> {
    pub(crate) fn new(
        store: &'s PartStore,
        origin: PartOrigin,
        effort: Effort,
    ) -> Result<Self, StoreError> {
        let builders = vec![PartBuilder::new(store, origin.clone(), effort)?];
        Ok(Self { store, origin, effort, builders })
    }

    /// Adds a series. Series must come in the order of parts; one without samples is skipped.
    pub(crate) fn series(&mut self, labels: &Labels, samples: &Columns) -> Result<(), StoreError> {
        let mut rest = self.builders[0].series(labels, samples)?;
        let mut next = 1;
        while let Some(samples) = rest {
            if next == self.builders.len() {
                let builder = PartBuilder::new(self.store, self.origin.clone(), self.effort)?;
                self.builders.push(builder);
            }
            rest = self.builders[next].series(labels, &samples)?;
            next += 1;
        }
        Ok(())
    }

    pub(crate) fn exemplar(
        &mut self,
        series: &Labels,
        exemplar: &Exemplar,
    ) -> Result<(), StoreError> {
        self.builders[0].exemplar(series, exemplar)
    }

    /// Empty if the part would be empty.
    pub(crate) fn finish(
        self,
        metadata: &[(String, MetricMetadata)],
    ) -> Result<Vec<NewPart>, StoreError> {
        let mut parts = Vec::new();
        for (index, builder) in self.builders.into_iter().enumerate() {
            let metadata = if index == 0 { metadata } else { &[] };
            parts.extend(builder.finish(metadata)?);
        }
        Ok(parts)
    }
}
