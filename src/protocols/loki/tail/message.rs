//! What a following client is sent: `{"streams":[…],"dropped_entries":[…],"encodingFlags":[…]}`, at most
//! so many lines in one message.

use super::super::answer::{self, asks_for_categories};
use super::super::envelope::{Context, LokiError};
use super::super::legacy;
use crate::api::json;
use crate::api::websocket::{Opcode, write_frame};
use logql::{LogEntry, LogLines};
use model::Labels;
use query::CancelFlag;

/// Lines of one message.
const LINES_MAX: usize = 1_000;

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Merged,
    Categorized,
    /// That of `/api/prom/tail`.
    Legacy,
}

impl Shape {
    pub(super) fn asked_by(context: &Context) -> Self {
        match (legacy::is_asked(context), asks_for_categories(context)) {
            (true, _) => Self::Legacy,
            (false, true) => Self::Categorized,
            (false, false) => Self::Merged,
        }
    }

    /// Frames with the lines, and a stream and time for each batch that was missed.
    pub(super) fn frames(
        self,
        mut lines: LogLines,
        missed: &[(Labels, i64)],
    ) -> Result<Vec<u8>, LokiError> {
        let (mut out, mut missed) = (Vec::new(), missed);
        while !lines.entries.is_empty() || !missed.is_empty() {
            let rest = lines.entries.split_off(lines.entries.len().min(LINES_MAX));
            let text = self.message(&lines, missed)?;
            write_frame(Opcode::Text, &text, &mut out);
            (lines.entries, missed) = (rest, &[]);
        }
        Ok(out)
    }

    fn message(self, lines: &LogLines, missed: &[(Labels, i64)]) -> Result<Vec<u8>, LokiError> {
        let mut out = b"{\"streams\":".to_vec();
        match self {
            Self::Legacy => legacy::streams(&mut out, lines),
            _ => answer::streams(&mut out, lines, self == Self::Categorized, &CancelFlag::new())?,
        }
        if !missed.is_empty() {
            out.extend_from_slice(b",\"dropped_entries\":");
            json::list(&mut out, missed, |out, (labels, time_ns)| {
                self.missed(out, labels, *time_ns)
            });
        }
        if self == Self::Categorized {
            out.extend_from_slice(b",\"encodingFlags\":[\"categorize-labels\"]");
        }
        out.push(b'}');
        Ok(out)
    }

    fn missed(self, out: &mut Vec<u8>, labels: &Labels, time_ns: i64) {
        out.extend_from_slice(b"{\"labels\":");
        match self {
            Self::Legacy => json::text(out, &labels.to_string()),
            _ => json::labels(out, labels),
        }
        out.extend_from_slice(b",\"timestamp\":");
        match self {
            Self::Legacy => json::text(out, &legacy::time(time_ns)),
            _ => json::text(out, &time_ns.to_string()),
        }
        out.push(b'}');
    }
}

/// Lines that were sent already, of which the store hands on some again.
#[derive(Debug, Default)]
pub(super) struct Sent(std::collections::HashMap<(i64, Vec<u8>), Vec<LogEntry>>);

impl Sent {
    pub(super) fn of(entries: &[LogEntry]) -> Self {
        let mut sent = Self::default();
        for entry in entries {
            let key = (entry.time_ns, entry.line.clone());
            sent.0.entry(key).or_default().push(entry.clone());
        }
        sent
    }

    /// Takes out what was sent, each line as often as it was.
    pub(super) fn leave_out(&mut self, entries: &mut Vec<LogEntry>) {
        entries.retain(|entry| {
            let Some(same) = self.0.get_mut(&(entry.time_ns, entry.line.clone())) else {
                return true;
            };
            let at = same.iter().position(|one| *one.labels == *entry.labels);
            at.map(|at| same.swap_remove(at)).is_none()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use logql::{EntryLabels, LabelPairs};
    use std::sync::Arc;

    #[test]
    fn a_line_is_left_out_as_often_as_it_was_sent() {
        let entry = |time_ns: i64, line: &str, app: &str| {
            let stream = LabelPairs::new([("app", app)]);
            let labels = Arc::new(EntryLabels { stream, ..EntryLabels::default() });
            LogEntry { time_ns, line: line.as_bytes().to_vec(), labels }
        };
        let mut sent = Sent::of(&[entry(1, "x", "a"), entry(1, "x", "a"), entry(2, "y", "a")]);
        let mut entries = vec![
            entry(1, "x", "b"),
            entry(1, "x", "a"),
            entry(1, "x", "a"),
            entry(1, "x", "a"),
            entry(3, "y", "a"),
        ];
        sent.leave_out(&mut entries);
        let left: Vec<(i64, &str)> = entries
            .iter()
            .map(|entry| (entry.time_ns, entry.labels.stream.get("app").unwrap_or_default()))
            .collect();
        assert_eq!(left, [(1, "b"), (1, "a"), (3, "a")]);
    }
}
