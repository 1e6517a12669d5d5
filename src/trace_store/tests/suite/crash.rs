//! Power cuts at operations of a script: what was acknowledged must survive, every span once, and traces
//! are whole.

use crate::spans::{Shown, Span, fill, open, read, whole};
use engine::testing::{DAY_NS, TODAY_NS, World};
use model::TimeUnit;
use platform::sim::{CrashPolicy, SimClock, SimDisk, test_seed};
use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use trace_store::{TraceDelete, TraceStore};

/// What a writer knows when the power is cut.
#[derive(Default)]
struct Ledger {
    acknowledged: BTreeSet<Span>,
    /// Written without an acknowledgement: may survive or not.
    asked: BTreeSet<Span>,
    deleting: bool,
    deleted: bool,
}

/// The trace that the script deletes.
const DOOMED: u8 = 3;

fn shown(name: &str, value: String) -> Shown {
    Shown::from([(name.to_owned(), value)])
}

/// A span of each of six traces, two of which go on in later steps.
fn spans_of(step: u8) -> Vec<Span> {
    let span = |n: u8| {
        // Traces 200 and 201 last for the whole script; trace 210 began the day before.
        let trace = match n {
            0 | 1 => 200 + n,
            2 if step % 5 == 4 => 210,
            _ => step * 6 + n,
        };
        let late = if trace == 210 { DAY_NS } else { 0 };
        Span {
            trace,
            id: step + 1,
            parent: if n < 2 { step } else { 0 },
            start: (TODAY_NS - late) as u64 + u64::from(step) * 1_000,
            length: 500,
            name: format!("step {step}"),
            kind: n,
            status: step % 3,
            resource: shown("service.name", format!("text:service{n}")),
            scope: Shown::new(),
            attributes: shown("n", format!("int:{n}")),
            events: vec![shown("e", "bool:true".to_owned())],
            links: Vec::new(),
        }
    };
    (0..6).map(span).collect()
}

fn script(
    store: &TraceStore,
    world: &mut World,
    ledger: &mut Ledger,
) -> Result<(), Box<dyn Error>> {
    for step in 0..24u8 {
        let spans = spans_of(step);
        ledger.asked.extend(spans.iter().cloned());
        let mut batch = store.batch(&world.tenant);
        fill(&mut batch, &spans);
        world.write(batch)?;
        ledger.acknowledged.extend(spans);
        match step {
            2 | 5 | 8 | 11 | 13 | 17 | 22 => world.flush()?,
            6 | 9 | 18 => drop(world.merge(true)?),
            14 => drop(world.merge(false)?),
            7 => {
                ledger.deleting = true;
                let (delete, end) = (TraceDelete { trace_ids: vec![[DOOMED; 16]] }, world.end());
                store.delete(&world.tenant, &delete, |cut| cut(end))?;
                ledger.deleted = true;
            }
            _ => {}
        }
    }
    Ok(())
}

impl Ledger {
    fn check(&self, store: &TraceStore, world: &World, context: &str) {
        let found = read(store, &world.tenant, &whole(TimeUnit::Nanos.everything()));
        assert!(found.is_sorted_by(|a, b| a < b), "{context}: a span is there twice");
        let found: BTreeSet<Span> = found.into_iter().collect();
        for span in self.acknowledged.difference(&found) {
            assert!(
                self.deleting && span.trace == DOOMED,
                "{context}: {span:?} was acknowledged and is not there"
            );
        }
        let is_doomed = |span: &Span| span.trace == DOOMED;
        assert!(!self.deleted || !found.iter().any(is_doomed), "{context}: it was deleted");
        let unknown = found.difference(&self.asked).next();
        assert_eq!(unknown, None, "{context}: it was never written");
    }
}

/// Operations of the whole script without a crash.
fn count_operations(seed: u64) -> u64 {
    let disk = SimDisk::new();
    let (store, mut world) = open(&disk, &Arc::new(SimClock::new()), seed).unwrap();
    let mut ledger = Ledger::default();
    script(&store, &mut world, &mut ledger).unwrap();
    ledger.check(&store, &world, "without a crash");
    assert!(ledger.acknowledged.iter().any(|span| span.trace == DOOMED));
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
            let run = open(&disk, &clock, seed)
                .and_then(|(store, mut world)| script(&store, &mut world, &mut ledger));
            let survived = disk.crash(policy);
            drop(run);
            let (store, world) = open(&survived, &clock, seed + 1)
                .unwrap_or_else(|error| panic!("{context}: {error}"));
            ledger.check(&store, &world, &context);
            world.flush().unwrap();
            world.merge(true).unwrap();
            ledger.check(&store, &world, &context);
        }
    }
}
