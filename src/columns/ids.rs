//! Identifiers: hexadecimal texts of one length, stored as the bytes that they stand for.

/// Whether the text is lower-case hexadecimal with an even number of digits.
pub fn is_hex(text: &[u8]) -> bool {
    text.len().is_multiple_of(2)
        && text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn digit(byte: u8) -> u8 {
    if byte <= b'9' { byte - b'0' } else { byte - b'a' + 10 }
}

/// Appends the bytes of a text for which [`is_hex`] holds.
pub fn hex_to_ids(hex: &[u8], into: &mut Vec<u8>) {
    into.extend(hex.chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])));
}

/// Appends the text of bytes.
pub fn ids_to_hex(bytes: &[u8], into: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    into.reserve(bytes.len() * 2);
    for byte in bytes {
        into.push(DIGITS[usize::from(byte >> 4)]);
        into.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_come_back(bytes: Vec<u8>) {
            let (mut hex, mut back) = (Vec::new(), Vec::new());
            ids_to_hex(&bytes, &mut hex);
            prop_assert!(is_hex(&hex));
            hex_to_ids(&hex, &mut back);
            prop_assert_eq!(back, bytes);
        }
    }
}
