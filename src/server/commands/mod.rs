//! The command line: what a person types, and the exit codes they get.
//!
//! 0: done. 1: it failed. 2: wrong usage or configuration. 3: the address or the data folder is
//! in use by another process.

mod access;
mod backfill;
mod inspect;
mod rules;
mod test;

use crate::app;
use crate::config::{self, Config, ConfigError, Overrides};
use crate::http::listener::ListenPlan;
use crate::objects::ObjectsFolder;
use crate::operator_files::OperatorFiles;
use crate::serve;
use clap::{Args, Parser, Subcommand};
use platform::{Clock, RealClock, RealDisk};
use query::Pool;
use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// A self-hosted observability server: metrics, logs and traces in one binary and one folder.
///
/// Without a command it serves: http://127.0.0.1:9640/, data in ./mirador-data.
#[derive(Debug, Parser)]
#[command(name = "mirador", version, max_term_width = 100, propagate_version = true)]
struct CommandLine {
    #[command(flatten)]
    settings: SettingFlags,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Args, Clone, Debug, Default)]
struct SettingFlags {
    /// Read settings from this TOML file (docs/config.md)
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Keep data in this folder [default: mirador-data]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Listen on this address [default: 127.0.0.1:9640]
    #[arg(long, global = true, value_name = "ADDR")]
    listen: Option<String>,
    /// Scrape what this configuration file of Prometheus says
    #[arg(long, global = true, value_name = "FILE")]
    prometheus_config: Option<PathBuf>,
    /// Listen on any address without authentication
    #[arg(long, global = true)]
    insecure_listen: bool,
    /// Tell people of alerts as this file of Alertmanager says (alertmanager.yml)
    #[arg(long, global = true, value_name = "FILE")]
    alertmanager_config: Option<PathBuf>,
    /// Scrape, evaluate and tell as the objects of the Prometheus Operator in this folder say
    #[arg(long, global = true, value_name = "DIR")]
    kubernetes_objects: Option<PathBuf>,
    /// Serve the web UI from this folder instead of the binary
    #[arg(long, global = true, value_name = "DIR")]
    ui_dir: Option<PathBuf>,
    /// Any other setting: --set wal.sync=1s
    #[arg(long, global = true, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (what happens without a command)
    Serve,
    /// Read the settings as the server would, and say what is wrong or what they are
    CheckConfig {
        /// Print a configuration file with every setting and its default instead
        #[arg(long)]
        example: bool,
    },
    /// Read rule files as the server would, and say what is wrong or what is in them
    CheckRules {
        /// Paths, which may be patterns such as 'rules/*.yml'
        #[arg(required = true, value_name = "FILE")]
        files: Vec<String>,
    },
    /// Show what is in a file of the data folder; works while the server runs
    #[command(subcommand)]
    Inspect(inspect::InspectCommand),
    /// Run tests of queries and rules, without a server and without data
    #[command(subcommand)]
    Test(test::TestCommand),
    /// Evaluate rules over the past; the server must run
    #[command(subcommand)]
    Backfill(backfill::BackfillCommand),
    /// Create, list and revoke API tokens; works while the server runs
    #[command(subcommand)]
    Token(access::TokenCommand),
    /// Set, list and remove users with passwords; works while the server runs
    #[command(subcommand)]
    User(access::UserCommand),
}

/// What a command ended with.
type Outcome = Result<(), Failure>;

#[derive(Debug)]
struct Failure {
    code: u8,
    error: Box<dyn Error>,
}

impl<E: Into<Box<dyn Error>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { code: 1, error: error.into() }
    }
}

fn bad_config(error: ConfigError) -> Failure {
    Failure { code: 2, error: error.into() }
}

pub fn run() -> ExitCode {
    platform::create_privately();
    let line = CommandLine::parse();
    let outcome = match line.command {
        None | Some(Command::Serve) => serve_command(&line.settings),
        Some(Command::CheckConfig { example }) => check_config(&line.settings, example),
        Some(Command::CheckRules { files }) => {
            load(&line.settings).and_then(|config| rules::check(&config, &files))
        }
        Some(Command::Backfill(command)) => {
            load(&line.settings).and_then(|config| backfill::run(&config, &command))
        }
        Some(Command::Inspect(command)) => inspect::run(&command),
        Some(Command::Test(command)) => {
            load(&line.settings).and_then(|config| test::run(&config, &command))
        }
        Some(Command::Token(command)) => {
            load(&line.settings).and_then(|config| access::tokens(&config, &command))
        }
        Some(Command::User(command)) => {
            load(&line.settings).and_then(|config| access::users(&config, &command))
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(failure.error.as_ref());
            ExitCode::from(failure.code)
        }
    }
}

fn serve_command(flags: &SettingFlags) -> Outcome {
    let config = load(flags)?;
    let again = flags.clone();
    let read = Box::new(move || read(&again));
    serve::run(config, read)
        .map_err(|error| Failure { code: error.exit_code(), error: Box::new(error) })
}

fn check_config(flags: &SettingFlags, example: bool) -> Outcome {
    if example {
        return print(&config::example_file());
    }
    let config = load(flags)?;
    let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
    let (_, protocols) = app::protocols(&config, &clock, Arc::new(Pool::without_threads()));
    ListenPlan::new(&config, &protocols)
        .map_err(|error| Failure { code: 2, error: error.into() })?;
    check_files(&config)?;
    let text = toml::to_string(&config)?;
    print(&format!("# the settings are good; this is what the server would use\n{text}"))
}

/// The operator's files: what is wrong, and what has no effect.
fn check_files(config: &Config) -> Outcome {
    let wrong = |error: Box<dyn Error>| Failure { code: 2, error };
    let folder = ObjectsFolder::new(config);
    let files = OperatorFiles::read(config, &folder).map_err(|error| wrong(error.into()))?;
    if let Some(read) = &files.prometheus {
        let warnings: String = read.warnings.iter().map(|it| format!("# {it}\n")).collect();
        let file = config.protocols.prometheus.config_file.display().to_string();
        let what = if file.is_empty() { "what is scraped" } else { &file };
        print(&format!("# {what} is good: {} jobs\n{warnings}", read.jobs.len()))?;
    }
    let Some(path) = folder.path() else { return Ok(()) };
    match files.objects.refused() {
        refused if refused.is_empty() => {
            let (path, count) = (path.display(), files.objects.derived.outcomes.len());
            print(&format!("# {path} is good: {count} objects\n"))
        }
        refused => Err(wrong(refused.join("\n").into())),
    }
}

fn load(flags: &SettingFlags) -> Result<Config, Failure> {
    read(flags).map_err(bad_config)
}

fn read(flags: &SettingFlags) -> Result<Config, ConfigError> {
    let mut settings = Vec::new();
    for text in &flags.set {
        let Some((key, value)) = text.split_once('=') else {
            let (origin, message) = (format!("--set {text}"), "write --set section.key=value");
            return Err(ConfigError::Invalid { origin, message: message.to_owned() });
        };
        settings.push((key.trim().to_owned(), value.trim().to_owned()));
    }
    if let Some(data) = &flags.data {
        settings.push(("server.data".to_owned(), data.display().to_string()));
    }
    if let Some(listen) = &flags.listen {
        settings.push(("listen.address".to_owned(), listen.clone()));
    }
    if let Some(file) = &flags.prometheus_config {
        settings.push(("prometheus.config_file".to_owned(), file.display().to_string()));
    }
    if let Some(file) = &flags.alertmanager_config {
        let key = "alerting.alertmanager_config".to_owned();
        settings.push((key, file.display().to_string()));
    }
    if let Some(folder) = &flags.kubernetes_objects {
        settings.push(("kubernetes.objects".to_owned(), folder.display().to_string()));
    }
    if let Some(folder) = &flags.ui_dir {
        settings.push(("ui.dir".to_owned(), folder.display().to_string()));
    }
    if flags.insecure_listen {
        settings.push(("listen.insecure".to_owned(), "true".to_owned()));
    }
    let environment = std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let overrides = Overrides { file: flags.config.clone(), environment, flags: settings };
    config::load(&overrides)
}

fn print(text: &str) -> Outcome {
    match std::io::stdout().write_all(text.as_bytes()) {
        // A reader that has closed the pipe (`mirador inspect … | head`) is no failure.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// The file's folder as a disk, and its name there.
fn locate(file: &Path) -> Result<(RealDisk, String), Failure> {
    let name = file.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| format!("{} names no file", file.display()))?;
    let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(format!("there is no folder {}", folder.display()).into());
    }
    Ok((RealDisk::open(folder)?, name.to_owned()))
}

/// The error and what caused it, one line each.
fn complain(error: &dyn Error) {
    let mut text = format!("mirador: {error}\n");
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!("  because: {inner}\n"));
        cause = inner.source();
    }
    let _ = std::io::stderr().write_all(text.as_bytes());
}
