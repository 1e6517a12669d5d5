//! Which parts to merge next. Pure functions of the list of parts: same list, same plan.
//!
//! The rules:
//! 1. Only parts of one UTC day are merged with each other.
//! 2. `fan_in` parts of one level make one of the next level, the smallest first. The levels end
//!    at `LEVEL_MAX`, so a byte is written once by its flush and at most `LEVEL_MAX` times by
//!    merges: the write amplification can't exceed `LEVEL_MAX + 1` = 4.
//! 3. A day that is over and quiet is finished: what is below the last level becomes one part of
//!    the last level. That keeps rule 2's bound, because every input rises.
//! 4. A merge waits while it would eat into the reserve of free space.

use crate::manifest::{Manifest, PartInfo};
use model::{Day, Ulid};
use platform::Space;
use std::collections::{BTreeMap, BTreeSet};

pub const LEVEL_MAX: u8 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergeSettings {
    pub fan_in: usize,
    /// No merge makes more than this of its inputs' bytes.
    pub bytes_max: u64,
    /// Days before this one are over.
    pub today: Day,
    /// Parts minted before this moment are quiet.
    pub quiet_before_ms: u64,
    pub space: Space,
}

impl MergeSettings {
    pub const FAN_IN: usize = 8;
    /// One merge of this size takes minutes, not hours, on a plain disk.
    pub const BYTES_MAX: u64 = 8 << 30;
}

/// One merge: these parts become one part of that level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergePlan {
    pub day: Day,
    /// The level of the part to be made.
    pub level: u8,
    /// Rising by id.
    pub inputs: Vec<Ulid>,
    pub bytes: u64,
}

/// The merges worth doing now, none sharing a part with another or with `busy` ones; the newest
/// day first, because it is the one that is asked most.
pub fn plan_merges(
    parts: &[PartInfo],
    busy: &BTreeSet<Ulid>,
    settings: &MergeSettings,
) -> Vec<MergePlan> {
    let mut days: BTreeMap<Day, Vec<&PartInfo>> = BTreeMap::new();
    parts.iter().for_each(|part| days.entry(part.day).or_default().push(part));
    let mut plans = Vec::new();
    for (day, mut parts) in days.into_iter().rev() {
        let all = parts.len();
        parts.retain(|part| !busy.contains(&part.id));
        let idle = parts.len() == all;
        let finished = finish_day(day, &parts, idle, settings);
        plans.extend(finished.map_or_else(|| by_level(day, &parts, settings), |plan| vec![plan]));
    }
    within_space(plans, settings.space)
}

/// Everything of each day into one part, whatever it costs: somebody asked for it.
pub fn plan_full_merge(parts: &[PartInfo]) -> Vec<MergePlan> {
    let mut days: BTreeMap<Day, Vec<&PartInfo>> = BTreeMap::new();
    parts.iter().for_each(|part| days.entry(part.day).or_default().push(part));
    let many = days.into_iter().filter(|(_, parts)| parts.len() > 1);
    many.map(|(day, parts)| MergePlan::new(day, LEVEL_MAX, &parts)).collect()
}

/// Rewrites of single parts that no merge would touch any more, so that what tombstones delete
/// leaves the disk. The level stays.
pub fn plan_erasures(manifest: &Manifest, busy: &BTreeSet<Ulid>) -> Vec<MergePlan> {
    let settled = |part: &&PartInfo| part.level >= LEVEL_MAX && !busy.contains(&part.id);
    let concerned = |part: &&PartInfo| manifest.tombstones_for(part).next().is_some();
    let parts = manifest.parts.iter().filter(settled).filter(concerned);
    parts.map(|part| MergePlan::new(part.day, part.level, &[part])).collect()
}

impl MergePlan {
    fn new(day: Day, level: u8, parts: &[&PartInfo]) -> Self {
        let mut inputs: Vec<Ulid> = parts.iter().map(|part| part.id).collect();
        inputs.sort();
        Self { day, level, inputs, bytes: total(parts) }
    }
}

fn total(parts: &[&PartInfo]) -> u64 {
    parts.iter().map(|part| part.bytes).sum()
}

/// Rule 3. A day with merges under way waits for them: their outputs belong into the last one.
fn finish_day(
    day: Day,
    parts: &[&PartInfo],
    idle: bool,
    settings: &MergeSettings,
) -> Option<MergePlan> {
    let rest: Vec<&PartInfo> = parts.iter().copied().filter(|p| p.level < LEVEL_MAX).collect();
    let quiet = rest.iter().all(|part| part.id.millis() < settings.quiet_before_ms);
    let fits = rest.len() > 1 && total(&rest) <= settings.bytes_max;
    let finish = idle && day < settings.today && quiet && fits;
    finish.then(|| MergePlan::new(day, LEVEL_MAX, &rest))
}

/// Rule 2.
fn by_level(day: Day, parts: &[&PartInfo], settings: &MergeSettings) -> Vec<MergePlan> {
    let mut plans = Vec::new();
    for level in 0..LEVEL_MAX {
        let mut rest: Vec<&PartInfo> =
            parts.iter().copied().filter(|part| part.level == level).collect();
        rest.sort_by_key(|part| (part.bytes, part.id));
        while rest.len() >= settings.fan_in.max(2) {
            let count = fitting(&rest, settings);
            if count < 2 {
                break;
            }
            plans.push(MergePlan::new(day, level + 1, &rest[..count]));
            rest.drain(..count);
        }
    }
    plans
}

/// How many of the smallest parts one merge may take.
fn fitting(parts: &[&PartInfo], settings: &MergeSettings) -> usize {
    let mut bytes = 0u64;
    let fits = |part: &&&PartInfo| {
        bytes = bytes.saturating_add(part.bytes);
        bytes <= settings.bytes_max
    };
    parts[..settings.fan_in.max(2)].iter().take_while(fits).count()
}

/// Rule 4: inputs stay until the output is published and one more generation is, so a merge needs
/// its own size, and the reserve is another of it (or 5 % of the disk).
fn within_space(plans: Vec<MergePlan>, space: Space) -> Vec<MergePlan> {
    let mut free = space.free;
    let affordable = |plan: &MergePlan| {
        let reserve = (space.total / 20).max(plan.bytes.saturating_mul(2));
        let affordable = free >= reserve && free - reserve >= plan.bytes;
        if affordable {
            free -= plan.bytes;
        }
        affordable
    };
    plans.into_iter().filter(affordable).collect()
}

#[cfg(test)]
mod tests;
