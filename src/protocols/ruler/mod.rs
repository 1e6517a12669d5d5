//! The rulers of Mimir and Loki: rule groups in YAML, written by tenant and namespace.
//!
//! Lives here: reading, writing and deleting groups. Those that come through Mimir's paths are rules of
//! PromQL where they say nothing else, those through Loki's of LogQL; each shows only its own.
//! Not here: what a group says and when it is evaluated (`rules`); `rules` and `alerts` with states
//! (`prometheus`).
//! Invariant: a change is in the catalog, durably, and in force before it is answered.

#[cfg(test)]
mod tests;

use crate::route::bind;
use crate::services::{RuleServices, ServiceError};
use crate::{
    Access, Body, Call, Handler, Protocol, Route, Services, handler, percent_decode_segment, reply,
};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use catalog::Scope;
use model::{ErrorKind, TenantId};
use rules::{BookError, Group, Language, Namespaces, RuleBook, group_to_yaml, namespaces_to_yaml};
use std::sync::Arc;

/// What the handlers see.
#[derive(Debug)]
struct Ruler {
    services: Arc<Services>,
}

pub(crate) fn protocol(services: &Arc<Services>) -> Protocol {
    let state = Arc::new(Ruler { services: Arc::clone(services) });
    Protocol { routes: bind(&state, ROUTES), ..Protocol::new("ruler") }
}

const fn route(
    methods: &'static [Method],
    path: &'static str,
    handler: Handler<Ruler>,
    about: &'static str,
) -> Route<Handler<Ruler>> {
    let scope = match methods {
        [Method::GET] => Scope::Read,
        _ => Scope::Rules,
    };
    let (access, body) = (Access::Tenant(scope), Body::Whole);
    let (needs_stores, refuse) = (true, reply::refuse_plainly);
    Route { methods, path, access, body, needs_stores, handler, refuse, about }
}

/// The routes below a path.
macro_rules! below {
    ($base:literal) => {
        [
            route(&[Method::GET], $base, handler!(list), "Rule groups of a tenant, as YAML"),
            route(
                &[Method::GET],
                concat!($base, "/{namespace}"),
                handler!(namespace),
                "Rule groups of a namespace, as YAML",
            ),
            route(
                &[Method::GET],
                concat!($base, "/{namespace}/{group}"),
                handler!(group),
                "A rule group, as YAML",
            ),
            route(
                &[Method::POST],
                concat!($base, "/{namespace}"),
                handler!(put),
                "Creates or replaces a rule group, which the body holds as YAML",
            ),
            route(
                &[Method::DELETE],
                concat!($base, "/{namespace}"),
                handler!(delete),
                "Deletes the rule groups of a namespace",
            ),
            route(
                &[Method::DELETE],
                concat!($base, "/{namespace}/{group}"),
                handler!(delete),
                "Deletes a rule group",
            ),
        ]
    };
}

const BASES: usize = 6;
const BELOW: usize = 6;

const fn joined(
    bases: [[Route<Handler<Ruler>>; BELOW]; BASES],
) -> [Route<Handler<Ruler>>; BASES * BELOW] {
    let mut all = [bases[0][0]; BASES * BELOW];
    let mut index = 0;
    while index < BASES * BELOW {
        all[index] = bases[index / BELOW][index % BELOW];
        index += 1;
    }
    all
}

static ROUTES: &[Route<Handler<Ruler>>] = &joined([
    below!("/config/v1/rules"),
    below!("/prometheus/config/v1/rules"),
    below!("/loki/api/v1/rules"),
    below!("/api/prom/rules"),
    below!("/loki/loki/api/v1/rules"),
    below!("/loki/api/prom/rules"),
]);

/// Which ruler a path belongs to, and what it names behind `/rules`.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    language: Language,
    names: Vec<String>,
}

impl Place {
    fn of(path: &str) -> Self {
        let (before, behind) = path.split_once("/rules").unwrap_or((path, ""));
        let is_mimir = before.ends_with("/config/v1");
        let language = if is_mimir { Language::Promql } else { Language::Logql };
        let names = behind.split('/').filter(|part| !part.is_empty());
        Self { language, names: names.map(percent_decode_segment).collect() }
    }
}

fn failed(error: &BookError) -> Response {
    match error {
        BookError::NotFound(text) => reply::text(StatusCode::NOT_FOUND, format!("{text}\n")),
        error => reply::plain_error(error.kind(), &error.to_string()),
    }
}

fn yaml(text: String) -> Response {
    reply::of(StatusCode::OK, "application/yaml", text.into_bytes())
}

impl Ruler {
    fn rules(&self) -> Result<&RuleServices, ServiceError> {
        let starting = || ServiceError::new(ErrorKind::Overloaded, "the rules are not loaded yet");
        self.services.rules().ok_or_else(starting)
    }

    /// Works with the book on a thread that may wait for the disk.
    async fn with_book<T: Send + 'static>(
        &self,
        work: impl FnOnce(&RuleBook) -> Result<T, BookError> + Send + 'static,
    ) -> Result<T, Response> {
        let rules = self.rules().map_err(|error| reply::plain_error(error.kind, &error.message))?;
        let book = Arc::clone(&rules.book);
        let done = tokio::task::spawn_blocking(move || work(&book)).await;
        let panicked = |_| reply::plain_error(ErrorKind::Bug, &ServiceError::mistake().message);
        done.map_err(panicked)?.map_err(|error| failed(&error))
    }

    async fn namespaces(
        &self,
        tenant: &TenantId,
        language: Language,
    ) -> Result<Namespaces, Response> {
        let tenant = tenant.clone();
        self.with_book(move |book| book.namespaces(&tenant, language)).await
    }

    /// Changes the book, and what is evaluated.
    async fn change(
        &self,
        language: Language,
        work: impl FnOnce(&RuleBook) -> Result<(), BookError> + Send + 'static,
    ) -> Response {
        if let Err(response) = self.with_book(work).await {
            return response;
        }
        let Some(rules) = self.services.rules() else { return accepted() };
        match rules.service.load_book(&rules.book, language, &rules.configured).await {
            Ok(()) => accepted(),
            Err(error) => failed(&error),
        }
    }
}

fn accepted() -> Response {
    let body =
        serde_json::json!({ "status": "success", "data": null, "errorType": "", "error": "" });
    reply::json(StatusCode::ACCEPTED, &body)
}

fn none() -> Response {
    reply::text(StatusCode::NOT_FOUND, "no rule groups found\n".to_owned())
}

fn shown<'n>(
    namespaces: impl Iterator<Item = (&'n String, &'n Vec<Group>)>,
    language: Language,
) -> Response {
    let borrowed = namespaces.map(|(name, groups)| (name.as_str(), groups.as_slice()));
    yaml(namespaces_to_yaml(borrowed, language))
}

async fn list(ruler: Arc<Ruler>, call: Call) -> Response {
    let Place { language, .. } = Place::of(&call.path);
    match ruler.namespaces(&call.tenant, language).await {
        // Loki answers this where Mimir answers an empty mapping.
        Ok(found) if found.is_empty() && language == Language::Logql => none(),
        Ok(found) => shown(found.iter(), language),
        Err(response) => response,
    }
}

async fn namespace(ruler: Arc<Ruler>, call: Call) -> Response {
    let Place { language, names } = Place::of(&call.path);
    match ruler.namespaces(&call.tenant, language).await {
        Ok(found) => match names.first().and_then(|name| found.get_key_value(name)) {
            Some(found) => shown(std::iter::once(found), language),
            None => none(),
        },
        Err(response) => response,
    }
}

async fn group(ruler: Arc<Ruler>, call: Call) -> Response {
    let Place { language, names } = Place::of(&call.path);
    let [namespace, name] = names.as_slice() else { return none() };
    match ruler.namespaces(&call.tenant, language).await {
        Ok(found) => {
            let groups = found.get(namespace).into_iter().flatten();
            match groups.into_iter().find(|group| group.name == *name) {
                Some(group) => yaml(group_to_yaml(group, language)),
                None => failed(&BookError::NotFound("group does not exist")),
            }
        }
        Err(response) => response,
    }
}

async fn put(ruler: Arc<Ruler>, call: Call) -> Response {
    let Place { language, names } = Place::of(&call.path);
    let [namespace] = names.as_slice() else { return none() };
    let Ok(text) = std::str::from_utf8(&call.body) else {
        return reply::plain_error(ErrorKind::Invalid, "the body is not UTF-8: send a rule group");
    };
    let (tenant, namespace, text) = (call.tenant.clone(), namespace.clone(), text.to_owned());
    ruler.change(language, move |book| book.put(&tenant, language, &namespace, &text)).await
}

async fn delete(ruler: Arc<Ruler>, call: Call) -> Response {
    let Place { language, names } = Place::of(&call.path);
    let tenant = call.tenant.clone();
    let work = move |book: &RuleBook| match names.as_slice() {
        [namespace] => book.delete_namespace(&tenant, language, namespace),
        [namespace, group] => book.delete_group(&tenant, language, (namespace, group)),
        _ => Err(BookError::NotFound("no such group")),
    };
    ruler.change(language, work).await
}
