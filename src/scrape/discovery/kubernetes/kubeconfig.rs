//! `kubeconfig_file`: how a cluster is reached, as the configuration of kubectl says.
//!
//! Not here: programs that give credentials (`exec`, `auth-provider`), which are refused.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use outbound::{
    Authorization, BasicAuth, Credentials, HttpConfig, ProxyConfig, SecretSource, TlsConfig,
};
use std::path::Path;
use yaml::{Error, Fields, Node, Secret};

/// Such a file is written by people and tools.
const FILE_MAX: usize = 4 << 20;

/// What the current context says.
#[derive(Debug)]
pub(super) struct Kubeconfig {
    pub(super) server: String,
    pub(super) namespace: String,
    pub(super) http: HttpConfig,
}

impl Kubeconfig {
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = platform::read_outside_text(path, FILE_MAX).map_err(|error| named(&error))?;
        let mut read = Self::parse(&text).map_err(|error| named(&error))?;
        read.http.set_folder(path.parent().unwrap_or(Path::new("")));
        Ok(read)
    }

    fn parse(text: &str) -> Result<Self, Error> {
        let node = Node::parse(text)?;
        let mut fields = node.fields("kubeconfig")?;
        let current: String = fields.or_default("current-context")?;
        if current.is_empty() {
            return Err(node.error("there is no current-context"));
        }
        let context = named(&mut fields, ("contexts", "context"), &current)?;
        let mut of_context = context.fields("context")?;
        let cluster: String = of_context.required("cluster")?;
        let cluster = named(&mut fields, ("clusters", "cluster"), &cluster)?;
        let mut of_cluster = cluster.fields("cluster")?;
        let server: String = of_cluster.required("server")?;
        let mut http = HttpConfig { tls: tls(&mut of_cluster)?, ..HttpConfig::default() };
        if let Some(url) = of_cluster.optional("proxy-url")? {
            http.proxy = ProxyConfig { url: Some(url), ..ProxyConfig::default() };
        }
        // A context without a user calls as nobody.
        let user: String = of_context.or_default("user")?;
        if !user.is_empty() {
            add_user(&mut http, named(&mut fields, ("users", "user"), &user)?)?;
        }
        let namespace = of_context.or("namespace", "default".to_owned())?;
        Ok(Self { server, namespace, http })
    }
}

/// The entry with a name of one of the lists.
fn named<'n>(
    fields: &mut Fields<'n>,
    (list, what): (&'static str, &'static str),
    name: &str,
) -> Result<&'n Node, Error> {
    let missing = fields.error(format!("there is no {what} {name:?} in {list}"));
    let items = fields.take(list).map_or(Ok(&[][..]), Node::items)?;
    for item in items {
        let entries = item.entries()?;
        let field = |name: &str| entries.iter().find(|(known, _)| *known == name);
        if field("name").and_then(|(_, node)| node.text()) == Some(name) {
            return field(what).map(|(_, node)| *node).ok_or(missing);
        }
    }
    Err(missing)
}

fn tls(fields: &mut Fields<'_>) -> Result<TlsConfig, Error> {
    Ok(TlsConfig {
        ca: source(fields, "certificate-authority-data", "certificate-authority")?,
        server_name: fields.or_default("tls-server-name")?,
        insecure_skip_verify: fields.or("insecure-skip-tls-verify", false)?,
        ..TlsConfig::default()
    })
}

/// Data, in base64, comes before a file, as kubectl has it.
fn source(
    fields: &mut Fields<'_>,
    data: &'static str,
    file: &'static str,
) -> Result<Option<SecretSource>, Error> {
    let given: Option<Secret> = fields.optional(data)?;
    let path: Option<String> = fields.optional(file)?;
    if let Some(given) = given.filter(|given| !given.is_empty()) {
        let compact: String = given.reveal().split_whitespace().collect();
        let bytes = BASE64_STANDARD.decode(compact).ok();
        let plain = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let wrong = || fields.error(format!("{data} is not base64 of a text"));
        return Ok(Some(SecretSource::Here(plain.ok_or_else(wrong)?.into())));
    }
    Ok(path.filter(|path| !path.is_empty()).map(|path| SecretSource::File(path.into())))
}

fn add_user(http: &mut HttpConfig, user: &Node) -> Result<(), Error> {
    let mut fields = user.fields("user")?;
    for name in ["exec", "auth-provider", "as"] {
        if let Some(node) = fields.take(name).filter(|node| !node.is_null()) {
            let message = format!("`{name}` of a user is not done: name a token or a certificate");
            return Err(node.error(message));
        }
    }
    http.tls.cert = source(&mut fields, "client-certificate-data", "client-certificate")?;
    http.tls.key = source(&mut fields, "client-key-data", "client-key")?;
    if http.tls.cert.is_some() != http.tls.key.is_some() {
        return Err(user.error("a client certificate needs its key, and a key its certificate"));
    }
    let token: Option<Secret> = fields.optional("token")?;
    let file: Option<String> = fields.optional("tokenFile")?;
    let file = file.filter(|path| !path.is_empty()).map(|path| SecretSource::File(path.into()));
    let here = token.filter(|token| !token.is_empty()).map(SecretSource::Here);
    let name: Option<Secret> = fields.optional("username")?;
    let password: Secret = fields.or_default("password")?;
    // The file is newer than the token beside it.
    if let Some(credentials) = file.or(here) {
        let kind = "Bearer".to_owned();
        http.credentials = Credentials::Authorization(Authorization { kind, credentials });
    } else if let Some(name) = name.filter(|name| !name.is_empty()) {
        let (user, password) = (SecretSource::Here(name), SecretSource::Here(password));
        http.credentials = Credentials::Basic(BasicAuth { user, password });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
apiVersion: v1
kind: Config
current-context: prod
contexts:
- {name: test, context: {cluster: other, user: nobody}}
- {name: prod, context: {cluster: one, user: robot, namespace: shop}}
clusters:
- name: one
  cluster: {server: "https://k.test:6443", certificate-authority-data: UEVN, tls-server-name: k}
users:
- {name: robot, user: {client-certificate: c.pem, client-key-data: S0VZ, token: t0ken}}
- {name: nobody, user: {exec: {command: aws}}}
"#;

    #[test]
    fn the_current_context_says_how_a_cluster_is_reached() {
        let read = Kubeconfig::parse(FILE).unwrap();
        assert_eq!((&*read.server, &*read.namespace), ("https://k.test:6443", "shop"));
        let here = |text: &str| SecretSource::Here(text.to_owned().into());
        let tls = TlsConfig {
            ca: Some(here("PEM")),
            cert: Some(SecretSource::File("c.pem".into())),
            key: Some(here("KEY")),
            server_name: "k".to_owned(),
            ..TlsConfig::default()
        };
        let token = Authorization { kind: "Bearer".to_owned(), credentials: here("t0ken") };
        let credentials = Credentials::Authorization(token);
        assert_eq!(read.http, HttpConfig { tls, credentials, ..HttpConfig::default() });
    }

    #[test]
    fn what_is_missing_or_not_done_is_said() {
        for (from, to, expected) in [
            (
                "current-context: prod",
                "current-context: x",
                "there is no context \"x\" in contexts",
            ),
            ("cluster: one", "cluster: two", "there is no cluster \"two\" in clusters"),
            ("token: t0ken", "exec: {}", "line 12: `exec` of a user is not done"),
            ("UEVN", "'%'", "certificate-authority-data is not base64 of a text"),
            (", client-key-data: S0VZ", "", "a client certificate needs its key"),
        ] {
            let error = Kubeconfig::parse(&FILE.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("t0ken"));
        }
    }
}
