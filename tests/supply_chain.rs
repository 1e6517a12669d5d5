//! What comes into the build from outside, against deny.toml: licences, packages that are banned or
//! there twice, sources, and advisories where a copy of their database is at hand.
//!
//! The packages are those that are built for the platform of this machine; the sources are those of
//! every package in Cargo.lock. docs/adr/0014 says why cargo-deny is not needed for it.

use crate::support::{root, skip};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

fn read(path: &Path) -> toml::Table {
    std::fs::read_to_string(path).unwrap().parse().unwrap()
}

fn rules() -> toml::Table {
    read(&root().join("deny.toml"))
}

fn texts(list: &toml::Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// Rules on packages: each names one, with its reason.
fn named<'r>(section: &'r toml::Value, list: &str) -> Vec<(&'r str, &'r toml::Table)> {
    let rules = section[list].as_array().unwrap().iter();
    let rules = rules.map(|rule| rule.as_table().unwrap());
    let named = rules.map(|rule| {
        let name = rule["crate"].as_str().unwrap();
        assert!(rule["reason"].as_str().is_some_and(|reason| reason.len() > 10), "{name}: why?");
        (name, rule)
    });
    named.collect()
}

fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A package that is built, and the names of those that ask for it.
struct Package {
    name: String,
    version: String,
    license: String,
    is_own: bool,
    wanted_by: BTreeSet<String>,
}

fn packages() -> Vec<Package> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let about = output_of("rustc", &["-vV"]);
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let arguments =
        ["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host];
    let metadata: Value = serde_json::from_str(&output_of(&cargo, &arguments)).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let mut packages: BTreeMap<String, Package> = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let (name, version) = (text(&package["name"]), text(&package["version"]));
        let (license, is_own) = (text(&package["license"]), package["source"].is_null());
        let wanted_by = BTreeSet::new();
        let package_of = Package { name, version, license, is_own, wanted_by };
        packages.insert(text(&package["id"]), package_of);
    }
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let ids: BTreeSet<String> = nodes.iter().map(|node| text(&node["id"])).collect();
    for node in nodes {
        let by = packages[&text(&node["id"])].name.clone();
        for dependency in node["dependencies"].as_array().unwrap() {
            packages.get_mut(&text(dependency)).unwrap().wanted_by.insert(by.clone());
        }
    }
    packages.into_iter().filter(|(id, _)| ids.contains(id)).map(|(_, package)| package).collect()
}

// ── licences ──

/// Whether an SPDX expression can be met with the allowed licences. A slash is how older manifests write
/// `OR`.
fn is_met(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = &tokens[..];
    let met = any_of(&mut rest, allowed);
    met && rest.is_empty()
}

fn any_of(tokens: &mut &[&str], allowed: &[&str]) -> bool {
    let mut met = all_of(tokens, allowed);
    while let ["OR", rest @ ..] = *tokens {
        *tokens = rest;
        met |= all_of(tokens, allowed);
    }
    met
}

fn all_of(tokens: &mut &[&str], allowed: &[&str]) -> bool {
    let mut met = one_of(tokens, allowed);
    while let ["AND", rest @ ..] = *tokens {
        *tokens = rest;
        met &= one_of(tokens, allowed);
    }
    met
}

fn one_of(tokens: &mut &[&str], allowed: &[&str]) -> bool {
    match *tokens {
        ["(", rest @ ..] => {
            *tokens = rest;
            let met = any_of(tokens, allowed);
            let is_closed = tokens.first() == Some(&")");
            *tokens = tokens.get(1..).unwrap_or_default();
            met && is_closed
        }
        // An exception is a licence of its own.
        [_, "WITH", _, rest @ ..] => {
            *tokens = rest;
            false
        }
        [license, rest @ ..] => {
            *tokens = rest;
            allowed.contains(license)
        }
        [] => false,
    }
}

#[test]
fn expressions_of_licences_are_understood() {
    let allowed = ["MIT", "Apache-2.0", "Unicode-3.0"];
    for (expression, met) in [
        ("MIT", true),
        ("MIT/GPL-3.0", true),
        ("GPL-3.0 OR MIT", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
        ("(MIT OR Apache-2.0) AND GPL-3.0", false),
        ("Apache-2.0 WITH LLVM-exception", false),
        ("Apache-2.0 WITH LLVM-exception OR MIT", true),
        ("(MIT", false),
        ("", false),
    ] {
        assert_eq!(is_met(expression, &allowed), met, "{expression}");
    }
}

#[test]
fn licences_are_permissive() {
    let rules = rules();
    let allowed = texts(&rules["licenses"]["allow"]);
    let packages = packages();
    for package in packages.iter().filter(|package| !package.is_own) {
        let Package { name, version, license, .. } = package;
        assert!(
            is_met(license, &allowed),
            "{name} {version} has the licence {license:?}: choose another package, or add the \
             licence to deny.toml if it is permissive"
        );
    }
    for license in allowed {
        let is_needed = packages.iter().any(|package| package.license.contains(license));
        assert!(is_needed, "deny.toml allows {license}, which no package has: remove it");
    }
}

// ── packages ──

/// `name` or `name@version`, where the version may be the beginning of one.
fn is_named(rule: &str, package: &Package) -> bool {
    let (name, version) = rule.split_once('@').unwrap_or((rule, ""));
    let begins = package.version.strip_prefix(version);
    name == package.name
        && begins.is_some_and(|rest| {
            version.is_empty() || !rest.starts_with(|c: char| c.is_ascii_digit())
        })
}

#[test]
fn banned_packages_come_only_by_the_ways_that_are_named() {
    let rules = rules();
    let packages = packages();
    for (banned, rule) in named(&rules["bans"], "deny") {
        let wrappers = rule.get("wrappers").map(texts).unwrap_or_default();
        let found: Vec<&Package> = packages.iter().filter(|one| is_named(banned, one)).collect();
        assert!(
            wrappers.is_empty() || !found.is_empty(),
            "{banned} is gone: remove its wrappers from deny.toml"
        );
        for by in found.iter().flat_map(|package| &package.wanted_by) {
            assert!(wrappers.contains(&by.as_str()), "{by} brings {banned}, which deny.toml bans");
        }
    }
}

#[test]
fn packages_are_there_once_or_named_with_a_reason() {
    let rules = rules();
    let packages = packages();
    let skipped = named(&rules["bans"], "skip");
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let counted =
        packages.iter().filter(|one| !skipped.iter().any(|(rule, _)| is_named(rule, one)));
    for package in counted {
        versions.entry(&package.name).or_default().push(&package.version);
    }
    for (name, versions) in &versions {
        assert!(
            versions.len() == 1,
            "{name} is there as {versions:?}: bring them together, or name one in deny.toml"
        );
    }
    for (rule, _) in skipped {
        let name = rule.split('@').next().unwrap();
        let is_there = packages.iter().any(|one| is_named(rule, one));
        assert!(
            is_there && versions.contains_key(name),
            "{rule} is no duplicate any more: remove it from deny.toml"
        );
    }
}

// ── sources ──

#[test]
fn packages_come_from_the_registries_that_are_named() {
    let rules = rules();
    let allowed = texts(&rules["sources"]["allow-registry"]);
    let lock = read(&root().join("Cargo.lock"));
    for package in lock["package"].as_array().unwrap() {
        let Some(source) = package.get("source") else { continue };
        let source = source.as_str().unwrap();
        let is_allowed = source.strip_prefix("registry+").is_some_and(|url| allowed.contains(&url));
        assert!(is_allowed, "{} comes from {source}", package["name"]);
        assert!(package.get("checksum").is_some(), "{} has no checksum", package["name"]);
    }
}

// ── advisories ──

type Version = (u64, u64, u64);

/// Without what stands behind `-` or `+`; parts that are missing are 0.
fn version(text: &str) -> Version {
    let plain = text.trim().split(['-', '+']).next().unwrap();
    let mut parts = plain.split('.').map(|part| part.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next())
}

/// Whether a version meets a requirement of Cargo's kind: `>= 1.2, < 2`, `^0.3.1`, `1.2`.
fn meets(found: Version, requirement: &str) -> bool {
    requirement.split(',').map(str::trim).all(|one| {
        let operators = [">=", "<=", ">", "<", "=", "^", "~"];
        let operator = operators.into_iter().find(|operator| one.starts_with(operator));
        let wanted = version(one.trim_start_matches(operator.unwrap_or("")));
        match operator {
            Some(">=") => found >= wanted,
            Some("<=") => found <= wanted,
            Some(">") => found > wanted,
            Some("<") => found < wanted,
            Some("=") => found == wanted,
            Some("~") => found >= wanted && (found.0, found.1) == (wanted.0, wanted.1),
            _ => found >= wanted && is_compatible(found, wanted),
        }
    })
}

fn is_compatible(found: Version, wanted: Version) -> bool {
    match wanted {
        (0, 0, patch) => found == (0, 0, patch),
        (0, minor, _) => (found.0, found.1) == (0, minor),
        (major, ..) => found.0 == major,
    }
}

#[test]
fn requirements_are_those_of_cargo() {
    for (found, requirement, is_met) in [
        ("1.2.3", ">= 1.2.0", true),
        ("1.2.3", ">= 1.2.4", false),
        ("1.2.3", ">=1.0, <1.2.3", false),
        ("0.3.5", "^0.3.1", true),
        ("0.4.0", "^0.3.1", false),
        ("0.0.4", "^0.0.3", false),
        ("1.9.0", "1.2", true),
        ("2.0.0", "1.2", false),
        ("1.2.9", "~1.2.3", true),
        ("1.3.0", "~1.2.3", false),
        ("1.2.3-rc.1", "= 1.2.3", true),
    ] {
        assert_eq!(meets(version(found), requirement), is_met, "{found} {requirement}");
    }
}

/// The table at the start of an advisory, and whether one of its lists of versions has a version.
fn advisory(text: &str) -> toml::Table {
    let inside = text.split_once("```toml").unwrap().1.split_once("```").unwrap().0;
    inside.parse().unwrap()
}

fn is_unaffected(advisory: &toml::Table, found: Version) -> bool {
    let lists = ["patched", "unaffected"].into_iter();
    let mut lists = lists.filter_map(|list| advisory.get("versions")?.get(list));
    lists.any(|list| texts(list).iter().any(|requirement| meets(found, requirement)))
}

#[test]
fn an_advisory_is_about_versions_that_are_not_patched() {
    let text = "```toml\n[advisory]\nid = \"X\"\n[versions]\npatched = [\">= 1.2\"]\n\
                unaffected = [\"< 1.0\"]\n```\n# Title\n";
    let advisory = advisory(text);
    let unaffected = ["0.9.0", "1.1.0", "1.2.0"].map(|one| is_unaffected(&advisory, version(one)));
    assert_eq!(unaffected, [true, false, true]);
}

/// `ADVISORY_DB` names a checkout of https://github.com/RustSec/advisory-db, as .ci/run makes one.
#[test]
fn no_advisory_is_about_a_package_here() {
    let Some(database) = std::env::var_os("ADVISORY_DB") else {
        skip("advisories", "ADVISORY_DB names no copy of RustSec's database");
        return;
    };
    let crates = Path::new(&database).join("crates");
    assert!(crates.is_dir(), "{} is no advisory database", crates.display());
    let rules = rules();
    let ignored = rules["advisories"]["ignore"].as_array().unwrap();
    let ignored: Vec<&str> = ignored.iter().map(|one| one["id"].as_str().unwrap()).collect();
    let lock = read(&root().join("Cargo.lock"));
    let mut affected = Vec::new();
    for package in lock["package"].as_array().unwrap() {
        let (name, at) = (package["name"].as_str().unwrap(), package["version"].as_str().unwrap());
        let Ok(files) = std::fs::read_dir(crates.join(name)) else { continue };
        for file in files {
            let advisory = advisory(&std::fs::read_to_string(file.unwrap().path()).unwrap());
            let about = &advisory["advisory"];
            let id = about["id"].as_str().unwrap().to_owned();
            let is_open = about.get("withdrawn").is_none() && !ignored.contains(&id.as_str());
            if is_open && !is_unaffected(&advisory, version(at)) {
                affected.push(format!("{name} {at}: {id}"));
            }
        }
    }
    assert!(
        affected.is_empty(),
        "renew these packages, or name the advisories in deny.toml with a reason: {affected:?}"
    );
}
