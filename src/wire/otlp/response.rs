//! What an OTLP client is answered, in the encoding of its request.

use crate::protobuf::Writer;
use model::ErrorKind;
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

/// What of a request was not taken. All taken and nothing to say: the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartialSuccess {
    pub rejected: u64,
    pub message: String,
}

/// An `Export…ServiceResponse`. Those of the signals differ in one JSON key alone, the name of the
/// rejected count (`rejectedDataPoints`, `rejectedLogRecords`, `rejectedSpans`).
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
        OtlpEncoding::Protobuf if is_full => Vec::new(),
        OtlpEncoding::Protobuf => {
            let mut writer = Writer::new();
            writer.message(1, |message| {
                if partial.rejected > 0 {
                    message.varint(1, partial.rejected);
                }
                if !partial.message.is_empty() {
                    message.text(2, &partial.message);
                }
            });
            writer.into_bytes()
        }
    }
}

/// gRPC's status numbers, as far as we answer them.
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

/// A `google.rpc.Status`. Where the sender may try again it says when, as a `RetryInfo`.
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
            let mut writer = Writer::new();
            writer.varint(1, code as u64);
            writer.text(2, message);
            if let Some(seconds) = retry_seconds {
                writer.message(3, |any| {
                    any.text(1, RETRY_INFO);
                    any.message(2, |info| {
                        info.message(1, |delay| delay.varint(1, u64::from(seconds)));
                    });
                });
            }
            writer.into_bytes()
        }
    }
}

/// The type of the detail, as an `Any` names it.
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
