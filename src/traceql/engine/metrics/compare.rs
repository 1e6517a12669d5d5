//! `compare`: how often each value of each attribute occurs among selected spans, and among the others.
//!
//! Each attribute is counted by the codes of its values; one of resources and scopes once for each
//! resource and scope. Of an attribute with very many values in a piece only the most frequent are counted.

use super::super::condition::Condition;
use super::super::plan::Plan;
use super::super::search::ALWAYS_SHOWN;
use super::super::view::View;
use super::super::{Result, reading};
use super::groups::Coded;
use super::steps::Steps;
use super::tally::{Items, Slots};
use super::{Running, Series};
use crate::ast::Compare;
use crate::attribute::{Attribute, Intrinsic, Scope};
use crate::value::FieldValue;
use query::{Holding, Weight};
use std::collections::{BTreeMap, HashMap};
use trace_store::{Dense, Piece, RowSet, Select, Table};

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
    let most = VALUES_MAX.max(compare.top.saturating_mul(VALUES_OF_TOP));
    let work = |counts: &mut Counts, piece: &Piece| {
        let view = View::new(piece)?;
        let Some(slots) = slots(running, &view, compare, (plan, selected))? else { return Ok(()) };
        let (all, holding) = (SIDES.len() * running.steps.count, &running.context.holding);
        let mut adding = Adding::new(counts, &slots, (all, most), holding);
        add_piece(&mut adding, &view)?;
        Ok(holding.take(Weight::bytes(adding.grown))?)
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

fn slots(
    running: &Running<'_>,
    view: &View<'_>,
    compare: &Compare,
    (plan, selected): (&Plan, &Condition),
) -> Result<Option<Slots>> {
    let rows = running.rows(view, plan)?;
    if rows.as_ref().is_some_and(RowSet::is_empty) {
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
    let mut finder = running.steps.finder();
    let slot_of = |row: usize| {
        let is_counted = rows.as_ref().is_none_or(|rows| rows.contains(row));
        let step = if is_counted { finder.find(starts[row]) } else { None }?;
        Some(usize::from(selected.contains(row) && is_in_window(row)) * steps + step)
    };
    let slots = Slots::new(view.rows, SIDES.len() * steps, slot_of);
    Ok(if slots.list.is_empty() { None } else { Some(slots) })
}

/// Counts the values of every attribute of the spans of a piece.
fn add_piece(adding: &mut Adding<'_>, view: &View<'_>) -> Result<()> {
    for intrinsic in INTRINSICS {
        let attribute = Attribute::intrinsic(intrinsic);
        let source = view.source(&attribute)?;
        let coded = Coded::new(&source, view.rows);
        adding.add(attribute, &coded, Items::Spans(None))?;
    }
    let tables = [
        (Scope::Span, Table::Span),
        (Scope::Resource, Table::Resource),
        (Scope::Instrumentation, Table::Scope),
    ];
    for (scope, table) in tables {
        let of = match table {
            Table::Span => None,
            table => Some(view.piece.entities(table)?),
        };
        // A name has a column for each type of its values.
        view.piece.each_column(table, |key, Dense { rows, values }| {
            if key.is_intrinsic {
                return Ok(());
            }
            let rows = rows.as_ref();
            let count = view.piece.table_rows(table);
            let items = of.map_or(Items::Spans(rows), |of| Items::Shared { of, count, rows });
            adding.add(Attribute::named(scope, &*key.name), &Coded::of_dense(&values), items)
        })?;
    }
    adding.add_missing();
    Ok(())
}

/// Counts the values of a piece.
struct Adding<'c> {
    counts: &'c mut Counts,
    slots: &'c Slots,
    /// Slots of the answer.
    all: usize,
    /// How many values of an attribute are counted.
    most: usize,
    holding: &'c Holding,
    /// Of attributes that are always shown how many spans of each slot have a value.
    shown: BTreeMap<Attribute, Vec<u32>>,
    grown: usize,
}

impl<'c> Adding<'c> {
    fn new(
        counts: &'c mut Counts,
        slots: &'c Slots,
        (all, most): (usize, usize),
        holding: &'c Holding,
    ) -> Self {
        let none = vec![0; slots.list.len()];
        let shown = ALWAYS_SHOWN.map(|(scope, name)| (Attribute::named(scope, name), none.clone()));
        Self { counts, slots, all, most, holding, shown: shown.into(), grown: 0 }
    }

    /// Adds the spans of each value that occurs.
    fn add(&mut self, attribute: Attribute, coded: &Coded<'_>, items: Items<'_>) -> Result<()> {
        let (codes, slots) = (coded.values.len(), self.slots);
        // While spans are counted.
        let held = Weight::bytes((codes + self.most) * (slots.width() + 4) * size_of::<u32>());
        self.holding.take(held)?;
        let kept = Kept::of(coded, slots, items, self.most);
        let mut cells = vec![0_u32; kept.places * slots.width()];
        match &kept.list {
            None => slots.count(&coded.codes, items, &mut cells, |code| code),
            Some(list) => {
                let mut places = vec![list.len(); codes];
                let kept = list.iter().enumerate();
                kept.for_each(|(place, code)| places[*code as usize] = place);
                slots.count(&coded.codes, items, &mut cells, |code| places[code]);
            }
        }
        self.add_cells(attribute, coded, &kept, &cells);
        self.holding.give_back(held);
        Ok(())
    }

    fn add_cells(&mut self, attribute: Attribute, coded: &Coded<'_>, kept: &Kept, cells: &[u32]) {
        let list = &self.slots.list;
        let mut shown = self.shown.get_mut(&attribute);
        let known = self.counts.entry(attribute).or_default();
        for (place, cells) in cells.chunks_exact(self.slots.width()).enumerate() {
            let cells = &cells[..list.len()];
            if cells.iter().all(|spans| *spans == 0) {
                continue;
            }
            let value = kept.code(place).map(|code| coded.values.get(code));
            if let Some(shown) = &mut shown {
                // Spans that have no value that could be shown count as those without one.
                if value == Some(FieldValue::Nil) {
                    continue;
                }
                shown.iter_mut().zip(cells).for_each(|(all, spans)| *all += spans);
            }
            let target = match value {
                Some(value) => {
                    let (place, bytes) = known.place(value, self.all);
                    self.grown += bytes;
                    &mut known.spans[place]
                }
                None => {
                    known.others.resize(self.all, 0);
                    &mut known.others
                }
            };
            list.iter().zip(cells).for_each(|(slot, spans)| target[*slot] += u64::from(*spans));
        }
    }

    /// Adds the spans without a value of the attributes that are always shown.
    fn add_missing(&mut self) {
        for (attribute, shown) in std::mem::take(&mut self.shown) {
            let known = self.counts.entry(attribute).or_default();
            let (place, bytes) = known.place(FieldValue::Nil, self.all);
            self.grown += bytes;
            let missing = self.slots.totals.iter().zip(shown).map(|(all, shown)| all - shown);
            for (slot, spans) in self.slots.list.iter().zip(missing) {
                known.spans[place][*slot] += u64::from(spans);
            }
        }
    }
}

/// The codes whose spans are counted.
struct Kept {
    /// `None`: all of them.
    list: Option<Vec<u32>>,
    /// How many counters a slot has: one for each code that is kept, and if those are not all, one for
    /// the others.
    places: usize,
}

impl Kept {
    /// The most frequent ones, if there are more than `most`.
    fn of(coded: &Coded<'_>, slots: &Slots, items: Items<'_>, most: usize) -> Self {
        let all = coded.values.len();
        if all <= most {
            return Self { list: None, places: all };
        }
        let slots = slots.as_one();
        let mut totals = vec![0; all * slots.width()];
        slots.count(&coded.codes, items, &mut totals, |code| code);
        let total = |code: u32| totals[code as usize * slots.width()];
        let mut list: Vec<u32> = (0..all as u32).filter(|code| total(*code) > 0).collect();
        if list.len() > most {
            let order = |code: &u32| (std::cmp::Reverse(total(*code)), *code);
            list.select_nth_unstable_by_key(most, order);
            list.truncate(most);
        }
        Self { places: list.len() + 1, list: Some(list) }
    }

    /// The code whose spans are counted at a place.
    fn code(&self, place: usize) -> Option<usize> {
        match &self.list {
            None => Some(place),
            Some(list) => list.get(place).map(|code| *code as usize),
        }
    }
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
