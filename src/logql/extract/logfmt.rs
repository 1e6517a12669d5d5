//! `logfmt`: fields of a line such as `level=info msg="a text" done`.
//!
//! A pair with a mistake is left out, and reading goes on behind the next space; `--strict` ends there
//! with an error. `pairs`: the pairs of a line.

mod pairs;

use super::buffers::{Progress, as_text, is_text};
use super::error::ExtractError;
use super::names::{is_name, push_name};
use super::{Buffers, Fields};
use pairs::{Pair, Pairs};
use std::ops::ControlFlow;

/// How `logfmt` reads a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogfmtOptions {
    pub strict: bool,
    /// Fields without a value are given, too.
    pub keep_empty: bool,
}

/// All fields of a line.
pub fn extract(
    line: &[u8],
    options: LogfmtOptions,
    buffers: &mut Buffers,
    fields: &mut impl Fields,
) -> Result<(), ExtractError> {
    let Buffers { name, bytes, text, .. } = buffers;
    each_pair(line, options.strict, |pair| {
        if pair.value.is_empty() && !options.keep_empty {
            return ControlFlow::Continue(());
        }
        name.clear();
        push_name(pair.key, name);
        if name.is_empty() || !fields.wants(name) {
            return ControlFlow::Continue(());
        }
        let value = pair.value_text(bytes);
        if value.is_empty() && !options.keep_empty {
            return ControlFlow::Continue(());
        }
        fields.field(name, as_text(value, text))
    })
}

fn each_pair(
    line: &[u8],
    strict: bool,
    mut visit: impl FnMut(Pair<'_>) -> ControlFlow<()>,
) -> Result<(), ExtractError> {
    for pair in Pairs::new(line) {
        match pair {
            Ok(pair) => {
                if visit(pair).is_break() {
                    return Ok(());
                }
            }
            Err(error) if strict => return Err(error),
            Err(_) => {}
        }
    }
    Ok(())
}

/// Expressions: labels, and the keys whose values they get.
#[derive(Clone, Debug)]
pub struct LogfmtKeys {
    keys: Vec<(String, String)>,
}

impl LogfmtKeys {
    /// Pairs of a label and an expression, which is a key.
    pub fn new<'e>(expressions: impl Iterator<Item = (&'e str, &'e str)>) -> Result<Self, String> {
        let key = |(label, text): (&str, &str)| {
            if !is_name(label) {
                return Err(format!("invalid extracted label name '{label}'"));
            }
            let quoted = text.trim().strip_prefix('"').and_then(|text| text.strip_suffix('"'));
            let key = quoted.unwrap_or(text.trim());
            if key.is_empty() || key.contains('"') || (quoted.is_none() && !is_name(key)) {
                return Err(format!(
                    "cannot parse expression [{text}]: expected the name of a key"
                ));
            }
            Ok((label.to_owned(), key.to_owned()))
        };
        Ok(Self { keys: expressions.map(key).collect::<Result<_, _>>()? })
    }

    /// The values that the line has, each time that it has them; the others are absent.
    pub fn extract(
        &self,
        line: &[u8],
        strict: bool,
        buffers: &mut Buffers,
        fields: &mut impl Fields,
    ) -> Result<(), ExtractError> {
        let Buffers { name, bytes, progress, .. } = buffers;
        progress.clear();
        progress.resize(self.keys.len(), Progress::default());
        let mut is_enough = false;
        let read = each_pair(line, strict, |pair| {
            name.clear();
            push_name(pair.key, name);
            let value = pair.value_text(bytes);
            // Here a value that is no text is empty.
            let value = if is_text(value) { std::str::from_utf8(value).unwrap_or("") } else { "" };
            let flow = self.give(name, value, progress, fields);
            is_enough = flow.is_break();
            flow
        });
        if is_enough {
            return Ok(());
        }
        for ((label, _), progress) in self.keys.iter().zip(progress.iter()) {
            if !progress.is_given {
                fields.absent(label);
            }
        }
        read
    }

    /// The value goes to all labels that name its key; where there is none, to the label of that name.
    fn give(
        &self,
        name: &str,
        value: &str,
        progress: &mut [Progress],
        fields: &mut impl Fields,
    ) -> ControlFlow<()> {
        let is_named = self.keys.iter().any(|(_, key)| key == name);
        for ((label, key), progress) in self.keys.iter().zip(progress) {
            if if is_named { key == name } else { label == name } {
                progress.is_given = true;
                fields.field(label, value)?;
            }
        }
        ControlFlow::Continue(())
    }
}
