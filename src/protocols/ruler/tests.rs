//! Paths; what is behind them is tested with the real server (`tests/rules.rs`).

use super::*;

#[test]
fn paths_name_their_ruler_namespace_and_group() {
    for (path, language, names) in [
        ("/config/v1/rules", Language::Promql, &[][..]),
        ("/prometheus/config/v1/rules/a%2Fb", Language::Promql, &["a/b"]),
        ("/loki/api/v1/rules/rules/rules", Language::Logql, &["rules", "rules"]),
        ("/api/prom/rules/a+b/c%20d/", Language::Logql, &["a+b", "c d"]),
    ] {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(Place::of(path), Place { language, names }, "{path}");
    }
}
