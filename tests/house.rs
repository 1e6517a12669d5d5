//! The rules of the source tree that a program can check.

use crate::support::root;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The rows `| step | crates | …` of ARCHITECTURE.md: the step of each crate.
fn steps() -> BTreeMap<String, u32> {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut steps = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let Some(step) = cells.get(1).and_then(|cell| cell.parse().ok()) else { continue };
        for name in cells[2].split('`').skip(1).step_by(2) {
            steps.insert(name.to_owned(), step);
        }
    }
    steps
}

fn metadata() -> serde_json::Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--format-version", "1", "--no-deps", "--offline"]);
    let output = command.current_dir(root()).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn crates_depend_only_on_lower_steps() {
    let (steps, metadata) = (steps(), metadata());
    let packages = metadata["packages"].as_array().unwrap();
    let names: Vec<&str> = packages.iter().map(|p| p["name"].as_str().unwrap()).collect();
    let mut listed = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let path = package["manifest_path"].as_str().unwrap();
        if !Path::new(path).starts_with(root().join("src")) {
            continue;
        }
        let step =
            steps.get(name).unwrap_or_else(|| panic!("{name} is in no step of ARCHITECTURE.md"));
        listed.push(name);
        assert!(root().join("src").join(name).join("lib.rs").is_file(), "src/{name}/lib.rs");
        for dependency in package["dependencies"].as_array().unwrap() {
            let on = dependency["name"].as_str().unwrap();
            if dependency["kind"].is_null() && names.contains(&on) {
                assert!(steps[on] < *step, "{name} (step {step}) depends on {on} ({})", steps[on]);
            }
        }
    }
    for name in steps.keys() {
        assert!(
            listed.contains(&name.as_str()),
            "ARCHITECTURE.md lists {name}, which is not there"
        );
    }
}

#[test]
fn every_crate_says_what_lives_there_and_what_does_not() {
    for name in steps().keys() {
        let text = std::fs::read_to_string(root().join("src").join(name).join("lib.rs")).unwrap();
        let header: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        for word in ["Lives here", "Not here", "Invariant"] {
            assert!(header.contains(word), "the header of {name} lacks {word:?}");
        }
    }
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Checks a count in docs/how-to/add-a-protocol.md: outside of its own files, a protocol is only
/// named in the list of modules and in the list of protocols.
#[test]
fn a_protocol_is_named_in_two_files() {
    let protocols = root().join("src/protocols");
    let mut files = Vec::new();
    // No other crate may depend on `protocols`.
    for folder in ["src/protocols", "src/server"] {
        rust_files(&root().join(folder), &mut files);
    }
    let expected = ["lib.rs", "protocol.rs"].map(|file| protocols.join(file));
    for protocol in server::routes::default_protocols() {
        let name = protocol.name;
        let signs = [
            format!("mod {name};"),
            format!("crate::{name}::"),
            format!("protocols::{name}::"),
            format!("use super::{name}"),
        ];
        let own = [protocols.join(name), protocols.join(format!("{name}.rs"))];
        let others = files.iter().filter(|file| !own.iter().any(|own| file.starts_with(own)));
        let naming = others.filter(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            signs.iter().any(|sign| text.contains(sign))
        });
        let naming: BTreeSet<&PathBuf> = naming.collect();
        assert_eq!(naming, expected.iter().collect(), "{name}");
    }
}

#[test]
fn packages_stay_few() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let count = lock.lines().filter(|line| *line == "[[package]]").count();
    assert!(count < 300, "Cargo.lock has {count} packages");
}

/// `UPDATE_DOCS=1 cargo test -p server generated` rewrites the pages.
#[test]
fn generated_pages_are_fresh() {
    for (path, expected) in [
        ("docs/config.md", server::config::reference_page()),
        ("docs/mirador.example.toml", server::config::example_file()),
        ("docs/protocols.md", server::routes::reference_page()),
        ("docs/security.md", page_with_rights()),
    ] {
        let file = root().join(path);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&file, &expected).unwrap();
        }
        let found = std::fs::read_to_string(&file).unwrap_or_default();
        let stale = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
        let how = "UPDATE_DOCS=1 cargo test -p server generated";
        assert!(found == expected, "{path} is stale ({stale:?}): {how}");
    }
}

/// docs/security.md with the table between its marks as the tables of routes say it.
fn page_with_rights() -> String {
    let page = std::fs::read_to_string(root().join("docs/security.md")).unwrap();
    let (before, rest) = page.split_once("<!-- generated ").unwrap();
    let (mark, _) = rest.split_once('\n').unwrap();
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    let table = server::routes::rights_table();
    format!("{before}<!-- generated {mark}\n\n{table}\n<!-- end -->{after}")
}

/// Checks without a container engine that every file named in the container files exists.
#[test]
fn the_container_files_name_what_exists() {
    let docker = root().join("docker");
    let dockerfile = std::fs::read_to_string(docker.join("Dockerfile")).unwrap();
    for line in
        dockerfile.lines().filter(|line| line.starts_with("COPY") && !line.contains("--from"))
    {
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        for source in &words[..words.len() - 1] {
            assert!(root().join(source).exists(), "Dockerfile copies {source}");
        }
    }
    assert!(dockerfile.contains("cargo build --release --locked"));
    assert!(dockerfile.contains("USER ") && dockerfile.contains("VOLUME "));
    let compose = std::fs::read_to_string(docker.join("compose.yaml")).unwrap();
    for mounted in compose.lines().filter_map(|line| line.trim().strip_prefix("- ./")) {
        let source = mounted.split(':').next().unwrap();
        assert!(docker.join(source).exists(), "compose.yaml mounts {source}");
    }
    let help = Command::new(crate::support::BINARY).arg("--help").output().unwrap();
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    for file in [dockerfile, compose] {
        for rest in file.split("\"--").skip(1) {
            let flag = rest.split(['=', '"']).next().unwrap();
            assert!(help.contains(&format!("--{flag}")), "--{flag} is no flag of mirador");
        }
    }
}

#[test]
fn links_between_the_pages_lead_somewhere() {
    let mut pages = Vec::new();
    for folder in ["", "docs", "docs/adr", "docs/formats", "docs/how-to"] {
        let entries = std::fs::read_dir(root().join(folder)).unwrap();
        pages.extend(entries.map(|entry| entry.unwrap().path()));
    }
    pages.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for rest in text.split("](").skip(1) {
            let target = rest.split([')', '#']).next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let file = page.parent().unwrap().join(target);
            assert!(file.exists(), "{} links to {target}", page.display());
        }
    }
}

/// What docs/how-to/add-an-engine.md promises: besides its own crate, an engine is in five files.
/// The probe is an engine within the server; a metric store that languages and protocols read is
/// named by them as well, which is not what an engine costs.
#[test]
fn an_engine_is_named_in_five_files() {
    let server = root().join("src/server");
    let mut files = vec![root().join("Cargo.toml"), server.join("Cargo.toml")];
    rust_files(&server, &mut files);
    let naming = |word: &str, own: &str| -> BTreeSet<String> {
        let others = files.iter().filter(|file| !file.starts_with(server.join(own)));
        let naming = others.filter(|file| std::fs::read_to_string(file).unwrap().contains(word));
        naming.map(|file| file.strip_prefix(root()).unwrap().display().to_string()).collect()
    };
    let expected = [
        "Cargo.toml",
        "src/server/Cargo.toml",
        "src/server/config/settings.rs",
        "src/server/routes.rs",
        "src/server/stores.rs",
    ];
    let metrics = naming("metric_store", "-");
    assert_eq!(metrics, expected.map(str::to_owned).into());
    let probe = naming("probe::", "probe");
    assert!(probe.iter().all(|file| expected.contains(&file.as_str())), "{probe:?}");
}
