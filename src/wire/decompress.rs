//! Decompression with a limit, which is checked before memory is taken; streams are cut as soon as
//! they pass it. A small body can't claim a lot of memory: each step of growth is asked for.

use model::{ErrorKind, NoRoom, Room, Unbounded};
use std::io::{self, Read};

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Identity,
    Gzip,
    /// What HTTP calls deflate: a zlib stream.
    Deflate,
    Zstd,
    /// Snappy's block format, as remote write uses it.
    Snappy,
}

impl Encoding {
    /// From a `Content-Encoding` header; `None` for an unknown one.
    pub fn from_header(value: &str) -> Option<Self> {
        match value.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Self::Identity),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            "zstd" => Some(Self::Zstd),
            "snappy" => Some(Self::Snappy),
            _ => None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum DecompressError {
    #[error(
        "body is larger than {limit} bytes after decompression: send less at once, or raise \
         limits.decompressed_size"
    )]
    TooLarge { limit: usize },
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    #[error("body is not valid {encoding:?} data")]
    Malformed { encoding: Encoding, source: io::Error },
}

impl DecompressError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLarge { .. } => ErrorKind::Limit,
            Self::NoRoom(error) => error.kind(),
            Self::Malformed { .. } => ErrorKind::Invalid,
        }
    }
}

/// zstd frames may ask for gigabytes of window; 8 MiB is what its levels up to 19 use.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Decompresses a whole body to at most `limit` bytes.
pub fn decompress(
    encoding: Encoding,
    body: &[u8],
    limit: usize,
) -> Result<Vec<u8>, DecompressError> {
    let mut plain = Vec::new();
    decompress_into(encoding, body, limit, &mut Unbounded, &mut plain)?;
    Ok(plain)
}

/// The same into a buffer whose memory is used again; what was in it is gone. `room` is asked for
/// what the buffer must grow by. Memory that one large body needed stays with the buffer: callers
/// that keep buffers shrink them.
pub fn decompress_into(
    encoding: Encoding,
    body: &[u8],
    limit: usize,
    room: &mut dyn Room,
    plain: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    if encoding != Encoding::Snappy {
        plain.clear();
    }
    let malformed = |source| DecompressError::Malformed { encoding, source };
    match encoding {
        Encoding::Identity if body.len() > limit => Err(DecompressError::TooLarge { limit }),
        Encoding::Identity => {
            grow(plain, body.len(), room)?;
            plain.extend_from_slice(body);
            Ok(())
        }
        Encoding::Gzip => {
            if let Some(length) = gzip_length(body).filter(|length| *length <= limit) {
                // One byte more shows that the claim is true without growing.
                grow(plain, length + 1, room)?;
            }
            let mut reader = flate2::bufread::MultiGzDecoder::new(body);
            read_bounded(&mut reader, encoding, limit, room, plain)
        }
        Encoding::Deflate => {
            let mut reader = flate2::bufread::ZlibDecoder::new(body);
            read_bounded(&mut reader, encoding, limit, room, plain)
        }
        Encoding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(malformed)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(malformed)?;
            read_bounded(&mut decoder, encoding, limit, room, plain)
        }
        Encoding::Snappy => snappy(body, limit, room, plain),
    }
}

/// Makes the buffer hold `capacity` bytes.
fn grow(plain: &mut Vec<u8>, capacity: usize, room: &mut dyn Room) -> Result<(), NoRoom> {
    let missing = capacity.saturating_sub(plain.capacity());
    if missing > 0 {
        room.take(missing)?;
        plain.reserve_exact(capacity - plain.len());
    }
    Ok(())
}

/// Deflate makes at most so many bytes of one.
const DEFLATE_MOST: usize = 1032;

/// What the last member of a gzip stream says that it unpacks to, unless it can't be true.
fn gzip_length(body: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(*body.last_chunk()?) as usize;
    (length <= body.len().saturating_mul(DEFLATE_MOST)).then_some(length)
}

/// The least that a buffer grows by.
const STEP: usize = 64 << 10;

fn read_bounded(
    reader: &mut impl Read,
    encoding: Encoding,
    limit: usize,
    room: &mut dyn Room,
    plain: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    // One byte more than the limit shows that it is passed.
    let most = limit.saturating_add(1);
    let mut length = 0;
    while length < most {
        if length == plain.capacity() {
            grow(plain, (2 * length).clamp(STEP, most.max(STEP)), room)?;
        }
        // As much again as there is: a large buffer that is used again is not cleared for a small body.
        let free = plain.capacity().min(most).min(length + length.max(STEP));
        plain.resize(free, 0);
        let read = reader.read(&mut plain[length..]);
        let read = read.map_err(|source| DecompressError::Malformed { encoding, source })?;
        if read == 0 {
            break;
        }
        length += read;
    }
    plain.truncate(length);
    if length > limit {
        return Err(DecompressError::TooLarge { limit });
    }
    Ok(())
}

/// The format begins with the length it unpacks to: ten bytes can claim four gigabytes.
fn snappy(
    body: &[u8],
    limit: usize,
    room: &mut dyn Room,
    plain: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    let malformed = |error: snap::Error| DecompressError::Malformed {
        encoding: Encoding::Snappy,
        source: io::Error::new(io::ErrorKind::InvalidData, error),
    };
    let length = snap::raw::decompress_len(body).map_err(malformed)?;
    if length > limit {
        return Err(DecompressError::TooLarge { limit });
    }
    // The densest snappy element is a copy: 3 bytes of input for at most 64 of output. A larger
    // claim is false: refuse it before taking its memory.
    if length > body.len().saturating_mul(32) {
        let text = "claims to unpack to more than its bytes can hold";
        let source = io::Error::new(io::ErrorKind::InvalidData, text);
        return Err(DecompressError::Malformed { encoding: Encoding::Snappy, source });
    }
    grow(plain, length, room)?;
    // Every byte is written by the decoder: only a buffer that grows needs zeros.
    plain.resize(length.max(plain.len()), 0);
    let written = snap::raw::Decoder::new().decompress(body, plain).map_err(malformed)?;
    plain.truncate(written);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    const ALL: [Encoding; 5] =
        [Encoding::Identity, Encoding::Gzip, Encoding::Deflate, Encoding::Zstd, Encoding::Snappy];

    fn pack(encoding: Encoding, plain: &[u8]) -> Vec<u8> {
        let level = flate2::Compression::default();
        match encoding {
            Encoding::Identity => plain.to_vec(),
            Encoding::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            Encoding::Deflate => {
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            Encoding::Zstd => zstd::encode_all(plain, 1).unwrap(),
            Encoding::Snappy => snap::raw::Encoder::new().compress_vec(plain).unwrap(),
        }
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_back(plain: Vec<u8>) {
            for encoding in ALL {
                let packed = pack(encoding, &plain);
                prop_assert_eq!(&decompress(encoding, &packed, plain.len()).unwrap(), &plain);
                let mut used = vec![7; 100];
                decompress_into(encoding, &packed, plain.len(), &mut Unbounded, &mut used).unwrap();
                prop_assert_eq!(&used, &plain);
            }
        }

        #[test]
        fn any_bytes_are_an_answer_or_an_error(raw: Vec<u8>) {
            for encoding in ALL {
                if let Ok(plain) = decompress(encoding, &raw, 1_000) {
                    prop_assert!(plain.len() <= 1_000);
                }
            }
        }
    }

    #[test]
    fn bombs_are_cut_at_the_limit() {
        let zeros = vec![0; 10_000_000];
        for encoding in ALL {
            let packed = pack(encoding, &zeros);
            let error = decompress(encoding, &packed, 100_000).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Limit, "{encoding:?}: {error}");
        }
    }

    #[test]
    fn memory_is_asked_for_before_it_is_taken() {
        struct Counted {
            taken: usize,
            most: usize,
        }
        impl Room for Counted {
            fn take(&mut self, bytes: usize) -> Result<(), NoRoom> {
                self.taken += bytes;
                let fits = self.taken <= self.most;
                fits.then_some(()).ok_or_else(|| NoRoom::Busy("full".to_owned()))
            }
        }
        let zeros = vec![0; 1_000_000];
        for encoding in ALL {
            let packed = pack(encoding, &zeros);
            let mut plain = Vec::new();
            let mut room = Counted { taken: 0, most: 300_000 };
            let error = decompress_into(encoding, &packed, 1 << 30, &mut room, &mut plain);
            assert_eq!(error.unwrap_err().kind(), ErrorKind::Overloaded, "{encoding:?}");
            assert!(plain.capacity() <= 300_000, "{encoding:?}");
            let mut room = Counted { taken: 0, most: usize::MAX };
            decompress_into(encoding, &packed, 1 << 30, &mut room, &mut plain).unwrap();
            assert!(plain == zeros && plain.capacity() < 2_100_000, "{encoding:?}");
        }
    }

    #[test]
    fn a_lying_snappy_length_takes_no_memory() {
        // Ten bytes that claim 64 MiB, inside the limit.
        let lie = [0x80, 0x80, 0x80, 0x20, 0, 0, 0, 0, 0, 0];
        let error = decompress(Encoding::Snappy, &lie, 1 << 30).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}
