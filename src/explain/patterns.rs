//! Kinds of log lines that are more frequent than before.

use crate::finding::{Figures, Finding, Found, Kind};
use crate::neighbours::Near;
use crate::question::Question;
use crate::score::{PATTERN, pattern};
use crate::stores::{Asking, ExplainError, one_of};
use log_store::{NO_TEXTS, Needs, Order, Scratch, Select, Steps, WILDCARD, pattern_of};
use model::{ErrorKind, Matcher, TimeUnit};
use query::{RegexBudget, Weight};
use std::collections::{BTreeSet, HashMap};

/// The label that names the service of a stream.
const SERVICE: &str = "service_name";
/// Patterns that are counted at once; the rarest give way.
const COUNTED_MAX: usize = 16_384;
const PATTERN_BYTES: usize = 192;
/// Fewer lines say nothing.
const LINES_MIN: u64 = 3;
/// Patterns that are less than twice as frequent as expected are not told.
const SCORE_MIN: f64 = 0.1;

/// Lines in baseline and selection, by service and pattern.
type Counts = HashMap<(String, String), [u64; 2]>;

pub(crate) fn find(asking: &Asking) -> Result<Found, ExplainError> {
    let near = asking.near();
    let Question { selection, baseline, .. } = &asking.question;
    let counts = count(asking, near)?;
    let ratio = selection.length_ms() as f64 / baseline.length_ms() as f64;
    let looked_at = counts.len() as u64;
    let findings = counts.into_iter().filter_map(|((service, text), [before, now])| {
        let score = pattern(now, before, ratio);
        (now >= LINES_MIN && score >= SCORE_MIN).then(|| Finding {
            kind: Kind::Pattern,
            query: query(&service, &text),
            name: service,
            value: text,
            score,
            figures: Figures::Counts { selection: now, baseline: before },
            formula: PATTERN,
            language: "logql",
        })
    });
    let found = Found { findings: findings.collect(), looked_at, ..Found::default() };
    Ok(found.ranked())
}

fn count(asking: &Asking, near: &Near) -> Result<Counts, ExplainError> {
    let Question { selection, baseline, tenant, .. } = &asking.question;
    let (start, end) = asking.whole().nanos();
    let matchers = matchers(near)?;
    let needs = Needs { lines: false, fields: Some(BTreeSet::new()) };
    let wanted = Select {
        time: TimeUnit::Nanos.between(start, end),
        matchers: &matchers,
        conditions: &[],
        identifier: None,
        texts: &NO_TEXTS,
        order: Order::NewestFirst,
        needs: &needs,
    };
    let failed = |error: log_store::StoreError| ExplainError::of(error.kind(), &error);
    let stopped = |error: query::QueryError| ExplainError::of(error.kind(), &error);
    let found = asking.stores.logs.select(tenant, &wanted).map_err(failed)?;
    // The time between the two belongs to neither.
    let starts = [baseline.nanos().0, baseline.nanos().1, selection.nanos().0];
    let is_apart = starts[1] < starts[2];
    let starts = if is_apart { &starts[..] } else { &starts[..2] };
    let (control, holding) = (asking.control(), asking.holding());
    let (mut counts, mut scratch) = (Counts::new(), Scratch::default());
    for piece in 0..found.pieces().len() {
        control.check().map_err(|stop| ExplainError::of(stop.kind(), &stop))?;
        let of_piece =
            found.count_templates(piece, &[], Steps(starts), &mut scratch).map_err(failed)?;
        let texts: Vec<String> = of_piece.templates.iter().map(pattern_of).collect();
        for one in &of_piece.counts {
            let side = match (one.step, is_apart) {
                (0, _) => 0,
                (1, false) | (2, true) => 1,
                _ => continue,
            };
            let Some(text) = texts.get(one.template as usize).filter(|text| *text != WILDCARD)
            else {
                continue;
            };
            let service = found.labels(one.stream).get(SERVICE).unwrap_or_default().to_owned();
            counts.entry((service, text.clone())).or_default()[side] += one.rows;
        }
        if counts.len() > COUNTED_MAX {
            counts.retain(|_, counts| counts.iter().sum::<u64>() > 1);
        }
        holding.settle(Weight::bytes(counts.len() * PATTERN_BYTES)).map_err(stopped)?;
    }
    Ok(counts)
}

fn matchers(near: &Near) -> Result<Vec<Matcher>, ExplainError> {
    if near.is_empty() {
        return Ok(Vec::new());
    }
    let selector = format!("{{{SERVICE}=~{}}}", one_of(near.keys().map(String::as_str)));
    promql::parse_selector(&selector, &mut RegexBudget::default())
        .map_err(|error| ExplainError::of(ErrorKind::Bug, &error))
}

/// The lines that a pattern stands for.
fn query(service: &str, pattern: &str) -> String {
    let selector = match service {
        "" => format!("{{{SERVICE}=\"\"}}"),
        service => format!("{{{SERVICE}={}}}", crate::stores::quoted(service)),
    };
    format!("{selector} |> {}", crate::stores::quoted(pattern))
}
