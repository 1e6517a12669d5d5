//! Compiling patterns. Those compiled last are kept: a dashboard sends the same expressions again
//! and again, and compiling one costs more than most of its answers.

use super::translate::translate;
use regex::bytes::{Regex, RegexBuilder};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a compiled pattern may take: the largest of these. The size of a pattern is the first that is
/// enough for it, for the `regex` crate tells no sizes. Trying costs little, because compiling ends
/// where the limit is reached.
const SIZES: [usize; 4] = [16 << 10, 64 << 10, 256 << 10, 1 << 20];
const COMPILED_BYTES_MAX: usize = SIZES[SIZES.len() - 1];
const NESTING_MAX: u32 = 200;

/// Where in a text a pattern may match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// It must match all of the text; `.` matches line ends too.
    Whole,
    /// It may match any part; `.` matches no line ends, unless the pattern says so.
    Part,
}

/// A pattern as the engine runs it.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) regex: Regex,
    /// What it takes at most, with the states that matching keeps.
    pub(super) bytes: usize,
}

/// In order of their last use. Shared and not copied: a copy of a `Regex` begins with an empty cache
/// of states.
static COMPILED: Mutex<Kept> = Mutex::new(Vec::new());
const COMPILED_KEPT: usize = 64;
type Kept = Vec<((Reach, String), Arc<Compiled>)>;

/// Compiles a pattern, or takes it from those that are kept.
pub(super) fn compile(pattern: &str, reach: Reach) -> Result<Arc<Compiled>, String> {
    let lock = || COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let take = |mut kept: MutexGuard<'_, Kept>| {
        let is_it = |known: &(Reach, String)| known.0 == reach && known.1 == pattern;
        let index = kept.iter().position(|(known, _)| is_it(known))?;
        Some(kept.remove(index).1)
    };
    let compiled = take(lock()).map_or_else(|| compile_anew(pattern, reach).map(Arc::new), Ok)?;
    let mut kept = lock();
    if kept.len() >= COMPILED_KEPT {
        kept.remove(0);
    }
    kept.push(((reach, pattern.to_owned()), Arc::clone(&compiled)));
    Ok(compiled)
}

fn compile_anew(pattern: &str, reach: Reach) -> Result<Compiled, String> {
    let translated = translate(pattern)?;
    let text = match reach {
        Reach::Whole => format!("^(?s:{translated})$"),
        Reach::Part => translated.clone(),
    };
    let build = |size: usize| {
        let built = RegexBuilder::new(&text)
            .size_limit(size)
            .dfa_size_limit(COMPILED_BYTES_MAX)
            .nest_limit(NESTING_MAX)
            .build();
        built.map(|regex| Compiled { regex, bytes: 2 * size })
    };
    let mut built = SIZES.into_iter().map(build);
    let is_last = |result: &Result<Compiled, regex::Error>| !matches!(result, Err(regex::Error::CompiledTooBig(size)) if *size < COMPILED_BYTES_MAX);
    built.find(is_last).expect("the largest size is the last").map_err(|error| match error {
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
