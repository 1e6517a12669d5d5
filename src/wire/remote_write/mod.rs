//! Remote write: the protocol in which Prometheus and other agents push samples.
//!
//! Lives here: decoders of `prometheus.WriteRequest` (version 1) and
//! `io.prometheus.write.v2.Request` (version 2), straight from bytes to a [`MetricSink`].
//! `encode` writes both versions. `fast` reads the label lists of version 1 in the shape that all senders use; `histogram` is
//! shared by both.
//! Not here: snappy, headers and statuses (protocols), what becomes of a sample (the store).
//! Invariants: bytes that are not protobuf are an error for the whole request; an invalid
//! series is left out with a reason, and the others are taken; nothing is allocated per series or per
//! float sample.

mod encode;
mod fast;
mod histogram;
mod version1;
mod version2;

#[cfg(test)]
mod tests;

pub use encode::{WriteEncoder, WriteVersion};
pub use histogram::{BadHistogram, check_histogram};
pub(crate) use histogram::{Side, span};
pub use version1::decode_write_v1;
pub use version2::{WriteV2Error, decode_write_v2};

use crate::canonical::Pair;
use crate::metric_sink::{Decoded, MetricSink};
use crate::protobuf::{ProtobufError, Reader};

/// The kinds under which refusals are counted that are not about labels.
pub const HISTOGRAM_KIND: &str = "histogram";
const EXEMPLAR_KIND: &str = "exemplar";

/// Buffers that both versions reuse from request to request; keep one per worker.
#[derive(Clone, Debug, Default)]
pub struct WriteScratch {
    /// Canonical labels of the present series. The buffer may be longer than they are.
    labels: Vec<u8>,
    /// Canonical labels of the present exemplar.
    exemplar_labels: Vec<u8>,
}

/// A float sample; both versions have the same fields.
fn sample(
    message: &[u8],
    sink: &mut (impl MetricSink + ?Sized),
    decoded: &mut Decoded,
) -> Result<(), ProtobufError> {
    let (mut value, mut timestamp_ms, mut start_ms) = (0.0, 0, 0);
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next_field()? {
        match field.number {
            1 => value = field.double()?,
            2 => timestamp_ms = field.signed()?,
            3 => start_ms = field.signed()?,
            _ => {}
        }
    }
    sink.sample(timestamp_ms, start_ms, value);
    decoded.samples += 1;
    Ok(())
}

fn native_histogram(
    message: &[u8],
    sink: &mut (impl MetricSink + ?Sized),
    decoded: &mut Decoded,
) -> Result<(), ProtobufError> {
    let read = histogram::read(message)?;
    match check_histogram(read.histogram, read.is_float) {
        Ok(histogram) => {
            sink.histogram(read.timestamp_ms, read.start_ms, histogram);
            decoded.histograms += 1;
        }
        Err(reason) => decoded.rejected.add(HISTOGRAM_KIND, || reason.to_string()),
    }
    Ok(())
}

/// Label pairs borrowed from the request, reused from series to series.
type Pairs<'a> = Vec<Pair<'a>>;
