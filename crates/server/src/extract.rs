//! Paths, queries and bodies of requests, with problems for what cannot be read.

use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{StatusCode, header, request};
use bytes::Bytes;
use quire_api::ProblemKind;
use serde::de::DeserializeOwned;

use crate::refusal::Refusal;

/// The parts of the path.
pub struct Path<T>(pub T);

/// The query.
pub struct Query<T>(pub T);

/// The body, as JSON.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut request::Parts, state: &S) -> Result<Self, Refusal> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            // A path that cannot name anything names nothing that is there.
            Err(PathRejection::FailedToDeserializePathParams(error)) => Err(Refusal::new(
                ProblemKind::NotFound,
                format!("the path names nothing: {}", error.body_text()),
                "look at the API's description for its form",
            )),
            Err(error) => Err(Refusal::invalid(error.body_text(), "look at the API's description")),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut request::Parts, state: &S) -> Result<Self, Refusal> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(QueryRejection::FailedToDeserializeQueryString(error)) => Err(Refusal::invalid(
                format!("the query cannot be read: {}", source_of(&error)),
                "look at the API's description for its fields",
            )),
            Err(error) => Err(Refusal::invalid(error.body_text(), "look at the API's description")),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        if !is_json(&request) {
            return Err(Refusal::new(
                ProblemKind::WrongMediaType,
                "the body is not said to be JSON",
                "send it with `Content-Type: application/json`",
            ));
        }
        let bytes = whole(request, state).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            Refusal::invalid(
                format!("the body cannot be read: {error}"),
                "look at the API's description for its fields",
            )
        })
    }
}

/// The whole body, as far as it is allowed to be.
pub async fn whole<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Refusal> {
    Bytes::from_request(request, state).await.map_err(|error| match error {
        BytesRejection::FailedToBufferBody(error)
            if error.status() == StatusCode::PAYLOAD_TOO_LARGE =>
        {
            Refusal::new(
                ProblemKind::TooLarge,
                "the body is larger than is allowed",
                "send less at once; `GET /api/v1/server` says how much",
            )
        }
        error => Refusal::invalid(error.body_text(), "send the request again"),
    })
}

fn is_json(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn source_of(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
