//! Slows down whoever guesses passwords.
//!
//! Failures are counted for each pair of user and address: after a few of them, further passwords from
//! that address for that user are refused for a while, unseen, and longer with every further failure.
//! So a guesser elsewhere never keeps a user out. Neither does one behind the same proxy, once the user has
//! logged in since the start: a password that was verified before is recognised without a check and passes,
//! and so do tokens, which nobody can guess.
//! Each address may have only a few checks under way at once, so that one guesser doesn't fill the queue of
//! checks, which is short because each takes memory and time on purpose.
//!
//! Everything here is bounded: addresses, users per address, and the time that failures are remembered.
//! Where there is no room for another user, the one with the fewest failures is forgotten, so that guessing
//! many names hides no name that was guessed often, and refuses no name that was not.

use codec::xxh3_64;
use protocols::Refusal;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Failures before passwords are refused: people mistype.
const FREE_FAILURES: u32 = 5;
/// The first refusal lasts this long, each further one twice as long.
const FIRST_WAIT_MS: i64 = 1_000;
const WAIT_MAX_MS: i64 = 60_000;
/// Failures are forgotten after this long without another one.
const FORGET_MS: i64 = 900_000;
/// With the users of each, at most about 10 MB.
const ADDRESSES_MAX: usize = 1_024;
const USERS_MAX: usize = 128;
/// Of the 16 checks that may wait (catalog::Users).
const CHECKS_PER_ADDRESS: u32 = 4;

#[derive(Clone, Debug, Default)]
pub(crate) struct Attempts(Arc<Mutex<BTreeMap<IpAddr, Address>>>);

#[derive(Debug, Default)]
struct Address {
    checking: u32,
    users: BTreeMap<u64, Failures>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    count: u32,
    last_ms: i64,
}

/// The right to check one password; dropped when the check is over.
#[derive(Debug)]
pub(crate) struct Attempt {
    attempts: Attempts,
    address: IpAddr,
    user: u64,
}

impl Attempts {
    /// Whether a password for this user may be checked now.
    pub(crate) fn begin(
        &self,
        address: IpAddr,
        user: &str,
        now_ms: i64,
    ) -> Result<Attempt, Refusal> {
        let (address, user) = (network(address), xxh3_64(user.as_bytes()));
        let mut addresses = self.lock();
        make_room(&mut addresses, address, now_ms);
        let known = addresses.entry(address).or_default();
        let wait_ms = known.wait_ms(user, now_ms);
        if wait_ms > 0 {
            return Err(Refusal::Guessing { seconds: (wait_ms + 999) / 1_000 });
        }
        if known.checking >= CHECKS_PER_ADDRESS {
            return Err(Refusal::Busy);
        }
        known.checking += 1;
        drop(addresses);
        Ok(Attempt { attempts: self.clone(), address, user })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<IpAddr, Address>> {
        // Every change is a single assignment, so it is consistent even after a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt {
    /// The check is done.
    pub(crate) fn end(self, was_right: bool, now_ms: i64) {
        let mut addresses = self.attempts.lock();
        let Some(known) = addresses.get_mut(&self.address) else { return };
        match was_right {
            true => known.forgive(self.user),
            false => known.fail(self.user, now_ms),
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(known) = self.attempts.lock().get_mut(&self.address) {
            known.checking = known.checking.saturating_sub(1);
        }
    }
}

impl Address {
    fn wait_ms(&self, user: u64, now_ms: i64) -> i64 {
        self.users.get(&user).map_or(0, |failures| failures.wait_ms(now_ms))
    }

    fn fail(&mut self, user: u64, now_ms: i64) {
        if self.users.len() >= USERS_MAX && !self.users.contains_key(&user) {
            self.users.retain(|_, failures| !failures.is_forgotten(now_ms));
        }
        if self.users.len() >= USERS_MAX && !self.users.contains_key(&user) {
            let fewest = self.users.iter().min_by_key(|(_, found)| (found.count, found.last_ms));
            fewest.map(|(user, _)| *user).map(|user| self.users.remove(&user));
        }
        self.users.entry(user).or_default().add(now_ms);
    }

    fn forgive(&mut self, user: u64) {
        self.users.remove(&user);
    }

    fn last_ms(&self) -> i64 {
        self.users.values().map(|failures| failures.last_ms).max().unwrap_or(0)
    }
}

impl Failures {
    fn add(&mut self, now_ms: i64) {
        let before = if self.is_forgotten(now_ms) { 0 } else { self.count };
        *self = Self { count: before.saturating_add(1), last_ms: now_ms };
    }

    fn is_forgotten(&self, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.last_ms) >= FORGET_MS
    }

    /// How long passwords are still refused.
    fn wait_ms(&self, now_ms: i64) -> i64 {
        if self.count < FREE_FAILURES || self.is_forgotten(now_ms) {
            return 0;
        }
        let doublings = (self.count - FREE_FAILURES).min(16);
        let wait_ms = (FIRST_WAIT_MS << doublings).min(WAIT_MAX_MS);
        // A clock that was set back must not make a wait longer.
        self.last_ms.saturating_add(wait_ms).saturating_sub(now_ms).min(wait_ms)
    }
}

/// When the table is full, makes room for an address by forgetting the one that failed longest ago.
fn make_room(addresses: &mut BTreeMap<IpAddr, Address>, address: IpAddr, now_ms: i64) {
    if addresses.len() < ADDRESSES_MAX || addresses.contains_key(&address) {
        return;
    }
    let is_old = |known: &Address| now_ms.saturating_sub(known.last_ms()) >= FORGET_MS;
    addresses.retain(|_, known| known.checking > 0 || !is_old(known));
    if addresses.len() >= ADDRESSES_MAX {
        let idle = addresses.iter().filter(|(_, known)| known.checking == 0);
        let oldest = idle.min_by_key(|(_, known)| known.last_ms()).map(|(address, _)| *address);
        oldest.map(|oldest| addresses.remove(&oldest));
    }
}

/// Who has one IPv6 address usually has 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "192.0.2.1";

    fn guess(attempts: &Attempts, address: &str, user: &str, now_ms: i64) -> bool {
        match attempts.begin(address.parse().unwrap(), user, now_ms) {
            Err(_) => false,
            Ok(attempt) => {
                attempt.end(false, now_ms);
                true
            }
        }
    }

    /// Guesses that are checked in a day of guessing as quickly as possible.
    fn guesses_in_a_day(attempts: &Attempts, address: &str, user: &str) -> usize {
        (0..86_400_000).step_by(500).filter(|ms| guess(attempts, address, user, *ms)).count()
    }

    #[test]
    fn a_guesser_is_slowed_down_and_nobody_else() {
        let attempts = Attempts::default();
        let checked = guesses_in_a_day(&attempts, HERE, "kim");
        assert!((1_000..2_000).contains(&checked), "{checked} of 172800 guesses");
        let now_ms = 86_400_000;
        assert!(!guess(&attempts, HERE, "kim", now_ms));
        assert!(guess(&attempts, "192.0.2.2", "kim", now_ms), "the user from elsewhere");
        assert!(guess(&attempts, HERE, "lee", now_ms), "another user from there");
        assert!(guess(&attempts, HERE, "kim", now_ms + WAIT_MAX_MS), "the wait has an end");
        assert!(guess(&attempts, HERE, "kim", now_ms + FORGET_MS + WAIT_MAX_MS));
    }

    #[test]
    fn a_right_password_clears_the_count() {
        let attempts = Attempts::default();
        for _ in 0..FREE_FAILURES - 1 {
            assert!(guess(&attempts, HERE, "kim", 0));
        }
        attempts.begin(HERE.parse().unwrap(), "kim", 0).unwrap().end(true, 0);
        assert!(guess(&attempts, HERE, "kim", 0) && guess(&attempts, HERE, "kim", 0));
    }

    #[test]
    fn addresses_of_one_network_are_one() {
        let attempts = Attempts::default();
        for number in 0..u64::from(FREE_FAILURES) {
            assert!(guess(&attempts, &format!("2001:db8::{number:x}"), "kim", 0));
        }
        assert!(!guess(&attempts, "2001:db8::ffff", "kim", 0));
        assert!(guess(&attempts, "2001:db8:0:1::1", "kim", 0));
    }

    #[test]
    fn one_address_does_not_fill_the_queue() {
        let attempts = Attempts::default();
        let begin = |address: &str| attempts.begin(address.parse().unwrap(), "kim", 0);
        let mut held: Vec<_> = (0..CHECKS_PER_ADDRESS).map(|_| begin(HERE).unwrap()).collect();
        assert!(matches!(begin(HERE), Err(Refusal::Busy)));
        assert!(begin("192.0.2.2").is_ok());
        held.pop();
        assert!(begin(HERE).is_ok());
    }

    #[test]
    fn memory_is_bounded() {
        let attempts = Attempts::default();
        for number in 0..2 * ADDRESSES_MAX as u32 {
            let address = IpAddr::from(number.to_be_bytes()).to_string();
            guess(&attempts, &address, "kim", i64::from(number));
        }
        assert_eq!(attempts.lock().len(), ADDRESSES_MAX);
    }

    /// Neither does it refuse other users of that address.
    #[test]
    fn guessing_many_names_hides_no_other_guess() {
        let attempts = Attempts::default();
        for _ in 0..FREE_FAILURES {
            assert!(guess(&attempts, HERE, "kim", 0));
        }
        for name in 0..10_000 {
            assert!(guess(&attempts, HERE, &name.to_string(), 0), "{name}");
        }
        assert_eq!(attempts.lock()[&HERE.parse::<IpAddr>().unwrap()].users.len(), USERS_MAX);
        assert!(!guess(&attempts, HERE, "kim", 0));
        assert!(guess(&attempts, HERE, "lee", 0));
    }
}
