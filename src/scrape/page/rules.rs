//! What a job says of the samples of its targets, and how labels of a page become those of a series.

use crate::page::PageError;
use model::{Labels, LabelsBuilder, METRIC_NAME};
use relabel::Rules;
use wire::{LabelBuffer, LabelLimits};

/// What a job's configuration says of pages. A limit of 0 is none.
#[derive(Clone, Debug)]
pub struct PageRules {
    pub honor_labels: bool,
    pub honor_timestamps: bool,
    pub track_timestamps_staleness: bool,
    pub relabel: Rules,
    pub sample_limit: usize,
    pub label_limit: usize,
    pub label_name_length_limit: usize,
    pub label_value_length_limit: usize,
    pub bucket_limit: usize,
    pub min_bucket_factor: f64,
    /// Take exponential buckets where a page has them.
    pub native_histograms: bool,
    /// Take classic buckets also where there are exponential ones.
    pub classic_too: bool,
    /// Store classic histograms as native ones with custom buckets.
    pub convert_classic: bool,
    /// Only names that Prometheus had before it took any UTF-8.
    pub legacy_names: bool,
}

impl Default for PageRules {
    fn default() -> Self {
        Self {
            honor_labels: false,
            honor_timestamps: true,
            track_timestamps_staleness: false,
            relabel: Rules::default(),
            sample_limit: 0,
            label_limit: 0,
            label_name_length_limit: 0,
            label_value_length_limit: 0,
            bucket_limit: 0,
            min_bucket_factor: 0.0,
            native_histograms: false,
            classic_too: false,
            convert_classic: false,
            legacy_names: false,
        }
    }
}

const EXPORTED: &str = "exported_";

impl PageRules {
    /// The labels that a series of a page is stored with, as canonical bytes; `None` where it is dropped.
    pub(crate) fn series<'b>(
        &self,
        (target, server_limits): (&Labels, &LabelLimits),
        (name, labels): (&str, &[(&str, &str)]),
        buffer: &'b mut LabelBuffer,
    ) -> Result<Option<&'b [u8]>, PageError> {
        let mut found = Vec::with_capacity(labels.len() + 1);
        found.push((METRIC_NAME, name));
        found.extend_from_slice(labels);
        buffer.any(&mut found, &LabelLimits::NONE)?;
        let mut set = LabelsBuilder::new();
        for (name, value) in found {
            set.set(name, value);
        }
        self.add_target(target, &mut set);
        let is_kept = self.relabel.apply_to(&mut set);
        let labels = set.build();
        if !is_kept || labels.is_empty() {
            return Ok(None);
        }
        self.check(&labels)?;
        let mut pairs: Vec<(&str, &str)> = labels.iter().collect();
        Ok(Some(buffer.series(&mut pairs, server_limits)?))
    }

    /// Where page and target both have a label, the page's moves to `exported_…`, unless it is honored.
    fn add_target(&self, target: &Labels, set: &mut LabelsBuilder) {
        let mut moved: Vec<(String, String)> = Vec::new();
        for (name, value) in target.iter() {
            match set.get(name) {
                Some(_) if self.honor_labels => continue,
                Some(exposed) => moved.push((name.to_owned(), exposed.to_owned())),
                None => {}
            }
            set.set(name, value);
        }
        // Shorter names first: `exported_a` of the page must not be overwritten by a moved `a`.
        moved.sort_by_key(|(name, _)| name.len());
        for (name, value) in moved {
            let mut free = format!("{EXPORTED}{name}");
            while set.get(&free).is_some() {
                free.insert_str(0, EXPORTED);
            }
            set.set(&free, &value);
        }
    }

    fn check(&self, labels: &Labels) -> Result<(), PageError> {
        let metric = labels.metric_name();
        if metric.is_empty() {
            return Err(PageError::NoName(labels.to_string()));
        }
        if self.legacy_names && !is_legacy(labels) {
            return Err(PageError::BadName(labels.to_string()));
        }
        let over = |limit: usize, found: usize| limit > 0 && found > limit;
        let count = labels.iter().count();
        let exceeded = |what: &'static str, found: usize, limit: usize| PageError::Label {
            metric: metric.to_owned(),
            what,
            found,
            limit,
        };
        if over(self.label_limit, count) {
            return Err(exceeded("label_limit", count, self.label_limit));
        }
        for (name, value) in labels.iter() {
            if over(self.label_name_length_limit, name.len()) {
                let limit = self.label_name_length_limit;
                return Err(exceeded("label_name_length_limit", name.len(), limit));
            }
            if over(self.label_value_length_limit, value.len()) {
                let limit = self.label_value_length_limit;
                return Err(exceeded("label_value_length_limit", value.len(), limit));
            }
        }
        Ok(())
    }
}

/// `[a-zA-Z_:][a-zA-Z0-9_:]*` for the metric, the same without colons for labels.
fn is_legacy(labels: &Labels) -> bool {
    let plain = |name: &str, colon: bool| {
        let is_good =
            |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || colon && byte == b':';
        !name.starts_with(|first: char| first.is_ascii_digit()) && name.bytes().all(is_good)
    };
    plain(labels.metric_name(), true) && labels.iter().all(|(name, _)| plain(name, false))
}
