//! What a user or a token may do.

use crate::CatalogError;
use model::TenantId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Each scope stands alone: `admin` does not include the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    Read,
    Write,
    Rules,
    Admin,
}

impl Scope {
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Rules, Self::Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Rules => "rules",
            Self::Admin => "admin",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

/// The tenants whose data may be accessed. Stored as a list of names, where `*` alone means all
/// tenants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub enum TenantAccess {
    All,
    Only(BTreeSet<TenantId>),
}

const EVERYBODY: &str = "*";

impl TenantAccess {
    pub fn allows(&self, tenant: &TenantId) -> bool {
        match self {
            Self::All => true,
            Self::Only(tenants) => tenants.contains(tenant),
        }
    }

    /// Whether everything that `other` allows is allowed here too.
    pub fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::Only(_), Self::All) => false,
            (Self::Only(tenants), Self::Only(others)) => tenants.is_superset(others),
        }
    }
}

impl TryFrom<Vec<String>> for TenantAccess {
    type Error = CatalogError;

    fn try_from(names: Vec<String>) -> Result<Self, CatalogError> {
        if names == [EVERYBODY] {
            return Ok(Self::All);
        }
        if names.is_empty() || names.iter().any(|name| name == EVERYBODY) {
            let text = "tenants are a list of names, or * alone for all of them";
            return Err(CatalogError::Invalid(text.to_owned()));
        }
        let wrong = |error: model::TenantError| CatalogError::Invalid(error.to_string());
        let tenants = names.iter().map(|name| TenantId::new(name).map_err(wrong));
        Ok(Self::Only(tenants.collect::<Result<_, _>>()?))
    }
}

impl From<TenantAccess> for Vec<String> {
    fn from(access: TenantAccess) -> Self {
        match access {
            TenantAccess::All => vec![EVERYBODY.to_owned()],
            TenantAccess::Only(tenants) => tenants.iter().map(TenantId::to_string).collect(),
        }
    }
}

/// An authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user's name, or the token's.
    pub name: String,
    pub scopes: BTreeSet<Scope>,
    pub tenants: TenantAccess,
    /// When these rights end.
    pub expires_ms: Option<i64>,
}

impl Identity {
    /// Whoever may write to the data folder: holds everything.
    pub fn operator() -> Self {
        let (name, scopes) = ("operator".to_owned(), BTreeSet::from(Scope::ALL));
        Self { name, scopes, tenants: TenantAccess::All, expires_ms: None }
    }

    /// Checks that these rights may be given by somebody who holds this identity: nobody gives what
    /// they don't have, nor for longer than they have it.
    pub fn check_gift(
        &self,
        scopes: &BTreeSet<Scope>,
        tenants: &TenantAccess,
        expires_ms: Option<i64>,
    ) -> Result<(), CatalogError> {
        let who = &self.name;
        let refuse = |what: String| Err(CatalogError::NotYours(what));
        if let Some(missing) = scopes.difference(&self.scopes).next() {
            let scope = missing.as_str();
            return refuse(format!("{who} can't give the scope {scope} without having it"));
        }
        if !self.tenants.includes(tenants) {
            return refuse(format!("{who} can only give rights for tenants that it is bound to"));
        }
        if let Some(end) = self.expires_ms
            && expires_ms.is_none_or(|until| until > end)
        {
            return refuse(format!("{who} expires at {end} and can't give rights beyond that"));
        }
        Ok(())
    }

    pub fn may(&self, scope: Scope, tenant: &TenantId) -> bool {
        self.scopes.contains(&scope) && self.tenants.allows(tenant)
    }
}

/// Names of users and tokens: they are part of a key and shown to people.
pub(crate) fn check_name(name: &str) -> Result<(), CatalogError> {
    let length = name.chars().count();
    if (1..=100).contains(&length) && !name.chars().any(|c| c.is_control() || c == ':' || c == '/')
    {
        return Ok(());
    }
    let text = "a name has 1 to 100 characters and no colon, slash or control character";
    Err(CatalogError::Invalid(text.to_owned()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|value| value as u8);
    digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_are_names_or_everybody() {
        let access = |names: &[&str]| {
            TenantAccess::try_from(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>())
        };
        let (a, b) = (TenantId::new("a").unwrap(), TenantId::new("b").unwrap());
        assert!(access(&["*"]).unwrap().allows(&b));
        let only = access(&["a"]).unwrap();
        assert!(only.allows(&a) && !only.allows(&b));
        for wrong in [&[][..], &["*", "a"], &["../x"]] {
            assert!(access(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn nobody_gives_more_than_they_have() {
        let only = |name: &str| TenantAccess::Only(BTreeSet::from([TenantId::new(name).unwrap()]));
        let scopes = BTreeSet::from([Scope::Admin, Scope::Read]);
        let (name, tenants) = ("t".to_owned(), only("a"));
        let holder = Identity { name, scopes: scopes.clone(), tenants, expires_ms: Some(100) };
        let gives = |scopes: &[Scope], tenants: &TenantAccess, expires_ms| {
            let scopes = scopes.iter().copied().collect();
            holder.check_gift(&scopes, tenants, expires_ms).is_ok()
        };
        assert!(gives(&[Scope::Read], &only("a"), Some(100)));
        assert!(!gives(&[Scope::Write], &only("a"), Some(100)));
        assert!(!gives(&[Scope::Read], &only("b"), Some(100)));
        assert!(!gives(&[Scope::Read], &TenantAccess::All, Some(100)));
        assert!(!gives(&[Scope::Read], &only("a"), Some(101)));
        assert!(!gives(&[Scope::Read], &only("a"), None));
        let operator = Identity::operator();
        assert!(operator.check_gift(&scopes, &TenantAccess::All, None).is_ok());
    }

    #[test]
    fn no_scope_includes_another() {
        let scopes = BTreeSet::from([Scope::Admin]);
        let (name, tenants) = ("a".to_owned(), TenantAccess::All);
        let identity = Identity { name, scopes, tenants, expires_ms: None };
        assert!(identity.may(Scope::Admin, &TenantId::default_tenant()));
        assert!(!identity.may(Scope::Read, &TenantId::default_tenant()));
        assert_eq!(unhex(&hex(&[0, 15, 255])), Some(vec![0, 15, 255]));
        assert_eq!(unhex("0g"), None);
    }
}
