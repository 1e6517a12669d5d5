//! The Alertmanagers: their file is read, they begin when the stores are open and end before these close.

use crate::app::App;
use crate::config::Config;
use crate::objects::ObjectsFolder;
use crate::stores::Machine;
use ::alerting::Sender;
use ::alerting::service::{Alertmanagers, ConfigFile, LoadError, Loaded, Parts};
use kubernetes::Derived;
use protocols::{AlertingServices, AlertingSource};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::Handle;

#[derive(Debug, thiserror::Error)]
pub(crate) enum AlertingStartError {
    #[error("can't open the file of silences and notifications")]
    Open(#[from] io::Error),
}

/// The file that the settings name.
fn config_file(config: &Config) -> Option<PathBuf> {
    let path = &config.alerting.alertmanager_config;
    (!path.as_os_str().is_empty()).then(|| path.clone())
}

/// What the file says, with the routes and receivers of objects; without either alerts are shown and
/// nobody is told.
pub(crate) fn read(config: &Config, derived: &mut Derived) -> Result<Loaded, LoadError> {
    let file = config_file(config).map(|path| ConfigFile::read(&path)).transpose()?;
    let alone = file.as_ref().map_or_else(|| Ok(Loaded::without_file()), ConfigFile::load)?;
    // Each by itself first: one that is wrong must not hold up the others.
    for of in derived.alerting_objects() {
        if let Err(why) = with_objects(file.as_ref(), derived, &[of]) {
            derived.refuse(of, &why);
        }
    }
    let objects = derived.alerting_objects();
    match with_objects(file.as_ref(), derived, &objects) {
        Ok(together) => Ok(together.unwrap_or(alone)),
        Err(why) => {
            let why = format!("the AlertmanagerConfigs can't be used together: {why}");
            objects.iter().for_each(|of| derived.refuse(*of, &why));
            Ok(alone)
        }
    }
}

/// The configuration with what these objects add to it; `None` where they add nothing.
fn with_objects(
    file: Option<&ConfigFile>,
    derived: &Derived,
    objects: &[usize],
) -> Result<Option<Loaded>, String> {
    if objects.is_empty() {
        return Ok(None);
    }
    let node = derived.alerting(file.map(|file| &file.node), objects);
    let Some(node) = node.map_err(|error| error.to_string())? else { return Ok(None) };
    let combined = match file {
        Some(file) => ConfigFile { node, ..file.clone() },
        None => ConfigFile::without_file(node),
    };
    combined.load().map(Some).map_err(|error| match error {
        // Its line is the object's.
        LoadError::Config { source, .. } => source.to_string(),
        other => other.to_string(),
    })
}

/// Reads the configuration again for the Alertmanager's own API, with the objects that were read last.
#[derive(Debug)]
struct Source {
    config: Config,
    folder: Arc<ObjectsFolder>,
}

impl AlertingSource for Source {
    fn read(&self) -> Result<Loaded, LoadError> {
        let mut derived = self.folder.last().derived();
        let loaded = read(&self.config, &mut derived)?;
        self.folder.take_alerting(&derived);
        Ok(loaded)
    }
}

/// Begins. Blocking.
pub(crate) fn open(
    app: &App,
    machine: &Machine,
    runtime: Handle,
    loaded: Loaded,
) -> Result<AlertingServices, AlertingStartError> {
    let settings = &app.config.alerting;
    let external_url = match settings.external_url.is_empty() {
        true => format!("{}alertmanager", app.url()),
        false => settings.external_url.clone(),
    };
    let timeout_ms = i64::try_from(settings.watchdog_timeout.0.as_millis()).unwrap_or(i64::MAX);
    let name = &settings.watchdog_alert;
    let managers = Alertmanagers::open(Parts {
        clock: Arc::clone(&machine.clock),
        random: Arc::clone(&machine.random),
        disk: machine.disk.clone(),
        deliver: Arc::new(Sender::new(Arc::clone(&machine.clock), &external_url)),
        loaded,
        watchdog: (!name.is_empty()).then(|| (name.clone(), timeout_ms)),
        runtime,
    })?;
    let is_configured = config_file(&app.config).is_some() || app.objects.path().is_some();
    let source = Source { config: app.config.clone(), folder: Arc::clone(&app.objects) };
    let source = is_configured.then(|| Arc::new(source) as Arc<dyn AlertingSource>);
    Ok(AlertingServices { managers, source })
}
