//! The webhook of Alertmanager, version 4 of its payload.

use super::{Means, SendError, Sending, judge_with_limit};
use crate::config::WebhookConfig;
use crate::notify::{AlertData, NoticeData};
use serde_json::{Value, json};
use template::time::{Time, show};

pub(super) fn request(config: &WebhookConfig, means: &Means<'_>) -> Result<Sending, SendError> {
    let url = means.secret(&config.url)?;
    let body = payload(means.data, config.max_alerts);
    let sending = Sending::post_json(url, &body, judge_with_limit);
    Ok(Sending { timeout_ms: config.timeout_ms, ..sending })
}

fn payload(data: &NoticeData, max_alerts: usize) -> Value {
    let most = if max_alerts == 0 { usize::MAX } else { max_alerts };
    let alerts: Vec<Value> = data.alerts.iter().take(most).map(|alert| alert_json(alert)).collect();
    json!({
        "version": "4",
        "groupKey": data.group_key,
        "truncatedAlerts": data.alerts.len() - alerts.len(),
        "receiver": data.receiver,
        "status": data.status(),
        "alerts": alerts,
        "groupLabels": *data.group_labels,
        "commonLabels": *data.common_labels,
        "commonAnnotations": *data.common_annotations,
        "externalURL": data.external_url,
        "notification_reason": data.reason,
    })
}

fn alert_json(alert: &AlertData) -> Value {
    json!({
        "status": alert.status(),
        "labels": *alert.labels,
        "annotations": *alert.annotations,
        "startsAt": time_text(Some(alert.starts_at_ms)),
        "endsAt": time_text(alert.ends_at_ms),
        "generatorURL": alert.generator_url,
        "fingerprint": alert.fingerprint,
    })
}

/// As Go writes times to JSON; what there is not is the year 1.
fn time_text(at_ms: Option<i64>) -> String {
    let time = at_ms.map(|at_ms| Time::from_unix_nanoseconds(at_ms.saturating_mul(1_000_000)));
    let mut out = String::new();
    show(&time.unwrap_or(Time::ZERO), "2006-01-02T15:04:05.999999999Z07:00", &mut out);
    out
}
