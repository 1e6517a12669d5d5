//! `receivers`: who is told, and by what.
//!
//! A receiver has any number of integrations of any kind. Each kind is one type, read in its own file:
//! it knows its defaults, what it takes over from `global`, and its checks.

mod chat;
mod email;
mod opsgenie;
mod pagerduty;
mod slack;
mod webhook;

pub use chat::{ChatId, DiscordConfig, MsTeamsConfig, MsTeamsV2Config, TelegramConfig};
pub use email::EmailConfig;
pub use opsgenie::{OpsGenieConfig, Responder};
pub use pagerduty::{PagerDutyConfig, PagerDutyImage, PagerDutyLink};
pub use slack::{SlackAction, SlackConfig, SlackConfirm, SlackField};
pub use webhook::WebhookConfig;

use super::Global;
use std::collections::{BTreeMap, BTreeSet};
use yaml::{Error, Fields, Node};

#[derive(Clone, Debug)]
pub struct Receiver {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub integrations: Vec<Integration>,
}

impl Receiver {
    pub fn without_integrations(name: &str) -> Self {
        Self { name: name.to_owned(), labels: BTreeMap::new(), integrations: Vec::new() }
    }
}

/// One way in which a receiver is told.
#[derive(Clone, Debug)]
pub struct Integration {
    /// Its place among those of its kind in the receiver.
    pub index: usize,
    /// Whether it is told that alerts have ended.
    pub send_resolved: bool,
    pub settings: Settings,
}

#[derive(Clone, Debug)]
pub enum Settings {
    Webhook(WebhookConfig),
    Email(EmailConfig),
    Slack(SlackConfig),
    PagerDuty(PagerDutyConfig),
    OpsGenie(OpsGenieConfig),
    Telegram(TelegramConfig),
    Discord(DiscordConfig),
    MsTeams(MsTeamsConfig),
    MsTeamsV2(MsTeamsV2Config),
}

/// The names of all kinds, see [`Settings::kind`].
pub const KIND_NAMES: [&str; 9] = [
    "webhook",
    "email",
    "slack",
    "pagerduty",
    "opsgenie",
    "telegram",
    "discord",
    "msteams",
    "msteamsv2",
];

impl Settings {
    /// The name of the kind, as Alertmanager has it in metrics and in the notification log.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Email(_) => "email",
            Self::Slack(_) => "slack",
            Self::PagerDuty(_) => "pagerduty",
            Self::OpsGenie(_) => "opsgenie",
            Self::Telegram(_) => "telegram",
            Self::Discord(_) => "discord",
            Self::MsTeams(_) => "msteams",
            Self::MsTeamsV2(_) => "msteamsv2",
        }
    }
}

/// Kinds that Alertmanager knows and Mirador does not yet.
const NOT_SUPPORTED: [&str; 10] = [
    "incidentio_configs",
    "jira_configs",
    "mattermost_configs",
    "pushover_configs",
    "rocketchat_configs",
    "sns_configs",
    "victorops_configs",
    "webex_configs",
    "wechat_configs",
    "zoom_configs",
];

type Read = fn(&mut Fields<'_>, &Global) -> Result<Settings, Error>;

/// The kinds: the field of a receiver, whether ends are told where nothing is said, and how it is read.
const KINDS: [(&str, bool, Read); 9] = [
    ("discord_configs", true, |f, g| Ok(Settings::Discord(DiscordConfig::read(f, g)?))),
    ("email_configs", false, |f, g| Ok(Settings::Email(EmailConfig::read(f, g)?))),
    ("msteams_configs", true, |f, g| Ok(Settings::MsTeams(MsTeamsConfig::read(f, g)?))),
    ("msteamsv2_configs", true, |f, g| Ok(Settings::MsTeamsV2(MsTeamsV2Config::read(f, g)?))),
    ("opsgenie_configs", true, |f, g| Ok(Settings::OpsGenie(OpsGenieConfig::read(f, g)?))),
    ("pagerduty_configs", true, |f, g| Ok(Settings::PagerDuty(PagerDutyConfig::read(f, g)?))),
    ("slack_configs", false, |f, g| Ok(Settings::Slack(SlackConfig::read(f, g)?))),
    ("telegram_configs", true, |f, g| Ok(Settings::Telegram(TelegramConfig::read(f, g)?))),
    ("webhook_configs", true, |f, g| Ok(Settings::Webhook(WebhookConfig::read(f, g)?))),
];

pub(super) fn read_all(list: Option<&Node>, global: &Global) -> Result<Vec<Receiver>, Error> {
    let mut names = BTreeSet::new();
    let items = list.map_or_else(|| Ok(&[][..]), Node::items)?;
    items.iter().map(|item| read_one(item, global, &mut names)).collect()
}

fn read_one(item: &Node, global: &Global, names: &mut BTreeSet<String>) -> Result<Receiver, Error> {
    let mut fields = item.fields("receiver")?;
    let name: String = fields.or_default("name")?;
    if name.is_empty() {
        return Err(item.error("missing name in receiver"));
    }
    if !names.insert(name.clone()) {
        return Err(item.error(format!("notification config name {name:?} is not unique")));
    }
    let mut receiver = Receiver::without_integrations(&name);
    receiver.labels = fields.or_default("labels")?;
    for (field, sends_resolved, read) in KINDS {
        let list = fields.take(field).map_or_else(|| Ok(&[][..]), Node::items)?;
        for (index, item) in list.iter().enumerate() {
            let mut of_item = item.fields("integration of a receiver")?;
            let send_resolved = of_item.or("send_resolved", sends_resolved)?;
            let settings = read(&mut of_item, global)?;
            of_item.end()?;
            receiver.integrations.push(Integration { index, send_resolved, settings });
        }
    }
    for field in NOT_SUPPORTED {
        if let Some(node) = fields.take(field).filter(|node| !node.is_null()) {
            return Err(node.error(format!(
                "`{field}` is not supported yet, so that the receiver {name:?} would be told \
                 nothing by it: remove it, or send through `webhook_configs`"
            )));
        }
    }
    fields.end()?;
    Ok(receiver)
}
