//! The pages of other sites that may call a protocol from a browser, and what browsers are told of it.
//!
//! A protocol lists origins in its setting `cors_origins`; by default there are none. The list holds for
//! the paths of its table that answer `OPTIONS`, the preflight request of browsers.

use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::Response;

/// Allows the pages of every site.
const EVERY_SITE: &str = "*";

/// The sites that may call a protocol, and how.
#[derive(Clone, Debug)]
pub struct Cors {
    origins: Vec<String>,
    allowed: Allowed,
}

/// What a site that may call a protocol may send and read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowed {
    pub(crate) methods: &'static str,
    pub(crate) headers: &'static str,
    /// Headers of answers that scripts may read, beside those that browsers always show.
    pub(crate) exposed: Option<&'static str>,
}

impl Cors {
    /// No other site may call.
    pub const fn closed() -> Self {
        let allowed = Allowed { methods: "", headers: "", exposed: None };
        Self { origins: Vec::new(), allowed }
    }

    pub(crate) fn new(origins: &[String], allowed: Allowed) -> Self {
        Self { origins: origins.to_vec(), allowed }
    }

    pub(crate) fn admits(&self, origin: &str) -> bool {
        self.origins.iter().any(|known| known == EVERY_SITE || known == origin)
    }

    /// Adds the headers to the answer of a request from this origin.
    pub(crate) fn apply(&self, origin: Option<&HeaderValue>, response: &mut Response) {
        if self.origins.is_empty() {
            return;
        }
        let headers = response.headers_mut();
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = origin.filter(|origin| origin.to_str().is_ok_and(|o| self.admits(o)))
        else {
            return;
        };
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
    }
}

/// The headers of a request that say from which page a browser sends it.
pub(crate) struct Page<'a>(pub(crate) &'a Parts);

impl<'a> Page<'a> {
    /// The origin of the page, where it is another site's. Programs that are no browser send none.
    pub(crate) fn foreign_origin(&self) -> Option<&'a str> {
        let Some(origin) = self.text(header::ORIGIN.as_str()) else {
            let from = self.text("sec-fetch-site");
            return from.filter(|from| matches!(*from, "cross-site" | "same-site"));
        };
        // The scheme is not compared: a proxy in front of the server may speak TLS. A page can't set
        // `X-Forwarded-Host` on a request to another site without asking in a preflight.
        let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
        let of_http2 = self.0.uri.authority().map(|authority| authority.as_str());
        let own = [self.text(header::HOST.as_str()), of_http2, self.text("x-forwarded-host")];
        let is_own = own.into_iter().flatten().any(|host| host.eq_ignore_ascii_case(authority));
        (!is_own).then_some(origin)
    }

    /// `None` for a header that is missing; one that is no text is the page of nobody.
    fn text(&self, name: &str) -> Option<&'a str> {
        self.0.headers.get(name).map(|value| value.to_str().unwrap_or("null"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn foreign(headers: &[(&str, &str)]) -> Option<String> {
        let request = Request::builder().uri("/");
        let add = |request: axum::http::request::Builder, (name, value): &(&str, &str)| {
            request.header(*name, *value)
        };
        let (parts, ()) = headers.iter().fold(request, add).body(()).unwrap().into_parts();
        Page(&parts).foreign_origin().map(str::to_owned)
    }

    #[test]
    fn only_pages_of_other_sites_are_foreign() {
        let host = ("host", "mirador.example:9640");
        for own in [
            &[host][..],
            &[host, ("origin", "http://mirador.example:9640")],
            &[host, ("origin", "https://Mirador.example:9640")],
            &[host, ("origin", "https://m.example"), ("x-forwarded-host", "m.example")],
            &[host, ("sec-fetch-site", "same-origin")],
            &[host, ("sec-fetch-site", "none")],
        ] {
            assert_eq!(foreign(own), None, "{own:?}");
        }
        for other in [
            ("origin", "http://mirador.example"),
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("origin", ""),
            ("sec-fetch-site", "cross-site"),
        ] {
            assert!(foreign(&[host, other]).is_some(), "{other:?}");
        }
        assert!(foreign(&[("origin", "null")]).is_some(), "without a host as well");
    }
}
