//! Queries that cost far more than they look.

use super::{at_once, health_takes, is_limited, others_are_served, start, status_kib};
use crate::client::Connection;
use crate::remote_write::{Series, request, snappy, write};
use crate::support::{Folder, Server, encoded, say};
use std::time::{Duration, Instant};

/// Some hundred series with a sample every second of an hour.
fn fill(server: &Server) {
    for minute in 0..60 {
        let series: Vec<Series> = (0..300)
            .map(|index| {
                let series = Series::new(&[("__name__", "m"), ("i", &format!("{index}"))]);
                (0..60).fold(series, |series, second| {
                    let time = super::TIME_MS + (minute * 60 + second) * 1_000;
                    series.sample(time, f64::from(index))
                })
            })
            .collect();
        write(server.address, &series);
    }
}

/// A query of seconds at a time with data, of next to nothing at a time without.
fn heavy_path(time: i64) -> String {
    let query = "sum(max_over_time(sum(rate(m[5m]))[55m:1s]))";
    format!("/api/v1/query?query={}&time={time}", encoded(query))
}

#[test]
fn a_query_that_was_quick_once_holds_no_sockets_up() {
    let folder = Folder::new();
    let server = start(folder.path(), &[]);
    fill(&server);
    let mut connection = server.connect();
    for _ in 0..10 {
        assert_eq!(connection.send("GET", &heavy_path(1), &[], b"").status, 200);
    }
    let heavy = heavy_path(super::TIME_MS / 1_000 + 3_500);
    let slowest = std::thread::scope(|scope| {
        let attackers = scope.spawn(|| {
            at_once(12, |_| Connection::open(server.address).send("GET", &heavy, &[], b"").status)
        });
        let mut slowest = Duration::ZERO;
        while !attackers.is_finished() {
            slowest = slowest.max(health_takes(server.address));
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(attackers.join().unwrap().iter().all(|status| [200, 422, 503].contains(status)));
        slowest
    });
    assert!(slowest < Duration::from_secs(4), "{slowest:?}");
    others_are_served(&server);
}

/// Ticks of a hundredth of a second that the process has worked.
fn worked(server: &Server) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Waits until the process works no more; answers how long it went on.
fn goes_on_for(server: &Server) -> Duration {
    let started = Instant::now();
    let mut last_work = started;
    let mut before = worked(server);
    while last_work.elapsed() < Duration::from_millis(400) {
        std::thread::sleep(Duration::from_millis(20));
        let now = worked(server);
        // One tick may be housekeeping.
        if now > before + 1 {
            last_work = Instant::now();
        }
        before = now;
        assert!(started.elapsed() < Duration::from_secs(60), "it does not end");
    }
    last_work - started
}

#[test]
fn work_ends_when_its_client_goes() {
    let folder = Folder::new();
    let server = start(folder.path(), &["--set", "storage.merge_interval=1h"]);
    fill(&server);
    let time = super::TIME_MS / 1_000 + 3_500;
    let range = |query: &str| {
        let query = encoded(query);
        format!("/api/v1/query_range?query={query}&start={}&end={time}&step=1", time - 3_400)
    };
    for path in [
        heavy_path(time),
        range("m"),
        range("m * on(i) group_left m"),
        range("quantile_over_time(0.9, m[5m])"),
        range("sort_by_label(label_replace(m, \"a\", \"$1$1\", \"i\", \"(.*)\"), \"a\")"),
        "/api/v1/export?match[]=m".to_owned(),
    ] {
        for headers in ["", "accept-encoding: gzip\r\n"] {
            let mut connection = server.connect();
            let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
            connection.write(request.as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(100));
            drop(connection);
            let took = goes_on_for(&server);
            // The bar is 200 ms on a machine that does nothing else.
            assert!(took < Duration::from_secs(2), "{path}: {took:?}");
        }
    }
    others_are_served(&server);
}

#[test]
fn a_bad_matcher_of_remote_read_is_told_before_the_stream_begins() {
    use crate::remote_write::{field, number};
    let folder = Folder::new();
    let server = start(folder.path(), &[]);
    let matcher = |op: u64, value: &str| {
        let name = [field(2, b"__name__"), field(3, value.as_bytes())].concat();
        field(3, &[number(1, op), name].concat())
    };
    let query = |matcher: Vec<u8>| {
        let times = [number(1, 0), number(2, super::TIME_MS as u64)].concat();
        field(1, &[times, matcher].concat())
    };
    let good = Series::new(&[("__name__", "m")]).sample(super::TIME_MS, 1.0);
    crate::remote_write::send(server.address, &request(&[good]));
    let chunked = number(2, 1);
    let body = [query(matcher(0, "m")), query(matcher(2, "(")), chunked].concat();
    let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
    let reply = server.connect().send("POST", "/api/v1/read", &headers, &snappy(&body));
    assert_eq!(reply.status, 400, "{}", reply.text());
}

/// The statuses that say that a query wants too much.
const REFUSALS: [u16; 4] = [400, 413, 422, 503];

fn refused(server: &Server, path: &str, form: &str, says: &str) {
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let reply = server.connect().send("POST", path, &headers, form.as_bytes());
    assert!(REFUSALS.contains(&reply.status), "{}: {}", reply.status, reply.text());
    assert!(reply.text().contains(says), "{}", reply.text());
}

#[test]
fn labels_that_double() {
    let folder = Folder::new();
    let server = start(folder.path(), &[]);
    fill(&server);
    let time = super::TIME_MS / 1_000 + 3_500;
    let replaced = (0..30).fold("m".to_owned(), |inner, _| {
        format!("label_replace({inner}, \"a\", \"$1$1\", \"a\", \"(.*)\")")
    });
    let begun = "label_replace(m, \"a\", \"xxxxxxxxxxxxxxxx\", \"\", \"\")";
    let replaced = replaced.replacen('m', begun, 1);
    let joined = (0..30).fold(begun.to_owned(), |inner, _| {
        format!("label_join({inner}, \"a\", \"-\", \"a\", \"a\", \"a\")")
    });
    for query in [replaced, joined] {
        let form = format!("query={}&time={time}", encoded(&query));
        refused(&server, "/api/v1/query", &form, "bytes of memory: ask for fewer series");
    }
    others_are_served(&server);
}

#[test]
fn selectors_times_filters() {
    let folder = Folder::new();
    let server = start(folder.path(), &[]);
    fill(&server);
    let selectors = "match[]=m&".repeat(1_000);
    let filters = "extra_filters[]={i=~\"1.*\"}&".repeat(8_000);
    for path in ["/api/v1/series", "/api/v1/labels"] {
        refused(&server, path, &format!("{selectors}{filters}"), "too many");
    }
    others_are_served(&server);
}

/// Series with label values of sixteen kilobytes: kilobytes of body, gigabytes of labels.
#[test]
fn series_with_long_labels() {
    let folder = Folder::new();
    let server = start(folder.path(), &[]);
    let long = "x".repeat(16_000);
    let mut statuses = Vec::new();
    for batch in 0..70 {
        let series: Vec<Series> = (0..1_000)
            .map(|index| {
                let id = format!("{batch}-{index}-{long}");
                Series::new(&[("__name__", "long"), ("id", &id)]).sample(super::TIME_MS, 1.0)
            })
            .collect();
        statuses.push(crate::remote_write::send(server.address, &request(&series)).status);
    }
    assert!(statuses.iter().all(|status| [204, 503].contains(status)), "{statuses:?}");
    assert!(
        statuses.contains(&503) == is_limited(),
        "a gigabyte of labels does not fit: {statuses:?}"
    );
    for path in
        ["/api/v1/series?match[]=long", "/api/v1/label/id/values", "/api/v1/query?query=long"]
    {
        let replies = at_once(4, |_| server.get(path).status);
        assert!(replies.iter().all(|status| *status == 200 || REFUSALS.contains(status)));
    }
    let peak = status_kib(server.pid(), "VmHWM:") / 1024;
    say(&format!("hostile: peak memory with long labels {peak} MiB"));
    assert_eq!(server.get("/healthy").status, 200);
}

/// Joins of everything with itself, in the memory of a small container.
#[test]
fn joins_at_the_same_time() {
    let folder = Folder::new();
    let server = start(folder.path(), &[]);
    fill(&server);
    let end = super::TIME_MS / 1_000 + 3_500;
    let query = encoded("m * on(i) m");
    let path = format!("/api/v1/query_range?query={query}&start={}&end={end}&step=1", end - 3_400);
    let statuses = at_once(8, |_| server.get(&path).status);
    assert!(statuses.iter().all(|status| *status == 200 || REFUSALS.contains(status)));
    others_are_served(&server);
}
