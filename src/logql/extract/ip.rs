//! `ip("10.0.0.0/8")`: addresses in lines and labels.
//!
//! Any address within a text counts: it begins where digits and a point or a colon stand, and ends where
//! a character stands that can't belong to it.

use std::net::IpAddr;

/// What addresses are looked for. Those of IPv4 never match one of IPv6.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpMatcher(Addresses);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Addresses {
    One(IpAddr),
    /// The first bits of the address, and how many they are.
    Prefix(IpAddr, u32),
    /// Both ends are included.
    Range(IpAddr, IpAddr),
}

impl IpMatcher {
    /// `10.0.0.1`, `10.0.0.0/8` or `10.0.0.1-10.0.0.9`.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let found = one(pattern).or_else(|| prefix(pattern)).or_else(|| range(pattern));
        let invalid = || format!("ip: invalid pattern: {}", model::quote_go(pattern.as_bytes()));
        found.map(Self).ok_or_else(invalid)
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        match &self.0 {
            Addresses::One(one) => *one == address,
            Addresses::Prefix(prefix, bits) => first_bits(address, *bits) == Some(*prefix),
            Addresses::Range(first, last) => {
                first.is_ipv4() == address.is_ipv4() && (*first..=*last).contains(&address)
            }
        }
    }

    /// Whether any address in the text is one of those looked for.
    pub fn is_match(&self, text: &[u8]) -> bool {
        let mut rest = text;
        while let Some(start) = rest.iter().position(can_begin) {
            rest = rest.get(start..).unwrap_or_default();
            let length = match rest {
                _ if is_ipv4_head(rest) => span(rest, is_ipv4_byte),
                _ if is_ipv6_head(rest) => span(rest, is_ipv6_byte),
                _ => 0,
            };
            let address = rest.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok());
            let address = address.and_then(|text| text.parse().ok());
            if address.is_some_and(|address| self.contains(address)) {
                return true;
            }
            // What ends an address begins no other.
            rest = rest.get(length + 1..).unwrap_or_default();
        }
        false
    }
}

fn one(pattern: &str) -> Option<Addresses> {
    pattern.parse().ok().map(Addresses::One)
}

fn prefix(pattern: &str) -> Option<Addresses> {
    let (address, bits) = pattern.rsplit_once('/')?;
    let is_plain = bits == "0" || (bits.starts_with(|c: char| matches!(c, '1'..='9')));
    let bits = bits.parse().ok().filter(|_| is_plain)?;
    first_bits(address.parse().ok()?, bits).map(|address| Addresses::Prefix(address, bits))
}

fn range(pattern: &str) -> Option<Addresses> {
    let (first, last) = pattern.split_once('-')?;
    let (first, last): (IpAddr, IpAddr) = (first.parse().ok()?, last.parse().ok()?);
    let is_range = first.is_ipv4() == last.is_ipv4() && first <= last;
    is_range.then_some(Addresses::Range(first, last))
}

/// The address with all other bits cleared; `None` where it has not so many.
fn first_bits(address: IpAddr, bits: u32) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.checked_sub(bits)?).unwrap_or(0);
            Some(IpAddr::V4((address.to_bits() & mask).into()))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.checked_sub(bits)?).unwrap_or(0);
            Some(IpAddr::V6((address.to_bits() & mask).into()))
        }
    }
}

fn can_begin(byte: &u8) -> bool {
    byte.is_ascii_hexdigit() || *byte == b':'
}

fn is_ipv4_head(text: &[u8]) -> bool {
    matches!(text, [first, b, c, d, ..]
        if first.is_ascii_digit() && (*b == b'.' || *c == b'.' || *d == b'.'))
}

/// `::f`, or up to four digits and a colon.
fn is_ipv6_head(text: &[u8]) -> bool {
    let Some(head) = text.get(..5) else { return false };
    let digits = head.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    match head {
        [b':', b':', third, ..] => third.is_ascii_hexdigit(),
        _ => (1..5).contains(&digits) && head.get(digits) == Some(&b':'),
    }
}

fn is_ipv4_byte(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'.'
}

fn is_ipv6_byte(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')
}

fn span(text: &[u8], belongs: fn(u8) -> bool) -> usize {
    text.iter().take_while(|byte| belongs(**byte)).count()
}
