//! Tokens and users over a real catalog.

use crate::support::{BACKENDS, Scratch};
use catalog::{Backend, Catalog, CatalogError, Scope, TenantAccess, Tokens, Users};
use model::TenantId;
use platform::OsRandom;
use std::collections::BTreeSet;
use std::sync::Arc;

const NOW: i64 = 1_795_000_000_000;

fn open(scratch: &Scratch, backend: Backend) -> Arc<Catalog> {
    Arc::new(scratch.open(backend).unwrap())
}

fn tokens(catalog: &Arc<Catalog>) -> Tokens {
    Tokens::open(Arc::clone(catalog), Arc::new(OsRandom)).unwrap()
}

fn users(catalog: &Arc<Catalog>) -> Users {
    Users::open(Arc::clone(catalog), Arc::new(OsRandom)).unwrap()
}

fn scopes(list: &[Scope]) -> BTreeSet<Scope> {
    list.iter().copied().collect()
}

fn team() -> TenantAccess {
    TenantAccess::Only(BTreeSet::from([TenantId::new("team").unwrap()]))
}

#[test]
fn a_token_grants_its_scopes_until_it_is_revoked() {
    for backend in BACKENDS {
        let scratch = Scratch::new();
        let catalog = open(&scratch, backend);
        let all = tokens(&catalog);
        let made = all.create("agent", scopes(&[Scope::Write]), team(), NOW, None).unwrap();
        let secret = made.secret().to_owned();
        assert!(secret.starts_with("mir_") && secret.len() == 47, "{secret}");
        assert!(!format!("{made:?}").contains(&secret), "a secret is never printed by accident");
        let identity = all.verify(&secret, NOW).unwrap();
        assert_eq!(identity.name, "agent");
        assert!(identity.may(Scope::Write, &TenantId::new("team").unwrap()));
        assert!(!identity.may(Scope::Write, &TenantId::default_tenant()));
        assert!(!identity.may(Scope::Read, &TenantId::new("team").unwrap()));
        for wrong in ["", "mir_", &secret[..46], &format!("{secret}x"), &secret.to_lowercase()] {
            assert_eq!(all.verify(wrong, NOW), None, "{wrong}");
        }
        let other = all.create("agent", scopes(&[Scope::Read]), team(), NOW, None).unwrap();
        assert_ne!(other.secret(), secret);
        drop(all);
        let all = tokens(&catalog);
        assert!(all.verify(&secret, NOW).is_some(), "after a restart");
        all.revoke(&made.info.id).unwrap();
        assert_eq!(all.verify(&secret, NOW), None);
        assert!(matches!(all.revoke(&made.info.id), Err(CatalogError::NotFound(_))));
        assert_eq!(tokens(&catalog).list().len(), 1);
    }
}

#[test]
fn no_file_of_the_catalog_holds_a_secret() {
    let scratch = Scratch::new();
    let catalog = open(&scratch, Backend::Sled);
    let made =
        tokens(&catalog).create("a", scopes(&[Scope::Read]), TenantAccess::All, NOW, None).unwrap();
    let scope = scopes(&[Scope::Read]);
    users(&catalog).set("u", "CANARY-password", scope, TenantAccess::All, NOW).unwrap();
    let path = scratch.0.join(catalog.export_now().unwrap());
    let export = zstd::stream::decode_all(std::fs::File::open(path).unwrap()).unwrap();
    let sled = std::fs::read(scratch.0.join("sled/db")).unwrap();
    let secrets = [&made.secret().as_bytes()[4..], b"CANARY-password"];
    for bytes in [export, sled] {
        for secret in secrets {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret));
        }
    }
}

#[test]
fn tokens_expire_and_remember_their_use_to_the_minute() {
    let scratch = Scratch::new();
    let catalog = open(&scratch, Backend::Redb);
    let all = tokens(&catalog);
    let scope = scopes(&[Scope::Read]);
    let expires = Some(NOW + 100_000);
    let made = all.create("a", scope.clone(), TenantAccess::All, NOW, expires).unwrap();
    let past = all.create("a", scope, TenantAccess::All, NOW, Some(NOW));
    assert!(matches!(past, Err(CatalogError::Invalid(_))));
    let none = all.create("a", BTreeSet::new(), TenantAccess::All, NOW, None);
    assert!(matches!(none, Err(CatalogError::Invalid(_))));
    let uses = |tokens: &Tokens| tokens.list()[0].last_used_ms;
    assert_eq!(uses(&all), None);
    all.verify(made.secret(), NOW + 1).unwrap();
    all.verify(made.secret(), NOW + 59_000).unwrap();
    assert_eq!(uses(&all), Some(NOW + 1), "one time per minute is enough");
    assert_eq!(uses(&tokens(&catalog)), None, "requests write nothing");
    all.maintain().unwrap();
    assert_eq!(uses(&tokens(&catalog)), Some(NOW + 1));
    assert!(all.verify(made.secret(), NOW + 99_999).is_some());
    assert_eq!(all.verify(made.secret(), NOW + 100_000), None);
}

#[test]
fn a_password_costs_argon2id_once() {
    let scratch = Scratch::new();
    let catalog = open(&scratch, Backend::Sled);
    let all = users(&catalog);
    all.set("anna", "correct horse", scopes(&[Scope::Read]), team(), NOW).unwrap();
    assert!(all.verify("anna", "wrong horse").unwrap().is_none());
    assert!(all.verify("bert", "correct horse").unwrap().is_none());
    let checks = || {
        let metric = catalog::METRICS.iter().find(|m| m.name().contains("password_checks"));
        metric.unwrap().collect()[0].value.clone()
    };
    let identity = all.verify("anna", "correct horse").unwrap().unwrap();
    assert!(identity.may(Scope::Read, &TenantId::new("team").unwrap()));
    let paid = checks();
    for _ in 0..100 {
        assert!(all.verify("anna", "correct horse").unwrap().is_some());
    }
    assert_eq!(checks(), paid, "the hundred were answered from the cache");
    assert!(all.verify("anna", "wrong horse").unwrap().is_none());
    assert_ne!(checks(), paid, "a wrong password costs argon2id again");
    let created = all.list()[0].created_ms;
    all.set("anna", "another horse", scopes(&[Scope::Admin]), team(), NOW + 5).unwrap();
    assert_eq!(all.list()[0].created_ms, created);
    assert!(all.verify("anna", "correct horse").unwrap().is_none(), "not even from the cache");
    assert!(users(&catalog).verify("anna", "another horse").unwrap().is_some(), "after a restart");
    all.verify("anna", "another horse").unwrap().unwrap();
    all.remove("anna").unwrap();
    assert!(all.verify("anna", "another horse").unwrap().is_none());
    assert!(matches!(all.remove("anna"), Err(CatalogError::NotFound(_))));
}

#[test]
fn bad_names_and_passwords_are_refused() {
    let scratch = Scratch::new();
    let all = users(&open(&scratch, Backend::Redb));
    let set = |name: &str, password: &str| {
        all.set(name, password, scopes(&[Scope::Read]), TenantAccess::All, NOW)
    };
    for (name, password) in [
        ("", "long enough"),
        ("a:b", "long enough"),
        ("a/b", "long enough"),
        ("a\u{7}", "long enough"),
        ("a", "short"),
        ("a", &"x".repeat(1_025)),
    ] {
        assert!(matches!(set(name, password), Err(CatalogError::Invalid(_))), "{name:?}");
    }
    set("안나", "long enough").unwrap();
    assert!(all.verify("안나", "long enough").unwrap().is_some());
}
