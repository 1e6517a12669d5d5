//! Timestamps that many series share.
//!
//! The series of one scrape have the same timestamps, so each timestamp is stored once, in a clock.
//! A series joins the clock of the series before it in the batch, and its k-th sample is at the
//! k-th tick after that. A series with a different timestamp leaves and gets another clock; series
//! that leave in the same way share it.

/// A series without samples.
pub(crate) const NO_CLOCK: u32 = u32::MAX;

#[derive(Debug, Default)]
pub(crate) struct Clocks {
    clocks: Vec<Vec<i64>>,
    ticks: usize,
    departed: Option<(Departure, u32)>,
}

/// How a series left its clock. Series with the same departure share a new clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Departure {
    clock: u32,
    start: u32,
    len: u32,
    time: i64,
}

/// The clock, tick and time of the sample before, within one batch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BatchCursor(Option<(u32, u32, i64)>);

impl Clocks {
    /// Moves the series on to `time`, which becomes the time of its sample number `len`. Returns
    /// false if the time is not later than the series' last one.
    pub(crate) fn advance(
        &mut self,
        cursor: &mut BatchCursor,
        (clock, start): (&mut u32, &mut u32),
        len: u32,
        time: i64,
    ) -> bool {
        if len == 0 {
            (*clock, *start) = self.join(cursor, time);
        } else if !self.tick(*clock, *start + len, time) {
            if self.clocks[*clock as usize][(*start + len - 1) as usize] >= time {
                return false;
            }
            (*clock, *start) =
                (self.depart(Departure { clock: *clock, start: *start, len, time }), 0);
        }
        cursor.0 = Some((*clock, *start + len, time));
        true
    }

    /// Whether the clock has `time` at this tick, or can be extended so.
    fn tick(&mut self, clock: u32, index: u32, time: i64) -> bool {
        let ticks = &mut self.clocks[clock as usize];
        match ticks.get(index as usize) {
            Some(tick) => *tick == time,
            None if ticks.last().is_some_and(|last| *last < time) => {
                ticks.push(time);
                self.ticks += 1;
                true
            }
            None => false,
        }
    }

    fn join(&mut self, cursor: &BatchCursor, time: i64) -> (u32, u32) {
        match cursor.0 {
            Some((clock, index, at)) if at == time => (clock, index),
            _ => (self.add(vec![time]), 0),
        }
    }

    fn depart(&mut self, departure: Departure) -> u32 {
        if let Some((known, clock)) = self.departed
            && known == departure
        {
            return clock;
        }
        let Departure { clock, start, len, time } = departure;
        let mut ticks = self.ticks(clock, start, len).to_vec();
        ticks.push(time);
        let new = self.add(ticks);
        self.departed = Some((departure, new));
        new
    }

    /// Adds a clock that no series has joined yet.
    pub(super) fn add(&mut self, ticks: Vec<i64>) -> u32 {
        self.ticks += ticks.len();
        self.clocks.push(ticks);
        (self.clocks.len() - 1) as u32
    }

    pub(crate) fn ticks(&self, clock: u32, start: u32, len: u32) -> &[i64] {
        let ticks = self.clocks.get(clock as usize).map_or(&[][..], Vec::as_slice);
        &ticks[start as usize..(start + len) as usize]
    }

    pub(crate) fn bytes(&self) -> usize {
        self.clocks.len() * 40 + self.ticks * 12
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_shares_its_ticks_and_strays_get_their_own() {
        let mut clocks = Clocks::default();
        let mut places = [(NO_CLOCK, 0u32, 0u32); 6];
        let mut push = |clocks: &mut Clocks, cursor: &mut BatchCursor, series: usize, time| {
            let (clock, start, len) = &mut places[series];
            let taken = clocks.advance(cursor, (clock, start), *len, time);
            *len += u32::from(taken);
            taken
        };
        for time in [10, 20, 30] {
            let mut cursor = BatchCursor::default();
            for series in 0..6 {
                // The last three leave at 20, all in the same way.
                let stray = i64::from(series > 2 && time > 10);
                assert!(push(&mut clocks, &mut cursor, series, time + stray));
            }
        }
        assert!(!push(&mut clocks, &mut BatchCursor::default(), 0, 30));
        assert!(!push(&mut clocks, &mut BatchCursor::default(), 0, 5));
        assert_eq!(clocks.clocks.len(), 2);
        let (clock, start, len) = places[0];
        assert_eq!(clocks.ticks(clock, start, len), [10, 20, 30]);
        let (clock, start, len) = places[5];
        assert_eq!(clocks.ticks(clock, start, len), [10, 21, 31]);
    }
}
