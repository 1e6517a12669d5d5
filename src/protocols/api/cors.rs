//! What browsers are told about requests from pages of other sites.

use crate::reply;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

/// The sites that may call a protocol, and how.
#[derive(Clone, Debug)]
pub(crate) struct Cors {
    /// The value of `Access-Control-Allow-Origin`; `None`: no other site may.
    origin: Option<HeaderValue>,
    allowed: Allowed,
}

/// What a site that may call a protocol may send and read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowed {
    pub(crate) methods: &'static str,
    pub(crate) headers: &'static str,
    /// Headers of answers that scripts may read, beside those that browsers always show.
    pub(crate) exposed: Option<&'static str>,
}

impl Cors {
    /// An origin that is empty, or that no header can hold, allows nothing.
    pub(crate) fn new(origin: &str, allowed: Allowed) -> Self {
        let origin = HeaderValue::from_str(origin).ok().filter(|origin| !origin.is_empty());
        Self { origin, allowed }
    }

    /// Adds the headers to an answer.
    pub(crate) fn apply(&self, mut response: Response) -> Response {
        let Some(origin) = &self.origin else { return response };
        let headers = response.headers_mut();
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let Allowed { methods, headers: allowed, exposed } = self.allowed;
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, Some(methods)),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, Some(allowed)),
            (header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed),
        ] {
            if let Some(value) = value {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        response
    }

    /// Answers the preflight request that a browser sends before a request from another site.
    pub(crate) fn preflight(&self) -> Response {
        self.apply(reply::empty(StatusCode::NO_CONTENT))
    }
}
