//! `mirador token` and `mirador user`: through the control socket where a server runs, directly in
//! the catalog where none does.

use super::{Failure, Outcome, print};
use crate::access::{AccessBook, TokenRequest, UserRequest};
use crate::config::{Config, HumanDuration};
use crate::control;
use crate::stores::LOCK_FILE;
use catalog::{Identity, Scope, TenantAccess};
use clap::{Args, Subcommand};
use platform::{Clock, Disk, OsRandom, RealClock, RealDisk};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Read;
use std::sync::Arc;

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Create a token and print it; it is shown this once
    Create {
        /// What it is for
        name: String,
        #[command(flatten)]
        grant: GrantFlags,
        /// How long it is good, as in 90d; for ever without it
        #[arg(long, value_name = "DURATION")]
        expires: Option<HumanDuration>,
    },
    /// List the tokens
    List,
    /// Revoke a token by its id
    Revoke { id: String },
}

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Create a user or change one; the password is read from standard input
    Set {
        name: String,
        #[command(flatten)]
        grant: GrantFlags,
    },
    /// List the users
    List,
    /// Remove a user
    Remove { name: String },
}

#[derive(Args, Debug)]
pub(super) struct GrantFlags {
    /// What is allowed: read, write, rules, admin; repeat or separate by commas
    #[arg(long, required = true, value_delimiter = ',', value_parser = scope)]
    scope: Vec<Scope>,
    /// For which tenants; * for all
    #[arg(long, value_delimiter = ',', default_value = "default")]
    tenant: Vec<String>,
}

fn scope(name: &str) -> Result<Scope, String> {
    Scope::from_name(name).ok_or_else(|| "write read, write, rules or admin".to_owned())
}

impl GrantFlags {
    fn scopes(&self) -> BTreeSet<Scope> {
        self.scope.iter().copied().collect()
    }

    fn tenants(&self) -> Result<TenantAccess, Failure> {
        Ok(TenantAccess::try_from(self.tenant.clone())?)
    }
}

pub(super) fn tokens(config: &Config, command: &TokenCommand) -> Outcome {
    match command {
        TokenCommand::Create { name, grant, expires } => {
            let expires_ms =
                expires.map(|time| RealClock::new().wall_ms() + time.0.as_millis() as i64);
            let (scopes, tenants) = (grant.scopes(), grant.tenants()?);
            let tenants = Some(tenants);
            let request = TokenRequest { name: name.clone(), scopes, tenants, expires_ms };
            let body = serde_json::to_value(&request)?;
            let answer = change(config, "POST", "/api/admin/tokens", &body, |access, by| {
                let token = access.create_token(by, request.clone())?;
                Ok(json!({ "token": token.secret() }))
            })?;
            print(&format!("{}\n", answer["token"].as_str().unwrap_or("")))
        }
        TokenCommand::List => {
            let answer = change(config, "GET", "/api/admin/tokens", &Value::Null, |access, by| {
                Ok(json!({ "tokens": access.list_tokens(by) }))
            })?;
            print(&table(&answer["tokens"], &["id", "name", "scopes", "tenants", "last_used_ms"]))
        }
        TokenCommand::Revoke { id } => {
            let path = format!("/api/admin/tokens/{}", control::encoded(id));
            change(config, "DELETE", &path, &Value::Null, |access, by| {
                access.revoke_token(by, id)?;
                Ok(Value::Null)
            })?;
            print("revoked\n")
        }
    }
}

pub(super) fn users(config: &Config, command: &UserCommand) -> Outcome {
    match command {
        UserCommand::Set { name, grant } => {
            let (scopes, tenants) = (grant.scopes(), Some(grant.tenants()?));
            let request = UserRequest { password: read_password()?, scopes, tenants };
            let body = serde_json::to_value(&request)?;
            let path = format!("/api/admin/users/{}", control::encoded(name));
            change(config, "PUT", &path, &body, |access, by| {
                access.set_user(by, name, request.clone())?;
                Ok(Value::Null)
            })?;
            print("set\n")
        }
        UserCommand::List => {
            let answer = change(config, "GET", "/api/admin/users", &Value::Null, |access, by| {
                Ok(json!({ "users": access.list_users(by) }))
            })?;
            print(&table(&answer["users"], &["name", "scopes", "tenants"]))
        }
        UserCommand::Remove { name } => {
            let path = format!("/api/admin/users/{}", control::encoded(name));
            change(config, "DELETE", &path, &Value::Null, |access, by| {
                access.remove_user(by, name)?;
                Ok(Value::Null)
            })?;
            print("removed\n")
        }
    }
}

/// Asks the running server, or does it here under the data folder's lock.
fn change(
    config: &Config,
    method: &str,
    path: &str,
    body: &Value,
    here: impl FnOnce(&AccessBook, &Identity) -> Result<Value, catalog::CatalogError>,
) -> Result<Value, Failure> {
    let folder = &config.server.data;
    let text = if body.is_null() { String::new() } else { body.to_string() };
    if let Some(reply) = control::ask(folder, method, path, &text)? {
        let answer: Value = serde_json::from_str(&reply.body)?;
        if reply.status == 200 {
            return Ok(answer);
        }
        return Err(answer["error"].as_str().unwrap_or("the server refused").into());
    }
    let disk = RealDisk::open(folder)?;
    let lock = disk.lock(LOCK_FILE)?;
    let busy = "a server uses the data folder but does not answer on its control socket";
    let _lock = lock.ok_or(busy)?;
    let access = AccessBook::open(folder, Arc::new(RealClock::new()), Arc::new(OsRandom))?;
    let answer = here(&access, &Identity::operator())?;
    access.catalog.export_now()?;
    Ok(answer)
}

fn read_password() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin().take(4_096).read_to_string(&mut text)?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(
            "give the password on standard input: printf %s PASSWORD | mirador user set …".into()
        );
    }
    Ok(password.to_owned())
}

fn table(rows: &Value, columns: &[&str]) -> String {
    let cell = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let header = columns.iter().map(|column| (*column).to_owned()).collect::<Vec<_>>();
    let rows = rows.as_array().into_iter().flatten();
    let body = rows.map(|row| columns.iter().map(|column| cell(&row[*column])).collect());
    let lines: Vec<Vec<String>> = std::iter::once(header).chain(body).collect();
    let width = |column: usize| lines.iter().map(|l| l[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up() {
        let rows = json!([{ "id": "a", "scopes": ["read", "write"] }, { "id": "bcd" }]);
        assert_eq!(table(&rows, &["id", "scopes"]), "id   scopes\na    read,write\nbcd  -\n");
    }
}
