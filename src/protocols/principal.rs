//! Who calls, what they may do, and for which tenant.
//!
//! The server checks credentials; this is the result of the check. The tenant comes from the token, or
//! from `X-Scope-OrgID` if the caller may act for the tenant that it names.

use axum::http::HeaderMap;
use catalog::{Identity, Scope, TenantAccess};
use model::{ErrorKind, TenantId};

pub const TENANT_HEADER: &str = "x-scope-orgid";

/// Why a caller was refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("this needs a token (Authorization: Bearer …) or a user name and password")]
    Missing,
    #[error("the token or password is not valid")]
    Wrong,
    #[error("{who} lacks the scope {scope}")]
    Scope { who: String, scope: &'static str },
    #[error("{who} may not act for the tenant {tenant}")]
    Tenant { who: String, tenant: TenantId },
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
            Self::Scope { .. } | Self::Tenant { .. } => ErrorKind::Forbidden,
            Self::WhichTenant { .. } | Self::TenantName(_) => ErrorKind::Invalid,
            Self::Catalog(error) => error.kind(),
            Self::Starting => ErrorKind::Overloaded,
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
    /// When authentication is off, and for the operator on the machine itself.
    All,
    Granted(Identity),
}

impl Principal {
    pub fn nobody() -> Self {
        Self { name: "anonymous".to_owned(), rights: Rights::None }
    }

    pub fn almighty(name: &str) -> Self {
        Self { name: name.to_owned(), rights: Rights::All }
    }

    /// What a token or a user may do.
    pub fn granted(kind: &str, identity: Identity) -> Self {
        Self { name: format!("{kind} {}", identity.name), rights: Rights::Granted(identity) }
    }

    pub fn may(&self, scope: Scope) -> Result<(), Refusal> {
        let allowed = match &self.rights {
            Rights::None => false,
            Rights::All => true,
            Rights::Granted(identity) => identity.scopes.contains(&scope),
        };
        let refusal = || Refusal::Scope { who: self.name.clone(), scope: scope.as_str() };
        allowed.then_some(()).ok_or_else(refusal)
    }

    fn may_act_for(&self, tenant: &TenantId) -> bool {
        match &self.rights {
            Rights::None | Rights::All => true,
            Rights::Granted(identity) => identity.tenants.allows(tenant),
        }
    }

    fn only_tenant(&self) -> Option<TenantId> {
        match &self.rights {
            Rights::Granted(Identity { tenants: TenantAccess::Only(names), .. }) => {
                names.first().filter(|_| names.len() == 1).cloned()
            }
            _ => None,
        }
    }
}

/// The tenant a call is for.
pub(crate) fn tenant(principal: &Principal, headers: &HeaderMap) -> Result<TenantId, Refusal> {
    let named = headers.get(TENANT_HEADER).map(|value| value.to_str().unwrap_or(""));
    let Some(name) = named else {
        return default_tenant(principal);
    };
    let tenant = TenantId::new(name)?;
    if !principal.may_act_for(&tenant) {
        return Err(Refusal::Tenant { who: principal.name.clone(), tenant });
    }
    Ok(tenant)
}

fn default_tenant(principal: &Principal) -> Result<TenantId, Refusal> {
    let tenant = TenantId::default_tenant();
    if principal.may_act_for(&tenant) {
        return Ok(tenant);
    }
    principal.only_tenant().ok_or_else(|| Refusal::WhichTenant { who: principal.name.clone() })
}
