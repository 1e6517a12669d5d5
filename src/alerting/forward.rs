//! Alerts on their way to Alertmanagers elsewhere, as Prometheus sends them (`alerting.alertmanagers`).
//!
//! Each target has a queue and a task of its own, so that one that hangs holds up no other. A batch that
//! fails is not sent again: whoever raises alerts tells them again while they fire.
//! Invariants: a queue is bounded, and when it is full the oldest alerts make room; sending never waits
//! for a target.

use crate::telemetry::{FORWARD_DROPPED, FORWARD_FAILED, FORWARDED};
use model::Alert;
use observe::{Notice, Seldom};
use outbound::{Client, HttpConfig, Reach, Request, Url};
use platform::Clock;
use relabel::Rules;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use template::time::{Time, show};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

/// Alerts that may wait for one target.
const QUEUE_MAX: usize = 10_000;
/// Alerts of one request.
const BATCH: usize = 256;
/// How often a target's failures are told.
const TOLD_EACH_MS: i64 = 60_000;

/// An Alertmanager elsewhere.
#[derive(Clone, Debug)]
pub struct ForwardTarget {
    /// Where alerts are posted: `http://host:9093/api/v2/alerts`.
    pub url: Url,
    pub http: HttpConfig,
    /// Rewrites and drops alerts for this target.
    pub relabel: Rules,
    pub timeout: Duration,
}

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Forwarder(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    runtime: Handle,
    clock: Arc<dyn Clock>,
    lanes: Mutex<Vec<Arc<Lane>>>,
    stopping: watch::Sender<bool>,
}

#[derive(Debug)]
struct Lane {
    target: ForwardTarget,
    waiting: Mutex<VecDeque<Arc<Alert>>>,
    wake: Notify,
    is_gone: AtomicBool,
    told: Seldom,
    clock: Arc<dyn Clock>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Forwarder {
    pub fn new(runtime: Handle, clock: Arc<dyn Clock>) -> Self {
        let (stopping, _) = watch::channel(false);
        Self(Arc::new(Shared { runtime, clock, lanes: Mutex::default(), stopping }))
    }

    /// The targets from now on. Of those that were there before, what waits is sent all the same.
    pub fn set_targets(&self, targets: Vec<ForwardTarget>) {
        let mut lanes = locked(&self.0.lanes);
        let is_same = |lane: &Lane, target: &ForwardTarget| {
            let known = &lane.target;
            known.url == target.url
                && known.http == target.http
                && known.timeout == target.timeout
                && format!("{:?}", known.relabel) == format!("{:?}", target.relabel)
        };
        let mut kept = Vec::with_capacity(targets.len());
        for target in targets {
            match lanes.iter().find(|lane| is_same(lane, &target)) {
                Some(lane) => kept.push(Arc::clone(lane)),
                None => kept.push(self.begin(target)),
            }
        }
        for lane in lanes.iter().filter(|lane| !kept.iter().any(|one| Arc::ptr_eq(one, lane))) {
            lane.is_gone.store(true, SeqCst);
            lane.wake.notify_one();
        }
        *lanes = kept;
    }

    fn begin(&self, target: ForwardTarget) -> Arc<Lane> {
        let lane = Arc::new(Lane {
            target,
            waiting: Mutex::default(),
            wake: Notify::new(),
            is_gone: AtomicBool::new(false),
            told: Seldom::new(TOLD_EACH_MS),
            clock: Arc::clone(&self.0.clock),
        });
        self.0.runtime.spawn(drive(Arc::clone(&lane), self.0.stopping.subscribe()));
        lane
    }

    /// Sends alerts to all targets; never waits.
    pub fn send(&self, alerts: &[Alert]) {
        let alerts: Vec<Arc<Alert>> = alerts.iter().cloned().map(Arc::new).collect();
        for lane in locked(&self.0.lanes).iter() {
            let mut waiting = locked(&lane.waiting);
            waiting.extend(alerts.iter().cloned());
            let over = waiting.len().saturating_sub(QUEUE_MAX);
            waiting.drain(..over);
            FORWARD_DROPPED.add(over as u64);
            drop(waiting);
            lane.wake.notify_one();
        }
    }

    /// Sends what waits, as long as it may take, and ends.
    pub async fn stop(&self, grace: Duration) {
        let lanes = std::mem::take(&mut *locked(&self.0.lanes));
        self.0.stopping.send_replace(true);
        drop(lanes);
        // Each task holds a receiver until it has sent everything.
        if tokio::time::timeout(grace, self.0.stopping.closed()).await.is_err() {
            Notice::warn("alerts to other Alertmanagers were still waiting at the stop", &[]);
        }
    }
}

async fn drive(lane: Arc<Lane>, mut stopping: watch::Receiver<bool>) {
    let client = match Client::new(&lane.target.http, Reach::Anywhere) {
        Ok(client) => client,
        Err(error) => {
            let url = lane.target.url.authority();
            let text = "alerts can't be sent to an Alertmanager: its settings are wrong";
            return Notice::error(text, &[("target", &url), ("error", &error)]);
        }
    };
    loop {
        let batch: Vec<Arc<Alert>> = {
            let mut waiting = locked(&lane.waiting);
            let count = waiting.len().min(BATCH);
            waiting.drain(..count).collect()
        };
        if !batch.is_empty() {
            post(&lane, &client, &batch).await;
            continue;
        }
        if lane.is_gone.load(SeqCst) || *stopping.borrow() {
            return;
        }
        tokio::select! {
            () = lane.wake.notified() => {}
            _ = stopping.changed() => {}
        }
    }
}

async fn post(lane: &Lane, client: &Client, batch: &[Arc<Alert>]) {
    let alerts: Vec<Value> = batch
        .iter()
        .filter_map(|alert| {
            let labels = lane.target.relabel.apply(&alert.labels)?;
            Some(alert_json(alert, &labels))
        })
        .collect();
    if alerts.is_empty() {
        return;
    }
    let count = alerts.len() as u64;
    let body = Value::from(alerts).to_string();
    let request = Request::post(lane.target.url.clone(), "application/json", body.into_bytes());
    let failure = match client.send(request.timeout(lane.target.timeout)).await {
        Ok(answer) if answer.is_success() => {
            FORWARDED.add(count);
            return;
        }
        Ok(answer) => format!("it answered {}: {}", answer.status, answer.excerpt()),
        Err(error) => error.to_string(),
    };
    FORWARD_FAILED.add(count);
    if let Some(more) = lane.told.admits(lane.clock.wall_ms()) {
        let url = lane.target.url.authority();
        let text = "alerts were not taken by an Alertmanager";
        let more: (&str, &dyn Display) = ("failures_untold", &more);
        Notice::warn(text, &[("target", &url), ("alerts", &count), ("error", &failure), more]);
    }
}

fn alert_json(alert: &Alert, labels: &model::Labels) -> Value {
    let texts = |labels: &model::Labels| {
        let pairs = labels.iter().map(|(name, value)| (name.to_owned(), Value::from(value)));
        pairs.collect::<Map<String, Value>>()
    };
    json!({
        "labels": texts(labels),
        "annotations": texts(&alert.annotations),
        "startsAt": time_text(alert.starts_at_ms),
        "endsAt": time_text(alert.ends_at_ms),
        "generatorURL": alert.generator_url,
    })
}

fn time_text(at_ms: i64) -> String {
    let time = Time::from_unix_nanoseconds(at_ms.saturating_mul(1_000_000));
    let mut out = String::new();
    show(&time, "2006-01-02T15:04:05.999999999Z07:00", &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Labels;
    use platform::sim::SimClock;
    use std::net::SocketAddr;
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    /// Answers every request and passes on how many alerts it held and their first label.
    async fn target(told: mpsc::UnboundedSender<Vec<Value>>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream = BufReader::new(stream);
                let told = told.clone();
                tokio::spawn(async move {
                    loop {
                        let (mut length, mut line) = (0, String::new());
                        while stream.read_line(&mut line).await.unwrap_or(0) > 2 {
                            let lower = line.to_ascii_lowercase();
                            if let Some(value) = lower.strip_prefix("content-length:") {
                                length = value.trim().parse().unwrap();
                            }
                            line.clear();
                        }
                        if length == 0 {
                            return;
                        }
                        let mut body = vec![0; length];
                        stream.read_exact(&mut body).await.unwrap();
                        told.send(serde_json::from_slice(&body).unwrap()).unwrap();
                        stream
                            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                            .await
                            .unwrap();
                    }
                });
            }
        });
        address
    }

    fn forward_target(address: SocketAddr, rules: &str) -> ForwardTarget {
        ForwardTarget {
            url: Url::parse(&format!("http://{address}/api/v2/alerts")).unwrap(),
            http: HttpConfig::default(),
            relabel: yaml::Node::parse(rules).unwrap().read().unwrap(),
            timeout: Duration::from_secs(30),
        }
    }

    fn alerts(count: usize) -> Vec<Alert> {
        let one = |number: usize| Alert {
            labels: Labels::from_pairs([("alertname", "A"), ("n", number.to_string().as_str())]),
            annotations: Labels::empty(),
            starts_at_ms: 1_700_000_000_000,
            ends_at_ms: 1_700_000_000_500,
            generator_url: "http://x".to_owned(),
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn alerts_are_sent_in_batches_and_relabeled_for_each_target() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let ((to_a, mut a), (to_b, mut b)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
            let forwarder = Forwarder::new(Handle::current(), Arc::new(SimClock::new()));
            let drop_all_but_7 = "[ { source_labels: [n], regex: '7', action: keep }, { target_label: site, replacement: jeju } ]";
            forwarder.set_targets(vec![
                forward_target(target(to_a).await, ""),
                forward_target(target(to_b).await, drop_all_but_7),
            ]);
            forwarder.send(&alerts(600));
            forwarder.stop(Duration::from_secs(30)).await;
            let batches: Vec<usize> = std::iter::from_fn(|| a.try_recv().ok()).map(|batch| batch.len()).collect();
            assert_eq!(batches, [256, 256, 88]);
            let kept = b.try_recv().unwrap();
            assert_eq!(kept[0], json!({
                "labels": { "alertname": "A", "n": "7", "site": "jeju" },
                "annotations": {},
                "startsAt": "2023-11-14T22:13:20Z",
                "endsAt": "2023-11-14T22:13:20.5Z",
                "generatorURL": "http://x",
            }));
            assert_eq!((kept.len(), b.try_recv().is_err()), (1, true));
        });
    }

    #[test]
    fn a_queue_is_bounded_and_targets_may_change() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (to_a, mut a) = mpsc::unbounded_channel();
            let address = target(to_a).await;
            let forwarder = Forwarder::new(Handle::current(), Arc::new(SimClock::new()));
            forwarder.set_targets(vec![forward_target(address, "")]);
            let before = FORWARD_DROPPED.value();
            // Nothing is sent before this task waits for the first time.
            forwarder.send(&alerts(QUEUE_MAX + 5));
            assert_eq!(FORWARD_DROPPED.value(), before + 5);
            // A target that stays keeps what waits; one that goes sends it.
            forwarder.set_targets(vec![forward_target(address, "")]);
            forwarder.set_targets(Vec::new());
            forwarder.send(&alerts(1));
            let mut count = 0;
            let mut first = None;
            while count < QUEUE_MAX {
                let batch = a.recv().await.unwrap();
                first.get_or_insert(batch[0]["labels"]["n"].clone());
                count += batch.len();
            }
            assert_eq!((count, first), (QUEUE_MAX, Some(json!("5"))));
            forwarder.stop(Duration::from_secs(30)).await;
            assert!(a.try_recv().is_err());
        });
    }
}
