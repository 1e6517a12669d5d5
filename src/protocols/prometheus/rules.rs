//! `rules` and `alerts`: rule groups with their state, as Prometheus shows them.

use super::envelope::{ApiError, Context, Data};
use super::memory::take;
use super::selectors::selectors;
use crate::api::json;
use crate::api::parameters::Parameters;
use model::{Labels, Matcher};
use rules::{AlertView, GroupView, Language, RuleKind, RuleView};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Which groups and rules a request wants to see.
struct Wanted {
    /// `None`: alerting and recording rules.
    alerting: Option<bool>,
    names: BTreeSet<String>,
    groups: BTreeSet<String>,
    files: BTreeSet<String>,
    selectors: Vec<Vec<Matcher>>,
    with_alerts: bool,
    /// 0: all groups.
    page: usize,
    token: String,
}

impl Wanted {
    fn new(parameters: &Parameters) -> Result<Self, ApiError> {
        let set = |name: &str| parameters.all(name).map(str::to_owned).collect();
        let (page, token) = page(parameters)?;
        Ok(Self {
            alerting: kind(parameters)?,
            names: set("rule_name[]"),
            groups: set("rule_group[]"),
            files: set("file[]"),
            selectors: selectors(parameters)?,
            with_alerts: !excludes_alerts(parameters)?,
            page,
            token,
        })
    }

    fn has_group(&self, group: &GroupView) -> bool {
        let fits = |set: &BTreeSet<String>, text: &str| set.is_empty() || set.contains(text);
        fits(&self.groups, &group.key.name) && fits(&self.files, &group.key.file)
    }

    fn has_rule(&self, rule: &RuleView) -> bool {
        let is_kind = self.alerting.is_none_or(|alerting| alerting == rule.rule.is_alert());
        let is_named = self.names.is_empty() || self.names.contains(rule.rule.name());
        is_kind && is_named && self.matches(&rule.rule.labels)
    }

    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = |name: &str| labels.get(name).map_or("", String::as_str);
        let all = |matchers: &Vec<Matcher>| matchers.iter().all(|m| m.matches(value(&m.name)));
        self.selectors.is_empty() || self.selectors.iter().any(all)
    }
}

fn kind(parameters: &Parameters) -> Result<Option<bool>, ApiError> {
    match parameters.text("type").to_ascii_lowercase().as_str() {
        "" => Ok(None),
        "alert" => Ok(Some(true)),
        "record" => Ok(Some(false)),
        other => {
            let message = format!("not supported value {other:?}: ask for alert or record");
            Err(ApiError::parameter("type", &message))
        }
    }
}

fn excludes_alerts(parameters: &Parameters) -> Result<bool, ApiError> {
    match parameters.text("exclude_alerts") {
        "" | "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok(false),
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok(true),
        other => {
            let message = format!("error converting exclude_alerts: {other:?} is not a boolean");
            Err(ApiError::parameter("exclude_alerts", &message))
        }
    }
}

/// How many groups are wanted, and the token of the first of them.
fn page(parameters: &Parameters) -> Result<(usize, String), ApiError> {
    let token = parameters.text("group_next_token").to_owned();
    match parameters.text("group_limit") {
        "" if !token.is_empty() => {
            let message = "group_limit needs to be set in order to paginate over the groups";
            Err(ApiError::parameter("group_next_token", message))
        }
        "" => Ok((0, token)),
        text => match text.parse() {
            Ok(limit) if limit > 0 => Ok((limit, token)),
            _ => Err(ApiError::parameter("group_limit", "must be a number greater than 0")),
        },
    }
}

fn token_of(group: &GroupView) -> String {
    let text = format!("{};{}", group.key.file, group.key.name);
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn rules(context: &Context) -> Result<Data, ApiError> {
    let wanted = Wanted::new(&context.parameters)?;
    let mut groups = groups(context);
    if !wanted.token.is_empty() {
        let first = groups.iter().position(|group| token_of(group) == wanted.token);
        let changed = || {
            let token = &wanted.token;
            let message = format!("invalid group_next_token '{token}'. were rule groups changed?");
            ApiError::parameter("group_next_token", &message)
        };
        groups.drain(..first.ok_or_else(changed)?);
    }
    groups.retain(|group| wanted.has_group(group));
    for group in &mut groups {
        group.rules.retain(|rule| wanted.has_rule(rule));
    }
    groups.retain(|group| !group.rules.is_empty());
    let next = (wanted.page > 0).then(|| groups.get(wanted.page).map(token_of)).flatten();
    let count = if wanted.page > 0 { wanted.page } else { usize::MAX };
    let memory = context.listing_memory();
    let mut data = Data::default();
    let out = &mut data.json;
    out.extend_from_slice(b"{\"groups\":");
    json::list(out, groups.iter().take(count), |out, group| {
        write_group(out, group, wanted.with_alerts);
    });
    if let Some(next) = next {
        out.extend_from_slice(b",\"groupNextToken\":");
        json::text(out, &next);
    }
    out.push(b'}');
    take(&memory, out.len())?;
    Ok(data)
}

pub(super) fn alerts(context: &Context) -> Result<Data, ApiError> {
    let memory = context.listing_memory();
    let groups = groups(context);
    let rules = groups.iter().flat_map(|group| &group.rules);
    let alerts = rules.filter_map(|rule| rule.alerting.as_ref()).flat_map(|one| &one.alerts);
    let mut data = Data::default();
    let out = &mut data.json;
    out.extend_from_slice(b"{\"alerts\":");
    json::list(out, alerts, write_alert);
    out.push(b'}');
    take(&memory, out.len())?;
    Ok(data)
}

fn groups(context: &Context) -> Vec<GroupView> {
    let Some(rules) = context.services().rules() else { return Vec::new() };
    let mut groups = rules.service.groups(&context.call.tenant);
    // Grafana's data source of Loki asks below its own address, for its own rules.
    if context.call.path.starts_with("/loki/") {
        let is_log = |rule: &RuleView| rule.rule.language == Language::Logql;
        groups.iter_mut().for_each(|group| group.rules.retain(is_log));
        groups.retain(|group| !group.rules.is_empty());
    }
    groups
}

fn write_group(out: &mut Vec<u8>, group: &GroupView, with_alerts: bool) {
    field(out, b'{', "name", |out| json::text(out, &group.key.name));
    field(out, b',', "file", |out| json::text(out, &group.key.file));
    field(out, b',', "rules", |out| {
        json::list(out, &group.rules, |out, rule| write_rule(out, rule, with_alerts));
    });
    field(out, b',', "interval", |out| seconds(out, group.interval_ms));
    field(out, b',', "limit", |out| plain(out, group.limit));
    field(out, b',', "evaluationTime", |out| plain(out, group.took_seconds));
    field(out, b',', "lastEvaluation", |out| time(out, group.evaluated_at_ns));
    out.push(b'}');
}

fn write_rule(out: &mut Vec<u8>, view: &RuleView, with_alerts: bool) {
    let rule = &view.rule;
    let mut begin = b'{';
    if let Some(alerting) = &view.alerting {
        field(out, begin, "state", |out| json::text(out, alerting.state.as_str()));
        begin = b',';
    }
    field(out, begin, "name", |out| json::text(out, rule.name()));
    field(out, b',', "query", |out| json::text(out, &rule.shown));
    if let RuleKind::Alert { hold_ms, keep_firing_ms, annotations, .. } = &rule.kind {
        field(out, b',', "duration", |out| seconds(out, *hold_ms));
        field(out, b',', "keepFiringFor", |out| seconds(out, *keep_firing_ms));
        field(out, b',', "labels", |out| texts(out, &rule.labels));
        field(out, b',', "annotations", |out| texts(out, annotations));
        let alerts = view.alerting.as_ref().filter(|_| with_alerts);
        field(out, b',', "alerts", |out| match alerts {
            Some(alerting) => json::list(out, &alerting.alerts, write_alert),
            None => out.extend_from_slice(b"null"),
        });
    } else if !rule.labels.is_empty() {
        field(out, b',', "labels", |out| texts(out, &rule.labels));
    }
    field(out, b',', "health", |out| json::text(out, view.health.as_str()));
    if let Some(error) = &view.last_error {
        field(out, b',', "lastError", |out| json::text(out, error));
    }
    field(out, b',', "evaluationTime", |out| plain(out, view.took_seconds));
    field(out, b',', "lastEvaluation", |out| time(out, view.evaluated_at_ns));
    let kind = if rule.is_alert() { "alerting" } else { "recording" };
    field(out, b',', "type", |out| json::text(out, kind));
    out.push(b'}');
}

fn write_alert(out: &mut Vec<u8>, alert: &AlertView) {
    field(out, b'{', "labels", |out| plain_labels(out, &alert.labels));
    field(out, b',', "annotations", |out| plain_labels(out, &alert.annotations));
    field(out, b',', "state", |out| json::text(out, alert.state.as_str()));
    let at = |ms: i64| Some(ms.saturating_mul(1_000_000));
    field(out, b',', "activeAt", |out| time(out, at(alert.active_at_ms)));
    if let Some(since_ms) = alert.keep_firing_since_ms {
        field(out, b',', "keepFiringSince", |out| time(out, at(since_ms)));
    }
    field(out, b',', "value", |out| json::text(out, &exponential(alert.value)));
    out.push(b'}');
}

fn plain_labels(out: &mut Vec<u8>, labels: &Labels) {
    json::labels(out, labels);
}

/// What stands before a field, its name and its value.
fn field(out: &mut Vec<u8>, before: u8, name: &str, value: impl FnOnce(&mut Vec<u8>)) {
    out.push(before);
    json::text(out, name);
    out.push(b':');
    value(out);
}

fn plain(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    out.extend_from_slice(value.to_string().as_bytes());
}

fn seconds(out: &mut Vec<u8>, ms: i64) {
    plain(out, ms as f64 / 1_000.0);
}

fn texts(out: &mut Vec<u8>, texts: &BTreeMap<String, String>) {
    let mut before = b'{';
    for (name, text) in texts {
        field(out, before, name, |out| json::text(out, text));
        before = b',';
    }
    out.extend_from_slice(if before == b'{' { b"{}" } else { b"}" });
}

/// RFC 3339 with as many digits as there are; the year 1 where there is no time, as Go writes it.
fn time(out: &mut Vec<u8>, ns: Option<i64>) {
    let Some(ns) = ns else { return out.extend_from_slice(b"\"0001-01-01T00:00:00Z\"") };
    let time = chrono::DateTime::from_timestamp_nanos(ns);
    let text = time.format("%Y-%m-%dT%H:%M:%S%.9f").to_string();
    let text = text.trim_end_matches('0').trim_end_matches('.');
    json::text(out, &format!("{text}Z"));
}

/// `1.5e+00`, as Prometheus writes the values of alerts.
fn exponential(value: f64) -> String {
    if !value.is_finite() {
        return model::format_float_go(value);
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_times_are_written_as_go_does() {
        for (value, expected) in [
            (0.0, "0e+00"),
            (1.0, "1e+00"),
            (-0.015, "-1.5e-02"),
            (1e100, "1e+100"),
            (f64::INFINITY, "+Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(exponential(value), expected);
        }
        let shown = |ns| {
            let mut out = Vec::new();
            time(&mut out, ns);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(shown(None), "\"0001-01-01T00:00:00Z\"");
        assert_eq!(shown(Some(1_530_736_032_606_020_000)), "\"2018-07-04T20:27:12.60602Z\"");
        assert_eq!(shown(Some(1_530_736_030_000_000_000)), "\"2018-07-04T20:27:10Z\"");
    }
}
