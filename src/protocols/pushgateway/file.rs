//! The file of a group: docs/formats/pushgateway.md.

use super::group::{Group, Push};
use super::page::PageFormat;
use axum::body::Bytes;
use model::Labels;
use wire::LabelLimits;

const MAGIC: &[u8; 4] = b"MPGW";
const VERSION: u8 = 1;
/// Magic, version, checksum.
const HEAD: usize = 9;
/// The largest file that is read.
pub(super) const FILE_MAX: u64 = 1 << 30;

pub(super) fn encode(group: &Group) -> Vec<u8> {
    let mut body = Vec::new();
    put_bytes(&mut body, group.labels.as_bytes());
    body.extend_from_slice(&group.push_ms.to_le_bytes());
    body.extend_from_slice(&group.failure_ms.to_le_bytes());
    put_length(&mut body, group.pushes.len());
    for push in &group.pushes {
        body.extend_from_slice(&push.time_ms.to_le_bytes());
        body.push(match push.format {
            PageFormat::Text => 0,
            PageFormat::Protobuf => 1,
        });
        put_length(&mut body, push.live.len());
        push.live.iter().for_each(|name| put_bytes(&mut body, name.as_bytes()));
        put_bytes(&mut body, &push.body);
    }
    let mut out = MAGIC.to_vec();
    out.push(VERSION);
    out.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
    out.extend_from_slice(&body);
    out
}

pub(super) fn decode(bytes: &[u8], limits: &LabelLimits) -> Result<Group, String> {
    let (head, body) = bytes.split_at_checked(HEAD).ok_or("the file is too short")?;
    if !head.starts_with(MAGIC) {
        return Err("this is not the file of a group of the Pushgateway".to_owned());
    }
    if head[4] != VERSION {
        return Err(format!("the file has version {}, {VERSION} can be read", head[4]));
    }
    if head[5..] != crc32c::crc32c(body).to_le_bytes() {
        return Err("the checksum is wrong".to_owned());
    }
    let mut rest = Rest(body);
    let labels = Labels::from_bytes(rest.bytes()?).ok_or("the labels of the group are damaged")?;
    let times = (rest.i64()?, rest.i64()?);
    let mut pushes = Vec::new();
    for _ in 0..rest.length()? {
        let time_ms = rest.i64()?;
        let format = match rest.take(1)?[0] {
            0 => PageFormat::Text,
            1 => PageFormat::Protobuf,
            other => return Err(format!("a page has the unknown format {other}")),
        };
        let names = rest.length()?;
        let live = (0..names).map(|_| rest.text()).collect::<Result<_, _>>()?;
        let body = Bytes::copy_from_slice(rest.bytes()?);
        pushes.push(Push { time_ms, format, body, live });
    }
    Group::reread(labels, pushes, times, limits)
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&(length as u64).to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// What has not been read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or("the file ends too early")?;
        self.0 = rest;
        Ok(taken)
    }

    fn eight(&mut self) -> Result<[u8; 8], String> {
        Ok(self.take(8)?.try_into().unwrap_or_default())
    }

    fn i64(&mut self) -> Result<i64, String> {
        self.eight().map(i64::from_le_bytes)
    }

    fn length(&mut self) -> Result<usize, String> {
        let length = u64::from_le_bytes(self.eight()?);
        usize::try_from(length).map_err(|_| "a length is too large".to_owned())
    }

    fn bytes(&mut self) -> Result<&'a [u8], String> {
        let length = self.length()?;
        self.take(length)
    }

    fn text(&mut self) -> Result<String, String> {
        let bytes = self.bytes()?.to_vec();
        String::from_utf8(bytes).map_err(|_| "a name is not UTF-8".to_owned())
    }
}
