//! SIGHUP: takes over what can be changed while the server runs, and says what can't.
//!
//! The certificate of TLS, the configurations of Prometheus and of Alertmanager, the rule files and the folder
//! of objects are read again. Tokens and users need no signal: their changes hold at once.
//! Every other setting is used where it was passed at start, so a change of it waits for a restart, which is
//! said by name.

use crate::app::App;
use crate::config::{Config, ConfigError};
use crate::http::tls::Certificate;
use crate::http::{Call, reply};
use crate::operator_files::ReadObjects;
use crate::{alerting, scraping, sending};
use ::alerting::service::{LoadError, Loaded};
use axum::http::StatusCode;
use axum::response::Response;
use model::ErrorKind;
use observe::Notice;
use protocols::Services;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::signal::unix::Signal;

/// Reads the settings as at start.
pub(crate) type ReadConfig = Box<dyn Fn() -> Result<Config, ConfigError> + Send>;

/// Acts on each signal; ends when its task is dropped.
pub(crate) async fn on_hangup(
    mut hangup: Signal,
    app: Arc<App>,
    certificate: Option<Certificate>,
    read: ReadConfig,
) {
    while hangup.recv().await.is_some() {
        if let Some(certificate) = &certificate {
            reload_certificate(certificate);
        }
        // Their own log lines tell how it went.
        let _ = operators_files(&app).await;
        match read() {
            Ok(found) => report(&changed(&app.config, &found)),
            Err(error) => {
                let text =
                    "SIGHUP: the settings can't be read, the server goes on with those it has";
                Notice::error(text, &[("error", &error)]);
            }
        }
    }
}

/// Reads the operator's files again: the configurations of Prometheus and of Alertmanager, the rule files,
/// and the folder of objects. What is wrong changes nothing, and is told.
async fn operators_files(app: &Arc<App>) -> Vec<String> {
    let _alone = app.reloading.lock().await;
    let reading = Arc::clone(app);
    let Ok(files) = tokio::task::spawn_blocking(move || Files::read(&reading)).await else {
        // The panic hook has reported it.
        return vec!["a mistake in this program; the server's log says more".to_owned()];
    };
    let Files { prometheus, alerting, mut objects, mut wrong } = files;
    let scraping = scraping::reload(&app.services, prometheus).await;
    if let (Ok(()), Some(local)) = (&scraping, app.objects.local())
        && let Some(inventory) = objects.inventory.take()
    {
        local.replace(inventory);
    }
    wrong.extend(scraping.err());
    let scraped = app.services.scraping().and_then(|scraping| scraping.config());
    if let Some(rules) = app.rules() {
        let reloaded = rules.reload(&app.config, scraped.as_deref(), objects.groups).await;
        wrong.extend(reloaded.err().map(|error| error.to_string()));
    }
    if let Some(sink) = app.alert_sink() {
        sink.configure(scraped.as_deref());
    }
    wrong.extend(sending::reload(app).await.err());
    wrong.extend(reload_alerting(&app.services, alerting).err());
    app.objects.take(objects.reading, objects.derived, wrong.clone());
    wrong
}

/// What the files say, each for itself.
struct Files {
    prometheus: Result<Option<scrape::config::Config>, scrape::config::ConfigError>,
    alerting: Result<Loaded, LoadError>,
    objects: ReadObjects,
    wrong: Vec<String>,
}

impl Files {
    /// Where the folder of objects can't be read, its objects stay as they are.
    fn read(app: &App) -> Self {
        let (config, folder) = (&app.config, &*app.objects);
        let mut wrong = Vec::new();
        let mut objects = ReadObjects::read(config, folder).unwrap_or_else(|error| {
            let text = "the folder of objects can't be read, its objects stay as they are";
            Notice::error(text, &[("error", &error)]);
            wrong.push(error.to_string());
            ReadObjects::last(config, folder)
        });
        let prometheus = scraping::read(config, folder, &mut objects.derived);
        let alerting = alerting::read(config, &mut objects.derived);
        Self { prometheus, alerting, objects, wrong }
    }
}

/// `POST /-/reload`
pub(crate) async fn request(app: Arc<App>, _: Call) -> Response {
    if app.rules().is_none() {
        return reply::error(ErrorKind::Overloaded, "the server is starting");
    }
    match operators_files(&app).await {
        wrong if wrong.is_empty() => {
            let refused = app.objects.shown().refused();
            reply::json(StatusCode::OK, &json!({ "status": "reloaded", "refused": refused }))
        }
        wrong => {
            let text = format!("not everything was taken over: {}", wrong.join("; "));
            reply::error(ErrorKind::Invalid, &text)
        }
    }
}

fn reload_alerting(services: &Services, read: Result<Loaded, LoadError>) -> Result<(), String> {
    let Ok(alerting) = services.alerting() else { return Ok(()) };
    if alerting.source.is_none() {
        return Ok(());
    }
    match read {
        Ok(loaded) => {
            alerting.managers.reload(loaded);
            Notice::info("the configuration of Alertmanager was read again", &[]);
            Ok(())
        }
        Err(error) => {
            let text = "the configuration of Alertmanager is wrong, the one before it holds on";
            Notice::error(text, &[("error", &error)]);
            Err(error.to_string())
        }
    }
}

fn reload_certificate(certificate: &Certificate) {
    match certificate.reload() {
        Ok(()) => Notice::info("SIGHUP: the certificate was read again", &[]),
        Err(error) => {
            let text =
                "SIGHUP: the certificate can't be read, the server goes on with the one it has";
            Notice::error(text, &[("error", &error)]);
        }
    }
}

fn report(changed: &[String]) {
    if changed.is_empty() {
        return Notice::info("SIGHUP: no setting has changed", &[]);
    }
    let names = changed.join(", ");
    let text = "SIGHUP: settings have changed that are only taken over by a restart";
    Notice::warn(text, &[("settings", &names)]);
}

/// The names of settings that differ.
fn changed(running: &Config, found: &Config) -> Vec<String> {
    let running: BTreeMap<String, String> = running.flat().into_iter().collect();
    let differs = |(name, value): &(String, String)| running.get(name) != Some(value);
    found.flat().into_iter().filter(differs).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AuthMode;

    #[test]
    fn changed_settings_are_named() {
        let (running, mut found) = (Config::default(), Config::default());
        assert!(changed(&running, &found).is_empty());
        found.auth.mode = AuthMode::On;
        found.limits.connections = 7;
        assert_eq!(changed(&running, &found), ["auth.mode", "limits.connections"]);
    }
}
