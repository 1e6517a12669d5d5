//! Lines as the tests know them: written to a store, and read back.

use crate::world::World;
use log_store::{
    Condition, LogBatch, LogDelete, LogStore, Needs, Order, Scratch, Select, Selection,
};
use model::{Labels, Matcher, TenantId, TimeRange, TimeUnit};
use std::collections::{BTreeMap, BTreeSet};
use wire::LogSink;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    pub(crate) app: u32,
    pub(crate) time: i64,
    pub(crate) text: Vec<u8>,
    pub(crate) fields: BTreeMap<String, String>,
}

impl Line {
    pub(crate) fn new(app: u32, time: i64, text: impl Into<Vec<u8>>) -> Self {
        Self { app, time, text: text.into(), fields: BTreeMap::new() }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// The stream of an app. One of them has a label of the name that lines have as a field.
pub(crate) fn labels_of(app: u32) -> Labels {
    let level = if app == 3 { "label" } else { "" };
    Labels::from_pairs([("app", format!("a{app}").as_str()), ("level", level)])
}

pub(crate) fn fill(batch: &mut LogBatch, lines: &[Line]) {
    for line in lines {
        batch.stream(labels_of(line.app).as_bytes());
        let fields: Vec<(&str, &str)> =
            line.fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        batch.line(line.time, &line.text, &fields);
    }
}

/// What to select.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) time: TimeRange,
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) identifier: Option<Vec<u8>>,
}

impl Wanted {
    pub(crate) fn all() -> Self {
        let time = TimeUnit::Nanos.everything();
        Self { time, matchers: Vec::new(), conditions: Vec::new(), identifier: None }
    }

    pub(crate) fn of_app(app: u32) -> Self {
        Self { matchers: vec![Matcher::equal("app", &format!("a{app}"))], ..Self::all() }
    }

    pub(crate) fn with(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    pub(crate) fn containing(self, text: &str) -> Self {
        self.with(Condition::Contains { texts: vec![text.to_owned()], ignore_case: false })
    }

    pub(crate) fn with_field(self, name: &str, value: &str) -> Self {
        self.with(Condition::Field(Matcher::equal(name, value)))
    }

    pub(crate) fn carrying(self, identifier: &[u8]) -> Self {
        Self { identifier: Some(identifier.to_vec()), ..self }
    }

    pub(crate) fn delete(&self) -> LogDelete {
        let (matchers, conditions) = (self.matchers.clone(), self.conditions.clone());
        LogDelete { matchers, except: Vec::new(), conditions, text: String::new() }
    }

    pub(crate) fn select(&self, store: &LogStore, tenant: &TenantId, order: Order) -> Selection {
        let needs = Needs { lines: true, fields: None };
        let (matchers, conditions) = (&self.matchers[..], &self.conditions[..]);
        let (time, identifier) = (self.time, self.identifier.as_deref());
        let texts = &log_store::NO_TEXTS;
        let needs = &needs;
        let select = Select { time, matchers, conditions, identifier, texts, order, needs };
        store.select(tenant, &select).unwrap()
    }
}

/// The lines of a selection, sorted; checks what holds of every selection.
pub(crate) fn lines_of(selection: &Selection) -> Vec<Line> {
    let (mut scratch, mut lines) = (Scratch::default(), Vec::new());
    for (index, piece) in selection.pieces().iter().enumerate() {
        let rows = selection.read(index, &mut scratch).unwrap();
        let keys: Vec<(u32, i64)> =
            rows.streams.iter().copied().zip(rows.times.iter().copied()).collect();
        assert!(keys.chunk_by(|a, b| a.0 == b.0).all(|run| run.is_sorted()));
        let runs: Vec<u32> = keys.chunk_by(|a, b| a.0 == b.0).map(|run| run[0].0).collect();
        assert_eq!(runs.iter().collect::<BTreeSet<_>>().len(), runs.len(), "streams are adjacent");
        assert!(keys.len() as u64 <= piece.rows);
        for (row, (stream, time)) in keys.into_iter().enumerate() {
            assert!(piece.time.contains(time));
            let app = selection.labels(stream).value("app")[1..].parse().unwrap();
            let fields = rows.fields.iter().filter_map(|field| {
                let value = String::from_utf8(field.column.get(row)?.to_vec()).unwrap();
                Some((field.name.clone(), value))
            });
            let (text, fields) = (rows.lines.get(row).to_vec(), fields.collect());
            lines.push(Line { app, time, text, fields });
        }
    }
    lines.sort();
    lines
}

/// The lines that are wanted, of a store that is not damaged.
pub(crate) fn read(world: &World, wanted: &Wanted) -> Vec<Line> {
    let selection = wanted.select(&world.store, &world.tenant, Order::NewestFirst);
    let lines = lines_of(&selection);
    assert_eq!(selection.warnings(), Vec::<String>::new());
    lines
}

pub(crate) fn sorted(mut lines: Vec<Line>) -> Vec<Line> {
    lines.sort();
    lines
}
