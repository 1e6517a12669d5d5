//! Compiling patterns. Those compiled last are kept: a dashboard sends the same expressions again
//! and again, and compiling one costs more than most of its answers.

use super::translate::translate;
use regex::bytes::{Regex, RegexBuilder};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a compiled pattern may take.
const COMPILED_BYTES_MAX: usize = 1 << 20;
const NESTING_MAX: u32 = 200;

/// In order of their last use. Shared and not copied: a copy of a `Regex` begins with an empty cache
/// of states.
static COMPILED: Mutex<Vec<(String, Arc<Regex>)>> = Mutex::new(Vec::new());
const COMPILED_KEPT: usize = 64;

/// Compiles a pattern, or takes it from those that are kept.
pub(super) fn compile(pattern: &str) -> Result<Arc<Regex>, String> {
    let lock = || COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let take = |mut kept: MutexGuard<'_, Vec<(String, Arc<Regex>)>>| {
        let index = kept.iter().position(|(known, _)| known == pattern)?;
        Some(kept.remove(index).1)
    };
    let regex = take(lock()).map_or_else(|| compile_anew(pattern).map(Arc::new), Ok)?;
    let mut kept = lock();
    if kept.len() >= COMPILED_KEPT {
        kept.remove(0);
    }
    kept.push((pattern.to_owned(), Arc::clone(&regex)));
    Ok(regex)
}

fn compile_anew(pattern: &str) -> Result<Regex, String> {
    let translated = translate(pattern)?;
    let anchored = format!("^(?s:{translated})$");
    let build = |pattern: &str| {
        RegexBuilder::new(pattern)
            .size_limit(COMPILED_BYTES_MAX)
            .dfa_size_limit(COMPILED_BYTES_MAX)
            .nest_limit(NESTING_MAX)
            .build()
    };
    build(&anchored).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            format!("error parsing regexp: expression is too large: `{pattern}`")
        }
        _ => format!("error parsing regexp: {}: `{pattern}`", reason(&translated)),
    })
}

/// The reason that Go gives for the most common mistakes.
fn reason(pattern: &str) -> &'static str {
    let opened = pattern.matches('[').count() > pattern.matches(']').count();
    let closed = pattern.matches(')').count();
    match pattern.matches('(').count() {
        _ if opened => "missing closing ]",
        open if open > closed => "missing closing )",
        open if open < closed => "unexpected )",
        _ if pattern.starts_with(['*', '+', '?']) => "missing argument to repetition operator",
        _ => "invalid syntax",
    }
}
