//! Where alerts of rules go: to the Alertmanager of this server, and to those that the configuration of
//! Prometheus names (`alerting`).

use crate::app::App;
use ::alerting::service::Alertmanagers as Inside;
use ::alerting::{ForwardTarget, Forwarder};
use ::rules::AlertSink;
use model::{Alert, TenantId};
use protocols::Services;
use relabel::Rules;
use scrape::Alertmanagers as Discovered;
use scrape::config::{AlertmanagerConfig, Config};
use scrape::discovery::Watch;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often it is asked where the others are.
const LOOK_EACH: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct ToAlertmanagers {
    inside: Inside,
    services: Arc<Services>,
    /// Whose alerts leave the server: those of the tenant that the configuration is for.
    tenant: TenantId,
    forwarder: Forwarder,
    outside: Mutex<Outside>,
}

/// What the configuration of Prometheus says.
#[derive(Debug, Default)]
struct Outside {
    /// Rewrites and drops alerts, wherever they go.
    relabel: Rules,
    groups: Vec<(AlertmanagerConfig, Watch)>,
}

impl ToAlertmanagers {
    /// Needs a runtime.
    pub(crate) fn new(app: &App, inside: Inside) -> Arc<Self> {
        let forwarder = Forwarder::new(tokio::runtime::Handle::current(), Arc::clone(&app.clock));
        let (services, tenant) = (Arc::clone(&app.services), app.config.rules.tenant.0.clone());
        let outside = Mutex::default();
        let sink = Arc::new(Self { inside, services, tenant, forwarder, outside });
        let looking = Arc::downgrade(&sink);
        tokio::spawn(async move {
            while let Some(sink) = looking.upgrade() {
                sink.look();
                drop(sink);
                tokio::time::sleep(LOOK_EACH).await;
            }
        });
        sink
    }

    /// Takes the section over.
    pub(crate) fn configure(&self, config: Option<&Config>) {
        let alerting = config.map(|config| config.alerting.clone()).unwrap_or_default();
        let watched = |one: AlertmanagerConfig| {
            let watch = Watch::start("alerting", &one.discoveries);
            (one, watch)
        };
        let groups = alerting.alertmanagers.into_iter().map(watched).collect();
        *self.locked() = Outside { relabel: alerting.alert_relabel, groups };
        self.look();
    }

    /// Asks the discoveries where the others are.
    fn look(&self) {
        let (mut targets, mut urls, mut dropped) = (Vec::new(), Vec::new(), Vec::new());
        for (config, watch) in &self.locked().groups {
            let found = Discovered::new(config, &watch.found());
            urls.extend(found.urls.iter().map(ToString::to_string));
            dropped.extend(found.dropped);
            targets.extend(found.urls.into_iter().map(|url| ForwardTarget {
                url,
                http: config.http.clone(),
                relabel: config.alert_relabel.clone(),
                timeout: config.timeout.std(),
            }));
        }
        self.forwarder.set_targets(targets);
        self.services.show_alertmanagers(urls, dropped);
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Outside> {
        self.outside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn stop(&self, grace: Duration) {
        self.forwarder.stop(grace).await;
    }
}

impl AlertSink for ToAlertmanagers {
    fn send(&self, tenant: &TenantId, mut alerts: Vec<Alert>) {
        if *tenant == self.tenant {
            let relabel = self.locked().relabel.clone();
            alerts.retain_mut(|alert| match relabel.apply(&alert.labels) {
                Some(labels) => {
                    alert.labels = labels;
                    true
                }
                None => false,
            });
            self.forwarder.send(&alerts);
        }
        self.inside.put(tenant, alerts);
    }
}
