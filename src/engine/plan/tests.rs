use super::*;
use model::{Signal, TenantId, TimeUnit, Ulid, WalPosition};
use parts::Tombstone;
use platform::{Random, SeededRandom};

const PLENTY: Space = Space { total: 1 << 50, free: 1 << 50 };

fn part(id: u128, day: i64, level: u8, bytes: u64) -> PartInfo {
    let position = WalPosition { segment: 1, offset: id as u64 };
    PartInfo {
        id: Ulid(id),
        bytes,
        schema: 1,
        level,
        day: Day(day),
        time: TimeUnit::Millis.at(0),
        rows: 1,
        series: 1,
        tombstones_applied: 0,
        bounds: Age::at(position).encode(),
    }
}

/// One part per level, with rising age and falling id: the plan must not depend on the order of
/// ids.
fn parts(levels: &[u8]) -> Vec<PartInfo> {
    let aged = |(index, level): (usize, &u8)| {
        let position = WalPosition { segment: 1, offset: index as u64 };
        let bounds = Age::at(position).encode();
        PartInfo { id: Ulid(1_000 - index as u128), bounds, ..part(0, 5, *level, 10) }
    };
    levels.iter().enumerate().map(aged).collect()
}

fn plans(order: MergeOrder, parts: &[PartInfo], full: bool, today: i64) -> Vec<MergePlan> {
    plan_merges(order, parts, &MergeRequest { full, space: PLENTY }, Day(today))
}

fn check(levels: &[u8], full: bool, today: i64, expected: &[(u8, std::ops::Range<usize>)]) {
    let shown: Vec<(u8, std::ops::Range<usize>)> =
        plans(MergeOrder::Age, &parts(levels), full, today)
            .iter()
            .map(|plan| {
                let index = |id: &Ulid| (1_000 - id.0) as usize;
                let inputs: Vec<usize> = plan.inputs.iter().map(index).collect();
                let run = inputs[0]..inputs[inputs.len() - 1] + 1;
                assert_eq!(inputs, run.clone().collect::<Vec<_>>(), "neighbours, the oldest first");
                (plan.level, run)
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

/// A merge leaves several parts where one can't hold all. To merge them again would not end.
#[test]
fn what_one_merge_left_is_not_merged_again() {
    let mut parts = parts(&[3; 12]);
    let age = parts[0].bounds.clone();
    parts[..6].iter_mut().for_each(|part| part.bounds.clone_from(&age));
    for order in [MergeOrder::Age, MergeOrder::Any] {
        assert!(plans(order, &parts, false, 6).is_empty());
        assert_eq!(plans(order, &parts[4..], false, 6).len(), 0);
    }
    parts[4].bounds = Age::at(WalPosition { segment: 1, offset: 4 }).encode();
    assert_eq!(plans(MergeOrder::Age, &parts, false, 6).len(), 1);
}

#[test]
fn a_day_too_large_for_one_merge_goes_on_by_levels() {
    let mut parts = parts(&[2, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
    parts[..2].iter_mut().for_each(|part| part.bytes = BYTES_MAX / 2);
    let plans = plans(MergeOrder::Age, &parts, false, 6);
    assert_eq!(plans.len(), 1);
    assert_eq!((plans[0].level, plans[0].inputs.len()), (1, 8));
}

#[test]
fn where_age_does_not_matter_the_smallest_are_merged() {
    let sized = |(index, level): (usize, &u8)| part(index as u128, 5, *level, 100 - index as u64);
    let levels = [0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0];
    let parts: Vec<PartInfo> = levels.iter().enumerate().map(sized).collect();
    let ids = |plan: &MergePlan| plan.inputs.iter().map(|id| id.0).collect::<Vec<_>>();
    let today = plans(MergeOrder::Any, &parts, false, 5);
    assert_eq!(today.iter().map(ids).collect::<Vec<_>>(), [[2u128, 3, 4, 6, 7, 8, 9, 10]]);
    let over = plans(MergeOrder::Any, &parts, false, 6);
    assert_eq!(ids(&over[0]), [0, 1, 2, 3, 4, 6, 7, 8, 9, 10], "all but the settled one");
}

#[test]
fn days_do_not_mix_and_the_newest_comes_first() {
    let of_day =
        |day: i64| (0..8).map(move |id| part(u128::try_from(day * 8 + id).unwrap(), day, 0, 10));
    let parts: Vec<PartInfo> = of_day(3).chain(of_day(5)).chain(of_day(4)).collect();
    for order in [MergeOrder::Age, MergeOrder::Any] {
        let days: Vec<i64> = plans(order, &parts, false, 3).iter().map(|plan| plan.day.0).collect();
        assert_eq!(days, [5, 4, 3]);
    }
}

#[test]
fn space_holds_merges_back() {
    let parts: Vec<PartInfo> = (1..=8).map(|id| part(id, 7, 0, 100_000)).collect();
    let with = |space: Space| {
        let request = MergeRequest { full: false, space };
        plan_merges(MergeOrder::Age, &parts, &request, Day(7)).len()
    };
    // 800,000 for the merge, twice that for the reserve.
    assert_eq!(with(Space { total: 10_000_000, free: 2_400_000 }), 1);
    assert_eq!(with(Space { total: 10_000_000, free: 2_399_999 }), 0);
    assert_eq!(with(Space { total: 1 << 40, free: (1 << 40) / 20 + 799_999 }), 0, "5 % stay free");
}

#[test]
fn parts_with_deleted_rows_are_rewritten_where_they_are() {
    let applied = PartInfo { tombstones_applied: 5, ..part(2, 7, LEVEL_MAX, 10) };
    let parts = vec![part(1, 7, LEVEL_MAX, 10), applied, part(3, 7, 0, 10)];
    let tombstone = Tombstone {
        id: Ulid(9),
        time: TimeUnit::Millis.at(0),
        matcher: Vec::new(),
        created_ms: 0,
        position: WalPosition::default(),
        generation: 5,
    };
    let manifest = Manifest {
        generation: 6,
        tenant: TenantId::default_tenant(),
        signal: Signal::Logs,
        created_ms: 0,
        covered: WalPosition::START,
        parts,
        tombstones: vec![tombstone],
        quarantined: Vec::new(),
        damage: Vec::new(),
        engine_state: Vec::new(),
    };
    let plans = plan_erasures(&manifest);
    let shown: Vec<_> = plans.iter().map(|plan| (plan.level, plan.inputs[0].0)).collect();
    assert_eq!(shown, [(LEVEL_MAX, 1), (0, 3)], "the delete was applied to the second one");
}

/// A week of 1,000 flushes, 5 % of them up to two days late, with the planned merges after each.
#[test]
#[expect(clippy::print_stdout, reason = "the seed and the figures are for people")]
fn write_amplification_stays_below_four() {
    let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    for order in [MergeOrder::Age, MergeOrder::Any] {
        let (amplification, left) = simulate(order, seed);
        println!("{order:?}: write amplification {amplification:.2}, {left} parts left");
        assert!(amplification <= 4.0, "{order:?}: {amplification}");
        assert!(left <= 7 * 25, "{order:?}: {left} parts are left of 7 days");
    }
}

fn simulate(order: MergeOrder, seed: u64) -> (f64, usize) {
    let random = SeededRandom::new(seed);
    let (mut parts, mut flushed, mut written) = (Vec::<PartInfo>::new(), 0u64, 0u64);
    let mut next_id = 0;
    for flush in 0..1_000u64 {
        let today = (flush / 144) as i64;
        let late = if random.below(20) == 0 { random.below(3) as i64 } else { 0 };
        let bytes = 1 + random.below(1_000) * random.below(1_000);
        next_id += 1;
        parts.push(part(next_id, (today - late).max(0), 0, bytes));
        flushed += bytes;
        for round in 0.. {
            let planned = plans(order, &parts, false, today);
            assert_eq!(planned, plans(order, &parts, false, today), "same list, same plan");
            if planned.is_empty() {
                break;
            }
            for plan in planned {
                next_id += 1;
                written += apply(&mut parts, &plan, next_id);
            }
            assert!(round < 5, "merging after one flush comes to an end");
        }
    }
    ((flushed + written) as f64 / flushed as f64, parts.len())
}

/// Carries out the plan and returns the bytes written. Checks that the plan follows the rules.
fn apply(parts: &mut Vec<PartInfo>, plan: &MergePlan, id: u128) -> u64 {
    let (inputs, rest): (Vec<_>, Vec<_>) =
        parts.drain(..).partition(|part| plan.inputs.contains(&part.id));
    assert_eq!(inputs.len(), plan.inputs.len(), "every input is there, once");
    assert!(inputs.iter().all(|part| part.day == plan.day), "a merge stays within its day");
    let bytes = inputs.iter().map(|part| part.bytes).sum();
    assert_eq!(bytes, plan.bytes);
    let age = inputs.iter().map(Age::of).reduce(Age::union).unwrap();
    let merged = PartInfo { bounds: age.encode(), ..part(id, plan.day.0, plan.level, bytes) };
    *parts = rest;
    parts.push(merged);
    bytes
}
