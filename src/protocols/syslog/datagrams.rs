//! Messages as datagrams, one in each.
//!
//! Those that arrive while a batch is being stored make the next one, up to a size; beyond it they are
//! dropped and counted, because nobody can be told to send slower.

use super::store::{Batch, store};
use super::{DROPPED, MESSAGES, Syslog};
use crate::Stop;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// What messages may take that wait for the batch before them.
const WAITING_MAX: usize = 4 << 20;
/// No datagram is larger.
const DATAGRAM_MAX: usize = 64 << 10;
/// A pause after an error of the socket, which may stay.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn receive(syslog: Arc<Syslog>, socket: Arc<UdpSocket>, stop: Stop) {
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
                take(&mut waiting, &buffer, received);
                // Whatever else is there already belongs to the same batch.
                while waiting.size() < WAITING_MAX {
                    match socket.try_recv_from(&mut buffer) {
                        Ok(received) => take(&mut waiting, &buffer, Ok(received)),
                        Err(_) => break,
                    }
                }
            }
            () = ended(&mut storing) => storing = None,
        }
        if storing.is_none() && !waiting.is_empty() {
            let (syslog, batch, stop) =
                (Arc::clone(&syslog), std::mem::take(&mut waiting), stop.clone());
            storing = Some(tokio::spawn(async move { store(&syslog, batch, &stop).await }));
        }
    }
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

fn take(waiting: &mut Batch, buffer: &[u8], received: io::Result<(usize, SocketAddr)>) {
    let Ok((length, peer)) = received else { return };
    MESSAGES.increment(&["udp"]);
    if waiting.size() + length > WAITING_MAX {
        return DROPPED.increment(&["queue"]);
    }
    waiting.push(buffer.get(..length).unwrap_or_default(), Some(peer.ip()));
}
