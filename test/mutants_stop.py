"""Mutants of what keeps a node from stopping, and a standby from leading; see mutants_list.py."""

from mutants_list import Mutant, unit

REST = "src/cli/supervisor_rest.c"
STOP = "src/cli/supervisor_stop.c"
LEAVE = "src/node/leave.c"
COMMANDS = "src/pg/commands.c"
AGENT = "src/pg/agent.c"


def stop(*names: str) -> tuple[str, ...]:
    return tuple(f"test/test_stop.py::{name}" for name in names)


MUTANTS = [
    Mutant(
        "S9",
        "a walsender goes by SIGTERM while the server stops",
        "src/pg/drain.c",
        "\telse if (drain_is_postmaster_stopping())\n\t\twaited = 0;\n\telse if (",
        "\telse if (!drain_is_postmaster_stopping() && ",
        stop("test_sigterm_for_every_process_at_once"),
        short=False,
    ),
    Mutant(
        "S9",
        "a walsender that does not stream outlives the server's own signal",
        "src/pg/drain.c",
        "\tif (info->si_code == SI_USER && info->si_pid == MyProcPid)\n",
        "\tif (info->si_code == SI_USER && info->si_pid == 0)\n",
        stop("test_walsenders_that_do_not_stream_hold_up_no_stop"),
        short=False,
    ),
    Mutant(
        "S9",
        "an archiver that hangs keeps the lease from being released",
        REST,
        "\tif (archiver != 0 && is_archiver_alone(self, list, count, server))\n",
        "\tif (false && archiver != 0 && is_archiver_alone(self, list, count, server))\n",
        stop("test_an_archive_command_that_hangs_holds_up_no_switchover"),
        short=False,
    ),
    Mutant(
        "S9",
        "a program of a session keeps a server from stopping",
        REST,
        "\tif (now_ms < self->stop_began_at_ms + PROGRAM_WAIT_MS)\n\t\treturn;\n",
        "\tif (now_ms < INT64_MAX)\n\t\treturn;\n",
        stop("test_a_program_of_a_session_holds_up_no_switchover"),
        short=False,
    ),
    Mutant(
        "S9",
        "a smart shutdown waits for each session",
        AGENT,
        "\telse if (now_ms >= progress->stop_seen_at_ms + SMART_STOP_MS)\n",
        "\telse if (false)\n",
        stop("test_a_smart_shutdown_waits_for_no_session"),
        short=False,
    ),
    Mutant(
        "S9",
        "a node that clones is not stopped",
        STOP,
        "\t\t(void) kill(self->job, SIGTERM);\n",
        "",
        stop("test_a_node_that_clones_can_be_stopped"),
        short=False,
    ),
    Mutant(
        "S9",
        "a node that is stopped takes its lease with it",
        LEAVE,
        "(!action->holds_lease || action->released) &&",
        "",
        unit("leave", "the_lease_is_released_first"),
    ),
    Mutant(
        "S9",
        "a lock that does not answer keeps a node from stopping",
        LEAVE,
        "now_ms > leave->ended_at_ms + release_wait_ms(config);",
        "now_ms == INT64_MAX;",
        unit("leave", "a_lock_that_does_not_answer_is_not_waited_for"),
    ),
    Mutant(
        "S9",
        "a primary is prepared to stop before its checkpoint is made",
        "src/core/prepare.c",
        "\t\t(prepare->checkpoints > 0 && !facts->made))",
        "\t\tfalse)",
        unit("prepare", "a_checkpoint_prepares_a_handover"),
    ),
    Mutant(
        "S9",
        "a server started by hand under a supervisor stays fenced for ever",
        AGENT,
        "view.supervised = supervised || fha_ownership_is_guarded(&ownership);",
        "view.supervised = supervised;",
        stop("test_pg_ctl_restart_of_the_primary"),
        short=False,
    ),
    Mutant(
        "S9",
        "a command of recovery that hangs keeps everybody from leading",
        COMMANDS,
        "\tif (waited_ms >= (ending ? config->lease_duration_ms : RESTORE_WAIT_MS))\n",
        "\tif (waited_ms >= INT64_MAX - RESTORE_WAIT_MS)\n",
        stop("test_commands_of_recovery_that_hang_keep_nobody_from_leading"),
        short=False,
    ),
    Mutant(
        "S9",
        "a standby that nobody can read is no candidate",
        "src/pg/view.c",
        "!view->cold || is_consistent(replayed) ?",
        "!view->cold ?",
        stop("test_a_standby_that_nobody_can_read_may_lead"),
        short=False,
    ),
    Mutant(
        "routing",
        "readers are sent to a standby that lets nobody in",
        "src/core/routing.c",
        "world->pg.state == FHA_PG_STANDBY && !world->pg.cold && freshness->fit",
        "world->pg.state == FHA_PG_STANDBY && freshness->fit",
        unit("routing", "a_standby_says_whether_it_serves_reads"),
    ),
    Mutant(
        "S9",
        "standbys that find no room at the primary are waited for",
        "src/node/request.c",
        "request->primary_first = world->pg.limits_lowered || lacks_room(world);",
        "request->primary_first = world->pg.limits_lowered;",
        unit("node_request", "a_primary_without_room_is_restarted_first"),
    ),
]
