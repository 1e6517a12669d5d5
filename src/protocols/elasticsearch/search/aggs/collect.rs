//! Adding rows to buckets, and joining what the threads of a search have added.

use super::super::error::Result;
use super::super::eval::holds;
use super::super::expr::number_of;
use super::super::field::Field;
use super::super::row::Row;
use super::figures::Sum;
use super::{Agg, Choice, DateHistogram, Figure, Histogram, Kind, Span, Terms, TopMetrics};
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

/// Lines that belong together, and what is known of them.
#[derive(Clone, Debug)]
pub(in super::super) struct Bucket {
    pub(super) count: u64,
    /// For each aggregation inside.
    pub(super) subs: Vec<Collected>,
}

/// What was collected for one aggregation.
#[derive(Clone, Debug)]
pub(super) enum Collected {
    /// By the start of the step.
    Times(BTreeMap<i64, Bucket>),
    /// By the number of the step.
    Numbers(BTreeMap<i64, Bucket>),
    Terms(TermBuckets),
    /// As many as the aggregation says.
    These(Vec<Bucket>),
    Figure(Sum),
    Top(Vec<TopRow>),
}

/// Buckets by their term.
#[derive(Clone, Debug, Default)]
pub(super) struct TermBuckets {
    places: HashMap<String, usize>,
    buckets: Vec<Bucket>,
}

impl TermBuckets {
    /// The place of a term's bucket, which is made where it is not there.
    fn place(&mut self, aggs: &[Agg], term: &str, take: Take<'_>) -> Result<usize> {
        if let Some(place) = self.places.get(term) {
            return Ok(*place);
        }
        take(Bucket::bytes(aggs) + 2 * term.len())?;
        self.places.insert(term.to_owned(), self.buckets.len());
        self.buckets.push(Bucket::new(aggs));
        Ok(self.buckets.len() - 1)
    }

    fn merge(&mut self, aggs: &[Agg], other: Self) {
        for (term, bucket) in other.into_buckets() {
            match self.places.get(&term).and_then(|place| self.buckets.get_mut(*place)) {
                Some(mine) => merge(aggs, mine, bucket),
                None => {
                    self.places.insert(term, self.buckets.len());
                    self.buckets.push(bucket);
                }
            }
        }
    }

    /// Each term with its bucket, in no order.
    pub(super) fn into_buckets(self) -> Vec<(String, Bucket)> {
        let mut terms: Vec<(usize, String)> =
            self.places.into_iter().map(|(term, place)| (place, term)).collect();
        terms.sort_unstable_by_key(|(place, _)| *place);
        terms.into_iter().map(|(_, term)| term).zip(self.buckets).collect()
    }
}

/// A row of `top_metrics`: what it is sorted by, its time, its values.
#[derive(Clone, Debug)]
pub(super) struct TopRow {
    pub(super) by: f64,
    pub(super) time: i64,
    pub(super) values: Vec<Option<String>>,
}

/// What a bucket takes beside its key, with its JSON.
const BUCKET_BYTES: usize = 512;
const SUB_BYTES: usize = 256;

impl Bucket {
    pub(in super::super) fn new(aggs: &[Agg]) -> Self {
        Self { count: 0, subs: aggs.iter().map(Collected::new).collect() }
    }

    fn bytes(aggs: &[Agg]) -> usize {
        BUCKET_BYTES + SUB_BYTES * aggs.len()
    }
}

impl Collected {
    fn new(agg: &Agg) -> Self {
        let these = |count: usize| Self::These(vec![Bucket::new(&agg.subs); count]);
        match &agg.kind {
            Kind::DateHistogram(_) => Self::Times(BTreeMap::new()),
            Kind::Histogram(_) => Self::Numbers(BTreeMap::new()),
            Kind::Terms(_) => Self::Terms(TermBuckets::default()),
            Kind::Filters(filters) => these(filters.len()),
            Kind::Range { ranges, .. } => these(ranges.len()),
            Kind::Filter(_) | Kind::Missing(_) => these(1),
            Kind::Figure(figure) => Self::Figure(Sum::new(&figure.kind)),
            Kind::TopMetrics(_) => Self::Top(Vec::new()),
        }
    }
}

/// Asks for bytes.
pub(in super::super) type Take<'t> = &'t mut dyn FnMut(usize) -> Result<()>;

/// Adds a row to a bucket and to those inside.
pub(in super::super) fn add_row(
    aggs: &[Agg],
    bucket: &mut Bucket,
    row: &mut Row<'_>,
    take: Take<'_>,
) -> Result<()> {
    bucket.count += 1;
    for (agg, collected) in aggs.iter().zip(&mut bucket.subs) {
        add(agg, collected, row, take)?;
    }
    Ok(())
}

fn add(agg: &Agg, collected: &mut Collected, row: &mut Row<'_>, take: Take<'_>) -> Result<()> {
    match (&agg.kind, collected) {
        (Kind::DateHistogram(histogram), Collected::Times(steps)) => {
            let Some(start) = step_of(histogram, row) else { return Ok(()) };
            add_to_step(agg, steps, start, row, take)
        }
        (Kind::Histogram(histogram), Collected::Numbers(steps)) => {
            let mut all = numbers(histogram, row);
            all.dedup();
            all.into_iter().try_for_each(|step| add_to_step(agg, steps, step, row, take))
        }
        (Kind::Terms(terms), Collected::Terms(buckets)) => {
            let (first, more) = terms_of((agg, terms), buckets, row, take)?;
            for place in first.into_iter().chain(more) {
                if let Some(bucket) = buckets.buckets.get_mut(place) {
                    add_row(&agg.subs, bucket, row, take)?;
                }
            }
            Ok(())
        }
        (Kind::Figure(figure), Collected::Figure(sum)) => add_figure(figure, sum, row, take),
        (Kind::TopMetrics(top), Collected::Top(rows)) => {
            add_top(top, rows, row);
            Ok(())
        }
        (kind, Collected::These(buckets)) => {
            for (index, bucket) in buckets.iter_mut().enumerate() {
                if is_in(kind, index, row) {
                    add_row(&agg.subs, bucket, row, take)?;
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn add_to_step(
    agg: &Agg,
    steps: &mut BTreeMap<i64, Bucket>,
    step: i64,
    row: &mut Row<'_>,
    take: Take<'_>,
) -> Result<()> {
    let bucket = match steps.entry(step) {
        std::collections::btree_map::Entry::Occupied(there) => there.into_mut(),
        std::collections::btree_map::Entry::Vacant(free) => {
            take(Bucket::bytes(&agg.subs))?;
            free.insert(Bucket::new(&agg.subs))
        }
    };
    add_row(&agg.subs, bucket, row, take)
}

fn step_of(histogram: &DateHistogram, row: &Row<'_>) -> Option<i64> {
    let ms = row.time().div_euclid(1_000_000);
    let is_within = histogram.hard.is_none_or(|(from, to)| (from..=to).contains(&ms));
    is_within.then(|| histogram.interval.floor(ms, histogram.zone, histogram.offset_ms))
}

/// The values of a field as texts; the time is milliseconds.
fn each_text(field: Field, row: &mut Row<'_>, mut visit: impl FnMut(&str)) {
    match field {
        Field::Time => visit(&row.time().div_euclid(1_000_000).to_string()),
        Field::Line => visit(&String::from_utf8_lossy(row.line())),
        field => {
            let _ = row.each_value(field, |value| {
                visit(value);
                ControlFlow::Continue(())
            });
        }
    }
}

fn numbers(histogram: &Histogram, row: &mut Row<'_>) -> Vec<i64> {
    let mut steps = Vec::new();
    each_text(histogram.field, row, |text| {
        steps.extend(
            number_of(text)
                .map(|number| ((number - histogram.offset) / histogram.interval).floor() as i64),
        );
    });
    steps
}

impl Terms {
    fn chooses(&self, text: &str) -> bool {
        let chosen = |choice: &Choice| match choice {
            Choice::These(texts) => texts.contains(text),
            Choice::Like(regex) => regex.is_match(text),
        };
        self.include.as_ref().is_none_or(chosen) && !self.exclude.as_ref().is_some_and(chosen)
    }
}

/// The places of the buckets that a row belongs to: the first one, and others where its field is a list.
fn terms_of(
    (agg, terms): (&Agg, &Terms),
    buckets: &mut TermBuckets,
    row: &mut Row<'_>,
    take: Take<'_>,
) -> Result<(Option<usize>, Vec<usize>)> {
    let (mut first, mut more, mut failed, mut is_there) = (None, Vec::new(), None, false);
    let mut add = |text: &str| {
        if !terms.chooses(text) || failed.is_some() {
            return;
        }
        match buckets.place(&agg.subs, text, take) {
            Ok(place) if first.is_none() => first = Some(place),
            // A line counts once for each term.
            Ok(place) if first != Some(place) && !more.contains(&place) => more.push(place),
            Ok(_) => {}
            Err(error) => failed = Some(error),
        }
    };
    each_text(terms.field, row, |text| {
        is_there = true;
        add(text);
    });
    if let (false, Some(text)) = (is_there, &terms.missing) {
        add(text);
    }
    failed.map_or(Ok((first, more)), Err)
}

fn is_in(kind: &Kind, index: usize, row: &mut Row<'_>) -> bool {
    match kind {
        Kind::Filters(filters) => filters.get(index).is_some_and(|(_, filter)| holds(filter, row)),
        Kind::Filter(filter) => holds(filter, row),
        Kind::Missing(field) => {
            let mut is_there = false;
            each_text(*field, row, |_| is_there = true);
            !is_there
        }
        Kind::Range { field, ranges } => {
            let mut is_in = false;
            if let Some(Span { from, to, .. }) = ranges.get(index) {
                let within = |number: f64| *from <= number && number < *to;
                each_text(*field, row, |text| is_in |= number_of(text).is_some_and(within));
            }
            is_in
        }
        _ => false,
    }
}

fn add_figure(figure: &Figure, sum: &mut Sum, row: &mut Row<'_>, take: Take<'_>) -> Result<()> {
    let (mut bytes, mut is_there) = (0, false);
    each_text(figure.field, row, |text| {
        is_there = true;
        bytes += sum.add(&figure.kind, text, number_of(text));
    });
    if let (false, Some(text)) = (is_there, &figure.missing) {
        bytes += sum.add(&figure.kind, text, number_of(text));
    }
    if bytes > 0 { take(bytes) } else { Ok(()) }
}

fn add_top(top: &TopMetrics, rows: &mut Vec<TopRow>, row: &mut Row<'_>) {
    let mut by = (top.by == Field::Time).then_some(0.0);
    if top.by != Field::Time {
        each_text(top.by, row, |text| by = by.or(number_of(text)));
    }
    let Some(by) = by else { return };
    let time = row.time();
    let found = TopRow { by, time, values: Vec::new() };
    let is_full = rows.len() >= top.size;
    if is_full && rows.last().is_some_and(|worst| compare(top, &found, worst).is_ge()) {
        return;
    }
    let values = top.fields.iter().map(|(_, field)| {
        let mut value = None;
        each_text(*field, row, |text| value = value.take().or_else(|| Some(text.to_owned())));
        value
    });
    rows.push(TopRow { values: values.collect(), ..found });
    keep_best(top, rows);
}

fn compare(top: &TopMetrics, left: &TopRow, right: &TopRow) -> Ordering {
    let order = left.by.total_cmp(&right.by).then(left.time.cmp(&right.time));
    if top.is_descending { order.reverse() } else { order }
}

fn keep_best(top: &TopMetrics, rows: &mut Vec<TopRow>) {
    rows.sort_by(|left, right| compare(top, left, right));
    rows.truncate(top.size);
}

/// Adds what another thread has collected.
pub(in super::super) fn merge(aggs: &[Agg], bucket: &mut Bucket, other: Bucket) {
    bucket.count += other.count;
    for (agg, (mine, other)) in aggs.iter().zip(bucket.subs.iter_mut().zip(other.subs)) {
        merge_one(agg, mine, other);
    }
}

fn merge_one(agg: &Agg, mine: &mut Collected, other: Collected) {
    match (mine, other) {
        (Collected::Times(mine), Collected::Times(other))
        | (Collected::Numbers(mine), Collected::Numbers(other)) => {
            for (step, bucket) in other {
                merge(
                    &agg.subs,
                    mine.entry(step).or_insert_with(|| Bucket::new(&agg.subs)),
                    bucket,
                );
            }
        }
        (Collected::Terms(mine), Collected::Terms(other)) => mine.merge(&agg.subs, other),
        (Collected::These(mine), Collected::These(other)) => {
            mine.iter_mut().zip(other).for_each(|(mine, other)| merge(&agg.subs, mine, other));
        }
        (Collected::Figure(mine), Collected::Figure(other)) => mine.merge(other),
        (Collected::Top(mine), Collected::Top(other)) => {
            mine.extend(other);
            if let Kind::TopMetrics(top) = &agg.kind {
                keep_best(top, mine);
            }
        }
        _ => debug_assert!(false, "threads collect for the same aggregations"),
    }
}
