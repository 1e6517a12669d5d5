//! The value of an expression, over all steps.

use crate::types::StringLiteral;
use query::{Series, Weight};

#[derive(Debug)]
pub(crate) enum Value {
    Scalar(Vec<f64>),
    String(StringLiteral),
    Vector(Vec<Series>),
}

impl Value {
    /// How much of the query's limits it takes.
    pub(crate) fn weight(&self) -> Weight {
        match self {
            Self::Vector(series) => series.iter().map(Series::weight).sum(),
            Self::Scalar(_) | Self::String(_) => Weight::default(),
        }
    }
}
