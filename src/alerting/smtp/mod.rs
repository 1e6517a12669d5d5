//! Mail: one message over one connection.
//!
//! Lives here: a delivery from connection to goodbye. `dialog`: commands and replies; `auth`: PLAIN,
//! LOGIN and CRAM-MD5; `message`: headers and parts.
//! Invariants: lines and replies are bounded; a password is only sent over TLS or to this machine; a
//! value can't add a header or end the message.

mod auth;
mod dialog;
mod message;

use crate::config::EmailConfig;
use crate::receivers::{Means, SendError};
use auth::Login;
use dialog::Dialog;
use message::Message;
use outbound::Reach;
use std::time::Duration;

/// The port on which TLS begins with the first byte.
const IMPLICIT_TLS_PORT: u16 = 465;

/// A message with all that is needed to send it.
#[derive(Debug)]
pub(crate) struct Mail {
    config: EmailConfig,
    message: Message,
    login: Option<Login>,
}

impl Mail {
    pub(crate) fn new(config: &EmailConfig, means: &Means<'_>) -> Result<Self, SendError> {
        let (message, login) = (Message::new(config, means)?, Login::new(config, means)?);
        let mut config = config.clone();
        config.tls.set_folder(means.folder);
        Ok(Self { config, message, login })
    }

    pub(crate) async fn send(&self, timeout: Duration) -> Result<(), SendError> {
        let own = u64::try_from(self.config.timeout_ms).ok().filter(|own_ms| *own_ms > 0);
        let timeout = own.map_or(timeout, |own_ms| timeout.min(Duration::from_millis(own_ms)));
        let late =
            || SendError::again(format!("no answer from the mail server within {timeout:?}"));
        let sending = tokio::time::timeout(timeout, self.talk(timeout)).await;
        sending.unwrap_or_else(|_| Err(late()))
    }

    async fn talk(&self, timeout: Duration) -> Result<(), SendError> {
        let mut dialog = self.connect(timeout).await?;
        if let Some(login) = &self.login {
            login.run(&mut dialog, &self.config.smarthost.host).await?;
        }
        let message = &self.message;
        dialog.command(&format!("MAIL FROM:<{}>", message.from), &[250]).await?;
        for to in &message.to {
            dialog.command(&format!("RCPT TO:<{to}>"), &[250, 251]).await?;
        }
        dialog.command("DATA", &[354]).await?;
        dialog.data(&message.text).await?;
        // The message is taken: whether the goodbye is heard does not matter.
        let _ = dialog.command("QUIT", &[221]).await;
        Ok(())
    }

    /// A connection that has said hello, encrypted where it must be.
    async fn connect(&self, timeout: Duration) -> Result<Dialog, SendError> {
        let config = &self.config;
        let (host, port) = (config.smarthost.host.as_str(), config.smarthost.port);
        let stream = outbound::connect_stream(host, port, &Reach::Anywhere, timeout).await;
        let stream = stream.map_err(|error| SendError::again(error.to_string()))?;
        let mut dialog = Dialog::new(Box::new(stream));
        let is_implicit = config.implicit_tls.unwrap_or(port == IMPLICIT_TLS_PORT);
        if is_implicit {
            dialog = dialog.encrypted(&config.tls, host).await?;
        }
        dialog.expect(&[220]).await?;
        dialog.hello(&config.hello).await?;
        if is_implicit || !config.require_tls {
            return Ok(dialog);
        }
        if !dialog.offers("STARTTLS") {
            let text = "the mail server does not offer STARTTLS, which `require_tls` demands";
            return Err(SendError::again(text));
        }
        dialog.command("STARTTLS", &[220]).await?;
        dialog = dialog.encrypted(&config.tls, host).await?;
        dialog.hello(&config.hello).await?;
        Ok(dialog)
    }
}

#[cfg(test)]
mod tests;
