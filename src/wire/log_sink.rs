//! What decoders of logs write into.

/// Takes decoded lines. A decoder that returns an error may have called these before: the owner of
/// the sink discards the batch then.
pub trait LogSink {
    /// The stream of the lines that follow: canonical label bytes, as
    /// [`MetricSink::series`](crate::MetricSink::series) takes them.
    fn stream(&mut self, labels: &[u8]);

    /// One line; `fields` is its structured metadata, in the sender's order, names not empty. The
    /// line may hold any bytes.
    fn line(&mut self, time_ns: i64, line: &[u8], fields: &[(&str, &str)]);
}
