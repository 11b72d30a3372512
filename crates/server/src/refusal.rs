//! Problems as answers: what the person is told, and what is logged.

use std::error::Error;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use quire_api::{Problem, ProblemKind};
use quire_domain::journal::JournalError;
use quire_engine::{BlobError, LogError};
use quire_git::GitError;
use quire_store::StoreError;

use crate::desk::DeskError;

/// What a route gives.
pub type Result<T> = std::result::Result<T, Refusal>;

/// A request that was not done. Sent as a [`Problem`].
#[derive(Debug)]
pub struct Refusal {
    problem: Box<Problem>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    /// A problem of a kind: what happened, and what to do about it.
    pub fn new(kind: ProblemKind, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { problem: Box::new(Problem::new(kind, detail, advice)), headers: Vec::new() }
    }

    /// There is no such thing, or none that the person may see: the two are told alike.
    pub fn not_found(what: &str, name: impl std::fmt::Display) -> Self {
        let many = match what.strip_suffix('y') {
            Some(stem) => format!("{stem}ies"),
            None => format!("{what}s"),
        };
        let advice = format!("look at the list of {many} that you may see");
        Self::new(ProblemKind::NotFound, format!("there is no {what} `{name}`"), advice)
    }

    /// The request is not one that the server understands.
    pub fn invalid(detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(ProblemKind::Invalid, detail, advice)
    }

    /// Something of ours is broken: the cause is logged, and not told.
    pub fn internal(doing: &str, cause: &(dyn Error + 'static)) -> Self {
        tracing::error!(doing, cause = %chain(cause), "a request failed");
        Self::new(
            ProblemKind::Internal,
            format!("cannot {doing}"),
            "try again; the server's log says more",
        )
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// What is told.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// The disk is full, or the database locked: it may work later.
    fn later(error: &(dyn Error + 'static), advice: &str) -> Self {
        tracing::warn!(cause = %chain(error), "a request has to wait");
        Self::new(ProblemKind::Unavailable, error.to_string(), advice)
            .with(header::RETRY_AFTER, HeaderValue::from_static("5"))
    }
}

/// An error with its causes, for the log.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.problem).unwrap_or_default();
        let kind = HeaderValue::from_static("application/problem+json");
        let mut response = (status, [(header::CONTENT_TYPE, kind)], body).into_response();
        if self.problem.kind == ProblemKind::NotSignedIn.path() {
            let scheme = HeaderValue::from_static("Bearer realm=\"quire\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response.headers_mut().extend(self.headers);
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        use ProblemKind::{Changed, Invalid, KeyReused, NotPossible};
        let told = |kind, error: &StoreError| Self::new(kind, error.to_string(), error.advice());
        match &error {
            StoreError::NotFound { what, name } => Self::not_found(what, name),
            StoreError::TurnOpen { .. }
            | StoreError::NotPossible { .. }
            | StoreError::NotChosen { .. }
            | StoreError::AlreadyApplied { .. }
            | StoreError::RepositoryTaken { .. }
            | StoreError::Fenced { .. }
            | StoreError::Taken { .. }
            | StoreError::Kept { .. } => told(NotPossible, &error),
            StoreError::Edited { .. } => told(Changed, &error),
            StoreError::KeyReused { .. } => told(KeyReused, &error),
            StoreError::WrongAttempt { .. } | StoreError::OutOfBounds { .. } => {
                told(Invalid, &error)
            }
            StoreError::Busy | StoreError::DiskFull => {
                Self::later(&error, "try again in a few seconds")
            }
            _ => Self::internal("reach the store", &error),
        }
    }
}

impl From<LogError> for Refusal {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Busy | LogError::DiskFull => {
                Self::later(&error, "try again in a few seconds")
            }
            _ => Self::internal("read the log", &error),
        }
    }
}

impl From<JournalError> for Refusal {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Missing { what, ref id } => Self::not_found(what, id),
            _ => Self::internal("read the record", &error),
        }
    }
}

impl From<BlobError> for Refusal {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Missing(id) => Self::not_found("content", id),
            BlobError::TooLarge { .. } => {
                Self::new(ProblemKind::TooLarge, error.to_string(), "send less")
            }
            BlobError::DiskFull => Self::later(&error, "try again when there is room"),
            _ => Self::internal("reach a content", &error),
        }
    }
}

impl From<GitError> for Refusal {
    fn from(error: GitError) -> Self {
        match error {
            GitError::OverLimit { .. } => Self::new(
                ProblemKind::TooLarge,
                error.to_string(),
                "ask for one file, or take the change with git",
            ),
            GitError::DiskFull { .. } => Self::later(&error, "try again when there is room"),
            GitError::NoSuchRef { .. } | GitError::BadRef { .. } => {
                Self::invalid(error.to_string(), "name a branch, tag or commit that is there")
            }
            _ => Self::internal("read the result", &error),
        }
    }
}

impl From<DeskError> for Refusal {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Refused { detail, advice } => Self::invalid(detail, advice),
            DeskError::NotFound { detail, advice } => {
                Self::new(ProblemKind::NotFound, detail, advice)
            }
            DeskError::NotPossible { detail, advice } => {
                Self::new(ProblemKind::NotPossible, detail, advice)
            }
            DeskError::Quota { detail, advice } => Self::new(ProblemKind::Quota, detail, advice),
            DeskError::Policy { detail } => {
                Self::new(ProblemKind::Refused, detail, "ask who administers the installation")
            }
            DeskError::Unavailable { detail, advice } => {
                Self::new(ProblemKind::Unavailable, detail, advice)
            }
            DeskError::Store(error) => error.into(),
            DeskError::Broken(cause) => Self::internal("take it in", cause.as_ref()),
        }
    }
}
