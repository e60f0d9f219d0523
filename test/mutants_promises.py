"""Mutants of S10: what a promise is worth, and to whom."""

from mutants_list import Mutant, unit

NODE = "src/control/node_promise.c"
BOND = "src/control/bond.c"


def promise(*names: str) -> tuple[str, ...]:
    return unit("node_promise", *names)


PROMISES = [
    Mutant(
        "S10",
        "who promised takes the lease when it lapses",
        "src/core/observe.c",
        "(has_lapsed(world, now_ms) && now_ms >= world->bound_until_ms)",
        "has_lapsed(world, now_ms)",
        (*unit("observe", "s10_a_promise_holds_back_who_gave_it"), *promise("who_promised_waits_for_as_long")),
    ),
    Mutant(
        "S10",
        "a copy under a member's name stands on the list",
        "src/core/observe.c",
        "return at < cluster->member_count && same(cluster->member_data[at], data);",
        "return at < cluster->member_count;",
        unit("observe", "s10_the_list_names_data"),
    ),
    Mutant(
        "S10",
        "a holder counts on those that answered",
        NODE,
        "if (promised == NULL || promised->sent_ms == 0 ||",
        "if (promised == NULL || promised->sent_ms == 0)\n\t\t\tcontinue;\n\t\tif (",
        promise("one_that_is_missing_shuts_the_fence"),
    ),
    Mutant(
        "S10",
        "a promise counts from its answer",
        NODE,
        "promised->sent_ms = promised->asked_ms;",
        "promised->sent_ms = fha_now_ms();",
        promise("a_holder_leads_on_while_all_promise"),
    ),
    Mutant(
        "S10",
        "a refusal counts as a promise",
        NODE,
        "if (event->code == FHA_OK && promise->given)",
        "if (event->code == FHA_OK)",
        promise("a_refusal_is_no_promise"),
        short=False,
    ),
    Mutant(
        "S10",
        "a promise for less than the lease counts",
        NODE,
        "promised->for_ms < node->world.tenure.duration_ms ||",
        "",
        promise("a_promise_for_less_does_not_count"),
        short=False,
    ),
    Mutant(
        "S10",
        "the promise of a copy counts",
        NODE,
        "strcmp(promised->data, list->member_data[i]) != 0)",
        "false)",
        promise("only_the_data_on_the_list_can_promise"),
        short=False,
    ),
    Mutant(
        "S10",
        "who may be on the list by a lost write is not asked for",
        NODE,
        "{node->unknown ? &node->lost : NULL,",
        "{NULL,",
        promise("who_may_be_on_the_list_must_promise_too"),
        short=False,
    ),
    Mutant(
        "S10",
        "a promise is given while an attempt at the lease may arrive",
        NODE,
        "if (node->promises.bond.contended[0] != '\\0')\n\t\treturn",
        "if (false)\n\t\treturn",
        promise("who_may_still_get_the_lease_does_not_promise"),
    ),
    Mutant(
        "S10",
        "a refused attempt stands for one that was lost before it",
        NODE,
        "else if (version_is_gone || !node->promises.lost_take)",
        "else",
        promise("who_may_still_get_the_lease_does_not_promise"),
    ),
    Mutant(
        "S10",
        "an attempt at the lease is not written down",
        NODE,
        "code = fha_bond_save(&node->config, &bond, err);\n\tif (code == FHA_OK)\n\t\tnode->promises.bond = bond;"
        "\n\treturn code;\n}\n\n/* The file",
        "code = FHA_OK;\n\tnode->promises.bond = bond;\n\treturn code;\n}\n\n/* The file",
        promise("who_may_still_get_the_lease_does_not_promise"),
    ),
    Mutant(
        "S10",
        "a promise is given that is not on disk",
        NODE,
        "else if (bind_until(node, now_ms, asked->promise.duration_ms, &err) != FHA_OK)",
        "else if (bind_until(node, now_ms, asked->promise.duration_ms, &err) != FHA_OK && false)",
        promise("what_cannot_be_written_down_is_not_promised"),
    ),
    Mutant(
        "S10",
        "a promise is forgotten by who starts again",
        NODE,
        "node->world.bound_until_ms = fha_bond_until_ms(bond, boot_id, now_ms);",
        "node->world.bound_until_ms = 0;",
        promise("a_promise_outlives_its_giver"),
    ),
    Mutant(
        "S10",
        "another machine counts the time of a promise on its own clock",
        BOND,
        "if (strcmp(bond->boot_id, boot_id) != 0 || bond->until_ms > at_most_ms)",
        "if (bond->until_ms > at_most_ms)",
        promise("a_promise_outlives_its_giver"),
    ),
    Mutant(
        "S10",
        "a promise for a term that is over",
        NODE,
        "if (terms->term < world->self.highest_term)",
        "if (false)",
        promise("what_may_not_be_promised"),
    ),
    Mutant(
        "S10",
        "a promise to who does not hold the lease",
        NODE,
        "if (strcmp(cluster->holder, asked->from) != 0 ||",
        "if (false && strcmp(cluster->holder, asked->from) != 0 &&",
        promise("what_may_not_be_promised"),
    ),
    Mutant(
        "S10",
        "promises open what was shut for a handover",
        NODE,
        "!(node_request_moves_lease(request) && request->state <= FHA_REQUEST_RUNNING)",
        "true",
        promise("an_order_to_hand_over_ends_it"),
        short=False,
    ),
    Mutant(
        "S10",
        "a promise opens a fence that was shut after it was asked for",
        "src/core/lease.c",
        "if (sent_ms < tenure->shut_ms || until_ms <= tenure->write_until_ms)",
        "if (until_ms <= tenure->write_until_ms)",
        unit("lease", "s10_no_promise_opens_what_was_shut_or_never_held"),
    ),
]
