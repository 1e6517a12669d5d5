//! The folder of objects of the Prometheus Operator: when it is read, and what became of each object.
//!
//! Not here: what the sections of objects do. Who reads them (`scraping`, `rules`, `alerting`) tells what it
//! can't use, and that becomes the outcome of the object.

use crate::config::{Config, TargetsFrom};
use kubernetes::{Derived, FolderError, Objects, Options, Outcome, Verdict, derive};
use observe::Notice;
use scrape::discovery::{Inventory, LocalObjects, is_in_cluster};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The folder, and what was taken over of it last.
#[derive(Debug)]
pub(crate) struct ObjectsFolder {
    /// `None`: there is none.
    folder: Option<PathBuf>,
    namespace: String,
    options: Options,
    /// What monitors look in. `None`: they ask the cluster.
    local: Option<LocalObjects>,
    taken: Mutex<Taken>,
}

/// What was read at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    /// As the objects say, before anybody has read their sections.
    derived: Derived,
    pub(crate) mistakes: Vec<String>,
}

/// What is shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken {
    reading: Reading,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) mistakes: Vec<String>,
    /// Why the last reload did not take everything over.
    pub(crate) wrong: Vec<String>,
}

impl ObjectsFolder {
    pub(crate) fn new(config: &Config) -> Self {
        let settings = &config.kubernetes;
        let asks_cluster = match settings.targets_from {
            TargetsFrom::Auto => is_in_cluster(),
            TargetsFrom::Cluster => true,
            TargetsFrom::Files => false,
        };
        Self {
            folder: Some(settings.objects.clone()).filter(|path| !path.as_os_str().is_empty()),
            namespace: settings.namespace.clone(),
            options: Options { binds_alerts_to_namespace: settings.bind_alerts_to_namespace },
            local: (!asks_cluster).then(LocalObjects::default),
            taken: Mutex::default(),
        }
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// `None` where monitors ask the cluster.
    pub(crate) fn local(&self) -> Option<&LocalObjects> {
        self.local.as_ref()
    }

    /// Reads the folder: what its objects say, and those in which targets are found. Blocking.
    pub(crate) fn read(&self) -> Result<(Reading, Inventory), FolderError> {
        let Some(folder) = &self.folder else { return Ok(Default::default()) };
        let objects = Objects::read_folder(folder, &self.namespace)?;
        let mut derived = derive(&objects, &self.options);
        let mut inventory = Inventory::default();
        // There is one outcome for each object, in their order.
        for (of, object) in objects.iter().enumerate() {
            let found = derived.outcomes.get(of).map(|outcome| &outcome.verdict);
            if self.local.is_none() || found != Some(&Verdict::Discovered) {
                continue;
            }
            if let Err(error) = inventory.add(&object.kind, &object.namespace, &object.node) {
                derived.refuse(of, &error.to_string());
            }
        }
        Ok((Reading { derived, mistakes: objects.mistakes }, inventory))
    }

    /// What was read last.
    pub(crate) fn last(&self) -> Reading {
        self.locked().reading.clone()
    }

    /// What became of the objects; `wrong`: what was not taken over beside them.
    pub(crate) fn take(&self, reading: Reading, derived: Derived, wrong: Vec<String>) {
        if self.folder.is_some() {
            tell(&reading.mistakes, &derived.outcomes);
        }
        let mistakes = reading.mistakes.clone();
        *self.locked() = Taken { reading, outcomes: derived.outcomes, mistakes, wrong };
    }

    /// The configuration of the Alertmanager was read by itself: what it says of the objects.
    pub(crate) fn take_alerting(&self, derived: &Derived) {
        for (shown, found) in self.locked().outcomes.iter_mut().zip(&derived.outcomes) {
            if shown.kind == "AlertmanagerConfig" {
                shown.clone_from(found);
            }
        }
    }

    pub(crate) fn shown(&self) -> Taken {
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reading {
    pub(crate) fn derived(&self) -> Derived {
        self.derived.clone()
    }
}

impl Taken {
    pub(crate) fn refused(&self) -> Vec<String> {
        refused(&self.mistakes, &self.outcomes)
    }
}

/// Objects that can't be used and files that can't be read, one line each.
pub(crate) fn refused(mistakes: &[String], outcomes: &[Outcome]) -> Vec<String> {
    let refused = outcomes.iter().filter_map(|outcome| match &outcome.verdict {
        Verdict::Refused(why) => Some(format!("{} {}: {why}", outcome.kind, outcome.name)),
        _ => None,
    });
    mistakes.iter().cloned().chain(refused).collect()
}

fn tell(mistakes: &[String], outcomes: &[Outcome]) {
    for mistake in mistakes {
        Notice::warn("a file of objects is wrong, or a part of it", &[("error", mistake)]);
    }
    let mut used = 0;
    for outcome in outcomes {
        let Outcome { kind, namespace, name, .. } = outcome;
        match &outcome.verdict {
            Verdict::Became(_) => used += 1,
            Verdict::Refused(why) => Notice::warn(
                "an object can't be used",
                &[("kind", kind), ("namespace", namespace), ("name", name), ("error", why)],
            ),
            _ => {}
        }
    }
    Notice::info("objects are read", &[("objects", &outcomes.len()), ("used", &used)]);
}
