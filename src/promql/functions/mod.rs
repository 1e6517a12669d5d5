//! The functions of the language. One table says what each is called and takes; one file per
//! family says what it does. Adding a function is adding to its family's file and one line here.

mod absent;
pub(crate) mod classic;
pub(crate) mod counter;
mod date;
pub(crate) mod extremes;
mod histogram;
mod info;
mod labels;
mod math;
mod over_time;
pub(crate) mod rate;
mod regression;
mod scalar;
mod sort;

use crate::error::QueryError;
use crate::function::{
    Body, Buckets, Function, Invocation, QueryTime, SelectorUse, WindowFunction,
};
use crate::types::ValueType::{self, Matrix, Scalar, String as Text, Vector};
use crate::value::Value;
use model::FloatHistogram;

/// Between samples: what `smoothed` selectors share with `smoothed` rates.
pub(crate) mod interpolation {
    pub(crate) use super::rate::extended::{interpolate, interpolate_histograms};
}

pub(crate) use absent::{inverted as inverted_presence, labels_of as absent_labels};
pub(crate) use rate::start_says_reset;

pub fn lookup(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// Every function, in the order of names.
pub fn all() -> &'static [Function] {
    &FUNCTIONS
}

const fn of(
    name: &'static str,
    arguments: &'static [ValueType],
    returns: ValueType,
    body: Body,
) -> Function {
    Function::new(name, arguments, returns, body)
}

const fn map(name: &'static str, body: fn(f64) -> f64) -> Function {
    of(name, &[Vector], Vector, Body::Map(body))
}

const fn map_histogram(name: &'static str, body: fn(&FloatHistogram) -> f64) -> Function {
    of(name, &[Vector], Vector, Body::MapHistogram(body))
}

const fn window(name: &'static str, body: WindowFunction) -> Function {
    of(name, &[Matrix], Vector, Body::Window(body))
}

type ColumnsBody = fn(Invocation<'_>) -> Result<Value, QueryError>;

const fn columns(
    name: &'static str,
    arguments: &'static [ValueType],
    returns: ValueType,
    body: ColumnsBody,
) -> Function {
    of(name, arguments, returns, Body::Columns(body))
}

/// A date function: of the evaluation time where no vector is given.
const fn date(name: &'static str, body: ColumnsBody) -> Function {
    columns(name, &[Vector], Vector, body).variadic(1).time_dependent()
}

static FUNCTIONS: [Function; 90] = [
    map("abs", f64::abs),
    columns("absent", &[Vector], Vector, absent::absent),
    window("absent_over_time", absent::ABSENT),
    map("acos", f64::acos),
    map("acosh", math::acosh),
    map("asin", f64::asin),
    map("asinh", math::asinh),
    map("atan", f64::atan),
    map("atanh", f64::atanh),
    window("avg_over_time", over_time::AVG),
    map("ceil", f64::ceil),
    window("changes", counter::CHANGES),
    columns("clamp", &[Vector, Scalar, Scalar], Vector, scalar::clamp),
    columns("clamp_max", &[Vector, Scalar], Vector, scalar::clamp_max),
    columns("clamp_min", &[Vector, Scalar], Vector, scalar::clamp_min),
    map("cos", f64::cos),
    map("cosh", f64::cosh),
    window("count_over_time", over_time::COUNT),
    date("day_of_month", date::day_of_month),
    date("day_of_week", date::day_of_week),
    date("day_of_year", date::day_of_year),
    date("days_in_month", date::days_in_month),
    map("deg", math::degrees),
    window("delta", rate::DELTA),
    window("deriv", regression::DERIV),
    of(
        "double_exponential_smoothing",
        &[Matrix, Scalar, Scalar],
        Vector,
        Body::Window(regression::SMOOTHING),
    )
    .experimental(),
    of("end", &[], Scalar, Body::Folded(QueryTime::End)).time_dependent().experimental(),
    map("exp", f64::exp),
    window("first_over_time", over_time::FIRST),
    map("floor", f64::floor),
    map_histogram("histogram_avg", histogram::average).buckets(Buckets::Skipped),
    map_histogram("histogram_count", histogram::count).buckets(Buckets::Skipped),
    columns("histogram_fraction", &[Scalar, Scalar, Vector], Vector, histogram::fraction)
        .buckets(Buckets::Needed),
    columns("histogram_quantile", &[Scalar, Vector], Vector, histogram::quantile)
        .buckets(Buckets::Needed),
    columns("histogram_quantiles", &[Vector, Text, Scalar, Scalar], Vector, histogram::quantiles)
        .variadic(9)
        .buckets(Buckets::Needed)
        .experimental(),
    map_histogram("histogram_stddev", histogram::stddev),
    map_histogram("histogram_stdvar", FloatHistogram::variance),
    map_histogram("histogram_sum", histogram::sum).buckets(Buckets::Skipped),
    date("hour", date::hour),
    window("idelta", rate::IDELTA),
    window("increase", rate::INCREASE),
    columns("info", &[Vector, Vector], Vector, info::info)
        .variadic(1)
        .selectors(SelectorUse::LabelMatchers)
        .experimental(),
    window("irate", rate::IRATE),
    columns("label_join", &[Vector, Text, Text, Text], Vector, labels::join).variadic(-1),
    columns("label_replace", &[Vector, Text, Text, Text, Text], Vector, labels::replace),
    window("last_over_time", over_time::LAST),
    map("ln", f64::ln),
    map("log10", f64::log10),
    map("log2", f64::log2),
    window("mad_over_time", over_time::MAD).experimental(),
    columns("max_of", &[Scalar, Scalar], Scalar, scalar::max_of).experimental(),
    window("max_over_time", over_time::MAX),
    columns("min_of", &[Scalar, Scalar], Scalar, scalar::min_of).experimental(),
    window("min_over_time", over_time::MIN),
    date("minute", date::minute),
    date("month", date::month),
    columns("pi", &[], Scalar, scalar::pi),
    of("predict_linear", &[Matrix, Scalar], Vector, Body::Window(regression::PREDICT))
        .time_dependent(),
    window("present_over_time", absent::PRESENT),
    of("quantile_over_time", &[Scalar, Matrix], Vector, Body::Window(over_time::QUANTILE)),
    map("rad", math::radians),
    of("range", &[], Scalar, Body::Folded(QueryTime::Range)).time_dependent().experimental(),
    window("rate", rate::RATE),
    window("resets", counter::RESETS),
    columns("round", &[Vector, Scalar], Vector, scalar::round).variadic(1),
    columns("scalar", &[Vector], Scalar, scalar::scalar),
    map("sgn", math::sign),
    map("sin", f64::sin),
    map("sinh", f64::sinh),
    columns("sort", &[Vector], Vector, sort::sort),
    columns("sort_by_label", &[Vector, Text], Vector, sort::by_label).variadic(-1).experimental(),
    columns("sort_by_label_desc", &[Vector, Text], Vector, sort::by_label_desc)
        .variadic(-1)
        .experimental(),
    columns("sort_desc", &[Vector], Vector, sort::sort_desc),
    map("sqrt", f64::sqrt),
    of("start", &[], Scalar, Body::Folded(QueryTime::Start)).time_dependent().experimental(),
    columns("start_timestamp", &[Vector], Vector, date::start_timestamp)
        .selectors(SelectorUse::StartTimes)
        .experimental(),
    window("stddev_over_time", over_time::STDDEV),
    window("stdvar_over_time", over_time::STDVAR),
    of("step", &[], Scalar, Body::Folded(QueryTime::Step)).time_dependent().experimental(),
    window("sum_over_time", over_time::SUM),
    map("tan", f64::tan),
    map("tanh", f64::tanh),
    columns("time", &[], Scalar, date::time).time_dependent(),
    columns("timestamp", &[Vector], Vector, date::timestamp)
        .time_dependent()
        .selectors(SelectorUse::SampleTimes),
    window("ts_of_first_over_time", over_time::TS_OF_FIRST).experimental(),
    window("ts_of_last_over_time", over_time::TS_OF_LAST).experimental(),
    window("ts_of_max_over_time", over_time::TS_OF_MAX).experimental(),
    window("ts_of_min_over_time", over_time::TS_OF_MIN).experimental(),
    columns("vector", &[Scalar], Vector, scalar::vector),
    date("year", date::year),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_stand_where_they_belong() {
        let named = |has: fn(&Function) -> bool| -> Vec<&str> {
            FUNCTIONS.iter().filter(|it| has(it)).map(|it| it.name).collect()
        };
        assert_eq!(
            named(|function| function.is_time_dependent),
            [
                "day_of_month",
                "day_of_week",
                "day_of_year",
                "days_in_month",
                "end",
                "hour",
                "minute",
                "month",
                "predict_linear",
                "range",
                "start",
                "step",
                "time",
                "timestamp",
                "year"
            ]
        );
        let of_window = |function: &Function, has: fn(&WindowFunction) -> bool| matches!(&function.body, Body::Window(window) if has(window));
        let expecting: Vec<&str> = FUNCTIONS
            .iter()
            .filter(|function| of_window(function, |window| window.expects_counter))
            .map(|function| function.name)
            .collect();
        assert_eq!(expecting, ["increase", "rate"]);
    }

    #[test]
    fn the_table_is_in_order() {
        assert!(FUNCTIONS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }
}
