//! Making an S3 client: static keys, path style, rustls with ring.

use std::{path::Path, time::Duration};

use aws_sdk_s3::{
    Client,
    config::{
        BehaviorVersion, Builder, Credentials, Region, RequestChecksumCalculation,
        ResponseChecksumValidation, SharedHttpClient, retry::RetryConfig, timeout::TimeoutConfig,
    },
};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use mesh_schemas::Problem;
use serde::Deserialize;

use crate::config::{ObjectsConfig, wrong};

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
/// Tries of one request.
const ATTEMPTS_MAX: u32 = 3;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    access_key: String,
    secret_key: String,
}

pub(super) fn make(config: &ObjectsConfig) -> Result<Client, Problem> {
    let keys: Keys = serde_json::from_slice(&read(&config.credentials_file)?).map_err(|error| {
        // The text of the error could repeat a secret; its place cannot.
        let (file, line) = (config.credentials_file.display(), error.line());
        unusable(&format!("{file} is not JSON with access_key and secret_key (line {line})"))
    })?;
    let credentials = Credentials::new(keys.access_key, keys.secret_key, None, None, "file");
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build();
    let settings = Builder::new()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(config.region.clone()))
        .endpoint_url(&config.endpoint)
        .credentials_provider(credentials)
        .force_path_style(true)
        // Every file is checked against the signed root by who reads it.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
        .timeout_config(timeouts)
        .http_client(http_client(config)?)
        .build();
    Ok(Client::from_conf(settings))
}

fn http_client(config: &ObjectsConfig) -> Result<SharedHttpClient, Problem> {
    let roots = match &config.ca_file {
        Some(file) => TrustStore::empty().with_pem_certificate(read(file)?),
        None => TrustStore::default(),
    };
    let tls = TlsContext::builder().with_trust_store(roots).build();
    let tls = tls.map_err(|_| unusable("objects.ca_file holds no certificate"))?;
    let client = aws_smithy_http_client::Builder::new();
    Ok(client.tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls).build_https())
}

fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    std::fs::read(path)
        .map_err(|error| unusable(&format!("cannot read {}: {error}", path.display())))
}

fn unusable(detail: &str) -> Problem {
    wrong("objects", detail)
}
