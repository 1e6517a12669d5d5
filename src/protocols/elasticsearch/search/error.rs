//! Why a search has no answer, in Elasticsearch's words.

use crate::services::ServiceError;
use model::ErrorKind;
use query::{QueryError, Stop};

/// An error with the name that Elasticsearch has for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SearchError {
    pub(in crate::elasticsearch) kind: ErrorKind,
    pub(in crate::elasticsearch) name: &'static str,
    pub(in crate::elasticsearch) reason: String,
}

pub(super) type Result<T> = std::result::Result<T, SearchError>;

impl SearchError {
    fn invalid(name: &'static str, reason: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Invalid, name, reason: reason.into() }
    }

    /// The request has another form than was expected, or names what is not known here.
    pub(in crate::elasticsearch) fn parsing(reason: impl Into<String>) -> Self {
        Self::invalid("parsing_exception", reason)
    }

    /// A value of the request can't be used.
    pub(in crate::elasticsearch) fn illegal(reason: impl Into<String>) -> Self {
        Self::invalid("illegal_argument_exception", reason)
    }

    /// A text in the query language can't be read.
    pub(super) fn query(reason: impl Into<String>) -> Self {
        Self::invalid("query_shard_exception", reason)
    }

    pub(super) fn too_many_clauses(reason: impl Into<String>) -> Self {
        Self::invalid("too_many_nested_clauses", reason)
    }

    pub(super) fn too_many_buckets(most: usize) -> Self {
        let reason = format!(
            "the answer would have more than {most} buckets: ask for a longer interval, a shorter time \
             or a smaller size of terms, or raise elasticsearch.max_buckets"
        );
        Self::invalid("too_many_buckets_exception", reason)
    }
}

impl From<ServiceError> for SearchError {
    fn from(error: ServiceError) -> Self {
        let name = super::super::answer::type_of(error.kind);
        Self { kind: error.kind, name, reason: error.message }
    }
}

impl From<log_store::StoreError> for SearchError {
    fn from(error: log_store::StoreError) -> Self {
        ServiceError::from(error).into()
    }
}

impl From<model::NoRoom> for SearchError {
    fn from(error: model::NoRoom) -> Self {
        ServiceError::from(error).into()
    }
}

impl From<QueryError> for SearchError {
    fn from(error: QueryError) -> Self {
        let (kind, reason) = match &error {
            QueryError::Stopped(Stop::TimedOut) => (error.kind(), TIMED_OUT.to_owned()),
            error => (error.kind(), error.to_string()),
        };
        let name = match kind {
            // A query that needs too much memory is what Elasticsearch's breaker trips at.
            ErrorKind::Limit => "circuit_breaking_exception",
            kind => super::super::answer::type_of(kind),
        };
        Self { kind, name, reason }
    }
}

impl From<Stop> for SearchError {
    fn from(stop: Stop) -> Self {
        QueryError::from(stop).into()
    }
}

const TIMED_OUT: &str = "the search took too long: ask for a shorter time or a more exact query, or raise \
     logs.query_timeout";
