//! The web UI: files of `web/dist`, which are in the binary, or in the folder that `ui.dir` names.
//!
//! Lives here: which file answers a path, how long browsers keep it, what its pages may do (CSP).
//! Not here: what the UI does (`web/`), and its data, which comes from the same APIs that everybody uses.
//! Invariant: the files hold nothing of anybody, so everybody may read them; a path never leaves the folder.

mod files;

use crate::app::App;
use crate::http::{Call, reply};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use files::Found;
use std::sync::Arc;

const PAGE: &str = "index.html";

/// Scripts, styles and data from this server alone; nothing inline, nothing framed.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const SECURITY_HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=()",
    ),
];

/// What has `?v=` with its own version never changes.
const FOREVER: &str = "public, max-age=31536000, immutable";
const ASK_AGAIN: &str = "no-cache";

/// `/ui` has no folder of its own, so relative addresses of the page would miss. The address is relative
/// as well, for proxies that serve Mirador below a path.
pub(crate) async fn to_folder(_: Arc<App>, _: Call) -> Response {
    redirect(StatusCode::PERMANENT_REDIRECT, "ui/")
}

pub(crate) fn redirect(status: StatusCode, to: &'static str) -> Response {
    reply::with_header(reply::empty(status), header::LOCATION, to)
}

/// `/ui/NAME`: a file, or the page, which shows the screen of that name.
pub(crate) async fn serve(app: Arc<App>, call: Call) -> Response {
    let last = call.path.rsplit('/').next().unwrap_or("");
    let name = if last.contains('.') { last } else { PAGE };
    let folder = &app.config.ui.dir;
    let found = if folder.as_os_str().is_empty() {
        files::embedded(name)
    } else {
        files::in_folder(folder.clone(), name.to_owned()).await
    };
    match found {
        Some(found) => answer(&call, name, found),
        None => reply::text(StatusCode::NOT_FOUND, "404 page not found\n"),
    }
}

fn answer(call: &Call, name: &str, found: Found) -> Response {
    let tag = format!("\"{}\"", found.version);
    let known = call.header(header::IF_NONE_MATCH.as_str());
    let mut response = if known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag) {
        reply::empty(StatusCode::NOT_MODIFIED)
    } else {
        body(call, name, &found)
    };
    let headers = response.headers_mut();
    for (header, value) in SECURITY_HEADERS {
        headers.insert(header, HeaderValue::from_static(value));
    }
    let is_named = call.parameter("v").is_some_and(|version| version == found.version);
    let caching = if is_named { FOREVER } else { ASK_AGAIN };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

fn body(call: &Call, name: &str, found: &Found) -> Response {
    let media = files::media(name);
    match &found.packed {
        Some(packed) if accepts_gzip(call.header(header::ACCEPT_ENCODING.as_str())) => {
            let response = reply::of(StatusCode::OK, media, packed.clone());
            reply::with_header(response, header::CONTENT_ENCODING, "gzip")
        }
        _ => reply::of(StatusCode::OK, media, found.plain.clone()),
    }
}

fn accepts_gzip(accept_encoding: &str) -> bool {
    accept_encoding.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|text| text.parse::<f32>().ok());
        matches!(name.trim(), "gzip" | "*") && weight != Some(0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        for yes in ["gzip", "br, gzip;q=0.8", "*"] {
            assert!(accepts_gzip(yes), "{yes}");
        }
        for no in ["", "br", "gzip;q=0", "identity"] {
            assert!(!accepts_gzip(no), "{no}");
        }
    }
}
