//! `mesh up`: a whole cluster on one machine, each part a process of its own, its data in one directory.
//!
//! Starts nats-server, the embedded object store, the orchestrator, the registry of ideas and nodes in this order, restarts
//! whatever dies, and stops all of it in the reverse order at Ctrl-C. Nothing in it is anonymous.

mod children;
mod configs;
mod layout;
mod leftovers;
mod nodes;
mod ports;
mod secrets;
mod stopping;
mod tools;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Instant};

use mesh_fabric::shutdown::Stages;
use mesh_schemas::{Cpu, ErrorCode, Problem, Span};
use tokio_util::sync::CancellationToken;

use self::{
    children::{Children, Ready},
    layout::Layout,
    ports::Ports,
    secrets::Secrets,
};
pub(crate) use layout::never_ship;
pub(crate) use tools::binary;

use crate::{Outcome, client::Client, context::Context, output};

/// Start a whole cluster on this machine and keep it up until Ctrl-C.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mesh up                                       data in ./.deskmesh, one node, loopback only
  mesh up --nodes 3 --cpu 2                     three nodes of two processors each
  mesh up --listen 0.0.0.0:7700 --host desk-1   other machines may join; makes TLS certificates
  mesh up --database postgres://mesh@db/mesh --database-password-file pw")]
pub(crate) struct Args {
    /// Where everything lies; made when missing.
    #[arg(long, default_value = ".deskmesh", env = "MESH_DATA", value_name = "DIR")]
    data: PathBuf,
    /// Where the API listens; port 0 takes a free one. Beyond loopback everything speaks TLS.
    #[arg(long, default_value = "127.0.0.1:7700", value_name = "ADDR")]
    listen: SocketAddr,
    /// Name or address by which other machines reach this one; may be repeated.
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// Nodes to run on this machine.
    #[arg(long, default_value_t = 1, value_name = "N")]
    nodes: u16,
    /// Processors that each node offers; all when not given.
    #[arg(long, value_name = "N")]
    cpu: Option<Cpu>,
    /// Use this database instead of SQLite in the data directory.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// File with the database's password.
    #[arg(long, value_name = "FILE", requires = "database")]
    database_password_file: Option<PathBuf>,
    /// Use this S3-compatible store instead of the embedded one.
    #[arg(long, value_name = "URL", requires = "objects_credentials")]
    objects_endpoint: Option<String>,
    /// JSON file with access_key and secret_key of that store.
    #[arg(long, value_name = "FILE", requires = "objects_endpoint")]
    objects_credentials: Option<PathBuf>,
    /// The bucket.
    #[arg(long, default_value = "deskmesh", value_name = "NAME")]
    objects_bucket: String,
    /// How long a lease lasts without a sign of life of its node.
    #[arg(long, value_name = "TIME")]
    lease_ttl: Option<Span>,
    /// How long running tasks may go on when a node is told to stop; 30 s when not given.
    #[arg(long, value_name = "TIME")]
    drain_timeout: Option<Span>,
    /// Do not make this the cluster that later commands talk to.
    #[arg(long)]
    no_context: bool,
}

impl Args {
    /// Other machines may reach it.
    fn is_public(&self) -> bool {
        !self.listen.ip().is_loopback()
    }
}

pub(crate) async fn run(args: Args, stages: &Stages) -> Outcome {
    if args.is_public() && args.host.is_empty() {
        return Err(Problem::new(
            ErrorCode::InsecureBind,
            format!(
                "{} is reachable by others, but no name of this machine was given",
                args.listen
            ),
        )
        .hint("pass --host NAME, which goes into the TLS certificates"));
    }
    let layout = Layout::open(&args.data)?;
    leftovers::end(&layout.pids_file(), layout.root());
    let secrets = Secrets::load_or_make(&layout, &args)?;
    let ports = Ports::load_or_choose(&layout, &args)?;
    configs::write_all(&layout, &args, &ports, &secrets)?;
    let client = client(&layout, &ports, &secrets)?;
    let mut children = Children::new(layout.pids_file());
    let parts = Parts { args: &args, layout: &layout, ports: &ports, secrets: &secrets };
    let outcome = serve(&parts, &client, &mut children, &stages.stop).await;
    let drain = args.drain_timeout.unwrap_or_else(|| nodes::longest_drain(&layout, args.nodes));
    stopping::stop(&mut children, &client, drain, &stages.now).await;
    outcome
}

/// What the parts are started from.
struct Parts<'a> {
    args: &'a Args,
    layout: &'a Layout,
    ports: &'a Ports,
    secrets: &'a Secrets,
}

async fn serve(
    parts: &Parts<'_>,
    client: &Client,
    children: &mut Children,
    stop: &CancellationToken,
) -> Outcome {
    let begun = Instant::now();
    let starting = start(parts, client, children);
    let ready = tokio::select! {
        started = starting => started?,
        () = stop.cancelled() => return Ok(ExitCode::from(130)),
    };
    announce(parts, begun, &ready)?;
    children.mind_until(stop).await;
    Ok(ExitCode::SUCCESS)
}

async fn start(
    parts: &Parts<'_>,
    client: &Client,
    children: &mut Children,
) -> Result<Ready, Problem> {
    let Parts { args, layout, ports, secrets } = parts;
    children.start(tools::nats_server(layout)?).await?;
    if args.objects_endpoint.is_none() {
        children.start(tools::mesh_store(layout, args, ports)?).await?;
    }
    children.start(tools::orchestrator(layout)?).await?;
    children.start(tools::ideas(layout)?).await?;
    let ready = children.until_ready(client).await?;
    for number in 1..=args.nodes {
        nodes::join_if_new(client, layout, ports, secrets.tls, number).await?;
        children.start(tools::node(layout, args, ports, number)?).await?;
    }
    match ready {
        Ready::Leads => nodes::until_online(client, args.nodes).await?,
        // The leader knows them; they say hello to whoever leads.
        Ready::StandsBy(_) => {}
    }
    Ok(ready)
}

fn client(layout: &Layout, ports: &Ports, secrets: &Secrets) -> Result<Client, Problem> {
    let ca = secrets.tls.then(|| crate::context::read_text(&layout.ca_file())).transpose()?;
    Client::new(&ports.server_url(secrets.tls), secrets.admin_token.trim(), ca.as_deref())
}

fn announce(parts: &Parts<'_>, begun: Instant, ready: &Ready) -> Result<(), Problem> {
    let Parts { args, layout, ports, secrets } = parts;
    let server = ports.server_url(secrets.tls);
    if !args.no_context {
        let ca_file = secrets.tls.then(|| layout.ca_file());
        let (server, token_file) = (server.clone(), layout.admin_token_file());
        Context { server, token_file, ca_file, ..Context::default() }.save()?;
    }
    output::note(format!("ready in {:.1} s at {server}", begun.elapsed().as_secs_f32()));
    if let Ready::StandsBy(who_leads) = ready {
        output::note(who_leads);
    }
    let nodes = output::count(args.nodes, "node");
    output::note(format!("data in {}, {nodes}", layout.root().display()));
    if secrets.admin_token_is_new {
        output::note(format!("administrator's token, shown once: {}", secrets.admin_token.trim()));
    }
    output::note(format!("it is kept in {}", layout.admin_token_file().display()));
    output::note("try: mesh run --no-dir -- echo hello      stop: Ctrl-C");
    Ok(())
}
