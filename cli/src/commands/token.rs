//! `mesh token`: API tokens. A secret is printed once and kept nowhere.

use std::process::ExitCode;

use mesh_schemas::{
    ErrorCode, Problem, Span, TokenId,
    api::{NewToken, Scope, TokenRequest, TokenView},
};

use crate::{
    Outcome,
    args::{Format, Global},
    client::Client,
    context,
    output::{self, Row},
};

/// Make, list and revoke API tokens.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a token; its secret is printed once, on stdout.
    #[command(after_help = "Example:\n  mesh token new ci --scope submit --ttl 30days > ci.token")]
    New {
        /// What it is for.
        name: String,
        /// What it may do: read, submit, admin; each includes those before it.
        #[arg(long, default_value = "submit")]
        scope: Scope,
        /// How long it holds; 90 days at most.
        #[arg(long, value_name = "TIME")]
        ttl: Option<Span>,
    },
    /// List tokens, without their secrets.
    #[command(visible_alias = "ls", after_help = "Example:\n  mesh token list")]
    List,
    /// Make a token worthless at once.
    #[command(after_help = "Example:\n  mesh token revoke token_…")]
    Revoke {
        /// The token's id.
        token: TokenId,
    },
}

pub(crate) async fn run(global: &Global, command: Command) -> Outcome {
    let client = context::client(global)?;
    match command {
        Command::New { name, scope, ttl } => {
            let token: NewToken =
                client.post("/tokens", &TokenRequest { name, scope, ttl }).await?;
            if global.output == Format::Json {
                output::json(&token);
            } else {
                output::line(&token.secret);
                output::note(format!("{} holds until {}", token.view.id, token.view.expires_at));
            }
            // For a token a reader that has gone is as bad as a full disk.
            let finished = output::finish();
            if output::is_broken() {
                let why = finished.err().map_or_else(|| "nobody reads".into(), |p| p.detail);
                return Err(lost(&client, token.view.id, &why).await);
            }
        }
        Command::List => {
            let tokens: Vec<TokenView> = client.pages("/tokens", usize::MAX).await?;
            output::list(global.output, &tokens);
        }
        Command::Revoke { token } => {
            client.delete(&format!("/tokens/{token}")).await?;
            output::note(format!("{token} is worthless now"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Nobody has the secret, so nobody shall be able to use it.
async fn lost(client: &Client, token: TokenId, why: &str) -> Problem {
    let text = format!("the token is lost, as it could not be printed: {why}");
    let problem = Problem::new(ErrorCode::File, text);
    match client.delete(&format!("/tokens/{token}")).await {
        Ok(()) => problem.hint(format!("{token} has been revoked; make another one")),
        Err(_) => problem.hint(format!("make another one, and: mesh token revoke {token}")),
    }
}

impl Row for TokenView {
    const COLUMNS: &'static [&'static str] = &["token", "name", "scope", "created", "expires"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.name.clone(),
            self.scope.to_string(),
            self.created_at.to_string(),
            self.expires_at.to_string(),
        ]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}
