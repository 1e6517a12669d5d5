//! Values for single tenants.

use model::TenantId;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::BTreeMap;

/// A value for some tenants: `{ team-a = "7d", team-b = "1d" }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByTenant<T>(pub BTreeMap<TenantId, T>);

impl<T> Default for ByTenant<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> ByTenant<T> {
    pub fn get(&self, tenant: &TenantId) -> Option<&T> {
        self.0.get(tenant)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ByTenant<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let by_name = BTreeMap::<String, T>::deserialize(deserializer)?;
        let checked = by_name.into_iter().map(|(name, value)| {
            let tenant = TenantId::new(&name);
            tenant.map(|tenant| (tenant, value)).map_err(|error| {
                de::Error::custom(format!("{name:?} is no name of a tenant: {error}"))
            })
        });
        checked.collect::<Result<_, _>>().map(Self)
    }
}

impl<T: Serialize> Serialize for ByTenant<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(tenant, value)| (tenant.as_str(), value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, Serialize)]
    struct Section {
        sizes: ByTenant<u64>,
    }

    #[test]
    fn tenants_are_checked_and_come_back() {
        let section: Section = serde_json::from_str(r#"{"sizes":{"team-a":3}}"#).unwrap();
        assert_eq!(section.sizes.get(&TenantId::new("team-a").unwrap()), Some(&3));
        assert_eq!(serde_json::to_string(&section).unwrap(), r#"{"sizes":{"team-a":3}}"#);
        let error = serde_json::from_str::<Section>(r#"{"sizes":{"../a":3}}"#).unwrap_err();
        assert!(error.to_string().contains("is no name of a tenant"), "{error}");
    }
}
