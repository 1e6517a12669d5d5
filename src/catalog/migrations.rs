//! Migrates an older catalog's content to the current schema: applies `migrations/NNNN_name.json`
//! from the root of the repository, in order, each as one batch together with the new schema
//! number.

use crate::CatalogError;
use crate::catalog::Catalog;
use crate::export::Export;
use crate::store::Change;
use serde::Deserialize;
use serde_json::value::RawValue;

const SCHEMA_KEY: &str = "meta/schema";

/// Migration i + 1 is at index i. Never change one that was released.
const MIGRATIONS: &[&str] = &[include_str!("../../migrations/0001_initial.json")];

/// The schema that this program writes.
pub const SCHEMA_VERSION: u64 = MIGRATIONS.len() as u64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Migration<'a> {
    #[serde(rename = "name")]
    _name: &'a str,
    #[serde(borrow)]
    operations: Vec<Operation<'a>>,
}

/// Each operation may run twice with the same result as once.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Operation<'a> {
    #[serde(borrow)]
    PutIfAbsent(Entry<'a>),
    #[serde(borrow)]
    Put(Entry<'a>),
    Delete(String),
    /// Moves every entry below one prefix to another.
    RenamePrefix {
        from: String,
        to: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry<'a> {
    key: String,
    #[serde(borrow)]
    value: &'a RawValue,
}

pub(crate) fn run(catalog: &Catalog) -> Result<(), CatalogError> {
    run_all(catalog, MIGRATIONS)
}

fn run_all(catalog: &Catalog, migrations: &[&str]) -> Result<(), CatalogError> {
    let found: u64 = catalog.get(SCHEMA_KEY)?.unwrap_or(0);
    let known = migrations.len() as u64;
    if found > known {
        return Err(CatalogError::NewerSchema { found, known });
    }
    if found < known && catalog.sequence() > 0 {
        catalog.export_now()?;
    }
    for (number, text) in (1..).zip(migrations).skip(found as usize) {
        let migration: Migration<'_> =
            serde_json::from_str(text).expect("embedded migrations are tested");
        let mut changes = Vec::new();
        for operation in migration.operations {
            plan(catalog, operation, &mut changes)?;
        }
        changes.push(schema(number));
        catalog.apply(&changes)?;
    }
    Ok(())
}

/// Content of a newer schema must not be imported either.
pub(crate) fn check_export(export: &Export) -> Result<(), CatalogError> {
    let entry = export.entries.iter().find(|(key, _)| key == SCHEMA_KEY);
    let wrong = |_| CatalogError::BadExport("its schema version is no number".to_owned());
    let found = entry.map_or(Ok(0), |(_, value)| serde_json::from_slice(value)).map_err(wrong)?;
    if found > SCHEMA_VERSION {
        return Err(CatalogError::NewerSchema { found, known: SCHEMA_VERSION });
    }
    Ok(())
}

fn schema(number: u64) -> Change {
    Change::Put(SCHEMA_KEY.to_owned(), number.to_string().into_bytes())
}

fn plan(
    catalog: &Catalog,
    operation: Operation<'_>,
    changes: &mut Vec<Change>,
) -> Result<(), CatalogError> {
    let put = |entry: Entry<'_>| Change::Put(entry.key, entry.value.get().as_bytes().to_vec());
    match operation {
        Operation::Put(entry) => changes.push(put(entry)),
        Operation::PutIfAbsent(entry) => {
            if catalog.get::<Box<RawValue>>(&entry.key)?.is_none() {
                changes.push(put(entry));
            }
        }
        Operation::Delete(key) => changes.push(Change::Delete(key)),
        Operation::RenamePrefix { from, to } => {
            for (key, value) in catalog.scan::<Box<RawValue>>(&from)? {
                let moved = format!("{to}{}", &key[from.len()..]);
                changes.push(Change::Put(moved, value.get().as_bytes().to_vec()));
                changes.push(Change::Delete(key));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Backend;
    use platform::{RealClock, RealDisk};
    use std::sync::Arc;

    fn check(name: &str, test: impl FnOnce(&Catalog)) {
        let folder = format!("mirador-migrations-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        let disk = Arc::new(RealDisk::open(&folder).unwrap());
        test(&Catalog::open(disk, Backend::Redb, Arc::new(RealClock::new())).unwrap());
        #[expect(clippy::disallowed_methods, reason = "a test cleans up behind itself")]
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn every_embedded_migration_can_be_read() {
        for text in MIGRATIONS {
            let migration: Migration<'_> = serde_json::from_str(text).unwrap();
            assert!(!migration.operations.is_empty());
        }
    }

    #[test]
    fn migrations_run_in_order_and_once_and_again_without_harm() {
        let second = r#"{"name": "second", "operations": [
            {"put": {"key": "settings/a", "value": 2}},
            {"put_if_absent": {"key": "settings/b", "value": 2}},
            {"rename_prefix": {"from": "old/", "to": "new/"}},
            {"delete": "settings/gone"}]}"#;
        check("order", |catalog| {
            for key in ["settings/b", "settings/gone", "old/x"] {
                catalog.put(key, &1).unwrap();
            }
            run_all(catalog, &[MIGRATIONS[0], second]).unwrap();
            // After a crash between a write and its acknowledgement, a migration runs again from
            // the start.
            catalog.apply(&[schema(0)]).unwrap();
            run_all(catalog, &[MIGRATIONS[0], second]).unwrap();
            let get = |key: &str| catalog.get::<u64>(key).unwrap();
            let found = ["settings/a", "settings/b", "settings/gone", "old/x", "new/x"].map(get);
            assert_eq!(found, [Some(2), Some(1), None, None, Some(1)]);
            assert_eq!(get(SCHEMA_KEY), Some(2));
        });
    }

    #[test]
    fn a_newer_schema_is_refused_by_name() {
        check("newer", |catalog| {
            catalog.apply(&[schema(SCHEMA_VERSION + 1)]).unwrap();
            let error = run(catalog).unwrap_err().to_string();
            let (newer, known) = (SCHEMA_VERSION + 1, SCHEMA_VERSION);
            assert!(error.contains(&format!("schema version {newer}")), "{error}");
            assert!(error.contains(&format!("up to {known}")), "{error}");
        });
    }
}
