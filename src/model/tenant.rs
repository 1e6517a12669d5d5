//! Tenants: the owners of data.

use std::fmt;
use std::sync::Arc;

/// A validated tenant name. It stands in keys, paths, records and metrics, so its alphabet is
/// narrow: `[a-zA-Z0-9!_.*'()-]`, 1 to 150 characters, and neither `.` nor `..`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Arc<str>);

/// Why a tenant name was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TenantError {
    #[error("tenant id is empty")]
    Empty,
    #[error("tenant id has {0} characters, the most is {max}", max = TenantId::LENGTH_MAX)]
    TooLong(usize),
    #[error(
        "tenant id has the character {character:?} at position {position}; allowed are letters, \
         digits and ! _ . * ' ( ) -"
    )]
    Character { character: char, position: usize },
    #[error("tenant id {0:?} is not allowed: as a path it names another folder")]
    Dots(String),
}

impl TenantId {
    pub const LENGTH_MAX: usize = 150;

    pub fn new(name: &str) -> Result<Self, TenantError> {
        if name.is_empty() {
            return Err(TenantError::Empty);
        }
        if name.len() > Self::LENGTH_MAX {
            return Err(TenantError::TooLong(name.chars().count()));
        }
        if let Some((position, character)) = name.chars().enumerate().find(|(_, c)| !allowed(*c)) {
            return Err(TenantError::Character { character, position });
        }
        if name == "." || name == ".." {
            return Err(TenantError::Dots(name.to_owned()));
        }
        Ok(Self(name.into()))
    }

    /// The tenant of requests that name none.
    pub fn default_tenant() -> Self {
        Self("default".into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!_.*'()-".contains(c)
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TenantId({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_others_accept() {
        for name in ["default", "team-a", "1", "a.b", "it's(me)*!_", &"x".repeat(150)] {
            assert_eq!(TenantId::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn refuses_what_could_leave_a_folder() {
        for name in ["", ".", "..", "a/b", "../x", "a\\b", "a b", "한국", "a\0", &"x".repeat(151)]
        {
            assert!(TenantId::new(name).is_err(), "{name:?} was accepted");
        }
    }
}
