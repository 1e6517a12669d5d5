//! The Alertmanagers: their file is read, they begin when the stores are open and end before these close.

use crate::app::App;
use crate::config::Config;
use crate::stores::Machine;
use ::alerting::Sender;
use ::alerting::service::{Alertmanagers, LoadError, Loaded, Parts};
use protocols::AlertingServices;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::Handle;

#[derive(Debug, thiserror::Error)]
pub(crate) enum AlertingStartError {
    #[error("the configuration of Alertmanager is wrong")]
    Load(#[from] LoadError),
    #[error("can't open the file of silences and notifications")]
    Open(#[from] io::Error),
}

/// The file that the settings name.
fn config_file(config: &Config) -> Option<PathBuf> {
    let path = &config.alerting.alertmanager_config;
    (!path.as_os_str().is_empty()).then(|| path.clone())
}

/// What the file says; without one alerts are shown and nobody is told.
pub(crate) fn read(config: &Config) -> Result<Loaded, LoadError> {
    config_file(config).map_or_else(|| Ok(Loaded::without_file()), |path| Loaded::read(&path))
}

/// Begins. Blocking.
pub(crate) fn open(
    app: &App,
    machine: &Machine,
    runtime: Handle,
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
        loaded: read(&app.config)?,
        watchdog: (!name.is_empty()).then(|| (name.clone(), timeout_ms)),
        runtime,
    })?;
    Ok(AlertingServices { managers, config_file: config_file(&app.config) })
}
