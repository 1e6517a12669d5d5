//! Whether conditions hold of a row.

use super::expr::{Expr, LineTest, ValueTest};
use super::field::{Field, Fields};
use super::row::{Row, index_of, label_of};
use model::Labels;
use std::ops::ControlFlow;

/// Whether the condition holds of the row.
pub(super) fn holds(expr: &Expr, row: &mut Row<'_>) -> bool {
    match expr {
        Expr::All => true,
        Expr::None => false,
        Expr::And(all) => all.iter().all(|one| holds(one, row)),
        Expr::AtLeast(least, some) => {
            let mut left = *least;
            left == 0
                || some.iter().any(|one| {
                    left -= usize::from(holds(one, row));
                    left == 0
                })
        }
        Expr::Not(inner) => !holds(inner, row),
        Expr::Time { from, to } => (*from..=*to).contains(&row.time()),
        Expr::Line(test) => line_holds(test, row),
        Expr::Value(field, test) => value_holds(*field, test, row),
    }
}

fn line_holds(test: &LineTest, row: &mut Row<'_>) -> bool {
    match test {
        LineTest::Words(words) => words.is_in(row.folded()),
        LineTest::Pattern { regex, .. } => regex.is_match(row.folded().as_bytes()),
        LineTest::Regex(regex) => regex.is_match(row.line()),
    }
}

fn value_holds(field: Field, test: &ValueTest, row: &mut Row<'_>) -> bool {
    let found = row.each_value(field, |value| match test.holds(value) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// What the labels of a stream alone say: whether the condition holds of all of its lines, of none
/// (`Some`), or of some.
pub(super) fn of_stream(expr: &Expr, labels: &Labels, fields: &Fields) -> Option<bool> {
    match expr {
        Expr::All => Some(true),
        Expr::None => Some(false),
        Expr::Not(inner) => of_stream(inner, labels, fields).map(|holds| !holds),
        Expr::And(all) => {
            let mut known = Some(true);
            for one in all {
                match of_stream(one, labels, fields) {
                    Some(false) => return Some(false),
                    None => known = None,
                    Some(true) => {}
                }
            }
            known
        }
        Expr::AtLeast(least, some) => {
            let known: Vec<Option<bool>> =
                some.iter().map(|one| of_stream(one, labels, fields)).collect();
            let count = |wanted: Option<bool>| known.iter().filter(|one| **one == wanted).count();
            let (sure, open) = (count(Some(true)), count(None));
            match sure >= *least {
                true => Some(true),
                false if sure + open < *least => Some(false),
                false => None,
            }
        }
        Expr::Value(Field::Value(place), test) => {
            let value = label_of(labels, fields.named(*place))?;
            // A list in a label is looked into line by line.
            (!value.starts_with('[')).then(|| test.holds(value))
        }
        Expr::Value(Field::Index, test) => Some(test.holds(index_of(labels))),
        Expr::Value(..) | Expr::Line(_) | Expr::Time { .. } => None,
    }
}
