//! What the kill ledgers have in common: a server under load of writers, with flushes or merges all the
//! time, that is killed at a random moment.
//!
//! `LEDGER_CYCLES=200` runs them longer.

use crate::client::Connection;
use crate::support::Server;
use platform::{Random, SeededRandom};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// How often the server is killed: as usual, unless the environment sets another number.
pub(crate) fn cycles(usual: usize) -> usize {
    std::env::var("LEDGER_CYCLES").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Loads the server with writers until it is killed. A writer is given its number, and returns when its
/// connection breaks or the flag is set.
pub(crate) fn load_and_kill(
    server: Server,
    random: &SeededRandom,
    writers: usize,
    write: impl Fn(usize, &AtomicBool) + Sync,
) {
    let stop = AtomicBool::new(false);
    let address = server.address;
    let path = ["/-/flush", "/-/merge"][random.below(2) as usize];
    std::thread::scope(|scope| {
        for writer in 0..writers {
            let (stop, write) = (&stop, &write);
            scope.spawn(move || write(writer, stop));
        }
        scope.spawn(|| {
            let Ok(mut connection) = Connection::try_open(address) else { return };
            while connection.try_send("POST", path, &[], b"").is_ok() {}
        });
        std::thread::sleep(Duration::from_millis(50 + random.below(500)));
        server.kill();
        stop.store(true, Relaxed);
    });
}
