//! Access: the tokens and users, and the changes that an operator makes to them. The same
//! changes come over HTTP, through the control socket, and from the command line while no server
//! runs.

use catalog::{
    Backend, Catalog, CatalogError, NewToken, Scope, TenantAccess, TokenInfo, Tokens, UserInfo,
    Users,
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
    /// Names, or `["*"]` for all.
    #[serde(default = "default_tenants")]
    pub tenants: TenantAccess,
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
    #[serde(default = "default_tenants")]
    pub tenants: TenantAccess,
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

fn default_tenants() -> TenantAccess {
    TenantAccess::Only(BTreeSet::from([model::TenantId::default_tenant()]))
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

    pub fn create_token(&self, request: TokenRequest) -> Result<NewToken, CatalogError> {
        let TokenRequest { name, scopes, tenants, expires_ms } = request;
        self.tokens.create(&name, scopes, tenants, self.clock.wall_ms(), expires_ms)
    }

    pub fn list_tokens(&self) -> Vec<TokenInfo> {
        self.tokens.list()
    }

    pub fn set_user(&self, name: &str, request: &UserRequest) -> Result<UserInfo, CatalogError> {
        let UserRequest { password, scopes, tenants } = request;
        let now_ms = self.clock.wall_ms();
        self.users.set(name, password, scopes.clone(), tenants.clone(), now_ms)
    }

    /// Does the catalog's maintenance that is due, such as its export. Blocking.
    pub fn maintain(&self) -> Result<(), CatalogError> {
        self.tokens.maintain()?;
        self.catalog.maintain(self.clock.wall_ms())
    }
}
