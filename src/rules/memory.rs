//! Rules over samples in memory, for tests of rules: those of users, and those of this crate.

use crate::backend::{Answer, Backend, Evaluate, EvaluateError, OutSample, Question, Sample, Work};
use crate::language::Language;
use crate::stores::{promql_error, promql_samples};
use model::{ErrorKind, TenantId};
use platform::{Clock, RealClock};
use promql::script::{LoadedSeries, MemoryStorage};
use promql::{Engine, EngineOptions, Request};
use query::CancelFlag;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A store of one tenant, whose clock its owner sets.
#[derive(Clone)]
pub struct MemoryBackend {
    engine: Engine,
    storage: Arc<Mutex<MemoryStorage>>,
    now_ms: Arc<Mutex<i64>>,
    clock: Arc<RealClock>,
}

impl fmt::Debug for MemoryBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryBackend")
    }
}

impl MemoryBackend {
    pub fn new(options: EngineOptions) -> Self {
        Self {
            engine: Engine::new(options),
            storage: Arc::default(),
            now_ms: Arc::default(),
            clock: Arc::new(RealClock::new()),
        }
    }

    fn storage(&self) -> MutexGuard<'_, MemoryStorage> {
        self.storage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_now(&self, now_ms: i64) {
        *self.now_ms.lock().unwrap_or_else(PoisonError::into_inner) = now_ms;
    }

    /// Adds the samples of a series from a time on and before another.
    pub fn load(&self, series: &LoadedSeries, (from_ms, before_ms): (i64, i64)) {
        let mut storage = self.storage();
        let due = |time_ms: i64| from_ms <= time_ms && time_ms < before_ms;
        for sample in series.samples.iter().filter(|sample| due(sample.time_ms)) {
            let value = sample.value.clone();
            storage.append(&series.labels, sample.time_ms, sample.start_ms, value);
        }
    }

    /// Makes what was loaded visible.
    pub fn commit(&self) {
        self.storage().commit();
    }
}

impl Evaluate for MemoryBackend {
    fn instant(&self, question: &Question<'_>) -> Result<Vec<Sample>, EvaluateError> {
        if question.language != Language::Promql {
            let name = question.language.as_str();
            let text = format!("rules of {name} can't be tested: there are only series here");
            return Err(EvaluateError::new(ErrorKind::Invalid, text));
        }
        let mut options = self.engine.options().clone();
        if let Some(lookback_ms) = question.lookback_ms {
            options.lookback_ms = lookback_ms;
        }
        let request = Request {
            cancel: question.cancel.clone(),
            ..Request::instant(question.query, question.time_ms)
        };
        let storage = self.storage();
        let result = Engine::new(options).run(&*storage, &*self.clock, &request);
        promql_samples(result.map_err(promql_error)?.value)
    }

    fn deadline(&self) -> CancelFlag {
        CancelFlag::new()
    }

    fn now(&self) -> Duration {
        self.clock.now().0
    }
}

impl Backend for MemoryBackend {
    fn run<'a>(&'a self, _: &'a TenantId, work: Work) -> Answer<'a> {
        Box::pin(async move {
            work(self);
            Ok(())
        })
    }

    fn write<'a>(&'a self, _: &'a TenantId, samples: Vec<OutSample>) -> Answer<'a> {
        Box::pin(async move {
            let mut storage = self.storage();
            for OutSample { labels, time_ms, value } in samples {
                storage.append(&labels, time_ms, 0, value);
            }
            storage.commit();
            Ok(())
        })
    }

    fn wall_ns(&self) -> i64 {
        *self.now_ms.lock().unwrap_or_else(PoisonError::into_inner) * 1_000_000
    }
}
