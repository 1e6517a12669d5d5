//! The files of the UI: those that `build.rs` put into the binary, and those of a folder, for people who
//! work on the UI.

use axum::body::Bytes;
use std::path::{Path, PathBuf};

/// A file in the binary.
pub(super) struct File {
    name: &'static str,
    /// What `?v=` names.
    version: &'static str,
    plain: &'static [u8],
    /// In gzip.
    packed: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/web_ui_files.rs"));

pub(super) struct Found {
    pub(super) version: String,
    pub(super) plain: Bytes,
    pub(super) packed: Option<Bytes>,
}

pub(super) fn embedded(name: &str) -> Option<Found> {
    let file = FILES.iter().find(|file| file.name == name)?;
    Some(Found {
        version: file.version.to_owned(),
        plain: Bytes::from_static(file.plain),
        packed: Some(Bytes::from_static(file.packed)),
    })
}

/// A file of a folder as it is now. Its time and size stand for its version, which no page names, so that
/// browsers ask each time.
pub(super) async fn in_folder(folder: PathBuf, name: String) -> Option<Found> {
    if !is_plain(&name) {
        return None;
    }
    let read = move || read(&folder.join(name));
    tokio::task::spawn_blocking(read).await.ok().flatten()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the folder is the developer's, outside the data folder"
)]
fn read(path: &Path) -> Option<Found> {
    let plain = std::fs::read(path).ok()?;
    let version = format!("{:08x}-{}", codec::crc32c(&plain), plain.len());
    Some(Found { version, plain: Bytes::from(plain), packed: None })
}

/// Whether a name is one file of the folder itself.
fn is_plain(name: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !name.starts_with('.') && name.chars().all(known)
}

pub(super) fn media(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, kind)| kind) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_and_what_it_names_are_there() {
        let page = embedded("index.html").expect("the page");
        let text = String::from_utf8(page.plain.to_vec()).expect("text");
        let named: Vec<&str> = text.split(['"', ';']).filter(|word| word.contains("?v=")).collect();
        assert!(named.len() > 3, "{named:?}");
        for word in named {
            let (name, version) = word.split_once("?v=").expect("a version");
            let file = embedded(name).unwrap_or_else(|| panic!("{name} is missing"));
            let version = version.trim_end_matches("&quot");
            assert_eq!(file.version, version, "{name}: run `npm run build` in web/");
        }
    }

    #[test]
    fn names_stay_within_the_folder() {
        for bad in ["../x", "a/b", "..", ".env", "a\\b", "%2e%2e", "a\0"] {
            assert!(!is_plain(bad), "{bad}");
        }
        assert!(is_plain("app.js"));
    }

    #[test]
    fn media_types_are_known() {
        for file in FILES {
            assert_ne!(media(file.name), "application/octet-stream", "{}", file.name);
        }
    }
}
