//! `labels`, `label/<name>/values`, `series`: what query editors complete names with.

use super::envelope::{Context, LokiError, json};
use super::legacy;
use super::reading::take;
use crate::api::json as write;
use crate::percent_decode_bytes;
use axum::response::Response;
use log_store::Listing;
use model::{Labels, Matcher, TimeRange};
use query::{Holding, HoldingLimits, RegexBudget};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Without a start, listings look back this far.
pub(super) const SINCE_NS: i64 = 6 * 3_600 * 1_000_000_000;

impl Context {
    /// What this request may hold while it lists.
    pub(super) fn listing_memory(&self) -> Holding {
        let limits = HoldingLimits {
            samples: usize::MAX,
            bytes: self.services().logql.limits.memory_max,
            bytes_setting: "logs.max_memory",
            bytes_advice: "fewer streams (with a selector, start and end)",
        };
        Holding::new(limits, Some(&Arc::clone(&self.services().query_memory)))
            .until(self.cancel.clone())
    }

    /// The matchers of a selector; none for an empty text.
    pub(super) fn matchers(&self, selector: &str) -> Result<Vec<Matcher>, LokiError> {
        match selector {
            "" => Ok(Vec::new()),
            selector => Ok(logql::parse_matchers(selector, &mut RegexBudget::default())?),
        }
    }

    fn streams(
        &self,
        time: TimeRange,
        matchers: &[Matcher],
        memory: &Holding,
    ) -> Result<Listing, LokiError> {
        let store = &self.logs()?.store;
        Ok(store.streams(&self.call.tenant, time, matchers, &mut memory.portions())?)
    }
}

pub(super) fn names(context: &Context) -> Result<Response, LokiError> {
    let (time, memory) = (context.time_range(SINCE_NS)?, context.listing_memory());
    let matchers = context.matchers(context.parameters.text("query"))?;
    let listing = context.streams(time, &matchers, &memory)?;
    let labels = listing.streams.iter();
    let names: BTreeSet<&str> = labels.flat_map(|labels| labels.iter().map(|(n, _)| n)).collect();
    texts(context, &names, &listing, &memory)
}

/// The name in a path that ends in `/<name>/values`.
pub(super) fn name_in_path(context: &Context) -> Result<String, LokiError> {
    let path = context.call.path.trim_end_matches("/values");
    let name = percent_decode_bytes(&path.rsplit('/').next().unwrap_or("").replace('+', "%2B"));
    String::from_utf8(name).map_err(|_| LokiError::bad("the name in the path is no UTF-8"))
}

pub(super) fn values(context: &Context) -> Result<Response, LokiError> {
    let name = name_in_path(context)?;
    let (time, memory) = (context.time_range(SINCE_NS)?, context.listing_memory());
    let matchers = context.matchers(context.parameters.text("query"))?;
    let listing = context.streams(time, &matchers, &memory)?;
    let values: BTreeSet<&str> =
        listing.streams.iter().filter_map(|labels| labels.get(&name)).collect();
    texts(context, &values, &listing, &memory)
}

fn texts(
    context: &Context,
    items: &BTreeSet<&str>,
    listing: &Listing,
    memory: &Holding,
) -> Result<Response, LokiError> {
    let mut out = match legacy::is_asked(context) {
        true => b"{\"values\":".to_vec(),
        false => beginning(listing),
    };
    write::list(&mut out, items, |out, text| write::text(out, text));
    out.push(b'}');
    take(memory, out.len())?;
    Ok(json(out))
}

fn beginning(listing: &Listing) -> Vec<u8> {
    let mut out = b"{\"status\":\"success\",".to_vec();
    if !listing.warnings.is_empty() {
        out.extend_from_slice(b"\"warnings\":");
        write::texts(&mut out, &listing.warnings);
        out.push(b',');
    }
    out.extend_from_slice(b"\"data\":");
    out
}

/// Streams that match any of the selectors.
pub(super) fn series(context: &Context) -> Result<Response, LokiError> {
    let (time, memory) = (context.time_range(SINCE_NS)?, context.listing_memory());
    let parameters = &context.parameters;
    let selectors: Vec<&str> = parameters.all("match[]").chain(parameters.all("match")).collect();
    let mut all = Listing::default();
    for selector in if selectors.is_empty() { vec![""] } else { selectors } {
        let listing = context.streams(time, &context.matchers(selector)?, &memory)?;
        all.streams.extend(listing.streams);
        all.warnings.extend(listing.warnings);
    }
    all.warnings.sort();
    all.warnings.dedup();
    all.streams.sort();
    all.streams.dedup();
    let mut out = beginning(&all);
    write::list(&mut out, &all.streams, |out, labels: &Labels| write::labels(out, labels));
    out.push(b'}');
    take(&memory, out.len())?;
    Ok(json(out))
}

/// Takes a query apart and puts it together again, over several lines.
pub(super) fn format(context: &Context) -> Result<Response, LokiError> {
    let expr = logql::parse(context.parameters.text("query"))?;
    let mut out = b"{\"status\":\"success\",\"data\":".to_vec();
    write::text(&mut out, &logql::prettify(&expr));
    out.push(b'}');
    Ok(json(out))
}

/// What Grafana looks at to know which features there are.
pub(super) fn build_info(context: &Context) -> Result<Response, LokiError> {
    let version = context.services().version;
    let info = serde_json::json!({
        "version": LOKI_VERSION,
        "revision": version,
        "branch": "main",
        "buildUser": "mirador",
        "buildDate": "",
        "goVersion": "",
    });
    Ok(json(info.to_string().into_bytes()))
}

/// The version of Loki whose API this is.
pub(super) const LOKI_VERSION: &str = "3.7.0";
