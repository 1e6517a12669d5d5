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
}

impl Identity {
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
    fn no_scope_includes_another() {
        let scopes = BTreeSet::from([Scope::Admin]);
        let identity = Identity { name: "a".to_owned(), scopes, tenants: TenantAccess::All };
        assert!(identity.may(Scope::Admin, &TenantId::default_tenant()));
        assert!(!identity.may(Scope::Read, &TenantId::default_tenant()));
        assert_eq!(unhex(&hex(&[0, 15, 255])), Some(vec![0, 15, 255]));
        assert_eq!(unhex("0g"), None);
    }
}
