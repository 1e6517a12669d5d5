//! Targets: what a discovery's labels become after defaults and relabeling.
//!
//! Not here: how a target is scraped (`scraper`), and when (`schedule`).

use crate::config::{Job, Params};
use crate::discovery::Group;
use crate::page::PageRules;
use model::{BytesHasher, Labels, LabelsBuilder, parse_duration};
use outbound::Url;
use std::fmt::Write as _;
use std::hash::Hasher;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) const ADDRESS: &str = "__address__";
const SCHEME: &str = "__scheme__";
const PATH: &str = "__metrics_path__";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";
const PARAMETER: &str = "__param_";
const UNIX_SOCKET: &str = "__unix_socket__";
const NATIVE: &str = "__scrape_native_histograms__";
const CLASSIC: &str = "__always_scrape_classic_histograms__";
const CONVERT: &str = "__convert_classic_histograms_to_nhcb__";
const META: &str = "__meta_";
const JOB: &str = "job";
const INSTANCE: &str = "instance";

/// Something to be scraped.
#[derive(Clone, Debug)]
pub struct Target {
    /// As it was discovered, with the job's defaults.
    pub discovered: Labels,
    /// Those that its series get.
    pub labels: Labels,
    pub url: Url,
    pub unix_socket: Option<PathBuf>,
    pub interval_ms: i64,
    pub timeout_ms: i64,
    pub(crate) rules: Arc<PageRules>,
    /// By which targets are the same.
    pub(crate) key: Vec<u8>,
}

impl Target {
    /// Spreads targets over the interval; the same for equal targets.
    pub(crate) fn offset_ms(&self, seed: u64) -> i64 {
        let mut hasher = BytesHasher::default();
        hasher.write(&self.key);
        let hash = hasher.finish() ^ seed;
        (hash % self.interval_ms.max(1).unsigned_abs()) as i64
    }
}

/// What a discovered target becomes.
#[derive(Debug)]
pub(crate) enum Outcome {
    Kept(Target),
    /// Relabeling dropped it; its labels as discovered.
    Dropped(Labels),
    /// It can't be scraped.
    Wrong(String),
}

/// The labels that relabeling begins with.
pub(crate) fn discovered(job: &Job, group: &Labels, target: &Labels) -> Labels {
    let mut set = LabelsBuilder::from_labels(group);
    for (name, value) in target.iter() {
        set.set(name, value);
    }
    let rules = &job.pages;
    let flag = |is_on: bool| if is_on { "true" } else { "false" };
    for (name, value) in [
        (JOB, job.name.as_str()),
        (INTERVAL, &job.interval.to_string()),
        (TIMEOUT, &job.timeout.to_string()),
        (PATH, &job.metrics_path),
        (SCHEME, &job.scheme),
        (NATIVE, flag(rules.native_histograms)),
        (CLASSIC, flag(rules.classic_too)),
        (CONVERT, flag(rules.convert_classic)),
    ] {
        if set.get(name).is_none() {
            set.set(name, value);
        }
    }
    for (name, values) in &job.params {
        let name = format!("{PARAMETER}{name}");
        if let Some(first) = values.first().filter(|_| set.get(&name).is_none()) {
            set.set(&name, first);
        }
    }
    set.build()
}

/// All targets of a group.
pub(crate) fn of_group(job: &Job, group: &Group) -> impl Iterator<Item = Outcome> {
    group.targets.iter().map(|target| {
        let labels = discovered(job, &group.labels, target);
        let mut set = LabelsBuilder::from_labels(&labels);
        if !job.relabel.apply_to(&mut set) {
            return Outcome::Dropped(labels);
        }
        match relabeled(job, &labels, set) {
            Ok(target) => Outcome::Kept(target),
            Err(message) => Outcome::Wrong(format!("{labels}: {message}")),
        }
    })
}

fn relabeled(job: &Job, discovered: &Labels, mut set: LabelsBuilder) -> Result<Target, String> {
    let address = set.get(ADDRESS).unwrap_or_default().to_owned();
    if address.is_empty() {
        return Err(
            "no address: relabeling took __address__ away, or a discovery gave none".to_owned()
        );
    }
    if address.contains('/') {
        return Err(format!(
            "{address:?} is not a valid hostname: __address__ is host:port, the path is \
             __metrics_path__ and the scheme __scheme__"
        ));
    }
    if set.get(INSTANCE).is_none() {
        set.set(INSTANCE, &address);
    }
    let all = set.build();
    let (interval_ms, timeout_ms) = times(&all)?;
    let url = url(job, &all)?;
    let socket = Some(all.value(UNIX_SOCKET)).filter(|path| !path.is_empty());
    let labels = all.filtered(|name| !name.starts_with("__"));
    let mut key = all.filtered(|name| !name.starts_with(META)).as_bytes().to_vec();
    key.extend_from_slice(url.to_string().as_bytes());
    Ok(Target {
        discovered: discovered.clone(),
        rules: rules(job, &all)?,
        labels,
        url,
        unix_socket: socket.map(PathBuf::from),
        interval_ms,
        timeout_ms,
        key,
    })
}

fn times(labels: &Labels) -> Result<(i64, i64), String> {
    let time = |name: &str, what: &str| -> Result<i64, String> {
        let text = labels.value(name);
        let ms = parse_duration(text)
            .map_err(|message| format!("error parsing scrape {what}: {message}"))?;
        if ms == 0 { Err(format!("scrape {what} cannot be 0")) } else { Ok(ms) }
    };
    let (interval_ms, timeout_ms) = (time(INTERVAL, "interval")?, time(TIMEOUT, "timeout")?);
    if timeout_ms > interval_ms {
        let (timeout, interval) = (labels.value(TIMEOUT), labels.value(INTERVAL));
        return Err(format!(
            "scrape timeout cannot be greater than scrape interval ({timeout:?} > {interval:?})"
        ));
    }
    Ok((interval_ms, timeout_ms))
}

/// The job's, unless labels say otherwise for this target.
fn rules(job: &Job, labels: &Labels) -> Result<Arc<PageRules>, String> {
    let flag = |name: &str| match labels.value(name) {
        "true" => Ok(true),
        "false" | "" => Ok(false),
        other => Err(format!("{name} must be true or false, not {other:?}")),
    };
    let (native, classic, convert) = (flag(NATIVE)?, flag(CLASSIC)?, flag(CONVERT)?);
    let of_job = &job.pages;
    let same = (of_job.native_histograms, of_job.classic_too, of_job.convert_classic);
    if same == (native, classic, convert) {
        return Ok(Arc::clone(of_job));
    }
    Ok(Arc::new(PageRules {
        native_histograms: native,
        classic_too: classic,
        convert_classic: convert,
        ..(**of_job).clone()
    }))
}

fn url(job: &Job, labels: &Labels) -> Result<Url, String> {
    let mut params = job.params.clone();
    for (name, value) in labels.iter() {
        if let Some(name) = name.strip_prefix(PARAMETER) {
            let values = params.entry(name.to_owned()).or_default();
            match values.first_mut() {
                Some(first) => value.clone_into(first),
                None => values.push(value.to_owned()),
            }
        }
    }
    let (scheme, address) = (labels.value(SCHEME), labels.value(ADDRESS));
    let path = labels.value(PATH);
    let slash = if path.starts_with('/') { "" } else { "/" };
    let path = escaped(path, PATH_BYTES);
    let text = format!("{scheme}://{address}{slash}{path}{}", query(&params));
    Url::parse(&text).map_err(|error| format!("{text}: {error}"))
}

/// `?a=1&b=2`, sorted by name.
fn query(params: &Params) -> String {
    let mut text = String::new();
    for (name, value) in
        params.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)))
    {
        let mark = if text.is_empty() { '?' } else { '&' };
        let (name, value) = (escaped(name, QUERY_BYTES), escaped(value, QUERY_BYTES));
        let _ = write!(text, "{mark}{name}={value}");
    }
    text
}

/// What stands for itself, beside letters and digits.
const QUERY_BYTES: &[u8] = b"-_.~";
const PATH_BYTES: &[u8] = b"-_.~/:@!$&'()*+,;=%";

fn escaped(text: &str, plain: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            byte if byte.is_ascii_alphanumeric() || plain.contains(&byte) => {
                out.push(char::from(byte));
            }
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}
