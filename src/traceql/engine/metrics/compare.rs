//! `compare`: how often each value of each attribute occurs among selected spans, and among the others.
//!
//! Each attribute is counted by the codes of its values; one of resources and scopes once for each
//! resource and scope. Of an attribute with very many values in a piece only the most frequent are counted.

use super::super::condition::Condition;
use super::super::plan::Plan;
use super::super::search::ALWAYS_SHOWN;
use super::super::source::Source;
use super::super::view::View;
use super::super::{Result, reading};
use super::groups::{Coded, Codes};
use super::steps::Steps;
use super::{Running, Series};
use crate::ast::Compare;
use crate::attribute::{Attribute, Intrinsic, Scope};
use crate::value::FieldValue;
use query::{Holding, Weight};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use trace_store::{Column, Piece, RowSet, Select, Table};

/// The label that says what a series counts.
const META_TYPE: &str = "__meta_type";
const SIDES: [&str; 2] = ["baseline", "selection"];
const TOTALS: [&str; 2] = ["baseline_total", "selection_total"];

/// Of more values in a piece only so many, the most frequent, are counted; and of those that are asked
/// for this many times.
const VALUES_MAX: usize = 128;
const VALUES_OF_TOP: usize = 4;

/// What is compared beside attributes.
const INTRINSICS: [Intrinsic; 9] = [
    Intrinsic::Name,
    Intrinsic::Kind,
    Intrinsic::Status,
    Intrinsic::StatusMessage,
    Intrinsic::RootName,
    Intrinsic::RootService,
    Intrinsic::ChildCount,
    Intrinsic::ScopeName,
    Intrinsic::ScopeVersion,
];

/// How many spans there are in each step of the baseline, then of the selection.
type Spans = Vec<u64>;

type Counts = BTreeMap<Attribute, Values>;

/// How often the values of one attribute occur.
#[derive(Debug, Default)]
struct Values {
    /// Where each value's spans are.
    places: HashMap<FieldValue, usize>,
    spans: Vec<Spans>,
    /// The spans with a value that is not counted.
    others: Spans,
}

pub(super) fn run(
    running: &Running<'_>,
    compare: &Compare,
    (plan, selected): (&Plan, &Condition),
    select: &Select,
) -> Result<Vec<Series>> {
    let selection = running.context.select(running.store, select)?;
    let pieces = (0..selection.pieces().len()).collect();
    let work = |counts: &mut Counts, piece: &Piece| {
        let view = View::new(piece)?;
        let Some(slots) = slots(running, &view, compare, (plan, selected))? else { return Ok(()) };
        let grown = add_piece(counts, &view, &slots, &running.context.holding)?;
        Ok(running.context.holding.take(Weight::bytes(grown))?)
    };
    let states = reading::fold(running.context, &selection, pieces, Counts::new, work)?;
    running.context.finish(&selection);
    let mut all = Counts::new();
    for (attribute, values) in states.into_iter().flatten() {
        let known = all.entry(attribute).or_default();
        let slots = SIDES.len() * running.steps.count;
        add_each(&mut known.others, &values.others);
        for (value, place) in values.places {
            let (mine, _) = known.place(value, slots);
            add_each(&mut known.spans[mine], &values.spans[place]);
        }
    }
    Ok(series(all, compare.top, &running.steps))
}

fn add_each(mine: &mut Spans, others: &[u64]) {
    mine.resize(mine.len().max(others.len()), 0);
    mine.iter_mut().zip(others).for_each(|(mine, other)| *mine += other);
}

impl Values {
    /// The place of a value, and how much it has grown.
    fn place(&mut self, value: FieldValue, slots: usize) -> (usize, usize) {
        if let Some(place) = self.places.get(&value) {
            return (*place, 0);
        }
        let bytes = 96 + value.bytes() + slots * size_of::<u64>();
        let place = self.spans.len();
        self.spans.push(vec![0; slots]);
        self.places.insert(value, place);
        (place, bytes)
    }
}

/// The spans that are counted, and where: in a step of a side.
struct Slots {
    /// Rows in a row that are in the same slot.
    runs: Vec<(Range<usize>, usize)>,
    /// How many spans are in each slot.
    totals: Vec<u32>,
    /// How many values of an attribute are counted.
    values: usize,
}

fn slots(
    running: &Running<'_>,
    view: &View<'_>,
    compare: &Compare,
    (plan, selected): (&Plan, &Condition),
) -> Result<Option<Slots>> {
    let rows = running.rows(view, plan)?.unwrap_or_else(|| RowSet::all(view.rows));
    if rows.is_empty() {
        return Ok(None);
    }
    let selected = selected.rows(view)?;
    let starts = view.piece.starts()?;
    let is_in_window = |row: usize| {
        let start = i128::from(starts[row]);
        compare
            .window
            .is_none_or(|(first, last)| i128::from(first) <= start && start <= i128::from(last))
    };
    let steps = running.steps.count;
    let mut totals = vec![0; SIDES.len() * steps];
    let mut runs: Vec<(Range<usize>, usize)> = Vec::new();
    let mut finder = running.steps.finder();
    for row in rows.iter() {
        let Some(step) = finder.find(starts[row]) else { continue };
        let slot = usize::from(selected.contains(row) && is_in_window(row)) * steps + step;
        totals[slot] += 1;
        match runs.last_mut() {
            Some((run, last)) if *last == slot && run.end == row => run.end += 1,
            _ => runs.push((row..row + 1, slot)),
        }
    }
    let values = VALUES_MAX.max(compare.top.saturating_mul(VALUES_OF_TOP));
    Ok(Some(Slots { runs, totals, values }))
}

fn add_piece(
    counts: &mut Counts,
    view: &View<'_>,
    slots: &Slots,
    holding: &Holding,
) -> Result<usize> {
    let mut grown = 0;
    let mut add = |attribute: Attribute, shows_nil: bool| -> Result<()> {
        let source = view.source(&attribute)?;
        let coded = Coded::new(&source, view.rows);
        let kept = Kept::of(&coded, slots, shows_nil);
        // While its spans are counted.
        let held = Weight::bytes(kept.places * slots.totals.len() * size_of::<u32>());
        let known = counts.entry(attribute).or_default();
        let room = holding.take(held);
        let added = room.map(|()| add_attribute(known, &source, &coded, &kept, slots));
        holding.give_back(held);
        grown += added?;
        Ok(())
    };
    for intrinsic in INTRINSICS {
        add(Attribute::intrinsic(intrinsic), false)?;
    }
    for (scope, name) in ALWAYS_SHOWN {
        add(Attribute::named(scope, name), true)?;
    }
    let scopes = [
        (Scope::Span, Table::Span),
        (Scope::Resource, Table::Resource),
        (Scope::Instrumentation, Table::Scope),
    ];
    for (scope, table) in scopes {
        // Types of one name are one attribute; they are counted together.
        let keys = view.piece.keys(table).iter().filter(|key| !key.is_intrinsic);
        let names: BTreeSet<&str> = keys.map(|key| &*key.name).collect();
        for name in names {
            if !ALWAYS_SHOWN.contains(&(scope, name)) {
                add(Attribute::named(scope, name), false)?;
            }
        }
    }
    Ok(grown)
}

/// Adds the spans of each value that occurs, and returns how much it has grown.
fn add_attribute(
    known: &mut Values,
    source: &Source<'_>,
    coded: &Coded<'_>,
    kept: &Kept,
    slots: &Slots,
) -> usize {
    let all = slots.totals.len();
    // The counts of one slot lie together, because many spans in a row are in the same one.
    let mut cells = vec![0_u32; kept.places * all];
    match &kept.list {
        None => count_codes(&coded.codes, slots, kept.places, &mut cells, |code| code),
        Some(list) => {
            let others = list.len();
            let mut places = vec![others; coded.values.len()];
            list.iter().enumerate().for_each(|(place, code)| places[*code as usize] = place);
            kept.nil.into_iter().for_each(|nil| places[nil] = others + 1);
            count_codes(&coded.codes, slots, kept.places, &mut cells, |code| places[code]);
        }
    }
    let mut grown = 0;
    let mut targets = vec![None; kept.places];
    for (slot, counts) in cells.chunks_exact(kept.places.max(1)).enumerate() {
        for (place, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let target = match (kept.code(place), targets[place]) {
                (_, Some(target)) => target,
                (Some(code), None) => {
                    let (target, bytes) = known.place(coded.values.get(code), all);
                    grown += bytes;
                    *targets[place].insert(target)
                }
                (None, None) => {
                    if kept.are_others(place) {
                        known.others.resize(all, 0);
                        known.others[slot] += u64::from(*count);
                    }
                    continue;
                }
            };
            known.spans[target][slot] += u64::from(*count);
        }
    }
    if let Some(spans) = without_value(source, slots).filter(|_| !kept.shows_nil) {
        let (place, bytes) = known.place(FieldValue::Nil, all);
        add_each(&mut known.spans[place], &spans);
        grown += bytes;
    }
    grown
}

/// The codes whose spans are counted.
struct Kept {
    /// `None`: all of them.
    list: Option<Vec<u32>>,
    /// How many counters a slot has: one for each code that is kept, and if those are not all, one for
    /// the others and one for spans without a value.
    places: usize,
    /// The code of spans without a value, where those are not counted.
    nil: Option<usize>,
    shows_nil: bool,
}

impl Kept {
    fn of(coded: &Coded<'_>, slots: &Slots, shows_nil: bool) -> Self {
        let all = coded.values.len();
        let nil = coded.values.nil().filter(|_| !shows_nil);
        if all <= slots.values {
            return Self { list: None, places: all, nil, shows_nil };
        }
        let mut totals = vec![0_u32; all];
        for (run, _) in &slots.runs {
            run.clone().for_each(|row| totals[coded.code(row)] += 1);
        }
        // Spans without a value are no value, or the first one.
        if let Some(nil) = coded.values.nil() {
            totals[nil] = if shows_nil { u32::MAX } else { 0 };
        }
        let mut list: Vec<u32> =
            (0..all as u32).filter(|code| totals[*code as usize] > 0).collect();
        if list.len() > slots.values {
            let order = |code: &u32| (std::cmp::Reverse(totals[*code as usize]), *code);
            list.select_nth_unstable_by_key(slots.values, order);
            list.truncate(slots.values);
        }
        Self { places: list.len() + 2, list: Some(list), nil, shows_nil }
    }

    /// The code whose spans are counted at a place.
    fn code(&self, place: usize) -> Option<usize> {
        match &self.list {
            None => Some(place).filter(|code| Some(*code) != self.nil),
            Some(list) => list.get(place).map(|code| *code as usize),
        }
    }

    /// Whether a place is that of codes that are not kept.
    fn are_others(&self, place: usize) -> bool {
        self.list.as_ref().is_some_and(|list| place == list.len())
    }
}

/// Counts each code of each run in its slot, at the place of the code.
#[inline]
fn count_codes(
    codes: &Codes<'_>,
    slots: &Slots,
    places: usize,
    cells: &mut [u32],
    place: impl Fn(usize) -> usize,
) {
    if let Codes::One = codes {
        let slots = cells.chunks_exact_mut(places).zip(&slots.totals);
        return slots.for_each(|(cells, spans)| cells[place(0)] += spans);
    }
    for (run, slot) in &slots.runs {
        let cells = &mut cells[slot * places..(slot + 1) * places];
        let run = run.clone();
        match codes {
            Codes::One => {}
            Codes::Texts(codes, last) => {
                codes[run].iter().for_each(|code| cells[place((*code).min(*last) as usize)] += 1);
            }
            Codes::Bytes(codes, last) => {
                codes[run]
                    .iter()
                    .for_each(|code| cells[place(usize::from((*code).min(*last)))] += 1);
            }
            Codes::Rows(codes) => {
                codes[run].iter().for_each(|code| cells[place(*code as usize)] += 1);
            }
            Codes::Entities(of, codes) => {
                of[run].iter().for_each(|one| cells[place(codes[*one as usize] as usize)] += 1);
            }
        }
    }
}

/// Spans whose attribute is a map or bytes: it is there, but has no value that could be shown.
fn without_value(source: &Source<'_>, slots: &Slots) -> Option<Spans> {
    let (Source::Spans(columns) | Source::Entities { columns, .. }) = source else { return None };
    if !columns.list.iter().any(|column| matches!(column, Column::Other(_))) {
        return None;
    }
    let mut counts = vec![0; slots.totals.len()];
    for (run, slot) in &slots.runs {
        let is_there = |row: &usize| source.has(*row) && source.cell(*row).is_nil();
        counts[*slot] += run.clone().filter(is_there).count() as u64;
    }
    counts.iter().any(|count| *count > 0).then_some(counts)
}

fn series(all: Counts, top: usize, steps: &Steps) -> Vec<Series> {
    let times_ms = steps.times_ms();
    let mut series = Vec::new();
    for (attribute, values) in all {
        let label = attribute.to_string();
        for side in 0..SIDES.len() {
            let range = side * steps.count..(side + 1) * steps.count;
            let one = |kind: &str, value: FieldValue, counts: &[u64]| Series {
                labels: vec![
                    (META_TYPE.to_owned(), FieldValue::Text(kind.to_owned())),
                    (label.clone(), value),
                ],
                times_ms: times_ms.clone(),
                values: counts.iter().map(|count| *count as f64).collect(),
                exemplars: Vec::new(),
            };
            let mut total = vec![0; steps.count];
            let mut add = |spans: &[u64]| {
                total.iter_mut().zip(spans).for_each(|(total, count)| *total += count);
            };
            values.others.get(range.clone()).into_iter().for_each(&mut add);
            let mut found = Vec::new();
            for (value, place) in &values.places {
                let spans = &values.spans[*place][range.clone()];
                add(spans);
                found.push((spans.iter().sum::<u64>(), value, spans));
            }
            found.retain(|(count, ..)| *count > 0);
            if found.is_empty() {
                continue;
            }
            found.sort_by_key(|(count, value, _)| (std::cmp::Reverse(*count), *value));
            let shown = found.into_iter().take(top);
            series.extend(shown.map(|(_, value, counts)| one(SIDES[side], value.clone(), counts)));
            series.push(one(TOTALS[side], FieldValue::Nil, &total));
        }
    }
    series
}
