//! Who we say we are: PLAIN, LOGIN and CRAM-MD5.

use super::dialog::{Dialog, Reply};
use crate::config::EmailConfig;
use crate::receivers::{Means, SendError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

/// Names and secrets of one login.
pub(super) struct Login {
    identity: String,
    user: String,
    password: Option<String>,
    secret: Option<String>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({})", self.user)
    }
}

impl Login {
    /// `None` where the configuration has no name.
    pub(super) fn new(config: &EmailConfig, means: &Means<'_>) -> Result<Option<Self>, SendError> {
        if config.auth_username.is_empty() {
            return Ok(None);
        }
        let read = |source| means.secret(source);
        Ok(Some(Self {
            identity: config.auth_identity.clone(),
            user: config.auth_username.clone(),
            password: config.auth_password.as_ref().map(read).transpose()?,
            secret: config.auth_secret.as_ref().map(read).transpose()?,
        }))
    }

    /// Takes the first mechanism of the server for which there is a secret.
    pub(super) async fn run(&self, dialog: &mut Dialog, host: &str) -> Result<(), SendError> {
        let offered = dialog.words("AUTH");
        let offered = offered.ok_or_else(|| SendError::again("the mail server offers no AUTH"))?;
        for mechanism in &offered {
            match (mechanism.as_str(), &self.secret, &self.password) {
                ("CRAM-MD5", Some(secret), _) => return self.cram_md5(dialog, secret).await,
                ("PLAIN", _, Some(password)) => {
                    check_private(dialog, host)?;
                    let text = format!("{}\0{}\0{password}", self.identity, self.user);
                    let line = format!("AUTH PLAIN {}", STANDARD.encode(text));
                    return dialog.command(&line, &[235]).await.map(|_| ());
                }
                ("LOGIN", _, Some(password)) => {
                    check_private(dialog, host)?;
                    return self.login(dialog, password).await;
                }
                _ => {}
            }
        }
        let names = offered.join(", ");
        Err(SendError::for_good(format!(
            "none of the mail server's AUTH mechanisms ({names}) fits the secrets of the configuration"
        )))
    }

    async fn login(&self, dialog: &mut Dialog, password: &str) -> Result<(), SendError> {
        dialog.command("AUTH LOGIN", &[334]).await?;
        dialog.command(&STANDARD.encode(&self.user), &[334]).await?;
        dialog.command(&STANDARD.encode(password), &[235]).await.map(|_| ())
    }

    async fn cram_md5(&self, dialog: &mut Dialog, secret: &str) -> Result<(), SendError> {
        let Reply { lines, .. } = dialog.command("AUTH CRAM-MD5", &[334]).await?;
        let challenge = lines.first().map(String::as_str).unwrap_or_default();
        let wrong = |_| SendError::again("the challenge of the mail server is not base64");
        let challenge = STANDARD.decode(challenge).map_err(wrong)?;
        let answer = format!("{} {}", self.user, hmac_md5(secret.as_bytes(), &challenge));
        dialog.command(&STANDARD.encode(answer), &[235]).await.map(|_| ())
    }
}

/// A password goes over TLS, or does not leave the machine.
fn check_private(dialog: &Dialog, host: &str) -> Result<(), SendError> {
    if dialog.is_encrypted || matches!(host, "localhost" | "127.0.0.1" | "::1") {
        return Ok(());
    }
    let text = "a password is not sent without TLS: set `require_tls`, or use CRAM-MD5";
    Err(SendError::for_good(text))
}

/// RFC 2104, in hex.
fn hmac_md5(key: &[u8], message: &[u8]) -> String {
    const BLOCK: usize = 64;
    let mut padded = [0; BLOCK];
    let hashed;
    let key = match key.len() > BLOCK {
        true => {
            hashed = Md5::digest(key);
            hashed.as_slice()
        }
        false => key,
    };
    padded.iter_mut().zip(key).for_each(|(place, byte)| *place = *byte);
    let with = |pad: u8| padded.map(|byte| byte ^ pad);
    let inner = Md5::new().chain_update(with(0x36)).chain_update(message).finalize();
    let outer = Md5::new().chain_update(with(0x5c)).chain_update(inner).finalize();
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_2195_holds() {
        let challenge = b"<1896.697170952@postoffice.reston.mci.net>";
        assert_eq!(hmac_md5(b"tanstaaftanstaaf", challenge), "b913a602c7eda7a495b4e6e7334d3890");
    }
}
