//! Writes the server's own metrics into its own store, so that a newcomer's first query has an
//! answer.

use crate::app::App;
use crate::pages::own_metrics;
use model::{LabelsBuilder, METRIC_NAME, MetricKind, TenantId};
use observe::{Metric, Point, PointValue};
use protocols::MetricServices;
use std::sync::Arc;
use std::time::Duration;
use wire::{MetadataRef, MetricSink};

const JOB: &str = "mirador";

/// Writes the value of every instrument at each interval; ends when its task is dropped.
pub(crate) async fn keep_writing(app: Arc<App>, services: MetricServices, interval: Duration) {
    let mut tick = tokio::time::interval(interval);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut is_described = false;
    loop {
        tick.tick().await;
        own_metrics::refresh(&app);
        let mut batch = services.batch(&TenantId::default_tenant());
        let instance = app.addresses.first().map(ToString::to_string).unwrap_or_default();
        let mut writer = Writer { batch: &mut batch, instance, now_ms: app.clock.wall_ms() };
        app.registry.metrics().iter().for_each(|metric| writer.metric(*metric));
        writer.sample("up", &[], None, 1.0);
        if !is_described {
            app.registry.metrics().iter().for_each(|metric| writer.describe(*metric));
        }
        // The write-ahead log reports its own failures; the next tick tries again.
        is_described |= services.gateway.commit(batch).await.is_ok();
    }
}

struct Writer<'a> {
    batch: &'a mut (dyn MetricSink + Send),
    instance: String,
    now_ms: i64,
}

impl Writer<'_> {
    fn metric(&mut self, metric: &dyn Metric) {
        for Point { labels, value } in metric.collect() {
            match value {
                PointValue::Number(value) => self.sample(metric.name(), &labels, None, value),
                PointValue::Histogram { bounds, cumulative, sum } => {
                    let name = metric.name();
                    for (index, count) in cumulative.iter().enumerate() {
                        let bound = bounds.get(index).map_or("+Inf".to_owned(), f64::to_string);
                        let bucket = format!("{name}_bucket");
                        self.sample(&bucket, &labels, Some(&bound), *count as f64);
                    }
                    let count = cumulative.last().copied().unwrap_or(0) as f64;
                    self.sample(&format!("{name}_sum"), &labels, None, sum);
                    self.sample(&format!("{name}_count"), &labels, None, count);
                }
            }
        }
    }

    /// Stores what the metric means, for editors of queries. Once is enough.
    fn describe(&mut self, metric: &dyn Metric) {
        let kind = match metric.kind() {
            observe::MetricKind::Counter => MetricKind::Counter,
            observe::MetricKind::Gauge => MetricKind::Gauge,
            observe::MetricKind::Histogram => MetricKind::Histogram,
        };
        self.batch.metadata(metric.name(), MetadataRef { kind, unit: "", help: metric.help() });
    }

    fn sample(
        &mut self,
        name: &str,
        labels: &[(&'static str, String)],
        bound: Option<&str>,
        value: f64,
    ) {
        let mut builder = LabelsBuilder::new();
        builder.set(METRIC_NAME, name).set("job", JOB).set("instance", &self.instance);
        for (key, text) in labels {
            builder.set(key, text);
        }
        if let Some(bound) = bound {
            builder.set("le", bound);
        }
        self.batch.series(builder.build().as_bytes());
        self.batch.sample(self.now_ms, 0, value);
    }
}
