//! The keys of parts and manifests among the blobs. Only validated names enter a key.

use model::{Signal, TenantId, Ulid};

const SUFFIX: &str = ".part";

pub(crate) fn parts_prefix(tenant: &TenantId, signal: Signal) -> String {
    format!("parts/{tenant}/{signal}")
}

/// `parts/<tenant>/<signal>/<ULID>.part`
pub fn part_key(tenant: &TenantId, signal: Signal, id: Ulid) -> String {
    format!("{}/{id}{SUFFIX}", parts_prefix(tenant, signal))
}

pub(crate) fn part_id_of(key: &str) -> Option<Ulid> {
    Ulid::parse(key.rsplit('/').next()?.strip_suffix(SUFFIX)?)
}

pub(crate) fn manifests_prefix(tenant: &TenantId, signal: Signal) -> String {
    format!("manifests/{tenant}/{signal}")
}

/// `manifests/<tenant>/<signal>/<20-digit generation>`
pub fn manifest_key(tenant: &TenantId, signal: Signal, generation: u64) -> String {
    format!("{}/{generation:020}", manifests_prefix(tenant, signal))
}

pub(crate) fn generation_of(key: &str) -> Option<u64> {
    let name = key.rsplit('/').next()?;
    (name.len() == 20 && name.bytes().all(|b| b.is_ascii_digit())).then(|| name.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back() {
        let tenant = TenantId::default_tenant();
        let key = part_key(&tenant, Signal::Logs, Ulid(7));
        assert_eq!(key, "parts/default/logs/00000000000000000000000007.part");
        assert_eq!(part_id_of(&key), Some(Ulid(7)));
        let key = manifest_key(&tenant, Signal::Logs, u64::MAX);
        assert_eq!(generation_of(&key), Some(u64::MAX));
        assert_eq!(generation_of("manifests/default/logs/99999999999999999999"), None);
        assert_eq!(generation_of("manifests/default/logs/1"), None);
    }
}
