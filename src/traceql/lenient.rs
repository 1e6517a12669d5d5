//! What can be understood of a query that is still being written.
//!
//! Clients that complete the values of an attribute send the query around the cursor:
//! `{ resource.service.name = "a" && span.http.method = }`. Its complete conditions narrow the values
//! down; whatever can't be read, or can't be said of a single span, is left out, so that values are
//! rather too many than too few.

use crate::ast::{FieldExpr, Pipeline, Root, SpanExpr, Stage};
use crate::lex::{Token, TokenKind, tokens};
use crate::parse::{LENGTH_MAX, parse, parse_field};

/// What spans must fulfil; `None`: nothing.
pub fn parse_lenient(text: &str) -> Option<FieldExpr> {
    if text.len() > LENGTH_MAX {
        return None;
    }
    match parse(text).map(|query| query.root) {
        Ok(Root::Spans(pipeline)) => first_filter(pipeline),
        Ok(Root::Metrics(expr)) => {
            let mut found = Vec::new();
            expr.each_of_spans(&mut |metrics| found.push(first_filter(metrics.pipeline.clone())));
            if found.len() == 1 { found.pop()? } else { None }
        }
        Err(_) => conditions(text),
    }
}

fn first_filter(pipeline: Pipeline) -> Option<FieldExpr> {
    match pipeline.stages.into_iter().next()? {
        Stage::Spans(SpanExpr::Filter(filter)) => filter,
        _ => None,
    }
}

/// The conditions of the only filter that can be read, joined by `&&`.
fn conditions(text: &str) -> Option<FieldExpr> {
    let (tokens, _) = tokens(text);
    let open = tokens.iter().position(|token| token.is("{"))?;
    let filter = &tokens[open + 1..];
    let close = filter.iter().position(|token| token.is("}") || token.kind == TokenKind::End);
    let (filter, rest) = filter.split_at(close.unwrap_or(filter.len()));
    let is_alone = open == 0 && !rest.iter().any(|token| token.is("{"));
    if !is_alone || filter.iter().any(|token| token.is("||")) {
        return None;
    }
    let parts = split_at_and(filter).into_iter();
    FieldExpr::all_of(parts.filter_map(|part| parse_field(text, part).ok()))
}

/// The parts between `&&` outside of parentheses.
fn split_at_and<'t>(tokens: &'t [Token<'t>]) -> Vec<&'t [Token<'t>]> {
    let mut depth = 0_usize;
    let is_end = |token: &Token<'_>| {
        depth = match () {
            () if token.is("(") => depth + 1,
            () if token.is(")") => depth.saturating_sub(1),
            () => depth,
        };
        depth == 0 && token.is("&&")
    };
    tokens.split(is_end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let found = parse_lenient(text).map_or_else(String::new, |expr| expr.to_string());
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn complete_conditions_are_kept() {
        check("{ span.a = 1 }", "span.a = 1");
        check("{ span.a = 1 && span.b = }", "span.a = 1");
        check("{ span.a = 1 && span.b = ", "span.a = 1");
        check(
            "{ span.b = && (kind = client) && name =~ \"a.*\" && }",
            "kind = client && name =~ \"a.*\"",
        );
        check("{ span.a = \"unfinished", "");
        check("{ span.a = 1 && span.c = \"unfinished", "span.a = 1");
        check("{ .a = 1 && . }", ".a = 1");
        check("{ span.a = 1 && name =~ \"(\" }", "span.a = 1");
        check("{ span.a = 1 } | rate() by (", "span.a = 1");
        check("{ span.a = 1 } | rate() by (name)", "span.a = 1");
    }

    #[test]
    fn what_single_spans_need_not_fulfil_is_left_out() {
        check("", "");
        check("{", "");
        check("{}", "");
        check("nonsense", "");
        check("{ span.a = 1 || span.b = }", "");
        check("{ span.a = 1 } > { span.b = 2 }", "");
        check("{ span.a = 1 } > { span.b = ", "");
        check("({ span.a = 1 } | rate()) / ({ } | rate())", "");
    }
}
