//! The answers to an OTLP client, in the encoding of its request.

use crate::proto::google::rpc::{RetryInfo, Status};
use crate::proto::opentelemetry::proto::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
};
use model::ErrorKind;
use prost::Message;
use prost_types::{Any, Duration};
use serde_json::json;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpEncoding {
    Protobuf,
    Json,
}

impl OtlpEncoding {
    /// From a `Content-Type` header.
    pub fn from_content_type(value: &str) -> Option<Self> {
        match value.split(';').next().unwrap_or("").trim().to_ascii_lowercase().as_str() {
            "application/x-protobuf" => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// How much of a request was not stored, and why. The default says that everything was stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartialSuccess {
    pub rejected: u64,
    pub message: String,
}

/// An `Export…ServiceResponse`. The signals' messages have the same field numbers, so that one type
/// serves them all in protobuf; in JSON they differ in the name of the rejected count
/// (`rejectedDataPoints`, `rejectedLogRecords`, `rejectedSpans`).
pub fn export_response(
    encoding: OtlpEncoding,
    partial: &PartialSuccess,
    rejected_key: &str,
) -> Vec<u8> {
    let is_full = *partial == PartialSuccess::default();
    match encoding {
        OtlpEncoding::Json if is_full => b"{}".to_vec(),
        OtlpEncoding::Json => {
            let rejected = partial.rejected.to_string();
            let body = json!({ rejected_key: rejected, "errorMessage": partial.message });
            json!({ "partialSuccess": body }).to_string().into_bytes()
        }
        OtlpEncoding::Protobuf => {
            let partial_success = (!is_full).then(|| ExportMetricsPartialSuccess {
                rejected_data_points: i64::try_from(partial.rejected).unwrap_or(i64::MAX),
                error_message: partial.message.clone(),
            });
            ExportMetricsServiceResponse { partial_success }.encode_to_vec()
        }
    }
}

/// The gRPC status codes that Mirador answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusCode {
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unavailable = 14,
    Unauthenticated = 16,
}

impl StatusCode {
    /// Whether clients send the same request again.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Unavailable | Self::DeadlineExceeded)
    }

    /// Whatever may succeed later must be `Unavailable`: clients drop data at other codes.
    pub fn from_kind(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Invalid | ErrorKind::Conflict => Self::InvalidArgument,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Unauthenticated => Self::Unauthenticated,
            ErrorKind::Forbidden => Self::PermissionDenied,
            ErrorKind::Limit => Self::ResourceExhausted,
            ErrorKind::Cancelled => Self::DeadlineExceeded,
            ErrorKind::Overloaded
            | ErrorKind::Timeout
            | ErrorKind::Corrupt
            | ErrorKind::Io
            | ErrorKind::Bug => Self::Unavailable,
        }
    }
}

/// A `google.rpc.Status`. Its details hold a `RetryInfo` when the client should send again later.
pub fn status_body(
    encoding: OtlpEncoding,
    code: StatusCode,
    message: &str,
    retry_seconds: Option<u32>,
) -> Vec<u8> {
    match encoding {
        OtlpEncoding::Json => {
            let mut status = json!({ "code": code as i32, "message": message });
            if let Some(seconds) = retry_seconds {
                let delay = format!("{seconds}s");
                status["details"] = json!([{ "@type": RETRY_INFO, "retryDelay": delay }]);
            }
            status.to_string().into_bytes()
        }
        OtlpEncoding::Protobuf => {
            let details = retry_seconds.map(retry_info).into_iter().collect();
            Status { code: code as i32, message: message.to_owned(), details }.encode_to_vec()
        }
    }
}

fn retry_info(seconds: u32) -> Any {
    let retry_delay = Some(Duration { seconds: seconds.into(), nanos: 0 });
    Any { type_url: RETRY_INFO.to_owned(), value: RetryInfo { retry_delay }.encode_to_vec() }
}

/// The type URL of `RetryInfo` in an `Any`.
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
