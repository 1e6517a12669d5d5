//! Functions of texts.

use crate::logql::regexes::replace;
use crate::object::{Object, Safe};
use crate::registry::{Arguments, Call, Failure, Function, Kind};
use crate::value::Value;
use std::sync::Arc;

const TEXT: &[Kind] = &[Kind::Text];

pub(super) const FUNCTIONS: [Function; 10] = [
    Function::pure("toUpper", TEXT, |call, arguments| mapped(call, arguments, str::to_uppercase)),
    Function::pure("toLower", TEXT, |call, arguments| mapped(call, arguments, str::to_lowercase)),
    Function::pure("title", TEXT, |call, arguments| mapped(call, arguments, title)),
    Function::pure("trimSpace", TEXT, |call, arguments| {
        mapped(call, arguments, |text| text.trim().to_owned())
    }),
    Function::pure("join", &[Kind::Text, Kind::Any], join),
    Function::pure("match", &[Kind::Text, Kind::Text], |call, arguments| {
        let regex = call.regex(&arguments.text(0))?;
        Ok(regex.is_match(&arguments.text(1)).into())
    }),
    Function::pure("reReplaceAll", &[Kind::Text, Kind::Text, Kind::Text], |call, arguments| {
        let [pattern, new, text] = [0, 1, 2].map(|at| arguments.text(at));
        replace(call, &pattern, text, &new, true)
    }),
    Function::pure("safeHtml", TEXT, |_, arguments| Ok(marked(arguments, Safe::Html))),
    Function::pure("safeUrl", TEXT, |_, arguments| Ok(marked(arguments, Safe::Url))),
    Function::pure("urlUnescape", TEXT, |_, arguments| url_unescape(&arguments.text(0))),
];

fn mapped<'a>(
    call: &mut Call<'_>,
    arguments: &mut Arguments<'a, '_>,
    map: fn(&str) -> String,
) -> Result<Value<'a>, Failure> {
    /// What a character becomes at most: a few letters have several capitals.
    const GROWTH: usize = 3;
    let text = arguments.text(0);
    call.check_size(text.len().saturating_mul(GROWTH))?;
    Ok(map(&String::from_utf8_lossy(&text)).into())
}

/// The first letter of each word as a capital, the others small.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_word = false;
    for character in text.chars() {
        if in_word {
            out.extend(character.to_lowercase());
        } else {
            out.extend(character.to_uppercase());
        }
        in_word = character.is_alphanumeric() || (in_word && matches!(character, '\'' | '_'));
    }
    out
}

/// The items of a list, with a text between.
fn join<'a>(call: &mut Call<'_>, arguments: &mut Arguments<'a, '_>) -> Result<Value<'a>, Failure> {
    let between = arguments.text(0);
    let items = match arguments.get(1) {
        Value::List(items) => Arc::clone(items),
        other => {
            let got = other.type_name();
            return Err(format!("wrong type for value; expected []string; got {got}").into());
        }
    };
    let mut out = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let Value::Text(text) = item else {
            let got = item.type_name();
            return Err(format!("wrong type for value; expected string; got {got}").into());
        };
        if index > 0 {
            out.extend_from_slice(&between);
        }
        call.check_size(out.len().saturating_add(text.len()))?;
        out.extend_from_slice(text);
    }
    Ok(out.into())
}

/// A text that the template says is safe.
#[derive(Debug)]
struct Marked {
    text: Vec<u8>,
    safe: Safe,
}

fn marked<'a>(arguments: &mut Arguments<'a, '_>, safe: Safe) -> Value<'a> {
    Value::Object(Arc::new(Marked { text: arguments.text(0).into_owned(), safe }))
}

impl Object for Marked {
    fn type_name(&self) -> &'static str {
        match self.safe {
            Safe::Html => "template.HTML",
            Safe::Url => "template.URL",
        }
    }

    fn get(&self, _: &str) -> Option<Value<'static>> {
        None
    }

    fn plain(&self) -> Value<'static> {
        self.text.clone().into()
    }

    fn safe(&self) -> Option<Safe> {
        Some(self.safe)
    }

    fn bytes(&self) -> usize {
        self.text.len()
    }
}

/// What a query of a URL means: `+` is a space, `%41` an `A`.
fn url_unescape<'a>(text: &[u8]) -> Result<Value<'a>, Failure> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digits = rest.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
                let is_hex = |pair: &&str| pair.bytes().all(|digit| digit.is_ascii_hexdigit());
                let decoded = digits.filter(is_hex).map(|pair| u8::from_str_radix(pair, 16));
                let Some(Ok(decoded)) = decoded else {
                    let shown: Vec<u8> = b"%".iter().chain(rest.iter().take(2)).copied().collect();
                    return Err(format!("invalid URL escape {}", model::quote_go(&shown)).into());
                };
                out.push(decoded);
                rest = rest.get(2..).unwrap_or_default();
            }
            other => out.push(*other),
        }
    }
    Ok(out.into())
}
