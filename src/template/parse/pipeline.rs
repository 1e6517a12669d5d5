//! Pipelines: what they are assigned to, their commands and the terms of these.

use super::{Parsed, Parser, mistake, number, unexpected, unquote};
use crate::lex::{Token, TokenKind};
use crate::tree::{Command, FunctionTerm, Pipeline, Term, TermKind};
use model::quote_go;
use std::sync::OnceLock;

impl<'t> Parser<'t> {
    /// Commands between pipes, and what they are assigned to, up to and with the token that ends it.
    pub(super) fn pipeline(&mut self, context: &str, end: TokenKind) -> Parsed<Pipeline> {
        let position = self.peek().position;
        let (variables, is_assignment) = self.declarations(context)?;
        let mut commands: Vec<Command> = Vec::new();
        loop {
            let token = self.peek().clone();
            if token.kind == end {
                self.at += 1;
                break;
            }
            if !begins_term(token.kind) {
                return unexpected(&token, context);
            }
            commands.push(self.command()?);
        }
        check_commands(&commands, context, self.last_position())?;
        // They are known from here on, so that none refers to itself.
        if !is_assignment {
            self.variables.extend(variables.iter().cloned());
        }
        Ok(Pipeline { position, variables, is_assignment, commands })
    }

    /// `$x :=`, `$x =`, and in a range `$index, $x :=`.
    fn declarations(&mut self, context: &str) -> Parsed<(Vec<String>, bool)> {
        let mut names = Vec::new();
        loop {
            let start = self.at;
            if !self.next_is(TokenKind::Variable) {
                return if names.is_empty() {
                    Ok((names, false))
                } else if context == "range" {
                    mistake(self.peek().position, "range can only initialize variables")
                } else {
                    mistake(self.peek().position, format!("too many declarations in {context}"))
                };
            }
            let variable = self.next();
            match self.peek().kind {
                kind @ (TokenKind::Declare | TokenKind::Assign) => {
                    self.at += 1;
                    names.push(variable.text.into_owned());
                    let is_assignment = kind == TokenKind::Assign;
                    if is_assignment {
                        names
                            .iter()
                            .try_for_each(|name| self.check_variable(name, variable.position))?;
                    }
                    return Ok((names, is_assignment));
                }
                TokenKind::Comma => {
                    let position = self.next().position;
                    names.push(variable.text.into_owned());
                    if context != "range" || names.len() > 1 {
                        return mistake(position, format!("too many declarations in {context}"));
                    }
                }
                _ if names.is_empty() => {
                    self.at = start;
                    return Ok((names, false));
                }
                _ => return mistake(variable.position, "range can only initialize variables"),
            }
        }
    }

    fn check_variable(&self, name: &str, position: usize) -> Parsed<()> {
        if self.variables.iter().any(|known| known == name) {
            return Ok(());
        }
        mistake(position, format!("undefined variable {}", quote_go(name.as_bytes())))
    }

    /// A first word and its arguments, separated by spaces.
    fn command(&mut self) -> Parsed<Command> {
        let mut terms = Vec::new();
        let position = self.peek().position;
        loop {
            let token = self.peek();
            if begins_term(token.kind) {
                terms.push(self.term_with_fields()?);
            }
            let token = self.peek_with_space().clone();
            match token.kind {
                TokenKind::Space => self.at += 1,
                TokenKind::Close | TokenKind::CloseParenthesis => break,
                TokenKind::Pipe => {
                    self.at += 1;
                    let next = self.peek().clone();
                    if !begins_term(next.kind) {
                        let what = "missing value for command after |";
                        return if next.kind == TokenKind::Mistake {
                            unexpected(&next, "operand")
                        } else {
                            mistake(next.position, what)
                        };
                    }
                    break;
                }
                _ => return unexpected(&token, "operand"),
            }
        }
        let mut terms = terms.into_iter();
        let Some(first) = terms.next() else { return mistake(position, "empty command") };
        Ok(Command { position, first, arguments: terms.collect() })
    }

    fn term_with_fields(&mut self) -> Parsed<Term> {
        let token = self.next();
        let mut term = Term { position: token.position, kind: self.term(&token)? };
        if self.peek_with_space().kind != TokenKind::Field {
            return Ok(term);
        }
        let mut fields = Vec::new();
        let position = self.peek_with_space().position;
        while self.peek_with_space().kind == TokenKind::Field {
            fields.push(field_name(&self.next()));
        }
        match &mut term.kind {
            TermKind::Field(names) | TermKind::Variable(_, names) => names.append(&mut fields),
            TermKind::Function(_) | TermKind::Pipeline(_) => {
                term = Term { position, kind: TermKind::Chain(Box::new(term), fields) };
                return Ok(term);
            }
            _ => {
                let term = quote_go(term.to_string().as_bytes());
                return mistake(position, format!("unexpected . after term {term}"));
            }
        }
        term.position = position;
        Ok(term)
    }

    fn term(&mut self, token: &Token<'t>) -> Parsed<TermKind> {
        Ok(match token.kind {
            TokenKind::Dot => TermKind::Dot,
            TokenKind::Nil => TermKind::Nil,
            TokenKind::Bool => TermKind::Bool(token.text == "true"),
            TokenKind::Field => TermKind::Field(vec![field_name(token)]),
            TokenKind::Variable => {
                self.check_variable(&token.text, token.position)?;
                TermKind::Variable(token.text.clone().into_owned(), Vec::new())
            }
            TokenKind::Number | TokenKind::Character => match number::parse(&token.text) {
                Ok(number) => TermKind::Number(number),
                Err(message) => return mistake(token.position, message),
            },
            TokenKind::Quoted | TokenKind::Raw => {
                TermKind::Text { value: unquote(token)?, source: token.text.clone().into_owned() }
            }
            TokenKind::Identifier => match self.registry.get(&token.text) {
                Some(function) => TermKind::Function(Box::new(FunctionTerm {
                    function: *function,
                    pattern: OnceLock::new(),
                })),
                None => {
                    let name = quote_go(token.text.as_bytes());
                    return mistake(token.position, format!("function {name} not defined"));
                }
            },
            TokenKind::OpenParenthesis => {
                self.enter()?;
                let pipeline =
                    self.pipeline("parenthesized pipeline", TokenKind::CloseParenthesis)?;
                self.nesting -= 1;
                TermKind::Pipeline(Box::new(pipeline))
            }
            _ => return unexpected(token, "operand"),
        })
    }
}

fn begins_term(kind: TokenKind) -> bool {
    use TokenKind::{
        Bool, Character, Dot, Field, Identifier, Nil, Number, OpenParenthesis, Quoted, Raw,
        Variable,
    };
    matches!(
        kind,
        Bool | Character
            | Dot
            | Field
            | Identifier
            | Nil
            | Number
            | OpenParenthesis
            | Quoted
            | Raw
            | Variable
    )
}

fn field_name(token: &Token<'_>) -> String {
    token.text.strip_prefix('.').unwrap_or(&token.text).to_owned()
}

/// Only the first command may be a constant: what comes later is called with what came before.
fn check_commands(commands: &[Command], context: &str, position: usize) -> Parsed<()> {
    if commands.is_empty() {
        return mistake(position, format!("missing value for {context}"));
    }
    for (index, command) in commands.iter().enumerate().skip(1) {
        let is_constant = matches!(
            command.first.kind,
            TermKind::Bool(_)
                | TermKind::Dot
                | TermKind::Nil
                | TermKind::Number(_)
                | TermKind::Text { .. }
        );
        if is_constant {
            let message = format!("non executable command in pipeline stage {}", index + 1);
            return mistake(command.position, message);
        }
    }
    Ok(())
}
