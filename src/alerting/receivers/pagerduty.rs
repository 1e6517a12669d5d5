//! PagerDuty: events of version 2 by a routing key, of version 1 by a service key.

use super::{Means, SendError, Sending, hashed, judge_status, judge_with_limit, truncated};
use crate::config::{PagerDutyConfig, PagerDutyImage, PagerDutyLink, SecretSource};
use serde_json::{Map, Value, json};

const SUMMARY_MAX: usize = 1_024;
/// What PagerDuty takes at most of one event.
const EVENT_MAX: usize = 512_000;
const VERSION_1_URL: &str = "https://events.pagerduty.com/generic/2010-04-15/create_event.json";

pub(super) fn request(config: &PagerDutyConfig, means: &Means<'_>) -> Result<Sending, SendError> {
    let mut details = Map::new();
    for (name, template) in &config.details {
        details.insert(name.clone(), means.text(template)?.into());
    }
    let made = event(config, means, details)?;
    if made.body.len() <= EVENT_MAX {
        return Ok(made);
    }
    // The event is worth more than its details.
    let length = made.body.len();
    let why = format!("the details were left out: the event would have {length} bytes");
    let note = Map::from_iter([("error".to_owned(), why.into())]);
    event(config, means, note)
}

fn event(
    config: &PagerDutyConfig,
    means: &Means<'_>,
    details: Map<String, Value>,
) -> Result<Sending, SendError> {
    let sending = match (&config.routing_key, &config.service_key) {
        (Some(key), _) => version_2(config, means, key, details)?,
        (None, Some(key)) => version_1(config, means, key, details)?,
        (None, None) => return Err(SendError::for_good("there is no routing or service key")),
    };
    Ok(Sending { timeout_ms: config.timeout_ms, ..sending })
}

fn event_type(means: &Means<'_>) -> &'static str {
    if means.data.is_firing() { "trigger" } else { "resolve" }
}

fn version_1(
    config: &PagerDutyConfig,
    means: &Means<'_>,
    key: &SecretSource,
    details: Map<String, Value>,
) -> Result<Sending, SendError> {
    let mut event = json!({
        "service_key": means.secret(key)?,
        "event_type": event_type(means),
        "incident_key": hashed(&means.data.group_key),
        "description": truncated(means.text(&config.description)?, SUMMARY_MAX),
        "details": details,
    });
    if means.data.is_firing() {
        event["client"] = means.text(&config.client)?.into();
        event["client_url"] = means.text(&config.client_url)?.into();
    }
    let judge = |status, body: &[u8]| judge_status(status, body, &[403]);
    Ok(Sending::post_json(VERSION_1_URL.to_owned(), &event, judge))
}

fn version_2(
    config: &PagerDutyConfig,
    means: &Means<'_>,
    key: &SecretSource,
    details: Map<String, Value>,
) -> Result<Sending, SendError> {
    let severity = means.text(&config.severity)?;
    let severity = if severity.is_empty() { "error".to_owned() } else { severity };
    let mut payload = json!({
        "summary": truncated(means.text(&config.description)?, SUMMARY_MAX),
        "source": means.text(&config.source)?,
        "severity": severity,
        "custom_details": details,
    });
    let more =
        [("class", &config.class), ("component", &config.component), ("group", &config.group)];
    for (name, template) in more {
        let text = means.text(template)?;
        if !text.is_empty() {
            payload[name] = text.into();
        }
    }
    let images = config.images.iter().map(|one| image(one, means));
    let links = config.links.iter().map(|one| link(one, means));
    let event = json!({
        "routing_key": means.secret(key)?,
        "event_action": event_type(means),
        "dedup_key": hashed(&means.data.group_key),
        "client": means.text(&config.client)?,
        "client_url": means.text(&config.client_url)?,
        "images": images.collect::<Result<Vec<_>, _>>()?,
        "links": links.collect::<Result<Vec<_>, _>>()?,
        "payload": payload,
    });
    Ok(Sending::post_json(config.url.clone(), &event, judge_with_limit))
}

fn image(image: &PagerDutyImage, means: &Means<'_>) -> Result<Value, SendError> {
    Ok(json!({
        "src": means.text(&image.src)?,
        "alt": means.text(&image.alt)?,
        "href": means.text(&image.href)?,
    }))
}

fn link(link: &PagerDutyLink, means: &Means<'_>) -> Result<Value, SendError> {
    Ok(json!({ "href": means.text(&link.href)?, "text": means.text(&link.text)? }))
}
