//! Compiles the messages of `proto/` into the types of `wire::proto`. protox reads the files in
//! Rust, so that building needs no `protoc`.

use std::error::Error;

const ROOT: &str = "../../proto";
const FILES: [&str; 17] = [
    "google/rpc/error_details.proto",
    "google/rpc/status.proto",
    "io/prometheus/client/metrics.proto",
    "io/prometheus/write/v2/types.proto",
    "jaeger/api_v2/collector.proto",
    "jaeger/api_v3/query_service.proto",
    "jaeger/storage/v2/trace_storage.proto",
    "logproto/push.proto",
    "opentelemetry/proto/collector/logs/v1/logs_service.proto",
    "opentelemetry/proto/collector/metrics/v1/metrics_service.proto",
    "opentelemetry/proto/collector/trace/v1/trace_service.proto",
    "opentelemetry/proto/logs/v1/logs.proto",
    "opentelemetry/proto/metrics/v1/metrics.proto",
    "opentelemetry/proto/trace/v1/trace.proto",
    "prometheus/remote.proto",
    "tempopb/tempo.proto",
    "zipkin/zipkin.proto",
];

/// A service that only the tests of `wire` serve: it shows that methods that stream can be.
const TEST_ROOT: &str = "proto";
const TEST_FILE: &str = "streaming.proto";

#[allow(clippy::print_stdout, reason = "a build script speaks to cargo on its output")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={ROOT}");
    println!("cargo::rerun-if-changed={TEST_ROOT}/{TEST_FILE}");
    let messages = protox::compile(FILES, [ROOT])?;
    let mut config = prost_build::Config::new();
    config.btree_map(["."]).include_file("proto.rs").compile_fds(messages)?;
    let test_service = protox::compile([TEST_FILE], [TEST_ROOT])?;
    tonic_prost_build::configure().compile_fds(test_service)?;
    Ok(())
}
