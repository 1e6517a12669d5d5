//! Reading the settings: file, then environment, then flags; the later wins. An unknown
//! key is an error with its place and the key that was probably meant.

use super::settings::Config;
use model::nearest;
use protocols::settings::HumanDuration;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Environment variables of this form set one setting: `MIRADOR__WAL__SYNC=1s`.
const ENVIRONMENT_PREFIX: &str = "MIRADOR__";

/// More than a machine has ports, and far below what tokio's semaphore, which counts connections, can
/// hold.
const CONNECTIONS_MAX: usize = 1_000_000;

/// Every write waits for the window of its sync; a client's timeout is shorter than this.
const WAL_WINDOW_MAX: HumanDuration = HumanDuration::from_secs(60);

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("can't read the configuration file {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{origin}: {message}")]
    Invalid { origin: String, message: String },
}

/// Where settings come from besides the defaults.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub file: Option<PathBuf>,
    /// The process's environment; other variables are ignored.
    pub environment: Vec<(String, String)>,
    /// `section.key` and its value as written on the command line.
    pub flags: Vec<(String, String)>,
}

/// The one path by which settings are read: start-up and `check-config` both walk it.
pub fn load(overrides: &Overrides) -> Result<Config, ConfigError> {
    let mut table = Table::new();
    if let Some(path) = &overrides.file {
        let text = read_file(path)?;
        table = parse_file(&path.display().to_string(), &text)?;
    }
    for (variable, value) in &overrides.environment {
        if let Some(rest) = variable.strip_prefix(ENVIRONMENT_PREFIX) {
            let key = rest.to_ascii_lowercase().replacen("__", ".", 1);
            set(&mut table, &key, value, &format!("environment variable {variable}"))?;
        }
    }
    for (key, value) in &overrides.flags {
        set(&mut table, key, value, &format!("flag for {key}"))?;
    }
    check(build(table)?)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the file is the operator's, outside the data folder"
)]
fn read_file(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })
}

/// Parses the text and refuses unknown names with their line.
fn parse_file(origin: &str, text: &str) -> Result<Table, ConfigError> {
    let spanned = toml::de::DeTable::parse(text)
        .map_err(|error| invalid(origin, error.to_string().trim_end()))?;
    for (section, body) in spanned.get_ref() {
        let line = line_of(text, section.span().start);
        let name = section.get_ref();
        let Some(known) = Config::section(name) else {
            return Err(invalid(&format!("{origin}:{line}"), &unknown_section(name)));
        };
        let Some(settings) = body.get_ref().as_table() else {
            let message = format!("{name} is a section: write [{name}] and its settings below");
            return Err(invalid(&format!("{origin}:{line}"), &message));
        };
        for (setting, _) in settings {
            if Config::setting(known.name, setting.get_ref()).is_none() {
                let line = line_of(text, setting.span().start);
                let message = unknown_setting(known.name, setting.get_ref());
                return Err(invalid(&format!("{origin}:{line}"), &message));
            }
        }
    }
    let table: Table = text.parse().map_err(|e: toml::de::Error| invalid(origin, e.message()))?;
    check_values(origin, text, &table, spanned.get_ref())?;
    Ok(table)
}

/// Reads each setting by itself so that a bad value is reported with its line.
fn check_values(
    origin: &str,
    text: &str,
    table: &Table,
    spanned: &toml::de::DeTable<'_>,
) -> Result<(), ConfigError> {
    for (section, body) in table {
        for (setting, value) in body.as_table().into_iter().flatten() {
            let Err(message) = try_value(section, setting, value) else { continue };
            let span = spanned
                .get(section.as_str())
                .and_then(|body| body.get_ref().as_table()?.get(setting.as_str()))
                .map_or(0, |value| value.span().start);
            let place = format!("{origin}:{}", line_of(text, span));
            return Err(invalid(&place, &format!("{section}.{setting}: {message}")));
        }
    }
    Ok(())
}

fn try_value(section: &str, setting: &str, value: &Value) -> Result<(), String> {
    let body = Table::from_iter([(setting.to_owned(), value.clone())]);
    let whole = Table::from_iter([(section.to_owned(), Value::Table(body))]);
    whole.try_into::<Config>().map(|_| ()).map_err(|error| error.message().to_owned())
}

/// Sets `section.key` from text: a TOML value where it is one, a string otherwise.
fn set(table: &mut Table, key: &str, text: &str, origin: &str) -> Result<(), ConfigError> {
    let (section, setting) = key
        .split_once('.')
        .ok_or_else(|| invalid(origin, &format!("{key:?} is not of the form section.key")))?;
    if Config::section(section).is_none() {
        return Err(invalid(origin, &unknown_section(section)));
    }
    if Config::setting(section, setting).is_none() {
        return Err(invalid(origin, &unknown_setting(section, setting)));
    }
    let string = Value::String(text.to_owned());
    let parsed = format!("v = {text}").parse::<Table>().ok().and_then(|mut t| t.remove("v"));
    // What is no text, such as a list, is told of as what it is.
    let shown = parsed.clone().filter(|value| value.is_array() || value.is_table());
    let shown = shown.unwrap_or_else(|| string.clone());
    let candidates = [parsed, Some(string)];
    let value = candidates.into_iter().flatten().find(|v| try_value(section, setting, v).is_ok());
    let Some(value) = value else {
        let message = try_value(section, setting, &shown).expect_err("no candidate was accepted");
        return Err(invalid(origin, &format!("{section}.{setting}: {message}")));
    };
    let body = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(body) = body {
        body.insert(setting.to_owned(), value);
    }
    Ok(())
}

fn build(table: Table) -> Result<Config, ConfigError> {
    table.try_into().map_err(|error: toml::de::Error| invalid("configuration", error.message()))
}

/// What can only be seen with all settings together.
fn check(config: Config) -> Result<Config, ConfigError> {
    let tls = &config.tls;
    if tls.cert_file.as_os_str().is_empty() != tls.key_file.as_os_str().is_empty() {
        return Err(invalid("configuration", "tls needs both cert_file and key_file, or neither"));
    }
    if !(1..=CONNECTIONS_MAX).contains(&config.limits.connections) {
        let message = format!("limits.connections must lie between 1 and {CONNECTIONS_MAX}");
        return Err(invalid("configuration", &message));
    }
    if config.wal.window.0 > WAL_WINDOW_MAX.0 {
        return Err(invalid(
            "configuration",
            &format!("wal.window must be at most {WAL_WINDOW_MAX}"),
        ));
    }
    if let Some(name) = zero_that_stops_all(&config) {
        return Err(invalid("configuration", &format!("{name} must not be 0")));
    }
    let segment = config.wal.segment_size.0;
    if !(1 << 20..=1 << 32).contains(&segment) {
        return Err(invalid("configuration", "wal.segment_size must lie between 1MiB and 4GiB"));
    }
    Ok(config)
}

/// The first setting that is 0 where that would refuse every request of its kind.
fn zero_that_stops_all(config: &Config) -> Option<&'static str> {
    let (limits, promql) = (&config.limits, &config.promql);
    let zeros = [
        ("limits.idle_timeout", limits.idle_timeout.0.is_zero()),
        ("limits.header_timeout", limits.header_timeout.0.is_zero()),
        ("limits.body_timeout", limits.body_timeout.0.is_zero()),
        ("limits.body_size", limits.body_size.0 == 0),
        ("limits.decompressed_size", limits.decompressed_size.0 == 0),
        ("limits.queries_waiting", limits.queries_waiting == 0),
        ("limits.tenant_queries_waiting", limits.tenant_queries_waiting == 0),
        ("storage.tenants", config.storage.tenants == 0),
        ("rules.evaluation_interval", config.rules.evaluation_interval.0.is_zero()),
        ("rules.groups_at_once", config.rules.groups_at_once == 0),
        ("promql.max_samples", promql.max_samples == 0),
        ("promql.max_memory", promql.max_memory.0 == 0),
        ("promql.timeout", promql.timeout.0.is_zero()),
    ];
    zeros.into_iter().find(|(_, is_zero)| *is_zero).map(|(name, _)| name)
}

fn invalid(origin: &str, message: &str) -> ConfigError {
    ConfigError::Invalid { origin: origin.to_owned(), message: message.to_owned() }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

fn unknown_section(name: &str) -> String {
    let mut message = format!("unknown section [{name}]");
    let names = Config::sections().map(|section| section.name);
    suggest(&mut message, name, names, |found| format!("[{found}]"));
    message
}

fn unknown_setting(section: &str, name: &str) -> String {
    let mut message = format!("unknown setting {section}.{name}");
    let own = Config::section(section).into_iter().flat_map(|s| s.settings);
    if nearest(name, own.clone().map(|setting| setting.name)).is_some() {
        suggest(&mut message, name, own.map(|s| s.name), |found| format!("{section}.{found}"));
        return message;
    }
    // The setting's name may be right and its section wrong.
    for other in Config::sections() {
        if other.settings.iter().any(|setting| setting.name == name) {
            let _ = write!(message, ": did you mean {}.{name}?", other.name);
            return message;
        }
    }
    let names: Vec<&str> = own.map(|setting| setting.name).collect();
    let _ = write!(message, "; [{section}] knows {}", names.join(", "));
    message
}

fn suggest<'a>(
    message: &mut String,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
    show: impl Fn(&str) -> String,
) {
    match nearest(name, known.clone()) {
        Some(found) => {
            let _ = write!(message, ": did you mean {}?", show(found));
        }
        None => {
            let all: Vec<String> = known.map(show).collect();
            let _ = write!(message, "; known are {}", all.join(", "));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AuthMode, ByteSize, WalSync};

    fn of_file(text: &str) -> Result<Config, String> {
        let table = parse_file("mirador.toml", text).map_err(|error| error.to_string())?;
        build(table).and_then(check).map_err(|error| error.to_string())
    }

    fn of_pairs(environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, String> {
        let owned = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let overrides =
            Overrides { file: None, environment: owned(environment), flags: owned(flags) };
        load(&overrides).map_err(|error| error.to_string())
    }

    #[test]
    fn later_sources_win() {
        let config = of_pairs(
            &[
                ("MIRADOR__WAL__SYNC", "1s"),
                ("MIRADOR__LISTEN__ADDRESS", "127.0.0.1:1"),
                ("MIRADOR__OTLP__DELTA_SERIES_MAX", "8"),
                ("HOME", "/"),
            ],
            &[("listen.address", "127.0.0.1:2"), ("limits.connections", "7")],
        )
        .unwrap();
        assert_eq!(config.protocols.otlp.delta_series_max, 8);
        assert_eq!(config.wal.sync, WalSync::Interval("1s".parse().unwrap()));
        assert_eq!(config.listen.address, "127.0.0.1:2");
        assert_eq!(config.limits.connections, 7);
    }

    #[test]
    fn a_file_sets_what_it_names_and_no_more() {
        let config = of_file("[auth]\nmode = \"on\"\n[limits]\nbody_size = \"1MiB\"\n").unwrap();
        assert_eq!(config.auth.mode, AuthMode::On);
        assert_eq!(config.limits.body_size, ByteSize::mib(1));
        assert_eq!(config.wal, Config::default().wal);
    }

    #[test]
    fn errors_name_the_place_and_the_likely_meaning() {
        for (text, expected) in [
            (
                "[wal]\nsnyc = \"off\"\n",
                "mirador.toml:2: unknown setting wal.snyc: did you mean wal.sync?",
            ),
            ("\n[wall]\n", "mirador.toml:2: unknown section [wall]: did you mean [wal]?"),
            (
                "[wal]\nmerge_interval = \"1m\"",
                "unknown setting wal.merge_interval: did you mean storage.merge_interval?",
            ),
            (
                "[wal]\nsync = \"sometimes\"",
                "mirador.toml:2: wal.sync: \"sometimes\" is no sync policy",
            ),
            (
                "[limits]\n\nconnections = \"many\"",
                "mirador.toml:3: limits.connections: invalid type",
            ),
            // The sections of protocols are declared elsewhere, and read like all others.
            (
                "[prometheus]\nlabels_max = \"many\"",
                "mirador.toml:2: prometheus.labels_max: invalid type: string \"many\", expected usize",
            ),
            (
                "[otlp]\ntranslation_strategy = \"None\"",
                "mirador.toml:2: otlp.translation_strategy: unknown variant `None`, expected one of",
            ),
            (
                "[otlp]\nlabels_max = 3",
                "mirador.toml:2: unknown setting otlp.labels_max: did you mean prometheus.labels_max?",
            ),
            ("[limits]\nconnections = 0", "limits.connections must lie between 1 and"),
            // More than the counter of places can hold.
            ("[limits]\nconnections = 9223372036854775807", "limits.connections must lie between"),
            // Nothing would be left, where elsewhere 0 means no limit.
            ("[retention]\nsize = \"0B\"", "retention.size: \"0B\" is no limit"),
            ("[tenants]\nretention_metrics = { \"../a\" = \"1d\" }", "is no name of a tenant"),
            ("[limits]\nquery_memory = \"0B\"", "limits.query_memory: \"0B\" is no limit"),
            ("[wal]\nwindow = \"2m\"", "wal.window must be at most 1m"),
            ("[promql]\nlookback = \"213503982334d\"", "promql.lookback: \"213503982334d\" is"),
            ("[promql]\ntimeout = \"0s\"", "promql.timeout must not be 0"),
            ("[promql]\nmax_samples = 0", "promql.max_samples must not be 0"),
            ("[promql]\nmax_memory = \"0B\"", "promql.max_memory must not be 0"),
            ("[limits]\nheader_timeout = \"0s\"", "limits.header_timeout must not be 0"),
            ("[limits]\nidle_timeout = \"0s\"", "limits.idle_timeout must not be 0"),
            ("[limits]\nbody_timeout = \"0s\"", "limits.body_timeout must not be 0"),
            ("[limits]\nqueries_waiting = 0", "limits.queries_waiting must not be 0"),
            ("[limits]\nbody_size = \"0B\"", "limits.body_size must not be 0"),
            ("[limits]\ndecompressed_size = \"0B\"", "limits.decompressed_size must not be 0"),
            ("listen = 3", "mirador.toml:1: listen is a section"),
            ("[tls]\ncert_file = \"a\"", "tls needs both"),
            ("[wal\n", "mirador.toml: TOML parse error at line 1"),
        ] {
            let error = of_file(text).unwrap_err();
            assert!(error.contains(expected), "{text:?} said {error:?}");
        }
        let error = of_pairs(&[("MIRADOR__WAL__SIZE", "1")], &[]).unwrap_err();
        assert!(error.starts_with("environment variable MIRADOR__WAL__SIZE: unknown"), "{error}");
    }
}
