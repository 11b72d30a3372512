//! Why a request does not go through, in the words that its maker reads.

use std::fmt::Write as _;

use hyper::StatusCode;

/// A request that does not go through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// A word for the audit and for the header `X-Quire-Denied`.
    pub(crate) reason: &'static str,
    /// What the client is answered.
    pub(crate) status: StatusCode,
    /// Why, as a sentence without its full stop.
    pub(crate) why: String,
    /// The network rule that would allow it, if one could.
    pub(crate) line: Option<String>,
}

impl Refusal {
    /// Refused by what the policy says.
    pub(crate) fn denied(reason: &'static str, why: impl Into<String>) -> Self {
        Self { reason, status: StatusCode::FORBIDDEN, why: why.into(), line: None }
    }

    /// No request that could be judged.
    pub(crate) fn bad(reason: &'static str, why: impl Into<String>) -> Self {
        Self { reason, status: StatusCode::BAD_REQUEST, why: why.into(), line: None }
    }

    /// Allowed, and then the other side failed.
    pub(crate) fn upstream(reason: &'static str, why: impl Into<String>) -> Self {
        Self { reason, status: StatusCode::BAD_GATEWAY, why: why.into(), line: None }
    }

    /// Allowed, and then something took too long.
    pub(crate) fn late(reason: &'static str, why: impl Into<String>) -> Self {
        Self { reason, status: StatusCode::GATEWAY_TIMEOUT, why: why.into(), line: None }
    }

    /// The worker has no descriptor left.
    pub(crate) fn no_descriptor() -> Self {
        Self {
            reason: "descriptors",
            status: StatusCode::SERVICE_UNAVAILABLE,
            why: "the worker has as many files and connections open as it may; try again"
                .to_owned(),
            line: None,
        }
    }

    pub(crate) fn with_line(mut self, line: String) -> Self {
        self.line = Some(line);
        self
    }

    /// Whether policy refused it, and not the other side or the network.
    pub(crate) fn is_denial(&self) -> bool {
        self.status.is_client_error()
    }

    /// What the audit has in place of a rule: the line that would allow it, or why none can.
    pub(crate) fn rule(&self) -> &str {
        self.line.as_deref().unwrap_or(&self.why)
    }

    /// What stands behind the status. Of a refused tunnel many programs show no more.
    pub(crate) fn phrase(&self) -> String {
        format!("{} (quire: {})", self.status.canonical_reason().unwrap_or("Refused"), self.reason)
    }

    /// The answer's text; `setting` is what says what may be reached, empty if that has no name.
    pub(crate) fn text(&self, setting: &str) -> String {
        let mut text = format!("quire: {} ({}).\n", self.why, self.reason);
        if let Some(line) = &self.line {
            let place = match setting {
                "" => "the network rules".to_owned(),
                setting => format!("`{setting}`"),
            };
            let _ = writeln!(
                text,
                "Nothing in here can allow it. A person can, by adding this rule to {place} of the \
                 environment:\n",
            );
            text.push_str("    ");
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}
