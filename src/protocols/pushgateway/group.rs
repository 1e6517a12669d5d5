//! One group: the pushes of one grouping key of which something is still there.

use super::page::{self, Families, Family, PageFormat};
use axum::body::Bytes;
use model::Labels;
use std::collections::BTreeSet;
use wire::LabelLimits;

/// A pushed page, kept as it was sent: it is what the group's file holds.
#[derive(Clone, Debug)]
pub(super) struct Push {
    pub(super) time_ms: i64,
    pub(super) format: PageFormat,
    pub(super) body: Bytes,
    /// The families that no later push has replaced.
    pub(super) live: BTreeSet<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Group {
    /// The grouping key.
    pub(super) labels: Labels,
    pub(super) pushes: Vec<Push>,
    pub(super) families: Families,
    /// When something was pushed last; 0: never.
    pub(super) push_ms: i64,
    /// When a push was refused last; 0: never.
    pub(super) failure_ms: i64,
}

impl Group {
    pub(super) fn new(labels: Labels) -> Self {
        let (pushes, families) = Default::default();
        Self { labels, pushes, families, push_ms: 0, failure_ms: 0 }
    }

    /// The group after a push; with `replaces_all` nothing of what was there stays.
    pub(super) fn pushed(&self, push: Push, families: Families, replaces_all: bool) -> Self {
        let mut group = self.clone();
        if replaces_all {
            group.pushes.clear();
            group.families.clear();
        }
        for older in &mut group.pushes {
            older.live.retain(|name| !families.contains_key(name));
        }
        group.pushes.retain(|older| !older.live.is_empty());
        group.push_ms = push.time_ms;
        if !push.live.is_empty() {
            group.pushes.push(push);
        }
        group.families.extend(families);
        group
    }

    /// A group as its file has it: the pages are read again.
    pub(super) fn reread(
        labels: Labels,
        pushes: Vec<Push>,
        (push_ms, failure_ms): (i64, i64),
        limits: &LabelLimits,
    ) -> Result<Self, String> {
        let mut families = Families::new();
        for push in &pushes {
            let read = page::read(push.format, &push.body, &labels, limits, push.time_ms)?;
            families.extend(read.into_iter().filter(|(name, _)| push.live.contains(name)));
        }
        Ok(Self { labels, pushes, families, push_ms, failure_ms })
    }

    /// What it takes in memory, nearly.
    pub(super) fn bytes(&self) -> usize {
        let pages: usize = self.pushes.iter().map(|push| push.body.len()).sum();
        let of_family = |(name, family): (&String, &Family)| {
            let series = family.series.iter().map(|one| one.labels.as_bytes().len() + 64);
            name.len() + family.help.len() + 128 + series.sum::<usize>()
        };
        pages + self.families.iter().map(of_family).sum::<usize>() + 512
    }
}
