//! What both stores must do, said once and run on each: SQLite in a file of its own, and a database of its
//! own in a real PostgreSQL.

#![expect(clippy::unwrap_used, reason = "every function here is part of a test")]

mod store_suite;

/// Each claim becomes a test of its name for each store.
macro_rules! conformance {
    ($($file:ident: $($claim:ident),+;)+) => {
        mod sqlite {
            use crate::store_suite::{self, database::Database};
            $($(
                #[tokio::test]
                async fn $claim() {
                    store_suite::$file::$claim(Database::sqlite()).await;
                }
            )+)+
        }

        mod postgres {
            use crate::store_suite::{self, database::Database};
            $($(
                #[tokio::test]
                async fn $claim() {
                    store_suite::$file::$claim(Database::postgres().await).await;
                }
            )+)+
        }
    };
}

conformance! {
    rounds:
        every_lead_is_larger_than_any_before,
        a_round_of_an_older_leader_is_refused_and_writes_nothing,
        settling_waits_for_the_round_under_way,
        a_round_of_before_the_load_is_refused_and_writes_nothing,
        a_round_that_waits_behind_the_load_is_refused,
        later_changes_of_a_row_override_earlier_ones,
        changes_fold_the_same_within_a_round_and_across_rounds,
        a_round_that_fails_half_way_leaves_nothing,
        the_position_moves_only_when_a_round_names_one,
        a_round_of_many_rows_is_written_whole;
    lead:
        a_lead_is_had_by_one_until_its_lease_ends,
        a_lease_of_before_the_clock_was_set_back_is_over,
        of_many_that_claim_at_once_one_leads,
        a_lead_that_is_renewed_does_not_end,
        a_leader_that_renews_leads_on,
        a_leader_that_cannot_renew_knows_before_anybody_else_leads,
        a_released_lead_is_free_at_once,
        only_who_knows_its_process_gone_follows_itself,
        a_leader_that_was_replaced_writes_nothing_at_all;
    jobs:
        a_job_comes_back_as_it_was_accepted,
        a_hundred_thousand_items_come_back_with_the_whole_job,
        jobs_are_listed_newest_first_in_pages,
        jobs_are_listed_by_project_and_state,
        an_idempotency_key_belongs_to_one_job_for_ever,
        idempotency_keys_are_answered_in_their_order,
        states_of_missing_jobs_are_left_out;
    tasks:
        tasks_without_a_row_are_listed_from_the_fresh_range,
        pages_of_tasks_go_on_where_the_last_one_ended,
        tasks_are_filtered_by_state,
        a_task_shows_its_last_attempt,
        retryable_are_the_tasks_that_ended_badly,
        unknown_ids_find_nothing;
    attempts:
        an_attempt_that_ended_has_a_manifest,
        an_end_keeps_what_was_stored_before,
        a_reopened_attempt_has_no_end_and_can_end_again,
        strange_texts_and_numbers_harm_nothing;
    events:
        events_are_numbered_in_order_without_gaps,
        events_are_filtered_by_job_and_number;
    ledger:
        jobs_of_ideas_are_told_in_order_and_once_they_were,
        jobs_without_their_idea_are_parked_until_they_are_taken;
    nodes:
        nodes_and_journals_are_loaded_as_last_written;
    access:
        tokens_are_kept_found_and_deleted,
        a_join_code_works_once_and_before_it_expires,
        of_many_at_once_one_uses_a_join_code;
    durability:
        what_was_committed_is_there_after_a_reopen,
        a_database_of_newer_software_is_refused,
        a_damaged_row_is_named_and_not_guessed;
    model:
        what_the_core_changed_is_loaded_as_a_model_has_it;
}

#[tokio::test]
async fn a_url_of_another_kind_is_refused_without_being_repeated() {
    let error =
        mesh_orchestrator::store::open("mysql://me:secret@host/db", None).await.unwrap_err();
    let text = format!("{error} {:?}", std::error::Error::source(&error).map(ToString::to_string));
    assert!(text.contains("sqlite: or postgres:"), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable() {
    let url = "postgres://mesh@localhost/none?host=/nonexistent";
    let error = mesh_orchestrator::store::open(url, None).await.unwrap_err();
    assert!(matches!(error, mesh_orchestrator::store::StoreError::Unavailable { .. }), "{error}");
}
