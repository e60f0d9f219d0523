"""The mutants that test/mutants.py tries; docs/mutants.md shows them as a table.

The text must occur exactly once in the file, however small the change is: so it may be
longer than what is changed.  The tests are the smallest selection that shows the breach.
"""

from dataclasses import dataclass
from pathlib import Path

LAYERS = "check-layers"
UNIT_TESTS = Path(__file__).parents[1] / "src" / "test"


@dataclass(frozen=True)
class Edit:
    file: str
    text: str
    replacement: str

    def of(self, text: str) -> str:
        return text.replace(self.text, self.replacement)


@dataclass(frozen=True)
class Mutant:
    rule: str
    name: str
    file: str
    text: str
    replacement: str
    tests: tuple[str, ...]
    short: bool = True  # quick enough for CI
    waits: bool = False  # its test notices when a deadline comes: it begins early
    more: tuple[Edit, ...] = ()  # where a fault is only there when several places change together

    @property
    def edits(self) -> tuple[Edit, ...]:
        return (Edit(self.file, self.text, self.replacement), *self.more)

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(edit.file for edit in self.edits))

    def sources(self, tree: Path) -> dict[str, str]:
        """Its files as they are changed.  ValueError: a text does not occur exactly once, so it has rotted."""
        texts = {file: (tree / file).read_text() for file in self.files}
        for edit in self.edits:
            count = texts[edit.file].count(edit.text)
            if count != 1:
                raise ValueError(f"its text occurs {count} times in {edit.file}")
            texts[edit.file] = edit.of(texts[edit.file])
        return texts


def unit(program: str, *names: str) -> tuple[str, ...]:
    (source,) = UNIT_TESTS.glob(f"*/{program}_test.c")
    return tuple(f"src/test/{source.parent.name}/{program}_test::{name}" for name in names)


def lock(*names: str) -> tuple[str, ...]:
    return tuple(f"src/test/lock/lock_test::{name}" for name in names)


def fuzz(name: str) -> tuple[str, ...]:
    return (f"src/test/fuzz/{name}_fuzz",)


def fence(*names: str) -> tuple[str, ...]:
    return tuple(f"test/test_fence.py::{name}" for name in names)


LEASE = "src/core/lease.c"
OBSERVE = "src/core/observe.c"
DECIDE = "src/core/decide.c"
NODE = "src/node/node.c"
NODE_READ = "src/node/read.c"
WRITE = "src/node/write.c"
FOLLOW = "src/node/follow.c"
FILES = "src/lock/dir/files.c"
DIR = "src/lock/dir/driver.c"
IO = "src/lock/dir/io.c"
HEALTH = "src/show/health.c"
MEMBER = "src/peer/protocol.c"
FENCE = "src/pg/fence.c"
SEND = "src/pg/fence_send.c"

SAFETY = unit("decide", "no_world_breaks_a_safety_rule")

CORE = [
    # --- S1: the lease
    Mutant(
        "S1",
        "the watch waits for the shorter of the durations",
        LEASE,
        "return watch->last_sign_at_ms + lease_longer(own_duration_ms, watch->recorded_duration_ms);",
        "return watch->last_sign_at_ms - lease_longer(-own_duration_ms, -watch->recorded_duration_ms);",
        unit("lease", "s1_the_longer_of_both_durations"),
    ),
    Mutant(
        "S1",
        "a renewal does not restart the watch",
        LEASE,
        "watch->absent != absent || signed_anew)",
        "watch->absent != absent)",
        unit("lease", "s1_another_sign_restarts_the_watch"),
    ),
    Mutant(
        "S1",
        "whoever writes into the record keeps a dead holder alive",
        NODE_READ,
        "fha_watch_saw(&node->world.watch, version, sign, cluster->lease_duration_ms, now_ms);",
        "fha_watch_saw(&node->world.watch, version, version, cluster->lease_duration_ms, now_ms);",
        unit("node", "s1_requests_without_end_keep_no_dead_holder_alive"),
    ),
    Mutant(
        "S1",
        "the version that was seen before a restore is taken for the old one",
        LEASE,
        'watch_keep(watch->sign, sizeof(watch->sign), absent ? "" : sign)',
        'watch_keep(watch->sign, sizeof(watch->sign), absent ? "" : version)',
        unit("lease", "s1_the_same_version_with_another_sign_restarts_the_watch"),
    ),
    Mutant(
        "S7",
        "patience lifts what a clean stop asks for",
        OBSERVE,
        "if (!fha_position_is_known(wanted) || !has_final_end(world))",
        "if (!fha_position_is_known(wanted))",
        unit("observe", "a_clean_stop_waits_for_who_has_its_end"),
    ),
    Mutant(
        "S7",
        "a position that is not known asks for nothing",
        OBSERVE,
        "if (!fha_position_is_known(wanted) || !has_final_end(world))",
        "if (!has_final_end(world))",
        unit("observe", "nothing_known_is_never_nothing_needed"),
    ),
    Mutant(
        "S7",
        "the release of a clean stop is like any other",
        WRITE,
        "cluster->release_final = pg->clean &&",
        "cluster->release_final = false && pg->clean &&",
        unit("node", "what_a_clean_stop_has_is_waited_for"),
    ),
    Mutant(
        "S7",
        "who takes back what it released after a clean stop forgets the end",
        WRITE,
        "keeps_end = cluster->release_final;",
        "keeps_end = false;",
        unit("node", "the_end_of_a_clean_stop_outlives_who_took_it_back"),
    ),
    Mutant(
        "S7",
        "who took back what it released acknowledges before it has told that it leads again",
        OBSERVE,
        "return cluster->lineage_term == cluster->term && !cluster->release_final;",
        "return cluster->lineage_term == cluster->term;",
        unit("node", "the_end_of_a_clean_stop_outlives_who_took_it_back"),
    ),
    Mutant(
        "S9",
        "what a crash left is waited for by all, for ever",
        WRITE,
        "cluster->release_final = pg->clean &&",
        "cluster->release_final = true || pg->clean &&",
        unit("node", "what_a_crash_left_is_waited_for_in_vain"),
    ),
    Mutant(
        "S7",
        "who took the lease and never led forgets what a clean stop asked for",
        WRITE,
        "if (!keeps_end)",
        "if (true)",
        unit("node", "the_end_of_a_clean_stop_outlives_who_took_it"),
    ),
    Mutant(
        "S7",
        "an end that cannot be read is asked for",
        WRITE,
        "fha_position_is_known(pg->required) ? pg->required : cluster->position;",
        "pg->required;",
        unit("node", "an_end_that_cannot_be_read_asks_for_the_last_renewal_s"),
    ),
    Mutant(
        "S1b",
        "a renewal in our name that was never ours is ours",
        NODE_READ,
        "node_nonce_is_another_s(node, cluster->nonce))",
        "false)",
        unit("node", "s1b_a_renewal_that_was_never_ours_is_a_duplicate_s"),
    ),
    Mutant(
        "S1b",
        "a process notes no write",
        WRITE,
        "\tfha_speakers_note(node->speakers, out);\n",
        "",
        unit("node", "s1b_a_late_write_of_any_process_of_ours_is_no_duplicate_s"),
    ),
    Mutant(
        "S1b",
        "a copy of a process that has ended is that process",
        "src/node/speakers.c",
        "if (speaker_is_same(newest, number) && number <= newest)",
        "if (speaker_is_same(newest, number))",
        unit(
            "speakers",
            "each_counts_up_to_its_newest",
        ),
    ),
    Mutant(
        "S1b",
        "what a process reads first in its name is by a process of its node",
        NODE_READ,
        "if (fha_speakers_are_none(node->speakers))",
        "if (!fha_lease_is_mine(world))",
        unit("node", "s1b_what_a_process_reads_first_may_be_a_duplicate_s"),
    ),
    Mutant(
        "S1b",
        "a member writes over another cluster's record",
        NODE_READ,
        "!fha_record_owner(record->data, record->size, by))",
        "fha_record_owner(record->data, record->size, by))",
        unit(
            "node",
            "s1b_a_member_writes_over_no_other_cluster_s_record",
            "s1b_two_clusters_members_of_one_record_name",
        ),
    ),
    Mutant(
        "S1b",
        "an old renewal of ours is a duplicate's",
        WRITE,
        "(age < NONCES_KEPT && ",
        "(",
        unit("node", "s1b_no_nonce_of_ours_is_a_duplicate_s"),
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
        "if (renew_deadline_ms <= tenure->renew_deadline_ms || sent_at_ms >= tenure->raise_at_ms)",
        "if (renew_deadline_ms > 0)",
        unit("lease", "s1_a_raised_deadline_waits_for_the_old_duration", "s1_no_reload_makes_two_writers"),
    ),
    Mutant(
        "S1",
        "a shortened lease leaves what was allowed",
        LEASE,
        "if (duration_ms < tenure->duration_ms &&\n\t\tsent_at_ms + renew_deadline_ms < tenure->write_ends_at_ms)",
        "if (false)",
        unit("lease", "s1_a_lowered_duration_takes_back_what_was_allowed"),
    ),
    Mutant(
        "S1",
        "a deadline as long as the lease counts",
        LEASE,
        "if (renew_deadline_ms >= duration_ms)",
        "if (false)",
        unit("lease", "s1_no_deadline_reaches_the_recorded_duration"),
    ),
    Mutant(
        "S1",
        "shut is not sticky",
        LEASE,
        "tenure->shut_at_ms = now_ms + 1;",
        "tenure->shut_at_ms = now_ms - now_ms;",
        unit("lease", "s1_shut_stays_shut_until_a_renewal_sent_later"),
    ),
    Mutant(
        "S1",
        "the moment of the deadline counts as before it",
        LEASE,
        "return now_ms < tenure->write_ends_at_ms;",
        "return now_ms <= tenure->write_ends_at_ms;",
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
        "(has_lapsed(world, now_ms) && !bound)",
        "!bound",
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
        "&& !world->cluster.released &&\n\t\t   text_same(world->cluster.incarnation, world->self.incarnation);",
        "&& !world->cluster.released;",
        unit("observe", "s1b_incarnations"),
    ),
    Mutant(
        "S1b",
        "the boot is not compared",
        OBSERVE,
        "world->self.liveness_held &&\n\t\t   text_same(world->cluster.boot_id, world->self.boot_id) &&",
        "world->self.liveness_held &&",
        unit("observe", "s1b_incarnations"),
    ),
    Mutant(
        "S1b",
        "a copied directory's liveness lock is the original's",
        OBSERVE,
        "text_same(world->cluster.liveness, world->self.liveness) &&\n\t\t   has_what_the_record_shows(world);",
        "has_what_the_record_shows(world);",
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
        "a holder that does not come to lead makes room for ever",
        OBSERVE,
        "return now_ms >= begins_at_ms && (now_ms - begins_at_ms) % turns_ms(world) < room_ms(world);",
        "return now_ms >= begins_at_ms;",
        unit("observe", "a_holder_that_nobody_follows_tries_again"),
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
        "the liveness lock is not required",
        OBSERVE,
        "holder_has_my_name(world) && world->self.liveness_held &&",
        "holder_has_my_name(world) &&",
        unit("observe", "s1b_incarnations"),
    ),
    Mutant(
        "S1b",
        "the liveness lock speaks for every member",
        OBSERVE,
        "holder_has_my_name(world) && world->self.liveness_held &&",
        "world->self.liveness_held &&",
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
        "return now_ms < tenure->write_ends_at_ms;",
        "extern long clock(void);\n\n\treturn now_ms < tenure->write_ends_at_ms - clock();",
        (LAYERS,),
    ),
    Mutant(
        "S3",
        "the node loop looks at a clock that it was not given",
        NODE,
        "	node_drain(node);\n	now_ms = node_now_ms(node);",
        "	node_drain(node);\n	now_ms = fha_now_ms();",
        (LAYERS,),
    ),
    Mutant(
        "S3",
        "the wall clock decides",
        "src/base/clock.c",
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
        "{ FHA_PRIMARY | FHA_MINE | FHA_UNINITIALISED, FHA_LINEAGE,",
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
        "{ FHA_DOWN | FHA_EMPTY | FHA_FREE | FHA_UNINITIALISED | FHA_BOOTSTRAP, 0,",
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
        "if (world->pg.empty || mine.timeline == 0 || world->pg.too_small)",
        "if ((!world->pg.empty && mine.timeline == 0) || world->pg.too_small)",
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
        "if (world->self.cluster_uuid[0] != '\\0' &&\n\t\t!text_same(world->self.cluster_uuid, cluster->cluster_uuid))",
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
        "FHA_FIT | FHA_TURN, FHA_PAUSED | FHA_DIVERGED | FHA_UNINITIALISED,",
        "FHA_FIT | FHA_TURN, FHA_PAUSED | FHA_UNINITIALISED,",
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
        "\tcluster_adopt(node, &cluster, record->version, now_ms);\n",
        "\tcluster_adopt(node, &cluster, record->version, now_ms);\n"
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
        "fha_tenure_confirm(&node->world.tenure, write->sent_at_ms,",
        "fha_tenure_confirm(&node->world.tenure, node_now_ms(node),",
        unit("node", "s1_a_slow_answer_counts_from_the_sending"),
    ),
    Mutant(
        "S1",
        "what the lock tells is dated by an older look at the clock",
        NODE,
        "int64_t now_ms = node_now_ms(node);\n\n\t\tswitch (event.kind)",
        "int64_t now_ms = node->read_at_ms;\n\n\t\tswitch (event.kind)",
        unit("node", "a_silent_leader_is_replaced_after_its_lease"),
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
        "\t\tnode->renewed_at_ms = now_ms;",
        unit("node", "s1_a_handover_shuts_before_it_is_written"),
    ),
    Mutant(
        "S1b",
        "a new incarnation is given the old one's lease",
        OBSERVE,
        "&& !world->cluster.released &&\n\t\t   text_same(world->cluster.incarnation, world->self.incarnation);",
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
        "code = fha_state_save(&node->config, &state, err);\n\tif (code != FHA_OK)\n\t\treturn",
        "code = FHA_OK;\n\tif (code != FHA_OK)\n\t\treturn",
        unit("node", "a_silent_leader_is_replaced_after_its_lease"),
    ),
    Mutant(
        "S7",
        "a node forgets the terms that it has seen",
        NODE,
        "if (cluster->term <= node->state.highest_term && !joined)",
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
        "a reserved timeline names a parent",
        FOLLOW,
        '#define PLACEHOLDER "# " RESERVED',
        '#define PLACEHOLDER "1\\tFFFFFFFF/FF000000\\t" RESERVED',
        ("test/test_attacks_timelines.py::test_a_reserved_timeline_is_the_parent_of_none",),
    ),
    Mutant(
        "S7",
        "a standby starts with a reserved timeline as its newest",
        "src/cli/supervisor.c",
        "code = fha_timeline_drop_placeholders(self->config.data_directory, &err);",
        "code = FHA_OK;",
        ("test/test_attacks_timelines.py::test_a_standby_with_a_reserved_timeline_at_the_end_starts[1.2]",),
    ),
    Mutant(
        "S7",
        "who follows another leader frees the numbers below its promotion",
        "src/pg/agent.c",
        "\tif (fha_state_load(config, &state, &err) != FHA_OK ||",
        "\tif (fha_timeline_drop_placeholders(config->data_directory, &err) != FHA_OK || fha_state_load(config, &state, &err) != FHA_OK ||",
        ("test/test_attacks_timelines.py::test_a_promotion_that_has_lost_its_lease_keeps_its_number",),
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
        "what an interrupted promotion left comes back with a power cut",
        FOLLOW,
        "code = fsync(dirfd(directory)) == 0",
        "code = true",
        unit("torture", "settings_and_follow_conf_survive"),
    ),
    Mutant(
        "S7",
        "a mark of promotion comes back with a power cut",
        "src/base/file.c",
        'could not remove \\"%.120s\\"", path);\n\treturn fha_file_sync_parent(path, err);',
        'could not remove \\"%.120s\\"", path);\n\treturn FHA_OK;',
        unit("torture", "settings_and_follow_conf_survive"),
    ),
    Mutant(
        "S7",
        "what a killed process left is believed before it is flushed",
        NODE,
        "FhaCode code = fha_state_flush(&node->config, err);",
        "FhaCode code = FHA_OK;",
        unit("node", "s7_what_was_left_is_flushed_before_it_is_believed"),
    ),
    Mutant(
        "S7",
        "settings whose flush failed count as written",
        "src/config/cluster_conf.c",
        "return same ? fha_file_sync_parent(path, err)",
        "return same ? FHA_OK",
        unit("node", "settings_whose_flush_failed_are_flushed_again"),
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
        lock("test_overtaken"),
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
        'dir_answer(dir, event, FHA_UNKNOWN, "the lock\'s I/O process died during the write");',
        'dir_answer(dir, event, FHA_IO, "the lock\'s I/O process died during the write");',
        lock("test_child_dies"),
    ),
    Mutant(
        "S1",
        "the lock: a write without an answer has failed for certain",
        DIR,
        "dir_answer(dir, event, writes ? FHA_UNKNOWN : FHA_TIMEOUT,",
        "dir_answer(dir, event, writes ? FHA_TIMEOUT : FHA_TIMEOUT,",
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
        "now_ms < dir->base.deadline_at_ms)",
        "now_ms < dir->base.deadline_at_ms + 6000)",
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
        "if (getppid() == PostmasterPid)",
        "if (true)",
        fence("test_a_dead_postmaster_shuts_the_fence[open]"),
        short=True,
    ),
    Mutant(
        "S1",
        "the fence: a backend does not hear of the postmaster's death",
        FENCE,
        "\tmaybe_orphaned = true;\n\tprevious_on_death",
        "\tprevious_on_death",
        fence("test_a_dead_postmaster_shuts_the_fence[closed]"),
        short=True,
    ),
    Mutant(
        "S1",
        "the fence: a dead postmaster's backends commit",
        FENCE,
        "if (shared == NULL || !fence_has_postmaster())",
        "if (shared == NULL)",
        fence("test_a_dead_postmaster_refuses_commits"),
        short=False,
    ),
    Mutant(
        "S1",
        "the fence: the clock is ignored",
        FENCE,
        "(uint64) fence_now_ms() < write_ends_at_ms",
        "write_ends_at_ms > 0",
        fence("test_the_deadline_shuts_by_itself"),
        short=True,
    ),
    # --- S2: up to the commit record and from there to the acknowledgement
    Mutant(
        "S2",
        "the fence: statements start",
        FENCE,
        "\tif (fence_refuses_still())\n\t\tfence_raise_refusal(FHA_REFUSED_STATEMENT, GetCommandTagName",
        "\tif (false)\n\t\tfence_raise_refusal(FHA_REFUSED_STATEMENT, GetCommandTagName",
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
        "\t\t\tfence_committed(GetFlushRecPtr(NULL));",
        "\t\t\tfence_send_commit_ended();",
        fence("test_prepared_transactions"),
        short=False,
    ),
    Mutant(
        "S2",
        "the fence: the commit itself is not seen",
        FENCE,
        "\t\t\t\tfence_committed(XactLastCommitEnd);",
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
        "the fence: the ack watermark is not raised",
        SEND,
        "\t\tfence_raise_acked(unacked_lsn);",
        "\t\t;",
        fence("test_the_ack_watermark"),
        short=False,
    ),
    Mutant(
        "S2",
        "the fence: the ack watermark is raised by what is then withheld",
        SEND,
        "\t\tif (!may_leave())\n\t\t\treturn 0;\n",
        "",
        fence("test_the_ack_watermark"),
        short=False,
    ),
    Mutant(
        "S2",
        "the fence: the ack watermark is raised by what is not acknowledged",
        FENCE,
        "\tfence_send_commit_begins(false);",
        "\tfence_send_commit_begins(false);\n\tif (shared)\n\t\tfence_raise_acked(GetXLogInsertRecPtr() + 1000);",
        fence("test_the_ack_watermark"),
        short=False,
    ),
    # --- what operators request
    Mutant(
        "pause",
        "a stopped server is started all the same",
        DECIDE,
        "{ FHA_DOWN | FHA_PAUSED, FHA_MINE | FHA_REQUESTED | FHA_UNINITIALISED,",
        "{ FHA_DOWN | FHA_PAUSED | FHA_STALE, FHA_MINE | FHA_REQUESTED | FHA_UNINITIALISED,",
        SAFETY,
    ),
    Mutant(
        "pause",
        "somebody is elected all the same",
        DECIDE,
        "FHA_FIT | FHA_TURN, FHA_PAUSED | FHA_DIVERGED",
        "FHA_FIT | FHA_TURN, FHA_DIVERGED",
        SAFETY,
    ),
    Mutant(
        "S2",
        "a restart stops the primary with its fence open",
        DECIDE,
        "{ FHA_PRIMARY | FHA_MINE | FHA_RESTART, FHA_PLAIN,\n\t  RENEW, SHUT,",
        "{ FHA_PRIMARY | FHA_MINE | FHA_RESTART, FHA_PLAIN,\n\t  RENEW, OPEN,",
        SAFETY,
    ),
    Mutant(
        "S11",
        "a holder's data is replaced on request",
        OBSERVE,
        "if (is_reinit_due(world) && !mine)",
        "if (is_reinit_due(world))",
        unit("observe", "what_names_a_member_concerns_nobody_else"),
    ),
    Mutant(
        "S11",
        "a reinit that was carried out is repeated",
        OBSERVE,
        " &&\n\t\t   !text_same(world->self.cloned_for, request->id);",
        ";",
        unit("observe", "what_names_a_member_concerns_nobody_else"),
    ),
    Mutant(
        "S11",
        "a running standby counts as stranded",
        OBSERVE,
        "return (world->pg.state == FHA_PG_DOWN || world->pg.stalled) &&",
        "return true &&",
        unit("observe", "stranded_when_the_leader_has_not_the_wal"),
    ),
    Mutant(
        "restart",
        "nobody waits for the member before it",
        OBSERVE,
        "\t\tif (!fha_has_carried_out(world, name))\n\t\t\treturn false;\n",
        "",
        unit("observe", "a_restart_goes_from_one_to_the_next"),
    ),
    Mutant(
        "restart",
        "lowered limits: a standby restarts before it has replayed them",
        OBSERVE,
        "world->pg.replayed < world_find_member(world, name)->position.lsn)",
        "false)",
        unit("observe", "lowered_limits_begin_with_the_primary"),
    ),
    Mutant(
        "S1",
        "settings of all members may contradict each other",
        "src/record/request.c",
        "code == FHA_OK && (request->kind == FHA_REQUEST_SET || request->kind == FHA_REQUEST_RESET))",
        "code == FHA_OK && plan == NULL)",
        unit("request", "settings_of_all_members"),
    ),
    # --- S2b: reads
    Mutant(
        "S2b",
        "the fence: logins pass",
        "src/pg/login.c",
        "if (fence_refuses_still() && (!guc_fenced_reads || am_db_walsender))",
        "if (false)",
        fence("test_logins_are_refused"),
        short=True,
    ),
    Mutant(
        "S2b",
        "the fence: running reads go on",
        SEND,
        "else if (shows_something(type, body, size) && fence_refuses_still())",
        "else if (false)",
        fence("test_running_reads_end[SELECT FROM pg_sleep(1)]"),
        short=False,
    ),
    Mutant(
        "S2b",
        "the fence: notifications pass",
        SEND,
        "(type == 'A' || is_parameter(type, body))",
        "is_parameter(type, body)",
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
        "src/pg/login.c",
        "if (am_walsender && !am_db_walsender)\n\t{",
        "if (am_walsender && !am_db_walsender && !fence_refuses())\n\t{",
        fence("test_a_physical_walsender_passes"),
        short=False,
    ),
    # --- beside the fence
    Mutant(
        "S7",
        "ALTER SYSTEM changes whom a member follows",
        "src/pg/refuse.c",
        "\tif (IsA(node, AlterSystemStmt))",
        "\tif (false)",
        fence("test_managed_settings_are_not_for_alter_system[primary_conninfo]"),
        short=False,
    ),
    Mutant(
        "S4b",
        "ALTER SYSTEM switches fsync off",
        "src/config/settings.def",
        "FHA_SERVER_SETTING(fsync, FHA_OWN | FHA_NOT_ALTERED | FHA_ON)",
        "FHA_SERVER_SETTING(fsync, FHA_OWN)",
        fence("test_managed_settings_are_not_for_alter_system[fsync]"),
        short=False,
    ),
    Mutant(
        "S1b",
        "programs that SQL starts keep the liveness lock",
        "fawkes_ha.c",
        "fcntl((int) fd, F_SETFD, FD_CLOEXEC)",
        "fcntl((int) fd, F_GETFD)",
        fence("test_the_ack_watermark"),
        short=False,
    ),
]

LISTENER = [
    # --- what the listener says, and whom it believes
    Mutant(
        "S1",
        "/primary: the role is enough",
        HEALTH,
        "if (health->fence_left_ms <= 0)",
        "if (false)",
        unit("health", "s1_a_primary_is_one_while_its_fence_is_open"),
    ),
    Mutant(
        "S1",
        "/primary: an open fence is enough",
        HEALTH,
        "if (health->postgres != FHA_PG_PRIMARY)",
        "if (false)",
        unit("health", "s1_an_open_fence_without_a_primary_is_none"),
    ),
    Mutant(
        "S1",
        "/primary: the record is enough",
        HEALTH,
        "if (health->fence_left_ms <= 0)",
        "if (strcmp(health->holder, health->member) != 0)",
        unit("health", "s1_a_primary_is_one_while_its_fence_is_open"),
    ),
    Mutant(
        "health",
        "/replica: one that only connects",
        "src/pg/view.c",
        " && WalRcv->ready_to_display",
        "",
        ("test/test_listener.py::test_a_receiver_that_only_connects_does_not_stream",),
        short=False,
    ),
    Mutant(
        "health",
        "/replica: one that does not stream",
        HEALTH,
        "if (!health->streaming)",
        "if (false)",
        unit("health", "a_standby_is_a_replica_while_it_streams"),
    ),
    Mutant(
        "health",
        "/replica: an unknown lag is none",
        HEALTH,
        "health->leader.timeline != health->position.timeline)\n\t\treturn FHA_HEALTH_LAG_UNKNOWN;",
        "health->leader.timeline != health->position.timeline)\n\t\treturn 0;",
        unit("health", "lag_that_is_not_known_is_beyond_every_limit"),
    ),
    Mutant(
        "health",
        "/replica: received is replayed",
        HEALTH,
        "if (health->replayed >= health->leader.lsn)",
        "if (health->position.lsn >= health->leader.lsn)",
        unit("health", "lag_is_from_the_leaders_renewal_to_what_is_replayed"),
    ),
    Mutant(
        "trust",
        "a question's HMAC is not checked",
        MEMBER,
        "if (!is_authentic(key->question, body, size, mac))",
        "if (false)",
        unit("protocol", "what_is_not_authentic_is_not_looked_at"),
    ),
    Mutant(
        "trust",
        "an HMAC is compared to half its length",
        MEMBER,
        "CRYPTO_memcmp(mac, right, FHA_MAC_TEXT_SIZE - 1) == 0",
        "CRYPTO_memcmp(mac, right, FHA_MAC_TEXT_SIZE / 2) == 0",
        unit("protocol", "what_is_not_authentic_is_not_looked_at"),
    ),
    Mutant(
        "trust",
        "an answer's HMAC is not checked",
        MEMBER,
        "if (!is_authentic(key->answer, data, size, mac))",
        "if (false)",
        unit("protocol", "an_answer_belongs_to_its_question"),
    ),
    Mutant(
        "trust",
        "one key for questions and answers",
        MEMBER,
        "memcpy(out->answer, all + FHA_MAC_BYTES, FHA_MAC_BYTES);",
        "memcpy(out->answer, all, FHA_MAC_BYTES);",
        unit("protocol", "the_key_comes_of_cluster_and_password"),
    ),
    Mutant(
        "trust",
        "an answer's nonce is not compared",
        MEMBER,
        " &&\n\t\t   strcmp(echo.nonce, asked->nonce) == 0;",
        ";",
        unit("protocol", "an_answer_belongs_to_its_question"),
    ),
    Mutant(
        "trust",
        "nonces are not remembered",
        MEMBER,
        "if (was_asked(server, question->nonce))",
        "if (false)",
        unit("protocol", "a_question_is_answered_once"),
    ),
    Mutant(
        "trust",
        "the challenge is not compared",
        MEMBER,
        "if (strcmp(question->challenge, server->challenge) != 0)",
        "if (false)",
        unit("protocol", "a_question_is_answered_once"),
    ),
    Mutant(
        "trust",
        "the asked cluster is not compared",
        MEMBER,
        "if (strcmp(question->cluster, health->cluster) != 0)",
        "if (false)",
        unit("protocol", "each_refusal_has_its_status"),
    ),
    Mutant(
        "trust",
        "system identifiers are not compared",
        MEMBER,
        "question->system_identifier != health->system_identifier)",
        "false)",
        unit("protocol", "each_refusal_has_its_status"),
    ),
    Mutant(
        "trust",
        "the asked member is not compared",
        MEMBER,
        "if (strcmp(question->to, health->member) != 0)",
        "if (false)",
        unit("protocol", "each_refusal_has_its_status"),
    ),
]

# Each fuzz target notices what breaks the parser that it is for: with the inputs that are kept.
FUZZED = [
    Mutant(
        "fuzz",
        "records: a text of any length is copied",
        "src/base/json.c",
        "if (length >= size || strlen(json_object_get_string(value)) != length)",
        "if (strlen(json_object_get_string(value)) != length)",
        fuzz("record"),
    ),
    Mutant(
        "fuzz",
        "settings: a value of any length is copied",
        "src/config/config.c",
        "if (used + 1 >= size)",
        "if (used + 1 == 0)",
        fuzz("config"),
        short=False,
    ),
    Mutant(
        "fuzz",
        "node.json: any term is taken",
        "src/node/state.c",
        "if (number < 0 || number == INT64_MAX)",
        "if (number < 0)",
        fuzz("state"),
        short=False,
    ),
    Mutant(
        "fuzz",
        "follow.conf: an address may have a line break",
        "src/config/conninfo.c",
        "if ((unsigned char) start[i] < ' ' || start[i] == '[')",
        "if (start[i] == '[')",
        fuzz("follow"),
        short=False,
    ),
    Mutant(
        "fuzz",
        "pg_waldump: a line of any length is kept",
        "src/cli/postgres_wal.c",
        "if (dump->unfinished_size < sizeof(dump->unfinished) - 1)",
        "if (dump->unfinished_size < SIZE_MAX)",
        fuzz("postgres"),
        short=False,
    ),
    Mutant(
        "fuzz",
        "the command line: any number is taken",
        "src/cli/main.c",
        "number < 1 || number > WAIT_MAX_S)",
        "number < 1)",
        fuzz("options"),
        short=False,
    ),
    Mutant(
        "fuzz",
        "postgresql.auto.conf: recovery targets stay",
        "src/config/settings.c",
        "(rows[i].family && length > own)",
        "false",
        fuzz("pgfiles"),
        short=False,
    ),
    Mutant(
        "fuzz",
        "the world: a lease of ours may be free",
        OBSERVE,
        "if (!world_has_record(world) || fha_lease_is_mine(world))",
        "if (!world_has_record(world))",
        fuzz("world"),
        short=False,
    ),
    Mutant(
        "fuzz",
        "the lock: a file name of any length is copied",
        FILES,
        "if (length <= FHA_DIR_SUFFIX || length - FHA_DIR_SUFFIX >= FHA_RECORD_NAME_SIZE)",
        "if (length <= FHA_DIR_SUFFIX)",
        fuzz("lock"),
        short=False,
    ),
]

# Neither a full disk nor a lack of memory makes half a file or record pass for the whole.
TORTURED = [
    Mutant(
        "fail",
        "what is printed is not read back",
        "src/base/json.c",
        "if (problem != json_tokener_success || end != strlen(text) || !json_object_equal(object, again))",
        "if (false)",
        unit("torture", "records_without_memory", "state_files_survive"),
    ),
    Mutant(
        "fail",
        "keys that found no memory are not missed",
        "src/base/json.c",
        "else if (count_members(object) == count_colons(data, size))",
        "else",
        unit("torture", "records_without_memory"),
        short=False,
    ),
    Mutant(
        "fail",
        "a state file is renamed although it was not written",
        "src/base/file.c",
        "written = write_all(fd, data, size) && fsync(fd) == 0;",
        "written = write_all(fd, data, size) || fd >= 0;",
        unit("torture", "state_files_survive"),
        short=False,
    ),
    Mutant(
        "fail",
        "a version is linked although it was not written",
        FILES,
        "if (code == FHA_OK && (!good || fsync(fd) != 0))",
        "if (false)",
        unit("torture", "the_lock_survives"),
        short=False,
    ),
]

MUTANTS = [*CORE, *CONTROL, *LOCK, *FENCES, *LISTENER, *FUZZED, *TORTURED]
