//! Signing in with a provider that is played over real HTTP, honest and hostile.
#![allow(clippy::unwrap_used, reason = "for tests")]

mod stage;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quire_domain::access::{TeamName, UserName};
use quire_domain::time::{Clock, Timestamp};
use quire_server::access::{Access, ProviderSettings};
use quire_server::{Settings, State, serve};
use quire_store::{AuditFilter, UserChange};
use reqwest::{Method, Url};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use ring::{digest, hmac};
use serde_json::{Value, json};
use stage::{Stage, SystemClock};
use tokio::net::TcpListener;

/// What the provider answers next.
#[derive(Default)]
struct Next {
    token: String,
    keys: Value,
    slow: bool,
    verifier: String,
}

struct Played {
    issuer: String,
    next: Arc<Mutex<Next>>,
    key: EcdsaKeyPair,
    stage: Stage,
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Played {
    async fn new() -> Self {
        let random = SystemRandom::new();
        let how = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(how, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(how, pkcs8.as_ref(), &random).unwrap();
        let point = key.public_key().as_ref().to_vec();
        let jwk = json!({ "kty": "EC", "crv": "P-256", "kid": "one", "use": "sig",
                          "x": b64(&point[1..33]), "y": b64(&point[33..]) });
        let next = Arc::new(Mutex::new(Next { keys: json!({ "keys": [jwk] }), ..Next::default() }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let (base, published, answers) = (issuer.clone(), next.clone(), next.clone());
        let router = Router::new()
            .route(
                "/.well-known/openid-configuration",
                get(async move || {
                    Json(json!({ "issuer": base, "authorization_endpoint": format!("{base}/authorize"),
                                 "token_endpoint": format!("{base}/token"),
                                 "jwks_uri": format!("{base}/keys") }))
                }),
            )
            .route("/keys", get(async move || Json(published.lock().unwrap().keys.clone())))
            .route(
                "/token",
                post(async move |body: String| {
                    let (token, slow) = {
                        let mut next = answers.lock().unwrap();
                        next.verifier = field(&format!("http://x/?{body}"), "code_verifier");
                        (next.token.clone(), next.slow)
                    };
                    if slow {
                        tokio::time::sleep(Duration::from_secs(30)).await;
                    }
                    Json(json!({ "id_token": token, "access_token": "x", "token_type": "Bearer" }))
                }),
            );
        tokio::spawn(async move { axum::serve(listener, router).await });

        let mut stage = Stage::new().await;
        let team = TeamName::parse("web").unwrap();
        stage.parts.store.add_team(&team, Timestamp(1)).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        stage.address = listener.local_addr().unwrap();
        stage.client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tls_backend_preconfigured(tls())
            .build()
            .unwrap();
        let settings = ProviderSettings {
            name: "Played".to_owned(),
            issuer: issuer.clone(),
            client_id: "quire".to_owned(),
            client_secret: None,
            base_url: format!("http://{}", stage.address),
            scopes: vec!["email".to_owned()],
            allowed_domains: vec!["example.com".to_owned()],
            groups_claim: "groups".to_owned(),
            groups: BTreeMap::from([("eng".to_owned(), vec!["web:admin".parse().unwrap()])]),
            authorities: None,
        };
        let access = Access::new().with_provider(settings).unwrap();
        let parts = quire_server::Parts { access, ..stage.parts.clone() };
        let parts = quire_server::Parts { settings: Settings::default(), ..parts };
        tokio::spawn(serve(listener, State::new(parts), stage.shutdown.clone()));
        Self { issuer, next, key, stage }
    }

    /// A browser at the door: where it is sent, and its cookie.
    async fn begin(&self, return_to: &str) -> (Url, String) {
        let path = format!("/api/v1/sign-in/oidc?return_to={return_to}");
        let answer = self.stage.bare(Method::GET, &path).send().await.unwrap();
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
        assert!(cookie.contains("HttpOnly; SameSite=Lax"), "{cookie}");
        let to = answer.headers()["location"].to_str().unwrap().parse().unwrap();
        (to, cookie.split(';').next().unwrap().to_owned())
    }

    async fn back(&self, state: &str, cookie: &str) -> (String, Option<String>) {
        let path = format!("/api/v1/sign-in/oidc/callback?code=c&state={state}");
        let asked = self.stage.bare(Method::GET, &path).header("cookie", cookie);
        let answer = asked.send().await.unwrap();
        let cookies = answer.headers().get_all("set-cookie").iter();
        let session = cookies
            .filter_map(|it| it.to_str().unwrap().split(';').next())
            .find(|it| it.starts_with("quire_session="));
        (answer.headers()["location"].to_str().unwrap().to_owned(), session.map(str::to_owned))
    }

    fn claims(&self, to: &Url) -> Value {
        let now = SystemClock.now().0 / 1000;
        json!({ "iss": self.issuer, "sub": "s-1", "aud": "quire", "exp": now + 300, "iat": now,
                "nonce": field(to.as_str(), "nonce"), "email": "ada@example.com",
                "email_verified": true, "preferred_username": "Ada", "groups": ["eng", "other"] })
    }

    fn signed(&self, header: &Value, claims: &Value) -> String {
        let text = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        let signature = self.key.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", b64(signature))
    }

    /// Where a browser ends up whose token has been changed so.
    async fn ends(&self, change: Value) -> (String, Option<String>) {
        let (to, cookie) = self.begin("/").await;
        let mut claims = self.claims(&to);
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        self.next.lock().unwrap().token = self.signed(&header("ES256", "one"), &claims);
        self.back(&field(to.as_str(), "state"), &cookie).await
    }
}

fn header(alg: &str, kid: &str) -> Value {
    json!({ "alg": alg, "kid": kid })
}

fn field(url: &str, name: &str) -> String {
    let url: Url = url.parse().unwrap();
    url.query_pairs().find(|(found, _)| found == name).unwrap().1.into_owned()
}

fn tls() -> rustls::ClientConfig {
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

#[tokio::test]
async fn an_honest_provider_signs_a_person_in_and_its_groups_say_what_they_are() {
    let played = Played::new().await;
    let (to, cookie) = played.begin("/tasks/7").await;
    assert_eq!(field(to.as_str(), "code_challenge_method"), "S256");
    played.next.lock().unwrap().token = played.signed(&header("ES256", "one"), &played.claims(&to));
    let state = field(to.as_str(), "state");
    let (place, session) = played.back(&state, &cookie).await;
    assert_eq!(place, "/tasks/7");
    let verifier = played.next.lock().unwrap().verifier.clone();
    let challenge = b64(digest::digest(&digest::SHA256, verifier.as_bytes()));
    assert_eq!(field(to.as_str(), "code_challenge"), challenge);

    let me = played.stage.bare(Method::GET, "/api/v1/me").header("cookie", session.unwrap());
    let me: Value = me.send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (me["name"].as_str(), me["teams"][0]["role"].as_str()),
        (Some("ada"), Some("admin"))
    );
    assert_eq!(played.back(&state, &cookie).await, ("/sign-in?refused=again".to_owned(), None));

    // The same person by another address, no longer of the group; and another by the same name.
    let (place, session) = played.ends(json!({ "email": "a2@example.com", "groups": [] })).await;
    let me = played.stage.bare(Method::GET, "/api/v1/me").header("cookie", session.unwrap());
    let me: Value = me.send().await.unwrap().json().await.unwrap();
    assert_eq!((place.as_str(), me["name"].as_str()), ("/", Some("ada")));
    assert_eq!(me["teams"], json!([]), "{me}");
    assert!(played.ends(json!({ "sub": "s-2" })).await.1.is_some());
    let store = &played.stage.parts.store;
    let ada = store.user_by_name(&UserName::parse("ada").unwrap()).await.unwrap();
    store.user_by_name(&UserName::parse("ada-2").unwrap()).await.unwrap();

    let change = UserChange { disabled: Some(true), ..UserChange::default() };
    store.change_user(ada.id, change, SystemClock.now()).await.unwrap();
    assert_eq!(played.ends(json!({})).await, ("/sign-in?refused=disabled".to_owned(), None));
    let rows = store.audit(&AuditFilter::default()).await.unwrap();
    for action in ["session.begin", "session.refused", "user.add", "team.member"] {
        assert!(rows.iter().any(|row| row.action == action), "{action}");
    }
}

#[tokio::test]
async fn what_a_hostile_provider_or_browser_sends_signs_nobody_in() {
    let played = Played::new().await;
    let now = SystemClock.now().0 / 1000;
    for (change, word) in [
        (json!({ "iss": "https://evil.example" }), "token"),
        (json!({ "aud": "somebody" }), "token"),
        (json!({ "aud": ["quire", "somebody"] }), "token"),
        (json!({ "azp": "somebody" }), "token"),
        (json!({ "nonce": "another" }), "token"),
        (json!({ "exp": now - 120 }), "token"),
        (json!({ "exp": "never" }), "token"),
        (json!({ "nbf": now + 600 }), "token"),
        (json!({ "iat": now - 7200 }), "token"),
        (json!({ "sub": "" }), "token"),
        (json!({ "email": "ada@evil.example" }), "outside"),
        (json!({ "email": "ada@sub.example.com" }), "outside"),
        (json!({ "email_verified": false }), "unverified"),
        (json!({ "email_verified": null }), "unverified"),
    ] {
        let ended = played.ends(change.clone()).await;
        assert_eq!(ended, (format!("/sign-in?refused={word}"), None), "{change}");
    }

    let (to, cookie) = played.begin("//evil.example").await;
    let claims = played.claims(&to);
    let payload = b64(claims.to_string());
    let none = format!("{}.{payload}.", b64(header("none", "one").to_string()));
    let text = format!("{}.{payload}", b64(header("HS256", "one").to_string()));
    let public = hmac::Key::new(hmac::HMAC_SHA256, played.key.public_key().as_ref());
    let mixed = format!("{text}.{}", b64(hmac::sign(&public, text.as_bytes())));
    let unknown = played.signed(&header("ES256", "two"), &claims);
    let other = played.signed(&header("RS256", "one"), &claims);
    let cut = played.signed(&header("ES256", "one"), &claims).replace(&payload, &b64("{}"));
    for token in [none, mixed, unknown, other, cut, "x".to_owned(), String::new()] {
        let (to, cookie) = played.begin("/").await;
        played.next.lock().unwrap().token = token;
        let ended = played.back(&field(to.as_str(), "state"), &cookie).await;
        assert_eq!(ended, ("/sign-in?refused=token".to_owned(), None));
    }

    // The state of another browser, and none of its own.
    let honest = played.signed(&header("ES256", "one"), &claims);
    let (_, others) = played.begin("/").await;
    let state = field(to.as_str(), "state");
    for cookie in [others.as_str(), "quire_provider=", "a=b"] {
        assert_eq!(played.back(&state, cookie).await.0, "/sign-in?refused=again");
    }
    played.next.lock().unwrap().token = honest;
    let (place, session) = played.back(&state, &cookie).await;
    assert_eq!((place.as_str(), session.is_some()), ("/", true), "led to no other server");
}

#[tokio::test]
async fn a_provider_that_is_slow_or_says_too_much_holds_nobody_up() {
    let played = Played::new().await;
    let huge = "n".repeat(300 << 10);
    let keys = std::mem::replace(
        &mut played.next.lock().unwrap().keys,
        json!({ "keys": [{ "kty": "RSA", "n": huge }] }),
    );
    assert_eq!(played.ends(json!({})).await.0, "/sign-in?refused=unreachable");
    {
        let mut next = played.next.lock().unwrap();
        (next.keys, next.slow) = (keys, true);
    }
    let ended = tokio::time::timeout(Duration::from_secs(15), played.ends(json!({}))).await;
    assert_eq!(ended.unwrap().0, "/sign-in?refused=unreachable");
}
