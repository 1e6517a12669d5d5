//! What OTLP does with logs: their records become lines.

use super::Otlp;
use super::export::{ExportRequest, Signal};
use crate::Call;
use crate::logs::{Guard, commit, room_for_lines};
use crate::services::ServiceError;
use std::sync::Arc;
use wire::Rejections;
use wire::otlp::{
    OtlpEncoding, OtlpLogOptions, PartialSuccess, decode_otlp_logs, decode_otlp_logs_json,
};

/// OTLP's signal of this name.
pub(super) struct Logs;

impl Signal for Logs {
    const REJECTED: &'static str = "rejectedLogRecords";

    async fn export(
        otlp: Arc<Otlp>,
        request: ExportRequest,
    ) -> Result<PartialSuccess, ServiceError> {
        let services = Arc::clone(&otlp.services);
        let ExportRequest { call, encoding, unpack } = request;
        let fill = move |call: &Call, guard: &mut Guard<'_>| {
            let plain = unpack(call)?;
            room_for_lines(&call.held, plain.len())?;
            fill(&otlp, call, encoding, &plain, guard).map(|rejected| ((), rejected))
        };
        let ((), committed) = commit(&services, call, fill).await?;
        let rejected = committed.rejected;
        Ok(PartialSuccess { rejected: rejected.count, message: rejected.summary() })
    }
}

fn fill(
    otlp: &Otlp,
    call: &Call,
    encoding: OtlpEncoding,
    plain: &[u8],
    guard: &mut Guard<'_>,
) -> Result<Rejections, ServiceError> {
    let options = OtlpLogOptions {
        stream_attributes: &otlp.settings.log_stream_attributes,
        now_ns: otlp.services.clock.wall_ms().saturating_mul(1_000_000),
    };
    let mut room = &call.held;
    let decoded = match encoding {
        OtlpEncoding::Protobuf => decode_otlp_logs(plain, &options, &mut room, guard)?,
        OtlpEncoding::Json => decode_otlp_logs_json(plain, &options, &mut room, guard)
            .map_err(|error| ServiceError::new(error.kind(), error.to_string()))?,
    };
    Ok(decoded.rejected)
}
