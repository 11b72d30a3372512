//! What is known of the provider: its endpoints and its keys, kept for an hour, asked for again when
//! a key is not known, and not asked for more often than once in ten seconds.

use std::time::{Duration, Instant};

use reqwest::{Client, Url};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::Refused;
use super::keys::Jwk;
use super::settings::encrypted;
use super::wire::ask;

/// How long what was read holds.
const FRESH: Duration = Duration::from_hours(1);

/// How long it holds when the provider cannot be asked again.
const STALE: Duration = Duration::from_hours(24);

/// How long nothing is asked after it was.
const PAUSE: Duration = Duration::from_secs(10);

/// The most keys that are looked at.
const MOST_KEYS: usize = 64;

/// Where the provider is asked what.
#[derive(Debug, Clone)]
pub(super) struct Endpoints {
    pub authorization: Url,
    pub token: Url,
    pub keys: Url,
    /// Whether the client's secret goes in the body, as no header is taken.
    pub secret_in_body: bool,
    /// Whether its answers name it (RFC 9207).
    pub names_itself: bool,
}

#[derive(Deserialize)]
struct Discovered {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// Keys that cannot be read are of kinds that are not used here.
#[derive(Deserialize)]
struct Published {
    keys: Vec<serde_json::Value>,
}

/// A value, when it was read, and when it was last asked for.
struct Kept<T> {
    value: Option<(T, Instant)>,
    asked: Option<Instant>,
}

impl<T: Clone> Kept<T> {
    const fn new() -> Self {
        Self { value: None, asked: None }
    }

    fn within(&self, age: Duration) -> Option<T> {
        let (value, read) = self.value.as_ref()?;
        (read.elapsed() < age).then(|| value.clone())
    }

    fn may_ask(&self) -> bool {
        self.asked.is_none_or(|asked| asked.elapsed() >= PAUSE)
    }
}

/// The endpoints and keys of one provider.
pub(super) struct Known {
    issuer: String,
    client: Client,
    endpoints: Mutex<Kept<Endpoints>>,
    keys: Mutex<Kept<Vec<Jwk>>>,
}

impl Known {
    pub fn new(issuer: String, client: Client) -> Self {
        let (endpoints, keys) = (Mutex::new(Kept::new()), Mutex::new(Kept::new()));
        Self { issuer, client, endpoints, keys }
    }

    /// Where the provider is asked what. One caller asks for all that wait.
    pub async fn endpoints(&self) -> Result<Endpoints, Refused> {
        let mut kept = self.endpoints.lock().await;
        if let Some(endpoints) = kept.within(FRESH) {
            return Ok(endpoints);
        }
        let asked = if kept.may_ask() {
            let asked = self.discover().await;
            // From its end on: who waited meanwhile does not wait again.
            kept.asked = Some(Instant::now());
            asked
        } else {
            Err(moments_ago("read the provider's description"))
        };
        match asked {
            Ok(endpoints) => {
                kept.value = Some((endpoints.clone(), Instant::now()));
                kept.asked = None;
                Ok(endpoints)
            }
            Err(refused) => kept.within(STALE).ok_or(refused),
        }
    }

    /// The keys that may have signed what names this key; asks again when there are none.
    pub async fn keys(
        &self,
        endpoints: &Endpoints,
        fits: impl Fn(&Jwk) -> bool,
    ) -> Result<Vec<Jwk>, Refused> {
        let mut kept = self.keys.lock().await;
        let fitting = |keys: Vec<Jwk>| keys.into_iter().filter(&fits).collect::<Vec<_>>();
        let fresh = kept.within(FRESH).map(fitting).unwrap_or_default();
        if !fresh.is_empty() {
            return Ok(fresh);
        }
        if !kept.may_ask() {
            let known = kept.value.is_some();
            return if known { Ok(fresh) } else { Err(moments_ago("read the provider's keys")) };
        }
        let asked = self.published(endpoints).await;
        kept.asked = Some(Instant::now());
        match asked {
            Ok(keys) => {
                kept.value = Some((keys.clone(), Instant::now()));
                Ok(fitting(keys))
            }
            Err(refused) => match kept.within(STALE).map(fitting) {
                Some(keys) if !keys.is_empty() => Ok(keys),
                _ => Err(refused),
            },
        }
    }

    async fn discover(&self) -> Result<Endpoints, Refused> {
        let doing = "read the provider's description";
        let at = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let found: Discovered = ask(doing, self.client.get(at)).await?;
        if found.issuer != self.issuer {
            let why = format!(
                "it calls itself `{}`, and the settings say `{}`",
                super::wire::plain(&found.issuer),
                self.issuer
            );
            return Err(Refused::Unreachable { doing, why });
        }
        let url = |text: &str, what: &str| {
            encrypted(text, what).map_err(|why| Refused::Unreachable { doing, why })
        };
        let methods = found.token_endpoint_auth_methods_supported.unwrap_or_default();
        let takes = |name: &str| methods.iter().any(|method| method == name);
        Ok(Endpoints {
            authorization: url(&found.authorization_endpoint, "authorization_endpoint")?,
            token: url(&found.token_endpoint, "token_endpoint")?,
            keys: url(&found.jwks_uri, "jwks_uri")?,
            secret_in_body: takes("client_secret_post") && !takes("client_secret_basic"),
            names_itself: found.authorization_response_iss_parameter_supported,
        })
    }

    async fn published(&self, endpoints: &Endpoints) -> Result<Vec<Jwk>, Refused> {
        let asking = self.client.get(endpoints.keys.clone());
        let published: Published = ask("read the provider's keys", asking).await?;
        let keys = published.keys.into_iter().take(MOST_KEYS);
        Ok(keys.filter_map(|key| serde_json::from_value(key).ok()).collect())
    }
}

fn moments_ago(doing: &'static str) -> Refused {
    Refused::Unreachable { doing, why: "it failed moments ago".to_owned() }
}
