//! Settings: what an operator may choose, from a TOML file, the environment and flags.
//!
//! Lives here: the settings themselves (`settings.rs`, each documented once, where it is defined),
//! their units, loading with errors that name file, line and the likely meaning, and the page that
//! is generated from all of it.
//! Not here: components (disk, clock): those are passed, not configured.

mod docs;
mod kubernetes;
mod load;
mod rules;
mod settings;
mod stream_retention;
mod yaml;

pub use docs::{example_file, reference_page};
pub use kubernetes::{KubernetesSettings, TargetsFrom};
pub use load::{ConfigError, Overrides, load};
pub use protocols::settings::{ByteSize, HumanDuration, SectionDoc, SettingDoc, SizeLimit};
pub use rules::RuleSettings;
pub use settings::{
    AuthMode, AuthSettings, Config, LimitSettings, ListenSettings, LogFormatSetting, LogLevel,
    LogSettings, MetricSettings, PromqlSettings, ServerSettings, StorageSettings, TestingSettings,
    TlsSettings, WalSettings, WalSync,
};
pub(crate) use yaml::yaml;
