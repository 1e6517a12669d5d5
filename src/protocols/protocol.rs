//! The list of protocols: adding one is adding a file and a line here.

use crate::{Route, Services};

/// A protocol that is served.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// The name of its file or folder.
    pub name: &'static str,
    pub routes: &'static [&'static [Route<Services>]],
}

/// Every protocol, by name.
pub static ALL: &[Protocol] = &[crate::otlp::PROTOCOL, crate::prometheus::PROTOCOL];

/// All routes of all protocols.
pub fn routes() -> impl Iterator<Item = &'static Route<Services>> {
    ALL.iter().flat_map(|protocol| protocol.routes.iter().copied().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Files and folders here that are the mechanism rather than a protocol.
    const MECHANISM: [&str; 12] = [
        "Cargo.toml",
        "fixtures",
        "guard",
        "lib",
        "principal",
        "protocol",
        "reply",
        "route",
        "services",
        "settings",
        "stream",
        "testing",
    ];

    #[test]
    #[expect(clippy::disallowed_methods, reason = "looks at the source tree")]
    fn every_protocol_is_listed() {
        let folder = std::fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap();
        let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let found: BTreeSet<String> = names
            .map(|name| name.trim_end_matches(".rs").to_owned())
            .filter(|name| !MECHANISM.contains(&name.as_str()))
            .collect();
        let listed: BTreeSet<String> = ALL.iter().map(|one| one.name.to_owned()).collect();
        assert_eq!(found, listed);
    }

    #[test]
    fn no_route_is_there_twice() {
        let mut seen = BTreeSet::new();
        for route in routes() {
            for method in route.methods {
                assert!(seen.insert((route.path, method.as_str())), "{route:?}");
            }
        }
    }
}
