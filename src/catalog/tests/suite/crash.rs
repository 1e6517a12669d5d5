//! A process that writes is killed again and again: no acknowledged write is lost, and the catalog
//! always opens.

use crate::support::{BACKENDS, Scratch, open, random, settings};
use catalog::{Backend, Scope, TenantAccess, Tokens};
use platform::{Random, SeededRandom};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

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

/// Not a test of its own: makes and revokes tokens until it is killed, and tells each acknowledged
/// change: `+ id` or `- id`.
#[test]
fn child_changes_tokens_until_it_is_killed() {
    let Ok(folder) = std::env::var(TOKENS_CHILD) else { return };
    let catalog = Arc::new(open(std::path::Path::new(&folder), Backend::Sled).unwrap());
    let tokens = Tokens::open(Arc::clone(&catalog), Arc::new(random(7))).unwrap();
    let mut output = std::io::stdout();
    let mut tell = |line: String| {
        writeln!(output, "acknowledged {line}").unwrap();
        output.flush().unwrap();
    };
    for number in 0.. {
        let scopes = BTreeSet::from([Scope::Read]);
        let made = tokens.create("t", scopes, TenantAccess::All, 1, None).unwrap();
        tell(format!("+ {}", made.info.id));
        if number % 3 == 2 {
            let old = tokens.list()[0].id.clone();
            tokens.revoke(&old).unwrap();
            tell(format!("- {old}"));
        }
        if number % 10 == 9 {
            catalog.export_now().unwrap();
        }
    }
}

const TOKENS_CHILD: &str = "MIRADOR_CATALOG_TOKENS_CHILD";

/// The ids that must be there after these lines.
fn ids_after(lines: &[String]) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for line in lines {
        let (sign, id) = line.split_once(' ').unwrap();
        let _ = if sign == "+" { ids.insert(id.to_owned()) } else { ids.remove(id) };
    }
    ids
}

/// Kills a process after each of its first changes of tokens, before its first export and after it,
/// destroys its store, and compares what comes back with what was acknowledged.
#[test]
fn after_each_change_the_store_may_be_lost() {
    let random = random(32);
    for changes in 1..=30 {
        let scratch = Scratch::new();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["crash::child_changes_tokens_until_it_is_killed", "--exact", "--nocapture"])
            .env(TOKENS_CHILD, &scratch.0)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut told = Vec::new();
        let output = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        for line in output {
            let Some((_, change)) = line.split_once("acknowledged ") else { continue };
            told.push(change.to_owned());
            if told.len() == changes {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        destroy(&scratch.0.join("sled"), &random);
        let catalog = Arc::new(scratch.open(Backend::Sled).unwrap());
        assert_eq!(catalog.damage(), None);
        let tokens = Tokens::open(catalog, Arc::new(SeededRandom::new(1))).unwrap();
        let found: BTreeSet<String> = tokens.list().into_iter().map(|token| token.id).collect();
        let wanted = ids_after(&told);
        // The kill may come between a change and its acknowledgement.
        let unacknowledged = found.symmetric_difference(&wanted).count();
        assert!(unacknowledged <= 1, "after {changes} changes: {found:?}, not {wanted:?}");
    }
}

/// Overwrites the beginning, the middle or the end of the store's largest file, or removes all.
fn destroy(folder: &std::path::Path, random: &SeededRandom) {
    let db = folder.join("db");
    let mut bytes = std::fs::read(&db).unwrap();
    let written = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let noise = |bytes: &mut [u8]| bytes.iter_mut().for_each(|byte| *byte ^= 0x5A);
    match random.below(4) {
        0 => noise(&mut bytes[..written / 2]),
        1 => noise(&mut bytes[written / 2..written]),
        2 => bytes.truncate(written / 2),
        _ => return std::fs::remove_dir_all(folder).unwrap(),
    }
    std::fs::write(&db, bytes).unwrap();
}
