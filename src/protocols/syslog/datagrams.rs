//! Messages as datagrams, one in each.
//!
//! Those that arrive while a batch is being stored make the next one, up to a size; beyond it they are
//! dropped and counted, because nobody can be told to send slower. What the kernel drops, because it got
//! no time to hand datagrams over, is counted as well.

use super::store::{Batch, store};
use super::{DROPPED, MESSAGES, Syslog};
use crate::Stop;
use observe::Notice;
use platform::{datagrams_dropped, set_receive_buffer};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

/// What messages may take that wait for the batch before them.
const WAITING_MAX: usize = 4 << 20;
/// No datagram is larger.
const DATAGRAM_MAX: usize = 64 << 10;
/// How often the kernel is asked what it dropped.
const KERNEL_INTERVAL: Duration = Duration::from_secs(1);
/// A pause after an error of the socket, which may stay.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn receive(syslog: Arc<Syslog>, socket: Arc<UdpSocket>, stop: Stop) {
    enlarge(&socket, syslog.settings.udp_buffer.length());
    let mut kernel = Kernel::default();
    let mut kernel_due = tokio::time::interval(KERNEL_INTERVAL);
    kernel_due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut buffer = vec![0; DATAGRAM_MAX];
    let mut waiting = Batch::default();
    let mut storing: Option<JoinHandle<()>> = None;
    loop {
        tokio::select! {
            () = stop.requested() => break,
            received = socket.recv_from(&mut buffer) => {
                if received.is_err() {
                    tokio::time::sleep(PAUSE).await;
                }
                let mut count = take(&mut waiting, &buffer, received);
                // Whatever else is there already belongs to the same batch.
                while waiting.size() < WAITING_MAX {
                    match socket.try_recv_from(&mut buffer) {
                        Ok(received) => count += take(&mut waiting, &buffer, Ok(received)),
                        Err(_) => break,
                    }
                }
                MESSAGES.add(&["udp"], count);
            }
            _ = kernel_due.tick() => kernel.ask(&socket),
            () = ended(&mut storing) => storing = None,
        }
        if storing.is_none() && !waiting.is_empty() {
            let (syslog, batch, stop) =
                (Arc::clone(&syslog), std::mem::take(&mut waiting), stop.clone());
            storing = Some(tokio::spawn(async move { store(&syslog, batch, &stop).await }));
        }
    }
    kernel.ask(&socket);
    if let Some(storing) = storing {
        // A panic there is told by the panic itself.
        drop(storing.await);
    }
    store(&syslog, waiting, &stop).await;
}

async fn ended(storing: &mut Option<JoinHandle<()>>) {
    match storing {
        Some(storing) => drop(storing.await),
        None => std::future::pending().await,
    }
}

/// Answers how many messages arrived: one, or none.
fn take(waiting: &mut Batch, buffer: &[u8], received: io::Result<(usize, SocketAddr)>) -> u64 {
    let Ok((length, peer)) = received else { return 0 };
    match waiting.size() + length > WAITING_MAX {
        true => DROPPED.increment(&["queue"]),
        false => waiting.push(buffer.get(..length).unwrap_or_default(), Some(peer.ip())),
    }
    1
}

fn enlarge(socket: &UdpSocket, wanted: usize) {
    let got = set_receive_buffer(socket, wanted).unwrap_or(0);
    if got < wanted {
        let (wanted, got) = (wanted.to_string(), got.to_string());
        let fields: [(&str, &dyn std::fmt::Display); 2] = [("wanted", &wanted), ("got", &got)];
        Notice::info(BUFFER_SMALL, &fields);
    }
}

const BUFFER_SMALL: &str = "the kernel gave the socket of syslog a smaller buffer than syslog.udp_buffer: \
    raise net.core.rmem_max, or bursts of datagrams are lost";

/// What the kernel dropped.
#[derive(Default)]
struct Kernel {
    seen: u64,
}

impl Kernel {
    /// Counts what it dropped since the last time.
    fn ask(&mut self, socket: &UdpSocket) {
        let Some(dropped) = datagrams_dropped(socket) else { return };
        DROPPED.add(&["kernel"], dropped.saturating_sub(self.seen));
        self.seen = dropped;
    }
}
