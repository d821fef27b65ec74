//! Requests through presigned URLs.
