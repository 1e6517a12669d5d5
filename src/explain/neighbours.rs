//! Which services are near the one that a question is about.

use crate::stores::Asking;
use std::collections::BTreeMap;
use traceql::CallFilter;

/// Services further away than this are not looked at.
const HOPS_MAX: u32 = 2;
/// Nor are more than these.
const SERVICES_MAX: usize = 32;
const CALLS_MAX: usize = 10_000;

/// Services and how many calls lie between; empty: the question is about no service.
pub(crate) type Near = BTreeMap<String, u32>;

pub(crate) fn near(asking: &Asking) -> Near {
    let Some(service) = &asking.question.service else { return Near::new() };
    let mut near = Near::from([(service.clone(), 0)]);
    let filter = CallFilter { service: "", operation: "", limit: CALLS_MAX };
    let request = asking.trace_request(asking.whole());
    let stores = &asking.stores;
    let found = asking.traceql().calls(&stores.traces, &*stores.clock, &request, &filter);
    // Without calls there is still the service itself.
    let Ok(found) = found else { return near };
    let pairs: Vec<(&str, &str)> = found
        .value
        .list
        .iter()
        .filter_map(|calls| {
            let (caller, _) = calls.caller.as_ref()?;
            Some((caller.as_deref()?, calls.called.0.as_deref()?))
        })
        .collect();
    for hops in 1..=HOPS_MAX {
        let before: Vec<String> =
            near.iter().filter(|(_, at)| **at + 1 == hops).map(|(name, _)| name.clone()).collect();
        for (caller, called) in &pairs {
            for (from, to) in [(caller, called), (called, caller)] {
                if before.iter().any(|name| name == from) && near.len() < SERVICES_MAX {
                    near.entry((*to).to_owned()).or_insert(hops);
                }
            }
        }
    }
    near
}
