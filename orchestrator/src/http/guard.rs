//! What is turned away before any handler sees it.

use axum::http::{
    HeaderMap, Method, Request, StatusCode, Uri,
    header::{HOST, ORIGIN},
};
use mesh_schemas::ErrorCode;

use super::problem::ApiError;

/// Longest path with its query, in bytes.
const URI_BYTES_MAX: usize = 8 << 10;
/// Most header lines.
const HEADERS_MAX: usize = 100;
/// Longest headers altogether, names and values, in bytes.
const HEADER_BYTES_MAX: usize = 32 << 10;

/// Turns a request away for its shape or its origin.
pub(super) fn check<B>(request: &Request<B>) -> Result<(), ApiError> {
    check_uri(request.uri())?;
    check_headers(request.headers())?;
    check_origin(request.method(), request.uri(), request.headers())
}

/// For a path that nothing serves.
pub(super) async fn no_such_route(uri: Uri) -> ApiError {
    let path: String = uri.path().chars().take(100).collect();
    ApiError::not_found(format!("route {path}"))
}

/// For a path that serves other methods; axum adds which.
pub(super) async fn no_such_method(method: Method) -> ApiError {
    let method: String = method.as_str().chars().take(20).collect();
    ApiError::new(ErrorCode::Method, format!("{method} is not allowed here; see the header Allow"))
}

fn check_uri(uri: &Uri) -> Result<(), ApiError> {
    let length = uri.path_and_query().map_or(0, |text| text.as_str().len());
    if length <= URI_BYTES_MAX {
        return Ok(());
    }
    let detail = format!("the address has {length} bytes; at most {URI_BYTES_MAX} are allowed");
    Err(ApiError::new(ErrorCode::TooLarge, detail).status(StatusCode::URI_TOO_LONG))
}

fn check_headers(headers: &HeaderMap) -> Result<(), ApiError> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() <= HEADERS_MAX && bytes <= HEADER_BYTES_MAX {
        return Ok(());
    }
    let detail = format!(
        "{} headers of {bytes} bytes; at most {HEADERS_MAX} of {HEADER_BYTES_MAX} are allowed",
        headers.len()
    );
    Err(ApiError::new(ErrorCode::TooLarge, detail)
        .status(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE))
}

/// A page of another site must not act with what a browser knows of this one.
fn check_origin(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let cross = headers
        .get("sec-fetch-site")
        .is_some_and(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"));
    let foreign = headers.get(ORIGIN).is_some_and(|origin| {
        let origin = origin.to_str().unwrap_or("null");
        let authority = origin.split_once("://").map_or("null", |(_, authority)| authority);
        !own_authority(uri, headers).is_some_and(|own| own.eq_ignore_ascii_case(authority))
    });
    if cross || foreign {
        return Err(ApiError::new(ErrorCode::Forbidden, "another site's page may not do this"));
    }
    Ok(())
}

fn own_authority<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    host.or_else(|| uri.authority().map(axum::http::uri::Authority::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(method: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).uri("/x").header("host", "mesh:7700");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap()).is_err()
    }

    #[test]
    fn pages_of_other_sites_may_look_but_not_act() {
        assert!(!refused("POST", &[]));
        assert!(!refused(
            "POST",
            &[("sec-fetch-site", "same-origin"), ("origin", "http://mesh:7700")]
        ));
        assert!(!refused("GET", &[("sec-fetch-site", "cross-site")]));
        for bad in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "null"),
            ("origin", "https://evil.example"),
            ("origin", "http://mesh:7701"),
        ] {
            assert!(refused("POST", &[bad]), "{bad:?}");
            assert!(refused("DELETE", &[bad]), "{bad:?}");
        }
    }
}
