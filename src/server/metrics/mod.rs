//! The metric store as the gateway, the protocols and the language see it: adaptors and nothing
//! else.

mod engine;
mod reader;
mod writer;

pub(crate) use engine::MetricEngine;
pub(crate) use reader::MetricQueriesOf;
pub(crate) use writer::MetricWriterOf;
