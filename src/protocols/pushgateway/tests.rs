//! Pushes over HTTP against a simulated disk, what queries see of them, and what the disk keeps.

use super::file::{decode, encode};
use super::page::PageFormat;
use super::table::{Pushed, Table};
use crate::settings::HumanDuration;
use crate::testing::TestServer;
use axum::body::Bytes;
use model::{ErrorKind, Labels, TenantId};
use platform::Disk;
use platform::sim::{CrashPolicy, SimDisk};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;
use wire::LabelLimits;

/// A server whose groups are read.
fn server() -> TestServer {
    let server = TestServer::new(|setup| {
        let interval = HumanDuration::from_millis(1);
        setup.settings.pushgateway.interval = interval;
        setup.settings.pushgateway.admin_api = true;
    });
    server.start_keepers();
    while server.send("GET /pushgateway/metrics", &[], "").status.as_u16() != 200 {
        std::thread::yield_now();
    }
    server
}

fn push(server: &TestServer, line: &str, body: &'static str) -> (u16, String) {
    let answered = server.send(line, &[], body);
    (answered.status.as_u16(), answered.text())
}

/// The page without its comments and the gauges of groups.
fn page(server: &TestServer) -> Vec<String> {
    let page = server.send("GET /pushgateway/metrics", &[], "").text();
    let lines = page.lines().filter(|line| !line.starts_with('#') && !line.starts_with("push_"));
    lines.map(str::to_owned).collect()
}

fn query(server: &TestServer, query: &str) -> String {
    let answer = server.send(&format!("GET /api/v1/query?query={query}"), &[], "").text();
    let (_, result) = answer.split_once("\"result\":").unwrap();
    result.trim_end_matches('}').to_owned()
}

#[test]
fn put_replaces_the_group_and_post_the_metrics() {
    let server = server();
    let job = "/pushgateway/metrics/job/backup/instance/a";
    let first = "# TYPE done counter\ndone{job=\"other\",disk=\"sda\"} 3\nsize 1e3\n";
    assert_eq!(push(&server, &format!("PUT {job}"), first), (200, String::new()));
    let done = "done{disk=\"sda\",instance=\"a\",job=\"backup\"} 3";
    let size = "size{instance=\"a\",job=\"backup\"} 1000";
    assert_eq!(page(&server), [done, size]);
    push(&server, &format!("POST {job}"), "size 5\n");
    let size = "size{instance=\"a\",job=\"backup\"} 5";
    assert_eq!(page(&server), [done, size]);
    push(&server, "POST /pushgateway/metrics/job/backup", "size 7\n");
    let other = "size{instance=\"\",job=\"backup\"} 7";
    assert_eq!(page(&server), [done, size, other]);
    push(&server, &format!("PUT {job}"), "size 6\n");
    assert_eq!(page(&server), ["size{instance=\"a\",job=\"backup\"} 6", other]);
    push(&server, &format!("PUT {job}"), "");
    assert_eq!(page(&server), [other]);
    assert_eq!(push(&server, "DELETE /pushgateway/metrics/job/backup", "").0, 202);
    assert!(page(&server).is_empty());
    assert_eq!(push(&server, "DELETE /pushgateway/metrics/job/backup", "").0, 202);
}

#[test]
fn what_is_refused_is_noted_and_changes_nothing() {
    let server = server();
    let job = "PUT /pushgateway/metrics/job/a";
    push(&server, job, "# TYPE m counter\nm 1\n");
    let why = "pushed metrics are invalid or inconsistent with existing metrics: ";
    let cases = [
        (job, "m 1 1700000000000\n", "pushed metrics must not have timestamps"),
        (job, "m 1", "text format parsing error in line 1: unexpected end of input stream"),
        (
            job,
            "m 1\nm 2\n",
            "collected metric \"m\" { {__name__=\"m\", job=\"a\"} } was collected before with the \
             same name and label values",
        ),
        (
            "PUT /pushgateway/metrics/job/b",
            "# TYPE m gauge\nm 1\n",
            "the metric \"m\" has type gauge, and type counter in the group {job=\"a\"}",
        ),
    ];
    for (line, body, expected) in cases {
        let (status, text) = push(&server, line, body);
        assert_eq!((status, text.trim()), (400, format!("{why}{expected}").as_str()), "{body}");
    }
    let bad_key = push(&server, "PUT /pushgateway/metrics/job/a/b", "m 1\n");
    assert_eq!(
        (bad_key.0, bad_key.1.trim()),
        (400, "odd number of components in label string \"job/a/b\"")
    );
    assert_eq!(page(&server), ["m{instance=\"\",job=\"a\"} 1"]);
    let answer = server.send("GET /pushgateway/api/v1/metrics", &[], "").text();
    assert!(answer.contains("\"last_push_successful\":false"), "{answer}");
}

#[test]
fn queries_see_a_push_at_once_again_and_again_and_its_end() {
    let server = server();
    push(&server, "PUT /pushgateway/metrics/job/a", "m 1\nn 2\n");
    assert!(query(&server, "m").contains("{\"__name__\":\"m\",\"job\":\"a\"}"));
    push(&server, "PUT /pushgateway/metrics/job/a", "m 1\n");
    assert_eq!(query(&server, "n"), "[]");
    // Longer than queries look back: somebody must have written it again.
    server.advance(Duration::from_secs(3600));
    while query(&server, "m") == "[]" {
        std::thread::yield_now();
    }
    push(&server, "DELETE /pushgateway/metrics/job/a", "");
    assert_eq!(query(&server, "{job=\"a\"}"), "[]");
}

#[test]
fn histograms_and_summaries_keep_their_form() {
    let server = server();
    let body = "\
# HELP h A histogram.
# TYPE h histogram
h_bucket{le=\"1\"} 1
h_bucket{le=\"+Inf\"} 3
h_sum 5.5
h_count 3
# TYPE s summary
s{quantile=\"0.5\"} 2
s_sum 4
s_count 2
";
    push(&server, "PUT /pushgateway/metrics/job/a", body);
    assert!(query(&server, "h_bucket{le=\"1.0\"}").contains("h_bucket"));
    let answer = server.send("GET /pushgateway/api/v1/metrics", &[], "").text();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let group = &answer["data"][0];
    let expected = serde_json::json!([{
        "labels": {"job": "a"}, "buckets": {"1.0": "1", "+Inf": "3"}, "sum": "5.5", "count": "3",
    }]);
    assert_eq!((&group["h"]["type"], &group["h"]["metrics"]), (&"HISTOGRAM".into(), &expected));
    let expected = serde_json::json!([{
        "labels": {"job": "a"}, "quantiles": {"0.5": "2"}, "sum": "4", "count": "2",
    }]);
    assert_eq!(group["s"]["metrics"], expected);
    assert_eq!(group["last_push_successful"], true);
}

#[test]
fn tenants_do_not_see_each_other_and_wiping_is_of_one() {
    let server = server();
    let job = "PUT /pushgateway/metrics/job/a";
    for tenant in ["one", "two"] {
        server.send(job, &[("X-Scope-OrgID", tenant)], "m 1\n");
    }
    let wiped = server.send("PUT /pushgateway/api/v1/admin/wipe", &[("X-Scope-OrgID", "one")], "");
    assert_eq!(wiped.status.as_u16(), 202);
    let of = |tenant| {
        let page = server.send("GET /pushgateway/metrics", &[("X-Scope-OrgID", tenant)], "").text();
        page.contains("\nm{")
    };
    assert_eq!([of("one"), of("two"), of("default")], [false, true, false]);
}

fn open(disk: &SimDisk, bytes_max: usize) -> Table {
    Table::open(Arc::new(disk.clone()), LabelLimits::NONE, bytes_max).unwrap()
}

fn pushed(job: &str, body: &str, time_ms: i64) -> Pushed {
    Pushed {
        group: Labels::from_pairs([("job", job)]),
        format: PageFormat::Text,
        body: Bytes::copy_from_slice(body.as_bytes()),
        replaces_all: false,
        time_ms,
    }
}

fn shown(table: &Table, tenant: &TenantId) -> Vec<String> {
    let groups = table.groups(tenant);
    groups.iter().map(|group| format!("{:?} {:?}", group.push_ms, group.families)).collect()
}

#[test]
fn groups_survive_a_power_cut() {
    let disk = SimDisk::new();
    let tenant = TenantId::default_tenant();
    let mut table = open(&disk, usize::MAX);
    table.push(&tenant, pushed("a", "m 1\nn 2\n", 1)).unwrap();
    table.push(&tenant, pushed("a", "# HELP m x\nm 3\n", 2)).unwrap();
    table.push(&tenant, pushed("gone", "m 3\n", 3)).unwrap();
    table.push(&tenant, pushed("b", "", 4)).unwrap();
    table.delete(&tenant, &Labels::from_pairs([("job", "gone")])).unwrap();
    let kept = shown(&table, &tenant);
    assert_eq!(kept.len(), 2);
    let after = disk.crash(CrashPolicy::LoseUnsynced);
    assert_eq!(shown(&open(&after, usize::MAX), &tenant), kept);
}

#[test]
fn a_damaged_group_is_left_out() {
    let disk = SimDisk::new();
    let tenant = TenantId::default_tenant();
    let mut table = open(&disk, usize::MAX);
    table.push(&tenant, pushed("a", "m 1\n", 1)).unwrap();
    table.push(&tenant, pushed("b", "m 1\n", 1)).unwrap();
    let folder = "pushgateway/default";
    let first = disk.list(folder).unwrap()[0].name.clone();
    disk.flip_bit(&format!("{folder}/{first}"), 300).unwrap();
    assert_eq!(open(&disk, usize::MAX).groups(&tenant).len(), 1);
}

#[test]
fn groups_take_no_more_than_they_may() {
    let disk = SimDisk::new();
    let tenant = TenantId::default_tenant();
    let mut table = open(&disk, 4096);
    let error = (0..100)
        .find_map(|n| table.push(&tenant, pushed(&format!("j{n}"), "m 1\n", 1)).err())
        .expect("the limit is reached");
    assert_eq!(error.kind, ErrorKind::Limit);
    assert!(error.message.contains("pushgateway.max_size"), "{error}");
    table.delete(&tenant, &Labels::from_pairs([("job", "j0")])).unwrap();
    table.push(&tenant, pushed("again", "m 1\n", 1)).unwrap();
}

/// Written by version 1 of the format; `MIRADOR_FREEZE=1` writes it anew, for a new version only.
#[test]
#[expect(clippy::disallowed_methods, reason = "the fixture is a file of the source tree")]
fn the_first_version_is_still_read() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/pushgateway/group-v1.bin");
    let disk = SimDisk::new();
    let tenant = TenantId::default_tenant();
    let mut table = open(&disk, usize::MAX);
    table
        .push(&tenant, pushed("a", "# TYPE m counter\nm{x=\"가\"} 1\nn NaN\n", 1_700_000_000_000))
        .unwrap();
    table.push(&tenant, pushed("a", "n 2\n", 1_700_000_001_000)).unwrap();
    let bytes = encode(&table.groups(&tenant)[0]);
    if std::env::var_os("MIRADOR_FREEZE").is_some() {
        std::fs::write(path, &bytes).unwrap();
    }
    let frozen = std::fs::read(path).unwrap();
    assert_eq!(frozen, bytes);
    let group = decode(&frozen, &LabelLimits::NONE).unwrap();
    assert_eq!(format!("{group:?}"), format!("{:?}", table.groups(&tenant)[0]));
}

proptest! {
    #[test]
    fn files_of_groups_are_read_as_they_were_written(
        bodies in proptest::collection::vec("(m[ab] [0-9]\n){0,1}(n 1\n)?", 0..4),
    ) {
        let disk = SimDisk::new();
        let tenant = TenantId::default_tenant();
        let mut table = open(&disk, usize::MAX);
        for (time_ms, body) in (1..).zip(&bodies) {
            table.push(&tenant, pushed("a", body, time_ms)).unwrap();
        }
        for group in table.groups(&tenant) {
            let bytes = encode(&group);
            let again = decode(&bytes, &LabelLimits::NONE).unwrap();
            prop_assert_eq!(format!("{:?}", group), format!("{:?}", again));
            for end in 0..bytes.len() {
                prop_assert!(decode(&bytes[..end], &LabelLimits::NONE).is_err());
            }
        }
    }
}
