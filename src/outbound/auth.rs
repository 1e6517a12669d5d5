//! Who a client says it is: secrets from the configuration or from files, as headers.

use crate::oauth2::Tokens;
use crate::{Credentials, Error, HttpConfig, Reason, SecretSource};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use yaml::Secret;

/// Far above any token or certificate.
const SECRET_MAX: usize = 1 << 20;

/// The secret. A file is read each time, so that a replaced one counts; spaces around it are not part
/// of it.
pub(crate) async fn read_source(source: &SecretSource) -> Result<Secret, Error> {
    let path = match source {
        SecretSource::Here(secret) => return Ok(secret.clone()),
        SecretSource::File(path) => path.clone(),
    };
    let shown = path.display().to_string();
    let reading = move || platform::read_outside_text(&path, SECRET_MAX);
    let read = tokio::task::spawn_blocking(reading).await.map_err(std::io::Error::other);
    match read.and_then(|read| read) {
        Ok(text) => Ok(text.trim().to_owned().into()),
        Err(error) => Err(Error::new(
            Reason::Authorization,
            format!("can't read the secret in {shown}: {error}"),
        )),
    }
}

/// The `Authorization` header, for those that have one.
pub(crate) async fn authorization(
    config: &HttpConfig,
    tokens: Option<&Tokens>,
) -> Result<Option<String>, Error> {
    match (&config.credentials, tokens) {
        (Credentials::Basic(basic), _) => {
            let user = read_source(&basic.user).await?;
            let password = read_source(&basic.password).await?;
            Ok(Some(basic_header(user.reveal(), password.reveal())))
        }
        (Credentials::Authorization(header), _) => {
            let secret = read_source(&header.credentials).await?;
            Ok(Some(format!("{} {}", header.kind, secret.reveal())))
        }
        (Credentials::OAuth2(_), Some(tokens)) => tokens.header().await.map(Some),
        (Credentials::None | Credentials::OAuth2(_), _) => Ok(None),
    }
}

pub(crate) fn basic_header(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}
