//! Limits of spans and of questions about them.

use super::active::ActiveOptions;
use crate::section;
use crate::settings::{ByteSize, HumanDuration, Share};
use engine::{HeadMemory, TenantLimit};
use platform::threads::Helpers;
use trace_store::StoreSettings;
use traceql::{EngineOptions, Limits};

section! {
    /// Traces, whatever protocol they come through.
    TracesSettings as "traces" {
        /// How far in the future a span may start, because the clocks of senders differ. Spans that
        /// start later, or before what `retention.traces` keeps, get the time of their arrival; the
        /// attribute `mirador.start_time_unix_nano` tells what was sent.
        creation_grace_period: HumanDuration = HumanDuration::from_secs(600),
        /// Memory for what queries decoded.
        cache_size: ByteSize = ByteSize::mib(32),
        /// The longest that a query may run.
        query_timeout: HumanDuration = HumanDuration::from_secs(60),
        /// How many of the server's own requests it stores spans of (`service.name` is `mirador`, in the
        /// default tenant): a share from 0 to 1. Requests that bring W3C's `traceparent` are stored as
        /// its flag says. 0: none at all.
        store_own_requests: Share = Share(0.01),
        /// The memory that one query may hold.
        max_memory: ByteSize = ByteSize::mib(1_024),
        /// Spans in flight that are known of one tenant, from pending and partial spans and from heartbeats;
        /// further ones are not listed. 0 lists none.
        active_spans: usize = 10_000,
        /// How often something is heard of a span in flight whose sender does not say so: after three times
        /// as long without, it is listed no more.
        active_heartbeat: HumanDuration = HumanDuration::from_secs(120),
    }
}

/// What holds for traces, whatever protocol they come through.
#[derive(Clone, Debug)]
pub struct TraceOptions {
    pub(super) future_grace_ms: i64,
}

impl TracesSettings {
    /// How the store is opened.
    pub fn store_settings(
        &self,
        tenants: TenantLimit,
        head_memory: HeadMemory,
        head_size: u64,
    ) -> StoreSettings {
        StoreSettings {
            cache_bytes: self.cache_size.length(),
            tenants,
            head_memory,
            // Half as much again as a flush begins at: one head is written while the next one fills.
            crowded_bytes: head_size.saturating_add(head_size / 2),
        }
    }

    /// How queries are evaluated.
    pub fn engine_options(&self, helpers: Helpers) -> EngineOptions {
        let limits = Limits {
            timeout_ms: i64::try_from(self.query_timeout.0.as_millis()).unwrap_or(i64::MAX),
            memory_max: self.max_memory.length(),
            ..Limits::default()
        };
        EngineOptions { limits, helpers, ..EngineOptions::default() }
    }

    /// What spans in flight may take.
    pub fn active_options(&self) -> ActiveOptions {
        ActiveOptions { spans_max: self.active_spans, heartbeat: self.active_heartbeat.0 }
    }

    pub fn options(&self) -> TraceOptions {
        let grace = self.creation_grace_period.0.as_millis();
        TraceOptions { future_grace_ms: i64::try_from(grace).unwrap_or(i64::MAX) }
    }
}

impl TraceOptions {
    pub(crate) fn future_grace_ns(&self) -> i64 {
        self.future_grace_ms.saturating_mul(1_000_000)
    }
}

impl Default for TraceOptions {
    fn default() -> Self {
        TracesSettings::default().options()
    }
}
