//! `route`: the tree, with what each route takes over from the one above it.

use super::fields::conditions;
use crate::intervals::TimeInterval;
use crate::matchers::matchers_text;
use crate::routing::{GroupBy, Route, Routes, Timing};
use std::collections::{BTreeMap, BTreeSet};
use yaml::{Duration, Error, Fields, Node};

struct Names<'a> {
    receivers: &'a BTreeSet<&'a str>,
    intervals: &'a BTreeMap<String, Vec<TimeInterval>>,
}

pub(super) fn read(
    root: &Node,
    receivers: &BTreeSet<&str>,
    intervals: &BTreeMap<String, Vec<TimeInterval>>,
) -> Result<Routes, Error> {
    let mut routes = Vec::new();
    read_route(root, None, &Names { receivers, intervals }, &mut routes)?;
    Ok(Routes::new(routes))
}

/// Reads a route and those below it; answers its place. The depth of the file is bounded (`yaml`).
fn read_route(
    node: &Node,
    parent: Option<&Route>,
    names: &Names<'_>,
    routes: &mut Vec<Route>,
) -> Result<usize, Error> {
    let mut fields = node.fields("route")?;
    let matchers = conditions(&mut fields, ["match", "match_re", "matchers"])?;
    let text = matchers_text(&matchers);
    let receiver: String = fields.or_default("receiver")?;
    let route = Route {
        key: parent.map_or_else(|| text.clone(), |parent| format!("{}/{text}", parent.key)),
        receiver: match (receiver.is_empty(), parent) {
            (false, _) => receiver,
            (true, Some(parent)) => parent.receiver.clone(),
            (true, None) => {
                return Err(fields.error("root route must specify a default receiver"));
            }
        },
        group_by: group_by(&mut fields, parent)?,
        timing: timing(&mut fields, parent.map_or(Timing::default(), |parent| parent.timing))?,
        muted_in: intervals(&mut fields, "mute_time_intervals", names)?,
        active_in: intervals(&mut fields, "active_time_intervals", names)?,
        does_continue: fields.or("continue", false)?,
        children: Vec::new(),
        matchers,
    };
    if parent.is_none() {
        check_root(&route, &fields)?;
    }
    if !names.receivers.contains(route.receiver.as_str()) {
        let text = format!("undefined receiver {:?} used in route", route.receiver);
        return Err(fields.error(text));
    }
    let below = fields.take("routes");
    fields.end()?;
    let place = routes.len();
    routes.push(route.clone());
    for child in below.map_or_else(|| Ok(&[][..]), Node::items)? {
        let child = read_route(child, Some(&route), names, routes)?;
        if let Some(route) = routes.get_mut(place) {
            route.children.push(child);
        }
    }
    Ok(place)
}

fn check_root(route: &Route, fields: &Fields<'_>) -> Result<(), Error> {
    let wrong = [
        (!route.matchers.is_empty(), "root route must not have any matchers"),
        (!route.muted_in.is_empty(), "root route must not have any mute time intervals"),
        (!route.active_in.is_empty(), "root route must not have any active time intervals"),
        (route.does_continue, "cannot have continue in root route"),
    ];
    match wrong.into_iter().find(|(is_wrong, _)| *is_wrong) {
        Some((_, why)) => Err(fields.error(why)),
        None => Ok(()),
    }
}

/// The labels by which a route groups. An empty list is none: what holds above holds on.
fn group_by(fields: &mut Fields<'_>, parent: Option<&Route>) -> Result<GroupBy, Error> {
    let names: Vec<String> = fields.or_default("group_by")?;
    let mut labels = BTreeSet::new();
    let mut is_all = false;
    for name in names {
        if name == "..." {
            is_all = true;
        } else if name.is_empty() {
            return Err(fields.error("invalid label name \"\" in group_by list"));
        } else if !labels.insert(name.clone()) {
            return Err(fields.error(format!("duplicated label {name:?} in group_by")));
        }
    }
    match (is_all, labels.is_empty()) {
        (true, false) => {
            Err(fields
                .error("cannot have wildcard group_by (`...`) and other labels at the same time"))
        }
        (true, true) => Ok(GroupBy::All),
        (false, false) => Ok(GroupBy::Labels(labels)),
        (false, true) => Ok(parent.map_or_else(GroupBy::none, |parent| parent.group_by.clone())),
    }
}

fn timing(fields: &mut Fields<'_>, above: Timing) -> Result<Timing, Error> {
    let mut read = |name, above_ms| Ok(fields.or(name, Duration { ms: above_ms })?.ms);
    let timing = Timing {
        group_wait_ms: read("group_wait", above.group_wait_ms)?,
        group_interval_ms: read("group_interval", above.group_interval_ms)?,
        repeat_interval_ms: read("repeat_interval", above.repeat_interval_ms)?,
    };
    if timing.group_interval_ms == 0 {
        return Err(fields.error("group_interval cannot be zero"));
    }
    if timing.repeat_interval_ms == 0 {
        return Err(fields.error("repeat_interval cannot be zero"));
    }
    Ok(timing)
}

fn intervals(
    fields: &mut Fields<'_>,
    name: &'static str,
    names: &Names<'_>,
) -> Result<Vec<String>, Error> {
    let found: Vec<String> = fields.or_default(name)?;
    match found.iter().find(|name| !names.intervals.contains_key(*name)) {
        Some(name) => Err(fields.error(format!("undefined time interval {name:?} used in route"))),
        None => Ok(found),
    }
}
