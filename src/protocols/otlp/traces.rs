//! What OTLP does with traces: their spans are stored as they are.

use super::Otlp;
use super::export::{ExportRequest, Signal};
use crate::Call;
use crate::services::ServiceError;
use crate::traces::{Guard, commit, room_for_spans};
use std::sync::Arc;
use wire::Rejections;
use wire::otlp::{OtlpEncoding, PartialSuccess, decode_otlp_spans, decode_otlp_spans_json};

/// OTLP's signal of this name.
pub(super) struct Traces;

impl Signal for Traces {
    const REJECTED: &'static str = "rejectedSpans";

    async fn export(
        otlp: Arc<Otlp>,
        request: ExportRequest,
    ) -> Result<PartialSuccess, ServiceError> {
        let ExportRequest { call, encoding, unpack } = request;
        let fill = move |call: &Call, guard: &mut Guard<'_>| fill(call, encoding, unpack, guard);
        let rejected = commit(&otlp.services, call, fill).await?.rejected;
        Ok(PartialSuccess { rejected: rejected.count, message: rejected.summary() })
    }
}

fn fill(
    call: &Call,
    encoding: OtlpEncoding,
    unpack: fn(&Call) -> Result<Vec<u8>, ServiceError>,
    guard: &mut Guard<'_>,
) -> Result<Rejections, ServiceError> {
    let plain = unpack(call)?;
    room_for_spans(&call.held, plain.len())?;
    let mut room = &call.held;
    let decoded = match encoding {
        OtlpEncoding::Protobuf => decode_otlp_spans(&plain, &mut room, guard)?,
        OtlpEncoding::Json => decode_otlp_spans_json(&plain, &mut room, guard)?,
    };
    Ok(decoded.rejected)
}
