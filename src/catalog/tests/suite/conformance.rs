//! What every store must guarantee, and what the catalog adds.

use crate::support::{BACKENDS, Scratch, fill, open, open_once, settings};
use catalog::{Backend, Catalog, CatalogError, Change, EXPORTS_KEPT, Store};
use platform::{Random, RealDisk, SeededRandom};
use std::collections::BTreeMap;

fn bare(scratch: &Scratch, backend: Backend) -> Box<dyn Store> {
    // See `support::open` about locks that are released late.
    let open = |_| backend.open(&RealDisk::open(&scratch.0).unwrap()).ok();
    (0..100_000).find_map(open).unwrap()
}

fn text(entries: Vec<(String, Vec<u8>)>) -> Vec<(String, String)> {
    entries.into_iter().map(|(key, value)| (key, String::from_utf8(value).unwrap())).collect()
}

#[test]
fn a_store_is_an_ordered_map() {
    for backend in BACKENDS {
        let scratch = Scratch::new();
        let store = bare(&scratch, backend);
        assert_eq!(store.get("a").unwrap(), None);
        assert_eq!(store.scan_prefix("").unwrap(), []);
        store.delete("a").unwrap();
        for key in ["b/2", "a", "b/1", "b", "c", "b0"] {
            store.put(key, key.as_bytes()).unwrap();
        }
        store.put("a", b"new").unwrap();
        assert_eq!(store.get("a").unwrap().unwrap(), b"new");
        let below_b = text(store.scan_prefix("b/").unwrap());
        assert_eq!(below_b, [("b/1".into(), "b/1".into()), ("b/2".into(), "b/2".into())]);
        let change = [Change::Put("d".into(), vec![]), Change::Delete("c".into())];
        store.batch(&change).unwrap();
        assert_eq!((store.get("d").unwrap(), store.get("c").unwrap()), (Some(vec![]), None));
        store.flush().unwrap();
        let all = store.export().unwrap();
        drop(store);
        let store = bare(&scratch, backend);
        assert_eq!(store.export().unwrap(), all, "{backend:?} after reopening");
        store.import(vec![("x".into(), b"y".to_vec())]).unwrap();
        assert_eq!(text(store.export().unwrap()), [("x".into(), "y".into())]);
    }
}

/// Random batches against a map in memory as the model, with reopening in between.
#[test]
fn a_catalog_does_what_a_map_does() {
    let random = crate::support::random(21);
    for backend in BACKENDS {
        let scratch = Scratch::new();
        let mut model = BTreeMap::new();
        for _ in 0..10 {
            let catalog = scratch.open(backend).unwrap();
            assert_eq!(settings(&catalog).unwrap(), model, "{backend:?}");
            for _ in 0..30 {
                let changes = (0..random.below(4)).map(|_| random_change(&random)).collect();
                apply(&mut model, &changes);
                catalog.write(changes).unwrap();
            }
            assert_eq!(settings(&catalog).unwrap(), model);
            assert_eq!(catalog.damage(), None);
        }
    }
}

fn random_change(random: &SeededRandom) -> Change {
    let key = format!("settings/{}", random.below(20));
    match random.below(3) {
        0 => Change::Delete(key),
        _ => Change::Put(key, format!("\"{}\"", random.next_u64()).into_bytes()),
    }
}

fn apply(model: &mut BTreeMap<String, String>, changes: &Vec<Change>) {
    for change in changes {
        match change {
            Change::Delete(key) => _ = model.remove(key),
            Change::Put(key, value) => {
                let value = String::from_utf8(value.clone()).unwrap();
                model.insert(key.clone(), value.trim_matches('"').to_owned());
            }
        }
    }
}

#[test]
fn a_second_process_is_refused_by_name() {
    for backend in BACKENDS {
        let scratch = Scratch::new();
        let first = scratch.open(backend).unwrap();
        let error = open_once(&scratch.0, backend).unwrap_err();
        assert!(matches!(error, CatalogError::Locked { .. }));
        assert!(error.to_string().contains(scratch.0.to_str().unwrap()), "{error}");
        drop(first);
        scratch.open(backend).unwrap();
    }
}

/// Another program that opened sled's own file holds sled's lock, but not the catalog's. That is
/// not damage: an export must not replace the store.
#[test]
fn a_store_that_somebody_else_holds_is_no_damage() {
    for backend in BACKENDS {
        let scratch = Scratch::new();
        let catalog = scratch.open(backend).unwrap();
        catalog.export_now().unwrap();
        catalog.put("settings/late", &"kept").unwrap();
        drop(catalog);
        let held = bare(&scratch, backend);
        let error = open_once(&scratch.0, backend).unwrap_err();
        assert!(matches!(error, CatalogError::Store { .. }), "{backend:?}: {error}");
        drop(held);
        let catalog = scratch.open(backend).unwrap();
        assert_eq!((settings(&catalog).unwrap().len(), catalog.damage()), (1, None));
    }
}

#[test]
fn the_other_backend_is_refused() {
    let scratch = Scratch::new();
    drop(scratch.open(Backend::Redb).unwrap());
    let error = scratch.open(Backend::Sled).unwrap_err().to_string();
    assert!(error.contains("made with redb"), "{error}");
}

#[test]
fn bad_keys_and_values_are_refused() {
    let scratch = Scratch::new();
    let catalog = scratch.open(Backend::Redb).unwrap();
    for key in ["", "meta/state", "a\nb", &"x".repeat(513)] {
        assert!(matches!(catalog.put(key, &1), Err(CatalogError::Invalid(_))), "{key:?}");
    }
    let no_json = Change::Put("a".into(), b"{".to_vec());
    let good = Change::Put("b".into(), b"1".to_vec());
    assert!(catalog.write(vec![good, no_json]).is_err());
    assert_eq!(catalog.get::<u64>("b").unwrap(), None, "all or nothing");
}

#[test]
fn an_export_comes_back_on_the_other_store() {
    for (from, to) in [(Backend::Sled, Backend::Redb), (Backend::Redb, Backend::Sled)] {
        let (scratch, other) = (Scratch::new(), Scratch::new());
        let catalog = scratch.open(from).unwrap();
        let content = fill(&catalog, 50);
        let path = scratch.0.join(catalog.export_now().unwrap());
        let bytes = std::fs::read(path).unwrap();
        let target = other.open(to).unwrap();
        target.put("settings/other", &"goes").unwrap();
        target.import(&bytes).unwrap();
        assert_eq!(settings(&target).unwrap(), content);
        assert!(target.import(&bytes[1..]).is_err());
        drop(target);
        let target = other.open(to).unwrap();
        assert_eq!((settings(&target).unwrap(), target.damage()), (content, None));
    }
}

/// Milliseconds on the catalog's clock, starting at the real time.
fn exports(folder: &std::path::Path) -> usize {
    std::fs::read_dir(folder.join("exports")).map_or(0, Iterator::count)
}

#[test]
fn exports_follow_changes_and_hours_and_only_the_newest_stay() {
    use platform::Clock;
    let scratch = Scratch::new();
    let catalog = scratch.open(Backend::Redb).unwrap();
    let now = platform::RealClock::new().wall_ms();
    catalog.export_now().unwrap();
    catalog.put("settings/a", &1).unwrap();
    catalog.maintain(now + 1_000).unwrap();
    assert_eq!(exports(&scratch.0), 1, "changes are gathered for a while");
    catalog.maintain(now + 60_000).unwrap();
    assert_eq!(exports(&scratch.0), 2);
    catalog.maintain(now + 120_000).unwrap();
    assert_eq!(exports(&scratch.0), 2, "nothing changed");
    for number in 0..40 {
        catalog.put("settings/a", &number).unwrap();
        catalog.export_now().unwrap();
    }
    assert_eq!(exports(&scratch.0), EXPORTS_KEPT);
    assert!(catalog.size_bytes().unwrap() > 0);
}

#[test]
fn a_newer_schema_is_refused_at_import_too() {
    let scratch = Scratch::new();
    let catalog = scratch.open(Backend::Redb).unwrap();
    let text = format!(
        "{{\"mirador_catalog_export\":1,\"sequence\":9,\"created_ms\":1,\"entries\":1}}\n\
         {{\"key\":\"meta/schema\",\"value\":{}}}\n",
        catalog::SCHEMA_VERSION + 1
    );
    let whole = format!("{text}{{\"crc32c\":{}}}\n", codec::crc32c(text.as_bytes()));
    let bytes = zstd::bulk::compress(whole.as_bytes(), 1).unwrap();
    assert!(matches!(catalog.import(&bytes), Err(CatalogError::NewerSchema { .. })));
}

#[test]
fn the_first_migration_has_run() {
    for backend in BACKENDS {
        let scratch = Scratch::new();
        let catalog: Catalog = open(&scratch.0, backend).unwrap();
        assert_eq!(catalog.scan::<serde_json::Value>("tenants/").unwrap().len(), 1);
    }
}
