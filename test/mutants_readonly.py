"""Mutants of read-only access."""

from mutants_list import Mutant, unit


def readonly(*names: str) -> tuple[str, ...]:
    return tuple(f"test/test_readonly.py::{name}" for name in names)


HOOKS = "src/pg/readonly.c"
RULES = "src/pg/readonly_rules.c"
ON_PRIMARY = readonly("test_it_reads_and_does_nothing_else_on_a_primary")

MUTANTS = [
    Mutant(
        "reading",
        "a read-only role is let in on a primary",
        HOOKS,
        "\t\trefuse_primary(port->user_name);\n",
        "\t\tdecided = false;\n",
        readonly("test_it_is_refused_on_the_primary"),
        short=False,
    ),
    Mutant(
        "reading",
        "its transactions on a primary may write",
        HOOKS,
        "\tXactReadOnly = true;\n",
        "",
        ON_PRIMARY,
        short=False,
    ),
    Mutant(
        "reading",
        "it calls what writes large objects",
        HOOKS,
        "\t\treadonly_check_function(object);\n",
        "\t\treturn;\n",
        readonly("test_large_objects_by_the_protocols_own_call", "test_it_reads_and_does_nothing_else_on_a_primary"),
        short=False,
    ),
    Mutant(
        "reading",
        "it runs any statement that PostgreSQL takes for reading",
        HOOKS,
        "\t\treadonly_check_utility(statement->utilityStmt);\n",
        "",
        readonly("test_it_reads_and_does_nothing_else_on_a_standby"),
        short=False,
    ),
    Mutant(
        "reading",
        "EXPLAIN ANALYZE makes tables for it",
        HOOKS,
        "\t\treadonly_refuse_change();\n",
        "\t\treturn;\n",
        ON_PRIMARY,
        short=False,
    ),
    Mutant(
        "reading",
        "it sees everybody's verifiers",
        RULES,
        "\treturn may || may_read_columns(table, columns, role);",
        "\treturn may || table != InvalidOid;",
        readonly("test_it_reads_and_does_nothing_else_on_a_standby"),
        short=False,
    ),
    Mutant(
        "reading",
        "views of statistics show it everybody's verifiers",
        HOOKS,
        "\t\treadonly_check_statistics(wanted->relid);\n",
        "",
        readonly("test_it_reads_and_does_nothing_else_on_a_standby", "test_nothing_of_postgresql_shows_it_secrets"),
        short=False,
    ),
    Mutant(
        "reading",
        "the planner tells it what ANALYZE found in catalogues",
        HOOKS,
        "\tget_relation_stats_hook = previous_relation_stats ? relation_stats : relation_stats_alone;\n",
        "",
        readonly("test_the_planner_tells_it_nothing"),
        short=False,
    ),
    Mutant(
        "reading",
        "it fills the server's log",
        RULES,
        "\t\t\tsettings[i]->context = held ? PGC_SUSET : PGC_USERSET;\n",
        "\t\t\tsettings[i]->context = PGC_USERSET;\n",
        readonly("test_options_of_a_login_fill_no_log"),
        short=False,
    ),
    Mutant(
        "reading",
        "its group may be renamed",
        RULES,
        "\tif (what != NULL)\n",
        "\tif (what != NULL && statement == NULL)\n",
        readonly("test_the_group_stays"),
        short=False,
    ),
    Mutant(
        "reading",
        "its temporary files have no bound",
        "src/pg/readonly_role.c",
        "\tchanged |= keep_limits(role);\n",
        "",
        readonly("test_its_use_of_a_server_has_bounds"),
        short=False,
    ),
    Mutant(
        "reading",
        "it connects to databases that were not named",
        HOOKS,
        "\tif (!may_connect(role, port->database_name))",
        "\tif (!may_connect(role, port->database_name) && role == InvalidOid)",
        readonly("test_other_databases_are_closed"),
        short=False,
    ),
    Mutant(
        "reading",
        "its sessions stay on a standby that becomes the primary",
        HOOKS,
        "\t\t\tif (pid != 0 && kill((pid_t) pid, SIGTERM) == 0)",
        "\t\t\tif (pid != 0)",
        readonly("test_sessions_end_when_their_standby_becomes_the_primary"),
        short=False,
    ),
    Mutant(
        "reading",
        "its password may stand in a statement",
        "src/pg/readonly_role.c",
        "\tif (verifier != NULL && get_password_type(verifier) != PASSWORD_TYPE_SCRAM_SHA_256)",
        "\tif (verifier != NULL && verifier[0] == 0)",
        readonly("test_a_password_is_refused_and_not_told"),
        short=False,
    ),
    Mutant(
        "reading",
        "a standby that is not fit keeps readers from a primary",
        "src/core/routing.c",
        "\t\tserved = world->members[i].serves == FHA_SERVES_REPLICA &&\n",
        "\t\tserved =\n",
        unit("routing", "a_leader_is_alone_when_no_standby_has_served_for_a_while"),
    ),
]
