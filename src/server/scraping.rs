//! Scraping as the configuration of Prometheus says: started when the stores are open, stopped before they
//! close.

use crate::config::Config;
use observe::Notice;
use platform::Clock;
use protocols::{MetricServices, Services};
use scrape::config::ConfigError;
use scrape::{ApplyError, Destination, Manager};
use std::sync::Arc;

/// The configuration of Prometheus, where one is named.
pub(crate) fn read(config: &Config) -> Result<Option<scrape::config::Config>, ConfigError> {
    let file = &config.protocols.prometheus.config_file;
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    scrape::config::Config::load(file).map(Some)
}

/// Begins to scrape, where a configuration is named. It has been read before: an error here means that it
/// changed meanwhile.
pub(crate) async fn start(
    config: &Config,
    services: &Services,
    metrics: &MetricServices,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<Manager>>, ApplyError> {
    let file = &config.protocols.prometheus.config_file;
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    let tenant = model::TenantId::default_tenant();
    let destination = Destination {
        store: metrics.store.clone(),
        gateway: Arc::clone(&metrics.gateway),
        limits: *metrics.limits.of(&tenant),
        labels: services.metric_options.labels,
        tenant,
    };
    let host_name = &services.machine.host_name;
    let manager = Arc::new(Manager::new(file, destination, Arc::clone(clock), host_name));
    let loaded = manager.load().await?;
    tell(&loaded);
    services.open_scraping(Arc::clone(&manager));
    Ok(Some(manager))
}

/// What was asked for and is not done, line by line, and what is scraped.
fn tell(config: &scrape::config::Config) {
    for warning in &config.warnings {
        let (file, line) = (warning.file.display(), warning.line);
        Notice::warn(
            "the configuration of Prometheus asks for something that has no effect",
            &[("file", &file), ("line", &line), ("what", &warning.message)],
        );
    }
    Notice::info("scraping", &[("jobs", &config.jobs.len())]);
}

/// Reads the configuration again. After an error what was scraped is scraped on.
pub(crate) async fn reload(services: &Services) -> Result<(), String> {
    let Some(manager) = services.scraping() else { return Ok(()) };
    match manager.load().await {
        Ok(config) => {
            tell(&config);
            Ok(())
        }
        Err(error) => {
            let text =
                "the configuration of Prometheus can't be taken over, scraping goes on as it was";
            Notice::error(text, &[("error", &error)]);
            Err(error.to_string())
        }
    }
}
