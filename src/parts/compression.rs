//! Compresses and decompresses one page. A page that compression does not make smaller is stored as
//! it is.

use std::cell::RefCell;
use std::io;

/// The compression that the caller requests for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    /// Fast in both directions: for pages that are read often and soon merged into other parts.
    Lz4,
    /// Small: for pages that stay. zstd's levels, 1 to 22.
    Zstd {
        level: i32,
    },
}

/// How a page is stored. The number is written into the page directory: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Codec {
    None = 0,
    Lz4 = 1,
    Zstd = 2,
}

impl Codec {
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::None, Self::Lz4, Self::Zstd].into_iter().find(|codec| *codec as u8 == code)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// Keeps zstd's working memory between pages.
#[derive(Default)]
pub(crate) struct Compressor {
    zstd: Option<(i32, zstd::bulk::Compressor<'static>)>,
    output: Vec<u8>,
}

impl Compressor {
    /// The page as it will be stored, borrowed from this compressor or from `raw`.
    pub(crate) fn compress<'a>(
        &'a mut self,
        raw: &'a [u8],
        wanted: Compression,
    ) -> io::Result<(Codec, &'a [u8])> {
        let codec = match wanted {
            Compression::None => return Ok((Codec::None, raw)),
            Compression::Lz4 => self.lz4(raw),
            Compression::Zstd { level } => self.zstd(raw, level)?,
        };
        Ok(if self.output.len() < raw.len() { (codec, &self.output) } else { (Codec::None, raw) })
    }

    fn lz4(&mut self, raw: &[u8]) -> Codec {
        self.output.resize(lz4_flex::block::get_maximum_output_size(raw.len()), 0);
        let length = lz4_flex::block::compress_into(raw, &mut self.output)
            .expect("the output has the largest size that lz4 can need");
        self.output.truncate(length);
        Codec::Lz4
    }

    fn zstd(&mut self, raw: &[u8], level: i32) -> io::Result<Codec> {
        if self.zstd.as_ref().is_none_or(|(made_for, _)| *made_for != level) {
            self.zstd = Some((level, zstd::bulk::Compressor::new(level)?));
        }
        let (_, compressor) = self.zstd.as_mut().expect("it was made above");
        self.output.clear();
        self.output.reserve(zstd::zstd_safe::compress_bound(raw.len()));
        compressor.compress_to_buffer(raw, &mut self.output)?;
        Ok(Codec::Zstd)
    }
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Compressor")
    }
}

thread_local! {
    /// Decoding needs about 100 KiB of tables; allocating them for each page costs more than
    /// decoding a small page.
    static ZSTD: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Fills `raw` with exactly `raw_length` bytes, or returns why it can't. The caller has checked
/// `raw_length` against its limit.
pub(crate) fn decompress(
    codec: Codec,
    stored: &[u8],
    raw_length: usize,
    raw: &mut Vec<u8>,
) -> Result<(), &'static str> {
    raw.clear();
    let written = match codec {
        Codec::None => {
            raw.extend_from_slice(stored);
            stored.len()
        }
        Codec::Lz4 => {
            raw.resize(raw_length, 0);
            lz4_flex::block::decompress_into(stored, raw).map_err(|_| "lz4 can't decode it")?
        }
        Codec::Zstd => {
            raw.reserve_exact(raw_length);
            decompress_zstd(stored, raw).map_err(|_| "zstd can't decode it")?
        }
    };
    if written == raw_length { Ok(()) } else { Err("it decodes to another length") }
}

fn decompress_zstd(stored: &[u8], raw: &mut Vec<u8>) -> io::Result<usize> {
    ZSTD.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(decompressor) => decompressor,
            None => kept.insert(zstd::bulk::Decompressor::new()?),
        };
        decompressor.decompress_to_buffer(stored, raw)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REQUESTS: [Compression; 4] = [
        Compression::None,
        Compression::Lz4,
        Compression::Zstd { level: 1 },
        Compression::Zstd { level: 9 },
    ];

    proptest! {
        #[test]
        fn pages_come_back(bytes: Vec<u8>, repeat in 1usize..40) {
            let raw = bytes.repeat(repeat);
            let mut compressor = Compressor::default();
            for wanted in REQUESTS {
                let (codec, stored) = compressor.compress(&raw, wanted).unwrap();
                prop_assert!(stored.len() <= raw.len());
                let mut back = vec![7; 3];
                prop_assert_eq!(decompress(codec, stored, raw.len(), &mut back), Ok(()));
                prop_assert_eq!(&back, &raw);
            }
        }

        #[test]
        fn any_bytes_are_a_page_or_an_error(bytes: Vec<u8>, length in 0usize..10_000) {
            for codec in [Codec::None, Codec::Lz4, Codec::Zstd] {
                let mut raw = Vec::new();
                if decompress(codec, &bytes, length, &mut raw).is_ok() {
                    prop_assert_eq!(raw.len(), length);
                }
            }
        }
    }
}
