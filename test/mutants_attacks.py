"""The mutants that only an attack on a whole server or cluster shows; see mutants_list.py."""

from mutants_list import FENCE, SEND, Mutant

SUPERVISOR = "src/cli/supervisor.c"


def attack(module: str, *names: str) -> tuple[str, ...]:
    return tuple(f"test/test_attacks_{module}.py::{name}" for name in names)


ATTACKS = [
    Mutant(
        "S1",
        "the clock is read before the postmaster is looked for",
        SEND,
        "if (has_postmaster() && may_leave())",
        "if (may_leave() && has_postmaster())",
        attack("fence", "test_stopped_after_the_commit_record[getppid]"),
        short=True,
    ),
    Mutant(
        "S2",
        "a system call stands between the clock and the send",
        SEND,
        "\t\t\tresult = original->flush_if_writable();\n\t}",
        "\t\t{\n\t\t\t(void) has_postmaster();\n\t\t\tresult = original->flush_if_writable();\n\t\t}\n\t}",
        attack("fence", "test_nothing_stands_between_the_clock_and_the_send"),
        short=False,
    ),
    Mutant(
        "S2",
        "a commit that began in time is acknowledged",
        SEND,
        "if (!lapsed && !fence_refuses())",
        "if (!lapsed && (unacked || !fence_refuses()))",
        attack(
            "fence",
            "test_stopped_before_the_commit_record",
            "test_stopped_after_the_commit_record[fdatasync]",
            "test_drop_of_thousands_of_tables_across_a_lapse",
        ),
        short=False,
    ),
    Mutant(
        "S2",
        "COMMIT PREPARED stopped in its flush is acknowledged",
        FENCE,
        "\tif (!finishes_prepared(node))",
        "\tif (true)",
        attack("fence", "test_two_phases_across_a_lapse[COMMIT PREPARED]"),
        short=False,
    ),
    Mutant(
        "S2",
        "PREPARE TRANSACTION stopped in its flush is acknowledged",
        FENCE,
        "\t\t\tfence_send_committed(GetFlushRecPtr(NULL));",
        "\t\t\tfence_send_commit_ended();",
        attack("fence", "test_two_phases_across_a_lapse[PREPARE TRANSACTION]"),
        short=False,
    ),
    Mutant(
        "S2",
        "a commit is acknowledged before the files of dropped tables are gone",
        FENCE,
        "\t\t\tif (TransactionIdIsValid(GetTopTransactionIdIfAny()))\n\t\t\t\tfence_send_committed(XactLastCommitEnd);",
        "\t\t\tif (TransactionIdIsValid(GetTopTransactionIdIfAny()))\n"
        "\t\t\t\t(fence_refuses() ? fence_send_committed(XactLastCommitEnd) : fence_send_commit_ended());",
        attack("fence", "test_drop_of_thousands_of_tables_across_a_lapse"),
        short=False,
    ),
    Mutant(
        "S3",
        "the fence is moved by the wall clock",
        FENCE,
        "\tclock_gettime(CLOCK_BOOTTIME, &now);\n\treturn (int64) now.tv_sec * 1000",
        "\tstatic int64 began = 0;\n\tstruct timespec wall;\n\n\tclock_gettime(CLOCK_BOOTTIME, &now);\n"
        "\tclock_gettime(CLOCK_REALTIME, &wall);\n\tif (began == 0)\n\t\tbegan = wall.tv_sec - now.tv_sec;\n"
        "\tnow.tv_sec = wall.tv_sec - began;\n\treturn (int64) now.tv_sec * 1000",
        attack("fence", "test_a_step_of_the_wall_clock_moves_no_fence"),
        short=False,
    ),
    # --- processes
    Mutant(
        "S1",
        "a fence that nobody shuts stays open",
        FENCE,
        "(uint64) now_ms() < write_until_ms",
        "write_until_ms > 0",
        attack("processes", "test_a_stopped_agent_loses_the_lease"),
        short=False,
    ),
    Mutant(
        "S2",
        "a successor needs no more than the last renewal told",
        SUPERVISOR,
        "self->required.lsn = acked;",
        "self->required.lsn = mark->lsn;",
        attack("processes", "test_commits_between_two_renewals"),
        short=False,
    ),
    Mutant(
        "S9",
        "orphans that do not look up live on",
        SUPERVISOR,
        "(void) process_kill_holders(path);",
        "(void) process_kill_holders(\"/nowhere\");",
        attack("processes", "test_orphans_of_another_supervisor"),
        short=False,
    ),
    Mutant(
        "S9",
        "a new supervisor takes a server that shuts down for orphans",
        "src/cli/cmd_run.c",
        "self->foreign = postgres_running(&self->config);",
        "self->foreign = postgres_running(&self->config) * 0;",
        attack("processes", "test_a_supervisor_killed_during_the_shutdown_checkpoint"),
        short=False,
    ),
    Mutant(
        "S9",
        "an immediate shutdown has no deadline",
        SUPERVISOR,
        "else if (self->stop_stage == 2 && now_ms",
        "else if (self->stop_stage == 4 && now_ms",
        attack("processes", "test_a_shutdown_gets_harder"),
        short=False,
    ),
]
