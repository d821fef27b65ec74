//! The object store: an object is there as a whole or not at all, and what is there stays, whatever befell
//! the upload. What it answers may be untrue, so that nobody believes it who has not looked.
//!
//! Not here: the product never lists and never deletes; lengths that differ from what was signed are a
//! matter of the real ones alone, as the model's uploads are exact.

mod laws;
mod model;
mod s3;

use mesh_schemas::ErrorCode;
use mesh_sim::models::{Faults, Put};

use crate::within::May;

/// What befalls an upload. The model has whatever its seed has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trouble {
    None,
    /// The store answers 503 in place of taking it.
    Unavailable,
    /// Somebody answers 200 in place of the store.
    Lie,
    /// The connection is reset within the bytes.
    CutWithin,
    /// It is stored, and the answer is lost.
    AnswerLost,
    /// It is in the network for longer than its sender waits.
    Late,
    /// There is no store.
    Down,
}

/// One store.
pub(crate) trait Objects {
    /// A node uploads through a URL that it was given.
    async fn put(&mut self, trouble: Trouble, key: &str, bytes: Vec<u8>) -> Put;
    /// Whether it is there with this length, as the orchestrator sees it.
    async fn look(&mut self, key: &str, size: usize) -> Result<(), ErrorCode>;
    async fn get(&mut self, key: &str) -> Option<Vec<u8>>;
    /// The trouble is over, and whatever was under way has come to its end.
    async fn settle(&mut self, key: &str, trouble: Trouble);
    /// The store dies and comes back with its disk.
    async fn restart(&mut self);
    /// Whether it refuses to overwrite.
    fn refuses_overwrites(&self) -> bool;
}

/// What came of a law.
pub(crate) type Did = (Vec<Put>, Vec<Result<(), ErrorCode>>);

/// Each law on the model, with stores that refuse to overwrite and others.
macro_rules! contract {
    ($($law:ident($($trouble:ident)?): $faults:ident;)+) => {
        /// Every law on a real store, within what the model may do.
        async fn hold(store: &mut s3::S3) {
            let refuses = store.refuses_overwrites();
            $(let trouble = contract!(@trouble $($trouble)?);
            if store.suffers(trouble) {
                let law = stringify!($law);
                let name = format!("{law}-{trouble:?}-{refuses}");
                let did = laws::$law(store, trouble, &name).await;
                println!("{name}: {did:?}");
                let may = May::of(async |seed| {
                    let mut model = model::Model::new(seed, Faults::$faults, refuses);
                    laws::$law(&mut model, trouble, "a/key").await
                });
                may.await.admits(&did);
            })+
        }
    };
    (@trouble) => { Trouble::None };
    (@trouble $trouble:ident) => { Trouble::$trouble };
}

contract! {
    what_was_put_is_there_as_it_was(): None;
    what_was_never_put_is_not_there(): None;
    a_second_put_leaves_the_old_or_the_new_whole(): None;
    an_upload_is_there_whole_or_not_at_all(None): Any;
    an_upload_is_there_whole_or_not_at_all(Unavailable): Any;
    an_upload_is_there_whole_or_not_at_all(Lie): Any;
    an_upload_is_there_whole_or_not_at_all(CutWithin): Any;
    an_upload_is_there_whole_or_not_at_all(AnswerLost): Any;
    an_upload_is_there_whole_or_not_at_all(Late): Any;
    an_upload_is_there_whole_or_not_at_all(Down): Any;
    what_was_confirmed_outlives_a_kill(): None;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store_keeps_the_laws() {
    let mut store = s3::S3::embedded(true).await;
    hold(&mut store).await;
    store.another_length_leaves_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store_keeps_the_laws_where_it_may_overwrite() {
    hold(&mut s3::S3::embedded(false).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn seaweedfs_keeps_the_laws() {
    let mut store = s3::S3::seaweedfs(true).await;
    hold(&mut store).await;
    store.another_length_leaves_nothing().await;
}
