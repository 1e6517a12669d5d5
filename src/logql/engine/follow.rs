//! A query of lines that is asked again and again, of what has just come in.

use super::logs::collect;
use super::pieces::Reading;
use super::{Context, Result};
use crate::ast::LogExpr;
use crate::options::EngineOptions;
use crate::parse::parse_log;
use crate::pipeline::{Pipeline, Purpose, Wanted};
use crate::storage::{Direction, Storage};
use crate::value::{LogLines, QueryResult, Value};
use model::Matcher;
use platform::Clock;
use query::{Budget, CancelFlag, Control, Holding, HoldingLimits, RegexBudget};
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

/// A query of lines, compiled once. Of a storage it answers all lines, the oldest first.
#[derive(Debug)]
pub struct Follow {
    log: LogExpr,
    pipeline: Pipeline,
    options: EngineOptions,
}

impl Follow {
    /// Refuses what does not select lines. `now_ns` is what templates take for the present.
    pub fn new(
        query: &str,
        options: EngineOptions,
        now_ns: i64,
        regexes: &mut RegexBudget,
    ) -> Result<Self> {
        let log = parse_log(query, regexes)?;
        let purpose = Purpose { lines: true, labels: Wanted::All };
        let pipeline =
            Pipeline::new(&log, None, &purpose, now_ns).map_err(|error| error.in_query(query))?;
        Ok(Self { log, pipeline, options })
    }

    /// What the streams must match.
    pub fn matchers(&self) -> &[Matcher] {
        &self.log.matchers
    }

    pub fn lines(
        &self,
        storage: &dyn Storage,
        clock: &dyn Clock,
        memory: Option<&Arc<Budget>>,
    ) -> Result<QueryResult> {
        let limits = &self.options.limits;
        let timeout = Duration::from_millis(limits.timeout_ms.unsigned_abs());
        let control = Control::new(clock, Some(timeout), CancelFlag::new());
        let holding_limits = HoldingLimits {
            samples: usize::MAX,
            bytes: limits.memory_max,
            bytes_setting: "logs.max_memory",
            bytes_advice: "fewer streams, or more filters",
        };
        let holding = Holding::new(holding_limits, memory);
        let context = Context {
            storage,
            options: &self.options,
            control: &control,
            now_ns: clock.wall_ns(),
            holding: &holding,
            statistics: RefCell::default(),
            warnings: RefCell::default(),
        };
        let lines = self.collect(&context)?;
        let statistics = context.statistics.into_inner();
        let warnings = context.warnings.into_inner();
        let value = Value::Streams(lines);
        Ok(QueryResult { value, statistics, warnings, memory: holding.into_memory() })
    }

    fn collect(&self, context: &Context<'_>) -> Result<LogLines> {
        let (time, direction) = ((i64::MIN, i64::MAX), Direction::Forward);
        let reading = Reading::new(context, &self.log.matchers, &self.pipeline, time, direction)?;
        let entries = collect(context, &reading, direction, usize::MAX)?;
        Ok(LogLines { direction, entries })
    }
}
