//! Power cuts at operations of a script: what was acknowledged must survive.

use crate::world::{Row, Rows, TODAY_MS, World, labels};
use model::{Matcher, TimeUnit};
use platform::sim::{CrashPolicy, SimClock, SimDisk, test_seed};
use std::error::Error;
use std::sync::Arc;

/// What a writer knows when the power is cut.
#[derive(Default)]
struct Ledger {
    acknowledged: Rows,
    /// Written without an acknowledgement: may survive or not.
    asked: Rows,
    deleted: Option<Matcher>,
    /// Requested, and not answered.
    deleting: Option<Matcher>,
}

fn script(world: &mut World, ledger: &mut Ledger) -> Result<(), Box<dyn Error>> {
    for step in 0..32i64 {
        let time = TODAY_MS + step * 15_000;
        let row = |series: u32| {
            (series, time, Row { bits: (step as u64) << 32 | u64::from(series), start: 0 })
        };
        let rows: Vec<_> = (0..12).map(row).collect();
        let all = rows.iter().map(|(series, time, row)| ((*series, *time), *row));
        ledger.asked.extend(all.clone());
        world.write(&rows)?;
        ledger.acknowledged.extend(all);
        match step {
            3 | 6 | 9 | 12 | 15 | 18 | 21 | 24 | 30 => world.flush()?,
            7 | 10 | 19 | 27 => drop(world.merge(true)?),
            22 => drop(world.merge(false)?),
            8 => {
                let matcher = Matcher::equal("number", "3");
                ledger.deleting = Some(matcher.clone());
                world.delete(std::slice::from_ref(&matcher), TimeUnit::Millis.at(TODAY_MS))?;
                ledger.deleted = Some(matcher);
            }
            _ => {}
        }
    }
    Ok(())
}

impl Ledger {
    fn check(&self, found: &Rows, context: &str) {
        let gone = (3, TODAY_MS);
        for (key, row) in &self.acknowledged {
            if *key != gone || self.deleting.is_none() {
                assert_eq!(found.get(key), Some(row), "{context}: {key:?} was acknowledged");
            }
        }
        if self.deleted.is_some() {
            assert_eq!(found.get(&gone), None, "{context}: the delete was acknowledged");
        }
        for (key, row) in found {
            assert_eq!(self.asked.get(key), Some(row), "{context}: {key:?} was never written");
        }
    }
}

/// Operations of the whole script without a crash.
fn count_operations(seed: u64) -> u64 {
    let disk = SimDisk::new();
    let mut world = World::open(disk.clone(), Arc::new(SimClock::new()), seed).unwrap();
    let mut ledger = Ledger::default();
    script(&mut world, &mut ledger).unwrap();
    ledger.check(&world.rows(TimeUnit::Millis.everything()).unwrap(), "without a crash");
    assert_eq!(labels(3).value("number"), "3");
    disk.operations()
}

#[test]
fn what_was_acknowledged_survives_every_power_cut() {
    let seed = test_seed();
    let operations = count_operations(seed);
    assert!(operations > 200, "{operations} operations");
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
            ledger.check(&world.rows(TimeUnit::Millis.everything()).unwrap(), &context);
            world.flush().unwrap();
            world.merge(true).unwrap();
            ledger.check(&world.rows(TimeUnit::Millis.everything()).unwrap(), &context);
        }
    }
}
