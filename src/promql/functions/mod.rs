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

use crate::annotations::Notes;
use crate::ast::{Edges, ValueType};
use crate::engine::eval::{Evaluator, Value};
use crate::engine::plan::Node;
use crate::error::QueryError;
use crate::storage::Column;
use ValueType::{Matrix, Scalar, String as Text, Vector};
use model::{FloatHistogram, Labels};
use query::{Grid, Position, Series};
use std::sync::Arc;

/// A function's name, what it takes and what it gives.
#[derive(Debug)]
pub struct Function {
    pub name: &'static str,
    pub arguments: &'static [ValueType],
    /// 0: takes exactly its arguments. n: the last may be left out, or stand up to n times.
    /// Negative: the last may be left out or stand any number of times.
    pub variadic: i32,
    pub returns: ValueType,
    pub experimental: bool,
    pub(crate) body: Body,
}

pub(crate) enum Body {
    /// Float to float, for every sample of a vector; histograms are left out.
    Map(fn(f64) -> f64),
    /// Histogram to float, for every sample of a vector; floats are left out.
    MapHistogram(fn(&FloatHistogram) -> f64),
    /// From the samples of a window to one value.
    Window(WindowFunction),
    /// From whole columns to whole columns.
    Columns(fn(Invocation<'_>) -> Result<Value, QueryError>),
    /// Known before evaluation: `start()`, `step()` and so on.
    Folded,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Map(_) => "Map",
            Self::MapHistogram(_) => "MapHistogram",
            Self::Window(_) => "Window",
            Self::Columns(_) => "Columns",
            Self::Folded => "Folded",
        })
    }
}

/// What a window function answers.
pub(crate) enum Answer {
    Nothing,
    Float(f64),
    Histogram(Box<FloatHistogram>),
}

/// Functions that have a loop over all windows of a series.
#[derive(Clone, Copy)]
pub(crate) enum Columnar {
    Growth(rate::Growth),
    Least,
    Greatest,
    Resets,
    Changes,
}

#[derive(Clone, Copy)]
pub(crate) struct WindowFunction {
    pub(crate) evaluate: fn(&Window<'_>, &WindowContext<'_>) -> Result<Answer, QueryError>,
    /// The value still is a value of the series, so the name stays.
    pub(crate) keeps_name: bool,
    /// It looks at where counters began anew.
    pub(crate) counter: bool,
    /// How it is answered for columns of floats alone, where there is a better way than window by
    /// window.
    pub(crate) columnar: Option<Columnar>,
    /// The modifiers it can be used with.
    pub(crate) anchored: bool,
    pub(crate) smoothed: bool,
}

/// The samples between two moments (the first not included), and the step they are for. With
/// `anchored` and `smoothed` there are samples before and after, as far as the lookback reaches.
pub(crate) struct Window<'a> {
    pub(crate) floats: Column<'a, f64>,
    pub(crate) histograms: Column<'a, Arc<FloatHistogram>>,
    pub(crate) step_ms: i64,
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    /// The other arguments, at this step.
    pub(crate) scalars: &'a [f64],
    /// The resets among the floats: indexes into this window, each at least 1.
    pub(crate) resets: ResetRange<'a>,
}

/// Indexes into a series' floats at which the counter began anew, seen from a window's start.
#[derive(Clone, Copy)]
pub(crate) struct ResetRange<'a> {
    pub(crate) indexes: &'a [u32],
    pub(crate) base: usize,
}

impl ResetRange<'_> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.indexes.iter().map(|index| *index as usize - self.base)
    }
}

/// What stays the same from window to window of one series.
pub(crate) struct WindowContext<'a> {
    pub(crate) labels: &'a Labels,
    pub(crate) range_ms: i64,
    pub(crate) edges: Edges,
    pub(crate) notes: &'a Notes,
    /// Of the range argument.
    pub(crate) position: Position,
    /// Of the first argument, where it is the call that is meant.
    pub(crate) all_position: Position,
}

impl WindowContext<'_> {
    pub(crate) fn metric(&self) -> String {
        self.labels.metric_name().to_owned()
    }
}

/// A call over whole columns.
pub(crate) struct Invocation<'a> {
    pub(crate) arguments: Vec<Value>,
    pub(crate) nodes: &'a [Node],
    pub(crate) positions: &'a [Position],
    pub(crate) position: Position,
    pub(crate) grid: Grid,
    pub(crate) notes: &'a Notes,
    pub(crate) evaluator: &'a Evaluator<'a>,
}

impl Invocation<'_> {
    pub(crate) fn delayed(&self) -> bool {
        self.evaluator.options.delayed_name_removal
    }

    pub(crate) fn take_vector(&mut self, index: usize) -> Vec<Series> {
        match self.arguments.get_mut(index) {
            Some(Value::Vector(series)) => std::mem::take(series),
            _ => unreachable!("the checker has seen to the types"),
        }
    }

    pub(crate) fn scalar(&self, index: usize) -> &[f64] {
        match &self.arguments[index] {
            Value::Scalar(values) => values,
            _ => unreachable!("the checker has seen to the types"),
        }
    }

    pub(crate) fn text(&self, index: usize) -> String {
        match &self.arguments[index] {
            Value::String(literal) => literal.text(),
            _ => unreachable!("the checker has seen to the types"),
        }
    }
}

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
    Function { name, arguments, variadic: 0, returns, experimental: false, body }
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
    columns(name, &[Vector], Vector, body).variadic(1)
}

impl Function {
    const fn variadic(mut self, variadic: i32) -> Self {
        self.variadic = variadic;
        self
    }

    const fn experimental(mut self) -> Self {
        self.experimental = true;
        self
    }
}

static FUNCTIONS: [Function; 90] = [
    map("abs", f64::abs),
    columns("absent", &[Vector], Vector, absent::absent),
    window("absent_over_time", absent::PRESENT),
    map("acos", f64::acos),
    map("acosh", f64::acosh),
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
    of("end", &[], Scalar, Body::Folded).experimental(),
    map("exp", f64::exp),
    window("first_over_time", over_time::FIRST),
    map("floor", f64::floor),
    map_histogram("histogram_avg", histogram::average),
    map_histogram("histogram_count", histogram::count),
    columns("histogram_fraction", &[Scalar, Scalar, Vector], Vector, histogram::fraction),
    columns("histogram_quantile", &[Scalar, Vector], Vector, histogram::quantile),
    columns("histogram_quantiles", &[Vector, Text, Scalar, Scalar], Vector, histogram::quantiles)
        .variadic(9)
        .experimental(),
    map_histogram("histogram_stddev", histogram::stddev),
    map_histogram("histogram_stdvar", FloatHistogram::variance),
    map_histogram("histogram_sum", histogram::sum),
    date("hour", date::hour),
    window("idelta", rate::IDELTA),
    window("increase", rate::INCREASE),
    columns("info", &[Vector, Vector], Vector, info::info).variadic(1).experimental(),
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
    of("predict_linear", &[Matrix, Scalar], Vector, Body::Window(regression::PREDICT)),
    window("present_over_time", absent::PRESENT),
    of("quantile_over_time", &[Scalar, Matrix], Vector, Body::Window(over_time::QUANTILE)),
    map("rad", math::radians),
    of("range", &[], Scalar, Body::Folded).experimental(),
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
    of("start", &[], Scalar, Body::Folded).experimental(),
    columns("start_timestamp", &[Vector], Vector, date::start_timestamp).experimental(),
    window("stddev_over_time", over_time::STDDEV),
    window("stdvar_over_time", over_time::STDVAR),
    of("step", &[], Scalar, Body::Folded).experimental(),
    window("sum_over_time", over_time::SUM),
    map("tan", f64::tan),
    map("tanh", f64::tanh),
    columns("time", &[], Scalar, date::time),
    columns("timestamp", &[Vector], Vector, date::timestamp),
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
    fn the_table_is_in_order() {
        assert!(FUNCTIONS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }
}
