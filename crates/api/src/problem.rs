//! What went wrong, for whoever asked: RFC 9457, with types that stay.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What went wrong. Sent as `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Which kind it is, e.g. `/problems/not-found`. Stays the same between versions.
    #[serde(rename = "type")]
    #[schema(example = "/problems/not-found")]
    pub kind: String,
    /// The kind in words.
    #[schema(example = "there is no such thing")]
    pub title: String,
    /// The status of the answer.
    #[schema(example = 404, minimum = 400, maximum = 599)]
    pub status: u16,
    /// What happened this time.
    #[schema(example = "there is no task `42`")]
    pub detail: String,
    /// What to do about it.
    #[schema(example = "look at the list of tasks")]
    pub advice: String,
}

/// The kinds of problems. Each has one status and one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    /// The request is not one that the server understands.
    Invalid,
    /// Nobody is signed in, or not with what is valid.
    NotSignedIn,
    /// The person may see it and not do that.
    NotAllowed,
    /// There is no such thing, or none that the person may see.
    NotFound,
    /// The path has no such method.
    NoSuchMethod,
    /// It is not possible in the state that it is in.
    NotPossible,
    /// Somebody else changed it meanwhile.
    Changed,
    /// The idempotency key was used before, for another request.
    KeyReused,
    /// The body, or what was asked for, is larger than is allowed.
    TooLarge,
    /// The body is of a kind that is not understood.
    WrongMediaType,
    /// More requests than are allowed.
    TooMany,
    /// A quota of the person, the team or the server is used up.
    Quota,
    /// A policy of the installation refuses it.
    Refused,
    /// The server could not do it in time.
    Timeout,
    /// The server cannot do it at this time: it ends, its disk is full, its database is locked.
    Unavailable,
    /// Something of ours is broken.
    Internal,
}

impl ProblemKind {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Invalid,
        Self::NotSignedIn,
        Self::NotAllowed,
        Self::NotFound,
        Self::NoSuchMethod,
        Self::NotPossible,
        Self::Changed,
        Self::KeyReused,
        Self::TooLarge,
        Self::WrongMediaType,
        Self::TooMany,
        Self::Quota,
        Self::Refused,
        Self::Timeout,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The type, as it stands in [`Problem::kind`].
    pub fn path(self) -> &'static str {
        match self {
            Self::Invalid => "/problems/invalid",
            Self::NotSignedIn => "/problems/not-signed-in",
            Self::NotAllowed => "/problems/not-allowed",
            Self::NotFound => "/problems/not-found",
            Self::NoSuchMethod => "/problems/no-such-method",
            Self::NotPossible => "/problems/not-possible",
            Self::Changed => "/problems/changed",
            Self::KeyReused => "/problems/key-reused",
            Self::TooLarge => "/problems/too-large",
            Self::WrongMediaType => "/problems/wrong-media-type",
            Self::TooMany => "/problems/too-many",
            Self::Quota => "/problems/quota",
            Self::Refused => "/problems/refused",
            Self::Timeout => "/problems/timeout",
            Self::Unavailable => "/problems/unavailable",
            Self::Internal => "/problems/internal",
        }
    }

    /// The status it is sent with.
    pub fn status(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::NotSignedIn => 401,
            Self::NotAllowed => 403,
            Self::NotFound => 404,
            Self::NoSuchMethod => 405,
            Self::NotPossible | Self::Changed => 409,
            Self::TooLarge => 413,
            Self::WrongMediaType => 415,
            Self::KeyReused => 422,
            Self::TooMany | Self::Quota => 429,
            Self::Refused => 451,
            Self::Internal => 500,
            Self::Timeout | Self::Unavailable => 503,
        }
    }

    /// The kind in words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Invalid => "the request is not understood",
            Self::NotSignedIn => "nobody is signed in",
            Self::NotAllowed => "that is not allowed",
            Self::NotFound => "there is no such thing",
            Self::NoSuchMethod => "there is no such method",
            Self::NotPossible => "that is not possible now",
            Self::Changed => "it was changed meanwhile",
            Self::KeyReused => "the idempotency key was used before",
            Self::TooLarge => "that is too large",
            Self::WrongMediaType => "a body of that kind is not understood",
            Self::TooMany => "too many requests",
            Self::Quota => "a quota is used up",
            Self::Refused => "a policy refuses it",
            Self::Timeout => "it took too long",
            Self::Unavailable => "the server cannot do it now",
            Self::Internal => "something of ours is broken",
        }
    }
}

impl Problem {
    /// A problem of a kind: what happened this time, and what to do about it.
    pub fn new(kind: ProblemKind, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            kind: kind.path().to_owned(),
            title: kind.title().to_owned(),
            status: kind.status(),
            detail: detail.into(),
            advice: advice.into(),
        }
    }

    /// Which kind it is, where this version knows it.
    pub fn known(&self) -> Option<ProblemKind> {
        ProblemKind::ALL.into_iter().find(|kind| kind.path() == self.kind)
    }
}

/// The answers of every route that were not done.
pub struct Problems;

impl utoipa::IntoResponses for Problems {
    fn responses()
    -> std::collections::BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::Response>> {
        use utoipa::openapi::{ContentBuilder, Ref, ResponseBuilder};
        let problem = |words: &str| {
            let schema = Ref::from_schema_name("Problem");
            let content = ContentBuilder::new().schema(Some(schema)).build();
            ResponseBuilder::new()
                .description(words)
                .content("application/problem+json", content)
                .build()
                .into()
        };
        [
            ("4XX".to_owned(), problem("The request was not done.")),
            ("5XX".to_owned(), problem("The server could not do it.")),
        ]
        .into()
    }
}
