//! Sends what kinds make: over HTTP through the server's one client, mail through SMTP.

use super::{Means, SendError, Sending, http, requests};
use crate::config::{Integration, Settings};
use crate::engine::Delivery;
use crate::notify::NoticeData;
use crate::service::{Deliver, Loaded};
use crate::smtp::Mail;
use outbound::{Client, HttpConfig, Method, Reach, Reason, Request, Url};
use platform::Clock;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Far above what receivers answer: a larger answer counts as a failure, after which they would be told
/// again.
const ANSWER_MAX: usize = 4 << 20;
/// Clients that are kept; a configuration has few different ones.
const CLIENTS_MAX: usize = 200;

/// Tells integrations for real.
#[derive(Debug)]
pub struct Sender {
    clock: Arc<dyn Clock>,
    /// Under which address people find this server.
    external_url: String,
    clients: Mutex<Vec<(HttpConfig, Client)>>,
}

impl Sender {
    pub fn new(clock: Arc<dyn Clock>, external_url: &str) -> Self {
        let external_url = external_url.trim_end_matches('/').to_owned();
        Self { clock, external_url, clients: Mutex::default() }
    }

    /// The client for a configuration, so that its connections are used again.
    fn client(&self, config: &HttpConfig, folder: &Path) -> Result<Client, SendError> {
        let mut config = config.clone();
        config.set_folder(folder);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = clients.iter().find(|(known, _)| *known == config) {
            return Ok(client.clone());
        }
        let client = Client::new(&config, Reach::Anywhere).map_err(|error| of_client(&error))?;
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        clients.push((config, client.clone()));
        Ok(client)
    }

    async fn tell(
        &self,
        loaded: &Loaded,
        integration: &Integration,
        delivery: &Delivery,
        timeout: Duration,
    ) -> Result<(), SendError> {
        let (now_ms, external_url) = (self.clock.wall_ms(), self.external_url.clone());
        let (own, settings) = (loaded.clone(), integration.settings.clone());
        let delivery = delivery.clone();
        // Templates may take their time, and secrets may stand in files.
        let preparing = tokio::task::spawn_blocking(move || {
            let data = Arc::new(NoticeData::new(&delivery, &external_url));
            let (templates, folder) = (&own.templates, own.folder.as_path());
            prepare(&settings, &Means { templates, data: &data, now_ms, folder })
        });
        let panicked =
            |_| SendError::for_good("a mistake in this program; the server's log says more");
        match preparing.await.map_err(panicked)?? {
            Prepared::Mail(mail) => mail.send(timeout).await,
            Prepared::Requests(sendings) => {
                let config = http(&integration.settings);
                let config = config.ok_or_else(|| SendError::for_good("it speaks no HTTP"))?;
                let client = self.client(config, &loaded.folder)?;
                for sending in sendings {
                    send(&client, sending, timeout).await?;
                }
                Ok(())
            }
        }
    }
}

/// What is to be sent, with every text made.
enum Prepared {
    Requests(Vec<Sending>),
    Mail(Box<Mail>),
}

fn prepare(settings: &Settings, means: &Means<'_>) -> Result<Prepared, SendError> {
    if let Settings::Email(config) = settings {
        return Ok(Prepared::Mail(Box::new(Mail::new(config, means)?)));
    }
    let requests = requests(settings, means).unwrap_or_else(|| Ok(Vec::new()));
    requests.map(Prepared::Requests)
}

impl Deliver for Sender {
    fn deliver<'a>(
        &'a self,
        loaded: &'a Loaded,
        integration: &'a Integration,
        delivery: &'a Delivery,
        timeout: Duration,
    ) -> Pin<Box<dyn Future<Output = Result<(), SendError>> + Send + 'a>> {
        Box::pin(self.tell(loaded, integration, delivery, timeout))
    }
}

async fn send(client: &Client, sending: Sending, most: Duration) -> Result<(), SendError> {
    let url = Url::parse(&sending.url).map_err(|error| of_client(&error))?;
    let method = match sending.method {
        "PUT" => Method::PUT,
        _ => Method::POST,
    };
    let timeout = match u64::try_from(sending.timeout_ms).unwrap_or(0) {
        0 => most,
        own_ms => most.min(Duration::from_millis(own_ms)),
    };
    let mut request = Request::new(method, url).timeout(timeout).answer_max(ANSWER_MAX);
    request.body = sending.body.into();
    for (name, value) in &sending.headers {
        request = request.header(name, value);
    }
    let response = client.send(request).await.map_err(|error| of_client(&error))?;
    (sending.judge)(response.status, &response.body)
}

/// A wrong setting stays wrong; everything else may be better next time.
fn of_client(error: &outbound::Error) -> SendError {
    let retry = !matches!(error.reason, Reason::Configuration | Reason::Forbidden);
    SendError { retry, message: error.to_string() }
}
