//! Relations between the spans of a trace. Rows are in tree order, so that a parent is always before its
//! children: one pass over the rows, forward or backward, follows every relation, however deep.

use crate::ast::{Relation, Selects};
use std::rc::Rc;
use trace_store::{ROOT, RowSet};

/// The number of a span where its tree is walked from the left, when it is entered and left.
#[derive(Debug, Default)]
pub(crate) struct NestedSets {
    pub(crate) left: Rc<[i64]>,
    pub(crate) right: Rc<[i64]>,
    /// `left` of the parent; -1 of a root.
    pub(crate) parent: Rc<[i64]>,
}

impl NestedSets {
    /// Spans that are not below a root have zeros.
    pub(crate) fn of(parents: &[u32], trace_ends: &[u32]) -> Self {
        let rows = parents.len();
        let mut left = vec![0; rows];
        let mut right = vec![0; rows];
        let mut parent = vec![0; rows];
        let mut open: Vec<usize> = Vec::new();
        let mut start = 0;
        for end in trace_ends {
            let mut number = 0;
            let mut next = || {
                number += 1;
                number
            };
            for row in start..*end as usize {
                let above = parent_row(parents, row);
                while open.last().is_some_and(|last| Some(*last) != above) {
                    open.pop().into_iter().for_each(|row| right[row] = next());
                }
                match open.last() {
                    Some(above) => parent[row] = left[*above],
                    None if parents[row] == ROOT => parent[row] = -1,
                    None => continue,
                }
                left[row] = next();
                open.push(row);
            }
            while let Some(row) = open.pop() {
                right[row] = next();
            }
            start = *end as usize;
        }
        Self { left: left.into(), right: right.into(), parent: parent.into() }
    }
}

#[inline]
fn parent_row(parents: &[u32], row: usize) -> Option<usize> {
    // Roots and orphans have numbers that are no rows.
    let parent = parents[row] as usize;
    (parent < row).then_some(parent)
}

pub(crate) fn child_counts(parents: &[u32]) -> Vec<i64> {
    let mut counts = vec![0; parents.len()];
    for row in 0..parents.len() {
        if let Some(parent) = parent_row(parents, row) {
            counts[parent] += 1;
        }
    }
    counts
}

/// The rows that are below a root, and the roots.
pub(crate) fn connected(parents: &[u32]) -> RowSet {
    let mut found = RowSet::none(parents.len());
    for row in 0..parents.len() {
        let above = parent_row(parents, row);
        if parents[row] == ROOT || above.is_some_and(|parent| found.contains(parent)) {
            found.insert(row);
        }
    }
    found
}

/// The rows of an operator's answer.
pub(crate) fn related(
    (relation, selects): (Relation, Selects),
    left: &RowSet,
    right: &RowSet,
    parents: &[u32],
    connected: &RowSet,
) -> RowSet {
    let (inner_left, inner_right) = (left.clone().and(connected), right.clone().and(connected));
    let found = of_right(relation, &inner_left, &inner_right, parents);
    match selects {
        Selects::Right => found,
        Selects::Unrelated => right.clone().and(&found.others()),
        Selects::Both => found.or(&of_right(inverse(relation), &inner_right, &inner_left, parents)),
    }
}

fn inverse(relation: Relation) -> Relation {
    match relation {
        Relation::Child => Relation::Parent,
        Relation::Parent => Relation::Child,
        Relation::Descendant => Relation::Ancestor,
        Relation::Ancestor => Relation::Descendant,
        Relation::Sibling => Relation::Sibling,
    }
}

/// The rows of the right side that are related to one of the left.
fn of_right(relation: Relation, left: &RowSet, right: &RowSet, parents: &[u32]) -> RowSet {
    let rows = parents.len();
    if left.is_empty() || right.is_empty() {
        return RowSet::none(rows);
    }
    let marked = match relation {
        Relation::Child => {
            let is_child = |row| parent_row(parents, row).is_some_and(|above| left.contains(above));
            return RowSet::of(rows, |row| right.contains(row) && is_child(row));
        }
        Relation::Sibling => return siblings(left, right, parents),
        Relation::Descendant => {
            let mut below = RowSet::none(rows);
            for row in 0..rows {
                let above = parent_row(parents, row);
                if above.is_some_and(|above| left.contains(above) || below.contains(above)) {
                    below.insert(row);
                }
            }
            below
        }
        Relation::Parent => {
            let mut above = RowSet::none(rows);
            left.iter()
                .filter_map(|row| parent_row(parents, row))
                .for_each(|row| above.insert(row));
            above
        }
        Relation::Ancestor => {
            let mut above = RowSet::none(rows);
            for row in (0..rows).rev() {
                if left.contains(row) || above.contains(row) {
                    parent_row(parents, row).into_iter().for_each(|row| above.insert(row));
                }
            }
            above
        }
    };
    marked.and(right)
}

/// Roots have no siblings.
fn siblings(left: &RowSet, right: &RowSet, parents: &[u32]) -> RowSet {
    let mut counts = vec![0_u32; parents.len()];
    for row in left.iter() {
        if let Some(parent) = parent_row(parents, row) {
            counts[parent] += 1;
        }
    }
    let others = |row: usize| {
        let siblings = parent_row(parents, row).map_or(0, |parent| counts[parent]);
        siblings.saturating_sub(u32::from(left.contains(row)))
    };
    RowSet::of(parents.len(), |row| right.contains(row) && others(row) > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use trace_store::ORPHAN;

    /// Two traces: 0 (1 (2) 3) and an orphan 4 with its child 5; 6 (7).
    const PARENTS: [u32; 8] = [ROOT, 0, 1, 0, ORPHAN, 4, ROOT, 6];
    const ENDS: [u32; 2] = [6, 8];

    fn set(rows: &[usize]) -> RowSet {
        RowSet::of(PARENTS.len(), |row| rows.contains(&row))
    }

    fn check(relation: Relation, selects: Selects, left: &[usize], right: &[usize]) -> Vec<usize> {
        let connected = connected(&PARENTS);
        let found = related((relation, selects), &set(left), &set(right), &PARENTS, &connected);
        found.iter().collect()
    }

    #[test]
    fn orphans_have_no_numbers() {
        let sets = NestedSets::of(&PARENTS, &ENDS);
        assert_eq!(*sets.left, [1, 2, 3, 6, 0, 0, 1, 2]);
        assert_eq!(*sets.right, [8, 5, 4, 7, 0, 0, 4, 3]);
        assert_eq!(*sets.parent, [-1, 1, 2, 1, 0, 0, -1, 1]);
        assert_eq!(child_counts(&PARENTS), [2, 1, 0, 0, 1, 0, 1, 0]);
    }

    #[test]
    fn relations() {
        use Relation::{Ancestor, Child, Descendant, Parent, Sibling};
        let all = [0, 1, 2, 3, 4, 5, 6, 7];
        let right = Selects::Right;
        assert_eq!(check(Child, right, &all, &all), [1, 2, 3, 7]);
        assert_eq!(check(Child, right, &[1], &all), [2]);
        assert_eq!(check(Descendant, right, &[0], &all), [1, 2, 3]);
        assert_eq!(check(Parent, right, &[2, 5, 7], &all), [1, 6]);
        assert_eq!(check(Ancestor, right, &[2], &all), [0, 1]);
        assert_eq!(check(Sibling, right, &[1], &all), [3]);
        assert_eq!(check(Sibling, right, &[1, 3], &all), [1, 3]);
        assert_eq!(check(Sibling, right, &[0], &all), [0; 0]);
        assert_eq!(check(Child, Selects::Unrelated, &[0], &all), [0, 2, 4, 5, 6, 7]);
        assert_eq!(check(Child, Selects::Both, &[1, 3], &[2, 7]), [1, 2]);
        assert_eq!(check(Ancestor, Selects::Both, &[2, 7], &[0]), [0, 2]);
    }
}
