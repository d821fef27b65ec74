//! A client of the store, as the orchestrator's is.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::net::SocketAddr;

use aws_credential_types::Credentials as AwsKeys;
use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Region},
};
use mesh_store::credentials::Credentials;

pub(crate) const BUCKET: &str = "deskmesh";

pub(crate) fn keys() -> Credentials {
    Credentials { access_key: "mesh-test".into(), secret_key: "a secret of the test".into() }
}

pub(crate) fn client(addr: SocketAddr, keys: &Credentials) -> Client {
    let keys = AwsKeys::from_keys(&keys.access_key, &keys.secret_key, None);
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(format!("http://{addr}"))
        .force_path_style(true)
        .credentials_provider(keys)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

/// Bytes that no compressor helps with, the same for the same seed.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}
