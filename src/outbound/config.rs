//! What Prometheus calls `http_config`: fields that stand inline in scrape configurations, discovery
//! and receivers, with Prometheus' checks and words.

use crate::Url;
use crate::proxy::NoProxy;
use hyper::header::{HeaderName, HeaderValue};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use yaml::{Error, Fields, FromNode, Node, Secret};

/// How a client connects and who it says it is.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpConfig {
    pub credentials: Credentials,
    pub tls: TlsConfig,
    pub proxy: ProxyConfig,
    pub follow_redirects: bool,
    pub enable_http2: bool,
    /// Names and values that are sent with every request.
    pub headers: Vec<(String, SecretSource)>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            credentials: Credentials::None,
            tls: TlsConfig::default(),
            proxy: ProxyConfig::default(),
            follow_redirects: true,
            enable_http2: true,
            headers: Vec::new(),
        }
    }
}

/// A secret that stands in the configuration, or in a file that is read each time it is needed.
#[derive(Clone, Debug, PartialEq)]
pub enum SecretSource {
    Here(Secret),
    File(PathBuf),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum Credentials {
    #[default]
    None,
    Basic(BasicAuth),
    Authorization(Authorization),
    OAuth2(Box<OAuth2>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct BasicAuth {
    pub user: SecretSource,
    pub password: SecretSource,
}

/// `Authorization: TYPE CREDENTIALS`.
#[derive(Clone, Debug, PartialEq)]
pub struct Authorization {
    pub kind: String,
    pub credentials: SecretSource,
}

/// Client credentials of OAuth 2.0.
#[derive(Clone, Debug, PartialEq)]
pub struct OAuth2 {
    pub client_id: String,
    pub client_secret: SecretSource,
    pub token_url: Url,
    pub scopes: Vec<String>,
    /// More parameters of the request for a token; `grant_type` among them wins over the usual one.
    pub endpoint_params: BTreeMap<String, String>,
    pub tls: TlsConfig,
    pub proxy: ProxyConfig,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct TlsConfig {
    pub ca: Option<SecretSource>,
    pub cert: Option<SecretSource>,
    pub key: Option<SecretSource>,
    pub server_name: String,
    pub insecure_skip_verify: bool,
    /// 12 or 13; 0: what both sides can.
    pub min_version: u8,
    pub max_version: u8,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProxyConfig {
    pub url: Option<Url>,
    pub from_environment: bool,
    pub no_proxy: NoProxy,
    pub connect_headers: Vec<(String, Secret)>,
}

impl HttpConfig {
    /// Takes its fields out of a mapping that has others as well.
    pub fn read(fields: &mut Fields<'_>) -> Result<Self, Error> {
        Ok(Self {
            credentials: credentials(fields)?,
            tls: fields.or_default("tls_config")?,
            proxy: ProxyConfig::read(fields)?,
            follow_redirects: fields.or("follow_redirects", true)?,
            enable_http2: fields.or("enable_http2", true)?,
            headers: headers(fields)?,
        })
    }

    /// Files are named from the folder of the configuration.
    pub fn set_folder(&mut self, folder: &Path) {
        for source in self.sources() {
            if let SecretSource::File(path) = source {
                *path = folder.join(&*path);
            }
        }
    }

    /// Whether a file of the machine is read for it: not for what a user of an API writes.
    pub fn reads_files(&self) -> bool {
        self.clone().sources().iter().any(|source| matches!(source, SecretSource::File(_)))
    }

    fn sources(&mut self) -> Vec<&mut SecretSource> {
        let mut sources = self.tls.sources();
        match &mut self.credentials {
            Credentials::None => {}
            Credentials::Basic(basic) => sources.extend([&mut basic.user, &mut basic.password]),
            Credentials::Authorization(header) => sources.push(&mut header.credentials),
            Credentials::OAuth2(oauth2) => {
                sources.push(&mut oauth2.client_secret);
                sources.extend(oauth2.tls.sources());
            }
        }
        sources.extend(self.headers.iter_mut().map(|(_, value)| value));
        sources
    }
}

impl FromNode for HttpConfig {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let mut fields = node.fields("http_config")?;
        let config = Self::read(&mut fields)?;
        fields.end()?;
        Ok(config)
    }
}

impl SecretSource {
    /// A secret, or the file that has it; of both, none.
    fn read(
        fields: &mut Fields<'_>,
        name: &'static str,
        file: &'static str,
        what: &str,
    ) -> Result<Option<Self>, Error> {
        let here: Option<Secret> = fields.optional(name)?;
        let path: Option<String> = fields.optional(file)?;
        match (here.filter(|secret| !secret.is_empty()), path.filter(|path| !path.is_empty())) {
            (Some(_), Some(_)) => {
                Err(fields
                    .error(format!("at most one of {what}{name} & {file} must be configured")))
            }
            (Some(here), None) => Ok(Some(Self::Here(here))),
            (None, Some(path)) => Ok(Some(Self::File(path.into()))),
            (None, None) => Ok(None),
        }
    }
}

impl Default for SecretSource {
    fn default() -> Self {
        Self::Here(Secret::default())
    }
}

fn credentials(fields: &mut Fields<'_>) -> Result<Credentials, Error> {
    let basic: Option<BasicAuth> = fields.optional("basic_auth")?;
    let authorization: Option<Authorization> = fields.optional("authorization")?;
    let oauth2: Option<OAuth2> = fields.optional("oauth2")?;
    let token = SecretSource::read(fields, "bearer_token", "bearer_token_file", "")?;
    if token.is_some() && authorization.is_some() {
        let message = "authorization is not compatible with bearer_token & bearer_token_file";
        return Err(fields.error(message));
    }
    let given = [basic.is_some(), oauth2.is_some(), authorization.is_some(), token.is_some()];
    if given.into_iter().filter(|is_given| *is_given).count() > 1 {
        let all = "basic_auth, oauth2, authorization, bearer_token & bearer_token_file";
        return Err(fields.error(format!("at most one of {all} must be configured")));
    }
    let bearer = |credentials| Authorization { kind: "Bearer".to_owned(), credentials };
    Ok(match (basic, oauth2, authorization.or(token.map(bearer))) {
        (Some(basic), ..) => Credentials::Basic(basic),
        (_, Some(oauth2), _) => Credentials::OAuth2(Box::new(oauth2)),
        (_, _, Some(authorization)) => Credentials::Authorization(authorization),
        _ => Credentials::None,
    })
}

impl FromNode for BasicAuth {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let mut fields = node.fields("basic_auth")?;
        let name: Option<String> = fields.optional("username")?;
        let file: Option<String> = fields.optional("username_file")?;
        let user = match (name, file) {
            (Some(_), Some(_)) => {
                let both = "basic_auth username & username_file";
                return Err(fields.error(format!("at most one of {both} must be configured")));
            }
            (_, Some(file)) => SecretSource::File(file.into()),
            (name, None) => SecretSource::Here(name.unwrap_or_default().into()),
        };
        let password = SecretSource::read(&mut fields, "password", "password_file", "basic_auth ")?;
        fields.end()?;
        Ok(Self { user, password: password.unwrap_or_default() })
    }
}

impl FromNode for Authorization {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let mut fields = node.fields("authorization")?;
        let kind: String = fields.or_default("type")?;
        let credentials =
            SecretSource::read(&mut fields, "credentials", "credentials_file", "authorization ")?;
        let kind = match kind.trim() {
            "" => "Bearer",
            kind if kind.eq_ignore_ascii_case("basic") => {
                let message =
                    "authorization type cannot be set to \"basic\", use \"basic_auth\" instead";
                return Err(fields.error(message));
            }
            kind => kind,
        };
        fields.end()?;
        Ok(Self { kind: kind.to_owned(), credentials: credentials.unwrap_or_default() })
    }
}

impl FromNode for OAuth2 {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let mut fields = node.fields("oauth2")?;
        let grant: String = fields.or_default("grant_type")?;
        if !matches!(grant.as_str(), "" | "client_credentials") {
            let known = "client_credentials is; a password goes into endpoint_params";
            return Err(
                fields.error(format!("oauth2 grant_type `{grant}` is not supported yet: {known}"))
            );
        }
        let client_id: String = fields.or_default("client_id")?;
        let secret =
            SecretSource::read(&mut fields, "client_secret", "client_secret_file", "oauth2 ")?;
        let token_url: Option<Url> = fields.optional("token_url")?;
        if client_id.is_empty() {
            return Err(fields.error("oauth2 client_id must be configured"));
        }
        let missing = "either oauth2 client_secret or client_secret_file must be configured";
        let oauth2 = Self {
            client_id,
            client_secret: secret.ok_or_else(|| fields.error(missing))?,
            token_url: token_url
                .ok_or_else(|| fields.error("oauth2 token_url must be configured"))?,
            scopes: fields.or_default("scopes")?,
            endpoint_params: fields.or_default("endpoint_params")?,
            tls: fields.or_default("tls_config")?,
            proxy: ProxyConfig::read(&mut fields)?,
        };
        fields.end()?;
        Ok(oauth2)
    }
}

impl TlsConfig {
    fn sources(&mut self) -> Vec<&mut SecretSource> {
        [&mut self.ca, &mut self.cert, &mut self.key].into_iter().flatten().collect()
    }

    /// Files are named from the folder of the configuration.
    pub fn set_folder(&mut self, folder: &Path) {
        for source in self.sources() {
            if let SecretSource::File(path) = source {
                *path = folder.join(&*path);
            }
        }
    }
}

/// A certificate is no secret, but may stand in a file as one.
fn pem(
    fields: &mut Fields<'_>,
    name: &'static str,
    file: &'static str,
) -> Result<Option<SecretSource>, Error> {
    let here: Option<String> = fields.optional(name)?;
    let path: Option<String> = fields.optional(file)?;
    match (here.filter(|text| !text.is_empty()), path.filter(|path| !path.is_empty())) {
        (Some(_), Some(_)) => {
            Err(fields.error(format!("at most one of {name} and {file} must be configured")))
        }
        (here, path) => {
            let here = here.map(|text| SecretSource::Here(text.into()));
            Ok(here.or(path.map(|path| SecretSource::File(path.into()))))
        }
    }
}

impl FromNode for TlsConfig {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let mut fields = node.fields("tls_config")?;
        let config = Self {
            ca: pem(&mut fields, "ca", "ca_file")?,
            cert: pem(&mut fields, "cert", "cert_file")?,
            key: SecretSource::read(&mut fields, "key", "key_file", "")?,
            server_name: fields.or_default("server_name")?,
            insecure_skip_verify: fields.or("insecure_skip_verify", false)?,
            min_version: fields.optional::<TlsVersion>("min_version")?.map_or(0, |it| it.0),
            max_version: fields.optional::<TlsVersion>("max_version")?.map_or(0, |it| it.0),
        };
        let both = "must be configured when a client";
        match (&config.cert, &config.key) {
            (Some(_), None) => {
                return Err(fields.error(format!(
                    "exactly one of key or key_file {both} certificate is configured"
                )));
            }
            (None, Some(_)) => {
                return Err(fields
                    .error(format!("exactly one of cert or cert_file {both} key is configured")));
            }
            _ => {}
        }
        if (1..12).contains(&config.max_version) {
            return Err(fields.error("max_version: TLS below 1.2 is not spoken here"));
        }
        if config.max_version != 0 && config.max_version < config.min_version {
            return Err(
                fields.error("tls_config max_version must be greater than or equal to min_version")
            );
        }
        fields.end()?;
        Ok(config)
    }
}

struct TlsVersion(u8);

impl FromNode for TlsVersion {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let text: String = node.read()?;
        match text.as_str() {
            "TLS10" => Ok(Self(10)),
            "TLS11" => Ok(Self(11)),
            "TLS12" => Ok(Self(12)),
            "TLS13" => Ok(Self(13)),
            other => Err(node.error(format!("unknown TLS version: {other}"))),
        }
    }
}

impl ProxyConfig {
    pub fn read(fields: &mut Fields<'_>) -> Result<Self, Error> {
        let url = match fields.take("proxy_url").filter(|node| node.text() != Some("")) {
            Some(node) => node.read::<Option<Url>>()?,
            None => None,
        };
        let from_environment = fields.or("proxy_from_environment", false)?;
        let no_proxy: String = fields.or_default("no_proxy")?;
        let headers: BTreeMap<String, Vec<Secret>> = fields.or_default("proxy_connect_header")?;
        if from_environment && url.is_some() {
            let message =
                "if proxy_from_environment is configured, proxy_url must not be configured";
            return Err(fields.error(message));
        }
        if from_environment && !no_proxy.is_empty() {
            let message =
                "if proxy_from_environment is configured, no_proxy must not be configured";
            return Err(fields.error(message));
        }
        if url.is_none() && !no_proxy.is_empty() {
            return Err(
                fields.error("if no_proxy is configured, proxy_url must also be configured")
            );
        }
        if url.is_none() && !from_environment && !headers.is_empty() {
            let message = "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be configured";
            return Err(fields.error(message));
        }
        let pairs = headers
            .into_iter()
            .flat_map(|(name, values)| values.into_iter().map(move |value| (name.clone(), value)));
        Ok(Self {
            url,
            from_environment,
            no_proxy: NoProxy::parse(&no_proxy),
            connect_headers: pairs.collect(),
        })
    }
}

/// What the client writes itself.
const RESERVED: [&str; 17] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-prometheus-remote-write-version",
    "x-prometheus-scrape-timeout-seconds",
];

fn headers(fields: &mut Fields<'_>) -> Result<Vec<(String, SecretSource)>, Error> {
    let Some(node) = fields.take("http_headers") else { return Ok(Vec::new()) };
    let mut headers = Vec::new();
    for (name, value) in node.entries()? {
        let lower = name.to_ascii_lowercase();
        if RESERVED.contains(&&*lower) {
            return Err(node.error(format!("setting header \"{name}\" is not allowed")));
        }
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            return Err(node.error(format!("`{name}` is not the name of a header")));
        }
        let mut fields = value.fields("header")?;
        let values: Vec<String> = fields.or_default("values")?;
        let secrets: Vec<Secret> = fields.or_default("secrets")?;
        let files: Vec<String> = fields.or_default("files")?;
        let here = values.into_iter().map(Secret::from).chain(secrets).map(SecretSource::Here);
        let files = files.into_iter().map(|path| SecretSource::File(path.into()));
        for source in here.chain(files) {
            if let SecretSource::Here(secret) = &source
                && HeaderValue::from_str(secret.reveal()).is_err()
            {
                return Err(value.error(format!("a value of header \"{name}\" can't be sent")));
            }
            headers.push((name.to_owned(), source));
        }
        fields.end()?;
    }
    Ok(headers)
}
