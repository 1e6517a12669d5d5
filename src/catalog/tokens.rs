//! Tokens for programs: 256 random bits, shown once, stored as a hash. One round of SHA-256 is
//! enough, because random bits can't be guessed.

use crate::CatalogError;
use crate::access::{Identity, Scope, TenantAccess, check_name, hex, unhex};
use crate::catalog::{Catalog, put};
use crate::store::Change;
use platform::Random;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use subtle::ConstantTimeEq;

pub const PREFIX: &str = "mir_";
const SECRET_BYTES: usize = 32;
const KEY_PREFIX: &str = "tokens/";
/// How much older the stored time of last use may be than the real one.
const LAST_USED_EVERY_MS: i64 = 60_000;
/// All tokens are held in memory, so their number is limited.
const TOKENS_MAX: usize = 100_000;

/// The stored facts about a token, without the token itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    /// For listing and revoking. The first half of the token's hash, so it does not reveal the
    /// token.
    pub id: String,
    pub name: String,
    pub scopes: BTreeSet<Scope>,
    pub tenants: TenantAccess,
    pub created_ms: i64,
    pub expires_ms: Option<i64>,
    /// Accurate to a minute.
    pub last_used_ms: Option<i64>,
}

/// A token that was just made. Its debug output hides the secret; [`NewToken::secret`] is for the
/// one response that contains it.
pub struct NewToken {
    pub info: TokenInfo,
    secret: String,
}

impl NewToken {
    pub fn secret(&self) -> &str {
        &self.secret
    }
}

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewToken").field("info", &self.info).field("secret", &"***").finish()
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Record {
    info: TokenInfo,
    /// SHA-256 of the token's text, hexadecimal.
    hash: String,
}

/// All tokens, in memory and in the catalog.
#[derive(Debug)]
pub struct Tokens {
    catalog: Arc<Catalog>,
    random: Arc<dyn Random>,
    known: RwLock<BTreeMap<String, Known>>,
}

struct Known {
    info: TokenInfo,
    hash: [u8; 32],
    /// The last use that is stored in the catalog.
    stored_use_ms: Option<i64>,
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.info.fmt(f)
    }
}

impl Tokens {
    pub fn open(catalog: Arc<Catalog>, random: Arc<dyn Random>) -> Result<Self, CatalogError> {
        let mut known = BTreeMap::new();
        for (key, record) in catalog.scan::<Record>(KEY_PREFIX)? {
            let hash = unhex(&record.hash).and_then(|hash| hash.try_into().ok());
            let hash =
                hash.ok_or_else(|| CatalogError::damaged(&key, "its hash is not hexadecimal"))?;
            let stored_use_ms = record.info.last_used_ms;
            known.insert(record.info.id.clone(), Known { info: record.info, hash, stored_use_ms });
        }
        Ok(Self { catalog, random, known: RwLock::new(known) })
    }

    pub fn create(
        &self,
        name: &str,
        scopes: BTreeSet<Scope>,
        tenants: TenantAccess,
        now_ms: i64,
        expires_ms: Option<i64>,
    ) -> Result<NewToken, CatalogError> {
        check_name(name)?;
        if scopes.is_empty() {
            return Err(CatalogError::Invalid("a token needs a scope".to_owned()));
        }
        if expires_ms.is_some_and(|at| at <= now_ms) {
            return Err(CatalogError::Invalid("a token must expire in the future".to_owned()));
        }
        let secret = self.mint();
        let hash = hash_of(&secret);
        let id = id_of(&hash);
        let name = name.to_owned();
        let info = TokenInfo {
            id,
            name,
            scopes,
            tenants,
            created_ms: now_ms,
            expires_ms,
            last_used_ms: None,
        };
        let mut known = self.write();
        if known.len() >= TOKENS_MAX {
            return Err(CatalogError::Invalid(format!("there are {TOKENS_MAX} tokens already")));
        }
        self.catalog.put(&key_of(&info.id), &Record { info: info.clone(), hash: hex(&hash) })?;
        known.insert(info.id.clone(), Known { info: info.clone(), hash, stored_use_ms: None });
        Ok(NewToken { info, secret })
    }

    /// The identity behind a token; `None` unless the token is known and not expired.
    pub fn verify(&self, text: &str, now_ms: i64) -> Option<Identity> {
        if text.len() != PREFIX.len() + 43 || !text.starts_with(PREFIX) {
            return None;
        }
        let hash = hash_of(text);
        let id = id_of(&hash);
        let known = self.read();
        let token = known.get(&id)?;
        // A caller who found this id already knows half of the hash; the comparison in constant
        // time does not leak the other half.
        if !bool::from(token.hash.ct_eq(&hash)) || token.is_expired(now_ms) {
            return None;
        }
        let Known { info, .. } = token;
        let TokenInfo { name, scopes, tenants, expires_ms, .. } = info.clone();
        let identity = Identity { name, scopes, tenants, expires_ms };
        let stale =
            info.last_used_ms.is_none_or(|at| now_ms.saturating_sub(at) >= LAST_USED_EVERY_MS);
        drop(known);
        if stale && let Some(token) = self.write().get_mut(&id) {
            token.info.last_used_ms = Some(now_ms);
        }
        Some(identity)
    }

    pub fn get(&self, id: &str) -> Option<TokenInfo> {
        self.read().get(id).map(|known| known.info.clone())
    }

    /// In the order of their ids.
    pub fn list(&self) -> Vec<TokenInfo> {
        self.read().values().map(|known| known.info.clone()).collect()
    }

    /// The token is refused from now on.
    pub fn revoke(&self, id: &str) -> Result<(), CatalogError> {
        let mut known = self.write();
        if !known.contains_key(id) {
            return Err(CatalogError::NotFound(format!("token {id}")));
        }
        self.catalog.delete(&key_of(id))?;
        known.remove(id);
        Ok(())
    }

    /// Stores times of last use that are more than a minute newer than the stored ones, in one
    /// batch. Call it about every minute: requests never wait for it.
    pub fn maintain(&self) -> Result<(), CatalogError> {
        let mut known = self.write();
        let due = |token: &&mut Known| {
            let stored = token.stored_use_ms.unwrap_or(i64::MIN);
            token
                .info
                .last_used_ms
                .is_some_and(|at| at.saturating_sub(stored) >= LAST_USED_EVERY_MS)
        };
        let mut due: Vec<&mut Known> = known.values_mut().filter(due).collect();
        let record = |token: &&mut Known| {
            let record = Record { info: token.info.clone(), hash: hex(&token.hash) };
            put(&key_of(&token.info.id), &record)
        };
        let changes = due.iter().map(record).collect::<Result<Vec<Change>, _>>()?;
        if changes.is_empty() {
            return Ok(());
        }
        self.catalog.write(changes)?;
        due.iter_mut().for_each(|token| token.stored_use_ms = token.info.last_used_ms);
        Ok(())
    }

    fn mint(&self) -> String {
        let mut bytes = [0; SECRET_BYTES];
        self.random.fill(&mut bytes);
        format!("{PREFIX}{}", base64url(&bytes))
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Known>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Known>> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn is_expired(&self, now_ms: i64) -> bool {
        self.info.expires_ms.is_some_and(|at| at <= now_ms)
    }
}

fn key_of(id: &str) -> String {
    format!("{KEY_PREFIX}{id}")
}

fn hash_of(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn id_of(hash: &[u8; 32]) -> String {
    hex(&hash[..16])
}

/// RFC 4648 section 5, without padding.
fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut group = [0; 4];
        group[1..=chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes(group);
        for place in 0..=chunk.len() {
            text.push(char::from(LETTERS[(bits >> (18 - 6 * place)) as usize & 63]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_is_that_of_the_rfc() {
        for (bytes, text) in
            [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64url(bytes.as_bytes()), text);
        }
        assert_eq!(base64url(&[0xFB, 0xFF]), "-_8");
        assert_eq!(base64url(&[1; SECRET_BYTES]).len(), 43);
    }
}
