//! The configuration file of Prometheus, read as it is.
//!
//! Lives here: the whole file with its defaults and checks ([`Config`]): `global`, `job` (scrape_configs),
//! `alerting`, `remote_write`, `sections` (what Mirador reads and does otherwise or not yet), `protocols` (forms of
//! pages), `warnings`.
//! Jobs that stand elsewhere (objects of the Prometheus Operator) are added (`Config::add_jobs`).
//! Not here: what a discovery's section says (`discovery`), rules themselves, what becomes of any of it.
//! Invariants: what is not known is an error with its line; what is known and not done is a warning
//! with its line, never silent. Paths are relative to the folder of the file that names them.

mod alerting;
mod global;
mod job;
mod protocols;
mod remote_write;
mod sections;
#[cfg(test)]
mod tests;
mod warnings;

pub use alerting::{Alerting, AlertmanagerConfig};
pub use global::Global;
pub use job::{Job, Params};
pub use protocols::ScrapeProtocol;
pub use remote_write::{MetadataConfig, QueueConfig, RemoteWrite};
pub use warnings::Warning;

pub(crate) use job::http_config;
pub(crate) use protocols::{accept_header, format_of};
pub(crate) use warnings::Place;

use crate::discovery::LocalObjects;
use crate::fetch::Fetcher;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use yaml::{Fields, Node};

/// A configuration file is written by people.
const FILE_MAX: usize = 16 << 20;

/// Why a configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("can't read {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}, {error}")]
    Invalid { path: PathBuf, error: yaml::Error },
}

/// A whole configuration; the default is an empty file's.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub global: Global,
    /// Those of `scrape_config_files` too.
    pub jobs: Vec<Arc<Job>>,
    /// Patterns of paths, complete.
    pub rule_files: Vec<PathBuf>,
    pub alerting: Alerting,
    pub remote_write: Vec<RemoteWrite>,
    pub warnings: Vec<Warning>,
    /// The file as YAML, without secrets.
    pub text: String,
}

impl Config {
    /// Reads a file and those that it names.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = read_file(path)?;
        let invalid = |error| ConfigError::Invalid { path: path.to_owned(), error };
        let place = Place::new(path);
        let (mut config, files) = Self::read(&text, &place).map_err(invalid)?;
        config.add_files(&files)?;
        Ok(config)
    }

    #[cfg(test)]
    pub(crate) fn of_text(text: &str, path: &Path) -> Result<Self, yaml::Error> {
        Self::read(text, &Place::new(path)).map(|(config, _)| config)
    }

    /// The configuration, and the patterns of files with more jobs.
    fn read(text: &str, place: &Place) -> Result<(Self, Vec<PathBuf>), yaml::Error> {
        let node = Node::parse(text)?;
        let mut fields = node.fields("Prometheus configuration")?;
        let mut warnings = Vec::new();
        let global = Global::read(fields.take("global"), place, &mut warnings)?;
        let jobs = jobs(&mut fields, &global, place, &mut warnings)?;
        let rule_files = patterns(&mut fields, "rule_files", place)?;
        let files = patterns(&mut fields, "scrape_config_files", place)?;
        let alerting = Alerting::read(fields.take("alerting"), place, &mut warnings)?;
        let sections = fields.take("remote_write");
        let remote_write = remote_write::read(sections, place, &mut warnings)?;
        sections::read(&mut fields, place, &mut warnings)?;
        fields.end()?;
        let text = node.to_text();
        let config = Self { global, jobs, rule_files, alerting, remote_write, warnings, text };
        Ok((config, files))
    }

    /// Adds jobs that stand in another file, all or none of them. Where they look for targets in the
    /// cluster in which this server runs, they look among `local` instead, if it is given.
    pub fn add_jobs(
        &mut self,
        file: &Path,
        nodes: &[&Node],
        local: Option<&LocalObjects>,
    ) -> Result<Vec<Warning>, yaml::Error> {
        let (place, mut warnings, mut added) = (Place::new(file), Vec::new(), Vec::new());
        for node in nodes {
            let mut job = Job::read(node, &self.global, &place, &mut warnings)?;
            if self.jobs.iter().chain(&added).any(|other| other.name == job.name) {
                let message = format!("found multiple scrape configs with job name {:?}", job.name);
                return Err(node.error(message));
            }
            if let Some(local) = local {
                job.look_in(local);
            }
            // Asked here: when the configuration is taken over it would be an error of all jobs.
            Fetcher::new(&job).map_err(|error| node.error(error.to_string()))?;
            added.push(Arc::new(job));
        }
        self.jobs.extend(added);
        self.warnings.extend(warnings.iter().cloned());
        Ok(warnings)
    }

    fn add_files(&mut self, patterns: &[PathBuf]) -> Result<(), ConfigError> {
        let mut names: BTreeMap<String, String> =
            self.jobs.iter().map(|job| (job.name.clone(), "main config file".to_owned())).collect();
        for pattern in patterns {
            let unreadable = |source| ConfigError::Read { path: pattern.clone(), source };
            for path in
                platform::glob_outside(&pattern.display().to_string()).map_err(unreadable)?
            {
                let text = read_file(&path)?;
                self.add_file(&text, &path, &mut names)
                    .map_err(|error| ConfigError::Invalid { path: path.clone(), error })?;
            }
        }
        Ok(())
    }

    fn add_file(
        &mut self,
        text: &str,
        path: &Path,
        names: &mut BTreeMap<String, String>,
    ) -> Result<(), yaml::Error> {
        let (node, place) = (Node::parse(text)?, Place::new(path));
        let mut fields = node.fields("file of scrape_configs")?;
        for job in jobs(&mut fields, &self.global, &place, &mut self.warnings)? {
            if let Some(first) = names.get(&job.name) {
                let message = format!(
                    "found multiple scrape configs with job name {:?}, first found in {first}",
                    job.name
                );
                return Err(yaml::Error { line: job.line, column: 1, message });
            }
            names.insert(job.name.clone(), format!("{:?}", path.display()));
            self.jobs.push(job);
        }
        fields.end()
    }
}

fn read_file(path: &Path) -> Result<String, ConfigError> {
    platform::read_outside_text(path, FILE_MAX)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })
}

fn jobs(
    fields: &mut Fields<'_>,
    global: &Global,
    place: &Place,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Arc<Job>>, yaml::Error> {
    let mut jobs: Vec<Arc<Job>> = Vec::new();
    let Some(list) = fields.take("scrape_configs") else { return Ok(jobs) };
    for node in list.items()? {
        if node.is_null() {
            return Err(node.error("empty or null scrape config section"));
        }
        let job = Job::read(node, global, place, warnings)?;
        if jobs.iter().any(|other| other.name == job.name) {
            let message = format!("found multiple scrape configs with job name {:?}", job.name);
            return Err(node.error(message));
        }
        jobs.push(Arc::new(job));
    }
    Ok(jobs)
}

/// Patterns of paths, which may have wildcards in their last part only.
fn patterns(
    fields: &mut Fields<'_>,
    name: &'static str,
    place: &Place,
) -> Result<Vec<PathBuf>, yaml::Error> {
    let Some(list) = fields.take(name) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for node in list.items()? {
        let text: String = node.read()?;
        let folder = text.rsplit_once('/').map_or("", |(folder, _)| folder);
        if folder.contains('*') || text.is_empty() {
            let message = format!("invalid path {text:?}: `*` may only stand in its last part");
            return Err(node.error(message));
        }
        found.push(place.path(&text));
    }
    Ok(found)
}
