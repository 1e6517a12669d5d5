//! `remote_write`: which servers samples are sent on to, and how. Only read here.

use super::job::http_config;
use super::warnings::{Place, Warning};
use outbound::{HttpConfig, Url};
use relabel::Rules;
use std::collections::BTreeMap;
use wire::WriteVersion;
use yaml::{Duration, Error, Fields, Node};

/// One section.
#[derive(Clone, Debug)]
pub struct RemoteWrite {
    /// As it is called, or its address without a query; each name is there once.
    pub name: String,
    pub url: Url,
    pub version: WriteVersion,
    pub timeout: Duration,
    pub headers: BTreeMap<String, String>,
    pub relabel: Rules,
    pub send_exemplars: bool,
    pub send_native_histograms: bool,
    pub queue: QueueConfig,
    pub metadata: MetadataConfig,
    pub http: HttpConfig,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QueueConfig {
    pub capacity: usize,
    pub max_shards: usize,
    pub min_shards: usize,
    pub max_samples_per_send: usize,
    pub batch_send_deadline: Duration,
    pub min_backoff: Duration,
    pub max_backoff: Duration,
    pub retry_on_http_429: bool,
    /// 0: samples of any age are sent.
    pub sample_age_limit: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetadataConfig {
    pub send: bool,
    pub send_interval: Duration,
    pub max_samples_per_send: usize,
}

/// Of one request and one queue: larger ones would take memory without being faster.
const SAMPLES_MAX: usize = 1 << 20;
const SHARDS_MAX: usize = 1_000;

/// Headers that say what a request is, or who sends it.
const RESERVED: [&str; 15] = [
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
    "accept-encoding",
    "x-prometheus-remote-write-version",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
];

/// What signs requests in ways that Mirador does not know.
const SIGNATURES: [&str; 3] = ["sigv4", "azuread", "google_iam"];

/// Reads the sections. One whose requests would have to be signed is left out, with a warning.
pub(crate) fn read(
    node: Option<&Node>,
    place: &Place,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<RemoteWrite>, Error> {
    let mut all: Vec<RemoteWrite> = Vec::new();
    let Some(list) = node.filter(|node| !node.is_null()) else { return Ok(all) };
    for node in list.items()? {
        if node.is_null() {
            return Err(node.error("empty or null remote write config section"));
        }
        let Some((mut section, is_named)) = RemoteWrite::read(node, place, warnings)? else {
            continue;
        };
        let is_there = |name: &str| all.iter().any(|other| other.name == name);
        if is_there(&section.name) && is_named {
            let name = &section.name;
            let message = format!("found multiple remote write configs with job name {name:?}");
            return Err(node.error(message));
        }
        let mut number = 1;
        let first = section.name.clone();
        while is_there(&section.name) {
            number += 1;
            section.name = format!("{first}#{number}");
        }
        all.push(section);
    }
    Ok(all)
}

impl RemoteWrite {
    /// With whether the section names it; `None` where it is left out.
    fn read(
        node: &Node,
        place: &Place,
        warnings: &mut Vec<Warning>,
    ) -> Result<Option<(Self, bool)>, Error> {
        let mut fields = node.fields("remote write")?;
        let url: Url = fields.required("url")?;
        let given: String = fields.or_default("name")?;
        let is_named = !given.is_empty();
        let path = url.path_and_query().split('?').next().unwrap_or_default();
        let address = format!("{}://{}{path}", url.scheme(), url.authority());
        if fields.or("round_robin_dns", false)? {
            let message = "round_robin_dns has no effect: connections go to the first address";
            warnings.push(place.warning(node, message));
        }
        let mut is_left_out = false;
        for name in SIGNATURES {
            if let Some(node) = fields.take(name).filter(|node| !node.is_null()) {
                let message = format!(
                    "this remote_write is left out: Mirador can't sign requests by {name} yet"
                );
                warnings.push(place.warning(node, message));
                is_left_out = true;
            }
        }
        // Here Prometheus does not use HTTP/2 unless it is told to.
        let says_http2 = fields.take("enable_http2").is_some();
        let mut section = Self {
            name: if is_named { given } else { address },
            url,
            version: version(&mut fields)?,
            timeout: fields.or("remote_timeout", Duration::from_secs(30))?,
            headers: headers(&mut fields)?,
            relabel: fields.or_default("write_relabel_configs")?,
            send_exemplars: fields.or("send_exemplars", false)?,
            send_native_histograms: fields.or("send_native_histograms", false)?,
            queue: QueueConfig::read(fields.take("queue_config"))?,
            metadata: MetadataConfig::read(fields.take("metadata_config"))?,
            http: http_config(&mut fields, place)?,
        };
        fields.end()?;
        section.http.enable_http2 &= says_http2;
        Ok((!is_left_out).then_some((section, is_named)))
    }
}

fn version(fields: &mut Fields<'_>) -> Result<WriteVersion, Error> {
    let Some(node) = fields.take("protobuf_message") else { return Ok(WriteVersion::V1) };
    match node.text().unwrap_or_default() {
        "" | "prometheus.WriteRequest" => Ok(WriteVersion::V1),
        "io.prometheus.write.v2.Request" => Ok(WriteVersion::V2),
        other => {
            let message = format!(
                "unknown remote write protobuf message {other:?}: prometheus.WriteRequest or \
                 io.prometheus.write.v2.Request"
            );
            Err(node.error(message))
        }
    }
}

fn headers(fields: &mut Fields<'_>) -> Result<BTreeMap<String, String>, Error> {
    let headers: BTreeMap<String, String> = fields.or_default("headers")?;
    for name in headers.keys() {
        let lower = name.to_ascii_lowercase();
        if lower == "authorization" {
            let message = "authorization header must be changed via the basic_auth, authorization or \
                 oauth2 parameter";
            return Err(fields.error(message));
        }
        if RESERVED.contains(&lower.as_str()) {
            return Err(
                fields.error(format!("{name} is a reserved header. It must not be changed"))
            );
        }
    }
    Ok(headers)
}

/// A number of samples or shards; 0 is as if it was not there.
fn count(
    fields: &mut Fields<'_>,
    name: &'static str,
    default: usize,
    most: usize,
) -> Result<usize, Error> {
    let number: usize = fields.or(name, default)?;
    if number > most {
        return Err(fields.error(format!("`{name}` is {number}, at most {most} are possible")));
    }
    Ok(if number == 0 { default } else { number })
}

impl QueueConfig {
    fn read(node: Option<&Node>) -> Result<Self, Error> {
        let empty = Node::parse("{}")?;
        let node = node.filter(|node| !node.is_null()).unwrap_or(&empty);
        let mut of_queue = node.fields("queue_config")?;
        let fields = &mut of_queue;
        let queue = Self {
            capacity: count(fields, "capacity", 10_000, SAMPLES_MAX)?,
            max_shards: count(fields, "max_shards", 50, SHARDS_MAX)?,
            min_shards: count(fields, "min_shards", 1, SHARDS_MAX)?,
            max_samples_per_send: count(fields, "max_samples_per_send", 2_000, SAMPLES_MAX)?,
            batch_send_deadline: fields.or("batch_send_deadline", Duration::from_secs(5))?,
            min_backoff: fields.or("min_backoff", Duration { ms: 30 })?,
            max_backoff: fields.or("max_backoff", Duration::from_secs(5))?,
            retry_on_http_429: fields.or("retry_on_http_429", false)?,
            sample_age_limit: fields.or_default("sample_age_limit")?,
        };
        if queue.min_shards > queue.max_shards {
            return Err(fields.error("min_shards is larger than max_shards"));
        }
        of_queue.end()?;
        Ok(queue)
    }
}

impl MetadataConfig {
    fn read(node: Option<&Node>) -> Result<Self, Error> {
        let empty = Node::parse("{}")?;
        let node = node.filter(|node| !node.is_null()).unwrap_or(&empty);
        let mut fields = node.fields("metadata_config")?;
        let metadata = Self {
            send: fields.or("send", true)?,
            send_interval: fields.or("send_interval", Duration::from_secs(60))?,
            max_samples_per_send: count(&mut fields, "max_samples_per_send", 2_000, SAMPLES_MAX)?,
        };
        fields.end()?;
        Ok(metadata)
    }
}
