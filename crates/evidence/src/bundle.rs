//! All that is needed to check an attempt offline, as one file of JSON lines.
//!
//! The first line is the header with the format's version and the signer's public key, then one
//! line for each event, for each content that is included, and for the signed statement.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use quire_domain::ids::Sha256;
use serde::{Deserialize, Serialize};

use crate::dsse::{Envelope, Verdict};
use crate::keys::PublicKey;
use crate::record::LogEntry;
use crate::verify;

/// The version of the format.
const VERSION: u32 = 1;

/// An attempt's evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// The whole log.
    pub entries: Vec<LogEntry>,
    /// Contents of chunks and cited files, by digest; any of them may be left out, but not events
    /// that were too large for the log.
    pub contents: BTreeMap<Sha256, Vec<u8>>,
    /// The signed statement.
    pub envelope: Envelope,
    /// The key it says it was signed with: lets a reader check the signature, proves nothing.
    pub key: PublicKey,
}

/// Why a text is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The first line is no header of a bundle, or of a version that is not known.
    #[error("this is no evidence bundle, or one of a later version of Quire")]
    NoBundle,
    /// A line cannot be read.
    #[error("line {line} of the bundle cannot be read")]
    BadLine {
        /// Its number, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// A content is no base64.
    #[error("line {line} of the bundle: the content is not base64")]
    BadContent {
        /// Its number, from 1.
        line: usize,
    },
    /// No signed statement, or more than one.
    #[error("the bundle needs one signed statement")]
    NoStatement,
}

/// What checking a bundle gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// Each thing that was checked, and what is wrong with it, if anything.
    pub checks: Vec<(&'static str, Result<(), String>)>,
    /// How many of the cited lines were looked up. That some were not is no fault.
    pub cited: CitedLines,
    /// What the signature is worth.
    pub signature: Verdict,
}

/// How far cited lines could be looked up: contents may be left out of a bundle, those over 1 MiB
/// are, and of an output of which lines were not kept none can be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CitedLines {
    /// Citations that lead somewhere.
    pub citations: usize,
    /// Those whose lines were looked up in the contents.
    pub looked_up: usize,
    /// Cited files and outputs, each once, that the bundle does not hold.
    pub not_in_bundle: usize,
}

impl VerifyReport {
    /// Whether everything that was checked is as it should be, whoever signed it.
    pub fn intact(&self) -> bool {
        self.checks.iter().all(|(_, result)| result.is_ok())
    }

    /// Whether it is intact and signed by a key that is trusted.
    pub fn trusted(&self) -> bool {
        self.intact() && matches!(self.signature, Verdict::Trusted(_))
    }

    /// What that proves and what not, for the person: whole sentences.
    pub fn meaning(&self) -> &'static str {
        match (self.intact(), &self.signature) {
            (false, _) | (true, Verdict::Bad(_)) => {
                "This evidence is damaged or was changed after it was signed. It proves nothing."
            }
            (true, Verdict::Trusted(_)) => {
                "The installation that holds this key recorded these events, and nothing was \
                 changed since. That does not prove that whoever runs the installation is honest, \
                 or that the cited lines mean what the answer says."
            }
            (true, Verdict::UnknownKey(_)) => {
                "Signed by an unknown key: the record fits together, but anyone could have made \
                 it. Ask whoever sent it for the installation's public key by another way."
            }
        }
    }
}

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    quire_evidence: u32,
    key: String,
}

/// Any other line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Event(LogEntry),
    Content { sha256: Sha256, base64: String },
    Statement(Envelope),
}

impl Bundle {
    /// Writes it as JSON lines.
    pub fn to_text(&self) -> String {
        let header = Header { quire_evidence: VERSION, key: self.key.to_string() };
        let mut text = json(&header);
        for entry in &self.entries {
            text.push_str(&json(&Line::Event(entry.clone())));
        }
        for (sha256, bytes) in &self.contents {
            let base64 = STANDARD.encode(bytes);
            text.push_str(&json(&Line::Content { sha256: sha256.clone(), base64 }));
        }
        text.push_str(&json(&Line::Statement(self.envelope.clone())));
        text
    }

    /// Reads JSON lines.
    pub fn parse(text: &str) -> Result<Self, BundleError> {
        let mut lines = text.lines();
        let header: Header = lines
            .next()
            .and_then(|line| serde_json::from_str(line).ok())
            .ok_or(BundleError::NoBundle)?;
        if header.quire_evidence != VERSION {
            return Err(BundleError::NoBundle);
        }
        let key = PublicKey::parse(&header.key).map_err(|_| BundleError::NoBundle)?;
        let (mut entries, mut contents, mut envelope) = (Vec::new(), BTreeMap::new(), None);
        for (number, line) in (2..).zip(lines) {
            let line = serde_json::from_str(line)
                .map_err(|source| BundleError::BadLine { line: number, source })?;
            match line {
                Line::Event(entry) => entries.push(entry),
                Line::Content { sha256, base64 } => {
                    let bytes = STANDARD
                        .decode(base64)
                        .map_err(|_| BundleError::BadContent { line: number })?;
                    contents.insert(sha256, bytes);
                }
                Line::Statement(_) if envelope.is_some() => return Err(BundleError::NoStatement),
                Line::Statement(signed) => envelope = Some(signed),
            }
        }
        let envelope = envelope.ok_or(BundleError::NoStatement)?;
        Ok(Self { entries, contents, envelope, key })
    }

    /// Checks everything that can be checked without a server.
    pub fn verify(&self, trusted: &[PublicKey]) -> VerifyReport {
        verify::verify(self, trusted)
    }
}

/// One line of JSON. What a bundle is made of has names for its members and no other maps, so
/// that writing it cannot fail.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default() + "\n"
}
