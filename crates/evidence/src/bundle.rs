//! All that is needed to check an attempt offline, as one file of JSON lines.

use std::collections::BTreeMap;

use quire_domain::ids::Sha256;

use crate::dsse::{Envelope, Verdict};
use crate::keys::PublicKey;
use crate::record::LogEntry;

/// An attempt's evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// The whole log.
    pub entries: Vec<LogEntry>,
    /// Contents of chunks and cited files, by digest; any of them may be left out.
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
    /// No signed statement.
    #[error("the bundle has no signed statement")]
    NoStatement,
}

/// What checking a bundle gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// Each thing that was checked, and what is wrong with it, if anything.
    pub checks: Vec<(&'static str, Result<(), String>)>,
    /// What the signature is worth.
    pub signature: Verdict,
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
}

impl Bundle {
    /// Writes it as JSON lines.
    pub fn to_text(&self) -> String {
        String::new()
    }

    /// Reads JSON lines.
    pub fn parse(text: &str) -> Result<Self, BundleError> {
        let _ = text;
        Err(BundleError::NoBundle)
    }

    /// Checks everything that can be checked without a server.
    pub fn verify(&self, trusted: &[PublicKey]) -> VerifyReport {
        let _ = trusted;
        VerifyReport { checks: Vec::new(), signature: Verdict::Bad("it is not signed") }
    }
}
