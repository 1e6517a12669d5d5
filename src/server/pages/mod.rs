//! The server's own pages: health, metrics, the front page, administration.

pub(crate) mod admin;
pub(crate) mod front;
pub(crate) mod health;
pub(crate) mod objects;
pub(crate) mod own_metrics;
