//! The connections that the server opens: HTTP client, TLS, proxies, authentication, and where requests
//! may go. Step 7.
//!
//! ```text
//! let client = Client::new(&config, Reach::Anywhere)?;
//! let response = client.send(Request::get(url).timeout(seconds).answer_max(bytes)).await?;
//! ```
//!
//! Scraping, discovery, notifications and sending on use this client and no other.
//!
//! Lives here: addresses (`url`), the fields that Prometheus calls `http_config` (`config`), where a
//! request may go (`reach`), how a connection is made (`connect`, `proxy`, `tls`), who we say we are
//! (`auth`, `oauth2`), requests, redirects and answers (`client`).
//! Not here: what is asked of whom, retries, intervals.
//! Invariants: an answer is never larger than the request allows, before and after decompression; a
//! name is resolved once and the connection goes to an address that was checked; credentials go to the
//! host that they were meant for and to no other; no message holds a secret; every wait ends with the
//! request's timeout.
//!
//! Read first: [`HttpConfig`], [`Client::send`], [`Reach`].

mod auth;
mod client;
mod config;
mod connect;
mod error;
mod oauth2;
mod proxy;
mod reach;
mod request;
mod resolve;
mod tls;
mod url;

#[cfg(test)]
mod tests;

pub use client::Client;
pub use config::{
    Authorization, BasicAuth, Credentials, HttpConfig, OAuth2, ProxyConfig, SecretSource, TlsConfig,
};
pub use connect::{Socket, connect_stream, start_tls};
pub use error::{Error, Reason};
pub use reach::{Cidr, Reach};
pub use request::{Method, Request, Response};
pub use resolve::{Resolve, Resolving, SystemResolver};
pub use url::Url;

/// The metrics of this crate.
pub static METRICS: &[&dyn observe::Metric] = &[&client::REQUESTS, &connect::CONNECTIONS];
