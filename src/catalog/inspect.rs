//! Describes an export or a file of the journal for `mirador inspect catalog`.

use crate::store::Change;
use crate::{CatalogError, export, journal};
use serde_json::Value;
use std::fmt::Write as _;

/// Members with hashes of secrets are left out: a reader has no use for them, and an attacker could
/// try to crack them.
const SECRET_MEMBERS: [&str; 2] = ["hash", "password"];

/// Every entry of an export, or every change of a file of the journal, secrets left out.
pub fn describe(bytes: &[u8]) -> Result<String, CatalogError> {
    match journal::is_journal(bytes) {
        true => Ok(describe_journal(bytes)),
        false => describe_export(bytes),
    }
}

fn describe_journal(bytes: &[u8]) -> String {
    let (batches, damage) = journal::decode(None, bytes);
    let mut text = format!("journal, {} batches of changes\n", batches.len());
    for batch in &batches {
        let sequence = batch.sequence;
        for change in &batch.changes {
            let _ = match change {
                Change::Put(key, value) => writeln!(text, "{sequence} put {key} {}", shown(value)),
                Change::Delete(key) => writeln!(text, "{sequence} delete {key}"),
            };
        }
    }
    if let Some(damage) = damage {
        let _ = writeln!(text, "damaged: {damage}");
    }
    text
}

fn describe_export(bytes: &[u8]) -> Result<String, CatalogError> {
    let export = export::decode(bytes)?;
    let (sequence, created, count) = (export.sequence, export.created_ms, export.entries.len());
    let mut text = format!("export {sequence}, created {created} ms after 1970, {count} entries\n");
    for (key, value) in &export.entries {
        let _ = writeln!(text, "{key} {}", shown(value));
    }
    Ok(text)
}

fn shown(value: &[u8]) -> String {
    match serde_json::from_slice::<Value>(value) {
        Ok(value) => redacted(value).to_string(),
        Err(_) => format!("{} bytes that are not JSON", value.len()),
    }
}

fn redacted(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .map(|(name, member)| {
                let secret = SECRET_MEMBERS.contains(&name.as_str());
                let shown = if secret { "***".into() } else { redacted(member) };
                (name, shown)
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(redacted).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_journal_is_shown_change_by_change() {
        let record = json!({ "info": { "name": "n" }, "hash": "secret" }).to_string();
        let changes = vec![
            Change::Put("tokens/a".to_owned(), record.into_bytes()),
            Change::Delete("tokens/b".to_owned()),
        ];
        let mut file = journal::MAGIC.to_vec();
        file.extend(journal::encode(&journal::Batch { sequence: 7, changes }).unwrap());
        let expected = "journal, 1 batches of changes\n\
                        7 put tokens/a {\"hash\":\"***\",\"info\":{\"name\":\"n\"}}\n\
                        7 delete tokens/b\n";
        assert_eq!(describe(&file).unwrap(), expected);
        *file.last_mut().unwrap() ^= 1;
        assert!(describe(&file).unwrap().contains("damaged: the change at byte 8"));
    }

    #[test]
    fn secrets_are_left_out_at_every_depth() {
        let value = json!({ "info": { "hash": "aa", "name": "n" }, "password": { "salt": "s" } });
        let expected = json!({ "info": { "hash": "***", "name": "n" }, "password": "***" });
        assert_eq!(redacted(value), expected);
    }
}
