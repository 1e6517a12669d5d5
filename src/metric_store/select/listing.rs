//! Lists names and values of labels without reading series if it can.
//!
//! Without matchers, a part lists what is in its dictionaries, for its whole time; with matchers,
//! what the matching series have. A head lists what series with samples have.

use super::gather::{PartTests, for_each_in_head, groups_of, overlaps};
use super::parts_by_day;
use super::texts::Texts;
use crate::StoreError;
use crate::kind::{MetricHead, Store};
use crate::matcher::Compiled;
use crate::part::{Dictionaries, MetricPart};
use crate::postings::Postings;
use crate::registry::ValueSeries;
use crate::select::Select;
use model::{Labels, METRIC_NAME, Room, TenantId, TimeRange};
use std::collections::BTreeMap;

/// What a listing found, in order, and its warnings.
type Listed = (Vec<String>, Vec<String>);

pub(crate) fn label_names(
    store: &Store,
    tenant: &TenantId,
    wanted: &Select<'_>,
    room: &mut dyn Room,
) -> Result<Listed, StoreError> {
    list(store, tenant, wanted, (None, room))
}

pub(crate) fn label_values(
    store: &Store,
    tenant: &TenantId,
    wanted: &Select<'_>,
    label: &str,
    room: &mut dyn Room,
) -> Result<Listed, StoreError> {
    list(store, tenant, wanted, (Some(label), room))
}

/// Lists the values of a label, or the names of all labels.
struct Listing<'a> {
    matchers: Compiled<'a>,
    time: TimeRange,
    label: Option<&'a str>,
    found: Texts<'a>,
}

fn list(
    store: &Store,
    tenant: &TenantId,
    wanted: &Select<'_>,
    (label, room): (Option<&str>, &mut dyn Room),
) -> Result<Listed, StoreError> {
    let (matchers, time) = (Compiled::new(wanted.matchers), wanted.time);
    let mut listing = Listing { matchers, time, label, found: Texts::new(room) };
    let Some(tenant) = store.tenant(tenant) else { return Ok(Listed::default()) };
    let view = tenant.view(&store.kind);
    let mut warnings = view.manifest.warnings(time);
    for id in parts_by_day(&view.manifest, time) {
        let mut read = || {
            let part = tenant.store.part(&view.manifest, id)?;
            listing.add_part(&MetricPart::open(part, &store.kind.caches)?)
        };
        if let Err(error) = read() {
            warnings.push(tenant.quarantine_damaged(&store.kind, id, error)?);
        }
        listing.found.check()?;
    }
    for head in &view.heads {
        if overlaps(&head.read(), time) {
            listing.add_head(head)?;
        }
    }
    Ok((listing.found.into_sorted()?, warnings))
}

impl Listing<'_> {
    fn add_part(&mut self, part: &MetricPart) -> Result<(), StoreError> {
        if self.label == Some(METRIC_NAME) && self.matchers.others.is_empty() {
            let matchers = self.matchers.clone();
            let groups = groups_of(part, self.time, &matchers);
            self.found.add_sorted(groups.map(|group| &*part.group(group).metric));
            return Ok(());
        }
        let dictionaries = part.dictionaries()?;
        if !self.matchers.is_empty() {
            return self.add_matching(part);
        }
        match self.label {
            Some(label) => {
                let known = dictionaries.number(label).and_then(|label| dictionaries.get(label));
                self.found.add_sorted(known.iter().flat_map(|known| known.sorted_values()));
            }
            None => {
                let metric_name = part.has_names().then_some(METRIC_NAME).into_iter();
                let labels = dictionaries.iter().map(|dictionary| dictionary.label.as_str());
                self.found.add_all(metric_name.chain(labels));
            }
        }
        Ok(())
    }

    fn add_matching(&mut self, part: &MetricPart) -> Result<(), StoreError> {
        let dictionaries = part.dictionaries()?;
        let matchers = self.matchers.clone();
        let Some(mut tests) = PartTests::new(&matchers, &dictionaries) else { return Ok(()) };
        let mut matching = Vec::new();
        let mut seen: BTreeMap<u32, Vec<bool>> = BTreeMap::new();
        for group in groups_of(part, self.time, &matchers) {
            let names = part.names(group, &dictionaries)?;
            tests.select(&names, &mut matching);
            if matching.is_empty() {
                continue;
            }
            let metric = &part.group(group).metric;
            match self.label {
                Some(METRIC_NAME) => self.found.add(metric),
                None if !metric.is_empty() => self.found.add(METRIC_NAME),
                _ => {}
            }
            for column in names.columns() {
                let Some(dictionary) = dictionaries.get(column.label) else { continue };
                if self.label.is_none_or(|label| label == dictionary.label) {
                    let seen = seen.entry(column.label).or_default();
                    seen.resize(dictionary.codes(), false);
                    column.codes.mark(&matching, seen);
                }
            }
        }
        self.add_seen(&dictionaries, seen);
        Ok(())
    }

    /// Adds the values whose codes were seen, for each label.
    fn add_seen(&mut self, dictionaries: &Dictionaries, seen: BTreeMap<u32, Vec<bool>>) {
        for (label, seen) in seen {
            let Some(dictionary) = dictionaries.get(label) else { continue };
            let codes = (1..seen.len()).filter(|code| seen[*code]);
            match self.label {
                Some(_) => codes.for_each(|code| self.found.add(dictionary.value(code as u32))),
                None => codes.take(1).for_each(|_| self.found.add(&dictionary.label)),
            }
        }
    }

    fn add_head(&mut self, head: &MetricHead) -> Result<(), StoreError> {
        if !self.matchers.is_empty() {
            return self.add_matching_of_head(head);
        }
        let registry = head.context.registry();
        let head = head.read();
        if let Some(used) = head.used() {
            let mut used = used.iter().filter(|number| head.has(**number));
            return used.try_for_each(|number| self.add_labels(&registry.entry(*number).labels));
        }
        let is_used = |numbers: &Postings| numbers.iter().any(|number| head.has(number));
        let value_used = |values: &ValueSeries| values.values().any(is_used);
        let metrics = registry.metrics().filter(|(name, numbers)| {
            !name.is_empty() && numbers.iter().any(|number| head.has(*number))
        });
        match self.label {
            Some(METRIC_NAME) => self.found.add_sorted(metrics.map(|(name, _)| name)),
            Some(label) => {
                let values = registry.values(label).into_iter().flatten();
                let used = values.filter(|(_, numbers)| is_used(numbers));
                self.found.add_all(used.map(|(value, _)| &**value));
            }
            None => {
                metrics.take(1).for_each(|_| self.found.add(METRIC_NAME));
                let used = registry.labels().filter(|(_, values)| value_used(values));
                self.found.add_all(used.map(|(label, _)| label));
            }
        }
        self.found.check()
    }

    fn add_matching_of_head(&mut self, head: &MetricHead) -> Result<(), StoreError> {
        let matchers = self.matchers.clone();
        for_each_in_head(head, &matchers, |registry, _, number| {
            self.add_labels(&registry.entry(number).labels)
        })
    }

    fn add_labels(&mut self, labels: &Labels) -> Result<(), StoreError> {
        match self.label {
            Some(label) => self.found.add(labels.value(label)),
            None => labels.iter().for_each(|(label, _)| self.found.add(label)),
        }
        self.found.check()
    }
}
