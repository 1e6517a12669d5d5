//! Messages as datagrams, one in each, and the patience with which messages are stored that their senders
//! do not send again.
//!
//! Datagrams that arrive while a batch is being stored make the next one, up to a size; beyond it they
//! are dropped and counted, because nobody can be told to send slower. What the kernel drops, because it
//! got no time to hand datagrams over, is counted as well.

use crate::Stop;
use crate::services::{ServiceError, Services};
use observe::{Event, Fields, Level, Notice, Seldom};
use platform::{datagrams_dropped, set_receive_buffer};
use std::io;
use std::net::{IpAddr, SocketAddr};
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

/// The protocol whose datagrams arrive at a socket.
pub(crate) trait DatagramSink: Send + Sync + 'static {
    /// What the kernel is to keep of datagrams that are not read yet, and the setting that says so.
    fn buffer(&self) -> (usize, &'static str);
    fn count_arrived(&self, count: u64);
    fn count_dropped(&self, reason: &'static str, count: u64);
    /// Stores a batch, or counts what is dropped of it. Ends soon after `stop` is requested.
    fn store(
        self: Arc<Self>,
        batch: MessageBatch,
        stop: Stop,
    ) -> impl Future<Output = ()> + Send + 'static;
}

/// Messages that are stored together.
#[derive(Clone, Debug, Default)]
pub(crate) struct MessageBatch {
    bytes: Vec<u8>,
    /// Where each message ends, and who sent it.
    messages: Vec<(usize, Option<IpAddr>)>,
}

impl MessageBatch {
    pub(crate) fn push(&mut self, message: &[u8], peer: Option<IpAddr>) {
        if !message.trim_ascii().is_empty() {
            self.bytes.extend_from_slice(message);
            self.messages.push((self.bytes.len(), peer));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn size(&self) -> usize {
        self.bytes.len() + self.messages.len() * size_of::<(usize, Option<IpAddr>)>()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], Option<IpAddr>)> {
        let starts = std::iter::once(0).chain(self.messages.iter().map(|(end, _)| *end));
        let spans = starts.zip(&self.messages);
        spans.map(|(start, (end, peer))| (self.bytes.get(start..*end).unwrap_or_default(), *peer))
    }
}

/// Messages were lost.
struct MessagesLost<'a> {
    protocol: &'a str,
    count: usize,
    reason: &'a str,
}

impl Event for MessagesLost<'_> {
    const LEVEL: Level = Level::Warn;
    const MESSAGE: &'static str = "messages were lost, whose senders do not send them again";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.text("protocol", self.protocol);
        fields.integer("messages", self.count as u64);
        fields.text("reason", self.reason);
    }
}

/// Logs once a minute at most.
static SAID: Seldom = Seldom::new(60_000);

/// How long the store is given before it is asked again.
const STORE_PAUSE: Duration = Duration::from_millis(500);

/// Attempts to store so many messages of a protocol until the store has taken them or can't ever, or the
/// server stops. Answers whether they are stored.
pub(crate) async fn store_patiently<F: Future<Output = Result<(), ServiceError>>>(
    services: &Services,
    (protocol, count): (&str, usize),
    stop: &Stop,
    mut attempt: impl FnMut() -> F,
) -> bool {
    loop {
        let Err(error) = attempt().await else { return true };
        let stopping = async {
            tokio::select! {
                () = stop.requested() => true,
                () = tokio::time::sleep(STORE_PAUSE) => false,
            }
        };
        if !error.kind.is_retryable() || stopping.await {
            if SAID.admits(services.clock.wall_ms()).is_some() {
                observe::emit(&MessagesLost { protocol, count, reason: &error.message });
            }
            return false;
        }
    }
}

/// Receives datagrams until `stop` is requested.
pub(crate) async fn receive<S: DatagramSink>(sink: Arc<S>, socket: Arc<UdpSocket>, stop: Stop) {
    enlarge(&socket, sink.buffer());
    let mut kernel = Kernel::default();
    let mut kernel_due = tokio::time::interval(KERNEL_INTERVAL);
    kernel_due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut buffer = vec![0; DATAGRAM_MAX];
    let mut waiting = MessageBatch::default();
    let mut storing: Option<JoinHandle<()>> = None;
    loop {
        tokio::select! {
            () = stop.requested() => break,
            received = socket.recv_from(&mut buffer) => {
                if received.is_err() {
                    tokio::time::sleep(PAUSE).await;
                }
                let mut count = take(&*sink, &mut waiting, &buffer, received);
                // Whatever else is there already belongs to the same batch.
                while waiting.size() < WAITING_MAX {
                    match socket.try_recv_from(&mut buffer) {
                        Ok(received) => count += take(&*sink, &mut waiting, &buffer, Ok(received)),
                        Err(_) => break,
                    }
                }
                sink.count_arrived(count);
            }
            _ = kernel_due.tick() => kernel.ask(&*sink, &socket),
            () = ended(&mut storing) => storing = None,
        }
        if storing.is_none() && !waiting.is_empty() {
            let batch = std::mem::take(&mut waiting);
            storing = Some(tokio::spawn(Arc::clone(&sink).store(batch, stop.clone())));
        }
    }
    kernel.ask(&*sink, &socket);
    if let Some(storing) = storing {
        // A panic there is told by the panic itself.
        drop(storing.await);
    }
    sink.store(waiting, stop).await;
}

async fn ended(storing: &mut Option<JoinHandle<()>>) {
    match storing {
        Some(storing) => drop(storing.await),
        None => std::future::pending().await,
    }
}

/// Answers how many messages arrived: one, or none.
fn take(
    sink: &impl DatagramSink,
    waiting: &mut MessageBatch,
    buffer: &[u8],
    received: io::Result<(usize, SocketAddr)>,
) -> u64 {
    let Ok((length, peer)) = received else { return 0 };
    match waiting.size() + length > WAITING_MAX {
        true => sink.count_dropped("queue", 1),
        false => waiting.push(buffer.get(..length).unwrap_or_default(), Some(peer.ip())),
    }
    1
}

fn enlarge(socket: &UdpSocket, (wanted, setting): (usize, &'static str)) {
    let got = set_receive_buffer(socket, wanted).unwrap_or(0);
    if got < wanted {
        let (wanted, got) = (wanted.to_string(), got.to_string());
        let fields: [(&str, &dyn std::fmt::Display); 3] =
            [("setting", &setting), ("wanted", &wanted), ("got", &got)];
        Notice::info(BUFFER_SMALL, &fields);
    }
}

const BUFFER_SMALL: &str = "the kernel gave a socket a smaller buffer than its setting says: raise \
    net.core.rmem_max, or bursts of datagrams are lost";

/// What the kernel dropped.
#[derive(Default)]
struct Kernel {
    seen: u64,
}

impl Kernel {
    /// Counts what it dropped since the last time.
    fn ask(&mut self, sink: &impl DatagramSink, socket: &UdpSocket) {
        let Some(dropped) = datagrams_dropped(socket) else { return };
        sink.count_dropped("kernel", dropped.saturating_sub(self.seen));
        self.seen = dropped;
    }
}
