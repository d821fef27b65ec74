//! The configuration files of the parts, written anew at each start from the arguments. What the owner of the registry
//! wrote into its file stays.

use std::path::Path;

use mesh_fabric::{
    files::{write_durable, write_private},
    nats_auth::{ServerConfig, ServerTls},
};
use mesh_schemas::{ErrorCode, Problem};
use toml::{Table, Value, toml};

use super::{Args, layout::Layout, ports::Ports, secrets::Secrets};
use crate::context::io;

pub(super) fn write_all(
    layout: &Layout,
    args: &Args,
    ports: &Ports,
    secrets: &Secrets,
) -> Result<(), Problem> {
    let nats = nats(layout, ports, secrets);
    let file = layout.nats_config();
    write_private(&file, nats.as_bytes()).map_err(|error| io("write", &file, &error))?;
    let file = layout.ideas_config();
    write(&file, &ideas(layout, args, ports, secrets, kept(&file)?))?;
    write(&layout.orchestrator_config(), &orchestrator(layout, args, ports, secrets))
}

fn nats(layout: &Layout, ports: &Ports, secrets: &Secrets) -> String {
    let mut config = ServerConfig::new(ports.nats, layout.jetstream(), layout.accounts());
    config.tls = secrets
        .tls
        .then(|| ServerTls { cert_file: layout.cert_file(), key_file: layout.key_file() });
    secrets.keys.server_config(&config)
}

fn orchestrator(layout: &Layout, args: &Args, ports: &Ports, secrets: &Secrets) -> Table {
    let nats_url = ports.nats_url(secrets.tls);
    let database = args
        .database
        .clone()
        .unwrap_or_else(|| format!("sqlite://{}", layout.database().display()));
    let mut table = Table::new();
    table.insert("listen".into(), ports.api.to_string().into());
    table.insert("metrics_listen".into(), ports.orchestrator_metrics.to_string().into());
    table.insert("database".into(), database.into());
    if let Some(file) = &args.database_password_file {
        table.insert("database_password_file".into(), path(file));
    }
    let mut nats = Table::new();
    nats.insert("urls".into(), vec![nats_url].into());
    nats.insert("creds_file".into(), path(&layout.orchestrator_creds()));
    nats.insert("system_creds_file".into(), path(&layout.system_creds()));
    nats.insert("keys_file".into(), path(&layout.keys_file()));
    if secrets.tls {
        nats.insert("ca_file".into(), path(&layout.ca_file()));
        let mut tls = Table::new();
        tls.insert("cert_file".into(), path(&layout.cert_file()));
        tls.insert("key_file".into(), path(&layout.key_file()));
        tls.insert("ca_file".into(), path(&layout.ca_file()));
        table.insert("tls".into(), tls.into());
    }
    table.insert("nats".into(), nats.into());
    table.insert("objects".into(), objects(layout, args, ports, secrets).into());
    let token = path(&layout.admin_token_file());
    table.insert("admin".into(), toml! { token_file = "" }.into());
    if let Some(Value::Table(admin)) = table.get_mut("admin") {
        admin.insert("token_file".into(), token);
    }
    if let Some(ttl) = args.lease_ttl {
        table.insert("timing".into(), timing(ttl).into());
    }
    table
}

/// What the registry's owner wrote into its file, such as witnesses and weights: all but what follows from the arguments.
fn kept(file: &Path) -> Result<Table, Problem> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Table::new()),
        Err(error) => return Err(io("read", file, &error)),
    };
    let mut table: Table = text.parse().map_err(|error: toml::de::Error| {
        Problem::new(ErrorCode::Config, format!("{}: {}", file.display(), error.message()))
            .hint("correct the file, or remove it: it is made anew, without what you wrote into it")
    })?;
    let ours = ["data", "database", "database_password_file", "nats", "objects"];
    table.retain(|key, _| !ours.contains(&key));
    Ok(table)
}

/// The registry of ideas: the same broker, database server and object store, each by rights and names of its own; and what
/// its owner wrote.
fn ideas(
    layout: &Layout,
    args: &Args,
    ports: &Ports,
    secrets: &Secrets,
    mut table: Table,
) -> Table {
    table.insert("data".into(), path(&layout.ideas()));
    if let Some(database) = &args.database {
        table.insert("database".into(), database.clone().into());
    }
    if let Some(file) = &args.database_password_file {
        table.insert("database_password_file".into(), path(file));
    }
    let mut nats = Table::new();
    nats.insert("urls".into(), vec![ports.nats_url(secrets.tls)].into());
    nats.insert("creds_file".into(), path(&layout.ideas_creds()));
    if secrets.tls {
        nats.insert("ca_file".into(), path(&layout.ca_file()));
    }
    table.insert("nats".into(), nats.into());
    table.insert("objects".into(), objects(layout, args, ports, secrets).into());
    table
}

/// Where objects lie and by which keys.
fn objects(layout: &Layout, args: &Args, ports: &Ports, secrets: &Secrets) -> Table {
    let own = || {
        let scheme = if secrets.tls { "https" } else { "http" };
        format!("{scheme}://{}", ports.reach(ports.store))
    };
    let credentials =
        args.objects_credentials.clone().unwrap_or_else(|| layout.store_credentials());
    let mut objects = Table::new();
    objects.insert("endpoint".into(), args.objects_endpoint.clone().unwrap_or_else(own).into());
    objects.insert("bucket".into(), args.objects_bucket.clone().into());
    objects.insert("credentials_file".into(), path(&credentials));
    if secrets.tls && args.objects_endpoint.is_none() {
        objects.insert("ca_file".into(), path(&layout.ca_file()));
    }
    objects
}

/// Beats and suspicion in the proportions of the defaults: 5 s and 12 s to a lease of 30 s.
fn timing(lease_ttl: mesh_schemas::Span) -> Table {
    let part = |of: u64| {
        let millis = u64::try_from(lease_ttl.duration().as_millis()).unwrap_or(u64::MAX) / 30 * of;
        Value::String(mesh_schemas::Span::from_millis(millis).to_string())
    };
    let mut timing = Table::new();
    timing.insert("lease_ttl".into(), lease_ttl.to_string().into());
    timing.insert("beat_every".into(), part(5));
    timing.insert("suspect_after".into(), part(12));
    timing.insert("startup_grace".into(), part(60));
    timing
}

/// A node's file. It is its owner's: written once, never again.
pub(super) fn write_node(layout: &Layout, number: u16) -> Result<(), Problem> {
    if layout.node_config(number).exists() {
        return Ok(());
    }
    let mut table = Table::new();
    table.insert("data_dir".into(), path(&layout.node(number)));
    table.insert("name".into(), format!("node-{number}").into());
    // The owner of this machine starts it: jobs find the programs that the owner finds.
    let search = std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".into());
    table.insert("path".into(), search.into());
    write(&layout.node_config(number), &table)
}

fn path(path: &Path) -> Value {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    Value::String(absolute.to_string_lossy().into_owned())
}

fn write(file: &Path, table: &Table) -> Result<(), Problem> {
    let text = toml::to_string_pretty(table).map_err(|error| {
        Problem::new(ErrorCode::Internal, format!("{}: {error}", file.display()))
    })?;
    write_durable(file, text.as_bytes()).map_err(|error| io("write", file, &error))
}
