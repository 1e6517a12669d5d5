//! `http_sd_configs`: groups of targets that a server answers with.

use super::asking::get;
use super::{DiscoveryError, Group};
use crate::config::{Place, http_config};
use model::Labels;
use outbound::{Client, HttpConfig, Request, Url};
use yaml::{Duration, Error, Node};

const REFRESH: Duration = Duration::from_secs(60);
const LABEL: &str = "__meta_url";

#[derive(Clone, Debug)]
pub struct HttpDiscovery {
    url: Url,
    pub(super) refresh_interval: Duration,
    pub(super) http: HttpConfig,
}

impl HttpDiscovery {
    pub(super) fn read(node: &Node, place: &Place) -> Result<Self, Error> {
        let mut fields = node.fields("http_sd_config")?;
        let url: Url = fields.required("url")?;
        let refresh_interval = fields.or("refresh_interval", REFRESH)?;
        let http = http_config(&mut fields, place)?;
        fields.end()?;
        Ok(Self { url, refresh_interval, http })
    }

    pub(super) async fn groups(&self, client: &Client) -> Result<Vec<Group>, DiscoveryError> {
        let seconds = self.refresh_interval.std().as_secs_f64();
        let request = Request::get(self.url.clone())
            .header("Accept", "application/json")
            .header("X-Prometheus-Refresh-Interval-Seconds", &seconds.to_string());
        let response = get(client, request).await?;
        let (url, content_type) = (self.url.to_string(), response.header("content-type"));
        if !is_json(content_type) {
            let message =
                format!("{url} answered with Content-Type {content_type:?}, not application/json");
            return Err(DiscoveryError(message));
        }
        groups(&response.body, &url)
    }
}

fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or("").trim();
    media_type.eq_ignore_ascii_case("application/json")
}

fn groups(body: &[u8], url: &str) -> Result<Vec<Group>, DiscoveryError> {
    let mut groups = Group::of_json(body, url)?;
    for group in &mut groups {
        let own = group.labels.iter().filter(|(name, _)| *name != LABEL);
        group.labels = Labels::from_pairs(own.chain([(LABEL, url)]));
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_become_groups() {
        let body = b"[\n\t{\"targets\": [\"a:1\", \"b:2\"], \"labels\": {\"zone\": \"x\"}},\n\t{\"targets\": null}\n]";
        let found = groups(body, "http://sd/").unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].labels.to_string(), r#"{__meta_url="http://sd/", zone="x"}"#);
        assert_eq!(found[0].targets[1].to_string(), r#"{__address__="b:2"}"#);
        assert!(found[1].targets.is_empty());
        let error = groups(b"{}", "http://sd/").unwrap_err();
        assert!(error.to_string().starts_with("http://sd/: "), "{error}");
    }

    #[test]
    fn only_json_is_taken() {
        assert!(is_json("application/json; charset=utf-8") && !is_json("text/html"));
    }
}
