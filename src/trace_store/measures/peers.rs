//! The names that clients give to what they call, in their spans' attributes.

use super::EdgeKind;
use crate::error::StoreError;
use crate::piece::Piece;
use crate::{Column, RowSet, Table};
use std::sync::Arc;

/// Any of these makes it a call of a database; the first that is there is its name, if nothing says
/// where it is.
const DATABASE: [&str; 4] = ["db.namespace", "db.name", "db.system", "db.system.name"];
const PEER: &str = "peer.service";
const SERVER_ADDRESS: &str = "server.address";
const PEER_ADDRESS: &str = "network.peer.address";
const PEER_PORT: &str = "network.peer.port";

type Columns = Arc<[Column]>;

pub(super) struct Peers {
    /// As [`DATABASE`] lists them.
    database: Vec<Columns>,
    /// The rows that name a database.
    databases: RowSet,
    peer: Columns,
    server_address: Columns,
    peer_address: Columns,
    peer_port: Columns,
}

impl Peers {
    pub(super) fn of(piece: &Piece) -> Result<Self, StoreError> {
        let column = |name| piece.columns(Table::Span, false, name);
        let database = DATABASE.into_iter().map(column).collect::<Result<Vec<_>, _>>()?;
        let mut databases = RowSet::none(piece.rows());
        for texts in database.iter().flat_map(|columns| columns.iter()) {
            if let Column::Text(texts) = texts {
                let rows = (0..piece.rows()).filter(|row| is_text(texts.get(*row)));
                rows.for_each(|row| databases.insert(row));
            }
        }
        let has_databases = !databases.is_empty();
        let of_databases = |name| if has_databases { column(name) } else { Ok(Columns::default()) };
        Ok(Self {
            database,
            databases,
            peer: column(PEER)?,
            server_address: of_databases(SERVER_ADDRESS)?,
            peer_address: of_databases(PEER_ADDRESS)?,
            peer_port: of_databases(PEER_PORT)?,
        })
    }

    pub(super) fn is_database(&self, row: usize) -> bool {
        self.databases.contains(row)
    }

    /// What the span of a client calls, if that is a database, or if it has a name and no span of its own.
    pub(super) fn name(&self, row: usize, is_alone: bool, name: &mut Vec<u8>) -> Option<EdgeKind> {
        name.clear();
        if !self.is_database(row) {
            name.extend_from_slice(text(&self.peer, row).filter(|_| is_alone)?);
            return Some(EdgeKind::Virtual);
        }
        let plain = text(&self.peer, row).or_else(|| text(&self.server_address, row));
        if let Some(plain) = plain {
            name.extend_from_slice(plain);
        } else if let Some(address) = text(&self.peer_address, row) {
            name.extend_from_slice(address);
            self.append_port(row, name);
        } else {
            name.extend_from_slice(self.database.iter().find_map(|columns| text(columns, row))?);
        }
        Some(EdgeKind::Database)
    }

    fn append_port(&self, row: usize, name: &mut Vec<u8>) {
        for column in self.peer_port.iter() {
            let port = match column {
                Column::Int(ports) => ports.get(row).map(|port| port.to_string().into_bytes()),
                Column::Text(ports) => ports.get(row).map(<[u8]>::to_vec),
                _ => None,
            };
            if let Some(port) = port.filter(|port| !port.is_empty()) {
                name.push(b':');
                name.extend_from_slice(&port);
                return;
            }
        }
    }
}

fn is_text(text: Option<&[u8]>) -> bool {
    text.is_some_and(|text| !text.is_empty())
}

fn text(columns: &[Column], row: usize) -> Option<&[u8]> {
    let texts = columns.iter().find_map(|column| match column {
        Column::Text(texts) => Some(texts),
        _ => None,
    });
    texts?.get(row).filter(|text| !text.is_empty())
}
