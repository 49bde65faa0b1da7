//! How often somebody may try to sign in, before the breaker is asked.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Attempts for one account at once, and how long until there is another one.
const OF_A_NAME: (u32, Duration) = (5, Duration::from_secs(10));
/// Those from one address.
const FROM_AN_ADDRESS: (u32, Duration) = (20, Duration::from_secs(3));
/// Names and addresses that are remembered.
const MOST: usize = 20_000;

#[derive(Clone, PartialEq, Eq, Hash)]
enum Who {
    Name(String),
    Address(IpAddr),
}

/// What was tried of late: when all attempts of somebody will be there again.
#[derive(Default)]
pub struct Attempts(Mutex<HashMap<Who, Duration>>);

impl Attempts {
    /// Takes one attempt of this name and address; false where there is none left. A name is bounded by its caller.
    pub fn take(&self, name: &str, address: IpAddr, now: Duration) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.retain(|_, full| *full > now);
        }
        // A flood of names and addresses must not push out who is being tried: then nobody may.
        if all.len() >= MOST {
            return false;
        }
        let limits = [
            (Who::Address(whole(address)), FROM_AN_ADDRESS),
            (Who::Name(name.to_owned()), OF_A_NAME),
        ];
        limits.into_iter().all(|(who, (most, each))| {
            let full = all.get(&who).copied().unwrap_or(now).max(now) + each;
            let may = full - now <= each * most;
            if may {
                all.insert(who, full);
            }
            may
        })
    }
}

/// Of IPv6 the network: one customer has 2^64 addresses.
fn whole(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => match six.to_ipv4_mapped() {
            Some(four) => IpAddr::V4(four),
            None => {
                let [a, b, c, d, ..] = six.segments();
                IpAddr::from([a, b, c, d, 0, 0, 0, 0])
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_have_so_many_attempts_and_get_new_ones() {
        let attempts = Attempts::default();
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        let tries = |name: &str, last: u8, at: u64| {
            (0..50)
                .filter(|_| attempts.take(name, address(last), Duration::from_secs(at)))
                .count()
        };
        assert_eq!(tries("ann", 1, 0), 5);
        // From another address the name is still spent, and from the same one other names are not.
        assert_eq!(tries("ann", 2, 0), 0);
        assert_eq!(tries("ann", 3, 10), 1);
        assert_eq!(tries("ann", 4, 1_000), 5);
        let spent = (0..50)
            .filter(|at| attempts.take(&format!("name {at}"), address(9), Duration::ZERO))
            .count();
        assert_eq!(spent, 20);
    }

    #[test]
    fn one_network_of_ipv6_is_one_address() {
        let one = whole(
            "2001:db8:1:2:3::4"
                .parse::<IpAddr>()
                .unwrap_or(IpAddr::from([0; 16])),
        );
        let other = whole(
            "2001:db8:1:2:ffff::1"
                .parse::<IpAddr>()
                .unwrap_or(IpAddr::from([0; 16])),
        );
        assert_eq!(one, other);
        assert_eq!(
            whole(IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x201])),
            IpAddr::from([192, 0, 2, 1])
        );
    }
}
