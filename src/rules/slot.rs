//! The times at which a group is evaluated: multiples of its interval, moved by an offset that its name
//! and file decide, so that groups are spread and keep their times over restarts.

use model::Labels;
use xxhash_rust::xxh64::xxh64;

/// How far a group's times lie behind multiples of its interval. The same as Prometheus', which hashes
/// the same bytes.
pub(crate) fn offset_ns(file: &str, name: &str, interval_ns: i64) -> i64 {
    let labels = Labels::from_pairs([("file", file), ("name", name)]);
    let hash = xxh64(labels.as_bytes(), 0);
    let interval = interval_ns.unsigned_abs().max(1);
    i64::try_from(hash % interval).unwrap_or(0)
}

/// The group's last time that is not after now.
pub(crate) fn at_or_before(now_ns: i64, interval_ns: i64, offset_ns: i64) -> i64 {
    let interval = interval_ns.max(1);
    (now_ns - offset_ns).div_euclid(interval) * interval + offset_ns
}

/// What a group does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Next {
    /// The time slot to evaluate at.
    pub(crate) slot_ns: i64,
    /// Slots between that were not evaluated because the one before took too long.
    pub(crate) missed: u64,
}

/// The slot to evaluate after `last`, as soon as one is due.
pub(crate) fn due_after(last_ns: i64, now_ns: i64, interval_ns: i64) -> Option<Next> {
    let slots = (now_ns - last_ns).div_euclid(interval_ns.max(1));
    let missed = u64::try_from(slots - 1).ok()?;
    Some(Next { slot_ns: last_ns + slots * interval_ns, missed })
}

/// Whether the wall clock was set back so far that the group would wait for more than it ever does.
pub(crate) fn is_set_back(last_ns: i64, now_ns: i64, interval_ns: i64) -> bool {
    last_ns.saturating_sub(now_ns) > interval_ns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_multiples_moved_by_the_offset() {
        let minute = 60_000_000_000;
        let offset = offset_ns("rules.yml", "a", minute);
        assert!((0..minute).contains(&offset));
        assert_ne!(offset, offset_ns("rules.yml", "b", minute));
        for now in [0, 1, offset - 1, offset, offset + 1, 1_700_000_000_123_456_789] {
            let slot = at_or_before(now, minute, offset);
            assert!(slot <= now && now - slot < minute, "{now}");
            assert_eq!((slot - offset).rem_euclid(minute), 0);
        }
    }

    #[test]
    fn missed_slots_are_counted() {
        assert_eq!(due_after(100, 109, 10), None);
        assert_eq!(due_after(100, 110, 10), Some(Next { slot_ns: 110, missed: 0 }));
        assert_eq!(due_after(100, 139, 10), Some(Next { slot_ns: 130, missed: 2 }));
        assert_eq!(due_after(100, 50, 10), None);
        assert!(is_set_back(100, 50, 10));
        assert!(!is_set_back(100, 90, 10));
    }
}
