//! A receiver of remote write on loopback, whose answers the test decides.

use model::{FloatHistogram, Labels};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use wire::{
    Encoding, ExemplarRef, LabelLimits, MetadataRef, MetricSink, WriteScratch, decode_write_v1,
    decode_write_v2, decompress,
};

/// What was received, request by request.
#[derive(Debug, Default)]
pub(super) struct Received {
    /// Samples of each series in the order in which they came: times and bits.
    pub(super) samples: BTreeMap<String, Vec<(i64, u64)>>,
    pub(super) histograms: usize,
    pub(super) exemplars: Vec<String>,
    pub(super) metadata: Vec<String>,
    pub(super) requests: usize,
    pub(super) refusals: usize,
    /// The heads of all requests, in lower case.
    pub(super) heads: Vec<String>,
    series: String,
}

impl MetricSink for Received {
    fn series(&mut self, labels: &[u8]) {
        self.series = Labels::from_bytes(labels).unwrap().to_string();
    }
    fn sample(&mut self, timestamp_ms: i64, _: i64, value: f64) {
        let of_series = self.samples.entry(self.series.clone()).or_default();
        of_series.push((timestamp_ms, value.to_bits()));
    }
    fn histogram(&mut self, _: i64, _: i64, _: FloatHistogram) {
        self.histograms += 1;
    }
    fn exemplar(&mut self, exemplar: ExemplarRef<'_>) {
        let labels = Labels::from_bytes(exemplar.labels).unwrap();
        self.exemplars.push(format!("{} {labels}", self.series));
    }
    fn metadata(&mut self, metric: &str, metadata: MetadataRef<'_>) {
        self.metadata.push(format!("{metric} {:?} {}", metadata.kind, metadata.help));
    }
}

/// What to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Take,
    Status(u16),
    /// As Prometheus: the whole request is refused if a sample is older than the newest of its series.
    InOrder,
    HangUp,
}

#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    pub(super) received: Arc<Mutex<Received>>,
    answer: Arc<Mutex<Answer>>,
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received: Arc<Mutex<Received>> = Arc::default();
        let answer = Arc::new(Mutex::new(Answer::Take));
        let receiver =
            Self { address, received: Arc::clone(&received), answer: Arc::clone(&answer) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&received), Arc::clone(&answer)));
            }
        });
        receiver
    }

    pub(super) fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    pub(super) fn look<T>(&self, look: impl FnOnce(&mut Received) -> T) -> T {
        look(&mut self.received.lock().unwrap())
    }

    /// Waits until something holds of what was received.
    pub(super) async fn wait(&self, what: &str, holds: impl Fn(&Received) -> bool) {
        for _ in 0..3_000 {
            if holds(&self.received.lock().unwrap()) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("not within 30 s: {what}: {:?}", self.received.lock().unwrap());
    }
}

async fn serve(
    stream: TcpStream,
    received: Arc<Mutex<Received>>,
    answer: Arc<Mutex<Answer>>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut head, mut line) = (String::new(), String::new());
        while stream.read_line(&mut line).await.ok()? > 2 {
            head += &line.to_ascii_lowercase();
            line.clear();
        }
        let length = head.split("content-length: ").nth(1)?.lines().next()?.parse().ok()?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        let answer = *answer.lock().unwrap();
        let reply = reply(&received, answer, head, &body)?;
        stream.write_all(reply.as_bytes()).await.ok()?;
    }
}

/// `None`: the connection is closed without an answer.
fn reply(received: &Mutex<Received>, answer: Answer, head: String, body: &[u8]) -> Option<String> {
    let mut received = received.lock().unwrap();
    received.requests += 1;
    let is_v2 = head.contains("proto=io.prometheus.write.v2.request");
    received.heads.push(head);
    let mut status = 204;
    match answer {
        Answer::HangUp => return None,
        Answer::Status(other) => status = other,
        Answer::Take => {}
        Answer::InOrder => {
            let mut of_request = Received::default();
            decode(body, is_v2, &mut of_request);
            let newest = |series: &str| received.samples.get(series).and_then(|of| of.last());
            let is_late = of_request.samples.iter().any(|(series, samples)| {
                let newest = newest(series).map_or(i64::MIN, |(time, _)| *time);
                samples.iter().any(|(time, _)| *time < newest)
            });
            status = if is_late { 400 } else { 204 };
        }
    }
    let mut headers = String::new();
    if status == 204 {
        let (samples, histograms, exemplars) = decode(body, is_v2, &mut received);
        let prefix = "X-Prometheus-Remote-Write";
        headers = format!(
            "{prefix}-Samples-Written: {samples}\r\n{prefix}-Histograms-Written: {histograms}\r\n\
             {prefix}-Exemplars-Written: {exemplars}\r\n"
        );
    } else {
        received.refusals += 1;
    }
    Some(format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: 0\r\n\r\n"))
}

fn decode(body: &[u8], is_v2: bool, sink: &mut Received) -> (u64, u64, u64) {
    let plain = decompress(Encoding::Snappy, body, 16 << 20).unwrap();
    let mut scratch = WriteScratch::default();
    let decoded = match is_v2 {
        true => decode_write_v2(&plain, &LabelLimits::NONE, &mut scratch, sink).unwrap(),
        false => decode_write_v1(&plain, &LabelLimits::NONE, &mut scratch, sink).unwrap(),
    };
    assert!(decoded.rejected.is_empty(), "{:?}", decoded.rejected);
    (decoded.samples, decoded.histograms, decoded.exemplars)
}
