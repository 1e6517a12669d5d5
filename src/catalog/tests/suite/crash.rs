//! A process that writes is killed again and again: no acknowledged write is lost, and the catalog
//! always opens.

use crate::support::{BACKENDS, Scratch, open, random, settings};
use catalog::Backend;
use platform::Random;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

const CHILD: &str = "MIRADOR_CATALOG_CHILD";
const CYCLES: u64 = 40;

/// Not a test of its own: the process that is killed runs it. Its environment variable tells it
/// what to do; without it, it does nothing.
#[test]
fn child_writes_until_it_is_killed() {
    let Ok(orders) = std::env::var(CHILD) else { return };
    let mut orders = orders.splitn(3, ' ');
    let mut next = || orders.next().unwrap();
    let (backend, first, folder) = (next(), next(), next());
    let backend = Backend::from_name(backend).unwrap();
    let catalog = open(std::path::Path::new(folder), backend).unwrap();
    let mut output = std::io::stdout();
    for number in first.parse::<u64>().unwrap().. {
        let value = format!("{number} ").repeat(1 + number as usize % 100);
        catalog.put(&format!("settings/{number:08}"), &value).unwrap();
        writeln!(output, "acknowledged {number}").unwrap();
        output.flush().unwrap();
        if number % 50 == 0 {
            catalog.export_now().unwrap();
        }
    }
}

/// Runs the child until it has acknowledged about that many writes, kills it, and returns the last
/// acknowledged write.
fn run_and_kill(scratch: &Scratch, backend: Backend, first: u64, acknowledge: u64) -> Option<u64> {
    let orders = format!("{} {first} {}", backend.as_str(), scratch.0.display());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["crash::child_writes_until_it_is_killed", "--exact", "--nocapture"])
        .env(CHILD, orders)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut last = None;
    let mut seen = 0;
    for line in lines {
        let Some((_, number)) = line.split_once("acknowledged ") else { continue };
        last = number.parse().ok();
        seen += 1;
        if seen == acknowledge {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(seen >= acknowledge, "{backend:?}: the child ended by itself after {seen} writes");
    last
}

#[test]
fn forty_kills_lose_nothing() {
    let random = random(31);
    for backend in BACKENDS {
        let scratch = Scratch::new();
        let mut first = 0;
        for cycle in 0..CYCLES {
            let last = run_and_kill(&scratch, backend, first, 1 + random.below(60)).unwrap();
            let catalog = scratch.open(backend).unwrap();
            assert_eq!(catalog.damage(), None, "{backend:?} cycle {cycle}");
            let found = settings(&catalog).unwrap().len() as u64;
            let acknowledged = last + 1;
            // The kill may come between a write and its acknowledgement.
            let range = acknowledged..=acknowledged + 1;
            assert!(range.contains(&found), "{backend:?} cycle {cycle}: {found}, {acknowledged}");
            first = found;
        }
        println!("{backend:?}: {CYCLES} kills, {first} writes, none lost");
    }
}
