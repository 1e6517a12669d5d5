//! The critical path: which span the end of the trace waited for, at each moment.
//!
//! From the end of a span back to its start: the child that finished last is what was waited for, then that
//! child's own children, and so on; before it began, the child that had finished last by then. Children that
//! overlap a later one were not waited for. What lies outside its parent is cut off.

use super::spans::TraceSpans;

/// A time during which a span, and none below it, was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PathPiece {
    pub(super) row: u32,
    /// Nanoseconds.
    pub(super) from: u64,
    pub(super) to: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CriticalPath {
    /// From the start of the root to its end.
    pub(super) pieces: Vec<PathPiece>,
}

/// The times of spans within those of their parents.
struct Within {
    starts: Vec<u64>,
    ends: Vec<u64>,
}

impl Within {
    fn of(spans: &TraceSpans<'_>) -> Self {
        let mut within = Self { starts: Vec::new(), ends: Vec::new() };
        for row in 0..spans.len() {
            let (mut start, mut end) = (spans.starts[row], spans.end_of(row));
            if let Some(parent) = spans.parent(row) {
                start = start.max(within.starts[parent]);
                end = end.min(within.ends[parent]).max(start);
            }
            within.starts.push(start);
            within.ends.push(end);
        }
        within
    }
}

/// The children of each span, the last to end first.
struct Children {
    /// Behind the last child of each span.
    ends: Vec<u32>,
    rows: Vec<u32>,
}

impl Children {
    fn of(spans: &TraceSpans<'_>, within: &Within) -> Self {
        let parents = || (0..spans.len()).filter_map(|row| Some((row, spans.parent(row)?)));
        let mut ends = vec![0u32; spans.len()];
        parents().for_each(|(_, parent)| ends[parent] += 1);
        let mut total = 0;
        for end in &mut ends {
            // The place of the first child, until the children are put in.
            total += std::mem::replace(end, total);
        }
        let mut rows = vec![0u32; total as usize];
        for (row, parent) in parents() {
            rows[ends[parent] as usize] = row as u32;
            ends[parent] += 1;
        }
        let mut first = 0;
        for end in &ends {
            let of_parent = std::mem::replace(&mut first, *end as usize)..*end as usize;
            rows[of_parent].sort_by_key(|row| std::cmp::Reverse(within.ends[*row as usize]));
        }
        Self { ends, rows }
    }

    fn first(&self, row: usize) -> usize {
        row.checked_sub(1).map_or(0, |before| self.ends[before] as usize)
    }
}

/// A span whose time is being told, from its end to its start.
struct Frame {
    row: usize,
    until: u64,
    next_child: usize,
}

impl CriticalPath {
    pub(super) fn of(spans: &TraceSpans<'_>) -> Self {
        let mut path = Self::default();
        if spans.len() == 0 {
            return path;
        }
        let within = Within::of(spans);
        let children = Children::of(spans, &within);
        let frame =
            |row: usize| Frame { row, until: within.ends[row], next_child: children.first(row) };
        let mut stack = vec![frame(spans.root())];
        while let Some(top) = stack.last_mut() {
            let of_row = &children.rows[top.next_child..children.ends[top.row] as usize];
            let is_waited_for = |child: &u32| {
                let child = *child as usize;
                within.ends[child] <= top.until && within.starts[child] < within.ends[child]
            };
            match of_row.iter().position(is_waited_for) {
                Some(at) => {
                    let child = of_row[at] as usize;
                    path.add(top.row, within.ends[child], top.until);
                    top.next_child += at + 1;
                    top.until = within.starts[child];
                    stack.push(frame(child));
                }
                None => {
                    path.add(top.row, within.starts[top.row], top.until);
                    stack.pop();
                }
            }
        }
        path.pieces.reverse();
        path
    }

    fn add(&mut self, row: usize, from: u64, to: u64) {
        if from < to {
            self.pieces.push(PathPiece { row: row as u32, from, to });
        }
    }
}
