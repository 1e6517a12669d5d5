//! Who calls, and what they may do.
//!
//! Credentials are a bearer token, or a user name with a password; a token may also stand where a
//! client only knows passwords. The tenant comes from the token, or from `X-Scope-OrgID` where the
//! caller may act for that tenant.

use crate::app::App;
use crate::config::AuthMode;
use crate::control::Operator;
use crate::stores::Stores;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use catalog::{Identity, Scope, TOKEN_PREFIX, TenantAccess};
use model::{ErrorKind, TenantId};
use std::sync::Arc;

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
    /// As it may stand in answers and logs.
    pub name: String,
    rights: Rights,
}

#[derive(Clone, Debug)]
enum Rights {
    /// On a route that is open to all.
    None,
    /// Where authentication is off, and for the operator on the machine itself.
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

    fn granted(kind: &str, identity: Identity) -> Self {
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

/// What the `Authorization` header holds.
enum Credentials {
    Token(String),
    Password { user: String, password: String },
}

pub async fn identify(app: &App, parts: &Parts) -> Result<Principal, Refusal> {
    if parts.extensions.get::<Operator>().is_some() {
        return Ok(Principal::almighty("operator"));
    }
    if app.config.auth.mode == AuthMode::Off {
        return Ok(Principal::almighty("anonymous"));
    }
    let stores = Arc::clone(app.stores().ok_or(Refusal::Starting)?);
    match credentials(&parts.headers) {
        None => Err(Refusal::Missing),
        Some(Credentials::Token(token)) => by_token(app, &stores, &token),
        Some(Credentials::Password { password, .. }) if password.starts_with(TOKEN_PREFIX) => {
            by_token(app, &stores, &password)
        }
        Some(Credentials::Password { user, password }) => by_password(stores, user, password).await,
    }
}

fn by_token(app: &App, stores: &Stores, token: &str) -> Result<Principal, Refusal> {
    let found = stores.access.tokens.verify(token, app.clock.wall_ms()).ok_or(Refusal::Wrong)?;
    Ok(Principal::granted("token", found))
}

/// Checking a password the first time takes tens of milliseconds on purpose: off the async threads.
async fn by_password(
    stores: Arc<Stores>,
    user: String,
    password: String,
) -> Result<Principal, Refusal> {
    let verify = move || stores.access.users.verify(&user, &password);
    let found = tokio::task::spawn_blocking(verify).await.map_err(|_| Refusal::Wrong)??;
    Ok(Principal::granted("user", found.ok_or(Refusal::Wrong)?))
}

fn credentials(headers: &HeaderMap) -> Option<Credentials> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Credentials::Token(rest.to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64.decode(rest).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some(Credentials::Password { user: user.to_owned(), password: password.to_owned() })
}

/// The tenant a call is for.
pub fn tenant(principal: &Principal, headers: &HeaderMap) -> Result<TenantId, Refusal> {
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
