//! Gets a target's page over HTTP.

use crate::config::{Job, accept_header, format_of};
use crate::page::{PageError, PageFormat};
use crate::target::Target;
use outbound::{Client, Reach, Reason, Request, Response};
use std::time::Duration;

/// Why a scrape failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScrapeError {
    #[error("{0}")]
    Fetch(String),
    #[error("{0}")]
    TooLarge(String),
    #[error("server returned HTTP status {status}{excerpt}")]
    Status { status: u16, excerpt: String },
    #[error(
        "non-compliant scrape target sending {0} and no fallback_scrape_protocol specified for target: \
         set fallback_scrape_protocol: PrometheusText0.0.4 for the job if the page is text"
    )]
    ContentType(String),
    #[error(transparent)]
    Page(#[from] PageError),
    #[error("target_limit exceeded (number of targets: {found}, limit: {limit})")]
    TargetLimit { found: usize, limit: usize },
    #[error("what was scraped can't be stored: {0}")]
    Store(String),
}

/// A page as it came.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    pub(crate) format: PageFormat,
    response: Response,
}

impl Fetched {
    pub(crate) fn body(&self) -> &[u8] {
        &self.response.body
    }
}

/// How the pages of a job are asked for.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher {
    client: Client,
    accept: String,
    compression: bool,
    body_max: usize,
    fallback: Option<PageFormat>,
}

impl Fetcher {
    pub(crate) fn new(job: &Job) -> Result<Self, outbound::Error> {
        Ok(Self {
            client: Client::new(&job.http, Reach::Anywhere)?,
            accept: accept_header(&job.protocols, &job.escaping),
            compression: job.compression,
            body_max: job.body_max(),
            fallback: job.fallback.map(|protocol| protocol.format()),
        })
    }

    pub(crate) async fn fetch(&self, target: &Target) -> Result<Fetched, ScrapeError> {
        let timeout = u64::try_from(target.timeout_ms).unwrap_or_default();
        let seconds = timeout as f64 / 1e3;
        let encoding = if self.compression { "gzip, zstd" } else { "identity" };
        let request = Request::get(target.url.clone())
            .header("Accept", &self.accept)
            .header("Accept-Encoding", encoding)
            .header("X-Prometheus-Scrape-Timeout-Seconds", &seconds.to_string())
            .timeout(Duration::from_millis(timeout))
            .answer_max(self.body_max)
            .unix_socket(target.unix_socket.clone());
        match self.client.send(request).await {
            Ok(response) => self.read(response),
            Err(error) if error.reason == Reason::TooLarge => {
                Err(ScrapeError::TooLarge(format!("body size limit exceeded: {error}")))
            }
            Err(error) => Err(ScrapeError::Fetch(error.to_string())),
        }
    }

    fn read(&self, response: Response) -> Result<Fetched, ScrapeError> {
        if response.status != 200 {
            let text = response.excerpt();
            let excerpt = if text.is_empty() { String::new() } else { format!(": {text}") };
            return Err(ScrapeError::Status { status: response.status, excerpt });
        }
        let content_type = response.header("content-type");
        let said = || match content_type {
            "" => "blank Content-Type".to_owned(),
            other => format!("Content-Type {other:?}"),
        };
        let format = format_of(content_type).or(self.fallback);
        let format = format.ok_or_else(|| ScrapeError::ContentType(said()))?;
        Ok(Fetched { format, response })
    }
}
