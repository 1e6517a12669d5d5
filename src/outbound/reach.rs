//! Where a request may go.
//!
//! What stands in the operator's files may go anywhere: targets and receivers are mostly private. What
//! a user of an API named may only go to public addresses, and to networks that the operator allows:
//! otherwise whoever may write a receiver could make the server call what only the server can reach
//! (databases, the metadata service of a cloud). Addresses are checked after the name was resolved, and
//! the connection goes to the checked address, so that a name can't change its mind in between.

use crate::{Error, Reason};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which addresses a client connects to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// The operator named the address.
    #[default]
    Anywhere,
    /// Somebody with access to an API named it.
    Public { allowed: Vec<Cidr> },
}

impl Reach {
    /// Refuses an address that is not public and not allowed.
    pub fn check(&self, host: &str, address: IpAddr) -> Result<(), Error> {
        let Self::Public { allowed } = self else { return Ok(()) };
        let plain = unmapped(address);
        if is_public(plain) || allowed.iter().any(|network| network.contains(plain)) {
            return Ok(());
        }
        let message = format!(
            "{host} is {plain}, an address that is not public: an operator allows it with \
             outbound.allow_private"
        );
        Err(Error::new(Reason::Forbidden, message))
    }

    pub fn is_anywhere(&self) -> bool {
        *self == Self::Anywhere
    }
}

/// IPv4 addresses that are written as IPv6 are what they are.
fn unmapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let is_shared = a == 100 && (64..128).contains(&b);
    let is_reserved = a == 0 || a >= 240 || (a, b, c) == (192, 0, 0) || (a, b, c) == (192, 88, 99);
    let is_benchmark = a == 198 && (18..20).contains(&b);
    !(v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_multicast()
        || v4.is_documentation()
        || is_shared
        || is_reserved
        || is_benchmark)
}

fn is_public_v6(v6: Ipv6Addr) -> bool {
    let segments = v6.segments();
    // Only 2000::/3 is given out; of it these carry other addresses or are for books.
    let is_given_out = segments[0] & 0xe000 == 0x2000;
    let is_teredo_or_book = segments[0] == 0x2001 && matches!(segments[1], 0 | 0x0db8);
    let is_6to4 = segments[0] == 0x2002;
    is_given_out && !is_teredo_or_book && !is_6to4
}

/// A network: `10.0.0.0/8`, `fd00::/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    bits: u32,
}

impl Cidr {
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a network: write it like 10.0.0.0/8");
        let (address, bits) = text.split_once('/').unwrap_or((text, ""));
        let address: IpAddr = address.trim().parse().map_err(|_| wrong())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            "" => width,
            bits => bits.trim().parse().ok().filter(|bits| *bits <= width).ok_or_else(wrong)?,
        };
        Ok(Self { address, bits })
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        let (own, other, width) = match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (u128::from(own.to_bits()), u128::from(other.to_bits()), 32)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits(), other.to_bits(), 128),
            _ => return false,
        };
        let shift = width - self.bits;
        shift >= 128 || own >> shift == other >> shift
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}
