//! The part of a path that a route leaves open.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;

/// What stands there, decoded; nothing if it is not UTF-8, which names nothing here.
pub(super) struct Segment(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let found = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(found.map(|Path(text)| text).unwrap_or_default()))
    }
}
