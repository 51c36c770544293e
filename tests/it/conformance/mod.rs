//! What every backend must do, said once and asked of each: every command of `COMMANDS` with its options
//! and refusals, scripts, transactions, expiry. Where backends differ on purpose, [`DIFFERENCES`] says so.

mod batches;
mod expiry;
mod info;
mod listening;
mod operations;
mod refusals;
mod scanning;
mod scripts;
mod sorted_sets;
mod transcript;
mod values;

use crate::harness::backend::Backend;

/// Something that not every backend does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    RefusesOtherSlots,
    RefusesUndeclaredKeys,
    RefusesOtherCommands,
    StopsRunaways,
    DrawsRandomNumbers,
    ReadsHexadecimalScores,
    AnswersDiscardedTransactions,
    KeepsShapes,
    CarriesAnyBytes,
    TellsOfItsMemory,
    KeepsASlowLog,
}

/// Which backends do it, and why the others do not.
const DIFFERENCES: &[(Behaviour, &[&str], &str)] = &[
    (Behaviour::RefusesOtherSlots, &["memory"], "one Redis alone has no slots; a cluster refuses too"),
    (Behaviour::RefusesUndeclaredKeys, &["memory"], "one Redis alone does not look; a cluster and Upstash refuse too"),
    (Behaviour::RefusesOtherCommands, &["memory"], "the embedded backend knows what stores and scripts may say"),
    (Behaviour::StopsRunaways, &["memory"], "Redis lets a script run and tells others BUSY"),
    (
        Behaviour::DrawsRandomNumbers,
        &["native", "rest"],
        "Redis draws the same numbers each time, which nothing should use",
    ),
    (Behaviour::AnswersDiscardedTransactions, &["memory", "native"], "over REST the whole request is refused"),
    (Behaviour::KeepsShapes, &["memory", "native"], "in JSON a status, and an error within an array, is text"),
    (Behaviour::CarriesAnyBytes, &["memory", "native"], "JSON carries text, so an argument must be UTF-8"),
    (Behaviour::TellsOfItsMemory, &["native", "rest"], "the embedded backend says nothing of what it does not count"),
    (Behaviour::KeepsASlowLog, &["native", "rest"], "the embedded backend has none; Upstash refuses to tell"),
    (Behaviour::ReadsHexadecimalScores, &["native", "rest"], "C's strtod reads them, nothing writes them"),
];

/// Whether a backend is declared to do it.
pub fn does(backend: &Backend, behaviour: Behaviour) -> bool {
    let row = DIFFERENCES.iter().find(|(declared, _, _)| *declared == behaviour).expect("a declared difference");
    row.1.contains(&backend.name)
}

fn run(make: fn() -> Backend, case: impl AsyncFnOnce(Backend)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { case(make()).await });
}

/// Asks every backend every case. A case that is not named here is dead code, which the build refuses.
macro_rules! suite {
    ($($part:ident { $($case:ident)* })*) => {
        suite!(@on memory Backend::memory; $($part { $($case)* })*);
        suite!(@on native Backend::native; $($part { $($case)* })*);
        suite!(@on rest Backend::rest; $($part { $($case)* })*);
    };
    (@on $name:ident $make:path; $($part:ident { $($case:ident)* })*) => {
        mod $name {
            use super::Backend;
            $(mod $part {
                use super::Backend;
                $(#[test]
                fn $case() {
                    crate::conformance::run($make, crate::conformance::$part::$case);
                })*
            })*
        }
    };
}

suite! {
    values {
        get_and_set
        set_takes_every_option
        set_refuses_options_that_contradict
        incr
        hashes
        del_and_exists
        rename_moves_value_and_expiry
        any_bytes_are_kept
    }
    sorted_sets {
        scores_are_read_and_written_as_redis_does
        zadd_takes_every_option
        zrem_and_zcard
        ranges_by_index
        ranges_by_score
        ranges_by_bytes
        bounds_that_are_no_bounds_are_refused
        zremrangebyscore
    }
    refusals {
        every_command_refuses_a_key_of_another_type
        every_command_refuses_the_wrong_number_of_arguments
        unknown_commands_are_refused
    }
    scanning {
        a_scan_finds_every_key_that_matches
        what_stays_is_found_whatever_is_written_and_removed_meanwhile
        scans_that_make_no_sense_are_refused
    }
    info {
        a_backend_tells_since_when_it_runs_and_how_many_keys_it_has
        sections_are_told_by_name
        what_a_backend_does_not_count_is_missing_and_not_zero
        a_slow_log_is_told_or_said_not_to_be_kept
    }
    expiry {
        a_key_is_gone_after_its_time
        pexpireat_takes_every_condition
        a_time_in_the_past_deletes
        what_keeps_the_time_and_what_drops_it
        time_is_told_in_two_parts
    }
    scripts {
        values_are_converted_both_ways
        arguments_are_strings_and_numbers
        an_error_keeps_its_code_and_what_was_written_before
        pcall_hands_the_error_over
        replies_can_be_made
        globals_are_protected
        the_outside_is_out_of_reach
        a_script_is_known_again_after_a_flush
        keys_must_be_declared
        a_script_is_found_by_its_digest_in_a_transaction
        lines_and_calls_are_checked
        a_script_sees_one_moment
        a_script_may_say_and_hear_much_at_once
    }
    operations {
        a_repeated_script_acts_once_and_answers_the_same
        the_body_sees_its_own_keys_and_arguments
        bytes_of_any_kind_come_back_from_an_operation
        an_operation_that_was_refused_is_not_remembered
        errors_of_an_operation_name_the_line_of_its_body
        an_operation_is_known_for_a_minute
        an_operation_survives_a_flush_of_the_scripts
        what_has_no_key_cannot_be_an_operation
    }
    listening {
        publish_counts_those_who_hear_it
        what_one_server_publishes_every_other_hears
        a_listener_hears_nothing_of_another_prefix_or_channel
        any_text_comes_as_it_was_published
        instead_of_a_message_that_is_too_long_a_listener_begins_again
        scripts_and_transactions_publish_too
        a_listener_that_is_dropped_has_gone
    }
    batches {
        answers_come_in_order
        a_thousand_commands_are_answered
        a_refusal_leaves_its_neighbours_alone
        a_transaction_applies_what_can_be_applied
        a_transaction_that_cannot_be_queued_does_nothing
        keys_of_two_slots_are_refused
        nothing_comes_between_the_commands_of_a_script
    }
}

#[test]
fn every_command_has_its_lines() {
    let lines = [
        include_str!("values.rs"),
        include_str!("sorted_sets.rs"),
        include_str!("expiry.rs"),
        include_str!("info.rs"),
        include_str!("scanning.rs"),
        include_str!("listening.rs"),
    ]
    .concat();
    for command in agentapi::db::COMMANDS {
        let said = lines.lines().any(|line| line.trim().starts_with(&format!("{command} ")));
        assert!(said || *command == "TIME", "{command}");
    }
}
