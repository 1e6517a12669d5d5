//! Alertmanagers with receivers of the tests' own.

use super::*;
use crate::config::{Config, Integration};
use crate::engine::Delivery;
use crate::notify::Templates;
use crate::receivers::SendError;
use model::Labels;
use platform::SeededRandom;
use platform::sim::{CrashPolicy, SimClock, SimDisk};
use std::pin::Pin;
use tokio::sync::mpsc;

/// Passes deliveries on; those to index 1 never end.
#[derive(Debug)]
struct Told(mpsc::UnboundedSender<String>);

impl Deliver for Told {
    fn deliver<'a>(
        &'a self,
        _: &'a Loaded,
        integration: &'a Integration,
        delivery: &'a Delivery,
        _: Duration,
    ) -> Pin<Box<dyn Future<Output = Result<(), SendError>> + Send + 'a>> {
        Box::pin(async move {
            if integration.index == 1 {
                return std::future::pending().await;
            }
            let names = delivery.alerts.iter().map(|alert| alert.alert.labels.value("alertname"));
            let names: Vec<&str> = names.collect();
            let _ = self.0.send(format!("{}: {}", delivery.key.group_key, names.join(" ")));
            Ok(())
        })
    }
}

fn open(
    disk: &SimDisk,
    runtime: &tokio::runtime::Runtime,
) -> (Alertmanagers, mpsc::UnboundedReceiver<String>) {
    let yaml = "route: { receiver: a, group_by: ['...'], group_wait: 0s }\n\
                receivers: [ { name: a, webhook_configs: [ { url: 'http://a' }, { url: 'http://hangs' } ] } ]\n";
    let (config, templates) = (Config::parse(yaml).unwrap(), Templates::new([]).unwrap());
    let loaded = Loaded { config: Arc::new(config), templates, folder: Default::default() };
    let (tell, told) = mpsc::unbounded_channel();
    let clock = SimClock::new();
    clock.set_wall_ns(0);
    let managers = Alertmanagers::open(Parts {
        clock: Arc::new(clock),
        random: Arc::new(SeededRandom::new(1)),
        disk: Arc::new(disk.clone()),
        deliver: Arc::new(Told(tell)),
        loaded,
        watchdog: None,
        runtime: runtime.handle().clone(),
    });
    (managers.unwrap(), told)
}

fn alert(name: &str) -> Alert {
    Alert {
        labels: Labels::from_pairs([("alertname", name)]),
        annotations: Labels::empty(),
        starts_at_ms: 0,
        ends_at_ms: i64::MAX,
        generator_url: String::new(),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn who_was_told_is_recorded_while_another_hangs() {
    let (disk, runtime) = (SimDisk::new(), runtime());
    let tenant = TenantId::new("blue").unwrap();
    let (managers, mut told) = open(&disk, &runtime);
    managers.put(&tenant, vec![alert("A"), alert("B")]);
    let mut heard = vec![told.blocking_recv().unwrap(), told.blocking_recv().unwrap()];
    heard.sort();
    assert_eq!(heard, ["{}:{alertname=\"A\"}: A", "{}:{alertname=\"B\"}: B"]);
    assert_eq!(managers.alerts(&tenant, &Wanted::default()).len(), 2);
    assert!(managers.alerts(&TenantId::default_tenant(), &Wanted::default()).is_empty());
    // One integration hangs: the stop does not wait for ever.
    runtime.block_on(managers.stop(Duration::from_millis(200)));
    drop(managers);
    let (managers, mut told) = open(&disk.crash(CrashPolicy::LoseUnsynced), &runtime);
    managers.put(&tenant, vec![alert("A"), alert("B"), alert("C")]);
    assert_eq!(told.blocking_recv().unwrap(), "{}:{alertname=\"C\"}: C");
    runtime.block_on(managers.stop(Duration::from_millis(10)));
    assert!(told.try_recv().is_err());
}

#[test]
fn silences_are_on_the_disk_when_they_are_answered() {
    let (disk, runtime) = (SimDisk::new(), runtime());
    let tenant = TenantId::default_tenant();
    let (managers, _told) = open(&disk, &runtime);
    let silence = Silence {
        id: String::new(),
        matchers: crate::parse_matchers("a=b").unwrap(),
        starts_at_ms: 0,
        ends_at_ms: 3_600_000,
        updated_at_ms: 0,
        created_by: "me".to_owned(),
        comment: String::new(),
        annotations: BTreeMap::new(),
    };
    let id = runtime.block_on(managers.set_silence(&tenant, silence.clone())).unwrap();
    assert_eq!((id.len(), &id[14..15]), (36, "4"));
    let after = disk.crash(CrashPolicy::LoseUnsynced);
    let (managers, _told) = open(&after, &runtime);
    assert_eq!(managers.silence(&tenant, &id).unwrap().matchers, silence.matchers);
    let unknown = runtime.block_on(managers.end_silence(&tenant, "x"));
    assert!(matches!(unknown, Err(AlertingError::Silence(SilenceError::NotFound(_)))));
    runtime.block_on(managers.end_silence(&tenant, &id)).unwrap();
    let (managers, _told) = open(&after.crash(CrashPolicy::LoseUnsynced), &runtime);
    assert_eq!(managers.silence(&tenant, &id).unwrap().ends_at_ms, 0);
}

#[test]
fn a_full_disk_refuses_silences_in_words() {
    let (disk, runtime) = (SimDisk::new(), runtime());
    let (managers, _told) = open(&disk, &runtime);
    disk.set_capacity(0);
    let silence = Silence {
        id: String::new(),
        matchers: crate::parse_matchers("a=b").unwrap(),
        starts_at_ms: 0,
        ends_at_ms: 3_600_000,
        updated_at_ms: 0,
        created_by: String::new(),
        comment: String::new(),
        annotations: BTreeMap::new(),
    };
    let refused = runtime.block_on(managers.set_silence(&TenantId::default_tenant(), silence));
    assert!(refused.unwrap_err().to_string().starts_with("it could not be written to the disk: "));
    assert!(managers.silences(&TenantId::default_tenant()).is_empty());
}
