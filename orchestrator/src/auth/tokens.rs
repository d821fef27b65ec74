//! API tokens: made, known again, forgotten.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use mesh_fabric::{ids, time};
use mesh_schemas::{
    ErrorCode, Problem, Span, TokenId,
    api::{NewToken, Scope, TokenRequest, TokenView},
    text::check_name,
};

use crate::store::{Store, StoreError, TokenRow};

/// What every token made here begins with.
pub const TOKEN_PREFIX: &str = "dmk_";
/// How long a token holds when nobody says, and at most.
const TTL_MAX: Duration = Duration::from_secs(90 * 24 * 3600);
/// The shortest life worth a row.
const TTL_MIN: Duration = Duration::from_secs(1);
/// How long a look-up is believed. A token deleted through another orchestrator still works so long.
const CACHE_TTL: Duration = Duration::from_secs(5);
/// Most look-ups kept; beyond it all are forgotten, which costs one query each.
const CACHE_ENTRIES_MAX: usize = 4_096;
/// Longest text worth hashing: a token has 56 characters.
const SECRET_BYTES_MAX: usize = 128;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// By which token.
    pub token: TokenId,
    /// What they may do.
    pub scope: Scope,
}

/// The tokens of the database, remembered for a few seconds. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tokens {
    store: Arc<dyn Store>,
    leader: u64,
    cache: Arc<Mutex<Cache>>,
}

type Hash = [u8; 32];

#[derive(Debug, Default)]
struct Cache {
    known: HashMap<Hash, Known>,
    /// Grows with each deletion, so that a look-up begun before one is not kept after it.
    generation: u64,
}

/// What a look-up found.
#[derive(Debug, Clone)]
struct Known {
    row: Option<Arc<TokenRow>>,
    until: Instant,
}

impl Tokens {
    /// Over the database's tokens; changes are made in the name of the leader of this epoch.
    pub fn new(store: Arc<dyn Store>, leader: u64) -> Self {
        Self { store, leader, cache: Arc::default() }
    }

    /// Whose secret this is; `None` for one that is wrong, expired or deleted, all alike.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn caller(&self, secret: &str) -> Result<Option<Caller>, StoreError> {
        if secret.is_empty() || secret.len() > SECRET_BYTES_MAX {
            return Ok(None);
        }
        let row = self.row(ids::sha256(secret.as_bytes())).await?;
        let live = row.filter(|row| row.expires_at > time::now());
        Ok(live.map(|row| Caller { token: row.id, scope: row.scope }))
    }

    async fn row(&self, hash: Hash) -> Result<Option<Arc<TokenRow>>, StoreError> {
        let generation = {
            let cache = self.lock();
            match cache.known.get(&hash) {
                Some(known) if known.until > Instant::now() => return Ok(known.row.clone()),
                Some(_) | None => cache.generation,
            }
        };
        let row = self.store.token_by_hash(hash).await?.map(Arc::new);
        self.lock().keep(hash, row.clone(), generation);
        Ok(row)
    }

    /// Makes a token; the answer alone has its secret.
    ///
    /// # Errors
    /// `E_INVALID` for a name or life that breaks its rule; when the database does not answer.
    pub async fn make(&self, request: &TokenRequest) -> Result<NewToken, MakeTokenError> {
        check_name("name", &request.name)?;
        let ttl = checked_ttl(request.ttl)?;
        let secret = ids::secret(TOKEN_PREFIX);
        let row = TokenRow {
            id: ids::token_id(),
            name: request.name.clone(),
            scope: request.scope,
            secret_hash: ids::sha256(secret.as_bytes()),
            created_at: time::now(),
            expires_at: time::now() + ttl,
        };
        self.store.insert_token(self.leader, &row).await?;
        Ok(NewToken { view: view(&row), secret })
    }

    /// Every token, oldest first, without secrets.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list(&self) -> Result<Vec<TokenView>, StoreError> {
        Ok(self.store.tokens().await?.iter().map(view).collect())
    }

    /// Forgets a token, here at once and elsewhere within 5 s; false when it was not there.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn delete(&self, token: TokenId) -> Result<bool, StoreError> {
        let there = self.store.delete_token(self.leader, token).await?;
        self.lock().forget(token);
        Ok(there)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Cache> {
        // The map is whole between any two statements, so a panic elsewhere cannot have broken it.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    fn keep(&mut self, hash: Hash, row: Option<Arc<TokenRow>>, generation: u64) {
        if generation != self.generation {
            return;
        }
        if self.known.len() >= CACHE_ENTRIES_MAX {
            self.known.clear();
        }
        self.known.insert(hash, Known { row, until: Instant::now() + CACHE_TTL });
    }

    fn forget(&mut self, token: TokenId) {
        self.generation += 1;
        self.known.retain(|_, known| known.row.as_ref().is_some_and(|row| row.id != token));
    }
}

/// A token could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MakeTokenError {
    /// The request breaks a rule.
    #[error(transparent)]
    Refused(#[from] Problem),
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn checked_ttl(ttl: Option<Span>) -> Result<Duration, Problem> {
    match ttl.map(Span::duration) {
        None => Ok(TTL_MAX),
        Some(ttl) if (TTL_MIN..=TTL_MAX).contains(&ttl) => Ok(ttl),
        Some(_) => Err(Problem::new(ErrorCode::Invalid, "ttl must be from 1s to 90days").at("ttl")),
    }
}

fn view(row: &TokenRow) -> TokenView {
    TokenView {
        id: row.id,
        name: row.name.clone(),
        scope: row.scope,
        created_at: row.created_at,
        expires_at: row.expires_at,
    }
}
