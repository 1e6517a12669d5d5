//! The groups of all tenants, in memory and on the disk.
//!
//! Invariant: what a push or a delete was answered for is on the disk. A group's file is replaced as a
//! whole, before the group in memory is.

use super::file::{FILE_MAX, decode, encode};
use super::group::{Group, Push};
use super::page::{Families, PageFormat, kind_name, read};
use axum::body::Bytes;
use model::{ErrorKind, Labels, MetricKind, TenantId};
use observe::Notice;
use platform::Disk;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use wire::LabelLimits;
use xxhash_rust::xxh3::xxh3_128;

use crate::services::ServiceError;

const FOLDER: &str = "pushgateway";
const EXTENSION: &str = ".group";

/// The groups of one tenant, by their grouping keys.
pub(super) type Groups = BTreeMap<Labels, Arc<Group>>;

#[derive(Debug)]
pub(super) struct Table {
    disk: Arc<dyn Disk>,
    limits: LabelLimits,
    /// What all groups together may take.
    bytes_max: usize,
    bytes: usize,
    tenants: BTreeMap<TenantId, Groups>,
}

/// A push, as its request has it.
#[derive(Debug)]
pub(super) struct Pushed {
    pub(super) group: Labels,
    pub(super) format: PageFormat,
    pub(super) body: Bytes,
    /// PUT rather than POST.
    pub(super) replaces_all: bool,
    pub(super) time_ms: i64,
}

/// A group before and after a change, for what queries are to see of it.
#[derive(Debug)]
pub(super) struct Changed {
    pub(super) before: Option<Arc<Group>>,
    pub(super) after: Option<Arc<Group>>,
}

impl Table {
    /// Reads every group. A file that can't be read is named in the server's log, and left alone.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        limits: LabelLimits,
        bytes_max: usize,
    ) -> io::Result<Self> {
        let mut table = Self { disk, limits, bytes_max, bytes: 0, tenants: BTreeMap::new() };
        for folder in table.disk.list(FOLDER)? {
            let Ok(tenant) = TenantId::new(&folder.name) else { continue };
            for entry in table.disk.list(&format!("{FOLDER}/{tenant}"))? {
                if entry.name.ends_with(EXTENSION) {
                    table.load(&tenant, &format!("{FOLDER}/{tenant}/{}", entry.name))?;
                }
            }
        }
        Ok(table)
    }

    fn load(&mut self, tenant: &TenantId, path: &str) -> io::Result<()> {
        let bytes = self.disk.read_all(path, FILE_MAX)?;
        match decode(&bytes, &self.limits) {
            Ok(group) => {
                self.bytes += group.bytes();
                let groups = self.tenants.entry(tenant.clone()).or_default();
                groups.insert(group.labels.clone(), Arc::new(group));
            }
            Err(error) => {
                let text = "a group of the Pushgateway can't be read and is left out";
                Notice::warn(text, &[("file", &path), ("error", &error)]);
            }
        }
        Ok(())
    }

    pub(super) fn groups(&self, tenant: &TenantId) -> Vec<Arc<Group>> {
        self.tenants.get(tenant).map_or(Vec::new(), |groups| groups.values().cloned().collect())
    }

    /// Every group with its tenant.
    pub(super) fn all(&self) -> Vec<(TenantId, Vec<Arc<Group>>)> {
        self.tenants.keys().map(|tenant| (tenant.clone(), self.groups(tenant))).collect()
    }

    /// Applies a push. A refused one is noted in the group, if that is there.
    pub(super) fn push(
        &mut self,
        tenant: &TenantId,
        pushed: Pushed,
    ) -> Result<Changed, ServiceError> {
        let (key, time_ms) = (pushed.group.clone(), pushed.time_ms);
        match self.checked(tenant, pushed) {
            Ok(group) => self.put(tenant, group),
            Err(error) => {
                if error.kind == ErrorKind::Invalid {
                    self.note_failure(tenant, &key, time_ms)?;
                }
                Err(error)
            }
        }
    }

    fn checked(&self, tenant: &TenantId, pushed: Pushed) -> Result<Group, ServiceError> {
        let Pushed { group: key, format, body, replaces_all, time_ms } = pushed;
        let invalid = |why: String| {
            let text =
                format!("pushed metrics are invalid or inconsistent with existing metrics: {why}");
            ServiceError::new(ErrorKind::Invalid, text)
        };
        let families = read(format, &body, &key, &self.limits, time_ms).map_err(invalid)?;
        self.check_kinds(tenant, &key, &families).map_err(invalid)?;
        let live = families.keys().cloned().collect();
        let push = Push { time_ms, format, body, live };
        let old = self.tenants.get(tenant).and_then(|groups| groups.get(&key)).cloned();
        let old = old.unwrap_or_else(|| Arc::new(Group::new(key)));
        Ok(old.pushed(push, families, replaces_all))
    }

    /// A metric has one type in all groups.
    fn check_kinds(
        &self,
        tenant: &TenantId,
        key: &Labels,
        families: &Families,
    ) -> Result<(), String> {
        let groups = self.tenants.get(tenant).into_iter().flatten();
        for (_, group) in groups.filter(|(other, _)| *other != key) {
            for (name, family) in families {
                let known =
                    group.families.get(name).map_or(MetricKind::Unknown, |known| known.kind);
                let is_told = known != MetricKind::Unknown && family.kind != MetricKind::Unknown;
                if is_told && known != family.kind {
                    return Err(format!(
                        "the metric \"{name}\" has type {}, and type {} in the group {}",
                        kind_name(family.kind),
                        kind_name(known),
                        group.labels,
                    ));
                }
            }
        }
        Ok(())
    }

    fn put(&mut self, tenant: &TenantId, group: Group) -> Result<Changed, ServiceError> {
        let before = self.tenants.get(tenant).and_then(|groups| groups.get(&group.labels)).cloned();
        let freed = before.as_ref().map_or(0, |group| group.bytes());
        let bytes = self.bytes - freed + group.bytes();
        if bytes > self.bytes_max && group.bytes() > freed {
            let text = format!(
                "the groups of the Pushgateway would take more than {} bytes: delete those that \
                 are not needed any more, or raise pushgateway.max_size",
                self.bytes_max
            );
            return Err(ServiceError::new(ErrorKind::Limit, text));
        }
        self.write(tenant, &group)?;
        self.bytes = bytes;
        let after = Arc::new(group);
        let groups = self.tenants.entry(tenant.clone()).or_default();
        groups.insert(after.labels.clone(), Arc::clone(&after));
        Ok(Changed { before, after: Some(after) })
    }

    fn note_failure(
        &mut self,
        tenant: &TenantId,
        key: &Labels,
        time_ms: i64,
    ) -> Result<(), ServiceError> {
        let Some(known) = self.tenants.get(tenant).and_then(|groups| groups.get(key)) else {
            return Ok(());
        };
        let group = Group { failure_ms: time_ms, ..Group::clone(known) };
        self.put(tenant, group).map(|_| ())
    }

    /// Removes a group; that it is not there is fine.
    pub(super) fn delete(
        &mut self,
        tenant: &TenantId,
        key: &Labels,
    ) -> Result<Changed, ServiceError> {
        let known = self.tenants.get_mut(tenant).and_then(|groups| groups.get(key)).cloned();
        let Some(group) = known else { return Ok(Changed { before: None, after: None }) };
        let path = path_of(tenant, key);
        let removed = self.disk.remove(&path).and_then(|()| self.disk.sync_dir(&folder_of(tenant)));
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&error)),
            _ => {}
        }
        self.bytes -= group.bytes();
        if let Some(groups) = self.tenants.get_mut(tenant) {
            groups.remove(key);
        }
        Ok(Changed { before: Some(group), after: None })
    }

    fn write(&self, tenant: &TenantId, group: &Group) -> Result<(), ServiceError> {
        let folder = folder_of(tenant);
        let written = self
            .disk
            .create_dirs(&folder)
            .and_then(|()| self.disk.replace(&path_of(tenant, &group.labels), &encode(group)));
        written.map_err(|error| failed(&error))
    }
}

fn failed(error: &io::Error) -> ServiceError {
    let text = format!("the group can't be written to the disk: {error}: push again");
    ServiceError::new(ErrorKind::Overloaded, text)
}

fn folder_of(tenant: &TenantId) -> String {
    format!("{FOLDER}/{tenant}")
}

fn path_of(tenant: &TenantId, key: &Labels) -> String {
    format!("{}/{:032x}{EXTENSION}", folder_of(tenant), xxh3_128(key.as_bytes()))
}
