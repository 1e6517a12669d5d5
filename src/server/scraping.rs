//! Scraping as the configuration of Prometheus says: started when the stores are open, stopped before they
//! close.

use crate::config::Config;
use crate::objects::ObjectsFolder;
use kubernetes::Derived;
use observe::Notice;
use platform::Clock;
use protocols::{MetricServices, Services};
use scrape::config::ConfigError;
use scrape::discovery::LocalObjects;
use scrape::{ApplyError, Destination, Manager};
use std::path::Path;
use std::sync::Arc;

/// The configuration of Prometheus with the jobs of objects. `None` where there is neither a file nor a
/// folder of objects.
pub(crate) fn read(
    config: &Config,
    folder: &ObjectsFolder,
    derived: &mut Derived,
) -> Result<Option<scrape::config::Config>, ConfigError> {
    let file = &config.protocols.prometheus.config_file;
    let mut read = match (file.as_os_str().is_empty(), folder.path()) {
        (false, _) => scrape::config::Config::load(file)?,
        (true, Some(_)) => scrape::config::Config::default(),
        (true, None) => return Ok(None),
    };
    add_jobs(&mut read, derived, folder.local());
    Ok(Some(read))
}

/// Adds the jobs of each object; of one that is wrong, none.
fn add_jobs(
    config: &mut scrape::config::Config,
    derived: &mut Derived,
    local: Option<&LocalObjects>,
) {
    let all = derived.jobs.clone();
    for jobs in all.chunk_by(|left, right| left.of == right.of) {
        let Some(of) = jobs.first().map(|job| job.of) else { continue };
        let Some(outcome) = derived.outcomes.get_mut(of) else { continue };
        let nodes: Vec<_> = jobs.iter().map(|job| &job.node).collect();
        match config.add_jobs(Path::new(&outcome.file), &nodes, local) {
            Ok(warnings) => outcome.warnings.extend(warnings.iter().map(ToString::to_string)),
            Err(error) => derived.refuse(of, &error.to_string()),
        }
    }
}

/// Begins to scrape, where something asks for it.
pub(crate) async fn start(
    services: &Services,
    metrics: &MetricServices,
    clock: &Arc<dyn Clock>,
    read: Option<scrape::config::Config>,
) -> Result<Option<Arc<Manager>>, ApplyError> {
    let Some(read) = read else { return Ok(None) };
    let tenant = model::TenantId::default_tenant();
    let destination = Destination {
        store: metrics.store.clone(),
        gateway: Arc::clone(&metrics.gateway),
        limits: *metrics.limits.of(&tenant),
        labels: services.metric_options.labels,
        tenant,
    };
    let host_name = &services.machine.host_name;
    let manager = Arc::new(Manager::new(destination, Arc::clone(clock), host_name));
    let loaded = manager.load(Ok(read)).await?;
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

/// Takes over what was read. After an error what was scraped is scraped on.
pub(crate) async fn reload(
    services: &Services,
    read: Result<Option<scrape::config::Config>, ConfigError>,
) -> Result<(), String> {
    let Some(manager) = services.scraping() else { return Ok(()) };
    let Some(read) = read.transpose() else { return Ok(()) };
    match manager.load(read).await {
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
