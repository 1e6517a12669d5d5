//! Access: the tokens and users, and the changes that an operator makes to them. The same
//! changes come over HTTP, through the control socket, and from the command line while no server
//! runs.
//!
//! Invariant: nobody gives, sees or takes away more than they hold. Every change is made in somebody's
//! name (`by`), whose rights include those of the token or user that is changed, before and after.

use catalog::{
    Backend, Catalog, CatalogError, Identity, NewToken, Scope, TenantAccess, TokenInfo, Tokens,
    UserInfo, Users,
};
use observe::Notice;
use platform::{Clock, Disk, Random, RealDisk};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

pub(crate) const CATALOG_DIR: &str = "catalog";

#[derive(Debug)]
pub struct AccessBook {
    pub catalog: Arc<Catalog>,
    pub tokens: Tokens,
    pub users: Users,
    clock: Arc<dyn Clock>,
}

/// `POST /api/admin/tokens`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    pub name: String,
    pub scopes: BTreeSet<Scope>,
    /// Names, or `["*"]` for all. Without it, the tenants of whoever creates the token; `default` where
    /// that is all of them.
    #[serde(default)]
    pub tenants: Option<TenantAccess>,
    /// Milliseconds since 1970; without it the token is good until revoked.
    #[serde(default)]
    pub expires_ms: Option<i64>,
}

/// `PUT /api/admin/users/{name}`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserRequest {
    pub password: String,
    pub scopes: BTreeSet<Scope>,
    /// As of a token.
    #[serde(default)]
    pub tenants: Option<TenantAccess>,
}

impl std::fmt::Debug for UserRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UserRequest(***, {:?}, {:?})", self.scopes, self.tenants)
    }
}

/// Folders in the catalog's folder are not deeper.
const TREE_DEPTH: usize = 4;

/// Closes what an earlier version left open to other users of the machine: the catalog holds hashes of
/// secrets. What belongs to another user is told and left.
fn close_to_others(disk: &RealDisk, path: &str, depth: usize) {
    let inside =
        |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
    let closed = disk.make_private(path).and_then(|_| disk.list(path));
    match closed {
        Ok(entries) => {
            for entry in entries {
                match entry.is_dir && depth > 0 {
                    true => close_to_others(disk, &inside(&entry.name), depth - 1),
                    false => _ = disk.make_private(&inside(&entry.name)),
                }
            }
        }
        Err(error) => {
            let place = disk.root().join(path);
            let text = "the catalog is open to other users of the machine: chmod -R go= it";
            Notice::warn(text, &[("folder", &place.display()), ("error", &error)]);
        }
    }
}

/// The tenants of a token or user for which none were named.
fn own_tenants(by: &Identity) -> TenantAccess {
    match &by.tenants {
        TenantAccess::Only(_) => by.tenants.clone(),
        TenantAccess::All => {
            TenantAccess::Only(BTreeSet::from([model::TenantId::default_tenant()]))
        }
    }
}

impl AccessBook {
    /// Opens the catalog below the data folder. Only one process can.
    pub fn open(
        data: &Path,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, CatalogError> {
        let folder = data.join(CATALOG_DIR);
        let disk = RealDisk::open(&folder)
            .map_err(|source| CatalogError::Io { path: folder.display().to_string(), source })?;
        let disk = Arc::new(disk);
        close_to_others(&disk, "", TREE_DEPTH);
        let catalog = Arc::new(Catalog::open(disk, Backend::Sled, Arc::clone(&clock))?);
        let tokens = Tokens::open(Arc::clone(&catalog), Arc::clone(&random))?;
        let users = Users::open(Arc::clone(&catalog), random)?;
        Ok(Self { catalog, tokens, users, clock })
    }

    pub fn create_token(
        &self,
        by: &Identity,
        request: TokenRequest,
    ) -> Result<NewToken, CatalogError> {
        let TokenRequest { name, scopes, tenants, expires_ms } = request;
        let tenants = tenants.unwrap_or_else(|| own_tenants(by));
        by.check_gift(&scopes, &tenants, expires_ms)?;
        self.tokens.create(&name, scopes, tenants, self.clock.wall_ms(), expires_ms)
    }

    /// Those that are bound to tenants of the caller.
    pub fn list_tokens(&self, by: &Identity) -> Vec<TokenInfo> {
        let mut tokens = self.tokens.list();
        tokens.retain(|token| by.tenants.includes(&token.tenants));
        tokens
    }

    /// A token that the caller may not see is not there.
    pub fn revoke_token(&self, by: &Identity, id: &str) -> Result<(), CatalogError> {
        let missing = || CatalogError::NotFound(format!("token {id}"));
        let token = self.tokens.get(id).ok_or_else(missing)?;
        if !by.tenants.includes(&token.tenants) {
            return Err(missing());
        }
        self.tokens.revoke(id)
    }

    pub fn set_user(
        &self,
        by: &Identity,
        name: &str,
        request: UserRequest,
    ) -> Result<UserInfo, CatalogError> {
        let UserRequest { password, scopes, tenants } = request;
        let tenants = tenants.unwrap_or_else(|| own_tenants(by));
        by.check_gift(&scopes, &tenants, None)?;
        // The names of users are shared by all tenants.
        if self.users.get(name).is_some_and(|old| !by.tenants.includes(&old.tenants)) {
            let text = format!("there is a user {name} already; choose another name");
            return Err(CatalogError::NotYours(text));
        }
        self.users.set(name, &password, scopes, tenants, self.clock.wall_ms())
    }

    /// Those that are bound to tenants of the caller.
    pub fn list_users(&self, by: &Identity) -> Vec<UserInfo> {
        let mut users = self.users.list();
        users.retain(|user| by.tenants.includes(&user.tenants));
        users
    }

    /// A user that the caller may not see is not there.
    pub fn remove_user(&self, by: &Identity, name: &str) -> Result<(), CatalogError> {
        let missing = || CatalogError::NotFound(format!("user {name}"));
        let user = self.users.get(name).ok_or_else(missing)?;
        if !by.tenants.includes(&user.tenants) {
            return Err(missing());
        }
        self.users.remove(name)
    }

    /// Does the catalog's maintenance that is due, such as its export. Blocking.
    pub fn maintain(&self) -> Result<(), CatalogError> {
        self.tokens.maintain()?;
        self.catalog.maintain(self.clock.wall_ms())
    }
}
