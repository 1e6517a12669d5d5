//! OpsGenie: an alert is made when the group fires, and closed when it does not any more.

use super::{Means, SendError, Sending, hashed, judge_with_limit, truncated};
use crate::config::{OpsGenieConfig, Responder};
use serde_json::{Map, Value, json};

const MESSAGE_MAX: usize = 130;
const DESCRIPTION_MAX: usize = 15_000;

pub(super) fn requests(
    config: &OpsGenieConfig,
    means: &Means<'_>,
) -> Result<Vec<Sending>, SendError> {
    let alias = hashed(&means.data.group_key);
    let source = means.text(&config.source)?;
    let alerts = format!("{}v2/alerts", config.api_url);
    if !means.data.is_firing() {
        let url = format!("{alerts}/{alias}/close?identifierType=alias");
        return Ok(vec![sending(config, means, "POST", url, &json!({ "source": source }))?]);
    }
    let message = truncated(means.text(&config.message)?, MESSAGE_MAX);
    let description = truncated(means.text(&config.description)?, DESCRIPTION_MAX);
    let body = created(config, means, &alias, (&message, &description), source)?;
    let mut made = vec![sending(config, means, "POST", alerts.clone(), &body)?];
    if config.update_alerts {
        for (what, text) in [("message", message), ("description", description)] {
            let url = format!("{alerts}/{alias}/{what}?identifierType=alias");
            made.push(sending(config, means, "PUT", url, &json!({ what: text }))?);
        }
    }
    Ok(made)
}

fn sending(
    config: &OpsGenieConfig,
    means: &Means<'_>,
    method: &'static str,
    url: String,
    body: &Value,
) -> Result<Sending, SendError> {
    let mut sending = Sending::post_json(url, body, judge_with_limit);
    sending.method = method;
    let key = means.secret(&config.api_key)?;
    sending.headers.push(("authorization", format!("GenieKey {key}")));
    Ok(sending)
}

fn created(
    config: &OpsGenieConfig,
    means: &Means<'_>,
    alias: &str,
    (message, description): (&str, &str),
    source: String,
) -> Result<Value, SendError> {
    // Labels that all alerts have, and what the file says beside them.
    let mut details = Map::new();
    for (name, value) in means.data.common_labels.iter() {
        details.insert(name.clone(), value.clone().into());
    }
    for (name, template) in &config.details {
        details.insert(name.clone(), means.text(template)?.into());
    }
    let mut body = json!({
        "alias": alias,
        "message": message,
        "description": description,
        "details": details,
        "source": source,
    });
    let mut set = |name: &str, value: Value| {
        let is_empty = value.as_str().is_some_and(str::is_empty)
            || value.as_array().is_some_and(Vec::is_empty);
        if !is_empty {
            body[name] = value;
        }
    };
    let mut responders = Vec::new();
    for one in &config.responders {
        responders.extend(responder(one, means)?);
    }
    set("responders", responders.into());
    set("tags", listed(&means.text(&config.tags)?));
    set("actions", listed(&means.text(&config.actions)?));
    set("note", means.text(&config.note)?.into());
    set("entity", means.text(&config.entity)?.into());
    set("priority", means.text(&config.priority)?.into());
    Ok(body)
}

/// `a, b`
fn listed(text: &str) -> Value {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(Value::from).collect::<Vec<_>>().into()
}

/// `teams` stands for several responders, whose names are separated by commas.
fn responder(responder: &Responder, means: &Means<'_>) -> Result<Vec<Value>, SendError> {
    let kind = means.text(&responder.kind)?;
    let name = means.text(&responder.name)?;
    if kind == "teams" {
        let names = name.split(',').map(str::trim).filter(|name| !name.is_empty());
        return Ok(names.map(|name| json!({ "name": name, "type": "team" })).collect());
    }
    let mut made = Map::new();
    let texts = [
        ("id", means.text(&responder.id)?),
        ("name", name),
        ("username", means.text(&responder.username)?),
        ("type", kind),
    ];
    for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        made.insert(name.to_owned(), text.into());
    }
    Ok(if made.len() > 1 { vec![made.into()] } else { Vec::new() })
}
