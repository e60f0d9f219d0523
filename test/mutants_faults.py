"""Faults that clusters had, put back: where several places were mended, all of them at once.

The simulation must find each of them; docs/testing.md has the table.
"""

from mutants_list import LEASE, NODE, OBSERVE, WRITE, Edit, Mutant, unit
from mutants_promises import NODE as PROMISE
from mutants_promises import PROMISE_FILE, promise

NOT_WRITTEN = Edit(
    PROMISE_FILE,
    "a->for_ms == b->for_ms && strcmp(a->contended, b->contended) == 0 &&",
    "a->for_ms == b->for_ms && (a->contended[0] == '\\0' || strcmp(a->contended, b->contended) == 0) &&",
)

MUTANTS = [
    Mutant(
        "S7",
        "a release that asks for nothing lets everybody lead",
        "src/core/stopped.c",
        "stopped->acked != 0 &&\n\t\tstopped->acked < required.lsn)",
        "true &&\n\t\tstopped->acked < required.lsn)",
        unit("observe", "nothing_known_is_never_nothing_needed"),
        more=(
            Edit(
                WRITE,
                "fha_position_is_known(pg->required) ? pg->required : cluster->position;",
                "pg->required;",
            ),
            Edit(
                OBSERVE,
                "return (cluster->released || cluster->release_final) && fha_position_is_known(cluster->release)",
                "return (cluster->released || cluster->release_final)",
            ),
            Edit(OBSERVE, "if (!fha_position_is_known(wanted) || !has_final_end(world))", "if (!has_final_end(world))"),
            Edit(
                OBSERVE,
                "if (fha_position_is_known(heard) && fha_position_compare(heard, wanted) > 0)",
                "if (!cluster->released && fha_position_compare(heard, wanted) > 0)",
            ),
        ),
    ),
    Mutant(
        "S10",
        "who leads an older term promises a later one, and leads on",
        PROMISE,
        "else if (node_term_heed(node, asked->promise.term, &err) != FHA_OK)",
        "else if (false && node_term_heed(node, asked->promise.term, &err) != FHA_OK)",
        promise("a_promised_term_is_the_lowest_from_then_on", "who_leads_a_lower_term_gives_way"),
        more=(Edit(PROMISE, "else if (gives_way(node, now_ms))", "else if (false && gives_way(node, now_ms))"),),
    ),
    Mutant(
        "S10",
        "how a take ended is neither written down nor read about",
        NOT_WRITTEN.file,
        NOT_WRITTEN.text,
        NOT_WRITTEN.replacement,
        promise("who_may_still_get_the_lease_does_not_promise", "a_take_whose_end_is_not_known_is_read_about"),
        more=(
            Edit(
                NODE,
                "members_know_more(node) ||\n\t\t\tnode_promises_owe_a_read(node))",
                "members_know_more(node))",
            ),
        ),
    ),
    Mutant(
        "S1",
        "a version that comes again under a living holder is the one that was seen before",
        LEASE,
        "(void) watch_keep(watch->version, sizeof(watch->version), version);",
        "signed_anew = watch_keep(watch->version, sizeof(watch->version), version) && signed_anew;",
        unit("lease", "s1_the_same_version_with_another_sign_restarts_the_watch"),
    ),
    Mutant(
        "S1",
        "a lapsed lease is taken without another look at it",
        NODE,
        "if (now_ms >= node->read_at_ms + node->config.retry_period_ms)\n\t\t\t{",
        "if (false)\n\t\t\t{",
        unit("node", "s1_a_lapsed_lease_is_looked_at_before_it_is_taken"),
    ),
    Mutant(
        "S10",
        "the disk has a promise for only as long as it is asked for",
        PROMISE,
        "file->ends_at_ms = now_ms + 2 * for_ms;",
        "file->ends_at_ms = now_ms + for_ms;",
        promise("a_slow_disk_is_asked_in_advance"),
        short=False,
    ),
    Mutant(
        "S10",
        "an operator's word lists nobody",
        OBSERVE,
        "(is_failover_to_me(world) && cluster->request.target[0] != '\\0' &&",
        "(false && is_failover_to_me(world) && cluster->request.target[0] != '\\0' &&",
        unit("observe", "s10_an_operator_may_name_a_member_with_other_data"),
    ),
    Mutant(
        "S7",
        "a record that vanished under its holder waits for who is away",
        OBSERVE,
        "return world->confirmed_at_ms != 0 &&",
        "return false && world->confirmed_at_ms != 0 &&",
        unit("observe", "s7_a_vanished_record_is_its_last_holder_s"),
    ),
]
