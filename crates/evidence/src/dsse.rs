//! The signed envelope: DSSE, as in-toto and Sigstore use it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::keys::{InstallationKey, PublicKey};

/// The type of what our envelopes hold.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// A payload with signatures over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The payload, in base64.
    pub payload: String,
    /// What it is.
    #[serde(rename = "payloadType")]
    pub payload_type: String,
    /// Signatures, at least one.
    pub signatures: Vec<EnvelopeSignature>,
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeSignature {
    /// A hint which key it was made with: [`PublicKey::id`].
    #[serde(default)]
    pub keyid: String,
    /// The signature, in base64.
    pub sig: String,
}

/// What an envelope is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Signed by a key that is trusted.
    Trusted(PublicKey),
    /// Signed, as it says, by this key, which is not among the trusted ones: nothing is proved.
    UnknownKey(String),
    /// Not what was signed, or not readable.
    Bad(&'static str),
}

/// Signs a payload.
pub fn sign(payload: &[u8], key: &InstallationKey) -> Envelope {
    let signature = key.sign(&pre_authentication(PAYLOAD_TYPE, payload));
    Envelope {
        payload: STANDARD.encode(payload),
        payload_type: PAYLOAD_TYPE.to_owned(),
        signatures: vec![EnvelopeSignature {
            keyid: key.public().id().to_string(),
            sig: STANDARD.encode(signature),
        }],
    }
}

/// Opens an envelope without trusting it.
pub fn payload(envelope: &Envelope) -> Option<Vec<u8>> {
    STANDARD.decode(&envelope.payload).ok()
}

/// Says what an envelope is worth to someone who trusts these keys.
pub fn verify_envelope(envelope: &Envelope, trusted: &[PublicKey]) -> Verdict {
    if envelope.payload_type != PAYLOAD_TYPE {
        return Verdict::Bad("it holds something else than a statement");
    }
    let Some(payload) = payload(envelope) else {
        return Verdict::Bad("its payload is not base64");
    };
    let signed = pre_authentication(&envelope.payload_type, &payload);
    let mut unknown = None;
    for signature in &envelope.signatures {
        let Ok(bytes) = STANDARD.decode(&signature.sig) else {
            return Verdict::Bad("a signature is not base64");
        };
        // The key id is a hint and not signed: every trusted key is tried.
        if let Some(key) = trusted.iter().find(|key| key.verifies(&signed, &bytes)) {
            return Verdict::Trusted(*key);
        }
        if trusted.iter().any(|key| key.id().as_str() == signature.keyid) {
            return Verdict::Bad("the signature does not fit what is signed");
        }
        unknown.get_or_insert(&signature.keyid);
    }
    unknown.map_or(Verdict::Bad("it is not signed"), |id| Verdict::UnknownKey(id.clone()))
}

/// What is signed: type and payload, each with its length, so that neither can pass for a part
/// of the other.
fn pre_authentication(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}
