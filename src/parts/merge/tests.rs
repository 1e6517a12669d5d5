use super::*;
use model::TimeRange;
use platform::{Random, SeededRandom};

fn part(id: u128, day: i64, level: u8, bytes: u64) -> PartInfo {
    PartInfo {
        id: Ulid(id),
        bytes,
        schema: 1,
        level,
        day: Day(day),
        time: TimeRange::at(0),
        rows: 1,
        series: 1,
        tombstones_applied: 0,
        bounds: Vec::new(),
    }
}

const ROOMY: Space = Space { total: 1 << 50, free: 1 << 50 };

fn settings(today: i64) -> MergeSettings {
    let (fan_in, bytes_max) = (4, 1_000_000);
    MergeSettings { fan_in, bytes_max, today: Day(today), quiet_before_ms: 0, space: ROOMY }
}

fn plan(parts: &[PartInfo], settings: &MergeSettings) -> Vec<(i64, u8, Vec<u128>)> {
    let plans = plan_merges(parts, &BTreeSet::new(), settings);
    plans
        .into_iter()
        .map(|p| (p.day.0, p.level, p.inputs.iter().map(|id| id.0).collect()))
        .collect()
}

#[test]
fn a_level_is_merged_when_it_has_enough_parts() {
    let mut parts: Vec<PartInfo> = (1..=3).map(|id| part(id, 7, 0, 10)).collect();
    assert_eq!(plan(&parts, &settings(7)), []);
    parts.push(part(4, 8, 0, 10));
    parts.push(part(5, 7, 1, 10));
    assert_eq!(plan(&parts, &settings(8)), [], "neither days nor levels mix");
    parts.push(part(6, 7, 0, 1));
    assert_eq!(plan(&parts, &settings(7)), [(7, 1, vec![1, 2, 3, 6])]);
    parts.push(part(7, 7, 0, 5));
    assert_eq!(plan(&parts, &settings(7)), [(7, 1, vec![1, 2, 6, 7])], "the smallest first");
    let busy = BTreeSet::from([Ulid(1), Ulid(2)]);
    assert_eq!(plan_merges(&parts, &busy, &settings(7)), [], "busy parts are left alone");
}

#[test]
fn a_day_that_is_over_is_finished_once_it_is_quiet() {
    let minted = |ms: u64, low: u128| Ulid::from_parts(ms, low).0;
    let parts = [
        part(minted(10, 1), 7, 0, 10),
        part(minted(20, 2), 7, 2, 10),
        part(minted(5, 3), 7, 3, 10),
    ];
    let quiet = |quiet_before_ms, today| MergeSettings { quiet_before_ms, ..settings(today) };
    assert_eq!(plan(&parts, &quiet(21, 7)), [], "today is not over");
    assert_eq!(plan(&parts, &quiet(20, 8)), [], "somebody still writes it");
    let expected = (7, LEVEL_MAX, vec![parts[0].id.0, parts[1].id.0]);
    assert_eq!(plan(&parts, &quiet(21, 8)), [expected], "finished parts stay as they are");
}

#[test]
fn sizes_and_space_hold_merges_back() {
    let parts: Vec<PartInfo> = (1..=4).map(|id| part(id, 7, 0, 400_000)).collect();
    assert_eq!(plan(&parts, &settings(7)), [(7, 1, vec![1, 2])], "no more than bytes_max");
    let too_big: Vec<PartInfo> = (1..=4).map(|id| part(id, 7, 0, 600_000)).collect();
    assert_eq!(plan(&too_big, &settings(7)), []);
    // 800,000 for the merge, twice that for the reserve.
    for (free, merges) in [(2_400_000, 1), (2_399_999, 0)] {
        let space = Space { total: 10_000_000, free };
        assert_eq!(plan(&parts, &MergeSettings { space, ..settings(7) }).len(), merges);
    }
    let space = Space { total: 1 << 40, free: (1 << 40) / 20 + 799_999 };
    assert_eq!(plan(&parts, &MergeSettings { space, ..settings(7) }), [], "5 % stay free");
}

#[test]
fn a_full_merge_leaves_one_part_per_day() {
    let parts = [part(1, 7, 0, 1), part(2, 7, 3, 1 << 40), part(3, 8, 1, 1)];
    let plans = plan_full_merge(&parts);
    assert_eq!(plans.len(), 1);
    assert_eq!(plans[0].inputs, [Ulid(1), Ulid(2)]);
    assert_eq!(plans[0].level, LEVEL_MAX);
}

#[test]
fn a_day_with_a_merge_under_way_is_not_finished_and_other_days_are() {
    let parts: Vec<PartInfo> =
        [(1, 7), (2, 7), (3, 7), (4, 8), (5, 8)].map(|(id, day)| part(id, day, 0, 10)).into();
    let settings = MergeSettings { quiet_before_ms: 1, ..settings(9) };
    let plans = plan_merges(&parts, &BTreeSet::from([Ulid(1)]), &settings);
    assert_eq!(plans.len(), 1);
    assert_eq!((plans[0].day, plans[0].level), (Day(8), LEVEL_MAX));
}

#[test]
fn what_no_merge_would_touch_is_rewritten_for_its_tombstones() {
    use crate::manifest::{LogPosition, Tombstone};
    use model::{Signal, TenantId};
    let mut manifest = Manifest::empty(TenantId::default_tenant(), Signal::Logs);
    let applied = PartInfo { tombstones_applied: 5, ..part(2, 7, LEVEL_MAX, 10) };
    manifest.parts = vec![part(1, 7, LEVEL_MAX, 10), applied, part(3, 7, 0, 10)];
    manifest.tombstones = vec![Tombstone {
        id: Ulid(9),
        time: TimeRange::at(0),
        matcher: Vec::new(),
        created_ms: 0,
        position: LogPosition::default(),
        generation: 5,
    }];
    let plans = plan_erasures(&manifest, &BTreeSet::new());
    assert_eq!(plans.len(), 1, "one has felt it, the other will be merged");
    assert_eq!((plans[0].inputs.as_slice(), plans[0].level), (&[Ulid(1)][..], LEVEL_MAX));
    assert_eq!(plan_erasures(&manifest, &BTreeSet::from([Ulid(1)])), []);
}

/// Flushes 1,000 parts over several days, late ones among them, and merges as planned.
#[test]
#[expect(clippy::print_stdout, reason = "the seed and the figure are for whoever looks")]
fn write_amplification_stays_below_four() {
    let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    let random = SeededRandom::new(seed);
    let (mut parts, mut flushed, mut written) = (Vec::<PartInfo>::new(), 0u64, 0u64);
    let mut next_id = 0;
    for flush in 0..1_000u64 {
        let today = (flush / 144) as i64;
        let late = if random.below(20) == 0 { random.below(3) as i64 } else { 0 };
        let bytes = 1 + random.below(1_000) * random.below(1_000);
        next_id += 1;
        parts.push(part(Ulid::from_parts(flush, next_id).0, (today - late).max(0), 0, bytes));
        flushed += bytes;
        let settings = MergeSettings {
            fan_in: 8,
            bytes_max: 1 << 40,
            today: Day(today),
            quiet_before_ms: flush.saturating_sub(6),
            space: ROOMY,
        };
        let mut rounds = 0;
        loop {
            let plans = plan_merges(&parts, &BTreeSet::new(), &settings);
            assert_eq!(plans, plan_merges(&parts, &BTreeSet::new(), &settings));
            if plans.is_empty() {
                break;
            }
            for plan in plans {
                next_id += 1;
                written += apply(&mut parts, &plan, Ulid::from_parts(flush, next_id));
            }
            rounds += 1;
            assert!(rounds <= 4, "merging one flush ends after every level rose once");
        }
    }
    let amplification = (flushed + written) as f64 / flushed as f64;
    println!("write amplification {amplification:.2}, {} parts left", parts.len());
    assert!(amplification <= 4.0, "{amplification}");
    assert!(parts.len() <= 7 * 25, "{} parts are left of 7 days", parts.len());
}

/// Does what the plan says and answers the bytes written; checks that the plan keeps the rules.
fn apply(parts: &mut Vec<PartInfo>, plan: &MergePlan, id: Ulid) -> u64 {
    let (inputs, rest): (Vec<_>, Vec<_>) =
        parts.drain(..).partition(|part| plan.inputs.contains(&part.id));
    assert_eq!(inputs.len(), plan.inputs.len(), "every input is there, once");
    assert!(inputs.len() > 1);
    assert!(inputs.iter().all(|part| part.day == plan.day), "a merge stays within its day");
    assert!(inputs.iter().all(|part| part.level < plan.level), "every input rises");
    let bytes = inputs.iter().map(|part| part.bytes).sum();
    assert_eq!(bytes, plan.bytes);
    *parts = rest;
    parts.push(part(id.0, plan.day.0, plan.level, bytes));
    bytes
}
