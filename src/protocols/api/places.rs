//! Places for answers that take their time: so many for all tenants, and fewer for each one, whose clients
//! may all be slow.

use model::TenantId;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
pub(super) struct Places {
    all_max: usize,
    tenant_max: usize,
    taken: Mutex<BTreeMap<TenantId, usize>>,
}

/// All places are taken that there are, or that a tenant may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full {
    pub(super) limit: usize,
}

/// One of the places; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: &'static Places,
    tenant: TenantId,
}

impl Places {
    pub(super) const fn new(all_max: usize, tenant_max: usize) -> Self {
        Self { all_max, tenant_max, taken: Mutex::new(BTreeMap::new()) }
    }

    fn taken(&self) -> MutexGuard<'_, BTreeMap<TenantId, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take(&'static self, tenant: &TenantId) -> Result<Place, Full> {
        let mut taken = self.taken();
        if taken.values().sum::<usize>() >= self.all_max {
            return Err(Full { limit: self.all_max });
        }
        let own = taken.entry(tenant.clone()).or_default();
        if *own >= self.tenant_max {
            return Err(Full { limit: self.tenant_max });
        }
        *own += 1;
        Ok(Place { places: self, tenant: tenant.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if let Some(own) = taken.get_mut(&self.tenant) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tenant_does_not_get_all() {
        static PLACES: Places = Places::new(3, 2);
        let (one, other) = (TenantId::new("one").unwrap(), TenantId::new("other").unwrap());
        let taken = [PLACES.take(&one).unwrap(), PLACES.take(&one).unwrap()];
        assert_eq!(PLACES.take(&one).unwrap_err(), Full { limit: 2 });
        let third = PLACES.take(&other).unwrap();
        assert_eq!(PLACES.take(&other).unwrap_err(), Full { limit: 3 });
        drop((taken, third));
        PLACES.take(&one).unwrap();
        assert!(PLACES.taken().is_empty());
    }
}
