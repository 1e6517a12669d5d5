//! Describes an export for `mirador inspect catalog`.

use crate::{CatalogError, export};
use serde_json::Value;
use std::fmt::Write as _;

/// Members with hashes of secrets are left out: a reader has no use for them, and an attacker could
/// try to crack them.
const SECRET_MEMBERS: [&str; 2] = ["hash", "password"];

/// Every entry of an export file, secrets left out.
pub fn describe_export(bytes: &[u8]) -> Result<String, CatalogError> {
    let export = export::decode(bytes)?;
    let (sequence, created, count) = (export.sequence, export.created_ms, export.entries.len());
    let mut text = format!("export {sequence}, created {created} ms after 1970, {count} entries\n");
    for (key, value) in &export.entries {
        let shown = match serde_json::from_slice::<Value>(value) {
            Ok(value) => redacted(value).to_string(),
            Err(_) => format!("{} bytes that are not JSON", value.len()),
        };
        let _ = writeln!(text, "{key} {shown}");
    }
    Ok(text)
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
    fn secrets_are_left_out_at_every_depth() {
        let value = json!({ "info": { "hash": "aa", "name": "n" }, "password": { "salt": "s" } });
        let expected = json!({ "info": { "hash": "***", "name": "n" }, "password": "***" });
        assert_eq!(redacted(value), expected);
    }
}
