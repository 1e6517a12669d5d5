//! Sends requests and reads answers.

use crate::auth::{authorization, basic_header, read_source};
use crate::connect::{Connecting, Connector, UNIX_SCHEME, hex};
use crate::oauth2::Tokens;
use crate::resolve::Resolve;
use crate::{
    Credentials, Error, HttpConfig, Method, Reach, Reason, Request, Response, SystemResolver,
};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{StatusCode, Uri};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use observe::CounterFamily;
use std::sync::Arc;
use std::time::Duration;
use wire::{DecompressError, Encoding};

pub(crate) static REQUESTS: CounterFamily = CounterFamily::new(
    "mirador_outbound_requests_total",
    "Requests that the server made of others, by the class of the answer's status or the reason why there was none.",
    &["result"],
);

const USER_AGENT: &str = concat!("Mirador/", env!("CARGO_PKG_VERSION"));
const REDIRECTS_MAX: usize = 10;
/// Longer than scrapes are apart, so that their connections stay.
const IDLE: Duration = Duration::from_secs(300);
const IDLE_MAX: usize = 8;
/// Compressed answers may be a little larger than what is in them.
const COMPRESSED_SLACK: usize = 64 << 10;
/// Larger bodies are decompressed on a thread that may take its time.
const LARGE_BYTES: usize = 64 << 10;

/// A client with its pool of connections. Cloning it shares the pool.
#[derive(Clone, Debug)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: HttpConfig,
    connecting: Arc<Connecting>,
    tokens: Option<Tokens>,
    pool: legacy::Client<Connector, Full<Bytes>>,
}

impl Client {
    pub fn new(config: &HttpConfig, reach: Reach) -> Result<Self, Error> {
        Self::with_resolver(config, reach, Arc::new(SystemResolver))
    }

    /// A client that asks somebody else for the addresses of names.
    pub fn with_resolver(
        config: &HttpConfig,
        reach: Reach,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self, Error> {
        let uses_proxy = config.proxy.url.is_some() || config.proxy.from_environment;
        if !reach.is_anywhere() && (uses_proxy || config.reads_files()) {
            let message =
                "a proxy and files of the server can only be named in the operator's files";
            return Err(Error::new(Reason::Forbidden, message));
        }
        let tokens = match &config.credentials {
            Credentials::OAuth2(oauth2) => Some(Tokens::new(oauth2, reach.clone())?),
            _ => None,
        };
        let connecting = Arc::new(Connecting::new(config, reach, resolver));
        let pool = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_MAX)
            .set_host(false)
            .build(Connector(Arc::clone(&connecting)));
        Ok(Self(Arc::new(Inner { config: config.clone(), connecting, tokens, pool })))
    }

    /// Sends a request and reads the whole answer, redirects followed where the configuration says so.
    pub async fn send(&self, request: Request) -> Result<Response, Error> {
        let (timeout, host) = (request.timeout, request.url.authority());
        let result = match tokio::time::timeout(timeout, self.follow(request)).await {
            Ok(result) => result,
            Err(_) => {
                let message = format!("{host} did not answer within {timeout:?}");
                Err(Error::new(Reason::Timeout, message))
            }
        };
        let class = match &result {
            Ok(response) => match response.status / 100 {
                2 => "2xx",
                3 => "3xx",
                4 => "4xx",
                _ => "5xx",
            },
            Err(error) => error.reason.name(),
        };
        REQUESTS.add(&[class], 1);
        result
    }

    async fn follow(&self, mut request: Request) -> Result<Response, Error> {
        let first = request.url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let is_first_server = request.url.is_same_server(&first);
            let answer = self.once(&request, is_first_server).await?;
            let Some(next) = self.redirect(&request, &answer)? else {
                return self.read(&request, answer).await;
            };
            request = next;
        }
        let message = format!("{first} redirects more than {REDIRECTS_MAX} times");
        Err(Error::new(Reason::Redirect, message))
    }

    /// The request that an answer sends us to; `None` where it is the last.
    fn redirect(
        &self,
        request: &Request,
        answer: &hyper::Response<Incoming>,
    ) -> Result<Option<Request>, Error> {
        let status = answer.status();
        let follows = self.0.config.follow_redirects && self.0.connecting.reach.is_anywhere();
        let location = answer.headers().get(header::LOCATION).and_then(|it| it.to_str().ok());
        let (true, Some(location)) = (follows, location) else { return Ok(None) };
        let mut next = request.clone();
        match status {
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => {}
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => {
                if next.method != Method::HEAD {
                    next.method = Method::GET;
                    next.body = Bytes::new();
                    let is_of_body = |name: &str| name.to_ascii_lowercase().starts_with("content-");
                    next.headers.retain(|(name, _)| !is_of_body(name));
                }
            }
            _ => return Ok(None),
        }
        next.url = request.url.redirected(location)?;
        next.unix_socket = next.unix_socket.filter(|_| next.url.is_same_server(&request.url));
        Ok(Some(next))
    }

    async fn once(
        &self,
        request: &Request,
        is_first_server: bool,
    ) -> Result<hyper::Response<Incoming>, Error> {
        let headers = self.headers(request, is_first_server).await?;
        let mut built = hyper::Request::new(Full::new(request.body.clone()));
        *built.method_mut() = request.method.clone();
        *built.uri_mut() = uri(request)?;
        *built.headers_mut() = headers;
        let answer = self.0.pool.request(built).await;
        answer.map_err(|error| Error::in_chain(&error, &request.url.authority()))
    }

    async fn headers(&self, request: &Request, is_first_server: bool) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        set(&mut headers, "host", &request.url.authority())?;
        set(&mut headers, "user-agent", USER_AGENT)?;
        set(&mut headers, "accept-encoding", "gzip, zstd")?;
        if let Some(value) = self.0.connecting.proxy_authorization(&request.url)? {
            set(&mut headers, "proxy-authorization", &value)?;
        }
        if is_first_server {
            self.credentials(request, &mut headers).await?;
        }
        for (name, value) in &request.headers {
            let is_secret = name.eq_ignore_ascii_case("authorization");
            if is_first_server || !is_secret {
                set(&mut headers, name, value)?;
            }
        }
        Ok(headers)
    }

    /// What only the server that was named may see.
    async fn credentials(&self, request: &Request, headers: &mut HeaderMap) -> Result<(), Error> {
        let config = &self.0.config;
        if let Some((user, password)) = request.url.user() {
            set(headers, "authorization", &basic_header(user, password))?;
        }
        if let Some(value) = authorization(config, self.0.tokens.as_ref()).await? {
            set(headers, "authorization", &value)?;
        }
        for (name, source) in &config.headers {
            let value = read_source(source).await?;
            let (name, value) = header(name, value.reveal())?;
            headers.append(name, value);
        }
        Ok(())
    }

    async fn read(
        &self,
        request: &Request,
        answer: hyper::Response<Incoming>,
    ) -> Result<Response, Error> {
        let (parts, body) = answer.into_parts();
        let coding = parts.headers.get(header::CONTENT_ENCODING);
        let coding = coding.map_or("", |value| value.to_str().unwrap_or("?"));
        let encoding = Encoding::from_header(coding).ok_or_else(|| {
            let message = format!("the answer of {} is encoded as `{coding}`", request.url);
            Error::new(Reason::Protocol, message)
        })?;
        let body = collect(body, request, encoding).await?;
        let response =
            Response { status: parts.status.as_u16(), headers: parts.headers, body, encoding };
        if request.is_raw {
            return Ok(response);
        }
        decompressed(response, request).await
    }
}

async fn decompressed(response: Response, request: &Request) -> Result<Response, Error> {
    let limit = request.answer_max;
    let result = if response.body.len() > LARGE_BYTES && response.encoding != Encoding::Identity {
        let working = tokio::task::spawn_blocking(move || response.decompressed(limit));
        working.await.map_err(|_| Error::new(Reason::Protocol, "the server is stopping"))?
    } else {
        response.decompressed(limit)
    };
    result.map_err(|error| match error {
        DecompressError::TooLarge { .. } => too_large(request),
        other => Error::new(Reason::Protocol, format!("the answer of {}: {other}", request.url)),
    })
}

fn too_large(request: &Request) -> Error {
    let message =
        format!("the answer of {} is larger than {} bytes", request.url, request.answer_max);
    Error::new(Reason::TooLarge, message)
}

/// The whole body, as long as it is not too large.
async fn collect(
    mut body: Incoming,
    request: &Request,
    encoding: Encoding,
) -> Result<Bytes, Error> {
    let slack = if encoding == Encoding::Identity { 0 } else { COMPRESSED_SLACK };
    let limit = request.answer_max.saturating_add(slack);
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(too_large(request));
    }
    let mut collected = Vec::with_capacity(announced);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Error::in_chain(&error, &request.url.authority()))?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > limit - collected.len() {
            return Err(too_large(request));
        }
        collected.extend_from_slice(&data);
    }
    Ok(collected.into())
}

fn uri(request: &Request) -> Result<Uri, Error> {
    let path = request.url.path_and_query();
    let text = match &request.unix_socket {
        Some(socket) => {
            format!("{UNIX_SCHEME}://{}{path}", hex(socket.as_os_str().as_encoded_bytes()))
        }
        None => format!("{}://{}{path}", request.url.scheme(), request.url.authority()),
    };
    text.parse().map_err(|error| {
        Error::new(Reason::Configuration, format!("{} can't be asked for: {error}", request.url))
    })
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Error> {
    let wrong = || {
        let message = format!("the value of the header {name} has characters that can't be sent");
        Error::new(Reason::Configuration, message)
    };
    let header_name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
    let mut value = HeaderValue::from_str(value).map_err(|_| wrong())?;
    value.set_sensitive(header_name == header::AUTHORIZATION);
    Ok((header_name, value))
}

fn set(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Error> {
    let (name, value) = header(name, value)?;
    headers.insert(name, value);
    Ok(())
}
