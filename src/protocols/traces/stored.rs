//! What is stored, for tests.

use crate::testing::TestServer;
use model::TimeUnit;
use trace_store::{Column, Piece, Select, Table};

impl TestServer {
    /// All spans that are stored, sorted: tenant, resource, name, kind, start and duration, status, scope,
    /// attributes, events and links.
    pub(crate) fn spans(&self) -> Vec<String> {
        let mut found = Vec::new();
        for tenant in self.traces.store.tenants() {
            let time = TimeUnit::Nanos.everything();
            let wanted = Select { time, trace_id: None, are_whole: true };
            let selection = self.traces.store.select(&tenant, &wanted).unwrap();
            for index in 0..selection.pieces().len() {
                let Some(piece) = selection.read(index).unwrap() else { continue };
                let rows = 0..piece.rows();
                found.extend(rows.map(|row| format!("[{tenant}] {}", shown(&piece, row))));
            }
        }
        found.sort();
        found
    }
}

fn shown(piece: &Piece, row: usize) -> String {
    let entity = |table| piece.entities(table).unwrap()[row] as usize;
    let name = piece.names().unwrap().get(row).unwrap_or_default();
    let parent = piece.parent_id(row).unwrap().map(|id| format!(" parent {}", hex(&id)));
    let mut out = format!(
        "{} {} {:?} kind {} at {} for {} status {} {}",
        hex(&piece.span_ids().unwrap()[row]) + &parent.unwrap_or_default(),
        attributes(piece, Table::Resource, entity(Table::Resource)),
        String::from_utf8_lossy(name),
        piece.kinds().unwrap()[row],
        piece.starts().unwrap()[row],
        piece.durations().unwrap()[row],
        piece.statuses().unwrap()[row],
        attributes(piece, Table::Span, row),
    );
    for (table, label) in [(Table::Event, "event"), (Table::Link, "link")] {
        let ends = piece.child_ends(table).unwrap();
        let start = if row == 0 { 0 } else { ends[row - 1] };
        for child in start..ends[row] {
            out += &format!(" {label} {}", attributes(piece, table, child as usize));
        }
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The columns in which a row has a value; the names of what is no attribute begin with a colon.
fn attributes(piece: &Piece, table: Table, row: usize) -> String {
    let mut found = Vec::new();
    for key in piece.keys(table) {
        let columns = piece.columns(table, key.is_intrinsic, &key.name).unwrap();
        let column = columns.iter().find(|column| column.kind() == key.kind).unwrap();
        let value = match column {
            Column::Text(texts) => {
                texts.get(row).map(|text| format!("{:?}", String::from_utf8_lossy(text)))
            }
            Column::Int(values) => values.get(row).map(|value| value.to_string()),
            Column::Double(values) => values.get(row).map(|value| format!("{value:?}")),
            Column::Bool(values) => values.get(row).map(|value| value.to_string()),
            Column::Other(values) => values.get(row).map(|_| "…".to_owned()),
        };
        let mark = if key.is_intrinsic { ":" } else { "" };
        found.extend(value.map(|value| format!("{mark}{}={value}", key.name)));
    }
    found.sort();
    format!("{{{}}}", found.join(", "))
}
