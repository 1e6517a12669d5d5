//! The order of the spans of one trace: depth first, siblings by their start.
//!
//! A span whose parent is not there, or that is its own ancestor, is an orphan: it and what is below it
//! come behind the trees of the roots. Client and server of one call may share a span id, as Zipkin has
//! it: then the server's span is the client's child, and further children are the server's.

use crate::spans::NO_ID;
use std::collections::HashMap;

/// The parent of a span that names none.
pub const ROOT: u32 = u32::MAX;
/// The parent of a span whose parent never came.
pub const ORPHAN: u32 = u32::MAX - 1;

const SERVER: u8 = 2;
const CLIENT: u8 = 3;

/// A span, as far as its place in the trace depends on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TreeSpan {
    pub(crate) id: [u8; 8],
    pub(crate) parent_id: [u8; 8],
    pub(crate) start: u64,
    pub(crate) kind: u8,
}

/// A span in the order of its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Its place among the spans that were given.
    pub(crate) index: u32,
    /// The place of its parent in the order, or [`ROOT`], or [`ORPHAN`].
    pub(crate) parent: u32,
}

/// Orders traces, and keeps its memory from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    by_start: Vec<u32>,
    /// The index of each span's parent.
    parents: Vec<u32>,
    first_child: Vec<u32>,
    next_sibling: Vec<u32>,
    /// Spans to be placed, and the place of each one's parent.
    pending: Vec<(u32, u32)>,
    is_placed: Vec<bool>,
}

const NONE: u32 = u32::MAX;

/// Up to this many spans are compared with each other, which is quicker than hashing.
const FEW: usize = 16;

impl Tree {
    /// Fills `order` with the spans in order.
    pub(crate) fn order(&mut self, spans: &[TreeSpan], order: &mut Vec<Placed>) {
        order.clear();
        if let [span] = spans {
            let parent = if span.parent_id == NO_ID { ROOT } else { ORPHAN };
            return order.push(Placed { index: 0, parent });
        }
        self.by_start.clear();
        self.by_start.extend(0..spans.len() as u32);
        self.by_start.sort_unstable_by_key(|index| {
            let span = &spans[*index as usize];
            (span.start, span.id, *index)
        });
        self.find_parents(spans);
        self.link_children();
        self.is_placed.clear();
        self.is_placed.resize(spans.len(), false);
        for wanted in [ROOT, ORPHAN] {
            for at in 0..self.by_start.len() {
                let index = self.by_start[at];
                if self.parents[index as usize] == wanted {
                    self.place(index, wanted, order);
                }
            }
        }
        // What is left is below itself.
        for at in 0..self.by_start.len() {
            let index = self.by_start[at];
            if !self.is_placed[index as usize] {
                let is_root = spans[index as usize].parent_id == NO_ID;
                self.place(index, if is_root { ROOT } else { ORPHAN }, order);
            }
        }
    }

    fn find_parents(&mut self, spans: &[TreeSpan]) {
        self.parents.clear();
        if spans.len() <= FEW {
            let find = |id: [u8; 8], kind: u8| {
                let with = |wanted: Option<u8>| {
                    let fits = |span: &TreeSpan| {
                        span.id == id && wanted.is_none_or(|kind| kind == span.kind)
                    };
                    spans.iter().position(fits)
                };
                with(Some(kind)).or_else(|| with(None)).map(|at| at as u32)
            };
            self.parents.extend(spans.iter().zip(0..).map(|(span, at)| parent_of(span, at, find)));
            return;
        }
        let mut known: HashMap<([u8; 8], u8), u32> = HashMap::new();
        let mut first: HashMap<[u8; 8], u32> = HashMap::with_capacity(spans.len());
        for (span, index) in spans.iter().zip(0..) {
            if matches!(span.kind, SERVER | CLIENT) {
                known.entry((span.id, span.kind)).or_insert(index);
            }
            first.entry(span.id).or_insert(index);
        }
        let find =
            |id: [u8; 8], kind: u8| known.get(&(id, kind)).or_else(|| first.get(&id)).copied();
        self.parents.extend(spans.iter().zip(0..).map(|(span, at)| parent_of(span, at, find)));
    }

    fn link_children(&mut self) {
        let spans = self.parents.len();
        self.first_child.clear();
        self.first_child.resize(spans, NONE);
        self.next_sibling.clear();
        self.next_sibling.resize(spans, NONE);
        // From the last to the first, so that lists begin with the first.
        for index in self.by_start.iter().rev() {
            let parent = self.parents[*index as usize];
            if parent < ORPHAN {
                self.next_sibling[*index as usize] = self.first_child[parent as usize];
                self.first_child[parent as usize] = *index;
            }
        }
    }

    /// Places a span and all below it that are not placed.
    fn place(&mut self, top: u32, parent: u32, order: &mut Vec<Placed>) {
        self.pending.push((top, parent));
        while let Some((index, parent)) = self.pending.pop() {
            if std::mem::replace(&mut self.is_placed[index as usize], true) {
                continue;
            }
            let place = order.len() as u32;
            order.push(Placed { index, parent });
            let from = self.pending.len();
            let mut child = self.first_child[index as usize];
            while child != NONE {
                self.pending.push((child, place));
                child = self.next_sibling[child as usize];
            }
            self.pending[from..].reverse();
        }
    }
}

/// The index of a span's parent. `find` finds a span by its id, of a kind if there is one.
fn parent_of(span: &TreeSpan, index: u32, find: impl Fn([u8; 8], u8) -> Option<u32>) -> u32 {
    // The other half of a call that shares the id.
    if span.kind == SERVER
        && let Some(client) = find(span.id, CLIENT).filter(|client| *client != index)
        && find(span.id, SERVER) == Some(index)
    {
        return client;
    }
    if span.parent_id == NO_ID {
        return ROOT;
    }
    find(span.parent_id, SERVER).filter(|parent| *parent != index).unwrap_or(ORPHAN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn span(id: u8, parent: u8, start: u64) -> TreeSpan {
        TreeSpan { id: [id; 8], parent_id: [parent; 8], start, kind: 1 }
    }

    fn ordered(spans: &[TreeSpan]) -> Vec<(u32, u32)> {
        let mut order = Vec::new();
        Tree::default().order(spans, &mut order);
        order.iter().map(|placed| (placed.index, placed.parent)).collect()
    }

    #[test]
    fn trees_are_depth_first_and_siblings_by_start() {
        let spans = [span(4, 2, 9), span(2, 1, 5), span(1, 0, 1), span(3, 1, 4), span(5, 2, 6)];
        assert_eq!(ordered(&spans), [(2, ROOT), (3, 0), (1, 0), (4, 2), (0, 2)]);
    }

    #[test]
    fn orphans_and_cycles_come_last() {
        let spans = [span(4, 9, 1), span(1, 0, 2), span(5, 4, 3), span(6, 7, 4), span(7, 6, 5)];
        assert_eq!(ordered(&spans), [(1, ROOT), (0, ORPHAN), (2, 1), (3, ORPHAN), (4, 3)]);
        assert_eq!(ordered(&[span(1, 1, 0), span(2, 1, 0)]), [(0, ORPHAN), (1, 0)]);
    }

    #[test]
    fn client_and_server_may_share_an_id() {
        let call = |kind, start| TreeSpan { kind, ..span(2, 1, start) };
        let spans = [call(SERVER, 3), call(CLIENT, 2), span(1, 0, 1), span(3, 2, 4)];
        assert_eq!(ordered(&spans), [(2, ROOT), (1, 0), (0, 1), (3, 2)]);
    }

    proptest! {
        #[test]
        fn every_span_is_placed_once_behind_its_parent(
            spans in prop::collection::vec((0u8..12, 0u8..12, 0u64..5, 0u8..5), 1..40),
        ) {
            let spans: Vec<TreeSpan> = spans.iter()
                .map(|(id, parent, start, kind)| TreeSpan { kind: *kind, ..span(*id, *parent, *start) })
                .collect();
            let order = ordered(&spans);
            let mut seen: Vec<u32> = order.iter().map(|placed| placed.0).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..spans.len() as u32).collect::<Vec<_>>());
            for (place, (index, parent)) in order.iter().enumerate() {
                let span = &spans[*index as usize];
                match *parent {
                    ROOT => prop_assert_eq!(span.parent_id, NO_ID),
                    ORPHAN => prop_assert!(span.parent_id != NO_ID),
                    parent => {
                        prop_assert!((parent as usize) < place);
                        let above = &spans[order[parent as usize].0 as usize];
                        prop_assert!(above.id == span.parent_id || above.id == span.id);
                    }
                }
            }
        }
    }
}
