//! The reference page and the example file, generated from the settings themselves.

use super::settings::Config;
use std::fmt::Write as _;
use toml::{Table, Value};

/// docs/config.md.
pub fn reference_page() -> String {
    let mut page = String::from(
        "# Settings\n\n\
         Generated from `src/server/config/settings.rs`; a test keeps it fresh.\n\n\
         Mirador starts without any settings. What is set is read from, later wins:\n\n\
         1. a TOML file: `mirador --config mirador.toml`;\n\
         2. environment variables: `MIRADOR__SECTION__KEY`, as in `MIRADOR__WAL__SYNC=1s`;\n\
         3. flags: `--data`, `--listen`, `--prometheus-config`, `--alertmanager-config`, `--kubernetes-objects`, `--insecure-listen`, and `--set section.key=value` for the rest.\n\n\
         `mirador check-config --config mirador.toml` reads them as the server would and says what is \
         wrong. A name that does not exist is an error, with the one that was probably meant.\n",
    );
    let defaults = defaults();
    for section in Config::sections() {
        let _ = writeln!(page, "\n## [{}]\n\n{}\n", section.name, joined(section.doc));
        let _ = writeln!(page, "| setting | default | meaning |\n| --- | --- | --- |");
        for setting in section.settings {
            let default = &defaults[section.name][setting.name];
            let meaning = joined(setting.doc).replace('|', "\\|");
            let _ = writeln!(page, "| `{}` | `{default}` | {meaning} |", setting.name);
        }
    }
    page
}

/// A file that says what the defaults are, every line commented out.
pub fn example_file() -> String {
    let mut file =
        String::from("# Mirador's settings with their defaults. Uncomment what you change.\n");
    let defaults = defaults();
    for section in Config::sections() {
        let _ = writeln!(file, "\n# {}\n[{}]", joined(section.doc), section.name);
        for setting in section.settings {
            for line in setting.doc {
                let _ = writeln!(file, "# {}", line.trim());
            }
            let _ = writeln!(file, "#{} = {}", setting.name, defaults[section.name][setting.name]);
        }
    }
    file
}

fn defaults() -> Table {
    let value = Value::try_from(Config::default()).expect("settings are plain values");
    match value {
        Value::Table(table) => table,
        _ => unreachable!("a struct becomes a table"),
    }
}

fn joined(doc: &[&str]) -> String {
    doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_documented() {
        for section in Config::sections() {
            assert!(!section.doc.is_empty(), "[{}] has no description", section.name);
            for setting in section.settings {
                assert!(!setting.doc.is_empty(), "{}.{} has none", section.name, setting.name);
            }
        }
    }

    #[test]
    fn the_example_is_the_defaults() {
        let uncommented: String = example_file()
            .lines()
            .map(|line| line.strip_prefix('#').filter(|l| !l.starts_with(' ')).unwrap_or(line))
            .map(|line| format!("{line}\n"))
            .collect();
        let config: Config = toml::from_str(&uncommented).unwrap();
        assert_eq!(config, Config::default());
    }
}
