//! What a function is: its name, what it takes and gives, what the engine has to know about it, and
//! what it is called with. The functions themselves are in `functions`, and know no engine.

use crate::annotations::Notes;
use crate::error::QueryError;
use crate::options::EngineOptions;
use crate::selector::{SampleTime, Selector, Shift};
use crate::storage::Column;
use crate::types::{Edges, StringLiteral, ValueType};
use crate::value::Value;
use model::{FloatHistogram, Labels};
use query::{Grid, Holding, Position, Series, merged};
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
    /// The result depends on the evaluation time even where the arguments do not.
    pub is_time_dependent: bool,
    pub(crate) buckets: Buckets,
    pub(crate) selectors: SelectorUse,
    pub(crate) body: Body,
}

/// What a function makes of the buckets of the histograms inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Buckets {
    /// As the function around this one says.
    AsOutside,
    /// Only counts and sums matter.
    Skipped,
    Needed,
}

/// Functions that look at a selector itself rather than at its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SelectorUse {
    /// All arguments are evaluated.
    Values,
    /// An argument that is a selector is not evaluated: the times of its samples are looked up.
    SampleTimes,
    /// The argument is not evaluated: start times are looked up.
    StartTimes,
    /// The second argument only says which labels are meant.
    LabelMatchers,
}

/// The times of a query that functions name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueryTime {
    Start,
    End,
    /// From the start to the end.
    Range,
    Step,
}

impl Function {
    pub(crate) const fn new(
        name: &'static str,
        arguments: &'static [ValueType],
        returns: ValueType,
        body: Body,
    ) -> Self {
        Self {
            name,
            arguments,
            variadic: 0,
            returns,
            experimental: false,
            is_time_dependent: false,
            buckets: Buckets::AsOutside,
            selectors: SelectorUse::Values,
            body,
        }
    }

    pub(crate) const fn variadic(mut self, variadic: i32) -> Self {
        self.variadic = variadic;
        self
    }

    pub(crate) const fn experimental(mut self) -> Self {
        self.experimental = true;
        self
    }

    pub(crate) const fn time_dependent(mut self) -> Self {
        self.is_time_dependent = true;
        self
    }

    pub(crate) const fn buckets(mut self, buckets: Buckets) -> Self {
        self.buckets = buckets;
        self
    }

    pub(crate) const fn selectors(mut self, selectors: SelectorUse) -> Self {
        self.selectors = selectors;
        self
    }
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
    Folded(QueryTime),
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Map(_) => "Map",
            Self::MapHistogram(_) => "MapHistogram",
            Self::Window(_) => "Window",
            Self::Columns(_) => "Columns",
            Self::Folded(_) => "Folded",
        })
    }
}

/// The result of a window function for one window.
pub(crate) enum Answer {
    Nothing,
    Float(f64),
    Histogram(Box<FloatHistogram>),
}

/// Which of `rate`, `increase` and `delta` it is.
#[derive(Clone, Copy)]
pub(crate) struct Growth {
    pub(crate) counter: bool,
    pub(crate) per_second: bool,
}

impl Growth {
    pub(crate) const RATE: Self = Self { counter: true, per_second: true };
    pub(crate) const INCREASE: Self = Self { counter: true, per_second: false };
    pub(crate) const DELTA: Self = Self { counter: false, per_second: false };
}

/// Functions that have a loop over all windows of a series.
#[derive(Clone, Copy)]
pub(crate) enum Columnar {
    Growth(Growth),
    Least,
    Greatest,
    Resets,
    Changes,
}

#[derive(Clone, Copy)]
pub(crate) struct WindowFunction {
    pub(crate) evaluate: EvaluateWindow,
    /// The value still is a value of the series, so the name stays.
    pub(crate) keeps_name: bool,
    /// It looks at where counters began anew.
    pub(crate) counter: bool,
    /// It means something for counters only: other metrics get a note.
    pub(crate) expects_counter: bool,
    /// Its result over all series is inverted: one where none has a value.
    pub(crate) is_inverted: bool,
    /// How it is answered for columns of floats alone, where there is a better way than window by
    /// window.
    pub(crate) columnar: Option<Columnar>,
    /// The modifiers it can be used with.
    pub(crate) anchored: bool,
    pub(crate) smoothed: bool,
}

type EvaluateWindow = fn(&Window<'_>, &WindowContext<'_>) -> Result<Answer, QueryError>;

impl WindowFunction {
    /// One without any of the flags.
    pub(crate) const fn of(evaluate: EvaluateWindow) -> Self {
        Self {
            evaluate,
            keeps_name: false,
            counter: false,
            expects_counter: false,
            is_inverted: false,
            columnar: None,
            anchored: false,
            smoothed: false,
        }
    }
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

/// An argument of a call over whole columns.
pub(crate) struct Argument<'a> {
    /// An empty vector where the function looks at the selector instead ([`SelectorUse`]).
    pub(crate) value: Value,
    /// The argument itself, where it is a selector.
    pub(crate) selector: Option<&'a Selector>,
    /// The time that the first selector inside the argument looks at.
    pub(crate) first_shift: Option<Shift>,
    pub(crate) position: Position,
}

/// A call over whole columns.
pub(crate) struct Invocation<'a> {
    pub(crate) arguments: Vec<Argument<'a>>,
    pub(crate) position: Position,
    pub(crate) grid: Grid,
    pub(crate) notes: &'a Notes,
    pub(crate) options: &'a EngineOptions,
    /// What the query holds: labels and columns are taken from it before they are made.
    pub(crate) holding: &'a Holding,
    pub(crate) evaluation: &'a dyn Evaluation,
}

/// What a function may ask of the evaluation that it is part of.
pub(crate) trait Evaluation {
    /// Whether the query may go on.
    fn check(&self) -> Result<(), QueryError> {
        self.check_in_turn(0)
    }

    /// One of many checks in a row.
    fn check_in_turn(&self, turn: usize) -> Result<(), QueryError>;

    /// The times of a selector's samples, in seconds, in place of their values.
    fn sample_times(
        &self,
        selector: &Selector,
        grid: Grid,
        times: SampleTime,
    ) -> Result<Vec<Series>, QueryError>;
}

impl Invocation<'_> {
    pub(crate) fn delayed(&self) -> bool {
        self.options.delayed_name_removal
    }

    pub(crate) fn take_vector(&mut self, index: usize) -> Vec<Series> {
        match self.arguments.get_mut(index).map(|argument| &mut argument.value) {
            Some(Value::Vector(series)) => std::mem::take(series),
            _ => unreachable!("the checker has seen to the types"),
        }
    }

    pub(crate) fn scalar(&self, index: usize) -> &[f64] {
        match &self.arguments[index].value {
            Value::Scalar(values) => values,
            _ => unreachable!("the checker has seen to the types"),
        }
    }

    pub(crate) fn literal(&self, index: usize) -> &StringLiteral {
        match &self.arguments[index].value {
            Value::String(literal) => literal,
            _ => unreachable!("the checker has seen to the types"),
        }
    }

    pub(crate) fn text(&self, index: usize) -> String {
        self.literal(index).text()
    }

    /// The result, after names were dropped: series whose labels have become equal are one, unless
    /// names are only dropped at the end of the query.
    pub(crate) fn renamed(&self, series: Vec<Series>) -> Result<Value, QueryError> {
        Ok(Value::Vector(if self.delayed() { series } else { merged(series)? }))
    }
}
