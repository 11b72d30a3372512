//! The id_token: whose it is, for whom, and whether it holds.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quire_domain::time::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::keys::{Algorithm, Jwk};
use crate::access::secrets::same;

/// How far clocks may be apart, in seconds.
const LEEWAY: f64 = 60.0;

/// How old a token may be, in seconds: it is made when the browser is sent back.
const MOST_AGE: f64 = 15.0 * 60.0;

/// The longest token, in bytes.
const MOST_BYTES: usize = 64 << 10;

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<Value>,
}

/// A token that was taken apart, and of which nothing is known yet.
pub(super) struct Parts<'a> {
    pub algorithm: Algorithm,
    pub kid: Option<String>,
    signed: &'a [u8],
    signature: Vec<u8>,
    payload: Vec<u8>,
}

/// What a token says of the person, once it was checked.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Claims {
    iss: String,
    pub sub: String,
    aud: Audience,
    #[serde(default)]
    azp: Option<String>,
    exp: f64,
    iat: f64,
    #[serde(default)]
    nbf: Option<f64>,
    nonce: String,
    /// Their address for mail.
    #[serde(default)]
    pub email: Option<String>,
    #[serde(default)]
    email_verified: Option<Value>,
    /// What they would like to be called.
    #[serde(default)]
    pub preferred_username: Option<String>,
    /// The rest, of which the groups are read.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// What a token has to say to be taken.
pub(super) struct Expected<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    pub nonce: &'a str,
    pub now: Timestamp,
}

impl<'a> Parts<'a> {
    /// Takes a token apart.
    pub fn of(token: &'a str) -> Result<Self, String> {
        if token.len() > MOST_BYTES {
            return Err(format!("it is longer than {} KiB", MOST_BYTES >> 10));
        }
        let no_jws = || "it is not of three parts in base64".to_owned();
        let (signed, signature) = token.rsplit_once('.').ok_or_else(no_jws)?;
        let (header, payload) = signed.split_once('.').ok_or_else(no_jws)?;
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| no_jws());
        let header: Header = serde_json::from_slice(&decode(header)?)
            .map_err(|_| "its header cannot be read".to_owned())?;
        if header.crit.is_some() {
            return Err("its header asks for what is not known here".to_owned());
        }
        let algorithm = Algorithm::parse(&header.alg).ok_or_else(|| {
            let name = super::wire::plain(&header.alg);
            format!(
                "it is signed with `{name}`: only RS, PS and ES with SHA-2, and EdDSA, are taken"
            )
        })?;
        Ok(Self {
            algorithm,
            kid: header.kid,
            signed: signed.as_bytes(),
            signature: decode(signature)?,
            payload: decode(payload)?,
        })
    }

    /// Whether a key can have signed it: of its kind, and of its name where it has one.
    pub fn fits(&self, key: &Jwk) -> bool {
        let named = self.kid.is_none() || self.kid == key.kid;
        named && key.is_for(self.algorithm)
    }

    /// What it says, if one of these keys signed it and all of it holds.
    pub fn checked(self, keys: &[Jwk], expected: &Expected<'_>) -> Result<Claims, String> {
        if keys.is_empty() {
            return Err("it is signed with a key that the provider does not publish".to_owned());
        }
        if self.kid.is_none() && keys.len() > 1 {
            return Err("it does not say which of the provider's keys signed it".to_owned());
        }
        if !keys.iter().any(|key| key.signed(self.algorithm, self.signed, &self.signature)) {
            return Err("its signature is wrong".to_owned());
        }
        let claims: Claims = serde_json::from_slice(&self.payload)
            .map_err(|_| "its claims are not complete, or not of their kinds".to_owned())?;
        claims.hold(expected).map(|()| claims)
    }
}

impl Claims {
    fn hold(&self, expected: &Expected<'_>) -> Result<(), String> {
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far from 2^53")]
        let now = (expected.now.0 / 1000) as f64;
        let wrong = |what: &str| Err(what.to_owned());
        if self.iss != expected.issuer {
            return wrong("another issuer made it");
        }
        let (mine, others) = match &self.aud {
            Audience::One(one) => (one == expected.client_id, false),
            Audience::Many(all) => (all.iter().any(|one| one == expected.client_id), all.len() > 1),
        };
        if !mine {
            return wrong("it is for somebody else (`aud`)");
        }
        if (others || self.azp.is_some()) && self.azp.as_deref() != Some(expected.client_id) {
            return wrong("it was made out to somebody else (`azp`)");
        }
        if self.exp + LEEWAY <= now {
            return wrong("it has expired: look at the clocks of both machines");
        }
        if self.nbf.is_some_and(|nbf| nbf - LEEWAY > now) || self.iat - LEEWAY > now {
            return wrong("it is of the future: look at the clocks of both machines");
        }
        if self.iat + MOST_AGE + LEEWAY < now {
            return wrong("it is old: look at the clocks of both machines");
        }
        if !same(&self.nonce, expected.nonce) {
            return wrong("it answers another sign-in (`nonce`)");
        }
        if self.sub.is_empty() || self.sub.len() > 255 {
            return wrong("it does not say whose it is (`sub`)");
        }
        Ok(())
    }

    /// Whether the provider says that the address is the person's; some say it as a text.
    pub fn email_verified(&self) -> bool {
        match &self.email_verified {
            Some(Value::Bool(verified)) => *verified,
            Some(Value::String(text)) => text == "true",
            _ => false,
        }
    }

    /// The groups of a claim, a list of texts or one text; at most 1,000.
    pub fn groups(&self, claim: &str) -> Vec<&str> {
        match self.rest.get(claim) {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).take(1_000).collect(),
            _ => Vec::new(),
        }
    }
}
