//! Which segments there must be: so a start notices when one is missing.
//!
//! Each segment's header names the segment before it. Where the chain begins and ends stands in the
//! name of an empty file, `<oldest>-<newest>.chain`: changing it is a rename, which needs no space on
//! a full disk.
//!
//! Order on disk, so that a crash never makes a segment look lost that is not:
//! 1. A new segment is durable before the name mentions it.
//! 2. Before segments are deleted, the name that no longer expects them is durable.

use crate::segment::SegmentLinks;
use model::WalPosition;
use platform::Disk;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The ends of the chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ends {
    /// Segments below it may have been deleted.
    pub(crate) oldest: u64,
    pub(crate) newest: u64,
}

impl Ends {
    fn name(self) -> String {
        format!("{:016x}-{:016x}.chain", self.oldest, self.newest)
    }

    fn parse(name: &str) -> Option<Self> {
        let (oldest, newest) = name.strip_suffix(".chain")?.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        let ends = Self { oldest: number(oldest)?, newest: number(newest)? };
        (ends.name() == name).then_some(ends)
    }
}

/// Segments that should be there and are not: all between two positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) from: WalPosition,
    pub(crate) end: WalPosition,
}

/// The gaps among the segments found, in rising order. Segments of a version without links, and
/// those whose header is damaged, expect nothing.
pub(crate) fn gaps(ends: Option<Ends>, found: &[SegmentLinks]) -> Vec<Gap> {
    let there: BTreeSet<u64> = found.iter().map(|links| links.sequence).collect();
    let start = |segment| WalPosition { segment, offset: 0 };
    // Without the file of the ends, only a hole between two segments is certain.
    let lowest = there.first().map_or(0, |first| first + 1);
    let oldest = ends.map_or(lowest, |ends| ends.oldest);
    let newest = ends.map(|ends| (ends.newest, ends.newest + 1));
    let links = found.iter().map(|links| (links.previous, links.sequence));
    // The file of the ends may be behind the newest segment, whose link says more.
    let links: BTreeMap<u64, u64> = newest.into_iter().chain(links).collect();
    let missing = links
        .into_iter()
        .filter(|(wanted, _)| *wanted > 0 && *wanted >= oldest && !there.contains(wanted));
    let gap = |(wanted, next): (u64, u64)| {
        let before = there.range(..wanted).next_back().map_or(oldest, |before| before + 1);
        Gap { from: start(before.max(oldest).max(1)), end: start(next) }
    };
    missing.map(gap).collect()
}

#[derive(Debug)]
pub(crate) struct Chain {
    disk: Arc<dyn Disk>,
    folder: String,
    /// `None` while the file does not exist. Held during I/O; taken before no other lock.
    ends: Mutex<Option<Ends>>,
}

impl Chain {
    /// Finds the file. A crash in the middle of a rename may leave two names.
    pub(crate) fn open(disk: Arc<dyn Disk>, folder: &str) -> io::Result<Self> {
        let names = disk.list(folder)?;
        let mut found: Vec<Ends> = names.iter().filter_map(|e| Ends::parse(&e.name)).collect();
        found.sort_unstable_by_key(|ends| (ends.oldest, ends.newest));
        let ends = found.pop();
        let folder = folder.to_owned();
        let chain = Self { disk, folder, ends: Mutex::new(ends) };
        for old in found {
            // Whichever name a later start finds too, the highest one counts.
            let _ = chain.disk.remove(&chain.path(old));
        }
        Ok(chain)
    }

    pub(crate) fn ends(&self) -> Option<Ends> {
        *self.lock()
    }

    /// A new segment is durable. If its name can't be noted, only its loss would go unnoticed.
    pub(crate) fn extend(&self, newest: u64) {
        let mut ends = self.lock();
        let next = Ends { newest, ..ends.unwrap_or_default() };
        let _ = self.set(&mut ends, next);
    }

    /// The newest segment, in which nothing was acknowledged, will be removed; `newest` is the one
    /// before it. On a disk that can't even sync a folder, a power cut may leave the old name: then
    /// an empty segment is reported as missing.
    pub(crate) fn retract(&self, newest: u64) -> io::Result<()> {
        let mut ends = self.lock();
        let Some(now) = *ends else { return Ok(()) };
        self.set(&mut ends, Ends { newest, ..now })?;
        let _ = self.disk.sync_dir(&self.folder);
        Ok(())
    }

    /// Segments below `oldest` will be deleted.
    pub(crate) fn shorten(&self, oldest: u64) -> io::Result<()> {
        let mut ends = self.lock();
        let Some(now) = *ends else { return Ok(()) };
        if now.oldest < oldest {
            self.set(&mut ends, Ends { oldest, ..now })?;
            self.disk.sync_dir(&self.folder)?;
        }
        Ok(())
    }

    fn set(&self, ends: &mut Option<Ends>, next: Ends) -> io::Result<()> {
        let to = self.path(next);
        match *ends {
            Some(now) if now == next => {}
            Some(now) => match self.disk.rename(&self.path(now), &to) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    drop(self.disk.create(&to)?);
                }
                renamed => renamed?,
            },
            None => drop(self.disk.create(&to)?),
        }
        *ends = Some(next);
        Ok(())
    }

    fn path(&self, ends: Ends) -> String {
        format!("{}/{}", self.folder, ends.name())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Ends>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ends: Option<(u64, u64)>, found: &[(u64, u64)], expected: &[(u64, u64)]) {
        let ends = ends.map(|(oldest, newest)| Ends { oldest, newest });
        let links = found.iter().map(|(previous, sequence)| {
            let (sequence, previous) = (*sequence, *previous);
            SegmentLinks { sequence, previous }
        });
        let links: Vec<SegmentLinks> = links.collect();
        let found: Vec<(u64, u64)> =
            gaps(ends, &links).iter().map(|gap| (gap.from.segment, gap.end.segment)).collect();
        assert_eq!(found, expected, "{ends:?} {links:?}");
    }

    #[test]
    fn a_missing_segment_is_a_gap() {
        let whole = [(0, 1), (1, 2), (2, 5), (5, 6)];
        check(Some((0, 6)), &whole, &[]);
        check(Some((0, 6)), &[(0, 1), (2, 5), (5, 6)], &[(2, 5)]);
        check(Some((0, 6)), &[(0, 1), (5, 6)], &[(2, 6)]);
        check(Some((0, 6)), &whole[1..], &[(1, 2)]);
        check(Some((0, 6)), &whole[..3], &[(6, 7)]);
        check(Some((0, 6)), &[], &[(1, 7)]);
    }

    #[test]
    fn what_was_deleted_in_order_is_none() {
        check(Some((5, 6)), &[(2, 5), (5, 6)], &[]);
        check(Some((5, 6)), &[(0, 1), (2, 5), (5, 6)], &[]);
        check(Some((5, 6)), &[(5, 6)], &[(5, 6)]);
        check(Some((0, 0)), &[], &[]);
    }

    /// Segments of versions without links, or a folder whose file of the ends was lost.
    #[test]
    fn what_is_not_known_is_no_gap() {
        check(None, &[(0, 1), (0, 3)], &[]);
        check(None, &[(2, 5), (5, 6)], &[]);
        check(None, &[(2, 5), (6, 7)], &[(6, 7)]);
    }

    #[test]
    fn names_come_back() {
        let ends = Ends { oldest: 5, newest: 0x1234 };
        assert_eq!(Ends::parse(&ends.name()), Some(ends));
        assert_eq!(Ends::parse("5-6.chain"), None);
    }
}
