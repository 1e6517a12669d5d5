//! The metric store as the gateway, the protocols and the language see it: adaptors and nothing
//! else.

mod reader;
mod writer;

pub(crate) use reader::MetricQueriesOf;
pub(crate) use writer::MetricWriterOf;
