//! `patterns`: which kinds of lines there are, and how often. What lines of one program have in common
//! is known from the store's templates, so that few lines are read.

use super::envelope::{Context, LokiError, json};
use super::reading::{check, step_starts, take};
use crate::api::json as write;
use axum::response::Response;
use log_store::{ABSENT, Scratch, Selection, Steps, TemplateCounts, WILDCARD, pattern_of};
use logql::QueryError;
use model::TimeUnit;
use query::{Holding, Weight};
use std::collections::{BTreeMap, HashMap};

const SECOND_NS: i64 = 1_000_000_000;

/// More patterns than these, the most frequent ones, are not answered.
const PATTERNS_MAX: usize = 300;

/// The fields and labels that name the level of a line.
const LEVELS: [&str; 2] = ["detected_level", "level"];

pub(super) fn patterns(context: &Context) -> Result<Response, LokiError> {
    let (start, end) = context.default_range_ns()?;
    let step = context.step_ns(start, end)?.max(SECOND_NS);
    let most = context.services().logql.limits.steps_max;
    let starts = step_starts((start, end), step, most)?;
    let (memory, patterns_held) = (context.listing_memory(), context.listing_memory());
    let time = TimeUnit::Nanos.between(start, end);
    let selection = context.select_counted(time, &context.selector()?, &memory)?;
    let (control, mut scratch) = (context.control(), Scratch::default());
    let mut table = Table { memory: &patterns_held, found: HashMap::new() };
    for piece in 0..selection.pieces().len() {
        check(&control)?;
        let counts = selection.count_templates(piece, &LEVELS, Steps(&starts), &mut scratch)?;
        table.add(&selection, &counts)?;
    }
    let mut out = b"{\"status\":\"success\",\"data\":".to_vec();
    let found = most_frequent(table.found, PATTERNS_MAX);
    write::list(&mut out, found, |out, ((pattern, level), counts)| {
        out.extend_from_slice(b"{\"pattern\":");
        write::text(out, &pattern);
        if !level.is_empty() {
            out.extend_from_slice(b",\"level\":");
            write::text(out, &level);
        }
        out.extend_from_slice(b",\"samples\":");
        let samples = counts.iter().filter_map(|(step, count)| Some((starts.get(*step)?, count)));
        write::list(out, samples, |out, (start, count)| {
            let seconds = start.div_euclid(step) * step / SECOND_NS;
            out.extend_from_slice(format!("[{seconds},{count}]").as_bytes());
        });
        out.push(b'}');
    });
    out.push(b'}');
    take(&memory, out.len())?;
    Ok(json(out))
}

/// A pattern and the level of its lines, or "".
type Key = (String, String);

/// Lines by step.
type Counts = BTreeMap<usize, u64>;

/// Lines by pattern, level and step.
struct Table<'a> {
    memory: &'a Holding,
    found: HashMap<Key, Counts>,
}

/// Where there are more patterns while they are counted, the rarest of them are forgotten, so that one
/// text after another that never comes again takes no memory.
const COUNTED_MAX: usize = 16_384;
const KEPT: usize = 4_096;

/// What a pattern takes beside its texts, and what a step does.
const PATTERN_BYTES: usize = 128;
const STEP_BYTES: usize = 48;

impl Table<'_> {
    fn add(&mut self, selection: &Selection, counts: &TemplateCounts) -> Result<(), LokiError> {
        let patterns: Vec<String> = counts.templates.iter().map(pattern_of).collect();
        for count in &counts.counts {
            let Some(pattern) = patterns.get(count.template as usize) else { continue };
            if pattern == WILDCARD {
                continue;
            }
            let level = match count.value {
                ABSENT => {
                    let labels = selection.labels(count.stream);
                    let named = LEVELS.iter().find_map(|name| labels.get(name));
                    named.unwrap_or_default().to_owned()
                }
                value => String::from_utf8_lossy(counts.values.get(value as usize)).into_owned(),
            };
            let of_steps = self.found.entry((pattern.clone(), level)).or_default();
            *of_steps.entry(count.step).or_default() += count.rows;
        }
        if self.found.len() > COUNTED_MAX {
            let found = std::mem::take(&mut self.found);
            self.found = most_frequent(found, KEPT).into_iter().collect();
        }
        self.settle()
    }

    fn settle(&self) -> Result<(), LokiError> {
        let weight = |((pattern, level), counts): (&Key, &Counts)| {
            PATTERN_BYTES + pattern.len() + level.len() + counts.len() * STEP_BYTES
        };
        let bytes = self.found.iter().map(weight).sum();
        Ok(self.memory.settle(Weight::bytes(bytes)).map_err(QueryError::from)?)
    }
}

fn most_frequent(found: HashMap<Key, Counts>, most: usize) -> Vec<(Key, Counts)> {
    let mut all: Vec<(u64, (Key, Counts))> = found
        .into_iter()
        .map(|(key, counts)| (counts.values().sum::<u64>(), (key, counts)))
        .collect();
    all.sort_by(|left, right| right.0.cmp(&left.0).then_with(|| left.1.0.cmp(&right.1.0)));
    all.truncate(most);
    all.into_iter().map(|(_, one)| one).collect()
}
