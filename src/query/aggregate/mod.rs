//! Aggregations. Each works by parts that merge, so threads (and one day machines) share nothing.
//!
//! `fold`: one series for each group (`sum`, `avg`, `quantile`, ...). `pick`: some of the series
//! (`topk`, `limitk`, ...), and `count_values`. `mean`, `histograms`, `quantile`: the arithmetic.

mod fold;
mod histograms;
mod mean;
mod pick;
mod quantile;

pub use fold::Fold;
pub use histograms::{HistogramMean, HistogramSum, Outcome};
pub use mean::Mean;
pub use pick::{Pick, count_values, note_bad_quantiles};
pub use quantile::{nan_first, quantile};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        AggregateOp, CancelFlag, Control, Grouping, Holding, HoldingLimits, NoteSink, OperatorNote,
        Position, Series, StepColumn,
    };
    use model::Labels;
    use platform::sim::SimClock;
    use proptest::prelude::*;

    struct NoNotes;

    impl NoteSink for NoNotes {
        fn note(&self, note: OperatorNote, _: Position) {
            panic!("floats alone raise no notes: {note}");
        }
    }

    fn series(group: usize, number: usize, values: &[Option<f64>]) -> Series {
        let (group, number) = (group.to_string(), number.to_string());
        let labels = Labels::from_pairs([("group", group.as_str()), ("number", &number)]);
        let mut column = StepColumn::new(values.len());
        for (step, value) in values.iter().enumerate() {
            value.iter().for_each(|value| column.set_float(step, *value));
        }
        Series::new(labels, column)
    }

    fn unlimited() -> Holding {
        let limits = HoldingLimits {
            samples: usize::MAX,
            bytes: usize::MAX,
            bytes_setting: "a.setting",
            bytes_advice: "less",
        };
        Holding::new(limits, None)
    }

    fn by_group() -> Grouping {
        Grouping { labels: vec!["group".to_owned()], without: false }
    }

    fn folded(op: AggregateOp, parts: &[&[Series]]) -> Vec<(String, Vec<Option<f64>>)> {
        let (mut whole, holding): (Option<Fold>, _) = (None, unlimited());
        for part in parts {
            let mut fold = Fold::new(op, &by_group(), 3, Position::default());
            let mut portions = holding.portions();
            part.iter().for_each(|one| fold.add(one, &NoNotes, &mut portions).unwrap());
            match &mut whole {
                None => whole = Some(fold),
                Some(whole) => whole.merge(fold),
            }
        }
        let finished = whole.unwrap().finish(&[0.5; 3], &NoNotes);
        let values = |one: &Series| (0..3).map(|step| one.column.float(step)).collect();
        let mut result: Vec<_> =
            finished.iter().map(|one| (one.labels.to_string(), values(one))).collect();
        result.sort_by(|left: &(String, _), right| left.0.cmp(&right.0));
        result
    }

    proptest! {
        #[test]
        fn folds_of_parts_are_the_fold_of_all(
            rows in prop::collection::vec(
                (0usize..3, prop::collection::vec(prop::option::of(-64i32..64), 3)), 1..20),
            cut in 0usize..20,
        ) {
            let series: Vec<Series> = rows.iter().enumerate().map(|(number, (group, values))| {
                let values: Vec<_> = values.iter().map(|v| v.map(f64::from)).collect();
                series(*group, number, &values)
            }).collect();
            let (left, right) = series.split_at(cut.min(series.len()));
            let ops = AggregateOp::ALL.into_iter().filter(|op| {
                !op.selects() && *op != AggregateOp::CountValues
            });
            for op in ops {
                let (whole, parts) = (folded(op, &[&series]), folded(op, &[left, right]));
                prop_assert_eq!(whole.len(), parts.len());
                for ((labels, whole), (same, parts)) in whole.iter().zip(&parts) {
                    prop_assert_eq!(labels, same);
                    for (whole, parts) in whole.iter().zip(parts) {
                        let near = match (whole, parts) {
                            (Some(whole), Some(parts)) => (whole - parts).abs() < 1e-9,
                            (whole, parts) => whole == parts,
                        };
                        prop_assert!(near, "{}: {whole:?} and {parts:?}", op.as_str());
                    }
                }
            }
        }
    }

    #[test]
    fn the_largest_of_each_group_are_picked_step_by_step() {
        let clock = SimClock::new();
        let control = Control::new(&clock, None, CancelFlag::new());
        let pick = Pick {
            op: AggregateOp::Topk,
            grouping: &by_group(),
            position: Position::default(),
            parameter_position: Position::default(),
            notes: &NoNotes,
            control: &control,
            holding: &unlimited(),
        };
        let all = vec![
            series(1, 0, &[Some(1.0), Some(5.0)]),
            series(1, 1, &[Some(2.0), None]),
            series(2, 2, &[Some(0.0), Some(0.0)]),
        ];
        let picked = pick.of(all, &[1.0, 1.0]).unwrap();
        let found = |one: &Series| {
            (one.labels.value("number").to_owned(), one.column.float(0), one.column.float(1))
        };
        let found: Vec<_> = picked.iter().map(found).collect();
        let number = |number: &str| number.to_owned();
        assert_eq!(
            found,
            [
                (number("0"), None, Some(5.0)),
                (number("1"), Some(2.0), None),
                (number("2"), Some(0.0), Some(0.0)),
            ]
        );
    }
}
