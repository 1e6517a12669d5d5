//! A delivery, tried with growing pauses until it succeeds, is refused, or the next look at its group
//! is due.

use super::{Shared, Tenant};
use crate::config::Integration;
use crate::engine::{Delivery, Flush, IntegrationId};
use crate::receivers::SendError;
use crate::records::Record;
use crate::service::Loaded;
use crate::telemetry::{ATTEMPTS_FAILED, FAILED, NOTIFICATIONS};
use observe::Notice;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Tells integrations. Tests bring their own.
pub trait Deliver: Debug + Send + Sync {
    fn deliver<'a>(
        &'a self,
        loaded: &'a Loaded,
        integration: &'a Integration,
        delivery: &'a Delivery,
        timeout: Duration,
    ) -> Pin<Box<dyn Future<Output = Result<(), SendError>> + Send + 'a>>;
}

/// Deliveries of one integration that may be under way at once.
const LANE_WIDTH: usize = 16;

/// Pauses between attempts, as Alertmanager has them.
const PAUSE_FIRST_MS: u64 = 500;
const PAUSE_MOST_MS: u64 = 60_000;

/// How many deliveries of each integration are under way.
#[derive(Debug, Default)]
pub(super) struct Lanes(Mutex<BTreeMap<IntegrationId, Arc<Semaphore>>>);

impl Lanes {
    fn of(&self, integration: &IntegrationId) -> Arc<Semaphore> {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes.entry(integration.clone());
        Arc::clone(lane.or_insert_with(|| Arc::new(Semaphore::new(LANE_WIDTH))))
    }
}

/// All deliveries of a group, at once. Whether none failed.
pub(super) async fn all(shared: &Arc<Shared>, tenant: &Arc<Tenant>, flush: &Flush) -> bool {
    let mut tasks = JoinSet::new();
    for delivery in &flush.deliveries {
        let (shared, tenant) = (Arc::clone(shared), Arc::clone(tenant));
        let delivery = delivery.clone();
        tasks.spawn(async move { one(&shared, &tenant, delivery).await });
    }
    let mut is_told = true;
    while let Some(told) = tasks.join_next().await {
        // A panic was reported by its hook; it counts as a failure.
        is_told &= told.unwrap_or(false);
    }
    is_told
}

async fn one(shared: &Shared, tenant: &Tenant, delivery: Delivery) -> bool {
    let id = &delivery.key.integration;
    let told = match delivery.alerts.is_empty() {
        true => Ok(()),
        false => attempts(shared, tenant, &delivery).await,
    };
    match told {
        Ok(()) => {
            if !delivery.alerts.is_empty() {
                NOTIFICATIONS.increment(&[id.kind]);
            }
            let Delivery { key, entry, .. } = delivery;
            let record = Record::Told(tenant.id.clone(), key.clone(), entry.clone());
            if let Err(error) = shared.record(vec![record]).await {
                let text = "a notification was sent, but could not be recorded: after a restart it may be sent again";
                Notice::error(text, &[("error", &error)]);
            }
            super::locked(&tenant.engine).delivered(key, entry);
            true
        }
        Err(error) => {
            let reason = if error.retry { "time" } else { "refused" };
            FAILED.increment(&[id.kind, reason]);
            let text = "a notification was not delivered";
            let (receiver, tenant) = (&id.receiver, &tenant.id);
            Notice::error(
                text,
                &[
                    ("tenant", tenant),
                    ("receiver", receiver),
                    ("integration", &id.kind),
                    ("group", &delivery.key.group_key),
                    ("error", &error),
                ],
            );
            false
        }
    }
}

async fn attempts(shared: &Shared, tenant: &Tenant, delivery: &Delivery) -> Result<(), SendError> {
    let id = &delivery.key.integration;
    let left = || {
        let left_ms = delivery.deadline_ms.saturating_sub(shared.now().steady_ms);
        Duration::from_millis(u64::try_from(left_ms).unwrap_or(0))
    };
    let lane = tenant.lanes.of(id);
    let out_of_turn = || SendError::again("other deliveries of this integration took all the time");
    let turn = tokio::time::timeout(left(), lane.acquire()).await;
    let _turn = turn.map_err(|_| out_of_turn())?.map_err(|_| out_of_turn())?;
    let mut pause_ms = PAUSE_FIRST_MS;
    loop {
        let error = match attempt(shared, delivery, left()).await {
            Ok(()) => return Ok(()),
            Err(error) if !error.retry => return Err(error),
            Err(error) => error,
        };
        ATTEMPTS_FAILED.increment(&[id.kind]);
        // Between half and one and a half of it, so that many that failed at once do not come back at once.
        let pause = Duration::from_millis(pause_ms / 2 + shared.random.below(pause_ms));
        pause_ms = (pause_ms * 3 / 2).min(PAUSE_MOST_MS);
        // Made before it is asked for, so that a stop in between is not missed.
        let stopping = shared.stopping.notified();
        if pause >= left() || shared.is_stopping() {
            return Err(error);
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stopping => return Err(error),
        }
    }
}

async fn attempt(shared: &Shared, delivery: &Delivery, left: Duration) -> Result<(), SendError> {
    let loaded = shared.loaded();
    let id = &delivery.key.integration;
    let receiver = loaded.config.receiver(&id.receiver);
    let integration = receiver.and_then(|receiver| {
        let same = |one: &&Integration| one.settings.kind() == id.kind && one.index == id.index;
        receiver.integrations.iter().find(same)
    });
    let gone = || SendError::for_good("the integration is not in the configuration any more");
    let integration = integration.ok_or_else(gone)?.clone();
    let sending = shared.deliver.deliver(&loaded, &integration, delivery, left);
    match tokio::time::timeout(left, sending).await {
        Ok(outcome) => outcome,
        Err(_) => Err(SendError::again("no answer before the next look at the group was due")),
    }
}
