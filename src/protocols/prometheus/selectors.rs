//! Which series a request is about: `match[]`, `start`, `end` and `limit`, and VictoriaMetrics' ways
//! of restricting any request (`extra_label`, `extra_filters[]`).

use super::envelope::ApiError;
use super::listing::ListingQuery;
use crate::api::parameters::Parameters;
use crate::guard::{TIME_MAX_MS, TIME_MIN_MS};
use model::{MatchOp, Matcher};
use promql::{ParseError, parse_selector};
use query::RegexBudget;

/// The store looks for each of them by itself. Selectors and filters multiply.
const SELECTORS_MAX: usize = 1_000;
/// What the selectors of a request may take, all filters joined to each.
const SELECTORS_BYTES_MAX: usize = 64 << 20;

/// `match[]`, each narrowed by the request's filters.
pub(super) fn selectors(parameters: &Parameters) -> Result<Vec<Vec<Matcher>>, ApiError> {
    let (mut selectors, mut regexes) = (Vec::new(), RegexBudget::default());
    for text in parameters.all("match[]") {
        if selectors.len() >= SELECTORS_MAX {
            return Err(too_many("match[]"));
        }
        selectors.push(selector(text, &mut regexes)?);
    }
    narrow(parameters, selectors, &mut regexes)
}

/// `regexes`: what the selectors left of the request's.
pub(super) fn narrow(
    parameters: &Parameters,
    selectors: Vec<Vec<Matcher>>,
    regexes: &mut RegexBudget,
) -> Result<Vec<Vec<Matcher>>, ApiError> {
    narrowed(selectors, &filters(parameters, regexes)?)
}

/// The filters that `extra_label` and `extra_filters[]` put on every series: one of them must match.
/// None: every series passes.
pub(super) fn filters(
    parameters: &Parameters,
    regexes: &mut RegexBudget,
) -> Result<Vec<Vec<Matcher>>, ApiError> {
    let labels = parameters.all("extra_label").map(extra_label).collect::<Result<Vec<_>, _>>()?;
    let texts = parameters.all("extra_filters[]").chain(parameters.all("extra_filters"));
    let mut filters = Vec::new();
    for text in texts.filter(|text| !text.is_empty()) {
        if filters.len() >= SELECTORS_MAX {
            return Err(too_many("extra_filters[]"));
        }
        let invalid =
            |error: ParseError| ApiError::parameter("extra_filters[]", &error.to_string());
        filters.push(parse_selector(text, regexes).map_err(invalid)?);
    }
    match (labels.is_empty(), filters.is_empty()) {
        (true, _) => Ok(filters),
        (false, true) => Ok(vec![labels]),
        (false, false) => narrowed(filters, &[labels]),
    }
}

fn too_many(parameter: &str) -> ApiError {
    let message = format!(
        "too many: a request may have {SELECTORS_MAX} selectors of {SELECTORS_BYTES_MAX} bytes \
         together, each match[] counted once for each extra_filters[]; split the request"
    );
    ApiError::parameter(parameter, &message)
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

/// `start` and `end`; all of time where they are missing. Where the end lies before the start there is
/// nothing.
pub(super) fn time_range(parameters: &Parameters) -> Result<(i64, i64), ApiError> {
    let start_ms = parameters.time("start", TIME_MIN_MS)?;
    Ok((start_ms, parameters.time("end", TIME_MAX_MS)?))
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
/// every series. How many there will be is checked before they are made.
fn narrowed(
    selectors: Vec<Vec<Matcher>>,
    filters: &[Vec<Matcher>],
) -> Result<Vec<Vec<Matcher>>, ApiError> {
    match filters {
        [] => return Ok(selectors),
        _ if selectors.is_empty() => return Ok(filters.to_vec()),
        _ => {}
    }
    let count = selectors.len().saturating_mul(filters.len());
    let bytes = bytes_of(&selectors).saturating_mul(filters.len());
    let bytes = bytes.saturating_add(bytes_of(filters).saturating_mul(selectors.len()));
    if count > SELECTORS_MAX || bytes > SELECTORS_BYTES_MAX {
        return Err(too_many("match[]"));
    }
    let join = |selector: &Vec<Matcher>| {
        let joined = filters.iter().map(|filter| [&selector[..], filter].concat());
        joined.collect::<Vec<_>>()
    };
    Ok(selectors.iter().flat_map(join).collect())
}

fn bytes_of(selectors: &[Vec<Matcher>]) -> usize {
    selectors.iter().flatten().map(Matcher::bytes).sum()
}

fn selector(text: &str, regexes: &mut RegexBudget) -> Result<Vec<Matcher>, ApiError> {
    let matchers = parse_selector(text, regexes)
        .map_err(|error| ApiError::parameter("match[]", &error.to_string()))?;
    if matchers.iter().all(|matcher| matcher.matches("")) {
        let message = "match[] must contain at least one non-empty matcher";
        return Err(ApiError::parameter("match[]", message));
    }
    Ok(matchers)
}
