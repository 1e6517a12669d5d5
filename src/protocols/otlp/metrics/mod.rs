//! What OTLP does with metrics: it translates their points to series and samples.
//!
//! Lives here: `names` (naming strategies), `translate` (points to samples), `delta` (adding up
//! points that count only what is new).

mod delta;
mod names;
mod translate;

pub(super) use delta::DeltaState;

use super::Otlp;
use super::export::{ExportRequest, Signal};
use crate::Call;
use crate::bounds::Held;
use crate::commit::{commit, room_for_batch};
use crate::guard::{ExtraLabels, Guard, Window, count_refused};
use crate::services::ServiceError;
use delta::{DeltaDraft, DeltaLimits};
use metric_store::MetricBatch;
use std::sync::Arc;
use translate::Translator;
use wire::otlp::{
    MetricsRequest, OtlpEncoding, PartialSuccess, decode_otlp_metrics, decode_otlp_metrics_json,
};
use wire::{LabelBuffer, Rejections};

/// OTLP's signal of this name.
pub(super) struct Metrics;

impl Signal for Metrics {
    const REJECTED: &'static str = "rejectedDataPoints";

    async fn export(
        otlp: Arc<Otlp>,
        request: ExportRequest,
    ) -> Result<PartialSuccess, ServiceError> {
        let services = Arc::clone(&otlp.services);
        let ExportRequest { call, encoding, unpack } = request;
        let fill = move |call: &Call, batch: &mut MetricBatch| {
            let plain = unpack(call)?;
            let decoded = decode(encoding, &plain, &call.held)?;
            room_for_batch(call, plain.len())?;
            fill(&otlp, call, &decoded, batch)
        };
        // A task of its own: the sums of the deltas must be kept when the batch is stored, also
        // when the client goes away meanwhile.
        let done = tokio::spawn(async move {
            let ((rejected, deltas), committed) = commit(&services, call, fill).await?;
            deltas.keep();
            Ok::<_, ServiceError>((rejected, committed))
        });
        let (mut rejected, committed) = done.await.map_err(|_| ServiceError::mistake())??;
        rejected.merge(committed.rejected);
        Ok(PartialSuccess { rejected: rejected.count, message: rejected.summary() })
    }
}

fn decode<'a>(
    encoding: OtlpEncoding,
    plain: &'a [u8],
    mut held: &Held,
) -> Result<MetricsRequest<'a>, ServiceError> {
    match encoding {
        OtlpEncoding::Protobuf => decode_otlp_metrics(plain, &mut held)
            .map_err(|error| ServiceError::new(error.kind(), error.to_string())),
        OtlpEncoding::Json => decode_otlp_metrics_json(plain, &mut held)
            .map_err(|error| ServiceError::new(error.kind(), error.to_string())),
    }
}

/// What goes with a batch: the points that were left out of it, and the sums that hold once it is
/// stored.
type Beside = (Rejections, DeltaDraft);

fn fill(
    otlp: &Otlp,
    call: &Call,
    request: &MetricsRequest<'_>,
    batch: &mut MetricBatch,
) -> Result<Beside, ServiceError> {
    let Otlp { services, settings, deltas, .. } = otlp;
    let expiry = settings.delta_expiry.0.as_millis();
    let delta_limits = DeltaLimits {
        now_ms: services.clock.wall_ms(),
        expiry_ms: i64::try_from(expiry).unwrap_or(i64::MAX),
        series_max: settings.delta_series_max,
    };
    let window = Window::now(services, &call.tenant);
    let extra = Arc::new(ExtraLabels::of(call)?);
    let mut guard = Guard::new(batch, window).with_labels(Arc::clone(&extra));
    let mut translator = Translator {
        sink: &mut guard,
        window,
        settings,
        limits: services.metric_options.labels,
        target_info_step_ms: (services.metric_options.engine.lookback_ms / 2).max(1),
        tenant: &call.tenant,
        extra: &extra,
        deltas: DeltaDraft::new(Arc::clone(deltas), delta_limits),
        buffer: LabelBuffer::default(),
        rejected: Rejections::default(),
    };
    translator.request(request);
    let Translator { mut rejected, deltas, .. } = translator;
    rejected.merge(guard.rejected);
    count_refused(&rejected);
    Ok((rejected, deltas))
}
