//! Which parts to merge next. Pure functions of the list of parts: same list, same plan.
//!
//! The rules:
//! 1. Only parts of one UTC day are merged with each other, and under [`MergeOrder::Age`] only
//!    neighbours in age, because newer rows replace older ones.
//! 2. `FAN_IN` parts of one level make one of the next level; the levels end at `LEVEL_MAX`.
//! 3. A day that is over is finished: its parts below the last level become one part of that level.
//!    A single late part is not rewritten until a second one arrives. Parts of the last level with
//!    `FAN_IN` different ages, which late rows create, are merged into one.
//! 4. No merge writes more than `BYTES_MAX`; a larger day continues by rule 2.
//! 5. A merge waits while it would use the reserve of free space.
//!
//! `docs/adr/0002-parts-and-manifests.md` measures how many bytes these rules rewrite.

use crate::{Age, MergeRequest};
use model::Day;
use parts::{LEVEL_MAX, Manifest, MergePlan, PartInfo};
use platform::Space;
use std::collections::{BTreeMap, BTreeSet};

const FAN_IN: usize = 8;

/// A merge of this size takes minutes, not hours, on an ordinary disk.
const BYTES_MAX: u64 = 8 << 30;

/// Which parts of a day may be merged with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeOrder {
    /// Only neighbours in age: of two rows with one key the newer one counts.
    Age,
    /// Any parts, the smallest first: rows do not replace each other.
    Any,
}

/// The merges worth doing now, no part in two of them; or, if requested, all parts of each day into
/// one. The newest day comes first, because it is queried most.
pub fn plan_merges(
    order: MergeOrder,
    parts: &[PartInfo],
    request: &MergeRequest,
    today: Day,
) -> Vec<MergePlan> {
    let mut days: BTreeMap<Day, Vec<&PartInfo>> = BTreeMap::new();
    parts.iter().for_each(|part| days.entry(part.day).or_default().push(part));
    let mut plans = Vec::new();
    for (day, mut parts) in days.into_iter().rev() {
        parts.sort_by_key(|part| (Age::of(part), part.id));
        if request.full {
            plans.extend(whole_day(day, &parts));
            continue;
        }
        match finish_day(order, day, &parts, today) {
            Finish::Done => {}
            Finish::By(plan) => plans.push(plan),
            Finish::NotYet => plans.extend(by_level(order, day, &parts)),
        }
    }
    if !request.full {
        within_space(&mut plans, request.space);
    }
    plans
}

/// Rewrites of the parts that still hold deleted rows. Their level stays the same.
pub fn plan_erasures(manifest: &Manifest) -> Vec<MergePlan> {
    let concerned =
        manifest.parts.iter().filter(|part| manifest.tombstones_for(part).next().is_some());
    concerned.map(|part| plan(part.day, part.level, vec![part])).collect()
}

/// A single part is rewritten if it is not at the last level yet, for its best compression.
fn whole_day(day: Day, parts: &[&PartInfo]) -> Option<MergePlan> {
    let is_done = parts.len() == 1 && parts[0].level == LEVEL_MAX;
    (!is_done).then(|| plan(day, LEVEL_MAX, parts.to_vec()))
}

/// What remains to be done for a day.
enum Finish {
    Done,
    By(MergePlan),
    /// The day is not over, or too large for one merge: it continues by levels.
    NotYet,
}

fn finish_day(order: MergeOrder, day: Day, parts: &[&PartInfo], today: Day) -> Finish {
    if day >= today {
        return Finish::NotYet;
    }
    let is_settled = |part: &&PartInfo| part.level >= LEVEL_MAX;
    // Parts of one age are what one merge left: it could not put them together, nor could another.
    let settled: BTreeSet<Age> = parts.iter().copied().filter(is_settled).map(Age::of).collect();
    let settled = settled.len();
    let rest: Vec<&PartInfo> = match order {
        _ if settled >= FAN_IN => parts.to_vec(),
        MergeOrder::Any => parts.iter().copied().filter(|part| !is_settled(part)).collect(),
        // Parts on both sides of a last-level part are not neighbours in age.
        MergeOrder::Age => {
            let last = parts.iter().rposition(is_settled);
            parts[last.map_or(0, |last| last + 1)..].to_vec()
        }
    };
    let is_worth_it = rest.len() > 1 || (rest.len() == 1 && settled == 0);
    match is_worth_it {
        false => Finish::Done,
        true if bytes_of(&rest) <= BYTES_MAX => Finish::By(plan(day, LEVEL_MAX, rest)),
        true => Finish::NotYet,
    }
}

fn by_level(order: MergeOrder, day: Day, parts: &[&PartInfo]) -> Vec<MergePlan> {
    let runs: Vec<Vec<&PartInfo>> = match order {
        MergeOrder::Age => {
            parts.chunk_by(|left, right| left.level == right.level).map(<[_]>::to_vec).collect()
        }
        MergeOrder::Any => (0..LEVEL_MAX).map(|level| smallest_first(parts, level)).collect(),
    };
    let mergeable = |run: &&Vec<&PartInfo>| run.len() >= FAN_IN && run[0].level < LEVEL_MAX;
    let chosen = runs.iter().filter(mergeable).map(|run| &run[..FAN_IN]);
    let fitting = chosen.filter(|run| bytes_of(run) <= BYTES_MAX);
    fitting.map(|run| plan(day, run[0].level + 1, run.to_vec())).collect()
}

fn smallest_first<'a>(parts: &[&'a PartInfo], level: u8) -> Vec<&'a PartInfo> {
    let mut run: Vec<_> = parts.iter().copied().filter(|part| part.level == level).collect();
    run.sort_by_key(|part| (part.bytes, part.id));
    run
}

/// Orders the inputs by age.
fn plan(day: Day, level: u8, mut parts: Vec<&PartInfo>) -> MergePlan {
    parts.sort_by_key(|part| (Age::of(part), part.id));
    let inputs = parts.iter().map(|part| part.id).collect();
    MergePlan { day, level, inputs, bytes: bytes_of(&parts) }
}

fn bytes_of(parts: &[&PartInfo]) -> u64 {
    parts.iter().map(|part| part.bytes).sum()
}

/// Inputs stay on disk until the output is published, so a merge needs as much space as they have.
/// Twice that, or 5 % of the disk, stays free as a reserve.
fn within_space(plans: &mut Vec<MergePlan>, space: Space) {
    let mut free = space.free;
    plans.retain(|plan| {
        let reserve = (space.total / 20).max(plan.bytes.saturating_mul(2));
        let affordable = free >= reserve.saturating_add(plan.bytes);
        free -= if affordable { plan.bytes } else { 0 };
        affordable
    });
}

#[cfg(test)]
mod tests;
