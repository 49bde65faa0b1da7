//! Which addresses messages may be sent to. A target comes from the configuration, and its name is resolved by whoever
//! answers for it: without this, an alert could be made to knock at what only this network can reach.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde::{Deserialize, Deserializer, de::Error};

/// A network such as `10.1.0.0/16`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        let refuse = || {
            let shown: String = text.chars().take(60).collect();
            format!(
                "`{shown}` is no network: write an address, or one such as 10.1.0.0/16 or fd00::/8"
            )
        };
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| refuse())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most),
            None => Some(most),
        };
        let bits = bits.ok_or_else(refuse)?;
        Ok(Network { address, bits })
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Network, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl Network {
    fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let apart = own.to_bits() ^ other.to_bits();
                apart.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let apart = own.to_bits() ^ other.to_bits();
                apart.leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }
}

/// Decides about addresses of one channel.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Networks that are allowed though they are not public.
    pub allow: Vec<Network>,
    /// Whether only those are allowed: what is sent is not encrypted.
    pub only_allowed: bool,
}

/// An address that nothing is sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forbidden {
    address: IpAddr,
    kind: &'static str,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "it leads to {}, {}, where nothing is sent: name another address, or put this one or its network into `allow`",
            self.address, self.kind
        )
    }
}

impl std::error::Error for Forbidden {}

impl Guard {
    /// Whether something may be sent to this address.
    ///
    /// # Errors
    /// Says which kind of address it is.
    pub fn check(&self, address: IpAddr) -> Result<(), Forbidden> {
        let address = address.to_canonical();
        let forbid = |kind| Err(Forbidden { address, kind });
        if self.allow.iter().any(|network| network.holds(address)) {
            return Ok(());
        }
        match not_public(address) {
            Some(kind) => forbid(kind),
            None if self.only_allowed => forbid("a public address without encryption (`http://`)"),
            None => Ok(()),
        }
    }
}

/// Which kind of address it is, unless it is one of the public internet.
fn not_public(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => not_public_v4(address),
        IpAddr::V6(address) => not_public_v6(address),
    }
}

fn not_public_v4(address: Ipv4Addr) -> Option<&'static str> {
    let [first, second, third, _] = address.octets();
    match () {
        () if address.is_loopback() => Some("a loopback address"),
        () if address.is_private() => Some("a private address"),
        () if address.is_link_local() => Some("a link-local address"),
        () if first == 0 => Some("an address of this host"),
        () if first == 100 && second & 0xc0 == 64 => {
            Some("an address shared by a provider's customers")
        }
        () if first == 192 && second == 0 && third == 0 => Some("an address kept for protocols"),
        () if first == 198 && second & 0xfe == 18 => Some("an address for benchmarks"),
        () if address.is_documentation() => Some("an address for documentation"),
        () if address.is_multicast() => Some("a multicast address"),
        () if first >= 240 => Some("a reserved or broadcast address"),
        () => None,
    }
}

fn not_public_v6(address: Ipv6Addr) -> Option<&'static str> {
    let parts = address.segments();
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        not_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match parts {
        _ if address.is_loopback() => Some("a loopback address"),
        _ if address.is_unspecified() => Some("an address of this host"),
        // An IPv4 address in another form: by translation, by 6to4, in the old compatible form.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x64, 0xff9b, 1, ..] => Some("an address of a local translation"),
        [0x2002, high, low, ..] => embedded(high, low),
        [0, 0, 0, 0, 0, 0, _, _] => Some("an address in a form that is not used any more"),
        [0x2001, second, ..] if second < 0x200 => Some("an address kept for protocols"),
        [0x2001, 0xdb8, ..] => Some("an address for documentation"),
        [first, ..] if first & 0xfe00 == 0xfc00 => Some("a private address"),
        [first, ..] if first & 0xffc0 == 0xfe80 => Some("a link-local address"),
        [first, ..] if first & 0xffc0 == 0xfec0 => Some("a site-local address"),
        [first, ..] if first & 0xff00 == 0xff00 => Some("a multicast address"),
        // All that was ever given out begins so.
        [first, ..] if first & 0xe000 != 0x2000 => Some("an address that is not given out"),
        _ => None,
    }
}

/// Resolves a name, and hands out only addresses that may be sent to: the connection goes to one of them, without a
/// second look at the name.
#[derive(Clone, Debug)]
pub(crate) struct GuardedNames(pub(crate) Guard);

impl Resolve for GuardedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let mut forbidden = None;
            let mut allowed: Vec<SocketAddr> = Vec::new();
            for address in found {
                match guard.check(address.ip()) {
                    Ok(()) => allowed.push(address),
                    Err(why) => forbidden = Some(why),
                }
            }
            match (allowed.is_empty(), forbidden) {
                (true, Some(why)) => Err(why.into()),
                (true, None) => Err("its name leads to no address".into()),
                (false, _) => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(guard: &Guard, address: &str) -> Result<(), Forbidden> {
        guard.check(address.parse().expect("an address"))
    }

    #[test]
    fn only_public_addresses_are_sent_to() {
        let guard = Guard::default();
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "0.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.8",
            "198.18.0.1",
            "198.19.255.255",
            "192.0.2.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "4000::1",
            "100::1",
        ] {
            assert!(check(&guard, address).is_err(), "{address}");
        }
        for address in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00::1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::1",
            "2001:200::1",
        ] {
            assert!(check(&guard, address).is_ok(), "{address}");
        }
    }

    #[test]
    fn a_network_is_allowed_by_name_and_no_other() {
        let allow = ["10.1.0.0/16", "127.0.0.1", "fd00:1::/32"];
        let allow = allow.map(|text| text.parse().expect("a network"));
        let guard = Guard {
            allow: allow.to_vec(),
            only_allowed: false,
        };
        for address in [
            "10.1.255.1",
            "127.0.0.1",
            "::ffff:127.0.0.1",
            "fd00:1:2::3",
            "1.1.1.1",
        ] {
            assert!(check(&guard, address).is_ok(), "{address}");
        }
        for address in ["10.2.0.1", "127.0.0.2", "fd00:2::1", "192.168.0.1", "::1"] {
            assert!(check(&guard, address).is_err(), "{address}");
        }
        let plain = Guard {
            only_allowed: true,
            ..guard
        };
        assert!(check(&plain, "10.1.0.1").is_ok());
        assert!(check(&plain, "1.1.1.1").is_err());
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "localhost",
            "::/129",
            "10.0.0.0/-1",
            "10.0.0.0/",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        let all: Network = "0.0.0.0/0".parse().expect("a network");
        assert!(all.holds("10.0.0.1".parse().expect("an address")));
    }
}
