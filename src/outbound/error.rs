//! Why a request got no answer, in words that say what to do.

use std::error::Error as StdError;

/// The kind of a failure, for those who retry and for counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The address or a setting is wrong: trying again does not help.
    Configuration,
    /// The name of the host has no address.
    Resolve,
    Connect,
    Tls,
    Proxy,
    /// The address is not one that this request may go to.
    Forbidden,
    Timeout,
    /// The answer is larger than it may be.
    TooLarge,
    Redirect,
    /// What came back is not HTTP, or broke off.
    Protocol,
    /// A credential could not be had.
    Authorization,
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Proxy => "proxy",
            Self::Forbidden => "forbidden",
            Self::Timeout => "timeout",
            Self::TooLarge => "too_large",
            Self::Redirect => "redirect",
            Self::Protocol => "protocol",
            Self::Authorization => "authorization",
        }
    }
}

/// A request without an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub reason: Reason,
    pub message: String,
}

impl Error {
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// The error of this crate in a chain of causes, which the HTTP client wraps, or a word for its own.
    pub(crate) fn in_chain(error: &(dyn StdError + 'static), host: &str) -> Self {
        let mut cause = Some(error);
        let mut last = error.to_string();
        while let Some(error) = cause {
            if let Some(ours) = error.downcast_ref::<Self>() {
                return ours.clone();
            }
            last = error.to_string();
            cause = error.source();
        }
        Self::new(Reason::Protocol, format!("the connection to {host} failed: {last}"))
    }
}
