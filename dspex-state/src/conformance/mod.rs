//! Holds a store against the contract of [`StateStore`], case by case.
//!
//! Whoever writes a store says in a [`Fixture`] how to open one, and gets a test of each case:
//!
//! ```
//! # #![allow(unused_imports, dead_code)]
//! use std::sync::Arc;
//!
//! use dspex_state::conformance::{BoxFuture, Fixture, Reference};
//! use dspex_state::store::{Retention, StateStore};
//!
//! struct InMemory;
//!
//! impl Fixture for InMemory {
//!     fn open(&self, retention: Retention) -> BoxFuture<'_, Arc<dyn StateStore>> {
//!         Box::pin(async move { Arc::new(Reference::new(retention)) as Arc<dyn StateStore> })
//!     }
//! }
//!
//! mod conformance {
//!     dspex_state::conformance_tests!(super::InMemory);
//! }
//! # fn main() {
//! # let case = dspex_state::conformance::CASES[0];
//! # dspex_state::conformance::run(case, InMemory);
//! # }
//! ```
//!
//! One of the cases is a property: arbitrary sequences of operations have the same answers as those of the [`Reference`], a
//! store of maps in memory. `PROPTEST_CASES` says how many sequences there are, and
//! `PROPTEST_RNG_SEED` chooses others.

mod changes;
mod closing;
mod concurrency;
mod given;
mod hints;
mod instances;
mod lifetimes;
mod listing;
mod model;
mod quotas;
mod reference;
mod retention;
mod sessions;
#[cfg(test)]
mod tests;
mod values;
mod variables;
mod writes;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use futures::future::BoxFuture;
pub use reference::Reference;

use crate::store::{Retention, StateStore};

/// A case that takes longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a store comes about.
pub trait Fixture: Send + Sync {
    /// A new, empty store that keeps its log this long.
    fn open(&self, retention: Retention) -> BoxFuture<'_, Arc<dyn StateStore>>;

    /// The store that was opened last, again, after it was closed. None where it kept nothing, and so for a store in memory.
    fn reopen(&self) -> BoxFuture<'_, Option<Arc<dyn StateStore>>> {
        Box::pin(async { None })
    }
}

/// A sentence about stores, and what finds out whether it holds.
#[derive(Clone, Copy)]
pub struct Case {
    /// The sentence, with underscores.
    pub name: &'static str,
    check: for<'a> fn(&'a dyn Fixture) -> BoxFuture<'a, ()>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Holds a store against one case, on a runtime of its own.
///
/// # Panics
///
/// If the case does not hold.
pub fn run(case: Case, fixture: impl Fixture) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.unwrap();
    runtime.block_on(async {
        let check = (case.check)(&fixture);
        assert!(tokio::time::timeout(PATIENCE, check).await.is_ok(), "{case:?} did not end");
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
}

/// Holds a store against the case of this name.
///
/// # Panics
///
/// If there is no such case, or if it does not hold.
pub fn run_named(name: &str, fixture: impl Fixture) {
    match CASES.iter().find(|case| case.name == name) {
        Some(case) => run(*case, fixture),
        None => panic!("there is no case `{name}`"),
    }
}

/// The list of all cases, and the macro that makes a test of each.
macro_rules! cases {
    ($dollar:tt $($module:ident { $($case:ident,)* })*) => {
        /// All cases.
        pub const CASES: &[Case] = &[$($(
            Case { name: stringify!($case), check: |fixture| Box::pin($module::$case(fixture)) },
        )*)*];

        /// A test of each case of the [`conformance`](crate::conformance) suite. Its argument makes the
        /// [`Fixture`](crate::conformance::Fixture), anew for each.
        #[macro_export]
        macro_rules! conformance_tests {
            ($dollar fixture:expr) => {$($(
                #[test]
                fn $case() {
                    $dollar crate::conformance::run_named(stringify!($case), $dollar fixture);
                }
            )*)*};
        }
    };
}

cases! { $
    sessions {
        a_session_comes_back_as_it_was_made,
        an_id_that_lives_is_refused_and_nothing_changes,
        an_id_at_the_limit_of_sessions_is_told_to_exist_first,
        the_limit_of_sessions_counts_those_that_live,
        a_session_that_was_deleted_is_gone_with_everything_in_it,
        an_id_that_is_made_again_has_nothing_of_the_earlier_one,
        metadata_is_merged_as_rfc_7396_says,
        metadata_is_replaced_as_a_whole,
        settings_and_quotas_change_on_their_own,
        totals_count_what_lives,
        every_method_misses_a_session_that_is_not_there,
    }
    lifetimes {
        a_session_whose_time_is_over_is_not_there_before_it_is_swept,
        sweeping_takes_what_is_over_and_no_more_than_it_may,
        touching_renews_a_sliding_session,
        touching_does_not_renew_a_fixed_session,
        touching_never_takes_time_away,
        extending_adds_to_what_was_left,
        another_lifetime_begins_now,
        an_id_whose_session_is_over_can_be_made_again,
    }
    listing {
        sessions_are_listed_in_the_order_of_their_ids_page_by_page,
        sessions_are_filtered_by_prefix_metadata_and_temporariness,
        variables_are_listed_in_the_order_of_their_names_page_by_page,
        globs_know_two_wildcards_and_take_everything_else_as_it_is,
        variables_are_listed_with_or_without_values,
        a_limit_of_zero_lists_nothing,
    }
    variables {
        a_variable_comes_back_as_it_was_written,
        versions_are_the_revisions_of_their_writes,
        a_version_is_never_given_twice,
        an_update_without_a_spec_keeps_the_spec_and_its_version,
        a_new_spec_has_a_version_of_its_own,
        a_deleted_variable_is_gone,
        variables_are_read_together_in_the_order_that_was_asked_for,
        names_are_compared_as_they_are_written,
        a_description_may_be_longer_than_a_page,
    }
    writes {
        what_is_expected_decides_what_is_refused,
        a_compare_and_set_with_another_version_is_refused,
        a_value_for_an_earlier_spec_is_refused,
        a_refusal_names_the_write_and_leaves_nothing_behind,
        writes_of_a_batch_see_those_before_them,
        a_batch_has_one_revision,
        an_empty_batch_has_the_sessions_revision_and_changes_nothing,
        revisions_of_sessions_do_not_depend_on_one_another,
    }
    quotas {
        a_quota_of_variables_is_kept,
        a_quota_of_bytes_counts_what_is_held_now,
        a_quota_counts_what_the_whole_batch_leaves,
        what_shrinks_is_allowed_even_above_a_quota,
    }
    values {
        values_of_every_type_come_back_bit_for_bit,
        tensors_keep_every_bit_of_their_numbers,
        five_megabytes_come_back_bit_for_bit,
        texts_of_all_scripts_are_kept,
    }
    changes {
        changes_are_all_writes_in_order,
        changes_come_in_whole_batches,
        changes_page_by_page_have_neither_gaps_nor_doubles,
        a_history_has_the_latest_change_first,
        a_history_is_that_of_the_variable_that_is_there,
        refused_writes_leave_no_changes,
    }
    retention {
        changes_that_are_not_kept_are_told_to_be_compacted,
        the_latest_revisions_are_always_kept,
        changes_that_are_too_many_bytes_are_compacted,
        a_history_of_a_living_variable_outlives_the_log,
    }
    hints {
        a_write_is_hinted_at,
        the_end_of_a_session_is_hinted_at,
        a_slow_receiver_holds_nobody_up,
    }
    instances {
        an_instance_comes_back_byte_for_byte,
        an_instance_takes_the_place_of_an_earlier_one,
        instances_are_those_of_their_session,
    }
    concurrency {
        writers_with_compare_and_set_lose_no_update,
        one_of_many_who_create_the_same_variable_wins,
        one_of_many_who_make_the_same_session_wins,
        readers_see_whole_batches,
        a_watcher_of_the_log_sees_each_revision_once,
        a_dropped_write_is_whole_or_not_there,
        a_session_that_ends_under_writers_stays_gone,
    }
    closing {
        a_closed_store_says_so,
        what_was_answered_is_there_after_reopening,
        temporary_sessions_end_with_their_store,
        a_healthy_store_has_no_damage,
    }
    model {
        any_sequence_of_operations_has_the_answers_of_the_reference,
    }
}
