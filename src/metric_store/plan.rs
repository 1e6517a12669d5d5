//! Which parts to merge. Newer samples win, so only neighbours in age may be merged; otherwise the
//! rules are those of `parts`: one day, `FAN_IN` parts of one level make one of the next, a day
//! that is over becomes one part.

use crate::part::Age;
use model::Day;
use parts::{LEVEL_MAX, MergePlan, MergeSettings, PartInfo};
use platform::Space;
use std::collections::BTreeMap;

/// How much merging is wished, and how much is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergeWish {
    /// Everything of a day into one part, instead of what is worth it.
    pub full: bool,
    pub space: Space,
}

/// Newest day first.
pub(crate) fn plan(parts: &[PartInfo], wish: &MergeWish, today: Day) -> Vec<MergePlan> {
    let mut days: BTreeMap<Day, Vec<&PartInfo>> = BTreeMap::new();
    parts.iter().for_each(|part| days.entry(part.day).or_default().push(part));
    let mut plans = Vec::new();
    for (day, mut parts) in days.into_iter().rev() {
        parts.sort_by_key(|part| (Age::decode(&part.bounds), part.id));
        if wish.full {
            plans.extend(whole_day(day, &parts));
        } else {
            let finished = if day < today { finish_day(day, &parts) } else { Finish::Not };
            match finished {
                Finish::Done => {}
                Finish::By(plan) => plans.push(plan),
                Finish::Not => plans.extend(by_level(day, &parts)),
            }
        }
    }
    if !wish.full {
        within_space(&mut plans, wish.space);
    }
    plans
}

/// A single part that is not at the last level yet is written once more, at its best.
fn whole_day(day: Day, parts: &[&PartInfo]) -> Option<MergePlan> {
    let done = parts.len() == 1 && parts[0].level == LEVEL_MAX;
    (!done).then(|| merge(day, LEVEL_MAX, parts))
}

/// What finishes a day.
enum Finish {
    Done,
    By(MergePlan),
    /// It is not over, or too much for one merge: it goes on by levels.
    Not,
}

/// What came behind the parts of the last level; a lone late part waits for company. When late data
/// has left many parts of the last level, they become one again.
fn finish_day(day: Day, parts: &[&PartInfo]) -> Finish {
    let settled = parts.iter().rposition(|part| part.level >= LEVEL_MAX).map_or(0, |last| last + 1);
    let rest = if settled >= MergeSettings::FAN_IN { parts } else { &parts[settled..] };
    let bytes: u64 = rest.iter().map(|part| part.bytes).sum();
    let worth_it = rest.len() > 1 || (rest.len() == 1 && settled == 0);
    match worth_it {
        false => Finish::Done,
        true if bytes <= MergeSettings::BYTES_MAX => Finish::By(merge(day, LEVEL_MAX, rest)),
        true => Finish::Not,
    }
}

/// The oldest run of neighbours of each level that is long enough.
fn by_level(day: Day, parts: &[&PartInfo]) -> Vec<MergePlan> {
    let mut plans = Vec::new();
    for run in parts.chunk_by(|left, right| left.level == right.level) {
        let level = run[0].level;
        if run.len() >= MergeSettings::FAN_IN && level < LEVEL_MAX {
            let chosen = &run[..MergeSettings::FAN_IN];
            let bytes: u64 = chosen.iter().map(|part| part.bytes).sum();
            if bytes <= MergeSettings::BYTES_MAX {
                plans.push(merge(day, level + 1, chosen));
            }
        }
    }
    plans
}

fn merge(day: Day, level: u8, parts: &[&PartInfo]) -> MergePlan {
    let mut inputs: Vec<_> = parts.iter().map(|part| part.id).collect();
    inputs.sort();
    MergePlan { day, level, inputs, bytes: parts.iter().map(|part| part.bytes).sum() }
}

/// Inputs stay on disk until the output is published, and a reserve stays free.
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
mod tests {
    use super::*;
    use model::{TimeRange, Ulid};
    use parts::LogPosition;

    const ROOM: Space = Space { total: 1 << 40, free: 1 << 39 };

    fn parts(levels: &[u8]) -> Vec<PartInfo> {
        let part = |(index, level): (usize, &u8)| {
            let position = LogPosition { segment: 1, offset: index as u64 };
            PartInfo {
                // Ids fall: only the age says who is whose neighbour.
                id: Ulid(1_000 - index as u128),
                bytes: 10,
                schema: 1,
                level: *level,
                day: Day(5),
                time: TimeRange::at(5 * 86_400_000),
                rows: 1,
                series: 1,
                tombstones_applied: 0,
                bounds: Age { first: position, last: position }.encode(),
            }
        };
        levels.iter().enumerate().map(part).collect()
    }

    #[test]
    fn a_day_too_large_for_one_merge_goes_on_by_levels() {
        let mut parts = parts(&[2, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
        parts[..2].iter_mut().for_each(|part| part.bytes = MergeSettings::BYTES_MAX / 2);
        let plans = plan(&parts, &MergeWish { full: false, space: ROOM }, Day(6));
        assert_eq!(plans.len(), 1);
        assert_eq!((plans[0].level, plans[0].inputs.len()), (1, 8));
    }

    fn check(levels: &[u8], full: bool, today: i64, expected: &[(u8, std::ops::Range<usize>)]) {
        let wish = MergeWish { full, space: ROOM };
        let plans = plan(&parts(levels), &wish, Day(today));
        let shown: Vec<(u8, std::ops::Range<usize>)> = plans
            .iter()
            .map(|plan| {
                let index = |id: &Ulid| (1_000 - id.0) as usize;
                let (first, last) = (plan.inputs.last().unwrap(), plan.inputs.first().unwrap());
                assert_eq!(index(last) - index(first) + 1, plan.inputs.len(), "neighbours only");
                (plan.level, index(first)..index(last) + 1)
            })
            .collect();
        assert_eq!(shown, expected, "{levels:?}");
    }

    #[test]
    fn neighbours_are_merged() {
        check(&[0; 7], false, 5, &[]);
        check(&[0; 9], false, 5, &[(1, 0..8)]);
        check(&[1, 0, 0, 0, 0, 0, 0, 0], false, 5, &[]);
        check(&[2, 1, 0, 0, 0, 0, 0, 0, 0, 0], false, 5, &[(1, 2..10)]);
        check(&[2, 1, 0], false, 6, &[(3, 0..3)]);
        check(&[0], false, 6, &[(3, 0..1)]);
        check(&[3, 0], false, 6, &[]);
        check(&[3, 0, 0], false, 6, &[(3, 1..3)]);
        check(&[3; 7], false, 6, &[]);
        check(&[3; 8], false, 6, &[(3, 0..8)]);
        check(&[3], false, 6, &[]);
        check(&[3, 0], true, 5, &[(3, 0..2)]);
        check(&[0], true, 5, &[(3, 0..1)]);
        check(&[3], true, 5, &[]);
    }
}
