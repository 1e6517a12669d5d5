//! `scrape_configs`: one job, with what `global` says where it says nothing.

use super::ScrapeProtocol;
use super::global::{Global, Limits, given, is_legacy, read_escaping, read_protocols};
use super::warnings::{Place, Warning};
use crate::discovery::{Discovery, LocalObjects, check_static, read_discoveries};
use crate::page::PageRules;
use outbound::HttpConfig;
use relabel::Rules;
use std::collections::BTreeMap;
use std::sync::Arc;
use yaml::{Duration, Error, Fields, Node};

/// Parameters of a request, by name; a name may have several values.
pub type Params = BTreeMap<String, Vec<String>>;

const COMPRESSED: bool = true;
const PATH: &str = "/metrics";

/// One job.
#[derive(Clone, Debug)]
pub struct Job {
    pub name: String,
    /// Where it stands in its file.
    pub line: usize,
    pub interval: Duration,
    pub timeout: Duration,
    pub metrics_path: String,
    pub scheme: String,
    pub params: Params,
    pub protocols: Vec<ScrapeProtocol>,
    pub fallback: Option<ScrapeProtocol>,
    /// How exporters are asked to write names that are not of letters, digits and underscores.
    pub escaping: String,
    pub compression: bool,
    /// 0: no limit but the server's.
    pub body_size_limit: u64,
    pub target_limit: usize,
    /// How many dropped targets are shown; 0: all.
    pub keep_dropped_targets: usize,
    pub extra_metrics: bool,
    pub pages: Arc<PageRules>,
    pub relabel: Rules,
    pub discoveries: Vec<Discovery>,
    pub http: HttpConfig,
    /// The job as YAML, without secrets.
    pub text: String,
    /// By which a job is known to be the same after a reload, secrets included.
    pub(crate) fingerprint: Vec<u8>,
}

impl Job {
    pub(crate) fn read(
        node: &Node,
        global: &Global,
        place: &Place,
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, Error> {
        let mut fields = node.fields("scrape_config")?;
        let name: String = fields.required("job_name")?;
        if name.is_empty() {
            return Err(node.error("job_name is empty"));
        }
        let (interval, timeout) = times(&mut fields, global, &name)?;
        let limits = Limits::read(&mut fields, global.limits)?;
        let native = fields.or("scrape_native_histograms", global.native_histograms)?;
        let protocols = read_protocols(&mut fields)?.or_else(|| global.protocols.clone());
        let by_default = || match native {
            true => ScrapeProtocol::PROTO_FIRST.to_vec(),
            false => ScrapeProtocol::TEXT_FIRST.to_vec(),
        };
        let (legacy_names, escaping) = names(&mut fields, global)?;
        let pages = page_rules(&mut fields, global, limits, (native, legacy_names))?;
        let relabel: Rules = fields.or_default("relabel_configs")?;
        let discoveries = read_discoveries(&mut fields, place, warnings)?;
        if relabel.is_empty() {
            check_static(&discoveries)?;
        }
        if let Some(node) = fields.take("scrape_failure_log_file").filter(|node| !node.is_null()) {
            let message =
                "scrape_failure_log_file has no effect: /api/v1/targets tells of failures";
            warnings.push(place.warning(node, message));
        }
        let job = Self {
            name,
            line: node.line(),
            interval,
            timeout,
            metrics_path: fields.or("metrics_path", PATH.to_owned())?,
            scheme: scheme(&mut fields)?,
            params: fields.or_default("params")?,
            protocols: protocols.unwrap_or_else(by_default),
            fallback: fields.optional("fallback_scrape_protocol")?,
            escaping,
            compression: fields.or("enable_compression", COMPRESSED)?,
            body_size_limit: limits.body_size,
            target_limit: limits.targets,
            keep_dropped_targets: limits.dropped_targets,
            extra_metrics: fields.or("extra_scrape_metrics", global.extra_metrics)?,
            pages: Arc::new(pages),
            relabel,
            discoveries,
            http: http_config(&mut fields, place)?,
            text: String::new(),
            fingerprint: Vec::new(),
        };
        fields.end()?;
        Ok(job.finish(node, global))
    }

    fn finish(mut self, node: &Node, global: &Global) -> Self {
        self.text = node.to_text();
        let of_global = format!(
            "{}/{}/{:?}/{:?}/{}/{:?}/{}/{}/{}/{}",
            self.interval,
            self.timeout,
            self.protocols,
            global.limits,
            global.legacy_names,
            global.escaping,
            global.native_histograms,
            global.convert_classic,
            global.classic_too,
            global.extra_metrics
        );
        self.fingerprint.extend_from_slice(of_global.as_bytes());
        fingerprint(node, &mut self.fingerprint);
        self
    }

    /// Targets of the cluster in which this server runs are looked for among these objects instead.
    pub(crate) fn look_in(&mut self, objects: &LocalObjects) {
        for discovery in &mut self.discoveries {
            if let Discovery::Kubernetes(kubernetes) = discovery {
                kubernetes.look_in(objects);
            }
        }
    }

    /// The longest page that may be taken.
    pub(crate) fn body_max(&self) -> usize {
        match self.body_size_limit {
            0 => BODY_MAX,
            limit => usize::try_from(limit).unwrap_or(BODY_MAX).min(BODY_MAX),
        }
    }
}

/// Paths of the configuration are relative to its folder.
pub(crate) fn http_config(fields: &mut Fields<'_>, place: &Place) -> Result<HttpConfig, Error> {
    let mut config = HttpConfig::read(fields)?;
    config.set_folder(place.folder());
    Ok(config)
}

/// Larger pages are refused whatever a job says.
const BODY_MAX: usize = 1 << 30;

/// Everything that a node says, secrets too.
fn fingerprint(node: &Node, out: &mut Vec<u8>) {
    if let Some(text) = node.text() {
        out.push(b'=');
        out.extend_from_slice(text.as_bytes());
    } else if let Ok(entries) = node.entries() {
        for (name, value) in entries {
            out.push(b'{');
            out.extend_from_slice(name.as_bytes());
            fingerprint(value, out);
        }
        out.push(b'}');
    } else if let Ok(items) = node.items() {
        items.iter().for_each(|item| fingerprint(item, out));
        out.push(b']');
    }
    out.push(0xff);
}

fn times(
    fields: &mut Fields<'_>,
    global: &Global,
    name: &str,
) -> Result<(Duration, Duration), Error> {
    let interval = given(fields, "scrape_interval")?.unwrap_or(global.scrape_interval);
    let timeout = given(fields, "scrape_timeout")?;
    if timeout.is_some_and(|timeout| timeout > interval) {
        return Err(fields.error(format!(
            "scrape timeout greater than scrape interval for scrape config with job name {name:?}"
        )));
    }
    Ok((interval, timeout.unwrap_or(global.scrape_timeout.min(interval))))
}

fn scheme(fields: &mut Fields<'_>) -> Result<String, Error> {
    let scheme: String = fields.or("scheme", "http".to_owned())?;
    match scheme.as_str() {
        "http" | "https" => Ok(scheme),
        "" => Ok("http".to_owned()),
        _ => Err(fields.error(format!("scheme must be http or https, not {scheme:?}"))),
    }
}

/// Whether names are those of before UTF-8, and how exporters are to write others.
fn names(fields: &mut Fields<'_>, global: &Global) -> Result<(bool, String), Error> {
    let own = is_legacy(fields)?;
    let legacy = own.unwrap_or(global.legacy_names);
    let by_scheme = |legacy: bool| if legacy { "underscores" } else { "allow-utf-8" }.to_owned();
    let of_global = || global.escaping.clone().unwrap_or_else(|| by_scheme(global.legacy_names));
    let escaping = match (read_escaping(fields)?, own) {
        (Some(escaping), _) => escaping,
        (None, None) => of_global(),
        (None, Some(legacy)) => by_scheme(legacy),
    };
    if legacy && escaping == "allow-utf-8" {
        return Err(fields.error(
            "utf8 metric names requested but validation scheme is not set to UTF8: leave out \
             metric_name_escaping_scheme or set metric_name_validation_scheme: utf8",
        ));
    }
    Ok((legacy, escaping))
}

fn page_rules(
    fields: &mut Fields<'_>,
    global: &Global,
    limits: Limits,
    (native_histograms, legacy_names): (bool, bool),
) -> Result<PageRules, Error> {
    Ok(PageRules {
        honor_labels: fields.or("honor_labels", false)?,
        honor_timestamps: fields.or("honor_timestamps", true)?,
        track_timestamps_staleness: fields.or("track_timestamps_staleness", false)?,
        relabel: fields.or_default("metric_relabel_configs")?,
        sample_limit: limits.samples,
        label_limit: limits.labels,
        label_name_length_limit: limits.label_name_length,
        label_value_length_limit: limits.label_value_length,
        bucket_limit: fields.or("native_histogram_bucket_limit", 0)?,
        min_bucket_factor: fields.or("native_histogram_min_bucket_factor", 0.0)?,
        native_histograms,
        classic_too: fields.or("always_scrape_classic_histograms", global.classic_too)?,
        convert_classic: fields.or("convert_classic_histograms_to_nhcb", global.convert_classic)?,
        legacy_names,
    })
}
