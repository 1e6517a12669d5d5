//! Rule groups that came through the API, kept in the catalog: each durable before it is acknowledged.
//!
//! Invariant: what the book holds was read and checked before; groups of one language do not show in
//! the API of another.

use crate::definition::{Group, GroupKey, Origin};
use crate::language::{Language, Languages};
use crate::read::{FileError, read_group};
use crate::write::group_to_yaml;
use catalog::{Catalog, CatalogError, Change};
use model::{ErrorKind, TenantId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

const PREFIX: &str = "rules/";
/// Of one tenant in one language.
const GROUPS_MAX: usize = 1_000;
const RULES_MAX: usize = 1_000;
/// Names of namespaces and groups.
const NAME_MAX: usize = 1_024;

/// Groups by namespace.
pub type Namespaces = BTreeMap<String, Vec<Group>>;

/// A group as the book has it, or why it can't be read.
pub(crate) type Stored = Result<(GroupKey, Group), String>;

#[derive(Debug)]
pub struct RuleBook {
    catalog: Arc<Catalog>,
    languages: Languages,
}

/// As it stands in the catalog.
#[derive(Serialize, Deserialize)]
struct Record {
    tenant: String,
    namespace: String,
    /// The group as YAML, with the language of each rule.
    group: String,
}

#[derive(Debug, thiserror::Error)]
pub enum BookError {
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Group(Vec<FileError>),
    #[error("{0}")]
    Limit(String),
    #[error("{0}")]
    NotFound(&'static str),
    #[error("a mistake in this program: {0}")]
    Panicked(String),
    #[error("the rules could not be stored: {0}")]
    Catalog(#[from] CatalogError),
}

impl BookError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Group(_) => ErrorKind::Invalid,
            Self::Limit(_) => ErrorKind::Limit,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Panicked(_) => ErrorKind::Bug,
            Self::Catalog(_) => ErrorKind::Io,
        }
    }
}

/// Names may be any text and any length, keys may not.
fn key(tenant: &TenantId, language: Language, namespace: &str, group: &str) -> String {
    let short = |text: &str| {
        let digest = Sha256::digest(text.as_bytes());
        digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    format!("{}{}/{}", prefix(tenant, language), short(namespace), short(group))
}

fn prefix(tenant: &TenantId, language: Language) -> String {
    format!("{PREFIX}{}/{tenant}/", language.as_str())
}

impl RuleBook {
    pub fn new(catalog: Arc<Catalog>, languages: Languages) -> Self {
        Self { catalog, languages }
    }

    fn languages(&self, default: Language) -> Languages {
        Languages { default, ..self.languages.clone() }
    }

    /// Stores a group in the place of one of the same name. `text`: the group as YAML.
    pub fn put(
        &self,
        tenant: &TenantId,
        language: Language,
        namespace: &str,
        text: &str,
    ) -> Result<(), BookError> {
        let group = read_group(text, &self.languages(language)).map_err(BookError::Group)?;
        check_size(namespace, &group)?;
        let key = key(tenant, language, namespace, &group.name);
        let known: Vec<(String, Record)> = self.catalog.scan(&prefix(tenant, language))?;
        if known.len() >= GROUPS_MAX && known.iter().all(|(other, _)| *other != key) {
            let text = format!("a tenant may have {GROUPS_MAX} rule groups: delete some first");
            return Err(BookError::Limit(text));
        }
        let record = Record {
            tenant: tenant.to_string(),
            namespace: namespace.to_owned(),
            group: group_to_yaml(&group, Language::Promql),
        };
        Ok(self.catalog.put(&key, &record)?)
    }

    pub fn delete_group(
        &self,
        tenant: &TenantId,
        language: Language,
        (namespace, group): (&str, &str),
    ) -> Result<(), BookError> {
        let key = key(tenant, language, namespace, group);
        match self.catalog.get::<Record>(&key)? {
            Some(_) => Ok(self.catalog.delete(&key)?),
            None => Err(BookError::NotFound("group does not exist")),
        }
    }

    /// Deletes all groups of a namespace.
    pub fn delete_namespace(
        &self,
        tenant: &TenantId,
        language: Language,
        namespace: &str,
    ) -> Result<(), BookError> {
        let known: Vec<(String, Record)> = self.catalog.scan(&prefix(tenant, language))?;
        let of_namespace = known.into_iter().filter(|(_, record)| record.namespace == namespace);
        let changes: Vec<Change> = of_namespace.map(|(key, _)| Change::Delete(key)).collect();
        match changes.is_empty() {
            true => Err(BookError::NotFound("namespace does not exist")),
            false => Ok(self.catalog.write(changes)?),
        }
    }

    pub fn namespaces(
        &self,
        tenant: &TenantId,
        language: Language,
    ) -> Result<Namespaces, BookError> {
        let known: Vec<(String, Record)> = self.catalog.scan(&prefix(tenant, language))?;
        let mut namespaces = Namespaces::new();
        for (_, record) in known {
            let group = self.group(&record)?;
            namespaces.entry(record.namespace).or_default().push(group);
        }
        for groups in namespaces.values_mut() {
            groups.sort_by(|left, right| left.name.cmp(&right.name));
        }
        Ok(namespaces)
    }

    fn group(&self, record: &Record) -> Result<Group, BookError> {
        read_group(&record.group, &self.languages(Language::Promql)).map_err(BookError::Group)
    }

    /// All groups of a language, of all tenants. Those that can't be read any more, because a later
    /// version reads less, are answered with the reason.
    pub(crate) fn all(&self, language: Language) -> Result<Vec<Stored>, BookError> {
        let prefix = format!("{PREFIX}{}/", language.as_str());
        let known: Vec<(String, Record)> = self.catalog.scan(&prefix)?;
        let read = |record: Record| {
            let tenant = TenantId::new(&record.tenant).map_err(|error| error.to_string())?;
            let group = self.group(&record).map_err(|error| error.to_string())?;
            let (file, name) = (record.namespace, group.name.clone());
            Ok((GroupKey { tenant, origin: Origin::Api(language), file, name }, group))
        };
        Ok(known.into_iter().map(|(_, record)| read(record)).collect())
    }
}

fn check_size(namespace: &str, group: &Group) -> Result<(), BookError> {
    let limit = |what: &str, most: usize| Err(BookError::Limit(format!("{what}: at most {most}")));
    if group.rules.len() > RULES_MAX {
        return limit("the group has too many rules", RULES_MAX);
    }
    if namespace.len().max(group.name.len()) > NAME_MAX {
        return limit("the bytes of a name of a namespace or group are too many", NAME_MAX);
    }
    Ok(())
}
