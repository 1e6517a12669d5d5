//! Rules over the stores of the server: queries in the query pool, samples through the gateway.

use crate::backend::{Answer, Backend, Evaluate, EvaluateError, OutSample, Question, Sample, Work};
use crate::language::Language;
use ingest::Gateway;
use log_store::LogStore;
use metric_store::{MetricBatch, MetricStore};
use model::{ErrorKind, Labels, LabelsBuilder, SampleValue, TenantId};
use platform::Clock;
use promql::{QueryValue, SampleOf, SpanSeries, TenantMetrics, TenantSeries};
use query::{Budget, CancelFlag, Control, Pool, RegexBudget};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use trace_store::TraceStore;
use traceql::FieldValue;
use wire::MetricSink;

/// What rules need of the server.
#[derive(Clone)]
pub struct Stores {
    pub clock: Arc<dyn Clock>,
    pub pool: Arc<Pool>,
    /// The memory that all queries share.
    pub memory: Arc<Budget>,
    pub gateway: Arc<Gateway>,
    pub metrics: MetricStore,
    pub logs: LogStore,
    pub traces: TraceStore,
    /// Whether series that spans give are seen.
    pub span_metrics: bool,
    pub promql: promql::EngineOptions,
    pub logql: logql::EngineOptions,
    pub traceql: traceql::EngineOptions,
    /// Makes an empty batch with the limits of a tenant.
    pub batch: Arc<dyn Fn(&TenantId) -> MetricBatch + Send + Sync>,
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stores")
    }
}

/// Raises the flag when nobody waits any more.
struct CancelOnDrop(CancelFlag);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Backend for Stores {
    fn run<'a>(&'a self, tenant: &'a TenantId, work: Work) -> Answer<'a> {
        Box::pin(async move {
            let cancel = CancelFlag::new();
            let _guard = CancelOnDrop(cancel.clone());
            let (tell, told) = oneshot::channel();
            let stores = self.clone();
            let job = move || {
                work(&stores);
                // Nobody is told where the group has been stopped.
                let _ = tell.send(());
            };
            let submitted = self.pool.submit(tenant, cancel, job);
            submitted.map_err(|full| EvaluateError::new(full.kind(), full.to_string()))?;
            let ended =
                |_| EvaluateError::new(ErrorKind::Bug, "the evaluation of the rule panicked");
            told.await.map_err(ended)
        })
    }

    fn write<'a>(&'a self, tenant: &'a TenantId, samples: Vec<OutSample>) -> Answer<'a> {
        let mut batch = (self.batch)(tenant);
        for OutSample { labels, time_ms, value } in samples {
            batch.series(labels.as_bytes());
            match value {
                SampleValue::Float(value) => batch.sample(time_ms, 0, value),
                SampleValue::Histogram(histogram) => {
                    batch.histogram(time_ms, 0, Arc::unwrap_or_clone(histogram));
                }
            }
        }
        Box::pin(async move {
            let written = self.gateway.commit(batch).await;
            let written =
                written.map_err(|error| EvaluateError::new(error.kind(), error.to_string()))?;
            match written.refused {
                Some(refused) => {
                    Err(EvaluateError::new(ErrorKind::Limit, refused.error.to_string()))
                }
                None => Ok(()),
            }
        })
    }

    fn wall_ns(&self) -> i64 {
        self.clock.wall_ns()
    }
}

impl Evaluate for Stores {
    fn instant(&self, question: &Question<'_>) -> Result<Vec<Sample>, EvaluateError> {
        match question.language {
            Language::Promql => self.promql(question),
            Language::Logql => self.logql(question),
            Language::Traceql => self.traceql(question),
        }
    }

    fn deadline(&self) -> CancelFlag {
        let timeout = Duration::from_millis(self.promql.timeout_ms.unsigned_abs());
        CancelFlag::expiring(&self.clock, timeout)
    }

    fn now(&self) -> Duration {
        self.clock.now().0
    }
}

impl Stores {
    fn promql(&self, question: &Question<'_>) -> Result<Vec<Sample>, EvaluateError> {
        let mut options = self.promql.clone();
        if let Some(lookback_ms) = question.lookback_ms {
            options.lookback_ms = lookback_ms;
        }
        let timeout = Duration::from_millis(options.timeout_ms.unsigned_abs());
        let control = Control::new(&*self.clock, Some(timeout), question.cancel.clone());
        let tenant = question.tenant;
        let metrics = TenantMetrics { store: &self.metrics, tenant, filters: Vec::new() };
        let now_ms = self.clock.wall_ms();
        let spans = self.span_metrics.then_some(SpanSeries {
            store: &self.traces,
            tenant,
            now_ms,
            control: &control,
        });
        let storage = TenantSeries { metrics, spans };
        let request = promql::Request {
            cancel: question.cancel.clone(),
            memory: Some(Arc::clone(&self.memory)),
            ..promql::Request::instant(question.query, question.time_ms)
        };
        let result = promql::Engine::new(options).run(&storage, &*self.clock, &request);
        promql_samples(result.map_err(promql_error)?.value)
    }

    fn logql(&self, question: &Question<'_>) -> Result<Vec<Sample>, EvaluateError> {
        let storage = logql::TenantLogs { store: &self.logs, tenant: question.tenant };
        let time_ns = question.time_ms.saturating_mul(1_000_000);
        let request = logql::Request {
            cancel: question.cancel.clone(),
            memory: Some(Arc::clone(&self.memory)),
            ..logql::Request::instant(question.query, time_ns)
        };
        let result = logql::Engine::new(self.logql.clone()).run(&storage, &*self.clock, &request);
        let result = result.map_err(|error| EvaluateError::new(error.kind(), error.to_string()))?;
        match result.value {
            logql::Value::Vector(samples) => Ok(samples
                .into_iter()
                .map(|one| Sample { labels: one.labels, value: SampleValue::Float(one.value) })
                .collect()),
            logql::Value::Scalar { value, .. } => Ok(vec![scalar(value)]),
            logql::Value::Streams(_) | logql::Value::Matrix { .. } => Err(no_vector()),
        }
    }

    /// What the time up to now gives, as long as the group's interval.
    fn traceql(&self, question: &Question<'_>) -> Result<Vec<Sample>, EvaluateError> {
        let failed =
            |error: traceql::QueryError| EvaluateError::new(error.kind(), error.to_string());
        let parsed = traceql::parse(question.query)
            .map_err(|error| EvaluateError::new(ErrorKind::Invalid, error.to_string()))?;
        let end_ns = question.time_ms.saturating_mul(1_000_000);
        let start_ns = end_ns.saturating_sub(question.window_ms.saturating_mul(1_000_000));
        let request = traceql::Request {
            tenant: question.tenant,
            start_ns,
            end_ns,
            cancel: question.cancel.clone(),
            memory: Some(Arc::clone(&self.memory)),
            regexes: RegexBudget::default(),
        };
        let wanted = traceql::Metrics { times: traceql::MetricTimes::Instant, exemplars: 0 };
        let engine = traceql::Engine::new(self.traceql.clone());
        let answer = engine.metrics(&self.traces, &*self.clock, &request, &parsed, &wanted);
        let series = answer.map_err(failed)?.value;
        let sample = |one: traceql::Series| {
            let value = one.values.first().copied().filter(|value| !value.is_nan())?;
            Some(Sample { labels: trace_labels(&one), value: SampleValue::Float(value) })
        };
        Ok(series.into_iter().filter_map(sample).collect())
    }
}

/// Attributes as labels of metrics, whose names have no dots.
fn trace_labels(series: &traceql::Series) -> Labels {
    let mut builder = LabelsBuilder::new();
    for (name, value) in &series.labels {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let name: String = name.chars().map(|c| if is_part(c) { c } else { '_' }).collect();
        // A span without the attribute has no such label.
        if !matches!(value, FieldValue::Nil) {
            builder.set(&name, &value.to_string());
        }
    }
    builder.build()
}

fn scalar(value: f64) -> Sample {
    Sample { labels: Labels::empty(), value: SampleValue::Float(value) }
}

fn no_vector() -> EvaluateError {
    EvaluateError::new(ErrorKind::Invalid, "rule result is not a vector or scalar")
}

pub(crate) fn promql_error(error: promql::QueryError) -> EvaluateError {
    EvaluateError::new(error.kind(), error.to_string())
}

pub(crate) fn promql_samples(value: QueryValue) -> Result<Vec<Sample>, EvaluateError> {
    match value {
        QueryValue::Vector(samples) => Ok(samples
            .into_iter()
            .map(|one| Sample {
                labels: one.labels,
                value: match one.value {
                    SampleOf::Float(value) => SampleValue::Float(value),
                    SampleOf::Histogram(histogram) => SampleValue::Histogram(histogram),
                },
            })
            .collect()),
        QueryValue::Scalar { value, .. } => Ok(vec![scalar(value)]),
        QueryValue::String { .. } | QueryValue::Matrix { .. } | QueryValue::Samples(_) => {
            Err(no_vector())
        }
    }
}
