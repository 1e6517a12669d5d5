//! Requests and their answers.

use crate::Url;
use hyper::body::Bytes;
use hyper::header::HeaderMap;
use std::path::PathBuf;
use std::time::Duration;
use wire::{DecompressError, Encoding, decompress};

pub use hyper::Method;

const TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_MAX: usize = 1 << 20;

/// What is asked of a server.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// From the first step to the last byte of the answer.
    pub timeout: Duration,
    /// The answer may have as many bytes, compressed or not.
    pub answer_max: usize,
    /// Connects to this socket of the machine; `url` then names only the host of the request.
    pub unix_socket: Option<PathBuf>,
    /// Leaves the answer compressed, for callers that decompress into memory of their own.
    pub is_raw: bool,
}

impl Request {
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: Vec::new(),
            body: Bytes::new(),
            timeout: TIMEOUT,
            answer_max: ANSWER_MAX,
            unix_socket: None,
            is_raw: false,
        }
    }

    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    pub fn post(url: Url, content_type: &str, body: impl Into<Bytes>) -> Self {
        let request = Self::new(Method::POST, url);
        Self { body: body.into(), ..request }.header("Content-Type", content_type)
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    #[must_use]
    pub fn answer_max(self, answer_max: usize) -> Self {
        Self { answer_max, ..self }
    }

    #[must_use]
    pub fn unix_socket(self, path: Option<PathBuf>) -> Self {
        Self { unix_socket: path, ..self }
    }

    /// See [`Self::is_raw`].
    #[must_use]
    pub fn raw(self) -> Self {
        Self { is_raw: true, ..self }
    }
}

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// How `body` is compressed: not at all, unless the request asked for it raw.
    pub encoding: Encoding,
}

impl Response {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A header's value; empty where it is not there or not a text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The beginning of the body, for messages.
    pub fn excerpt(&self) -> String {
        const LENGTH: usize = 300;
        let text = String::from_utf8_lossy(&self.body);
        let text = text.trim();
        match text.char_indices().nth(LENGTH) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text.to_owned(),
        }
    }

    pub(crate) fn decompressed(self, limit: usize) -> Result<Self, DecompressError> {
        if self.encoding == Encoding::Identity {
            return Ok(self);
        }
        let body = decompress(self.encoding, &self.body, limit)?.into();
        Ok(Self { body, encoding: Encoding::Identity, ..self })
    }
}
