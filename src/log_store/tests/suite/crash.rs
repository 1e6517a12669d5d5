//! Power cuts at operations of a script: what was acknowledged must survive, and no line may be there
//! twice.

use crate::lines::{Line, Wanted, read};
use crate::world::{DAY_NS, TODAY_NS, World};
use platform::sim::{CrashPolicy, SimClock, SimDisk, test_seed};
use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;

/// What a writer knows when the power is cut. Lines of a script differ from each other.
#[derive(Default)]
struct Ledger {
    acknowledged: BTreeSet<Line>,
    /// Written without an acknowledgement: may survive or not.
    asked: BTreeSet<Line>,
    deleting: bool,
    deleted: bool,
}

fn line(step: i64, app: u32) -> Line {
    // Late lines lie in the part of the day before.
    let late = if step % 5 == 4 { DAY_NS } else { 0 };
    let text = match app % 3 {
        0 => format!("step {step} of app{app}"),
        1 => format!(r#"{{"step":{step},"app":"{app}"}}"#),
        _ => format!("only in step {}", (b'a' + step as u8) as char),
    };
    Line::new(app, TODAY_NS + step * 1_000 - late, text)
        .with("trace_id", &format!("{:016x}", step << 32 | i64::from(app)))
}

/// The script deletes one line.
fn doomed() -> Wanted {
    Wanted::all().containing("step 3 of").with_field("trace_id", &format!("{:016x}", 3i64 << 32))
}

fn is_doomed(line: &Line) -> bool {
    line.text.starts_with(b"step 3 of app0")
}

fn script(world: &mut World, ledger: &mut Ledger) -> Result<(), Box<dyn Error>> {
    for step in 0..24i64 {
        let lines: Vec<Line> = (0..6).map(|app| line(step, app)).collect();
        ledger.asked.extend(lines.iter().cloned());
        world.write_lines(&lines)?;
        ledger.acknowledged.extend(lines);
        match step {
            2 | 5 | 8 | 11 | 13 | 17 | 22 => world.flush()?,
            6 | 9 | 18 => drop(world.merge(true)?),
            14 => drop(world.merge(false)?),
            7 => {
                ledger.deleting = true;
                world.delete(doomed().time, doomed().delete())?;
                ledger.deleted = true;
            }
            _ => {}
        }
    }
    Ok(())
}

impl Ledger {
    fn check(&self, world: &World, context: &str) {
        let found = read(world, &Wanted::all());
        assert!(found.is_sorted_by(|a, b| a < b), "{context}: a line is there twice");
        let found: BTreeSet<Line> = found.into_iter().collect();
        for line in self.acknowledged.difference(&found) {
            assert!(
                self.deleting && is_doomed(line),
                "{context}: {line:?} was acknowledged and is not there"
            );
        }
        assert!(
            !self.deleted || !found.iter().any(is_doomed),
            "{context}: a deleted line is there"
        );
        let unknown = found.difference(&self.asked).next();
        assert_eq!(unknown, None, "{context}: it was never written");
    }
}

/// Operations of the whole script without a crash.
fn count_operations(seed: u64) -> u64 {
    let disk = SimDisk::new();
    let mut world = World::open(disk.clone(), Arc::new(SimClock::new()), seed).unwrap();
    let mut ledger = Ledger::default();
    script(&mut world, &mut ledger).unwrap();
    ledger.check(&world, "without a crash");
    assert!(ledger.acknowledged.iter().any(is_doomed));
    disk.operations()
}

#[test]
fn what_was_acknowledged_survives_every_power_cut() {
    let seed = test_seed();
    let operations = count_operations(seed);
    assert!(operations > 150, "{operations} operations");
    for at in 0..operations + 10 {
        for policy in [
            CrashPolicy::LoseUnsynced,
            CrashPolicy::KeepAll,
            CrashPolicy::Torn { seed: seed.wrapping_add(at) },
        ] {
            let context = format!("operation {at}, {policy:?}");
            let disk = SimDisk::new();
            disk.crash_at(at);
            let clock = Arc::new(SimClock::new());
            let mut ledger = Ledger::default();
            let run = World::open(disk.clone(), clock.clone(), seed)
                .and_then(|mut world| script(&mut world, &mut ledger));
            let survived = disk.crash(policy);
            drop(run);
            let world = World::open(survived, clock, seed + 1)
                .unwrap_or_else(|error| panic!("{context}: {error}"));
            ledger.check(&world, &context);
            world.flush().unwrap();
            world.merge(true).unwrap();
            ledger.check(&world, &context);
        }
    }
}
