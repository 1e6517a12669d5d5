//! The bounds of exponential buckets between 1 and 2, to the last bit as Prometheus has them: a quantile
//! or a bucket's label must not differ in its last digit. Its tables are rounded step by step, so the
//! same steps are taken here.

use std::sync::LazyLock;

/// The finest schema of Prometheus.
const SCHEMA_MAX: usize = 8;

/// For each schema 2^(i / 2^schema), for every i below 2^schema.
static FRACTIONS: LazyLock<Vec<Vec<f64>>> = LazyLock::new(|| {
    let mut tables: Vec<Vec<f64>> = vec![vec![1.0]];
    for schema in 1..=SCHEMA_MAX {
        let factor = exp2(exp2(-(schema as f64)));
        let coarser = &tables[schema - 1];
        let mut table = vec![1.0];
        for index in 1..1 << schema {
            // Every other bound is one of the coarser schema.
            let bound = if index % 2 == 0 { coarser[index / 2] } else { table[index - 1] * factor };
            table.push(bound);
        }
        tables.push(table);
    }
    tables
});

/// The bound of a bucket without its whole power of two; `None` where the schema has no table.
pub(super) fn fraction(index: i32, schema: i32) -> Option<f64> {
    let table = FRACTIONS.get(usize::try_from(schema).ok()?)?;
    table.get(index.rem_euclid(1 << schema) as usize).copied()
}

/// 2 to a power in -1..=1, by the rational approximation of FreeBSD's `exp`, which Go uses too. The
/// standard library's is correctly rounded more often, which is another result.
fn exp2(power: f64) -> f64 {
    const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    const TERMS: [f64; 5] = [
        1.666_666_666_666_666_6e-1,
        -2.777_777_777_701_559_3e-3,
        6.613_756_321_437_934e-5,
        -1.653_390_220_546_525_2e-6,
        4.138_136_797_057_238_5e-8,
    ];
    let whole = power.round();
    let rest = power - whole;
    let (high, low) = (rest * LN2_HIGH, -rest * LN2_LOW);
    let reduced = high - low;
    let square = reduced * reduced;
    let series = TERMS.iter().rev().fold(0.0, |sum, term| square * (term + sum));
    let correction = reduced - series;
    let value = 1.0 - ((low - (reduced * correction) / (2.0 - correction)) - high);
    value * whole.exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Halves of the bounds, as client libraries list them.
    #[test]
    fn bounds_are_those_of_prometheus() {
        let halves = |schema: usize| -> Vec<f64> {
            FRACTIONS[schema].iter().map(|bound| bound / 2.0).collect()
        };
        assert_eq!(halves(1), [0.5, 0.7071067811865475]);
        let expected = [0.5, 0.5946035575013605, 0.7071067811865475, 0.8408964152537144];
        assert_eq!(halves(2), expected);
        let odd = [0.5452538663326288, 0.6484197773255048, 0.7711054127039704, 0.9170040432046711];
        assert_eq!(halves(3).into_iter().skip(1).step_by(2).collect::<Vec<_>>(), odd);
    }

    #[test]
    fn bounds_rise_and_are_near_the_truth() {
        for (schema, table) in FRACTIONS.iter().enumerate() {
            assert!(table.windows(2).all(|pair| pair[0] < pair[1]));
            for (index, bound) in table.iter().enumerate() {
                let truth = 2f64.powf(index as f64 / table.len() as f64);
                assert!((bound - truth).abs() < 1e-14, "{schema} {index}");
            }
        }
    }
}
