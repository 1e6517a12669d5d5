//! Figures of the last buckets: `moving_fn` and the older `moving_avg`.

use super::super::error::{Result, SearchError};
use super::super::json::Object;

/// Which buckets, and what of them.
#[derive(Clone, Debug)]
pub(super) struct Window {
    length: usize,
    /// How far the window's end lies behind the bucket before this one.
    shift: i64,
    function: Function,
    /// A bucket without a value gets none either.
    needs_value: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Function {
    Average,
    LinearAverage,
    Ewma { alpha: f64 },
    Min,
    Max,
    Sum,
    Deviation,
}

/// What a bucket gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Moving {
    Nothing,
    /// `None` where the window is empty.
    Value(Option<f64>),
}

const LENGTH_MAX: usize = 10_000;

impl Window {
    fn new(object: &Object<'_>, shift: i64, function: Function, needs_value: bool) -> Result<Self> {
        let length = object.count("window")?.unwrap_or(5);
        match length {
            1..=LENGTH_MAX => Ok(Self { length, shift, function, needs_value }),
            _ => Err(SearchError::illegal(format!("[window] has to be from 1 to {LENGTH_MAX}"))),
        }
    }

    /// `{"window": 5, "shift": 0, "script": "MovingFunctions.max(values)"}`
    pub(super) fn of_function(object: &Object<'_>) -> Result<Self> {
        let shift = object.number("shift")?.unwrap_or(0.0) as i64;
        let script = object.needed("script")?;
        let text = script.get("source").unwrap_or(script).as_str().unwrap_or_default();
        Self::new(object, shift, function(text)?, false)
    }

    /// `{"window": 5, "model": "ewma", "settings": {"alpha": 0.3}}`, whose windows hold the bucket itself.
    pub(super) fn of_average(object: &Object<'_>) -> Result<Self> {
        if object.count("predict")?.unwrap_or(0) > 0 {
            return Err(SearchError::parsing(
                "[moving_avg] [predict] is not known here: leave it away",
            ));
        }
        let function = match object.text("model").as_deref() {
            None | Some("simple") => Function::Average,
            Some("linear") => Function::LinearAverage,
            Some("ewma") => {
                let alpha = match object.get("settings") {
                    Some(settings) => Object::of("settings", settings)?.number("alpha")?,
                    None => None,
                };
                Function::Ewma { alpha: alpha.unwrap_or(0.3) }
            }
            Some(other) => {
                return Err(SearchError::parsing(format!(
                    "[moving_avg] [model] is [{other}]: known are simple, linear and ewma"
                )));
            }
        };
        Self::new(object, 1, function, true)
    }

    pub(super) fn over(&self, values: &[Option<f64>]) -> Vec<Moving> {
        let one = |index: usize| {
            if self.needs_value && values[index].is_none() {
                return Moving::Nothing;
            }
            let end =
                (index as i64).saturating_add(self.shift).clamp(0, values.len() as i64) as usize;
            let start =
                (index as i64).saturating_add(self.shift).saturating_sub(self.length as i64);
            let start = (start.max(0) as usize).min(end);
            let window: Vec<f64> = values[start..end].iter().copied().flatten().collect();
            Moving::Value(self.function.of(&window))
        };
        (0..values.len()).map(one).collect()
    }
}

fn function(script: &str) -> Result<Function> {
    let script: String = script.chars().filter(|c| !c.is_whitespace()).collect();
    let call = script.trim_start_matches("return").trim_end_matches(';');
    let inner = call.strip_prefix("MovingFunctions.").and_then(|call| call.strip_suffix(')'));
    let (name, arguments) = inner.and_then(|call| call.split_once('(')).unwrap_or_default();
    let arguments: Vec<&str> = arguments.split(',').collect();
    let found = match (name, &arguments[..]) {
        ("unweightedAvg", ["values"]) => Some(Function::Average),
        ("linearWeightedAvg", ["values"]) => Some(Function::LinearAverage),
        ("min", ["values"]) => Some(Function::Min),
        ("max", ["values"]) => Some(Function::Max),
        ("sum", ["values"]) => Some(Function::Sum),
        ("stdDev", ["values", _]) => Some(Function::Deviation),
        ("ewma", ["values", alpha]) => alpha.parse().ok().map(|alpha| Function::Ewma { alpha }),
        _ => None,
    };
    found.ok_or_else(|| {
        SearchError::parsing(
            "[moving_fn] [script] has to be one of MovingFunctions.unweightedAvg(values), \
             linearWeightedAvg(values), ewma(values, alpha), min(values), max(values), sum(values) and \
             stdDev(values, average)",
        )
    })
}

impl Function {
    fn of(self, values: &[f64]) -> Option<f64> {
        let count = values.len() as f64;
        let sum = || values.iter().sum::<f64>();
        if self == Self::Sum {
            return Some(sum());
        }
        let first = *values.first()?;
        Some(match self {
            Self::Average => sum() / count,
            Self::Sum => sum(),
            Self::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
            Self::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Self::Deviation => {
                let mean = sum() / count;
                (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt()
            }
            Self::LinearAverage => {
                let weighted =
                    values.iter().zip(1_u32..).map(|(value, weight)| value * f64::from(weight));
                weighted.sum::<f64>() / (count * (count + 1.0) / 2.0)
            }
            Self::Ewma { alpha } => values
                .iter()
                .skip(1)
                .fold(first, |mean, value| alpha * value + (1.0 - alpha) * mean),
        })
    }
}
