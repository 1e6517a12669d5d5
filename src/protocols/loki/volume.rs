//! `index/stats`, `index/volume` and `index/volume_range`: how much there is, without reading lines.

use super::envelope::{Context, LokiError, json};
use super::reading::{check, step_starts, take};
use crate::api::json as write;
use axum::response::Response;
use log_store::{Scratch, Selection, Steps};
use model::{Labels, MatchOp, Matcher, TimeUnit};
use query::Holding;
use std::collections::HashMap;

/// How many streams, pieces, bytes and lines a selector has in a range.
pub(super) fn stats(context: &Context) -> Result<Response, LokiError> {
    let (start, end) = context.default_range_ns()?;
    let (time, memory) = (TimeUnit::Nanos.between(start, end), context.listing_memory());
    let selection = context.select_counted(time, &context.selector()?, &memory)?;
    let (control, mut scratch) = (context.control(), Scratch::default());
    let mut is_there = vec![false; selection.stream_count()];
    let (mut chunks, mut bytes, mut entries) = (0u64, 0, 0);
    for piece in 0..selection.pieces().len() {
        check(&control)?;
        let counts = selection.count(piece, Steps::ONE, &mut scratch)?;
        chunks += u64::from(!counts.is_empty());
        for count in counts {
            is_there[count.stream as usize] = true;
            bytes += count.bytes;
            entries += count.rows;
        }
    }
    let streams = is_there.iter().filter(|is_there| **is_there).count();
    let body = format!(
        "{{\"streams\":{streams},\"chunks\":{chunks},\"bytes\":{bytes},\"entries\":{entries}}}"
    );
    Ok(json(body.into_bytes()))
}

/// Volumes of the whole range, as a vector at its end.
pub(super) fn volume(context: &Context) -> Result<Response, LokiError> {
    let (start, end) = context.default_range_ns()?;
    let found = Volumes::count(context, (start, end), &[start])?;
    let mut out = beginning(&found, "vector");
    write::list(&mut out, &found.groups, |out, (labels, volumes)| {
        out.extend_from_slice(b"{\"metric\":");
        write_metric(out, labels);
        out.extend_from_slice(b",\"value\":");
        write::point(out, TimeUnit::Nanos.to_ms(end), volumes.iter().sum::<u64>() as f64);
        out.push(b'}');
    });
    finish(out, &found)
}

/// Volumes of each step, as a matrix at the starts of steps.
pub(super) fn volume_range(context: &Context) -> Result<Response, LokiError> {
    let (start, end) = context.default_range_ns()?;
    let step = context.step_ns(start, end)?;
    let most = context.services().logql.limits.steps_max;
    let starts = step_starts((start, end), step, most)?;
    let found = Volumes::count(context, (start, end), &starts)?;
    let mut out = beginning(&found, "matrix");
    write::list(&mut out, &found.groups, |out, (labels, volumes)| {
        out.extend_from_slice(b"{\"metric\":");
        write_metric(out, labels);
        out.extend_from_slice(b",\"values\":");
        let points = starts.iter().zip(volumes).filter(|(_, volume)| **volume > 0);
        write::list(out, points, |out, (start, volume)| {
            write::point(out, TimeUnit::Nanos.to_ms(*start), *volume as f64);
        });
        out.push(b'}');
    });
    finish(out, &found)
}

/// A group of streams: pairs of labels; of a name without values the value is empty.
type Group = Vec<(String, String)>;

/// Bytes of lines by group and step, the largest first.
struct Volumes {
    groups: Vec<(Group, Vec<u64>)>,
    warnings: Vec<String>,
    memory: Holding,
}

impl Volumes {
    fn count(
        context: &Context,
        (start, end): (i64, i64),
        starts: &[i64],
    ) -> Result<Self, LokiError> {
        let grouping = Grouping::of(context)?;
        let limit = context.limit()?;
        let memory = context.listing_memory();
        let time = TimeUnit::Nanos.between(start, end);
        let selection = context.select_counted(time, &grouping.matchers, &memory)?;
        let (numbers, groups) = grouping.number(&selection, starts.len(), &memory)?;
        let mut volumes: Vec<Vec<u64>> = vec![vec![0; starts.len()]; groups.len()];
        let (control, mut scratch) = (context.control(), Scratch::default());
        for piece in 0..selection.pieces().len() {
            check(&control)?;
            for count in selection.count(piece, Steps(starts), &mut scratch)? {
                for group in &numbers[count.stream as usize] {
                    volumes[*group as usize][count.step] += count.bytes;
                }
            }
        }
        let mut groups: Vec<(Group, Vec<u64>)> = groups.into_iter().zip(volumes).collect();
        let total = |volumes: &[u64]| volumes.iter().sum::<u64>();
        groups.retain(|(_, volumes)| total(volumes) > 0);
        groups.sort_by(|left, right| {
            total(&right.1).cmp(&total(&left.1)).then_with(|| left.0.cmp(&right.0))
        });
        groups.truncate(limit);
        Ok(Self { groups, warnings: selection.warnings(), memory })
    }
}

/// By which labels streams are put together.
struct Grouping {
    matchers: Vec<Matcher>,
    /// `None`: all labels.
    names: Option<Vec<String>>,
    /// Each name is a group of its own, whatever its values.
    is_by_name: bool,
}

impl Grouping {
    /// By the target labels, which streams must have then; else by the labels that the selector names.
    fn of(context: &Context) -> Result<Self, LokiError> {
        let mut matchers = context.selector()?;
        let is_by_name = match context.parameters.text("aggregateBy") {
            "" | "series" => false,
            "labels" => true,
            other => {
                return Err(LokiError::bad(format!(
                    "invalid aggregateBy option {other:?}: send series or labels"
                )));
            }
        };
        let targets = context.parameters.text("targetLabels").split(',').map(str::trim);
        let targets: Vec<String> =
            targets.filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let mut names: Vec<String> = match targets.is_empty() {
            true => matchers.iter().map(|matcher| matcher.name.clone()).collect(),
            false => targets.clone(),
        };
        names.sort();
        names.dedup();
        for target in targets {
            if !matchers.iter().any(|matcher| matcher.name == target) {
                let has_it = Matcher::new(MatchOp::NotEqual, &target, "");
                matchers.push(has_it.map_err(LokiError::bad)?);
            }
        }
        let names = (!names.is_empty()).then_some(names);
        Ok(Self { matchers, names, is_by_name })
    }

    /// Numbers the groups, and answers for each stream those that it counts for.
    fn number(
        &self,
        selection: &Selection,
        steps: usize,
        memory: &Holding,
    ) -> Result<(Vec<Vec<u32>>, Vec<Group>), LokiError> {
        let mut numbers: HashMap<Group, u32> = HashMap::new();
        let mut groups: Vec<Group> = Vec::new();
        let mut of_streams = Vec::with_capacity(selection.stream_count());
        for stream in 0..selection.stream_count() as u32 {
            let mut of_stream = Vec::new();
            for group in self.groups_of(selection.labels(stream)) {
                let next = groups.len() as u32;
                let number = *numbers.entry(group.clone()).or_insert(next);
                if number == next {
                    take(memory, group_bytes(&group) + steps * size_of::<u64>())?;
                    groups.push(group);
                }
                of_stream.push(number);
            }
            of_streams.push(of_stream);
        }
        Ok((of_streams, groups))
    }

    fn groups_of(&self, labels: &Labels) -> Vec<Group> {
        let is_wanted =
            |name: &str| self.names.as_ref().is_none_or(|names| names.iter().any(|n| n == name));
        let wanted = labels.iter().filter(|(name, _)| is_wanted(name));
        match self.is_by_name {
            true => wanted.map(|(name, _)| vec![(name.to_owned(), String::new())]).collect(),
            false => {
                vec![wanted.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()]
            }
        }
    }
}

/// What a group takes in a table and a list.
fn group_bytes(group: &Group) -> usize {
    let texts: usize = group.iter().map(|(name, value)| name.len() + value.len() + 48).sum();
    2 * texts + 128
}

fn beginning(found: &Volumes, kind: &str) -> Vec<u8> {
    let mut out = b"{\"status\":\"success\",".to_vec();
    if !found.warnings.is_empty() {
        out.extend_from_slice(b"\"warnings\":");
        write::texts(&mut out, &found.warnings);
        out.push(b',');
    }
    out.extend_from_slice(format!("\"data\":{{\"resultType\":\"{kind}\",\"result\":").as_bytes());
    out
}

fn write_metric(out: &mut Vec<u8>, group: &Group) {
    out.push(b'{');
    for (index, (name, value)) in group.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write::text(out, name);
        out.push(b':');
        write::text(out, value);
    }
    out.push(b'}');
}

fn finish(mut out: Vec<u8>, found: &Volumes) -> Result<Response, LokiError> {
    out.extend_from_slice(b"}}");
    take(&found.memory, out.len())?;
    Ok(json(out))
}
