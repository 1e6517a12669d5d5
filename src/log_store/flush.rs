//! A flush: writes a head into parts, one for each day.

use crate::error::StoreError;
use crate::head::Head;
use crate::part::PartBuilder;
use crate::rows::Rows;
use columns::Effort;
use engine::FlushOrigin;
use model::{Day, Signal, compare_canonical};
use parts::{NewPart, PartStore};
use std::collections::BTreeMap;

/// A line of the head: the place of its stream among the sorted ones, its time, and where it is.
#[derive(Clone, Copy)]
struct Place {
    rank: u32,
    block: u32,
    row: u32,
    time: i64,
}

pub(crate) fn write(
    store: &PartStore,
    head: &Head,
    origin: &FlushOrigin,
) -> Result<Vec<NewPart>, StoreError> {
    let (order, ranks) = sorted_streams(head);
    let mut parts = Vec::new();
    for (day, mut places) in places_by_day(head, &ranks) {
        // Blocks are sorted already, and the sort makes use of that.
        places.sort_by_key(|place| (place.rank, place.time));
        let mut builder = PartBuilder::new(store, origin.of_day(day), Effort::Quick)?;
        for run in places.chunk_by(|left, right| left.rank == right.rank) {
            builder.stream(&head.streams.labels()[order[run[0].rank as usize] as usize])?;
            for place in run {
                push(&mut builder, &head.blocks[place.block as usize].rows, place)?;
            }
        }
        parts.extend(builder.finish()?);
    }
    Ok(parts)
}

/// The streams in the order of parts, and the place of each in that order.
fn sorted_streams(head: &Head) -> (Vec<u32>, Vec<u32>) {
    let labels = head.streams.labels();
    let mut order: Vec<u32> = (0..labels.len() as u32).collect();
    let bytes = |stream: u32| labels[stream as usize].as_bytes();
    order.sort_by(|left, right| compare_canonical(bytes(*left), bytes(*right)));
    let mut ranks = vec![0; order.len()];
    order.iter().enumerate().for_each(|(rank, stream)| ranks[*stream as usize] = rank as u32);
    (order, ranks)
}

fn places_by_day(head: &Head, ranks: &[u32]) -> BTreeMap<Day, Vec<Place>> {
    let mut days: BTreeMap<Day, Vec<Place>> = BTreeMap::new();
    for (number, block) in head.blocks.iter().enumerate() {
        let (first, last) = (block.time.min, block.time.max);
        let days_of_block = (Day::of(first, Signal::Logs), Day::of(last, Signal::Logs));
        for (row, time) in block.rows.times.iter().enumerate() {
            let is_one_day = days_of_block.0 == days_of_block.1;
            let day = if is_one_day { days_of_block.0 } else { Day::of(*time, Signal::Logs) };
            let rank = ranks[block.rows.streams[row] as usize];
            let place = Place { rank, block: number as u32, row: row as u32, time: *time };
            days.entry(day).or_default().push(place);
        }
    }
    days
}

fn push(builder: &mut PartBuilder, rows: &Rows, place: &Place) -> Result<(), StoreError> {
    let row = place.row as usize;
    let line = rows.line(row);
    builder.row(place.time, line.len(), rows.field_count(row))?;
    builder.lines().push(line);
    let mut guess = 0;
    for (name, value) in rows.fields(row) {
        guess = builder.field(rows.names.get(name), value, guess) + 1;
    }
    Ok(())
}
