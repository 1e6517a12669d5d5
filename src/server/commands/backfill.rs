//! `mirador backfill`: recording rules over the past, by the server that runs on the data folder.

use super::{Failure, Outcome, print};
use crate::config::Config;
use crate::control;
use crate::rules::BackfillRequest;
use clap::Subcommand;
use platform::{Clock, RealClock};
use serde_json::Value;
use std::time::Duration;

const PATH: &str = "/api/admin/rules/backfill";
/// Between two looks at the progress.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Debug, Subcommand)]
pub(super) enum BackfillCommand {
    /// Evaluate the recording rules of the running server over the past, and store what they give
    ///
    /// Times are RFC 3339, seconds since 1970, or a duration ago such as 7d.
    Rules {
        /// The first time
        #[arg(long, value_name = "TIME", value_parser = time)]
        start: i64,
        /// The last time [default: now]
        #[arg(long, value_name = "TIME", value_parser = time)]
        end: Option<i64>,
        /// Only groups of this name; may be given several times
        #[arg(long, value_name = "NAME")]
        group: Vec<String>,
    },
}

/// Milliseconds since 1970.
fn time(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<i64>() {
        return seconds.checked_mul(1_000).ok_or_else(|| "the time is too large".to_owned());
    }
    if let Ok(ago_ms) = model::parse_duration(text) {
        return Ok(RealClock::new().wall_ms() - ago_ms);
    }
    let read = chrono::DateTime::parse_from_rfc3339(text);
    read.map(|time| time.timestamp_millis())
        .map_err(|_| "write 2026-11-21T00:00:00Z, seconds since 1970, or a duration ago".to_owned())
}

pub(super) fn run(config: &Config, command: &BackfillCommand) -> Outcome {
    let BackfillCommand::Rules { start, end, group } = command;
    let request = BackfillRequest {
        start_ms: *start,
        end_ms: end.unwrap_or_else(|| RealClock::new().wall_ms()),
        groups: group.iter().cloned().collect(),
    };
    let mut progress = ask(config, "POST", &serde_json::to_string(&request)?)?;
    while progress["state"] == "running" {
        show(&progress)?;
        std::thread::sleep(LOOK);
        progress = ask(config, "GET", "")?;
    }
    show(&progress)?;
    match progress["failures"].as_u64() {
        Some(0) => Ok(()),
        failures => {
            let error = progress["last_error"].as_str().unwrap_or_default();
            Err(format!("{} evaluations failed: {error}", failures.unwrap_or(0)).into())
        }
    }
}

fn show(progress: &Value) -> Outcome {
    let (done, all) = (&progress["slots_done"], &progress["slots"]);
    let state = progress["state"].as_str().unwrap_or_default();
    print(&format!("{state}: {done} of {all} time slots\n"))
}

fn ask(config: &Config, method: &str, body: &str) -> Result<Value, Failure> {
    let tenant = config.rules.tenant.0.as_str();
    let reply = control::ask_as(&config.server.data, tenant, (method, PATH), body)?;
    let reply = reply.ok_or_else(|| {
        let folder = config.server.data.display();
        format!("no server runs on {folder}: start it first, or choose its folder with --data")
    })?;
    match reply.status {
        200 => Ok(serde_json::from_str(&reply.body)?),
        _ => Err(reply.body.trim().to_owned().into()),
    }
}
