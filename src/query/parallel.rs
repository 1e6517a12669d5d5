//! Splitting work on many series over threads.

use platform::threads::Helpers;
use std::ops::Range;

/// Fewer items or fewer values than this are not worth a second thread.
const ITEMS_MIN: usize = 16;
const VALUES_MIN: usize = 65_536;
/// About so many values are done before a thread that is woken has begun.
const WAKE_VALUES: usize = 2_048;

/// Runs `work` on ranges that together are all items, and answers in their order. `item_cost` is
/// what one item costs, in values of a plain column: a little work is not split.
pub fn in_parts<R: Send>(
    helpers: &Helpers,
    items: usize,
    item_cost: usize,
    work: impl Fn(Range<usize>) -> R + Sync,
) -> Vec<R> {
    let is_worthwhile = items >= ITEMS_MIN && items.saturating_mul(item_cost) >= VALUES_MIN;
    let parts = if is_worthwhile { helpers.width() } else { 1 };
    if parts == 1 {
        return vec![work(0..items)];
    }
    helpers.scatter(shares(items, parts, WAKE_VALUES / item_cost.max(1)), work)
}

/// The first share, which is the caller's own, is larger by `ahead` than the others.
fn shares(items: usize, parts: usize, ahead: usize) -> Vec<Range<usize>> {
    let share = items.saturating_sub(ahead) / parts;
    let start = |part: usize| if part == 0 { 0 } else { items - (parts - part) * share };
    (0..parts).map(|part| start(part)..start(part + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_all_items() {
        assert_eq!(shares(10, 3, 1), [0..4, 4..7, 7..10]);
        assert_eq!(shares(10, 2, 100), [0..10, 10..10]);
    }

    #[test]
    fn only_much_work_is_split() {
        let helpers = Helpers::start("test", 3).unwrap();
        let parts = |items, cost| in_parts(&helpers, items, cost, |range| range).len();
        assert_eq!((parts(15, 100_000), parts(100, 10), parts(100, 1_000)), (1, 1, 4));
        let alone = in_parts(&Helpers::none(), 100, 1_000, |range| range.len());
        assert_eq!(alone, [100]);
    }
}
