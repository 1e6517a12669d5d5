//! Settings of Elasticsearch's API.

use crate::section;

section! {
    /// Elasticsearch's API: for agents (Beats, Logstash, Fluent Bit, Vector and others), and for Grafana.
    ElasticsearchSettings as "elasticsearch" {
        /// The version that clients are told. Empty: that of the Beat that asks, which refuses older
        /// servers than itself, or one of the generation that the client speaks.
        version: String = String::new(),
        /// The most buckets that the aggregations of a search may answer, as Elasticsearch's
        /// `search.max_buckets`.
        max_buckets: usize = 65_536,
    }
}
