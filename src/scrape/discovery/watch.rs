//! Asks discoveries again and again, and tells when what they know has changed.

use super::asking::client;
use super::{Discovery, DiscoveryError, Group, LocalObjects};
use observe::{CounterFamily, Notice};
use outbound::Client;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch::{Receiver, Sender, channel};
use tokio::task::JoinSet;

pub(crate) static FAILURES: CounterFamily = CounterFamily::new(
    "mirador_discovery_failures_total",
    "Discoveries of targets that failed; what they found last is used on. By kind.",
    &["kind"],
);

/// A discovery is not asked more often, whatever its interval says.
const REFRESH_MIN: Duration = Duration::from_secs(1);

/// What all discoveries of a job know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Those of each discovery, in the order of the configuration.
    groups: Vec<Arc<Vec<Group>>>,
    /// Why a discovery could not be asked last, by its kind.
    pub failures: Vec<(&'static str, String)>,
}

impl Found {
    /// Whether no discovery has found anything yet.
    pub fn is_empty(&self) -> bool {
        self.groups.iter().all(|groups| groups.is_empty())
    }

    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter().flat_map(|groups| groups.iter())
    }
}

/// What one discovery knows.
#[derive(Clone, Debug, Default)]
struct Known {
    kind: &'static str,
    groups: Arc<Vec<Group>>,
    failure: Option<String>,
}

/// Discoveries at work; dropping it ends them.
#[derive(Debug)]
pub struct Watch {
    known: Receiver<Vec<Known>>,
    _tasks: JoinSet<()>,
}

impl Watch {
    /// Needs a runtime. Static groups are known at once.
    pub fn start(job: &str, discoveries: &[Discovery]) -> Self {
        let begin = |discovery: &Discovery| Known {
            kind: discovery.kind(),
            groups: Arc::new(match discovery {
                Discovery::Static(groups) => groups.clone(),
                _ => Vec::new(),
            }),
            failure: None,
        };
        let (sender, known) = channel(discoveries.iter().map(begin).collect());
        let sender = Arc::new(sender);
        let mut tasks = JoinSet::new();
        for (index, discovery) in discoveries.iter().enumerate() {
            let Some(refresh) = discovery.refresh() else { continue };
            let (discovery, sender) = (discovery.clone(), Arc::clone(&sender));
            let asking = Asking { job: job.to_owned(), index, discovery, sender };
            tasks.spawn(asking.keep_asking(refresh.max(REFRESH_MIN)));
        }
        Self { known, _tasks: tasks }
    }

    pub fn found(&self) -> Found {
        let known = self.known.borrow();
        let failures = known.iter().filter_map(|one| Some((one.kind, one.failure.clone()?)));
        Found {
            groups: known.iter().map(|one| Arc::clone(&one.groups)).collect(),
            failures: failures.collect(),
        }
    }

    /// Returns when something has changed; never where nothing can.
    pub async fn changed(&mut self) {
        if self.known.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

struct Asking {
    job: String,
    index: usize,
    discovery: Discovery,
    sender: Arc<Sender<Vec<Known>>>,
}

impl Asking {
    async fn keep_asking(self, refresh: Duration) {
        let client = self.discovery.http().map(client);
        let mut changes = self.discovery.local().map(LocalObjects::changes);
        loop {
            let outcome = match &client {
                Some(Err(error)) => Err(error.clone()),
                Some(Ok(client)) => ask(&self.discovery, Some(client)).await,
                None => ask(&self.discovery, None).await,
            };
            self.note(outcome);
            let Some(changes) = &mut changes else {
                tokio::time::sleep(refresh).await;
                continue;
            };
            // The objects are replaced as long as the server runs: an error is its end.
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn note(&self, outcome: Result<Vec<Group>, DiscoveryError>) {
        let kind = self.discovery.kind();
        if outcome.is_err() {
            FAILURES.add(&[kind], 1);
        }
        self.sender.send_if_modified(|known| {
            let Some(known) = known.get_mut(self.index) else { return false };
            match outcome {
                Ok(groups) => {
                    let is_new = *known.groups != groups || known.failure.is_some();
                    if is_new {
                        known.groups = Arc::new(groups);
                        known.failure = None;
                    }
                    is_new
                }
                Err(DiscoveryError(message)) => {
                    let is_new = known.failure.as_ref() != Some(&message);
                    if is_new {
                        let text = "a discovery of targets failed: what it found last is used on";
                        let details: [(&str, &dyn std::fmt::Display); 3] =
                            [("job", &self.job), ("kind", &kind), ("error", &message)];
                        Notice::warn(text, &details);
                        known.failure = Some(message);
                    }
                    is_new
                }
            }
        });
    }
}

/// `client`: for those that ask a server.
async fn ask(discovery: &Discovery, client: Option<&Client>) -> Result<Vec<Group>, DiscoveryError> {
    match (discovery, client) {
        (Discovery::File(file), _) => {
            let file = file.clone();
            let read = tokio::task::spawn_blocking(move || file.groups()).await;
            read.unwrap_or_else(|_| Err(DiscoveryError("reading files panicked".to_owned())))
        }
        (Discovery::Dns(dns), _) => dns.groups().await,
        (Discovery::Http(http), Some(client)) => http.groups(client).await,
        (Discovery::Kubernetes(kubernetes), client) => kubernetes.groups(client).await,
        (Discovery::Docker(docker), Some(client)) => docker.groups(client).await,
        (Discovery::Swarm(swarm), Some(client)) => swarm.groups(client).await,
        (Discovery::Consul(consul), Some(client)) => consul.groups(client).await,
        (Discovery::Static(groups), _) => Ok(groups.clone()),
        (_, None) => {
            Err(DiscoveryError("there is no client: a mistake in this program".to_owned()))
        }
    }
}
