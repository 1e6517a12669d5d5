//! The sink that every protocol of traces writes through: spans whose time can't be stored get that of
//! their arrival, so that a wrong clock neither loses a span nor makes a part of a day that never was. What
//! only tells that a span is in flight is not stored.

use super::active::{Changes, Lifecycles};
use super::settings::TraceOptions;
use observe::{Counter, CounterFamily, Metric};
use std::borrow::Cow;
use wire::otlp::{AnyValue, Attribute};
use wire::{EventRef, Rejections, SpanRef, SpanSink};

static REFUSED: CounterFamily = CounterFamily::new(
    "mirador_traces_refused_total",
    "Spans that were left out of what was stored, by reason.",
    &["reason"],
);
static REDATED: Counter = Counter::new(
    "mirador_traces_redated_total",
    "Spans that got the time of their arrival, because theirs was before retention or in the future.",
);
pub(crate) static METRICS: &[&dyn Metric] = &[&REFUSED, &REDATED];

/// Counts the spans of a request that are left out of its batch.
pub(crate) fn count_refused(refused: &Rejections) {
    refused.kinds.iter().for_each(|(kind, count)| REFUSED.add(&[kind], *count));
}

const MILLI_NS: u64 = 1_000_000;

/// The attribute that tells when a span started by its sender's clock.
const SENT_START: &str = "mirador.start_time_unix_nano";

/// The attribute that tells when a span ended by its sender's clock, where that was before its start.
const SENT_END: &str = "mirador.end_time_unix_nano";

fn time_attribute(key: &'static str, time_ns: u64) -> Attribute<'static> {
    let value = AnyValue::Int(i64::try_from(time_ns).unwrap_or(i64::MAX));
    Attribute { key: Cow::Borrowed(key), value }
}

/// The starts that can be stored, both ends included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpanWindow {
    oldest_ns: u64,
    latest_ns: u64,
    now_ns: u64,
}

fn nanos(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0).saturating_mul(MILLI_NS)
}

impl SpanWindow {
    /// `now_ms` is the earliest and the latest time that it may be now, `age_ms` how long spans are
    /// kept.
    pub(crate) fn new(now_ms: (i64, i64), age_ms: Option<i64>, options: &TraceOptions) -> Self {
        Self {
            oldest_ns: age_ms.map_or(1, |age_ms| nanos(now_ms.0.saturating_sub(age_ms)).max(1)),
            latest_ns: nanos(now_ms.1.saturating_add(options.future_grace_ms)),
            now_ns: nanos(now_ms.1),
        }
    }

    fn contains(&self, start_ns: u64) -> bool {
        (self.oldest_ns..=self.latest_ns).contains(&start_ns)
    }
}

/// A sink that passes on what can be stored.
#[derive(Debug)]
pub(crate) struct SpanGuard<'a, S: ?Sized> {
    sink: &'a mut S,
    window: SpanWindow,
    /// Sets aside what tells of spans in flight.
    lifecycles: Lifecycles,
    passed: u64,
}

impl<'a, S: SpanSink + ?Sized> SpanGuard<'a, S> {
    pub(crate) fn new(sink: &'a mut S, window: SpanWindow, lifecycles: Lifecycles) -> Self {
        Self { sink, window, lifecycles, passed: 0 }
    }

    /// What was learned of spans in flight.
    pub(crate) fn into_changes(self) -> Changes {
        self.lifecycles.into_changes()
    }

    /// The spans that were passed on.
    pub(crate) fn passed(&self) -> u64 {
        self.passed
    }

    fn pass(&mut self, span: &SpanRef<'_>) {
        match self.window.contains(span.start_ns) {
            true => self.sink.span(span),
            false => self.redate(span),
        }
    }

    /// Passes on a span whose end is before its start, with what its end was: readers see none.
    fn ended_before(&mut self, span: &SpanRef<'_>) {
        let attribute = time_attribute(SENT_END, span.end_ns);
        let attributes: Vec<Attribute<'_>> =
            span.attributes.iter().cloned().chain([attribute]).collect();
        // The attributes live shorter than the span that they are added to.
        let base: SpanRef<'_> = *span;
        self.pass(&SpanRef { attributes: &attributes, ..base });
    }

    /// Passes on the span as if it had started now.
    fn redate(&mut self, span: &SpanRef<'_>) {
        REDATED.increment();
        let shift = self.window.now_ns.wrapping_sub(span.start_ns);
        let attribute = time_attribute(SENT_START, span.start_ns);
        let attributes: Vec<Attribute<'_>> =
            span.attributes.iter().cloned().chain([attribute]).collect();
        let mut events: Vec<EventRef<'_>> = span.events.to_vec();
        events.iter_mut().for_each(|event| event.time_ns = event.time_ns.wrapping_add(shift));
        // The attributes live shorter than the span that they are added to.
        let base: SpanRef<'_> = *span;
        self.sink.span(&SpanRef {
            start_ns: self.window.now_ns,
            end_ns: span.end_ns.wrapping_add(shift),
            attributes: &attributes,
            events: &events,
            ..base
        });
    }
}

impl<S: SpanSink + ?Sized> SpanSink for SpanGuard<'_, S> {
    fn resource(&mut self, attributes: &[Attribute<'_>]) {
        self.lifecycles.resource(attributes);
        self.sink.resource(attributes);
    }

    fn scope(&mut self, name: &str, version: &str, attributes: &[Attribute<'_>]) {
        self.sink.scope(name, version, attributes);
    }

    fn span(&mut self, span: &SpanRef<'_>) {
        if self.lifecycles.takes(span) {
            return;
        }
        self.passed += 1;
        // An end of 0 is one that was not sent.
        if span.end_ns < span.start_ns && span.end_ns != 0 {
            return self.ended_before(span);
        }
        self.pass(span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The start, end, first event and attributes of each span.
    #[derive(Default)]
    struct Heard(Vec<(u64, u64, Option<u64>, Vec<String>)>);

    impl SpanSink for Heard {
        fn resource(&mut self, _: &[Attribute<'_>]) {}
        fn scope(&mut self, _: &str, _: &str, _: &[Attribute<'_>]) {}
        fn span(&mut self, span: &SpanRef<'_>) {
            let shown = |attribute: &Attribute<'_>| {
                format!("{}={}", attribute.key, attribute.value.as_text())
            };
            let event = span.events.first().map(|event| event.time_ns);
            let attributes = span.attributes.iter().map(shown).collect();
            self.0.push((span.start_ns, span.end_ns, event, attributes));
        }
    }

    #[test]
    fn spans_of_other_times_get_that_of_their_arrival() {
        let options = TraceOptions { future_grace_ms: 10 };
        let window = SpanWindow::new((1_000, 1_000), Some(500), &options);
        let mut heard = Heard::default();
        let mut guard = SpanGuard::new(&mut heard, window, Lifecycles::default());
        let event = |time_ns| [EventRef { time_ns, ..EventRef::default() }];
        for start_ns in [500_000_000, 499_999_999, 1_010_000_001, 0] {
            let events = event(start_ns + 3);
            let span =
                SpanRef { start_ns, end_ns: start_ns + 7, events: &events, ..SpanRef::default() };
            guard.span(&span);
        }
        assert_eq!(guard.passed(), 4);
        let now = 1_000_000_000;
        let redated =
            |sent: u64| (now, now + 7, Some(now + 3), vec![format!("{SENT_START}={sent}")]);
        let unchanged = (500_000_000, 500_000_007, Some(500_000_003), vec![]);
        let expected = [unchanged, redated(499_999_999), redated(1_010_000_001), redated(0)];
        assert_eq!(heard.0, expected);
    }

    #[test]
    fn an_end_before_the_start_is_told() {
        let options = TraceOptions { future_grace_ms: 10 };
        let window = SpanWindow::new((1_000, 1_000), None, &options);
        let mut heard = Heard::default();
        let mut guard = SpanGuard::new(&mut heard, window, Lifecycles::new(false));
        for (start_ns, end_ns) in [(700, 600), (700, 0), (700, 700)] {
            guard.span(&SpanRef { start_ns, end_ns, ..SpanRef::default() });
        }
        assert_eq!(guard.passed(), 3);
        let told = vec![format!("{SENT_END}=600")];
        assert_eq!(
            heard.0,
            [(700, 600, None, told), (700, 0, None, vec![]), (700, 700, None, vec![])]
        );
    }
}
