//! How a target is reached: the Operator's fields for credentials, TLS and proxies as Prometheus'.

use crate::secrets::References;
use crate::section::Section;
use yaml::{Error, Fields, Node};

/// Fields that name files of the Prometheus that the Operator runs. An object of somebody's namespace
/// must not read files of this server.
const FILES: [&str; 5] = ["bearerTokenFile", "caFile", "certFile", "keyFile", "credentialsFile"];

/// Takes the fields out of an endpoint and adds what Prometheus calls them.
pub(crate) fn add(
    section: &mut Section,
    fields: &mut Fields<'_>,
    references: References<'_>,
) -> Result<(), Error> {
    refuse_files(fields)?;
    section.copy(
        fields,
        &[
            ("followRedirects", "follow_redirects"),
            ("enableHttp2", "enable_http2"),
            ("enableHTTP2", "enable_http2"),
        ],
    );
    add_proxy(section, fields, references)?;
    if let Some(node) = present(fields, "basicAuth") {
        section.set("basic_auth", basic_auth(node, references)?);
    }
    if let Some(node) = present(fields, "authorization") {
        section.set("authorization", authorization(node, references)?);
    }
    if let Some(node) = present(fields, "bearerTokenSecret")
        && let Some(token) = bearer_token(node, references)?
    {
        let mut bearer = Section::new(node);
        bearer.text("type", "Bearer").set("credentials", token);
        section.set("authorization", bearer.build());
    }
    if let Some(node) = present(fields, "oauth2") {
        section.set("oauth2", oauth2(node, references)?);
    }
    if let Some(node) = present(fields, "tlsConfig") {
        section.set("tls_config", tls_config(node, references)?);
    }
    Ok(())
}

fn present<'a>(fields: &mut Fields<'a>, name: &'static str) -> Option<&'a Node> {
    fields.take(name).filter(|node| !node.is_null())
}

fn refuse_files(fields: &mut Fields<'_>) -> Result<(), Error> {
    for name in FILES {
        if let Some(node) = present(fields, name).filter(|node| node.text() != Some("")) {
            return Err(
                node.error(format!("`{name}` names a file of the server: name a Secret instead"))
            );
        }
    }
    Ok(())
}

fn add_proxy(
    section: &mut Section,
    fields: &mut Fields<'_>,
    references: References<'_>,
) -> Result<(), Error> {
    section.copy(
        fields,
        &[
            ("proxyUrl", "proxy_url"),
            ("proxyURL", "proxy_url"),
            ("noProxy", "no_proxy"),
            ("proxyFromEnvironment", "proxy_from_environment"),
        ],
    );
    let Some(headers) = present(fields, "proxyConnectHeader") else { return Ok(()) };
    let mut section_of_headers = Section::new(headers);
    for (name, values) in headers.entries()? {
        let values = values.items()?.iter().map(|value| references.secret(value));
        let values: Vec<Option<Node>> = values.collect::<Result<_, _>>()?;
        section_of_headers.set(name, Node::list(values.into_iter().flatten().collect(), headers));
    }
    section.set("proxy_connect_header", section_of_headers.build());
    Ok(())
}

fn basic_auth(node: &Node, references: References<'_>) -> Result<Node, Error> {
    let mut fields = node.fields("basicAuth")?;
    let mut section = Section::new(node);
    for name in ["username", "password"] {
        if let Some(reference) = present(&mut fields, name)
            && let Some(value) = references.secret(reference)?
        {
            section.set(name, value);
        }
    }
    fields.end()?;
    Ok(section.build())
}

fn authorization(node: &Node, references: References<'_>) -> Result<Node, Error> {
    let mut fields = node.fields("authorization")?;
    refuse_files(&mut fields)?;
    let mut section = Section::new(node);
    section.copy(&mut fields, &[("type", "type")]);
    if let Some(reference) = present(&mut fields, "credentials")
        && let Some(value) = references.secret(reference)?
    {
        section.set("credentials", value);
    }
    fields.end()?;
    Ok(section.build())
}

/// An empty reference, which old objects have, means no token.
fn bearer_token(node: &Node, references: References<'_>) -> Result<Option<Node>, Error> {
    let key = node.entries()?.into_iter().find(|(name, _)| *name == "key");
    if key.is_none_or(|(_, key)| key.text().unwrap_or_default().is_empty()) {
        return Ok(None);
    }
    references.secret(node)
}

fn oauth2(node: &Node, references: References<'_>) -> Result<Node, Error> {
    let mut fields = node.fields("oauth2")?;
    let mut section = Section::new(node);
    if let Some(reference) = present(&mut fields, "clientId")
        && let Some(value) = references.secret_or_config_map(reference)?
    {
        section.set("client_id", value);
    }
    if let Some(reference) = present(&mut fields, "clientSecret")
        && let Some(value) = references.secret(reference)?
    {
        section.set("client_secret", value);
    }
    section.copy(
        &mut fields,
        &[("tokenUrl", "token_url"), ("scopes", "scopes"), ("endpointParams", "endpoint_params")],
    );
    if let Some(node) = present(&mut fields, "tlsConfig") {
        section.set("tls_config", tls_config(node, references)?);
    }
    add_proxy(&mut section, &mut fields, references)?;
    fields.end()?;
    Ok(section.build())
}

pub(crate) fn tls_config(node: &Node, references: References<'_>) -> Result<Node, Error> {
    let mut fields = node.fields("tlsConfig")?;
    refuse_files(&mut fields)?;
    let mut section = Section::new(node);
    for name in ["ca", "cert"] {
        if let Some(reference) = present(&mut fields, name)
            && let Some(value) = references.secret_or_config_map(reference)?
        {
            section.set(name, value);
        }
    }
    if let Some(reference) = present(&mut fields, "keySecret")
        && let Some(value) = references.secret(reference)?
    {
        section.set("key", value);
    }
    section.copy(
        &mut fields,
        &[
            ("serverName", "server_name"),
            ("insecureSkipVerify", "insecure_skip_verify"),
            ("minVersion", "min_version"),
            ("maxVersion", "max_version"),
        ],
    );
    fields.end()?;
    Ok(section.build())
}
