"""The mutants that test/mutants.py tries; docs/mutants.md shows them as a table.

The text must occur exactly once in the file, however small the change is: so it may be
longer than what is changed.  The tests are the smallest selection that shows the breach.
"""

from dataclasses import dataclass

LAYERS = "check-layers"


@dataclass(frozen=True)
class Mutant:
    rule: str
    name: str
    file: str
    text: str
    replacement: str
    tests: tuple[str, ...]
    short: bool = True  # quick enough for CI


def unit(program: str, *names: str) -> tuple[str, ...]:
    return tuple(f"src/test/unit/{program}_test::{name}" for name in names)


def lock(*names: str) -> tuple[str, ...]:
    return tuple(f"src/test/lock/lock_test::{name}" for name in names)


def fence(*names: str) -> tuple[str, ...]:
    return tuple(f"test/test_fence.py::{name}" for name in names)


LEASE = "src/core/lease.c"
OBSERVE = "src/core/observe.c"
DECIDE = "src/core/decide.c"
NODE = "src/control/node.c"
NODE_READ = "src/control/node_read.c"
WRITE = "src/control/node_write.c"
FOLLOW = "src/control/follow.c"
FILES = "src/control/lock_dir_files.c"
DIR = "src/control/lock_dir.c"
IO = "src/control/lock_dir_io.c"
FENCE = "src/pg/fence.c"
SEND = "src/pg/fence_send.c"

SAFETY = unit("decide", "no_world_breaks_a_safety_rule")

CORE = [
    # --- S1: the lease
    Mutant(
        "S1",
        "the watch waits for the shorter of the durations",
        LEASE,
        "return watch->since_ms + longer(own_duration_ms, watch->recorded_duration_ms);",
        "return watch->since_ms - longer(-own_duration_ms, -watch->recorded_duration_ms);",
        unit("lease", "s1_the_longer_of_both_durations"),
    ),
    Mutant(
        "S1",
        "another version does not restart the watch",
        LEASE,
        "if (!watch->seen || strcmp(watch->version, version) != 0)",
        "if (!watch->seen)",
        unit("lease", "s1_another_version_restarts_the_watch"),
    ),
    Mutant(
        "S1",
        "what was never seen counts as lapsed",
        LEASE,
        "return INT64_MAX;",
        "return own_duration_ms;",
        unit("lease", "s1_nothing_seen_never_lapses"),
    ),
    Mutant(
        "S1",
        "a raised deadline counts at once",
        LEASE,
        "if (deadline_ms <= tenure->deadline_ms || sent_ms >= tenure->raise_ms)",
        "if (deadline_ms > 0)",
        unit("lease", "s1_a_raised_deadline_waits_for_the_old_duration", "s1_no_reload_makes_two_writers"),
    ),
    Mutant(
        "S1",
        "a shortened lease leaves what was allowed",
        LEASE,
        "if (duration_ms < tenure->duration_ms && sent_ms + deadline_ms < tenure->write_until_ms)",
        "if (false)",
        unit("lease", "s1_a_lowered_duration_takes_back_what_was_allowed"),
    ),
    Mutant(
        "S1",
        "a deadline as long as the lease counts",
        LEASE,
        "if (deadline_ms >= duration_ms)",
        "if (false)",
        unit("lease", "s1_no_deadline_reaches_the_recorded_duration"),
    ),
    Mutant(
        "S1",
        "shut is not sticky",
        LEASE,
        "tenure->shut_ms = now_ms + 1;",
        "tenure->shut_ms = now_ms - now_ms;",
        unit("lease", "s1_shut_stays_shut_until_a_renewal_sent_later"),
    ),
    Mutant(
        "S1",
        "the moment of the deadline counts as before it",
        LEASE,
        "return now_ms < tenure->write_until_ms;",
        "return now_ms <= tenure->write_until_ms;",
        unit("lease", "s1_acknowledgements_are_counted_from_the_sending"),
    ),
    Mutant(
        "S1",
        "an absent record is not watched",
        OBSERVE,
        "return fha_watch_lapsed(&world->watch, world->self.lease_duration_ms, now_ms) ? FHA_ABSENT",
        "return true ? FHA_ABSENT",
        unit("observe", "without_a_record_little_is_known"),
    ),
    Mutant(
        "S1",
        "a lease that is not released is free",
        OBSERVE,
        "\t\t   fha_watch_lapsed(&world->watch, world->self.lease_duration_ms, now_ms);\n}",
        "\t\t   now_ms > 0;\n}",
        unit("observe", "s1_free_after_watching_it_unchanged"),
    ),
    Mutant(
        "S1",
        "the fence opens without a confirmed renewal",
        DECIDE,
        "{ FHA_PRIMARY | FHA_MINE | FHA_SAFE | FHA_PUBLISHED, 0,",
        "{ FHA_PRIMARY | FHA_MINE | FHA_PUBLISHED, 0,",
        SAFETY,
    ),
    Mutant(
        "S1",
        "a standby is promoted without a confirmed lease",
        DECIDE,
        "{ FHA_STANDBY | FHA_MINE | FHA_SAFE, FHA_DIVERGED,",
        "{ FHA_STANDBY | FHA_MINE, FHA_DIVERGED,",
        SAFETY,
    ),
    Mutant(
        "S1",
        "a standby takes a lease that is not free",
        DECIDE,
        "{ FHA_STANDBY | FHA_FREE | FHA_LISTED | FHA_FIT | FHA_TURN,",
        "{ FHA_STANDBY | FHA_LISTED | FHA_FIT | FHA_TURN,",
        SAFETY,
    ),
    # --- S1b: incarnations
    Mutant(
        "S1b",
        "another incarnation of my name is me",
        OBSERVE,
        "&& !world->cluster.released &&\n\t\t   same(world->cluster.incarnation, world->self.incarnation);",
        "&& !world->cluster.released;",
        unit("observe", "s1b_incarnations"),
    ),
    Mutant(
        "S1b",
        "the boot is not compared",
        OBSERVE,
        "world->self.life_held &&\n\t\t   same(world->cluster.boot_id, world->self.boot_id) &&",
        "world->self.life_held &&",
        unit("observe", "s1b_incarnations"),
    ),
    Mutant(
        "S1b",
        "a copied directory's life lock is the original's",
        OBSERVE,
        " &&\n\t\t   same(world->cluster.life, world->self.life);",
        ";",
        unit("observe", "s1b_incarnations"),
    ),
    Mutant(
        "S9",
        "a holder that does not come to lead keeps the lease",
        OBSERVE,
        "if (mine && is_stuck(world, now_ms))",
        "if (false)",
        unit("observe", "a_holder_that_does_not_lead_is_stuck"),
    ),
    Mutant(
        "S9",
        "a holder whose PostgreSQL fails to start keeps the lease",
        DECIDE,
        '{ FHA_DOWN | FHA_FAILING | FHA_MINE | FHA_POSITION, FHA_PAUSED,\n\t  RELEASE,',
        '{ FHA_DOWN | FHA_FAILING | FHA_MINE | FHA_POSITION, FHA_PAUSED,\n\t  RENEW,',
        unit("node", "a_failing_holder_makes_room"),
    ),
    Mutant(
        "S7",
        "a stopped server is started before its position is known",
        DECIDE,
        '{ FHA_DOWN | FHA_MINE, FHA_POSITION,\n\t  RENEW, SHUT, FHA_NODE_HOLD,',
        '{ FHA_DOWN | FHA_MINE, FHA_POSITION,\n\t  RENEW, SHUT, FHA_NODE_START_STANDBY,',
        unit("decide", "no_world_breaks_a_safety_rule"),
    ),
    Mutant(
        "S1b",
        "the life lock is not required",
        OBSERVE,
        "holder_has_my_name(world) && world->self.life_held &&",
        "holder_has_my_name(world) &&",
        unit("observe", "s1b_incarnations"),
    ),
    Mutant(
        "S1b",
        "the life lock speaks for every member",
        OBSERVE,
        "holder_has_my_name(world) && world->self.life_held &&",
        "world->self.life_held &&",
        unit("observe", "s1b_incarnations"),
    ),
    # --- S2: giving the lease away
    Mutant(
        "S2",
        "the fence stays open while the node stops",
        DECIDE,
        '{ FHA_STOPPING | FHA_MINE, 0,\n\t  RENEW, SHUT,',
        '{ FHA_STOPPING | FHA_MINE, 0,\n\t  RENEW, OPEN,',
        SAFETY,
    ),
    Mutant(
        "S2",
        "the fence stays open during a handover",
        DECIDE,
        "{ FHA_PRIMARY | FHA_MINE | FHA_HANDOVER, FHA_PLAIN,\n\t  RENEW, SHUT,",
        "{ FHA_PRIMARY | FHA_MINE | FHA_HANDOVER, FHA_PLAIN,\n\t  RENEW, OPEN,",
        SAFETY,
    ),
    # --- S3: time
    Mutant(
        "S3",
        "the core has a clock of its own",
        LEASE,
        "return now_ms < tenure->write_until_ms;",
        "extern long clock(void);\n\n\treturn now_ms < tenure->write_until_ms - clock();",
        (LAYERS,),
    ),
    Mutant(
        "S3",
        "the wall clock decides",
        "src/control/clock.c",
        "clock_gettime(CLOCK_BOOTTIME,",
        "clock_gettime(CLOCK_REALTIME,",
        unit("node", "s3_time_is_counted_since_boot"),
    ),
    # --- S7: whose data, which timeline
    Mutant(
        "S7",
        "the fence opens on a timeline that the term did not reserve",
        DECIDE,
        "{ FHA_PRIMARY | FHA_MINE, FHA_LINEAGE,",
        "{ FHA_PRIMARY | FHA_MINE | FHA_NEWBORN, FHA_LINEAGE,",
        SAFETY,
    ),
    Mutant(
        "S7",
        "the fence opens before the lineage is recorded",
        DECIDE,
        "{ FHA_PRIMARY | FHA_MINE | FHA_SAFE | FHA_PUBLISHED, 0,",
        "{ FHA_PRIMARY | FHA_MINE | FHA_SAFE, 0,",
        SAFETY,
    ),
    Mutant(
        "S7",
        "an empty directory takes the lease of a cluster with data",
        DECIDE,
        "{ FHA_DOWN | FHA_EMPTY | FHA_FREE | FHA_NEWBORN | FHA_BOOTSTRAP, 0,",
        "{ FHA_DOWN | FHA_EMPTY | FHA_FREE | FHA_BOOTSTRAP, 0,",
        SAFETY,
    ),
    Mutant(
        "S7",
        "an empty directory founds the cluster untold",
        DECIDE,
        "{ FHA_DOWN | FHA_EMPTY | FHA_ABSENT | FHA_BOOTSTRAP, 0,",
        "{ FHA_DOWN | FHA_EMPTY | FHA_ABSENT, 0,",
        SAFETY,
    ),
    Mutant(
        "S7",
        "an empty directory is fit to lead",
        OBSERVE,
        "if (world->pg.empty || mine.timeline == 0)",
        "if (!world->pg.empty && mine.timeline == 0)",
        unit("observe", "s7_an_empty_directory_is_never_fit"),
    ),
    Mutant(
        "S7",
        "a cluster is founded anew while a member has data",
        OBSERVE,
        "if (world->self.bootstrap && !some_member_has_data(world) &&",
        "if (world->self.bootstrap &&",
        unit("observe", "lists_pauses_and_founding"),
    ),
    Mutant(
        "S7",
        "the uuid of another cluster is ignored",
        OBSERVE,
        "if (world->self.cluster_uuid[0] != '\\0' &&\n\t\t!same(world->self.cluster_uuid, cluster->cluster_uuid))",
        "if (false)",
        unit("observe", "s7_another_cluster_s_data_is_foreign"),
    ),
    Mutant(
        "S7",
        "the system identifier of another cluster is ignored",
        OBSERVE,
        "cluster->system_identifier != world->pg.system_identifier;",
        "false;",
        unit("observe", "s7_another_cluster_s_data_is_foreign"),
    ),
    Mutant(
        "S7",
        "another cluster's data is acted upon",
        DECIDE,
        "{ FHA_FOREIGN, 0,",
        "{ FHA_FOREIGN | FHA_UNREAD, 0,",
        SAFETY,
    ),
    Mutant(
        "S7",
        "a lower term is accepted",
        OBSERVE,
        "if (cluster->term < world->self.highest_term)",
        "if (false)",
        unit("observe", "s7_a_lower_term_is_stale"),
    ),
    Mutant(
        "S7",
        "an old copy of the record is acted upon",
        DECIDE,
        "{ FHA_STALE, 0,",
        "{ FHA_STALE | FHA_STOPPING, 0,",
        SAFETY,
    ),
    Mutant(
        "S7",
        "the end of a lineage's step is ignored",
        OBSERVE,
        "return cluster->lineage[i].end == 0 || position.lsn <= cluster->lineage[i].end;",
        "return true;",
        unit("observe", "s7_lineage_holds_up_to_each_end"),
    ),
    Mutant(
        "S7",
        "diverged data is elected",
        DECIDE,
        "FHA_FIT | FHA_TURN, FHA_PAUSED | FHA_DIVERGED | FHA_NEWBORN,",
        "FHA_FIT | FHA_TURN, FHA_PAUSED | FHA_NEWBORN,",
        SAFETY,
    ),
    Mutant(
        "S7",
        "diverged data starts to stream",
        DECIDE,
        "{ FHA_DOWN | FHA_DIVERGED, 0,",
        "{ FHA_DOWN | FHA_DIVERGED | FHA_LED, 0,",
        SAFETY,
    ),
    # --- S11: data is replaced only when it may be
    Mutant(
        "S11",
        "data is cloned over by the holder of the lease",
        DECIDE,
        "{ FHA_DOWN | FHA_DAMAGED | FHA_LED | FHA_REWINDABLE, FHA_MINE,",
        "{ FHA_DOWN | FHA_DAMAGED, 0,",
        SAFETY,
    ),
    Mutant(
        "S11",
        "usable data is cloned over",
        DECIDE,
        "{ FHA_DOWN | FHA_EMPTY | FHA_LED | FHA_REWINDABLE, FHA_MINE,",
        "{ FHA_DOWN | FHA_LED | FHA_REWINDABLE, FHA_MINE,",
        SAFETY,
    ),
    Mutant(
        "S11",
        "data is rewound without a leader",
        DECIDE,
        "{ FHA_DOWN | FHA_DIVERGED | FHA_LED | FHA_REWINDABLE, FHA_MINE,",
        "{ FHA_DOWN | FHA_DIVERGED, FHA_MINE,",
        SAFETY,
    ),
    Mutant(
        "S11",
        "the mark of a damaged directory is ignored",
        OBSERVE,
        "else if (pg->damaged)",
        "else if (pg->damaged && pg->empty)",
        unit("observe", "data_is_at_most_one_of_four"),
    ),
]

CONTROL = [
    Mutant(
        "S1",
        "a read extends the fence",
        NODE_READ,
        "\tadopt(node, &cluster, record->version, now_ms);\n",
        "\tadopt(node, &cluster, record->version, now_ms);\n"
        "\tif (fha_lease_is_mine(&node->world))\n"
        "\t\tfha_tenure_confirm(&node->world.tenure, now_ms, node->world.self.renew_deadline_ms,\n"
        "\t\t\t\t\t\t   cluster.lease_duration_ms);\n",
        unit("node", "s1_a_read_extends_by_nothing_but_our_own_lost_write"),
    ),
    Mutant(
        "S1",
        "any record of ours confirms a lost write",
        NODE_READ,
        "node->unknown && strcmp(cluster.nonce, node->lost.cluster.nonce) == 0 &&",
        "node->unknown &&",
        unit("node", "s1_a_read_extends_by_nothing_but_our_own_lost_write"),
    ),
    Mutant(
        "S1",
        "time is counted from the reply, not from the sending",
        NODE_READ,
        "fha_tenure_confirm(&node->world.tenure, write->sent_ms,",
        "fha_tenure_confirm(&node->world.tenure, fha_now_ms(),",
        unit("node", "s1_a_slow_answer_counts_from_the_sending"),
    ),
    Mutant(
        "S1",
        "a lost lease leaves the fence's time",
        NODE_READ,
        "if (was_mine && !fha_lease_is_mine(&node->world))",
        "if (false && was_mine)",
        unit("node", "s1_a_lost_lease_leaves_no_time"),
    ),
    Mutant(
        "S1",
        "the fence stays open while the handover is written",
        WRITE,
        "\t\tfha_tenure_shut(&node->world.tenure, now_ms);",
        "\t\tnode->renewed_ms = now_ms;",
        unit("node", "s1_a_handover_shuts_before_it_is_written"),
    ),
    Mutant(
        "S1b",
        "a new incarnation is given the old one's lease",
        OBSERVE,
        "&& !world->cluster.released &&\n\t\t   same(world->cluster.incarnation, world->self.incarnation);",
        "&& !world->cluster.released;",
        unit("node", "another_incarnation_waits"),
    ),
    Mutant(
        "S7",
        "the reserved timeline is not a new one",
        WRITE,
        "\t\t\tcluster->timeline++;\n",
        "",
        unit("node", "a_silent_leader_is_replaced_after_its_lease"),
    ),
    Mutant(
        "S7",
        "a new leader takes no new term",
        WRITE,
        "\t\tcluster->term++;\n",
        "",
        unit("node", "a_silent_leader_is_replaced_after_its_lease"),
    ),
    Mutant(
        "S7",
        "a term is acted upon before it is on disk",
        NODE,
        "code = fha_state_save(&node->config, &state, err);",
        "code = FHA_OK;",
        unit("node", "a_silent_leader_is_replaced_after_its_lease"),
    ),
    Mutant(
        "S7",
        "a node forgets the terms that it has seen",
        NODE,
        "if (cluster->term <= state.highest_term && !joined)",
        "if (!joined)",
        unit("node", "an_older_term_is_refused"),
    ),
    Mutant(
        "S7",
        "PostgreSQL may choose the timeline before the reserved one",
        FOLLOW,
        "timeline = current; timeline + 1 < wanted;)",
        "timeline = current; timeline + 2 < wanted;)",
        unit("follow", "placeholders_are_made_between"),
    ),
    Mutant(
        "S7",
        "what an interrupted promotion left stays with a standby",
        FOLLOW,
        "if (timeline > current && unlink(path) != 0 && errno != ENOENT)",
        "if (false)",
        unit("follow", "only_history_above_current_is_removed"),
    ),
    Mutant(
        "S7",
        "a placeholder overwrites a real history",
        FOLLOW,
        "\t\tif (access(path, F_OK) == 0)\n\t\t\tcontinue;\n",
        "",
        unit("follow", "reserving_never_touches_real_history"),
    ),
]

LOCK = [
    Mutant(
        "S1",
        "the lock: no scan after the link",
        FILES,
        "if (newest != version + 1)",
        "if (false)",
        lock("test_replaced_at_once"),
    ),
    Mutant(
        "S1",
        "the lock: the predecessor is not looked at again",
        FILES,
        "if (version > 0 && !predecessor_stands(files, name, version, pinned))",
        "if (predecessor_stands == NULL)",
        lock("test_predecessor_gone"),
    ),
    Mutant(
        "S1",
        "the lock: another file under the predecessor's name will do",
        FILES,
        "before.st_ino == now.st_ino && before.st_dev == now.st_dev;",
        "before.st_dev == now.st_dev;",
        lock("test_predecessor_gone"),
    ),
    Mutant(
        "S1",
        "the lock: a swap does not compare the version",
        FILES,
        "\tif (newest != version)\n",
        "\tif (false)\n",
        lock("test_stale_version"),
    ),
    Mutant(
        "S1",
        "the lock: who comes second overwrites",
        FILES,
        "linkat(files->fd, temporary, files->fd, file, 0) == 0)",
        "linkat(files->fd, temporary, files->fd, file, 0) == 0 ||\n"
        "\t\t(errno == EEXIST && renameat(files->fd, temporary, files->fd, file) == 0))",
        lock("test_lost_update"),
    ),
    Mutant(
        "S1",
        "the lock: the highest version is deleted too",
        FILES,
        "\t\t\tif (version + FHA_DIR_KEEP > scan.versions[scan.count - 1])\n\t\t\t\tbreak;\n",
        "",
        lock("test_pruning"),
    ),
    Mutant(
        "S1",
        "the lock: versions are deleted out of order",
        FILES,
        "\t\t\tif (version_exists(files, name, version - 1))\n\t\t\t\tbreak;\n",
        "",
        lock("test_pruning_ascends"),
    ),
    Mutant(
        "S1",
        "the lock: a write in which its process died has failed for certain",
        DIR,
        'answer(dir, event, FHA_UNKNOWN, "the lock\'s I/O process died during the write");',
        'answer(dir, event, FHA_IO, "the lock\'s I/O process died during the write");',
        lock("test_child_dies"),
    ),
    Mutant(
        "S1",
        "the lock: a write without an answer has failed for certain",
        DIR,
        "answer(dir, event, writes ? FHA_UNKNOWN : FHA_TIMEOUT,",
        "answer(dir, event, writes ? FHA_TIMEOUT : FHA_TIMEOUT,",
        lock("test_reply_lost"),
    ),
    Mutant(
        "S1",
        "the lock: a write may be applied after its deadline",
        DIR,
        "(void) kill(dir->pid, SIGKILL);",
        "(void) kill(dir->pid, SIGCONT);",
        lock("test_deadline_kills"),
    ),
    Mutant(
        "S9",
        "the lock: a request outlives its deadline",
        DIR,
        "now < dir->base.deadline_ms)",
        "now < dir->base.deadline_ms + 6000)",
        lock("test_hang"),
    ),
    Mutant(
        "S9",
        "the lock: its process outlives its caller",
        IO,
        "if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)",
        "if (getppid() != parent)",
        lock("test_child_is_alone"),
        short=False,  # the test waits a minute for it
    ),
    Mutant(
        "S1b",
        "the lock: its process keeps the node's own locks",
        IO,
        "\tclosefrom(SOCKET_FD + 1);\n",
        "",
        lock("test_child_is_alone"),
    ),
]

FENCES = [
    # --- S1: the fence's own view of the lease
    Mutant(
        "S1",
        "the fence: no test at PRE_COMMIT",
        FENCE,
        "if (TransactionIdIsValid(GetTopTransactionIdIfAny()) && fence_refuses())",
        "if (false)",
        fence("test_commit_is_refused_when_shut"),
        short=True,
    ),
    Mutant(
        "S1",
        "the fence: no test before the acknowledgement",
        SEND,
        "if (!lapsed && !fence_refuses())",
        "if (true)",
        fence("test_a_lapse_after_the_record_is_silence[implicit]"),
        short=True,
    ),
    Mutant(
        "S1",
        "the fence: a dead postmaster's backends acknowledge",
        FENCE,
        "return !IsUnderPostmaster || getppid() == PostmasterPid;",
        "return true;",
        fence("test_a_dead_postmaster_shuts_the_fence[open]"),
        short=True,
    ),
    Mutant(
        "S1",
        "the fence: a dead postmaster's backends commit",
        FENCE,
        "\tif (!PostmasterIsAlive())\n\t\treturn false;\n",
        "",
        fence("test_a_dead_postmaster_refuses_commits"),
        short=False,
    ),
    Mutant(
        "S1",
        "the fence: the clock is ignored",
        FENCE,
        "(uint64) now_ms() < write_until_ms",
        "write_until_ms > 0",
        fence("test_the_deadline_shuts_by_itself"),
        short=True,
    ),
    # --- S2: up to the commit record and from there to the acknowledgement
    Mutant(
        "S2",
        "the fence: statements start",
        FENCE,
        "\tif (fence_refuses())\n\t\tfence_raise_refusal(GetCommandTagName",
        "\tif (false)\n\t\tfence_raise_refusal(GetCommandTagName",
        fence("test_statements_are_refused_at_their_start[DROP DATABASE template1]"),
        short=False,
    ),
    Mutant(
        "S2",
        "the fence: COMMIT PREPARED is not seen",
        FENCE,
        "\tif (!finishes_prepared(node))",
        "\tif (true)",
        fence("test_prepared_transactions"),
        short=False,
    ),
    Mutant(
        "S2",
        "the fence: PREPARE TRANSACTION is not withheld",
        FENCE,
        "\t\t\tfence_send_committed(GetFlushRecPtr(NULL));",
        "\t\t\tfence_send_commit_ended();",
        fence("test_prepared_transactions"),
        short=False,
    ),
    Mutant(
        "S2",
        "the fence: the commit itself is not seen",
        FENCE,
        "\t\t\t\tfence_send_committed(XactLastCommitEnd);",
        "\t\t\t\tfence_send_commit_ended();",
        fence("test_a_lapse_after_the_record_is_silence[implicit]"),
        short=False,
    ),
    Mutant(
        "S2",
        "the fence: a later abort frees an earlier acknowledgement",
        SEND,
        "fence_send_commit_ended(void)\n{\n",
        "fence_send_commit_ended(void)\n{\n\tunacked = false;\n",
        fence("test_a_later_abort_does_not_free_an_earlier_acknowledgement"),
        short=False,
    ),
    Mutant(
        "S2",
        "the fence: any flush counts as the acknowledgement",
        SEND,
        "if (ready_for_query && committing == COMMIT_NONE)",
        "if (committing == COMMIT_NONE)",
        fence("test_a_pipeline_with_flush_is_tested_to_its_end"),
        short=False,
    ),
    Mutant(
        "S2",
        "the fence: a send that slept goes on after the lapse",
        SEND,
        "\tif (inside || !(lapsed || must_withhold()))\n\t\treturn original->flush();",
        "\tif (inside || !(lapsed || must_withhold()) || may_leave())\n\t\treturn original->flush();",
        fence("test_a_client_that_does_not_read"),
        short=False,
    ),
    Mutant(
        "S2",
        "the fence: it ends the backend inside the commit",
        SEND,
        "if (InterruptHoldoffCount > 0 || CritSectionCount > 0)\n\t\treturn;\n\twhereTo",
        "if (false)\n\t\treturn;\n\twhereTo",
        fence("test_a_warning_inside_the_commit"),
        short=False,
    ),
    Mutant(
        "S2",
        "the fence: an error before the record is withheld",
        SEND,
        "(committing == COMMIT_SOON && !IsTransactionState())",
        "(committing == COMMIT_SOON)",
        fence("test_an_error_before_the_record_is_told"),
        short=False,
    ),
    Mutant(
        "S2",
        "the fence: subscribers are sent what is not acknowledged",
        SEND,
        " || am_db_walsender;",
        ";",
        fence("test_fenced_reads_do_not_reach_subscribers"),
        short=False,
    ),
    Mutant(
        "S2",
        "the fence: the mark is not raised",
        SEND,
        "\t\tfence_raise_acked(unacked_lsn);",
        "\t\t;",
        fence("test_the_mark"),
        short=False,
    ),
    Mutant(
        "S2",
        "the fence: the mark is raised by what is not acknowledged",
        FENCE,
        "\tfence_send_commit_begins(false);",
        "\tfence_send_commit_begins(false);\n\tif (shared)\n\t\tfence_raise_acked(GetXLogInsertRecPtr() + 1000);",
        fence("test_the_mark"),
        short=False,
    ),
    # --- S2b: reads
    Mutant(
        "S2b",
        "the fence: logins pass",
        FENCE,
        "if (fence_refuses() && (!guc_fenced_reads || am_db_walsender))",
        "if (false)",
        fence("test_logins_are_refused"),
        short=True,
    ),
    Mutant(
        "S2b",
        "the fence: running reads go on",
        SEND,
        "else if (shows_something(type, body) && fence_refuses())",
        "else if (false)",
        fence("test_running_reads_end[SELECT FROM pg_sleep(1)]"),
        short=False,
    ),
    Mutant(
        "S2b",
        "the fence: notifications pass",
        SEND,
        "if (type == 'A' && fence_refuses())",
        "if (false)",
        fence("test_notifications_are_withheld"),
        short=False,
    ),
    Mutant(
        "S2b",
        "the fence: fenced reads may write",
        FENCE,
        "kind == STATEMENT_CONTROL || IsParallelWorker()",
        "kind == STATEMENT_CONTROL || guc_fenced_reads",
        fence("test_fenced_reads"),
        short=False,
    ),
    Mutant(
        "S2b",
        "the fence: standbys get no WAL from a fenced primary",
        FENCE,
        "if (am_walsender && !am_db_walsender)\n\t{",
        "if (am_walsender && !am_db_walsender && !fence_refuses())\n\t{",
        fence("test_a_physical_walsender_passes"),
        short=False,
    ),
    # --- beside the fence
    Mutant(
        "S7",
        "ALTER SYSTEM changes whom a member follows",
        FENCE,
        "\tif (IsA(node, AlterSystemStmt))",
        "\tif (false)",
        fence("test_managed_settings_are_not_for_alter_system[primary_conninfo]"),
        short=False,
    ),
    Mutant(
        "S1b",
        "programs that SQL starts keep the life lock",
        "fawkes_ha.c",
        "fcntl((int) fd, F_SETFD, FD_CLOEXEC)",
        "fcntl((int) fd, F_GETFD)",
        fence("test_the_mark"),
        short=False,
    ),
]

MUTANTS = [*CORE, *CONTROL, *LOCK, *FENCES]
