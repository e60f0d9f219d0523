"""Mutants of replication lag: never smaller than it is, and nobody's wall clock has a part in it."""

from mutants_list import Mutant, unit

FRESHNESS = "src/core/freshness.c"
NODE_LAG = "src/node/lag.c"


def lag(*names: str) -> tuple[str, ...]:
    return tuple(f"test/test_lag.py::{name}" for name in names)


MUTANTS = [
    Mutant(
        "lag",
        "a standby that has replayed all that it received has no lag",
        FRESHNESS,
        "return fresh_at_ms == 0 ? FHA_LAG_UNKNOWN : now_ms - fresh_at_ms;",
        "return fresh_at_ms == 0 ? FHA_LAG_UNKNOWN : freshness->count == 0 ? 0 : now_ms - fresh_at_ms;",
        unit("freshness", "who_hears_nothing_falls_behind"),
    ),
    Mutant(
        "lag",
        "a standby that has everything has no lag, whether it hears its leader or not",
        FRESHNESS,
        "return now_ms <= whole_ends_at_ms || now_ms <= fresh_at_ms ? 0",
        "return whole_ends_at_ms != 0 || now_ms <= fresh_at_ms ? 0",
        unit("freshness", "what_is_shown_is_none_and_then_the_age"),
    ),
    Mutant(
        "lag",
        "a standby that does not stream has no lag once it has replayed what it received",
        NODE_LAG,
        "out->bytes[stage] == 0 && out->streaming && out->fresh_at_ms[stage] != 0",
        "out->bytes[stage] == 0 && out->fresh_at_ms[stage] != 0",
        unit("node_lag", "who_has_everything_has_no_lag_while_the_leader_is_heard"),
    ),
    Mutant(
        "lag",
        "a standby comes back as soon as it is within the limit",
        FRESHNESS,
        "else if (lag_ms <= limit_ms / 2)",
        "else",
        unit("freshness", "it_comes_back_at_half_the_limit"),
    ),
    Mutant(
        "lag",
        "a standby waits for the WAL that only the leader before had",
        FRESHNESS,
        "{\n\tfreshness->count = 0;",
        "{\n\t(void) freshness;",
        unit("freshness", "another_leader_may_be_behind_the_one_before"),
    ),
    Mutant(
        "lag",
        "a standby that does not stream goes by the record",
        NODE_LAG,
        "if (streams && lag->streamed)",
        "if (true)",
        unit("node", "a_standby_that_does_not_stream_ages"),
    ),
    Mutant(
        "lag",
        "a standby hears of its leader from the record alone",
        NODE_LAG,
        "lag->heard_stamp != pg->heard_stamp",
        "false",
        unit("node", "messages_of_the_stream_keep_a_standby_fresh"),
    ),
    Mutant(
        "lag",
        "what was written counts as replayed",
        FRESHNESS,
        "for (int stage = FHA_STAGES - 1; stage >= 0; stage--)",
        "for (int stage = 0; stage < FHA_STAGES; stage++)",
        unit("freshness", "what_is_written_flushed_and_replayed_is_kept_apart"),
    ),
    Mutant(
        "lag",
        "the oldest sample makes room for a new one",
        FRESHNESS,
        "sample_drop(freshness, best);",
        "sample_drop(freshness, 0);",
        unit("freshness", "a_lag_errs_to_one_side_and_by_a_part_of_itself"),
    ),
    Mutant(
        "lag",
        "a sample that is dropped counts as reached with the one before it",
        FRESHNESS,
        "sample_drop(freshness, best);",
        "freshness->waiting[best - 1].at_ms = freshness->waiting[best].at_ms;\n\tsample_drop(freshness, best);",
        unit("freshness", "a_lag_errs_to_one_side_and_by_a_part_of_itself"),
    ),
    Mutant(
        "lag",
        "a standby that has replayed all that it received is up to date: on real servers",
        NODE_LAG,
        "fha_freshness_reached(freshness, reached);",
        "fha_freshness_reached(freshness, reached);\n\tif (pg->replayed >= pg->position.lsn)\n"
        "\t\tfor (int i = 0; i < FHA_STAGES; i++)\n\t\t\tfreshness->fresh_at_ms[i] = now_ms;",
        lag("test_a_standby_that_is_cut_off"),
        short=False,
    ),
    Mutant(
        "lag",
        "what a standby has flushed counts as replayed: on real servers",
        NODE_LAG,
        "{pg->written, pg->position.lsn, pg->replayed}",
        "{pg->written, pg->position.lsn, pg->position.lsn}",
        lag("test_a_paused_replay"),
        short=False,
    ),
    Mutant(
        "lag",
        "an old reply of a standby counts again",
        NODE_LAG,
        "if (kept->stamp == standby->stamp)",
        "if (false)",
        unit("node_lag", "a_reply_counts_once"),
    ),
    Mutant(
        "lag",
        "a record that was there before this node is as new as it",
        NODE_LAG,
        "now_ms - node->first_heard_at_ms > FHA_POLL_LEASES * node->config.lease_duration_ms)",
        "true)",
        unit("node_lag", "a_record_that_was_there_before_us_says_nothing"),
    ),
    Mutant(
        "lag",
        "a renewal that is seen after an outage of the lock is as new as that",
        NODE_LAG,
        "now_ms - node->read_at_ms > FHA_POLL_LEASES * node->config.lease_duration_ms)",
        "false)",
        unit("node_lag", "a_renewal_tells_of_the_standbys"),
    ),
    Mutant(
        "lag",
        "bytes that are not known are none",
        NODE_LAG,
        "out->bytes[stage] = -1;",
        "out->bytes[stage] = 0;",
        unit("node_lag", "bytes_are_counted_from_the_leaders_position"),
    ),
    Mutant(
        "lag",
        "/replica: a time that is not known is none",
        "src/show/health.c",
        ": health->lag[FHA_REPLAYED].known ? health->lag[FHA_REPLAYED].ms",
        ": true ? health->lag[FHA_REPLAYED].ms",
        unit("health", "lag_in_time_is_that_of_what_is_shown"),
    ),
]
