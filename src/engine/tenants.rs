//! The tenants of an engine.

use model::TenantId;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Tenants by name. No lock is held while one is opened, so that a slow disk delays only requests
/// for that tenant.
#[derive(Debug)]
pub(crate) struct Tenants<T>(RwLock<BTreeMap<TenantId, Arc<T>>>);

impl<T> Default for Tenants<T> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<T> Tenants<T> {
    pub(crate) fn get(&self, name: &TenantId) -> Option<Arc<T>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(crate) fn all(&self) -> Vec<Arc<T>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The tenant, opened if it is not known yet. If two threads open it at once, both get the one
    /// that was inserted first, so `open` must write nothing.
    pub(crate) fn get_or_open<E>(
        &self,
        name: &TenantId,
        open: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        if let Some(known) = self.get(name) {
            return Ok(known);
        }
        let opened = Arc::new(open()?);
        let mut tenants = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(tenants.entry(name.clone()).or_insert(opened)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_tenants_are_served_while_one_is_opened() {
        let tenants: Tenants<u32> = Tenants::default();
        let [slow, other] = ["slow", "other"].map(|name| TenantId::new(name).unwrap());
        let open_other = || Ok::<_, ()>(2);
        let open_slow = || {
            assert_eq!(tenants.get_or_open(&other, open_other).as_deref(), Ok(&2));
            assert_eq!(tenants.get_or_open(&slow, || Ok::<_, ()>(3)).as_deref(), Ok(&3));
            Ok::<_, ()>(1)
        };
        assert_eq!(
            tenants.get_or_open(&slow, open_slow).as_deref(),
            Ok(&3),
            "the first one is kept"
        );
        assert_eq!(tenants.all().len(), 2);
    }

    #[test]
    fn a_tenant_that_can_not_be_opened_is_tried_again() {
        let tenants: Tenants<u32> = Tenants::default();
        let name = TenantId::default_tenant();
        assert_eq!(tenants.get_or_open(&name, || Err("broken")).unwrap_err(), "broken");
        assert!(tenants.get(&name).is_none());
        assert_eq!(tenants.get_or_open(&name, || Ok::<_, ()>(1)).as_deref(), Ok(&1));
    }
}
