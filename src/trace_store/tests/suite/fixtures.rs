//! Files of format version 1 must stay readable.
//!
//! `MIRADOR_FREEZE=1 cargo test -p trace_store fixtures` writes the folder again; only for a new
//! version, or while version 1 is not released.

use crate::spans::{Shown, Span, fill, open, read, whole};
use engine::testing::{TODAY_NS, thawed};
use model::TimeUnit;
use platform::sim::{CrashPolicy, SimClock, SimDisk};
use std::path::Path;
use std::sync::Arc;
use trace_store::Select;

/// Any digits, the same each time.
fn digits(n: u64) -> u64 {
    n.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ n >> 7
}

fn shown(list: &[(&str, String)]) -> Shown {
    list.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

/// Attributes whose columns take every form that there is.
fn attributes(n: u64) -> Shown {
    let any = digits(n);
    match n % 6 {
        0 => shown(&[
            ("http.route", format!("text:/api/{}", any % 9)),
            ("http.response.status_code", format!("int:{}", [200, 404, 503][any as usize % 3])),
        ]),
        1 => shown(&[("customer.id", format!("text:c{:06}", any % 999_999))]),
        2 => shown(&[
            ("request.id", format!("text:{any:016x}")),
            ("ok", format!("bool:{}", any % 2 == 1)),
        ]),
        3 => shown(&[("ratio", format!("double:{:?}", (any % 77) as f64 / 8.0))]),
        4 => shown(&[
            ("customer.id", format!("int:{}", any as i64)),
            ("이름", "text:결제".to_owned()),
        ]),
        _ => shown(&[("list", format!("array:{}", any % 5)), ("raw", "bytes:ab".to_owned())]),
    }
}

const TRACES: u64 = 40;
const SPANS: u64 = 5;

/// Spans of a flush: the root of a trace comes with the first, its last span with the second.
fn spans(flush: u64) -> Vec<Span> {
    let mut list = Vec::new();
    for trace in 0..TRACES {
        for id in 0..SPANS {
            let n = trace * SPANS + id;
            if (id == SPANS - 1) != (flush % 2 == 1) {
                continue;
            }
            let day = if flush < 2 { 0 } else { 86_400_000_000_000 };
            list.push(Span {
                trace: (trace + 1 + flush / 2 * TRACES) as u8,
                id: id as u8 + 1,
                parent: if trace % 7 == 3 && id == 2 { 99 } else { id as u8 / 2 },
                start: TODAY_NS as u64 - day + trace * 40_000_003 + id * 1_000,
                length: if n % 11 == 5 { -7 } else { (digits(n) % 3_000_000) as i64 },
                name: format!("op {}", n % 4),
                kind: (n % 6) as u8,
                status: (n % 3) as u8,
                resource: shown(&[("service.name", format!("text:svc {}", id % 3))]),
                scope: if n.is_multiple_of(2) {
                    Shown::new()
                } else {
                    shown(&[("v", "int:1".to_owned())])
                },
                attributes: attributes(n),
                events: (0..n % 3).map(|event| attributes(event + 1)).collect(),
                links: if n % 9 == 1 { vec![attributes(3)] } else { Vec::new() },
            });
        }
    }
    list
}

/// Parts of two levels and two days, with traces that are in two of them, and a write-ahead log with a
/// batch that is in no part.
fn make() -> SimDisk {
    let (store, mut world) = open(&SimDisk::new(), &Arc::new(SimClock::new()), 1).unwrap();
    for flush in [2, 3, 0, 1] {
        let mut batch = store.batch(&world.tenant);
        fill(&mut batch, &spans(flush));
        world.write(batch).unwrap();
        match flush {
            2 | 0 => world.flush().unwrap(),
            3 => {
                world.flush().unwrap();
                world.merge(true).unwrap();
            }
            _ => {}
        }
    }
    world.disk.crash(CrashPolicy::KeepAll)
}

/// As readers see them, in their order.
fn expected() -> Vec<Span> {
    let mut all: Vec<Span> = (0..4).flat_map(spans).collect();
    all.iter_mut().for_each(|span| span.length = span.length.max(0));
    all.sort();
    all
}

#[test]
fn fixtures_of_version_1_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1");
    let disk = thawed(&folder, make).unwrap();
    let (store, world) = open(&disk, &Arc::new(SimClock::new()), 9).unwrap();
    let everything = TimeUnit::Nanos.everything();
    assert_eq!(world.engine.stats().parts, 2, "of each day one");
    for state in ["unchanged", "merged"] {
        assert!(read(&store, &world.tenant, &whole(everything)) == expected(), "{state}");
        for trace in [1, 40, 41, 80] {
            let by_id = Select { trace_id: Some([trace; 16]), ..whole(everything) };
            let found = read(&store, &world.tenant, &by_id);
            let of_trace = expected().into_iter().filter(|span| span.trace == trace);
            assert_eq!(found, of_trace.collect::<Vec<_>>(), "{state}");
        }
        world.flush().unwrap();
        world.merge(true).unwrap();
    }
}
