//! The tree of routes: which of them an alert takes, and how each groups.

use model::{Labels, Matcher, matches_all};
use std::collections::BTreeSet;

/// How long a route waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// From the first alert of a group to its first notification.
    pub group_wait_ms: i64,
    /// Between two looks at a group.
    pub group_interval_ms: i64,
    /// After which nothing new is told again.
    pub repeat_interval_ms: i64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            group_wait_ms: 30_000,
            group_interval_ms: 300_000,
            repeat_interval_ms: 4 * 3_600_000,
        }
    }
}

/// The labels whose values make a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    All,
    Labels(BTreeSet<String>),
}

impl GroupBy {
    /// All alerts of the route in one group.
    pub fn none() -> Self {
        Self::Labels(BTreeSet::new())
    }

    pub fn labels_of(&self, labels: &Labels) -> Labels {
        match self {
            Self::All => labels.clone(),
            Self::Labels(names) => labels.filtered(|name| names.contains(name)),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Route {
    /// The conditions from the root down to here, as they stand in the keys of groups.
    pub key: String,
    pub matchers: Vec<Matcher>,
    pub receiver: String,
    pub group_by: GroupBy,
    pub timing: Timing,
    pub muted_in: Vec<String>,
    pub active_in: Vec<String>,
    /// Whether the routes behind this one are looked at as well.
    pub does_continue: bool,
    /// Places in [`Routes`].
    pub children: Vec<usize>,
}

/// All routes; the first is the root.
#[derive(Clone, Debug)]
pub struct Routes(Vec<Route>);

impl Routes {
    /// The receiver of [`Self::to_nobody`].
    pub const NOBODY: &'static str = "nobody";

    pub(crate) fn new(routes: Vec<Route>) -> Self {
        Self(routes)
    }

    /// A single route whose receiver tells nobody.
    pub fn to_nobody() -> Self {
        Self(vec![Route {
            key: "{}".to_owned(),
            matchers: Vec::new(),
            receiver: Self::NOBODY.to_owned(),
            group_by: GroupBy::none(),
            timing: Timing::default(),
            muted_in: Vec::new(),
            active_in: Vec::new(),
            does_continue: false,
            children: Vec::new(),
        }])
    }

    pub fn get(&self, place: usize) -> Option<&Route> {
        self.0.get(place)
    }

    /// The places of the routes that an alert takes: of each branch the deepest that fit.
    pub fn taken_by(&self, labels: &Labels) -> Vec<usize> {
        let mut taken = Vec::new();
        self.walk(0, labels, &mut taken);
        taken
    }

    fn walk(&self, place: usize, labels: &Labels, taken: &mut Vec<usize>) -> bool {
        let Some(route) = self.0.get(place) else { return false };
        if !matches_all(&route.matchers, labels) {
            return false;
        }
        let before = taken.len();
        for child in &route.children {
            let fits = self.walk(*child, labels, taken);
            if fits && !self.0.get(*child).is_some_and(|child| child.does_continue) {
                break;
            }
        }
        if taken.len() == before {
            taken.push(place);
        }
        true
    }
}
