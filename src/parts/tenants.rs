//! Lists the tenants that have stored data.

use crate::PartError;
use model::{Signal, TenantId};
use platform::Blobs;
use std::collections::BTreeSet;

/// The tenants with a manifest for this signal. Names that are not valid tenant names are ignored.
pub fn tenants_with(blobs: &dyn Blobs, signal: Signal) -> Result<BTreeSet<TenantId>, PartError> {
    let listed = blobs.list("manifests").map_err(PartError::io("manifests"))?;
    let tenant_of = |key: &str| {
        let mut names = key.split('/').skip(1);
        let tenant = TenantId::new(names.next()?).ok()?;
        (Signal::from_name(names.next()?) == Some(signal)).then_some(tenant)
    };
    Ok(listed.iter().filter_map(|blob| tenant_of(&blob.key)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::DiskBlobs;
    use platform::sim::SimDisk;
    use std::sync::Arc;

    #[test]
    fn a_tenant_is_listed_for_the_signals_it_has() {
        let blobs = DiskBlobs::open(Arc::new(SimDisk::new()), "blobs").unwrap();
        for key in ["manifests/a/logs/00000000000000000001", "manifests/b/probe/x", "manifests/c"] {
            blobs.put_new(key, b"").unwrap();
        }
        let named = |signal| -> Vec<String> {
            let tenants = tenants_with(&blobs, signal).unwrap();
            tenants.iter().map(TenantId::to_string).collect()
        };
        assert_eq!(named(Signal::Logs), ["a"]);
        assert_eq!(named(Signal::Probe), ["b"]);
        assert!(named(Signal::Metrics).is_empty());
    }
}
