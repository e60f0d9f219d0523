"""The mutants that the attacks on timelines, rewinds, clones, identity and disks show; see mutants_list.py."""

from mutants_list import OBSERVE, Mutant, unit

SUPERVISOR = "src/cli/supervisor.c"
REWIND = "src/cli/rejoin_rewind.c"


def attack(module: str, *names: str) -> tuple[str, ...]:
    return tuple(f"test/test_attacks_{module}.py::{name}" for name in names)


DATA = [
    # --- S7: timelines, and whose data it is
    Mutant(
        "S7",
        "an older copy of the holder's data leads again",
        OBSERVE,
        "return fha_position_compare(world->pg.position, world->cluster.position) >= 0;",
        "return world->pg.position.timeline != 0;",
        unit("observe", "s7_an_older_copy_is_not_the_holder_s_data"),
    ),
    Mutant(
        "S7",
        "a timeline of the same number is the leader's",
        OBSERVE,
        "\tif (is_of_another_origin(cluster, position.timeline, origin))\n",
        "\tif (false && is_of_another_origin(cluster, position.timeline, origin))\n",
        unit("observe", "s7_a_timeline_of_another_origin_is_not_the_leader_s"),
    ),
    Mutant(
        "S7",
        "a server whose promotion was cut short comes up as a primary",
        "src/pg/shmem.c",
        "\t\tif (access(path, F_OK) == 0)",
        "\t\tif (false)",
        attack("timelines", "test_a_half_promotion[signal-checkpointer]"),
        short=False,
    ),
    Mutant(
        "S7",
        "what was acknowledged before a restart is forgotten",
        SUPERVISOR,
        "atomic_store(&self->watermark->acked_lsn, standby ? 0 : self->required.lsn);",
        "atomic_store(&self->watermark->acked_lsn, 0);",
        attack("timelines", "test_what_an_earlier_life_acknowledged"),
        short=False,
    ),
    Mutant(
        "S7",
        "the lock file of a living server's socket is taken for a dead one's",
        "src/cli/postgres_stale.c",
        "\t\t   !process_works_in(pid, directory);",
        "\t\t   true;",
        attack("identity", "test_the_lock_file_of_a_living_server_s_socket_stays"),
        short=False,
    ),
    Mutant(
        "S7",
        "a server that was started by hand is let be",
        SUPERVISOR,
        "\tself->foreign = postgres_running(&self->config);\n\tif (self->foreign == 0)",
        "\tself->foreign = 0;\n\tif (self->foreign == 0)",
        attack("identity", "test_a_server_without_the_library_is_not_left_running"),
        short=False,
    ),
    Mutant(
        "S7",
        "members on one machine share a tablespace",
        "src/pg/refuse.c",
        "if (IsA(node, CreateTableSpaceStmt))",
        "if (false)",
        attack("places", "test_a_tablespace_outside_the_data_directory"),
        short=False,
    ),
    # --- S9: no election waits for ever
    Mutant(
        "S9",
        "what cannot be promoted is elected",
        OBSERVE,
        " || world->pg.too_small)",
        ")",
        unit("observe", "what_cannot_be_promoted_is_never_fit"),
    ),
    Mutant(
        "S9",
        "a promotion waits for readers",
        "src/pg/agent.c",
        "\tCancelDBBackends(InvalidOid, PROCSIG_RECOVERY_CONFLICT_SNAPSHOT, true);\n",
        "",
        attack("standby", "test_a_reader_in_the_way_of_replay[idle in a transaction]"),
        short=False,
    ),
    # --- S11, S4b: the way back
    Mutant(
        "S11",
        "what a clone replaced goes before the clone streams",
        SUPERVISOR,
        "if (atomic_exchange(&self->watermark->streaming, 0) != 0 && !self->old_forgotten)",
        "if (!self->old_forgotten)",
        attack("rejoin", "test_wal_gone_is_a_clone_that_keeps_who_the_node_is"),
        short=False,
    ),
    Mutant(
        "S11",
        "a receiver that only tries counts as streaming",
        "src/pg/view.c",
        "return told != InvalidXLogRecPtr && WalRcvStreaming();",
        "return told == told && WalRcvStreaming();",
        attack("rejoin", "test_a_supervisor_killed_before_its_clone_streams"),
        short=False,
    ),
    Mutant(
        "S11",
        "a new supervisor does not know what the running server has done",
        "src/cli/cmd_run.c",
        "self->foreign == 0 ? -1 : find_watermark(self->foreign)",
        "self->foreign == 0 ? find_watermark(0) : -1",
        attack("rejoin", "test_a_supervisor_killed_before_its_clone_streams"),
        short=False,
    ),
    Mutant(
        "S11",
        "a rewind leaves no mark",
        REWIND,
        "if (rejoin_keep_own(config, err) != FHA_OK || rejoin_mark_damaged(config, err) != FHA_OK)",
        "if (rejoin_keep_own(config, err) != FHA_OK)",
        attack("rejoin", "test_a_supervisor_killed_in_the_middle_of_a_rewind"),
        short=False,
    ),
    Mutant(
        "S11",
        "a rewind begins although the WAL past the fork was not saved",
        REWIND,
        "if (save_wal(plan, &fork, err) != FHA_OK)",
        "if (save_wal(plan, &fork, err) == FHA_NO_MEMORY)",
        attack("disk", "test_the_state_directory_is_full_on_the_way_back"),
        short=False,
    ),
    Mutant(
        "S11",
        "a rewind leaves the leader's settings",
        REWIND,
        "rejoin_restore_own(config, config->data_directory, err) != FHA_OK",
        "false",
        attack("rejoin", "test_a_rewind_keeps_who_the_node_is"),
        short=False,
    ),
    Mutant(
        "S11",
        "a link in the data directory is cloned over",
        "src/cli/rejoin_place.c",
        "\tif (is_link(path))",
        "\tif (false)",
        attack("places", "test_pg_wal_as_a_link"),
        short=False,
    ),
    Mutant(
        "S4b",
        "rewound data keeps its incarnation",
        REWIND,
        "rejoin_new_incarnation(plan, err) != FHA_OK ||",
        "false ||",
        attack("rejoin", "test_a_rewind_keeps_who_the_node_is"),
        short=False,
    ),
]
