//! What OTLP does with logs: their records become lines, and some tell of spans in flight.

use super::Otlp;
use super::export::{ExportRequest, Signal};
use crate::Call;
use crate::logs::{Guard, commit, room_for_lines};
use crate::services::ServiceError;
use crate::traces::active::Heartbeats;
use std::sync::Arc;
use wire::otlp::{
    OtlpEncoding, OtlpLogOptions, PartialSuccess, decode_otlp_logs, decode_otlp_logs_json,
};
use wire::{LogSink, Rejections};

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
        let tenant = call.tenant.clone();
        let fill = move |call: &Call, guard: &mut Guard<'_>| {
            let plain = unpack(call)?;
            room_for_lines(&call.held, plain.len())?;
            let mut sink = Heartbeats::new(guard);
            let rejected = fill(&otlp, call, encoding, &plain, &mut sink)?;
            Ok((sink.into_changes(), rejected))
        };
        let (changes, committed) = commit(&services, call, fill).await?;
        services.active.apply(&tenant, changes);
        let rejected = committed.rejected;
        Ok(PartialSuccess { rejected: rejected.count, message: rejected.summary() })
    }
}

fn fill(
    otlp: &Otlp,
    call: &Call,
    encoding: OtlpEncoding,
    plain: &[u8],
    sink: &mut impl LogSink,
) -> Result<Rejections, ServiceError> {
    let options = OtlpLogOptions {
        stream_attributes: &otlp.settings.log_stream_attributes,
        now_ns: otlp.services.clock.wall_ms().saturating_mul(1_000_000),
    };
    let mut room = &call.held;
    let decoded = match encoding {
        OtlpEncoding::Protobuf => decode_otlp_logs(plain, &options, &mut room, sink)?,
        OtlpEncoding::Json => decode_otlp_logs_json(plain, &options, &mut room, sink)
            .map_err(|error| ServiceError::new(error.kind(), error.to_string()))?,
    };
    Ok(decoded.rejected)
}
