//! What Jaeger's clients ask before they send: how many traces they should record. All of them, because
//! what is sent is stored, and clients that are told otherwise by their own settings do not ask.

use super::{Jaeger, batches};
use crate::{Access, Body, Call, Handler, Route, grpc, handler, reply};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use catalog::Scope;
use serde_json::json;
use std::sync::Arc;
use wire::proto::jaeger::api_v2::{ProbabilisticSamplingStrategy, SamplingStrategyResponse};

/// The share of the traces that are recorded.
const SHARE: f64 = 1.0;

const fn over_http(path: &'static str, about: &'static str) -> Route<Handler<Jaeger>> {
    let (methods, access) = (&[Method::GET], Access::Tenant(Scope::Write));
    let (body, needs_stores, refuse) = (Body::None, false, reply::refuse_plainly);
    Route { methods, path, access, body, needs_stores, handler: handler!(http), refuse, about }
}

pub(super) static ROUTES: &[Route<Handler<Jaeger>>] = &[
    over_http("/jaeger/api/sampling", "How many traces clients should record: all"),
    over_http("/jaeger/sampling", "The same under the agent's name"),
    batches(
        "/jaeger.api_v2.SamplingManager/GetSamplingStrategy",
        Body::AsSent,
        handler!(rpc),
        grpc::refuse,
        "How many traces clients should record: all",
    ),
];

async fn http(_: Arc<Jaeger>, call: Call) -> Response {
    if call.parameter("service").is_none_or(|service| service.is_empty()) {
        return reply::text(StatusCode::BAD_REQUEST, "'service' parameter must be provided once\n");
    }
    let strategy = json!({
        "strategyType": "PROBABILISTIC",
        "probabilisticSampling": { "samplingRate": SHARE },
    });
    reply::json(StatusCode::OK, &strategy)
}

async fn rpc(_: Arc<Jaeger>, _: Call) -> Response {
    let probabilistic_sampling = Some(ProbabilisticSamplingStrategy { sampling_rate: SHARE });
    let strategy = SamplingStrategyResponse { probabilistic_sampling };
    grpc::answer(&prost::Message::encode_to_vec(&strategy))
}
