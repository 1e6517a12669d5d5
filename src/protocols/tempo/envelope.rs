//! How Tempo's API answers: JSON or protobuf, and errors as plain text or statuses of gRPC.

use super::{Streams, Tempo};
use crate::api::{self, Api, ApiState};
use crate::services::{ServiceError, TraceServices};
use crate::{grpc, reply};
use axum::http::StatusCode;
use axum::response::Response;
use model::ErrorKind;
use traceql::{ParseError, QueryError};

/// Why an endpoint has no answer.
#[derive(Clone, Debug)]
pub(crate) struct TempoError {
    pub(super) kind: ErrorKind,
    pub(super) message: String,
}

impl TempoError {
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Invalid, message: message.into() }
    }
}

impl From<ServiceError> for TempoError {
    fn from(error: ServiceError) -> Self {
        Self { kind: error.kind, message: error.message }
    }
}

impl From<trace_store::StoreError> for TempoError {
    fn from(error: trace_store::StoreError) -> Self {
        ServiceError::from(error).into()
    }
}

impl From<ParseError> for TempoError {
    fn from(error: ParseError) -> Self {
        QueryError::from(error).into()
    }
}

impl From<QueryError> for TempoError {
    fn from(error: QueryError) -> Self {
        Self { kind: error.kind(), message: error.to_string() }
    }
}

/// What an endpoint works with.
pub(super) type Context<A = Tempo> = api::Context<A>;

/// An API with Tempo's parameters, whichever way it is asked.
pub(crate) trait TempoApi: Api<Error = TempoError> {}

impl TempoApi for Tempo {}
impl TempoApi for Streams {}

impl Api for Tempo {
    type Error = TempoError;

    fn failure(error: &TempoError) -> Response {
        let response = reply::text(reply::query_status(error.kind), format!("{}\n", error.message));
        match error.kind {
            ErrorKind::Overloaded => reply::with_kind(response, error.kind),
            _ => response,
        }
    }

    fn state(&self) -> &ApiState {
        &self.api
    }
}

impl Api for Streams {
    type Error = TempoError;

    fn failure(error: &TempoError) -> Response {
        grpc::failure(error.kind, &error.message)
    }

    fn state(&self) -> &ApiState {
        &self.api
    }
}

impl<A: TempoApi> Context<A> {
    pub(super) fn traces(&self) -> Result<&TraceServices, TempoError> {
        Ok(self.services().traces()?)
    }
}

pub(super) fn json(body: Vec<u8>) -> Response {
    reply::of(StatusCode::OK, "application/json", body)
}
