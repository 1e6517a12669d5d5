//! `time_intervals`, and `mute_time_intervals` as they were called first.

use crate::intervals::{Span, TimeInterval, parse};
use std::collections::BTreeMap;
use yaml::{Error, FromNode, Node};

pub(super) fn read_all(
    old: Option<&Node>,
    new: Option<&Node>,
) -> Result<BTreeMap<String, Vec<TimeInterval>>, Error> {
    let mut found = BTreeMap::new();
    let lists = [(old, "mute time interval"), (new, "time interval")];
    for (list, what) in lists {
        for item in list.map_or_else(|| Ok(&[][..]), Node::items)? {
            let mut fields = item.fields("time_interval")?;
            let name: String = fields.or_default("name")?;
            let intervals = fields.or_default("time_intervals")?;
            fields.end()?;
            if name.is_empty() {
                return Err(item.error(format!("missing name in {what}")));
            }
            if found.insert(name.clone(), intervals).is_some() {
                return Err(item.error(format!("{what} {name:?} is not unique")));
            }
        }
    }
    Ok(found)
}

impl FromNode for TimeInterval {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let mut fields = node.fields("time interval")?;
        let spans = |list: Option<&Node>, read: fn(&str) -> Result<Span, String>| {
            let items = list.map_or_else(|| Ok(&[][..]), Node::items)?;
            items.iter().map(|item| read_span(item, read)).collect::<Result<Vec<Span>, Error>>()
        };
        let times = fields.take("times").map_or_else(|| Ok(&[][..]), Node::items)?;
        let interval = Self {
            times: times.iter().map(times_of).collect::<Result<_, Error>>()?,
            weekdays: spans(fields.take("weekdays"), parse::weekdays)?,
            days_of_month: spans(fields.take("days_of_month"), parse::days_of_month)?,
            months: spans(fields.take("months"), parse::months)?,
            years: spans(fields.take("years"), parse::years)?,
            location: match fields.take("location").filter(|node| !node.is_null()) {
                Some(node) => {
                    let name: String = node.read()?;
                    Some(parse::location(&name).map_err(|why| node.error(why))?)
                }
                None => None,
            },
        };
        fields.end()?;
        Ok(interval)
    }
}

fn read_span(item: &Node, read: fn(&str) -> Result<Span, String>) -> Result<Span, Error> {
    let text: String = item.read()?;
    read(&text).map_err(|why| item.error(why))
}

fn times_of(item: &Node) -> Result<Span, Error> {
    let mut fields = item.fields("range of times")?;
    let start: String = fields.or_default("start_time")?;
    let end: String = fields.or_default("end_time")?;
    fields.end()?;
    if start.is_empty() || end.is_empty() {
        return Err(item.error("both start and end times must be provided"));
    }
    parse::times(&start, &end).map_err(|why| item.error(why))
}
