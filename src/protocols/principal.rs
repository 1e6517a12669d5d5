//! Who calls, what they may do, and for which tenant.
//!
//! The server checks credentials; this is the result of the check, and what it means on a route. What a
//! route asks for stands in its table ([`Access`]) and is decided here, in one place. The tenant comes
//! from the route's path where that names one, from `X-Scope-OrgID`, or from the token; the caller must
//! be allowed to act for it.

use crate::Access;
use axum::http::HeaderMap;
use catalog::{Identity, Scope, TenantAccess};
use model::{ErrorKind, TenantId};
use std::collections::BTreeSet;

pub const TENANT_HEADER: &str = "x-scope-orgid";

/// Why a caller was refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("this needs a token (Authorization: Bearer …) or a user name and password")]
    Missing,
    #[error("the token or password is not valid")]
    Wrong,
    #[error(
        "too many wrong passwords for this user came from this address: try again in {seconds} s"
    )]
    Guessing { seconds: i64 },
    #[error("this address has too many passwords checked at once; try again in a moment")]
    Busy,
    #[error("{who} lacks the scope {scope}")]
    Scope { who: String, scope: &'static str },
    #[error("{who} may not act for the tenant {tenant}")]
    Tenant { who: String, tenant: TenantId },
    #[error(
        "this concerns the whole server, and {who} is bound to tenants: use a token for all tenants \
         (--tenant '*')"
    )]
    Bound { who: String },
    #[error(
        "while authentication is off nobody can be told apart, so rights can't be given here: use \
         `mirador token` and `mirador user` on the server's machine"
    )]
    NothingToGive,
    #[error(
        "this server is not called {host}: add the name to listen.host_names, or turn \
         authentication on (docs/security.md)"
    )]
    Host { host: String },
    #[error(
        "pages of {origin} may not do this from a browser: add the site to the setting cors_origins \
         of the protocol if it may"
    )]
    Site { origin: String },
    #[error("{who} may act for several tenants: name one in X-Scope-OrgID")]
    WhichTenant { who: String },
    #[error("X-Scope-OrgID: {0}")]
    TenantName(#[from] model::TenantError),
    #[error("the catalog can't be read")]
    Catalog(#[from] catalog::CatalogError),
    #[error("the server is starting")]
    Starting,
}

impl Refusal {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Missing | Self::Wrong => ErrorKind::Unauthenticated,
            Self::Scope { .. } | Self::Tenant { .. } | Self::Bound { .. } => ErrorKind::Forbidden,
            Self::NothingToGive | Self::Host { .. } | Self::Site { .. } => ErrorKind::Forbidden,
            Self::WhichTenant { .. } | Self::TenantName(_) => ErrorKind::Invalid,
            Self::Catalog(error) => error.kind(),
            Self::Starting | Self::Guessing { .. } | Self::Busy => ErrorKind::Overloaded,
        }
    }
}

/// A caller and its rights.
#[derive(Clone, Debug)]
pub struct Principal {
    /// As answers and log lines show it.
    pub name: String,
    rights: Rights,
}

#[derive(Clone, Debug)]
enum Rights {
    /// On a route that everybody may call.
    None,
    /// While authentication is off: everything but giving rights, because whoever gives rights must
    /// hold them.
    Open,
    /// Of a token, a user, or the operator on the machine itself.
    Granted(Identity),
}

impl Principal {
    pub fn nobody() -> Self {
        Self { name: "anonymous".to_owned(), rights: Rights::None }
    }

    /// Everybody, while authentication is off.
    pub fn anybody() -> Self {
        Self { name: "anonymous".to_owned(), rights: Rights::Open }
    }

    /// Whoever may write to the data folder.
    pub fn operator() -> Self {
        Self { name: "operator".to_owned(), rights: Rights::Granted(Identity::operator()) }
    }

    /// What a token or a user may do.
    pub fn granted(kind: &str, identity: Identity) -> Self {
        Self { name: format!("{kind} {}", identity.name), rights: Rights::Granted(identity) }
    }

    /// The rights that this caller holds and may give to others; `None` while authentication is off.
    pub fn grant(&self) -> Option<&Identity> {
        match &self.rights {
            Rights::Granted(identity) => Some(identity),
            Rights::None | Rights::Open => None,
        }
    }

    pub fn may_act_for(&self, tenant: &TenantId) -> bool {
        self.grant().is_none_or(|identity| identity.tenants.allows(tenant))
    }

    /// Whether this caller may act for every tenant, and so may see what concerns all of them.
    pub fn is_unbound(&self) -> bool {
        self.grant().is_none_or(|identity| identity.tenants == TenantAccess::All)
    }

    /// Whether a route with this access may be called.
    pub(crate) fn may(&self, access: Access) -> Result<(), Refusal> {
        match access {
            Access::Public => Ok(()),
            Access::Tenant(scope) => self.has(scope),
            Access::Server(scope) => {
                self.has(scope)?;
                let bound = || Refusal::Bound { who: self.name.clone() };
                self.is_unbound().then_some(()).ok_or_else(bound)
            }
            Access::Grants => {
                self.has(Scope::Admin)?;
                self.grant().map(|_| ()).ok_or(Refusal::NothingToGive)
            }
        }
    }

    fn has(&self, scope: Scope) -> Result<(), Refusal> {
        let allowed = match &self.rights {
            Rights::None => false,
            Rights::Open => true,
            Rights::Granted(identity) => identity.scopes.contains(&scope),
        };
        let refusal = || Refusal::Scope { who: self.name.clone(), scope: scope.as_str() };
        allowed.then_some(()).ok_or_else(refusal)
    }

    fn tenants(&self) -> Option<&BTreeSet<TenantId>> {
        match self.grant().map(|identity| &identity.tenants) {
            Some(TenantAccess::Only(names)) => Some(names),
            Some(TenantAccess::All) | None => None,
        }
    }
}

/// The tenant a call is for. `in_path` is the name that the route's path holds, if it holds one.
pub(crate) fn tenant(
    access: Access,
    principal: &Principal,
    headers: &HeaderMap,
    in_path: Option<&str>,
) -> Result<TenantId, Refusal> {
    let header = || headers.get(TENANT_HEADER).map(|value| value.to_str().unwrap_or(""));
    let Some(name) = in_path.or_else(header) else {
        return default_tenant(access, principal);
    };
    let tenant = TenantId::new(name)?;
    if !principal.may_act_for(&tenant) {
        return Err(Refusal::Tenant { who: principal.name.clone(), tenant });
    }
    Ok(tenant)
}

fn default_tenant(access: Access, principal: &Principal) -> Result<TenantId, Refusal> {
    let tenant = TenantId::default_tenant();
    let Some(tenants) = principal.tenants().filter(|tenants| !tenants.contains(&tenant)) else {
        return Ok(tenant);
    };
    let first = tenants.first().filter(|_| tenants.len() == 1 || access == Access::Grants);
    first.cloned().ok_or_else(|| Refusal::WhichTenant { who: principal.name.clone() })
}
