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
use std::collections::{BTreeMap, BTreeSet};
use trace_store::{Column, Piece, RowSet, Select, Table};

/// The label that says what a series counts.
const META_TYPE: &str = "__meta_type";
const SIDES: [&str; 2] = ["baseline", "selection"];
const TOTALS: [&str; 2] = ["baseline_total", "selection_total"];

/// Of more values in a piece only so many, the most frequent, are counted.
const VALUES_MAX: usize = 2_048;

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

/// For each attribute and value the spans of the baseline in each step, then those of the selection.
type Counts = BTreeMap<Attribute, BTreeMap<FieldValue, Vec<u64>>>;

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
        values.into_iter().for_each(|(value, counts)| {
            add_counts(known, value, counts);
        });
    }
    Ok(series(all, compare.top, &running.steps))
}

/// Returns how much the map has grown.
fn add_counts(
    values: &mut BTreeMap<FieldValue, Vec<u64>>,
    value: FieldValue,
    counts: Vec<u64>,
) -> usize {
    if let Some(known) = values.get_mut(&value) {
        known.iter_mut().zip(counts).for_each(|(mine, other)| *mine += other);
        return 0;
    }
    let bytes = 96 + value.bytes() + size_of_val(&counts[..]);
    values.insert(value, counts);
    bytes
}

/// Where a span is counted: in a step of a side. The last slot is for spans that are not.
struct Slots {
    of_rows: Vec<u32>,
    count: usize,
    /// How many spans are in each slot.
    totals: Vec<u32>,
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
    let count = SIDES.len() * steps;
    let mut of_rows = vec![count as u32; view.rows];
    let mut finder = running.steps.finder();
    for row in rows.iter() {
        let Some(step) = finder.find(starts[row]) else { continue };
        let side = usize::from(selected.contains(row) && is_in_window(row));
        of_rows[row] = (side * steps + step) as u32;
    }
    let mut totals = vec![0; count + 1];
    of_rows.iter().for_each(|slot| totals[*slot as usize] += 1);
    Ok(Some(Slots { of_rows, count, totals }))
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
        let kept = kept_codes(&coded, slots, view.rows);
        // While its spans are counted.
        let held = Weight::bytes(
            (kept.iter().flatten().count() + 1) * slots.totals.len() * size_of::<u32>(),
        );
        let room = holding.take(held);
        let found = room.map(|()| of_attribute(&source, coded, &kept, shows_nil, slots));
        holding.give_back(held);
        let found = found?;
        if found.is_empty() {
            return Ok(());
        }
        let known = counts.entry(attribute).or_default();
        grown += found.into_iter().map(|(value, of)| add_counts(known, value, of)).sum::<usize>();
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

/// The counts of each value that occurs.
fn of_attribute(
    source: &Source<'_>,
    coded: Coded<'_>,
    kept: &[Option<u32>],
    shows_nil: bool,
    slots: &Slots,
) -> Vec<(FieldValue, Vec<u64>)> {
    let width = slots.totals.len();
    let rows = slots.of_rows.len();
    // Codes that are not kept share a place, which is not looked at.
    let places = kept.iter().flatten().count() + 1;
    let mut cells = vec![0_u32; places * width];
    let place = |code: u32| kept[code as usize].map_or(places - 1, |place| place as usize);
    count_codes(&coded.codes, slots, rows, |code, slot, spans| {
        cells[place(code) * width + slot] += spans;
    });
    let counts = |place: u32| {
        let start = place as usize * width;
        let cells = &cells[start..start + slots.count];
        let is_there = cells.iter().any(|count| *count > 0);
        is_there.then(|| cells.iter().map(|count| u64::from(*count)).collect::<Vec<u64>>())
    };
    let mut found: Vec<(FieldValue, Vec<u64>)> = Vec::new();
    for (value, place) in coded.values.into_iter().zip(kept) {
        if value != FieldValue::Nil || shows_nil {
            let counts = place.and_then(counts);
            found.extend(counts.map(|counts| (value, counts)));
        }
    }
    if !shows_nil {
        found.extend(without_value(source, slots, rows));
    }
    found
}

/// For each code where its spans are counted; `None`: they are not.
fn kept_codes(coded: &Coded<'_>, slots: &Slots, rows: usize) -> Vec<Option<u32>> {
    let all = coded.values.len();
    if all <= VALUES_MAX {
        return (0..all as u32).map(Some).collect();
    }
    let mut totals = vec![0_u32; all];
    count_codes(&coded.codes, slots, rows, |code, slot, spans| {
        totals[code as usize] += if slot < slots.count { spans } else { 0 };
    });
    let mut order: Vec<u32> = (0..all as u32).filter(|code| totals[*code as usize] > 0).collect();
    order.sort_by_key(|code| std::cmp::Reverse(totals[*code as usize]));
    let mut kept = vec![None; all];
    for (place, code) in order.into_iter().take(VALUES_MAX).enumerate() {
        kept[code as usize] = Some(place as u32);
    }
    kept
}

/// Calls `add` with a code, a slot and how many spans are there.
#[inline]
fn count_codes(
    codes: &Codes<'_>,
    slots: &Slots,
    rows: usize,
    mut add: impl FnMut(u32, usize, u32),
) {
    let of_rows = &slots.of_rows[..rows];
    match codes {
        Codes::One => {
            slots.totals.iter().enumerate().for_each(|(slot, spans)| add(0, slot, *spans));
        }
        Codes::Texts(codes, last) => {
            let rows = codes.iter().zip(of_rows);
            rows.for_each(|(code, slot)| add((*code).min(*last), *slot as usize, 1));
        }
        Codes::Bytes(codes, last) => {
            let rows = codes.iter().zip(of_rows);
            rows.for_each(|(code, slot)| add(u32::from((*code).min(*last)), *slot as usize, 1));
        }
        Codes::Rows(codes) => {
            codes.iter().zip(of_rows).for_each(|(code, slot)| add(*code, *slot as usize, 1));
        }
        Codes::Entities(of, codes) => {
            let rows = of.iter().zip(of_rows);
            rows.for_each(|(entity, slot)| add(codes[*entity as usize], *slot as usize, 1));
        }
    }
}

/// Spans whose attribute is a map or bytes: it is there, but has no value that could be shown.
fn without_value(
    source: &Source<'_>,
    slots: &Slots,
    rows: usize,
) -> Option<(FieldValue, Vec<u64>)> {
    let (Source::Spans(columns) | Source::Entities { columns, .. }) = source else { return None };
    if !columns.list.iter().any(|column| matches!(column, Column::Other(_))) {
        return None;
    }
    let mut counts = vec![0; slots.count + 1];
    for row in (0..rows).filter(|row| source.has(*row) && source.cell(*row).is_nil()) {
        counts[slots.of_rows[row] as usize] += 1;
    }
    counts.pop();
    counts.iter().any(|count| *count > 0).then_some((FieldValue::Nil, counts))
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
            let mut found = Vec::new();
            for (value, counts) in &values {
                let counts = &counts[range.clone()];
                total.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
                found.push((counts.iter().sum::<u64>(), value, counts));
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
