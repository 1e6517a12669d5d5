//! People with passwords, for basic authentication.
//!
//! A password costs argon2id once; agents that send the same one with every request are answered
//! from a cache. The cache holds, per user, an HMAC of user, password and the user's stored hash
//! under a key that this process drew; only successes enter it. A wrong password, an unknown user
//! and a first request all cost argon2id, so the response time reveals nothing, and no request can
//! put an entry into the cache that another password would match (the mistake of CVE-2022-46146).

use crate::access::{Identity, Scope, TenantAccess, check_name, hex, unhex};
use crate::catalog::Catalog;
use crate::{CatalogError, telemetry};
use argon2::{Algorithm, Argon2, Params, Version};
use platform::Random;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use subtle::ConstantTimeEq;

const KEY_PREFIX: &str = "users/";
const USERS_MAX: usize = 10_000;
/// OWASP's second recommendation of parameters: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const HASH_BYTES: usize = 32;
const SALT_BYTES: usize = 16;
const PASSWORD_LENGTH_MIN: usize = 8;
const PASSWORD_LENGTH_MAX: usize = 1_024;
/// One check at a time takes 19 MiB and about 30 ms. This many may wait, and further ones are
/// refused, so that guessing passwords can't exhaust memory or processors.
const WAITING_MAX: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserInfo {
    pub name: String,
    pub scopes: BTreeSet<Scope>,
    pub tenants: TenantAccess,
    pub created_ms: i64,
}

impl UserInfo {
    fn into_identity(self) -> Identity {
        let Self { name, scopes, tenants, .. } = self;
        Identity { name, scopes, tenants, expires_ms: None }
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Record {
    info: UserInfo,
    password: PasswordHash,
}

/// The parameters are stored beside the hash, so that stronger ones can be introduced later.
#[derive(Clone, Serialize, Deserialize)]
struct PasswordHash {
    algorithm: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
    hash: String,
}

/// All users, in memory and in the catalog.
pub struct Users {
    catalog: Arc<Catalog>,
    random: Arc<dyn Random>,
    cache_key: [u8; 32],
    /// Passwords of unknown users are compared with this, so that they take as long.
    nobody: PasswordHash,
    inner: Mutex<Inner>,
    checking: Mutex<()>,
    waiting: AtomicUsize,
}

#[derive(Default)]
struct Inner {
    users: BTreeMap<String, Record>,
    /// At most one entry per user, so the number of users bounds it.
    verified: BTreeMap<String, [u8; 32]>,
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Users({})", self.inner().users.len())
    }
}

impl Users {
    pub fn open(catalog: Arc<Catalog>, random: Arc<dyn Random>) -> Result<Self, CatalogError> {
        let users = catalog.scan::<Record>(KEY_PREFIX)?;
        let users = users.into_iter().map(|(_, record)| (record.info.name.clone(), record));
        let inner = Inner { users: users.collect(), verified: BTreeMap::new() };
        let mut cache_key = [0; 32];
        random.fill(&mut cache_key);
        let mut nothing = [0; 32];
        random.fill(&mut nothing);
        let nobody = PasswordHash::of(&hex(&nothing), random.as_ref())?;
        Ok(Self {
            catalog,
            random,
            cache_key,
            nobody,
            inner: Mutex::new(inner),
            checking: Mutex::new(()),
            waiting: AtomicUsize::new(0),
        })
    }

    /// Adds a user or replaces one.
    pub fn set(
        &self,
        name: &str,
        password: &str,
        scopes: BTreeSet<Scope>,
        tenants: TenantAccess,
        now_ms: i64,
    ) -> Result<UserInfo, CatalogError> {
        check_name(name)?;
        check_password(password)?;
        let hash = self.slowly(|| PasswordHash::of(password, self.random.as_ref()))?;
        let mut inner = self.inner();
        if inner.users.len() >= USERS_MAX && !inner.users.contains_key(name) {
            return Err(CatalogError::Invalid(format!("there are {USERS_MAX} users already")));
        }
        let created_ms = inner.users.get(name).map_or(now_ms, |old| old.info.created_ms);
        let info = UserInfo { name: name.to_owned(), scopes, tenants, created_ms };
        let record = Record { info: info.clone(), password: hash };
        self.catalog.put(&key_of(name), &record)?;
        inner.verified.remove(name);
        inner.users.insert(name.to_owned(), record);
        Ok(info)
    }

    pub fn remove(&self, name: &str) -> Result<(), CatalogError> {
        let mut inner = self.inner();
        if !inner.users.contains_key(name) {
            return Err(CatalogError::NotFound(format!("user {name}")));
        }
        self.catalog.delete(&key_of(name))?;
        inner.verified.remove(name);
        inner.users.remove(name);
        Ok(())
    }

    pub fn get(&self, name: &str) -> Option<UserInfo> {
        self.inner().users.get(name).map(|record| record.info.clone())
    }

    /// By name.
    pub fn list(&self) -> Vec<UserInfo> {
        self.inner().users.values().map(|record| record.info.clone()).collect()
    }

    /// The identity behind a password that was verified before, in some microseconds; `None` where
    /// [`Users::verify`] must tell.
    pub fn recognise(&self, name: &str, password: &str) -> Option<Identity> {
        if password.len() > PASSWORD_LENGTH_MAX {
            return None;
        }
        let (record, cached) = {
            let inner = self.inner();
            (inner.users.get(name).cloned()?, inner.verified.get(name).copied()?)
        };
        let is_known = cached.ct_eq(&self.proof(name, password, &record.password));
        bool::from(is_known).then(|| record.info.into_identity())
    }

    /// The identity; `None` for a wrong name or password. May take 30 ms of CPU: do not call it on
    /// the threads of an async runtime.
    pub fn verify(&self, name: &str, password: &str) -> Result<Option<Identity>, CatalogError> {
        if password.len() > PASSWORD_LENGTH_MAX {
            return Ok(None);
        }
        if let Some(known) = self.recognise(name, password) {
            return Ok(Some(known));
        }
        let record = self.inner().users.get(name).cloned();
        let stored = record.as_ref().map_or(&self.nobody, |record| &record.password);
        let is_right = self.slowly(|| stored.matches(password))?;
        let Some(record) = record.filter(|_| is_right) else { return Ok(None) };
        self.remember(&record, self.proof(name, password, &record.password));
        Ok(Some(record.info.into_identity()))
    }

    /// The proof contains the stored hash, so a proof for an old password never matches again. It
    /// is not cached if the user changed in the meantime.
    fn remember(&self, record: &Record, proof: [u8; 32]) {
        let mut inner = self.inner();
        let name = &record.info.name;
        let unchanged = |now: &Record| now.password.hash == record.password.hash;
        if inner.users.get(name).is_some_and(unchanged) {
            inner.verified.insert(name.clone(), proof);
        }
    }

    /// One at a time, with a bounded queue: argon2 takes memory and time on purpose.
    fn slowly<T>(&self, work: impl FnOnce() -> Result<T, CatalogError>) -> Result<T, CatalogError> {
        let _waiting = Waiting::enter(&self.waiting)?;
        let _one = self.checking.lock().unwrap_or_else(PoisonError::into_inner);
        telemetry::PASSWORD_CHECKS.increment();
        work()
    }

    fn proof(&self, name: &str, password: &str, stored: &PasswordHash) -> [u8; 32] {
        let mut message = codec::ByteWriter::default();
        message.text(name);
        message.text(password);
        message.text(&stored.salt);
        message.text(&stored.hash);
        hmac_sha256(&self.cache_key, &message.bytes)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue of password checks, released when dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize) -> Result<Self, CatalogError> {
        let place = Self(count);
        if count.fetch_add(1, SeqCst) >= WAITING_MAX {
            return Err(CatalogError::Busy);
        }
        Ok(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl PasswordHash {
    fn of(password: &str, random: &dyn Random) -> Result<Self, CatalogError> {
        let mut salt = [0; SALT_BYTES];
        random.fill(&mut salt);
        let mut made = Self {
            algorithm: "argon2id".to_owned(),
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            lanes: LANES,
            salt: hex(&salt),
            hash: String::new(),
        };
        made.hash = hex(&made.compute(password)?);
        Ok(made)
    }

    fn matches(&self, password: &str) -> Result<bool, CatalogError> {
        let stored =
            unhex(&self.hash).ok_or_else(|| self.unusable("its hash is not hexadecimal"))?;
        Ok(bool::from(stored.ct_eq(&self.compute(password)?)))
    }

    fn compute(&self, password: &str) -> Result<[u8; HASH_BYTES], CatalogError> {
        // The parameters come from the catalog: bound them before memory is allocated.
        if self.algorithm != "argon2id" || self.memory_kib > 1 << 20 || self.passes > 16 {
            return Err(self.unusable("its parameters are not known"));
        }
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(HASH_BYTES))
            .map_err(|_| self.unusable("its parameters are not allowed"))?;
        let salt = unhex(&self.salt).ok_or_else(|| self.unusable("its salt is not hexadecimal"))?;
        let mut hash = [0; HASH_BYTES];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(password.as_bytes(), &salt, &mut hash)
            .map_err(|_| self.unusable("argon2 refuses it"))?;
        Ok(hash)
    }

    fn unusable(&self, what: &str) -> CatalogError {
        CatalogError::damaged("password of a user", what)
    }
}

fn check_password(password: &str) -> Result<(), CatalogError> {
    let length = password.len();
    if (PASSWORD_LENGTH_MIN..=PASSWORD_LENGTH_MAX).contains(&length) {
        return Ok(());
    }
    let text = format!("a password has {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} bytes");
    Err(CatalogError::Invalid(text))
}

fn key_of(name: &str) -> String {
    format!("{KEY_PREFIX}{name}")
}

/// RFC 2104; the key is as long as half a block.
fn hmac_sha256(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let pad = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5C)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2, with its key padded with zeros as the algorithm does.
    #[test]
    fn hmac_is_that_of_the_rfc() {
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex(&hmac_sha256(&key, b"what do ya want for nothing?")), expected);
    }
}
