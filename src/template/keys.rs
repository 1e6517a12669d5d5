//! Which keys of the data a template may ask for, so that the caller need not make others.

use crate::execute::Template;
use crate::tree::{Branch, Node, Pipeline, Term, TermKind};
use std::collections::BTreeSet;

impl Template {
    /// Every key of the data that an execution may look up, and perhaps some more; `None` where it may
    /// look at all of them.
    pub fn keys(&self) -> Option<BTreeSet<&str>> {
        let mut keys = Keys { found: BTreeSet::new(), is_all: false };
        self.trees().for_each(|nodes| keys.of_nodes(nodes));
        (!keys.is_all).then_some(keys.found)
    }
}

struct Keys<'t> {
    found: BTreeSet<&'t str>,
    is_all: bool,
}

impl<'t> Keys<'t> {
    fn of_nodes(&mut self, nodes: &'t [Node]) {
        for node in nodes {
            match node {
                Node::Text(_) | Node::Break | Node::Continue => {}
                Node::Action(pipeline) => self.of_pipeline(pipeline),
                Node::If(branch) | Node::With(branch) | Node::Range(branch) => {
                    self.of_branch(branch);
                }
                Node::Template(call) => call.pipeline.iter().for_each(|it| self.of_pipeline(it)),
            }
        }
    }

    fn of_branch(&mut self, branch: &'t Branch) {
        self.of_pipeline(&branch.pipeline);
        self.of_nodes(&branch.body);
        self.of_nodes(&branch.otherwise);
    }

    fn of_pipeline(&mut self, pipeline: &'t Pipeline) {
        for command in &pipeline.commands {
            self.of_term(&command.first);
            command.arguments.iter().for_each(|argument| self.of_term(argument));
        }
    }

    fn of_term(&mut self, term: &'t Term) {
        match &term.kind {
            // It may be the data itself.
            TermKind::Dot => self.is_all = true,
            TermKind::Variable(name, fields) => match fields.first() {
                Some(field) => self.key(field),
                // Other variables have a value that was named where they were set.
                None => self.is_all |= name == "$",
            },
            TermKind::Field(fields) => fields.first().into_iter().for_each(|field| self.key(field)),
            TermKind::Pipeline(pipeline) => self.of_pipeline(pipeline),
            TermKind::Chain(inner, fields) => {
                self.of_term(inner);
                fields.first().into_iter().for_each(|field| self.key(field));
            }
            TermKind::Nil
            | TermKind::Bool(_)
            | TermKind::Number(_)
            | TermKind::Text { .. }
            | TermKind::Function(_) => {}
        }
    }

    fn key(&mut self, name: &'t str) {
        self.found.insert(name);
    }
}
