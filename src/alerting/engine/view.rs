//! What the API shows of alerts and groups.

use super::groups::Group;
use super::silences::ActiveSilences;
use super::{Engine, GroupId};
use crate::alert::KeptAlert;
use crate::routing::Route;
use model::{AnchoredRegex, Labels, Matcher, matches_all};

/// Which alerts a request wants.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub active: bool,
    pub silenced: bool,
    pub inhibited: bool,
    pub unprocessed: bool,
    /// Only of groups: those that an interval mutes.
    pub muted: bool,
    pub filter: Vec<Matcher>,
    /// Of the receiver's name.
    pub receiver: Option<AnchoredRegex>,
    /// Of the receiver's labels.
    pub receiver_matchers: Vec<Matcher>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            active: true,
            silenced: true,
            inhibited: true,
            unprocessed: true,
            muted: true,
            filter: Vec::new(),
            receiver: None,
            receiver_matchers: Vec::new(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Active,
    Suppressed,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suppressed => "suppressed",
        }
    }
}

#[derive(Clone, Debug)]
pub struct AlertView {
    pub alert: KeptAlert,
    pub receivers: Vec<String>,
    pub silenced_by: Vec<String>,
    pub inhibited_by: Vec<String>,
    /// Names of intervals.
    pub muted_by: Vec<String>,
}

impl AlertView {
    pub fn state(&self) -> State {
        let lists = [&self.silenced_by, &self.inhibited_by, &self.muted_by];
        match lists.iter().all(|list| list.is_empty()) {
            true => State::Active,
            false => State::Suppressed,
        }
    }
}

#[derive(Clone, Debug)]
pub struct GroupView {
    pub labels: Labels,
    pub receiver: String,
    pub alerts: Vec<AlertView>,
}

/// One request: what it wants, when, and what holds then.
struct Look<'a> {
    wanted: &'a Wanted,
    now_ms: i64,
    silences: ActiveSilences<'a>,
}

impl Engine {
    fn look<'a>(&'a self, wanted: &'a Wanted, now_ms: i64) -> Look<'a> {
        Look { wanted, now_ms, silences: self.silences.active(now_ms) }
    }

    /// The alerts that fire, in the order of their fingerprints.
    pub fn view_alerts(&self, wanted: &Wanted, now_ms: i64) -> Vec<AlertView> {
        let look = self.look(wanted, now_ms);
        let views = self.alerts.iter().filter_map(|alert| {
            let places = self.config.routes.taken_by(&alert.alert.labels);
            let routes = places.into_iter().filter_map(|place| self.config.routes.get(place));
            let receivers: Vec<String> = routes.map(|route| route.receiver.clone()).collect();
            if !receivers.iter().any(|name| self.wants_receiver(wanted, name)) {
                return None;
            }
            self.view(alert, receivers, Vec::new(), &look)
        });
        views.collect()
    }

    /// Groups with the alerts that fire, by their labels and receivers. Groups that have none left of
    /// what is wanted are not shown.
    pub fn view_groups(&self, wanted: &Wanted, now_ms: i64) -> Vec<GroupView> {
        let look = self.look(wanted, now_ms);
        let views = self.groups.iter().filter_map(|(id, group)| {
            let route = self.config.routes.get(id.route)?;
            self.view_group(id, group, route, &look)
        });
        let mut groups: Vec<GroupView> = views.collect();
        groups.sort_by(|left, right| {
            left.labels.cmp(&right.labels).then_with(|| left.receiver.cmp(&right.receiver))
        });
        groups
    }

    fn view_group(
        &self,
        id: &GroupId,
        group: &Group,
        route: &Route,
        look: &Look<'_>,
    ) -> Option<GroupView> {
        let muted_by = self.muted_in(route, look.now_ms);
        let is_wanted = self.wants_receiver(look.wanted, &route.receiver)
            && (look.wanted.muted || muted_by.is_empty());
        if !is_wanted {
            return None;
        }
        let receivers = |alert: &KeptAlert| {
            let places = self.config.routes.taken_by(&alert.alert.labels);
            let routes = places.into_iter().filter_map(|place| self.config.routes.get(place));
            routes.map(|route| route.receiver.clone()).collect::<Vec<String>>()
        };
        let alerts = group.listed();
        let alerts = alerts
            .iter()
            .filter_map(|alert| self.view(alert, receivers(alert), muted_by.clone(), look));
        let alerts: Vec<AlertView> = alerts.collect();
        let view =
            GroupView { labels: id.labels.clone(), receiver: route.receiver.clone(), alerts };
        (!view.alerts.is_empty()).then_some(view)
    }

    fn view(
        &self,
        alert: &KeptAlert,
        receivers: Vec<String>,
        muted_by: Vec<String>,
        look: &Look<'_>,
    ) -> Option<AlertView> {
        let (wanted, now_ms) = (look.wanted, look.now_ms);
        let labels = &alert.alert.labels;
        if alert.is_resolved(now_ms) || !matches_all(&wanted.filter, labels) {
            return None;
        }
        let inhibited_by = self.inhibited_by(labels, now_ms);
        let view = AlertView {
            alert: alert.clone(),
            receivers,
            silenced_by: look.silences.silencing(labels),
            inhibited_by: inhibited_by.iter().map(ToString::to_string).collect(),
            muted_by,
        };
        let is_wanted = (wanted.active || view.state() != State::Active)
            && (wanted.silenced || view.silenced_by.is_empty())
            && (wanted.inhibited || view.inhibited_by.is_empty());
        is_wanted.then_some(view)
    }

    fn wants_receiver(&self, wanted: &Wanted, name: &str) -> bool {
        let fits = wanted.receiver.as_ref().is_none_or(|regex| regex.is_match(name));
        if !fits || wanted.receiver_matchers.is_empty() {
            return fits;
        }
        self.config.receiver(name).is_some_and(|receiver| {
            wanted.receiver_matchers.iter().all(|matcher| {
                matcher.matches(receiver.labels.get(&matcher.name).map_or("", String::as_str))
            })
        })
    }
}
