"""Mutants of our own sessions, and of what a primary keeps for others."""

from mutants_list import Mutant


def maintenance(*names: str) -> tuple[str, ...]:
    return tuple(f"test/test_maintenance.py::{name}" for name in names)


MUTANTS = [
    Mutant(
        "trust",
        "a stranger's operator is found before PostgreSQL's by a worker that is a superuser",
        "src/pg/session.c",
        'session_set("search_path", "pg_catalog, pg_temp");',
        'session_set("search_path", "\\"$user\\", public");',
        maintenance("test_a_strangers_operators_are_not_run"),
        short=False,
    ),
    Mutant(
        "trust",
        "what a database's owner sets for it counts in our workers",
        "src/pg/session.c",
        "variables[i]->source < PGC_S_GLOBAL",
        "variables[i]->source >= PGC_S_DEFAULT",
        maintenance("test_a_strangers_operators_are_not_run"),
        short=False,
    ),
    Mutant(
        "S9",
        "a new cluster's role waits for the standby that waits for the role",
        "src/pg/session.c",
        'session_set("synchronous_commit", "local");',
        "",
        maintenance("test_a_new_cluster_that_wants_a_synchronous_standby"),
        short=False,
    ),
    Mutant(
        "S9",
        "who has all background workers keeps the chores from being done",
        "src/pg/maintenance.c",
        "		do_it_ourselves();",
        "		return;",
        maintenance("test_parallel_queries_keep_no_standby_out"),
        short=False,
    ),
    Mutant(
        "S9",
        "a slot that a person dropped is not made again",
        "src/pg/maintenance.c",
        "#define LOOK_MS 2000",
        "#define LOOK_MS 600000",
        maintenance("test_slots_want_no_database"),
        short=False,
    ),
    Mutant(
        "S7",
        "a logical slot of a primary stays when its server becomes a standby",
        "src/pg/leftover_slots.c",
        "if (OidIsValid(state.slot.database))",
        "if (false)",
        maintenance("test_a_logical_slot_does_not_outlive_the_role"),
        short=False,
    ),
    Mutant(
        "S9",
        "a leader that refuses a rewind for ever keeps a member out for ever",
        "src/cli/rejoin_judge.c",
        "return HAS_ONE(words, answers) && !HAS_ONE(words, passes);",
        "return words[0] == '\\0';",
        maintenance("test_who_is_refused_again_and_again_is_cloned"),
        short=False,
    ),
]
