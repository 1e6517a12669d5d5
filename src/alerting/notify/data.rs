//! The data of a notification, by the names that Alertmanager's templates use.

use crate::alert::KeptAlert;
use crate::engine::Delivery;
use model::Labels;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use template::time::Time;
use template::{Map, Missing, Object, Value};

type Texts = Arc<BTreeMap<String, String>>;

/// Everything that is told of one group to one integration.
#[derive(Debug)]
pub struct NoticeData {
    /// Escaped as in a regular expression, as Alertmanager has it.
    pub receiver: String,
    pub group_key: String,
    pub alerts: Vec<Arc<AlertData>>,
    pub group_labels: Texts,
    pub common_labels: Texts,
    pub common_annotations: Texts,
    pub external_url: String,
    pub reason: &'static str,
}

#[derive(Debug)]
pub struct AlertData {
    pub is_firing: bool,
    pub labels: Texts,
    pub annotations: Texts,
    pub starts_at_ms: i64,
    /// `None` while it fires.
    pub ends_at_ms: Option<i64>,
    pub generator_url: String,
    pub fingerprint: String,
}

fn texts(labels: &Labels) -> Texts {
    Arc::new(labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// The pairs that all sets have.
fn common<'a>(mut sets: impl Iterator<Item = &'a Labels>) -> Texts {
    let Some(first) = sets.next() else { return Texts::default() };
    let all = sets.fold(first.clone(), |common, set| {
        common.filtered(|name| common.get(name) == set.get(name))
    });
    texts(&all)
}

impl NoticeData {
    pub fn new(delivery: &Delivery, external_url: &str) -> Self {
        let alerts = &delivery.alerts;
        Self {
            receiver: escaped(&delivery.key.integration.receiver),
            group_key: delivery.key.group_key.clone(),
            alerts: alerts
                .iter()
                .map(|alert| Arc::new(AlertData::new(alert, delivery.at_ms)))
                .collect(),
            group_labels: texts(&delivery.group_labels),
            common_labels: common(alerts.iter().map(|alert| &alert.alert.labels)),
            common_annotations: common(alerts.iter().map(|alert| &alert.alert.annotations)),
            external_url: external_url.to_owned(),
            reason: delivery.reason.text(),
        }
    }

    pub fn is_firing(&self) -> bool {
        self.alerts.iter().any(|alert| alert.is_firing)
    }

    pub fn status(&self) -> &'static str {
        status(self.is_firing())
    }

    /// For templates.
    pub fn value(self: &Arc<Self>) -> Value<'static> {
        Value::Object(Arc::new(Notice(Arc::clone(self))))
    }
}

fn status(is_firing: bool) -> &'static str {
    if is_firing { "firing" } else { "resolved" }
}

/// As Go's `regexp.QuoteMeta`.
fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for character in name.chars() {
        if "\\.+*?()|[]{}^$".contains(character) {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

impl AlertData {
    fn new(alert: &KeptAlert, at_ms: i64) -> Self {
        let is_firing = !alert.is_resolved(at_ms);
        Self {
            is_firing,
            labels: texts(&alert.alert.labels),
            annotations: texts(&alert.alert.annotations),
            starts_at_ms: alert.alert.starts_at_ms,
            ends_at_ms: (!is_firing).then_some(alert.alert.ends_at_ms),
            generator_url: alert.alert.generator_url.clone(),
            fingerprint: alert.fingerprint.to_string(),
        }
    }

    pub fn status(&self) -> &'static str {
        status(self.is_firing)
    }
}

fn text(text: &str) -> Value<'static> {
    Value::from(text.to_owned())
}

fn time(at_ms: i64) -> Value<'static> {
    Value::Time(Time::from_unix_nanoseconds(at_ms.saturating_mul(1_000_000)))
}

fn object(object: impl Object + 'static) -> Value<'static> {
    Value::Object(Arc::new(object))
}

fn map(object: &dyn Object, names: &[&str]) -> Value<'static> {
    let entry = |name: &&str| Some(((*name).to_owned(), object.get(name)?));
    Value::map(names.iter().filter_map(entry).collect())
}

/// `.` of a notification.
#[derive(Debug)]
struct Notice(Arc<NoticeData>);

impl Object for Notice {
    fn type_name(&self) -> &'static str {
        "*template.Data"
    }

    fn get(&self, name: &str) -> Option<Value<'static>> {
        let data = &self.0;
        Some(match name {
            "Receiver" => text(&data.receiver),
            "Status" => text(data.status()),
            "Alerts" => object(Alerts(Arc::clone(data))),
            "GroupLabels" => object(Kv(Arc::clone(&data.group_labels))),
            "CommonLabels" => object(Kv(Arc::clone(&data.common_labels))),
            "CommonAnnotations" => object(Kv(Arc::clone(&data.common_annotations))),
            "ExternalURL" => text(&data.external_url),
            "NotificationReason" => text(data.reason),
            _ => return None,
        })
    }

    fn plain(&self) -> Value<'static> {
        let names = [
            "Receiver",
            "Status",
            "Alerts",
            "GroupLabels",
            "CommonLabels",
            "CommonAnnotations",
            "ExternalURL",
        ];
        map(self, &names)
    }
}

#[derive(Debug)]
struct Alerts(Arc<NoticeData>);

impl Alerts {
    fn list(&self, is_wanted: impl Fn(&AlertData) -> bool) -> Value<'static> {
        let wanted = self.0.alerts.iter().filter(|alert| is_wanted(alert));
        Value::list(wanted.map(|alert| object(OneAlert(Arc::clone(alert)))).collect())
    }
}

impl Object for Alerts {
    fn type_name(&self) -> &'static str {
        "template.Alerts"
    }

    fn get(&self, name: &str) -> Option<Value<'static>> {
        match name {
            "Firing" => Some(self.list(|alert| alert.is_firing)),
            "Resolved" => Some(self.list(|alert| !alert.is_firing)),
            _ => None,
        }
    }

    fn plain(&self) -> Value<'static> {
        self.list(|_| true)
    }

    fn bytes(&self) -> usize {
        self.0.alerts.len() * size_of::<Value<'_>>()
    }
}

#[derive(Debug)]
struct OneAlert(Arc<AlertData>);

impl Object for OneAlert {
    fn type_name(&self) -> &'static str {
        "template.Alert"
    }

    fn get(&self, name: &str) -> Option<Value<'static>> {
        let alert = &self.0;
        Some(match name {
            "Status" => text(alert.status()),
            "Labels" => object(Kv(Arc::clone(&alert.labels))),
            "Annotations" => object(Kv(Arc::clone(&alert.annotations))),
            "StartsAt" => time(alert.starts_at_ms),
            "EndsAt" => alert.ends_at_ms.map_or(Value::Time(Time::ZERO), time),
            "GeneratorURL" => text(&alert.generator_url),
            "Fingerprint" => text(&alert.fingerprint),
            _ => return None,
        })
    }

    fn plain(&self) -> Value<'static> {
        let names = [
            "Status",
            "Labels",
            "Annotations",
            "StartsAt",
            "EndsAt",
            "GeneratorURL",
            "Fingerprint",
        ];
        map(self, &names)
    }
}

/// Labels or annotations.
#[derive(Debug)]
struct Kv(Texts);

impl Kv {
    /// By name, but the alert's name first.
    fn pairs(&self) -> Pairs {
        let own = |pair: &(&String, &String)| pair.0 == "alertname";
        let first = self.0.iter().filter(own);
        let rest = self.0.iter().filter(|pair| !own(pair));
        Pairs(first.chain(rest).map(|(name, value)| (name.clone(), value.clone())).collect())
    }
}

impl Object for Kv {
    fn type_name(&self) -> &'static str {
        "template.KV"
    }

    fn get(&self, name: &str) -> Option<Value<'static>> {
        Some(match name {
            "SortedPairs" => object(self.pairs()),
            "Names" | "Values" => return self.pairs().get(name),
            _ => text(self.0.get(name).map_or("", String::as_str)),
        })
    }

    fn methods(&self) -> &'static [&'static str] {
        &["Remove"]
    }

    fn call(&self, _: &str, arguments: &[Value<'_>]) -> Result<Value<'static>, String> {
        let [Value::List(names)] = arguments else {
            return Err("Remove takes one list of names".to_owned());
        };
        let removed: BTreeSet<String> = names
            .iter()
            .filter_map(|name| match name {
                Value::Text(name) => Some(String::from_utf8_lossy(name).into_owned()),
                _ => None,
            })
            .collect();
        let kept = self.0.iter().filter(|(name, _)| !removed.contains(*name));
        let kept = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
        Ok(object(Self(Arc::new(kept))))
    }

    fn plain(&self) -> Value<'static> {
        let entries = self.0.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        Value::Map(Arc::new(Map { entries, missing: Missing::EmptyText }))
    }

    fn text(&self) -> Option<String> {
        self.pairs().text()
    }
}

#[derive(Debug)]
struct Pairs(Vec<(String, String)>);

impl Object for Pairs {
    fn type_name(&self) -> &'static str {
        "template.Pairs"
    }

    fn get(&self, name: &str) -> Option<Value<'static>> {
        let list = |part: fn(&(String, String)) -> &String| {
            Value::list(self.0.iter().map(|pair| text(part(pair))).collect())
        };
        match name {
            "Names" => Some(list(|pair| &pair.0)),
            "Values" => Some(list(|pair| &pair.1)),
            _ => None,
        }
    }

    fn plain(&self) -> Value<'static> {
        let pair = |(name, value): &(String, String)| object(Pair(name.clone(), value.clone()));
        Value::list(self.0.iter().map(pair).collect())
    }

    fn text(&self) -> Option<String> {
        let pairs: Vec<String> =
            self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Some(pairs.join(", "))
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}

#[derive(Debug)]
struct Pair(String, String);

impl Object for Pair {
    fn type_name(&self) -> &'static str {
        "template.Pair"
    }

    fn get(&self, name: &str) -> Option<Value<'static>> {
        match name {
            "Name" => Some(text(&self.0)),
            "Value" => Some(text(&self.1)),
            _ => None,
        }
    }

    fn plain(&self) -> Value<'static> {
        map(self, &["Name", "Value"])
    }

    fn text(&self) -> Option<String> {
        Some(format!("{{{} {}}}", self.0, self.1))
    }

    fn bytes(&self) -> usize {
        self.0.len() + self.1.len()
    }
}
