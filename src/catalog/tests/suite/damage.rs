//! Interrupted snapshots, flipped bits, truncated and missing files.

use crate::support::{BACKENDS, Scratch, fill, random, settings};
use catalog::{Backend, CatalogError};
use platform::{Random, SeededRandom};
use std::path::{Path, PathBuf};

/// What sled leaves when it is killed while it writes a snapshot, and can't open by itself.
#[test]
fn sleds_snapshot_traps_lose_nothing() {
    let scratch = Scratch::new();
    let catalog = scratch.open(Backend::Sled).unwrap();
    let content = fill(&catalog, 200);
    drop(catalog);
    let sled = |folder: &Scratch| folder.0.join("sled");
    let snapshots: Vec<String> = names(&sled(&scratch), "snap.");
    println!("sled's snapshots: {snapshots:?}");
    let partial: &[u8] = &[7; 30];
    for (name, bytes) in [
        ("snap.00000000000000FF.generating", &b""[..]),
        ("snap.00000000000000FF.generating", partial),
        ("snap.0000000000FFFFFF", &b""[..]),
        ("snap.0000000000FFFFFF", partial),
    ] {
        let copy = scratch.copy();
        std::fs::write(sled(&copy).join(name), bytes).unwrap();
        // Confirms the trap: sled without the catalog refuses to open.
        let alone = copy.copy();
        let disk = platform::RealDisk::open(&alone.0).unwrap();
        assert!(Backend::Sled.open(&disk).is_err(), "{name} no longer stops sled");
        let catalog = copy.open(Backend::Sled).unwrap();
        assert_eq!(catalog.damage(), None, "{name}");
        assert_eq!(settings(&catalog).unwrap(), content, "{name}");
        assert!(!names(&copy.0.join("quarantine"), "").is_empty(), "{name}");
    }
    for real in snapshots {
        let copy = scratch.copy();
        std::fs::write(sled(&copy).join(&real), b"").unwrap();
        let catalog = copy.open(Backend::Sled).unwrap();
        assert_eq!((settings(&catalog).unwrap(), catalog.damage()), (content.clone(), None));
    }
}

fn names(folder: &Path, prefix: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(prefix)).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found.retain(|path| std::fs::metadata(path).unwrap().len() > 0);
    found
}

/// One flipped bit, or one cut, somewhere in the store's files.
fn damage(folder: &Path, random: &SeededRandom) -> String {
    let files = files(folder);
    let path = &files[random.below(files.len() as u64) as usize];
    let mut bytes = std::fs::read(path).unwrap();
    if random.below(4) == 0 {
        bytes.truncate(random.below(bytes.len() as u64) as usize);
        std::fs::write(path, &bytes).unwrap();
        return format!("{path:?} cut to {}", bytes.len());
    }
    // Most of a store's file is unused zeros: damage the bytes that were written.
    let written: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let at = written[random.below(written.len() as u64) as usize];
    let bit = random.below(8);
    bytes[at] ^= 1 << bit;
    std::fs::write(path, &bytes).unwrap();
    format!("{path:?} bit {bit} of byte {at}")
}

#[test]
fn two_hundred_damages_per_store_never_give_wrong_data() {
    let random = random(41);
    for backend in BACKENDS {
        let scratch = Scratch::new();
        let catalog = scratch.open(backend).unwrap();
        let content = fill(&catalog, 100);
        catalog.export_now().unwrap();
        drop(catalog);
        let (mut harmless, mut restored, mut refused, mut rebuilt) = (0, 0, 0, 0);
        for _ in 0..200 {
            let copy = scratch.copy();
            let what = damage(&copy.0.join(backend.as_str()), &random);
            match copy.open(backend) {
                Ok(catalog) => {
                    let found = settings(&catalog).unwrap();
                    assert_eq!(found, content, "{backend:?}: {what}, {:?}", catalog.damage());
                    assert_eq!(catalog.damage(), None, "{backend:?}: {what}");
                    match was_replaced(&copy, backend) {
                        false => harmless += 1,
                        true => restored += 1,
                    }
                    if catalog.put("settings/after", &"x").is_ok() {
                        continue;
                    }
                    // Damage that only a write detects: the next opening moves the content.
                    assert!(matches!(catalog.put("settings/a", &1), Err(CatalogError::Stopped)));
                    drop(catalog);
                    let catalog = copy.open(backend).unwrap();
                    catalog.put("settings/after", &"x").unwrap();
                    assert_eq!(settings(&catalog).unwrap().len(), content.len() + 1, "{what}");
                    rebuilt += 1;
                }
                Err(error) => {
                    println!("{backend:?}: {what}: {error}");
                    refused += 1;
                }
            }
        }
        println!(
            "{backend:?}: {harmless} harmless ({rebuilt} of them rebuilt after a write), \
             {restored} restored, {refused} refused"
        );
        assert_eq!(refused, 0, "{backend:?}: a good export is there");
        assert!(restored > 0, "{backend:?}: no damage was noticed");
    }
}

/// Whether another store took the place of the damaged one.
fn was_replaced(scratch: &Scratch, backend: Backend) -> bool {
    let replaced = names(&scratch.0.join("quarantine"), "");
    replaced.iter().any(|name| name.ends_with(&format!("-{}", backend.as_str())))
}

#[test]
fn a_lost_store_is_put_together_from_export_and_journal() {
    for backend in BACKENDS {
        let scratch = Scratch::new();
        let catalog = scratch.open(backend).unwrap();
        fill(&catalog, 10);
        let before_any_export = scratch.copy();
        catalog.export_now().unwrap();
        catalog.put("settings/late", &"here").unwrap();
        catalog.delete("settings/0003").unwrap();
        let content = settings(&catalog).unwrap();
        drop(catalog);
        std::fs::remove_dir_all(scratch.0.join(backend.as_str())).unwrap();
        let catalog = scratch.open(backend).unwrap();
        assert_eq!((settings(&catalog).unwrap(), catalog.damage()), (content, None));
        std::fs::remove_dir_all(before_any_export.0.join(backend.as_str())).unwrap();
        let catalog = before_any_export.open(backend).unwrap();
        assert_eq!((settings(&catalog).unwrap().len(), catalog.damage()), (10, None));
    }
}

#[test]
fn a_lost_store_without_its_journal_is_restored_loudly_or_refused() {
    for backend in BACKENDS {
        let scratch = Scratch::new();
        let catalog = scratch.open(backend).unwrap();
        let content = fill(&catalog, 10);
        catalog.export_now().unwrap();
        catalog.put("settings/late", &"lost").unwrap();
        drop(catalog);
        let copy = scratch.copy();
        std::fs::remove_dir_all(copy.0.join(backend.as_str())).unwrap();
        std::fs::remove_dir_all(copy.0.join("journal")).unwrap();
        let catalog = copy.open(backend).unwrap();
        assert_eq!(settings(&catalog).unwrap(), content);
        let damage = catalog.damage().unwrap();
        assert!(damage.contains("restored from exports/"), "{damage}");
        drop(catalog);
        let catalog = copy.open(backend).unwrap();
        assert_eq!(catalog.damage(), Some(damage), "until it is acknowledged");
        catalog.acknowledge_damage().unwrap();
        drop(catalog);
        assert_eq!(copy.open(backend).unwrap().damage(), None);

        std::fs::remove_dir_all(scratch.0.join(backend.as_str())).unwrap();
        std::fs::remove_dir_all(scratch.0.join("exports")).unwrap();
        for _ in 0..2 {
            let error = scratch.open(backend).unwrap_err();
            assert!(matches!(error, CatalogError::Unrecoverable { .. }), "{error}");
            assert!(error.to_string().contains(scratch.0.to_str().unwrap()));
        }
    }
}

#[test]
fn a_store_that_writes_badly_is_moved_without_loss() {
    for backend in BACKENDS {
        let scratch = Scratch::new();
        let catalog = scratch.open(backend).unwrap();
        let content = fill(&catalog, 10);
        drop(catalog);
        std::fs::write(scratch.0.join("rebuild"), b"").unwrap();
        let catalog = scratch.open(backend).unwrap();
        assert_eq!((settings(&catalog).unwrap(), catalog.damage()), (content, None));
        assert_eq!(names(&scratch.0.join("quarantine"), "").len(), 1);
        assert!(!scratch.0.join("rebuild").exists(), "once is enough");
        catalog.put("settings/after", &"x").unwrap();
    }
}

#[test]
fn a_lost_marker_costs_nothing_and_a_half_made_store_is_made_again() {
    for backend in BACKENDS {
        let scratch = Scratch::new();
        let catalog = scratch.open(backend).unwrap();
        let content = fill(&catalog, 10);
        drop(catalog);
        std::fs::remove_file(scratch.0.join("backend")).unwrap();
        let catalog = scratch.open(backend).unwrap();
        assert_eq!((settings(&catalog).unwrap(), catalog.damage()), (content, None));
        drop(catalog);
        // The state after a crash during the very first opening.
        let half = Scratch::new();
        std::fs::create_dir_all(half.0.join(backend.as_str())).unwrap();
        for name in ["db", "conf", "catalog.redb"] {
            std::fs::write(half.0.join(backend.as_str()).join(name), b"half").unwrap();
        }
        assert_eq!(half.open(backend).unwrap().damage(), None);
    }
}

/// A store that went back in time is detected, because an export has a higher number.
#[test]
fn an_older_store_is_not_taken_for_the_newest() {
    for backend in BACKENDS {
        let scratch = Scratch::new();
        drop(scratch.open(backend).unwrap());
        let old = scratch.copy();
        let catalog = scratch.open(backend).unwrap();
        let content = fill(&catalog, 10);
        catalog.export_now().unwrap();
        drop(catalog);
        let folder = backend.as_str();
        std::fs::remove_dir_all(scratch.0.join(folder)).unwrap();
        std::fs::rename(old.0.join(folder), scratch.0.join(folder)).unwrap();
        let catalog = scratch.open(backend).unwrap();
        assert_eq!(settings(&catalog).unwrap(), content);
        assert!(was_replaced(&scratch, backend));
    }
}

#[test]
fn a_bad_newest_export_is_passed_over() {
    let scratch = Scratch::new();
    let catalog = scratch.open(Backend::Redb).unwrap();
    fill(&catalog, 5);
    catalog.export_now().unwrap();
    catalog.put("settings/late", &"x").unwrap();
    let content = settings(&catalog).unwrap();
    let newest = scratch.0.join(catalog.export_now().unwrap());
    drop(catalog);
    std::fs::write(newest, b"rot").unwrap();
    std::fs::remove_dir_all(scratch.0.join("redb")).unwrap();
    let catalog = scratch.open(Backend::Redb).unwrap();
    assert_eq!((settings(&catalog).unwrap(), catalog.damage()), (content, None));
}

/// Beginning with an older export would bring back what was deleted since: that is an operator's
/// decision.
#[test]
fn a_gap_between_export_and_journal_is_refused_until_an_operator_decides() {
    for backend in BACKENDS {
        let scratch = Scratch::new();
        let catalog = scratch.open(backend).unwrap();
        let content = fill(&catalog, 5);
        catalog.export_now().unwrap();
        catalog.delete("settings/0001").unwrap();
        catalog.delete("settings/0002").unwrap();
        drop(catalog);
        std::fs::remove_dir_all(scratch.0.join(backend.as_str())).unwrap();
        let journal = scratch.0.join("journal");
        let newest = names(&journal, "").into_iter().max().unwrap();
        let mut bytes = std::fs::read(journal.join(&newest)).unwrap();
        let first_batch = 8 + 12;
        bytes[first_batch + 4] ^= 1;
        std::fs::write(journal.join(&newest), bytes).unwrap();
        for _ in 0..2 {
            let error = scratch.open(backend).unwrap_err();
            assert!(matches!(error, CatalogError::Unrecoverable { .. }), "{error}");
            assert!(error.to_string().contains("revoked"), "{error}");
        }
        std::fs::rename(&journal, scratch.0.join("journal.bad")).unwrap();
        let catalog = scratch.open(backend).unwrap();
        assert_eq!(settings(&catalog).unwrap(), content, "the operator chose the export");
        assert!(catalog.damage().unwrap().contains("valid again"));
    }
}

/// The store is good: a journal that is damaged or lost costs nothing, and is begun again.
#[test]
fn a_damaged_journal_beside_a_good_store_costs_nothing() {
    for backend in BACKENDS {
        let scratch = Scratch::new();
        let catalog = scratch.open(backend).unwrap();
        let content = fill(&catalog, 5);
        drop(catalog);
        let journal = scratch.0.join("journal");
        let (flipped, lost) = (scratch.copy(), scratch.copy());
        for name in names(&journal, "") {
            let mut bytes = std::fs::read(journal.join(&name)).unwrap();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            std::fs::write(flipped.0.join("journal").join(&name), bytes).unwrap();
        }
        std::fs::remove_dir_all(lost.0.join("journal")).unwrap();
        for copy in [flipped, lost] {
            let catalog = copy.open(backend).unwrap();
            assert_eq!((settings(&catalog).unwrap(), catalog.damage()), (content.clone(), None));
            catalog.put("settings/after", &"x").unwrap();
            drop(catalog);
            std::fs::remove_dir_all(copy.0.join(backend.as_str())).unwrap();
            let catalog = copy.open(backend).unwrap();
            assert_eq!(settings(&catalog).unwrap().len(), content.len() + 1);
        }
    }
}

/// The store has lost its newest changes without noticing: the journal gives them back.
#[test]
fn a_store_that_went_back_in_time_is_brought_forward() {
    for backend in BACKENDS {
        let scratch = Scratch::new();
        let catalog = scratch.open(backend).unwrap();
        fill(&catalog, 5);
        drop(catalog);
        let old = scratch.copy();
        let catalog = scratch.open(backend).unwrap();
        catalog.put("settings/new", &"x").unwrap();
        catalog.delete("settings/0001").unwrap();
        let content = settings(&catalog).unwrap();
        drop(catalog);
        let folder = backend.as_str();
        std::fs::remove_dir_all(scratch.0.join(folder)).unwrap();
        std::fs::rename(old.0.join(folder), scratch.0.join(folder)).unwrap();
        let catalog = scratch.open(backend).unwrap();
        assert_eq!((settings(&catalog).unwrap(), catalog.damage()), (content, None));
    }
}
