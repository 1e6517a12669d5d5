//! The filters of a request for alerts and groups.

use super::bad_request;
use crate::api::parameters::Parameters;
use crate::services::ServiceError;
use alerting::engine::Wanted;
use alerting::parse_matchers;
use model::{AnchoredRegex, Matcher};

pub(super) fn wanted(parameters: &Parameters) -> Result<Wanted, ServiceError> {
    let receiver = parameters.text("receiver");
    let regex = (!receiver.is_empty()).then(|| AnchoredRegex::new(receiver)).transpose();
    let regex = regex.map_err(|why| {
        bad_request(format!("failed to parse receiver param: {receiver:?}: {why}"))
    })?;
    Ok(Wanted {
        active: flag(parameters, "active")?,
        silenced: flag(parameters, "silenced")?,
        inhibited: flag(parameters, "inhibited")?,
        unprocessed: flag(parameters, "unprocessed")?,
        muted: flag(parameters, "muted")?,
        filter: matchers(parameters, "filter")?,
        receiver: regex,
        receiver_matchers: matchers(parameters, "receiver_matchers")?,
    })
}

/// `true` where it is missing.
pub(super) fn flag(parameters: &Parameters, name: &str) -> Result<bool, ServiceError> {
    match parameters.text(name).to_ascii_lowercase().as_str() {
        "" | "true" | "1" | "t" | "yes" | "on" => Ok(true),
        "false" | "0" | "f" | "no" | "off" => Ok(false),
        other => Err(bad_request(format!("{name} must be true or false, not {other:?}"))),
    }
}

/// Each may be one condition or several.
pub(super) fn matchers(parameters: &Parameters, name: &str) -> Result<Vec<Matcher>, ServiceError> {
    let mut found = Vec::new();
    for text in parameters.all(name).filter(|text| !text.is_empty()) {
        found.extend(parse_matchers(text).map_err(bad_request)?);
    }
    Ok(found)
}
