//! Why a server did not do what it was asked.

use std::time::Duration;

use quire_api::{Problem, ProblemKind};

/// Why a server did not do what it was asked. The messages say what to do.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The client itself cannot be set up.
    #[error("cannot set up the connection to {server}: {why}")]
    Setup {
        /// The server.
        server: String,
        /// What is wrong.
        why: String,
    },
    /// Nobody answers there.
    #[error("cannot reach {server}: {why}")]
    Unreachable {
        /// The server.
        server: String,
        /// The innermost reason.
        why: String,
    },
    /// Its certificate is not one to trust.
    #[error("cannot trust {server}: {why}")]
    Untrusted {
        /// The server.
        server: String,
        /// What is wrong with the certificate, and what to do.
        why: String,
    },
    /// It did not answer in time.
    #[error("{server} did not answer within {after:?}")]
    Timeout {
        /// The server.
        server: String,
        /// How long was waited.
        after: Duration,
    },
    /// What answers there does not speak this API.
    #[error(
        "{server} is not a server of Quire: {why}; see `quire login --list` for those that you know"
    )]
    NotQuire {
        /// The server.
        server: String,
        /// What was noticed.
        why: String,
    },
    /// The server said no, and why.
    #[error("{}", told(.problem))]
    Problem {
        /// What it said.
        problem: Problem,
        /// When to try again, if it said so.
        retry_after: Option<Duration>,
    },
    /// The answer is not as agreed, or too long.
    #[error("the answer of {server} cannot be used: {why}")]
    BadAnswer {
        /// The server.
        server: String,
        /// What is wrong with it.
        why: String,
    },
    /// What is to be sent cannot be read.
    #[error("cannot read what is to be sent")]
    Unread(#[source] std::io::Error),
}

fn told(problem: &Problem) -> String {
    if problem.advice.is_empty() {
        problem.detail.clone()
    } else {
        format!("{}: {}", problem.detail, problem.advice)
    }
}

impl ClientError {
    /// The kind of problem, where the server said one that is known here.
    pub fn kind(&self) -> Option<ProblemKind> {
        match self {
            Self::Problem { problem, .. } => problem.known(),
            _ => None,
        }
    }

    /// Whether the server cannot be reached for now: the same request may work later.
    pub fn is_for_now(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } => true,
            Self::Problem { problem, .. } => {
                matches!(problem.status, 429 | 502 | 503 | 504)
                    && self.kind() != Some(ProblemKind::Quota)
            }
            _ => false,
        }
    }
}

/// An error of the connection, by what a person can do about it.
pub(crate) fn of_transport(error: &reqwest::Error, server: &str, after: Duration) -> ClientError {
    let server = server.to_owned();
    if error.is_timeout() && !error.is_connect() {
        return ClientError::Timeout { server, after };
    }
    if error.is_body() || error.is_decode() {
        return ClientError::Unreachable { server, why: format!("cut off: {}", innermost(error)) };
    }
    let why = if error.is_timeout() { "no answer in time".to_owned() } else { innermost(error) };
    if let Some((_, wrong)) = why.split_once("invalid peer certificate: ") {
        return ClientError::Untrusted { why: untrusted(wrong), server };
    }
    if why.contains("InvalidContentType") || why.contains("corrupt message") {
        return ClientError::NotQuire { server, why: "it does not speak TLS".to_owned() };
    }
    if why.contains("invalid HTTP") {
        return ClientError::NotQuire { server, why: "it does not speak HTTP".to_owned() };
    }
    ClientError::Unreachable { server, why }
}

/// What is wrong with a certificate, with what to do about it.
fn untrusted(wrong: &str) -> String {
    let advice = if wrong.starts_with("UnknownIssuer") || wrong.starts_with("BadSignature") {
        "no authority known here signed its certificate; name the file of your own authority with \
         `quire login URL --ca FILE`, or in SSL_CERT_FILE"
    } else if wrong.contains("xpired") {
        "its certificate has ended; whoever runs it has to renew it (or the clock here is wrong)"
    } else if wrong.contains("not valid for name") || wrong.starts_with("NotValidForName") {
        "its certificate is for another name; use the address that it is made for"
    } else {
        "its certificate cannot be used; whoever runs it has to make another one"
    };
    format!("{advice} ({wrong})")
}

/// The last cause: the others say only that a request failed.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        last = error.to_string();
        cause = error.source();
    }
    last.chars().filter(|c| !c.is_control()).take(300).collect()
}
