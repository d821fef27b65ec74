//! The HTTP client that every part uses: TLS by rustls with ring, timeouts, no surprise redirects.

use std::time::Duration;

use mesh_schemas::{ErrorCode, Problem};
use reqwest::{Certificate, Client, ClientBuilder, redirect};

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest silence in the middle of an answer; long polls and event streams send something sooner.
const READ_TIMEOUT: Duration = Duration::from_secs(90);

/// A client. With a CA only what that CA signed is trusted, without one the system's roots are.
/// Proxies are taken from the environment as usual, redirects are not followed: our servers send none,
/// and a presigned URL must not be led elsewhere.
///
/// # Errors
/// `E_CONFIG` when the CA is not PEM.
pub fn client(ca_pem: Option<&str>) -> Result<Client, Problem> {
    let mut builder = builder();
    if let Some(pem) = ca_pem {
        let certificates =
            Certificate::from_pem_bundle(pem.as_bytes()).map_err(|error| unusable(&error))?;
        if certificates.is_empty() {
            return Err(Problem::new(ErrorCode::Config, "the CA file holds no certificate"));
        }
        builder = builder.tls_certs_only(certificates);
    }
    builder.build().map_err(|error| unusable(&error))
}

/// A client for servers that speak no TLS. It trusts nobody, and so reads no roots: those of the system
/// take milliseconds.
///
/// # Errors
/// `E_CONFIG` when the library refuses.
pub fn client_without_tls() -> Result<Client, Problem> {
    builder().tls_certs_only([]).build().map_err(|error| unusable(&error))
}

fn builder() -> ClientBuilder {
    crate::tls::install_provider();
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .redirect(redirect::Policy::none())
        .user_agent(concat!("deskmesh/", env!("CARGO_PKG_VERSION")))
}

fn unusable(error: &reqwest::Error) -> Problem {
    let text = crate::error::chain(error);
    Problem::new(ErrorCode::Config, format!("cannot make an HTTP client: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_made_with_and_without_a_ca() {
        assert!(client(None).is_ok());
        assert!(client_without_tls().is_ok());
        let authority = crate::tls::CertAuthority::generate("test").unwrap();
        assert!(client(Some(authority.ca_pem())).is_ok());
    }

    #[test]
    fn text_that_is_no_certificate_is_refused() {
        for bad in ["", "hello", "-----BEGIN CERTIFICATE-----\n"] {
            assert_eq!(client(Some(bad)).unwrap_err().code, ErrorCode::Config, "{bad:?}");
        }
    }
}
