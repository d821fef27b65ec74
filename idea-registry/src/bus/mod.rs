//! The registry on NATS: questions are answered, and submissions that waited in the stream are appended.

mod questions;
mod room;
mod submissions;

pub(crate) use questions::Questions;
pub(crate) use submissions::Submissions;

use mesh_fabric::nats::{Connect, Credential};
use mesh_schemas::{Problem, subject::LEDGER_INBOX};

use crate::config::{NatsConfig, text};

/// Connects in the background: a broker that is away is waited for.
pub(crate) async fn connect(config: &NatsConfig) -> Result<async_nats::Client, Problem> {
    let creds = Credential::Creds(text("nats.creds_file", &config.creds_file)?);
    let ca_pem = config.ca_file.as_ref();
    let ca_pem = ca_pem.map(|file| text("nats.ca_file", file)).transpose()?;
    let inbox_prefix = Some(LEDGER_INBOX.to_owned());
    let options = Connect {
        ca_pem,
        inbox_prefix,
        wait_for_server: true,
        ..Connect::new(config.urls.clone(), creds, "ideas")
    };
    Ok(mesh_fabric::nats::connect(options).await?)
}
