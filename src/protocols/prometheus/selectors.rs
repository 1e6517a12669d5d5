//! Which series a request is about: `match[]`, `start`, `end` and `limit`, and VictoriaMetrics' ways
//! of restricting any request (`extra_label`, `extra_filters[]`).

use super::envelope::ApiError;
use super::listing::ListingQuery;
use crate::api::parameters::Parameters;
use crate::guard::{TIME_MAX_MS, TIME_MIN_MS};
use model::{MatchOp, Matcher};
use promql::{COMPILED_MAX, ParseError, parse_selector};

/// The store looks for each of them by itself.
const SELECTORS_MAX: usize = 1_000;

/// `match[]`, each narrowed by the request's filters.
pub(super) fn selectors(parameters: &Parameters) -> Result<Vec<Vec<Matcher>>, ApiError> {
    let mut selectors = Vec::new();
    let mut compiled = 0;
    for text in parameters.all("match[]") {
        let selector = selector(text)?;
        compiled += selector.iter().filter(|matcher| matcher.is_compiled()).count();
        if compiled > COMPILED_MAX || selectors.len() >= SELECTORS_MAX {
            let message = format!(
                "too many: a request may have {SELECTORS_MAX} selectors and {COMPILED_MAX} \
                 regular expressions other than plain lists of values (a|b|c); split the request"
            );
            return Err(ApiError::parameter("match[]", &message));
        }
        selectors.push(selector);
    }
    narrow(parameters, selectors)
}

pub(super) fn narrow(
    parameters: &Parameters,
    selectors: Vec<Vec<Matcher>>,
) -> Result<Vec<Vec<Matcher>>, ApiError> {
    Ok(narrowed(selectors, &filters(parameters)?))
}

/// The filters that `extra_label` and `extra_filters[]` put on every series: one of them must match.
/// None: every series passes.
pub(super) fn filters(parameters: &Parameters) -> Result<Vec<Vec<Matcher>>, ApiError> {
    let labels = parameters.all("extra_label").map(extra_label).collect::<Result<Vec<_>, _>>()?;
    let filters = parameters.all("extra_filters[]").chain(parameters.all("extra_filters"));
    let filters = filters.filter(|text| !text.is_empty()).map(|text| {
        let invalid =
            |error: ParseError| ApiError::parameter("extra_filters[]", &error.to_string());
        parse_selector(text).map_err(invalid)
    });
    let filters = filters.collect::<Result<Vec<_>, _>>()?;
    Ok(match (labels.is_empty(), filters.is_empty()) {
        (true, _) => filters,
        (false, true) => vec![labels],
        (false, false) => narrowed(filters, &[labels]),
    })
}

/// [`listing_query`], for requests that must name the series that they are about.
pub(super) fn series_query(parameters: &Parameters) -> Result<ListingQuery, ApiError> {
    if parameters.text("match[]").is_empty() {
        return Err(ApiError::bad("no match[] parameter provided"));
    }
    listing_query(parameters)
}

/// `match[]`, `start`, `end` and `limit` together.
pub(super) fn listing_query(parameters: &Parameters) -> Result<ListingQuery, ApiError> {
    let (start_ms, end_ms) = time_range(parameters)?;
    let selectors = selectors(parameters)?;
    Ok(ListingQuery { selectors, start_ms, end_ms, limit: parameters.limit()? })
}

/// `start` and `end`; all of time where they are missing.
pub(super) fn time_range(parameters: &Parameters) -> Result<(i64, i64), ApiError> {
    let start_ms = parameters.time("start", TIME_MIN_MS)?;
    let end_ms = parameters.time("end", TIME_MAX_MS)?;
    if end_ms < start_ms {
        return Err(ApiError::bad("end timestamp must not be before start timestamp"));
    }
    Ok((start_ms, end_ms))
}

/// `name=value`.
fn extra_label(text: &str) -> Result<Matcher, ApiError> {
    let (name, value) = text.split_once('=').unwrap_or(("", ""));
    if name.is_empty() {
        return Err(ApiError::parameter("extra_label", "must be name=value"));
    }
    Matcher::new(MatchOp::Equal, name, value).map_err(ApiError::bad)
}

/// Every selector joined with every filter, so that a series must match both. No selector means
/// every series.
fn narrowed(selectors: Vec<Vec<Matcher>>, filters: &[Vec<Matcher>]) -> Vec<Vec<Matcher>> {
    match filters {
        [] => selectors,
        _ if selectors.is_empty() => filters.to_vec(),
        _ => selectors
            .iter()
            .flat_map(|selector| filters.iter().map(|filter| [&selector[..], filter].concat()))
            .collect(),
    }
}

fn selector(text: &str) -> Result<Vec<Matcher>, ApiError> {
    let matchers =
        parse_selector(text).map_err(|error| ApiError::parameter("match[]", &error.to_string()))?;
    if matchers.iter().all(|matcher| matcher.matches("")) {
        let message = "match[] must contain at least one non-empty matcher";
        return Err(ApiError::parameter("match[]", message));
    }
    Ok(matchers)
}
