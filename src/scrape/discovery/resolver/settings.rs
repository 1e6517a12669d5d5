//! `/etc/resolv.conf`.

use std::net::{IpAddr, SocketAddr};

const PORT: u16 = 53;
/// As the system's resolver has it.
const SERVERS_MAX: usize = 3;
const DOMAINS_MAX: usize = 32;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) servers: Vec<SocketAddr>,
    pub(super) domains: Vec<String>,
    /// A name with as many dots is tried as it is first.
    pub(super) dots: usize,
}

impl Settings {
    pub(super) fn parse(text: &str) -> Self {
        let mut settings = Self { dots: 1, ..Self::default() };
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or("");
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    settings.servers.extend(address.map(|address| SocketAddr::new(address, PORT)));
                }
                Some("search" | "domain") => {
                    settings.domains = words.take(DOMAINS_MAX).map(str::to_owned).collect();
                }
                Some("options") => {
                    let dots = words.find_map(|word| word.strip_prefix("ndots:")?.parse().ok());
                    settings.dots = dots.unwrap_or(settings.dots);
                }
                _ => {}
            }
        }
        settings.servers.truncate(SERVERS_MAX);
        settings
    }

    /// The full names that a name may mean, in the order in which they are tried.
    pub(super) fn candidates(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.to_owned()];
        }
        let whole = format!("{name}.");
        let searched = self.domains.iter();
        let mut names: Vec<String> =
            searched.map(|domain| format!("{name}.{}.", domain.trim_matches('.'))).collect();
        let is_first = name.matches('.').count() >= self.dots;
        names.insert(if is_first { 0 } else { names.len() }, whole);
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_names_completed() {
        let text = "# comment\nnameserver 10.0.0.2\nnameserver fd00::1 ; local\n\
                    search svc.cluster.local cluster.local\noptions timeout:1 ndots:2\nsortlist x\n";
        let settings = Settings::parse(text);
        assert_eq!(settings.servers[0].to_string(), "10.0.0.2:53");
        assert_eq!(settings.servers[1].to_string(), "[fd00::1]:53");
        assert_eq!(
            settings.candidates("db.prod"),
            ["db.prod.svc.cluster.local.", "db.prod.cluster.local.", "db.prod."]
        );
        assert_eq!(settings.candidates("a.b.c")[0], "a.b.c.");
        assert_eq!(settings.candidates("full."), ["full."]);
    }
}
