//! Webhooks: one signed request for each delivery, by the rules of Standard Webhooks.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quire_domain::time::Timestamp;
use quire_store::Delivery;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use ring::hmac;
use uuid::Uuid;

use super::Sent;
use super::address::Targets;

/// Bytes of a webhook's secret.
pub const SECRET_BYTES: usize = 32;

/// From the call to the answer's head.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends webhooks.
pub(super) struct Sender {
    client: reqwest::Client,
    targets: Targets,
}

impl Sender {
    pub(super) fn new(targets: Targets) -> Result<Self, String> {
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(std::sync::Arc::new(targets.clone()))
            // An answer that leads elsewhere could lead to where the address may not.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(TIMEOUT)
            .timeout(TIMEOUT)
            .pool_max_idle_per_host(1)
            .user_agent(concat!("quire/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { client, targets })
    }

    pub(super) async fn send(
        &self,
        target: &str,
        secret: &[u8],
        delivery: &Delivery,
        link: Option<&str>,
        now: Timestamp,
    ) -> Sent {
        let url = match self.targets.check(target) {
            Ok(url) => url,
            Err(why) => return Sent::Never { status: None, why },
        };
        let notice = &delivery.notice;
        let body = serde_json::json!({
            "type": format!("{}.{}", if notice.task.is_some() { "task" } else { "notice" }, notice.kind.as_str()),
            "timestamp": notice.at,
            "data": {
                "task": notice.task,
                "title": notice.title,
                "repository": notice.repository,
                "state": notice.state,
                "detail": notice.detail,
                "url": link,
            },
        })
        .to_string();
        let at = now.0 / 1_000;
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", delivery.id.to_string())
            .header("webhook-timestamp", at.to_string())
            .header("webhook-signature", signature(secret, delivery.id, at, body.as_bytes()))
            .body(body);
        match request.send().await {
            // What the answer says is not read: it could be without end.
            Ok(answer) => of_status(answer.status(), answer.headers().get(RETRY_AFTER)),
            Err(error) => Sent::NotNow { status: None, why: in_words(&error), after_s: None },
        }
    }
}

fn of_status(status: StatusCode, retry_after: Option<&reqwest::header::HeaderValue>) -> Sent {
    let code = Some(status.as_u16());
    if status.is_success() {
        return Sent::Taken { status: code };
    }
    if status == StatusCode::GONE {
        return Sent::Never { status: code, why: "it says that it is gone for good".to_owned() };
    }
    let after_s = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Sent::NotNow { status: code, why: format!("it answered {status}"), after_s }
}

fn in_words(error: &reqwest::Error) -> String {
    let mut words = if error.is_timeout() {
        "no answer within 10 s".to_owned()
    } else {
        "cannot be reached".to_owned()
    };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}

/// The signature of a body: `v1,` and the base64 of the HMAC-SHA256 of `id.seconds.body`.
pub fn signature(secret: &[u8], id: Uuid, at_s: u64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{id}.{at_s}.").as_bytes());
    context.update(body);
    format!("v1,{}", STANDARD.encode(context.sign()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_the_standard_says() {
        // Computed with openssl: printf 'ID.1700000000.{}' | openssl dgst -sha256 -hmac secret.
        let id = Uuid::from_u128(1);
        let signed = signature(b"secret", id, 1_700_000_000, b"{}");
        assert_eq!(signed, "v1,JS3IK+Bf86GaWinEqxp/xvnHswkr8ez6CnWnftAffhA=");
        assert_ne!(signed, signature(b"secret", id, 1_700_000_001, b"{}"));
    }
}
