//! Where a query's time went: the tree of its plan with what each node did.

use platform::Moment;
use std::time::Duration;

/// One node of the plan, after it ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceNode {
    /// What the node is, in the words of the language.
    pub name: String,
    pub elapsed: Duration,
    pub series: u64,
    pub samples: u64,
    pub children: Vec<TraceNode>,
}

/// Collects nodes while a plan runs. Nothing is collected unless it was asked for.
#[derive(Debug, Default)]
pub struct Trace {
    enabled: bool,
    open: Vec<(TraceNode, Moment)>,
    roots: Vec<TraceNode>,
}

impl Trace {
    pub fn enabled() -> Self {
        Self { enabled: true, ..Self::default() }
    }

    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    pub fn enter(&mut self, name: impl FnOnce() -> String, now: impl FnOnce() -> Moment) {
        if self.enabled {
            let elapsed = Duration::ZERO;
            let node =
                TraceNode { name: name(), elapsed, series: 0, samples: 0, children: Vec::new() };
            self.open.push((node, now()));
        }
    }

    pub fn leave(&mut self, series: u64, samples: u64, now: impl FnOnce() -> Moment) {
        let Some((mut node, since)) = self.open.pop() else {
            return;
        };
        node.elapsed = now().since(since);
        node.series = series;
        node.samples = samples;
        match self.open.last_mut() {
            Some((parent, _)) => parent.children.push(node),
            None => self.roots.push(node),
        }
    }

    pub fn finish(self) -> Vec<TraceNode> {
        self.roots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_stand_under_the_one_that_ran_them() {
        let mut trace = Trace::enabled();
        let at = |millis| move || Moment(Duration::from_millis(millis));
        trace.enter(|| "sum".to_owned(), at(0));
        trace.enter(|| "rate".to_owned(), at(1));
        trace.leave(10, 100, at(4));
        trace.leave(1, 10, at(5));
        let roots = trace.finish();
        assert_eq!((roots[0].name.as_str(), roots[0].elapsed.as_millis()), ("sum", 5));
        assert_eq!(
            (roots[0].children[0].series, roots[0].children[0].elapsed.as_millis()),
            (10, 3)
        );
    }

    #[test]
    fn costs_nothing_unless_wanted() {
        let mut trace = Trace::default();
        trace.enter(|| unreachable!("not asked for"), || unreachable!("not asked for"));
        trace.leave(1, 1, || unreachable!("not asked for"));
        assert_eq!(trace.finish(), []);
    }
}
