//! Silences: conditions on labels that keep alerts quiet for a while.

use super::notification_log::KEPT_MS;
use model::{Labels, Matcher, matches_all};
use std::collections::BTreeMap;

/// Silences of a tenant, those that have ended included.
const SILENCES_MAX: usize = 10_000;

#[derive(Clone, Debug, PartialEq)]
pub struct Silence {
    /// A UUID.
    pub id: String,
    pub matchers: Vec<Matcher>,
    pub starts_at_ms: i64,
    pub ends_at_ms: i64,
    pub updated_at_ms: i64,
    pub created_by: String,
    pub comment: String,
    pub annotations: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SilenceState {
    Active,
    Pending,
    Expired,
}

impl SilenceState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Expired => "expired",
        }
    }
}

impl Silence {
    /// From then on nobody needs to know of it: five days after its end.
    pub(crate) fn forgotten_at_ms(&self) -> i64 {
        self.ends_at_ms.saturating_add(KEPT_MS)
    }

    pub fn state(&self, now_ms: i64) -> SilenceState {
        if now_ms < self.starts_at_ms {
            SilenceState::Pending
        } else if now_ms < self.ends_at_ms {
            SilenceState::Active
        } else {
            SilenceState::Expired
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SilenceError {
    #[error("silence {0} not found")]
    NotFound(String),
    #[error("{0}")]
    Invalid(String),
    #[error("there are {SILENCES_MAX} silences already: expire some, they go after five days")]
    TooMany,
}

/// What a change does: the silence that it makes, and the one that it ends by that.
#[derive(Clone, Debug, PartialEq)]
pub struct SilenceChange {
    pub set: Silence,
    pub ended: Option<Silence>,
}

impl SilenceChange {
    pub fn silences(&self) -> impl Iterator<Item = &Silence> {
        self.ended.iter().chain([&self.set])
    }
}

#[derive(Clone, Debug, Default)]
pub struct Silences(BTreeMap<String, Silence>);

impl Silences {
    /// What setting this silence means; nothing changes before [`Self::put`]. An empty id makes a new
    /// one. One that is there is changed where that does not rewrite its past; otherwise it ends and a
    /// new one begins.
    pub fn plan(
        &self,
        mut silence: Silence,
        now_ms: i64,
        new_id: impl FnOnce() -> String,
    ) -> Result<SilenceChange, SilenceError> {
        check(&silence)?;
        silence.updated_at_ms = now_ms;
        let known = match silence.id.is_empty() {
            true => None,
            false => {
                let missing = || SilenceError::NotFound(silence.id.clone());
                Some(self.0.get(&silence.id).ok_or_else(missing)?)
            }
        };
        if known.is_some_and(|known| can_change(known, &silence, now_ms)) {
            return Ok(SilenceChange { set: silence, ended: None });
        }
        if self.0.len() >= SILENCES_MAX {
            return Err(SilenceError::TooMany);
        }
        silence.id = new_id();
        silence.starts_at_ms = silence.starts_at_ms.max(now_ms);
        let lives = |known: &&Silence| known.state(now_ms) != SilenceState::Expired;
        let ended = known.filter(lives).map(|known| ended(known, now_ms));
        Ok(SilenceChange { set: silence, ended })
    }

    /// The silence as it is when it is ended now; `None` where it has ended already.
    pub fn plan_end(&self, id: &str, now_ms: i64) -> Result<Option<Silence>, SilenceError> {
        let missing = || SilenceError::NotFound(id.to_owned());
        let known = self.0.get(id).ok_or_else(missing)?;
        Ok((known.state(now_ms) != SilenceState::Expired).then(|| ended(known, now_ms)))
    }

    pub fn put(&mut self, silence: Silence) {
        self.0.insert(silence.id.clone(), silence);
    }

    pub fn get(&self, id: &str) -> Option<&Silence> {
        self.0.get(id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Silence> {
        self.0.values()
    }

    /// Those that hold now.
    pub(super) fn active(&self, now_ms: i64) -> ActiveSilences<'_> {
        let is_active = |silence: &&Silence| silence.state(now_ms) == SilenceState::Active;
        ActiveSilences(self.0.values().filter(is_active).collect())
    }

    pub fn clean(&mut self, now_ms: i64) {
        self.0.retain(|_, silence| silence.forgotten_at_ms() > now_ms);
    }
}

/// Silences that hold, looked up once for many alerts.
pub(super) struct ActiveSilences<'a>(Vec<&'a Silence>);

impl ActiveSilences<'_> {
    /// Whether one of them keeps an alert quiet.
    pub(super) fn silence(&self, labels: &Labels) -> bool {
        self.0.iter().any(|silence| matches_all(&silence.matchers, labels))
    }

    /// The ids of those that do.
    pub(super) fn silencing(&self, labels: &Labels) -> Vec<String> {
        let silencing = self.0.iter().filter(|silence| matches_all(&silence.matchers, labels));
        silencing.map(|silence| silence.id.clone()).collect()
    }
}

fn check(silence: &Silence) -> Result<(), SilenceError> {
    let invalid = |text: &str| Err(SilenceError::Invalid(format!("invalid silence: {text}")));
    if silence.matchers.is_empty() {
        return invalid("at least one matcher required");
    }
    if silence.matchers.iter().all(|matcher| matcher.matches("")) {
        return invalid("at least one matcher must not match the empty string");
    }
    if silence.ends_at_ms < silence.starts_at_ms {
        return invalid("end time must not be before start time");
    }
    Ok(())
}

fn ended(silence: &Silence, now_ms: i64) -> Silence {
    Silence {
        starts_at_ms: silence.starts_at_ms.min(now_ms),
        ends_at_ms: now_ms,
        updated_at_ms: now_ms,
        ..silence.clone()
    }
}

fn can_change(known: &Silence, new: &Silence, now_ms: i64) -> bool {
    if known.matchers != new.matchers {
        return false;
    }
    match known.state(now_ms) {
        SilenceState::Active => known.starts_at_ms == new.starts_at_ms && new.ends_at_ms >= now_ms,
        SilenceState::Pending => new.starts_at_ms >= now_ms,
        SilenceState::Expired => false,
    }
}
