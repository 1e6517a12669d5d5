//! The operator's files, read together: the configurations of Prometheus and of Alertmanager, and the
//! folder of objects, whose sections are added to both and to the rules.
//!
//! Not here: rule files, which `rules` reads; what holds once files are read.
//! Invariants: an object that can't be used is told of, and stops nobody; a file that can't be used
//! leaves the others as they are.

use crate::config::Config;
use crate::objects::{ObjectsFolder, Reading, refused};
use crate::{alerting, rules, scraping};
use ::alerting::service::{LoadError, Loaded};
use ::rules::{FilesError, Group};
use kubernetes::{Derived, FolderError};
use scrape::config::ConfigError;
use scrape::discovery::Inventory;

/// Why a server does not start with these files.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OperatorFilesError {
    #[error("the configuration of Prometheus can't be used (prometheus.config_file)")]
    Prometheus(#[from] ConfigError),
    #[error("the configuration of Alertmanager is wrong")]
    Alertmanager(#[from] LoadError),
    #[error("rule files are wrong:\n{0}")]
    Rules(#[from] FilesError),
    #[error("the folder of objects can't be used (kubernetes.objects)")]
    Objects(#[from] FolderError),
}

/// What the files say.
#[derive(Debug)]
pub(crate) struct OperatorFiles {
    /// `None`: nothing is scraped.
    pub(crate) prometheus: Option<scrape::config::Config>,
    pub(crate) alerting: Loaded,
    pub(crate) objects: ReadObjects,
}

/// What the folder says.
#[derive(Debug)]
pub(crate) struct ReadObjects {
    pub(crate) reading: Reading,
    /// What became of the sections so far.
    pub(crate) derived: Derived,
    /// `None`: the folder could not be read, and what was found before holds on.
    pub(crate) inventory: Option<Inventory>,
    /// Rule groups, by the objects that they are of.
    pub(crate) groups: Vec<(String, Vec<Group>)>,
}

impl ReadObjects {
    fn new(config: &Config, reading: Reading, inventory: Option<Inventory>) -> Self {
        let mut derived = reading.derived();
        let groups = rules::of_objects(config, &mut derived);
        Self { reading, derived, inventory, groups }
    }

    /// Reads the folder. Blocking.
    pub(crate) fn read(config: &Config, folder: &ObjectsFolder) -> Result<Self, FolderError> {
        let (reading, inventory) = folder.read()?;
        Ok(Self::new(config, reading, Some(inventory)))
    }

    /// What was read before.
    pub(crate) fn last(config: &Config, folder: &ObjectsFolder) -> Self {
        Self::new(config, folder.last(), None)
    }

    /// Objects that can't be used and files that can't be read, one line each.
    pub(crate) fn refused(&self) -> Vec<String> {
        refused(&self.reading.mistakes, &self.derived.outcomes)
    }
}

impl OperatorFiles {
    /// Reads all of them, as a start and `check-config` do. Blocking.
    pub(crate) fn read(
        config: &Config,
        folder: &ObjectsFolder,
    ) -> Result<Self, OperatorFilesError> {
        let mut objects = ReadObjects::read(config, folder)?;
        let prometheus = scraping::read(config, folder, &mut objects.derived)?;
        let alerting = alerting::read(config, &mut objects.derived)?;
        rules::check(config, prometheus.as_ref())?;
        Ok(Self { prometheus, alerting, objects })
    }
}
