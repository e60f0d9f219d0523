"""Attacks on the way back: rewinds and clones that fail, are killed, are done twice, or lose who a node is.

One cluster serves all tests here; each begins with one that streams, whoever leads it.
"""

import itertools
import json
import re
import shutil
import signal
from pathlib import Path
from threading import Thread

import pytest

from lab import process, programs
from lab.cluster import Cluster
from lab.node import Node
from lab.steps import (
    answers_nobody,
    frozen,
    gone,
    has,
    insert,
    insert_here_alone,
    revive,
    stop_sender,
    wait_all_the_same,
)
from lab.wait import until

FAULTS = True
rows = itertools.count(-1, -1)  # the writers take what is above 0

OWN_CONF = "# of this node\nlog_min_duration_statement = '4321s'\n"
OWN_HBA = "# of this node alone\n"


def aside(node: Node, suffix: str) -> Path:
    return node.data.with_name(node.data.name + suffix)


def log_since(node: Node, at: int) -> str:
    return node.log.read_bytes()[at:].decode(errors="replace")


def diverge(cluster: Cluster) -> tuple[Node, int]:
    """The primary acknowledges a row that nobody else gets, and is killed; it, and the row."""
    old = revive(cluster)
    row = next(rows)
    insert_here_alone(cluster, old, row)
    old.kill()
    cluster.wait_for_leader(besides=old)
    return old, row


def lose_wal(node: Node, cluster: Cluster) -> int:
    """As diverge() does, but of `node`, which leads: what it would need to be rewound is gone."""
    row = next(rows)
    # Two segments are more than a standby may be behind, once a renewal has shown them.
    assert node.command("set", "fawkes_ha.max_lag_on_failover=1GB").returncode == 0
    for other in cluster.others(node):
        until(f"{other.name} has it", lambda other=other: other.value("SHOW fawkes_ha.max_lag_on_failover") == "1GB")
    insert_here_alone(cluster, node, row)
    for _ in range(2):
        with node.session() as session:
            session.query("SELECT pg_switch_wal()", timeout=20)
            session.query("CHECKPOINT", timeout=60)
    node.kill()
    needed = programs.control_data(node.data)["Latest checkpoint's REDO WAL file"]
    for segment in (node.data / "pg_wal").iterdir():
        if re.fullmatch("[0-9A-F]{24}", segment.name) and segment.name < needed:
            segment.unlink()
    leader = cluster.wait_for_leader(besides=node)
    assert leader.command("reset", "fawkes_ha.max_lag_on_failover").returncode == 0
    return row


# --- identity


def mark_as_own(node: Node) -> None:
    """Settings that no other node has, in each file that may hold some."""
    with open(node.data / "postgresql.conf", "a") as file:
        file.write(OWN_CONF)
    with open(node.data / "pg_hba.conf", "a") as file:
        file.write(OWN_HBA)
    node.write_settings(work_mem="7MB")
    with node.session() as session:
        session.query("ALTER SYSTEM SET vacuum_cost_page_miss = '3'", timeout=20)


IDENTITY = """
SELECT current_setting('fawkes_ha.member_name'), current_setting('fawkes_ha.address'), current_setting('port'),
       current_setting('fawkes_ha.state_directory'), current_setting('data_directory'),
       current_setting('primary_slot_name')
"""
OWN_SETTINGS = """
SELECT current_setting('log_min_duration_statement'), current_setting('work_mem'),
       current_setting('vacuum_cost_page_miss')
"""


def state_of(node: Node) -> dict:
    return json.loads((node.state / "node.json").read_text())


def check_identity(cluster: Cluster, node: Node, before: dict) -> None:
    wait_all_the_same(cluster)
    with node.session() as session:
        assert session.query(IDENTITY)[0] == (
            node.name,
            f"127.0.0.1:{node.port}",
            str(node.port),
            str(node.state),
            str(node.data),
            f"fawkes_ha_{node.name}",
        )
        assert session.query(OWN_SETTINGS)[0] == ("4321s", "7MB", "3")
    assert OWN_HBA in (node.data / "pg_hba.conf").read_text()
    after = state_of(node)
    assert (after["member"], after["cluster_uuid"]) == (node.name, before["cluster_uuid"])
    assert after["highest_term"] >= before["highest_term"]
    assert after["data_incarnation"] != before["data_incarnation"], "votes belong to data (S4b)"
    leader = cluster.wait_all_stream()
    question = "SELECT application_name FROM pg_stat_replication WHERE application_name LIKE %s"
    assert leader.value(question, (f"{node.name}%",)) == f"{node.name}_{after['data_incarnation']}"
    assert not (node.state / "kept").exists() and not (node.state / "damaged").exists()


def test_a_rewind_keeps_who_the_node_is(cluster: Cluster) -> None:
    """S11, S4b: pg_rewind brings the leader's files; the node's name, address, settings and access rules stay."""
    node = revive(cluster)
    mark_as_own(node)
    before = state_of(node)
    at = node.log.stat().st_size
    row = next(rows)
    insert_here_alone(cluster, node, row)
    node.kill()
    cluster.wait_for_leader(besides=node)
    node.start()
    check_identity(cluster, node, before)
    text = log_since(node, at)
    assert "left the leader's history" in text and "cloning" not in text
    assert not has(cluster, node, row)
    assert list(node.state.glob("wal-past-fork-*")), "the WAL past the fork is kept"


def test_wal_gone_is_a_clone_that_keeps_who_the_node_is(cluster: Cluster) -> None:
    """S11, S4b: what cannot be rewound is cloned beside; the old directory stays until the new one streams."""
    node = revive(cluster)
    mark_as_own(node)
    before = state_of(node)
    row = lose_wal(node, cluster)
    cluster.faults[node].at("unlink", "/data.fawkes_ha/damaged", "stop")
    node.start()
    job = cluster.faults[node].wait_met()
    # The clone is in its place, and nobody has seen it work.
    assert (aside(node, ".old") / "PG_VERSION").exists()
    with answers_nobody(cluster.wait_for_leader()):
        process.send([job], signal.SIGCONT)
        until("the clone runs", lambda: node.standing()[0] == "standby")
        assert (aside(node, ".old") / "PG_VERSION").exists(), "nobody streams yet"
    check_identity(cluster, node, before)
    until("what the clone replaced is gone", lambda: not aside(node, ".old").exists())
    assert not has(cluster, node, row)


def checkpoint_over_two_segments(cluster: Cluster, node: Node) -> None:
    """Its record lies in a later segment than the position from which recovery begins."""
    cluster.faults[node].at("rename", "/replorigin_checkpoint", "stop")
    with node.session() as asks, node.session() as other:
        checkpoint = Thread(target=lambda: asks.query("CHECKPOINT", timeout=60))
        checkpoint.start()
        checkpointer = cluster.faults[node].wait_met()
        for _ in range(2):
            other.query("CREATE TABLE junk(); DROP TABLE junk")
            other.query("SELECT pg_switch_wal()", timeout=20)
        process.send([checkpointer], signal.SIGCONT)
        checkpoint.join()


def test_wal_that_only_the_rewound_needs(cluster: Cluster) -> None:
    """S11: pg_rewind removes what recovery begins with, if the leader has not got it: a clone follows."""
    checkpoint_over_two_segments(cluster, revive(cluster))
    old, row = diverge(cluster)
    needed = programs.control_data(old.data)["Latest checkpoint's REDO WAL file"][8:]
    leader = cluster.find_leader()
    until("nothing keeps its WAL", lambda: leader.command("remove", old.name).returncode == 0)
    assert leader.command("set", "wal_keep_size=0").returncode == 0
    until("the leader keeps nothing", lambda: leader.value("SHOW wal_keep_size") == "0")

    def is_gone() -> bool:
        with leader.session() as session:
            session.query("SELECT pg_switch_wal()", timeout=20)
            session.query("CHECKPOINT", timeout=60)
            return session.value("SELECT min(substr(name, 9)) FROM pg_ls_waldir() WHERE length(name) = 24") > needed

    until("it is gone", is_gone)
    since = old.log.stat().st_size
    old.start()
    old.wait_for_log("the leader no longer has the WAL that this data goes on with", 120, since=since)
    assert wait_all_the_same(cluster) is leader
    assert "pg_rewind: Done!" in log_since(old, since)
    assert not has(cluster, old, row)
    assert leader.command("reset", "wal_keep_size").returncode == 0


# --- killed in the middle


def second_supervisor(node: Node) -> str:
    done = programs.run("fawkes-ha", "run", "-D", node.data, timeout=30)
    assert done.returncode != 0
    return done.stderr


def test_a_rewind_killed_in_the_middle(cluster: Cluster) -> None:
    """S11: pg_rewind dies after it began to write: the directory is marked, is not started, and is cloned."""
    node, row = diverge(cluster)
    cluster.faults[node].at("create", "/data/backup_label", "self")
    at = node.log.stat().st_size
    node.start()
    cluster.faults[node].wait_met()
    cluster.wait_streams(node)
    assert "cloning from" in log_since(node, at)
    assert not has(cluster, node, row)
    wait_all_the_same(cluster)


def test_a_supervisor_killed_in_the_middle_of_a_rewind(cluster: Cluster) -> None:
    """S11: its rewind dies with it and leaves the mark; while it lived, no second supervisor came in."""
    node, row = diverge(cluster)
    cluster.faults[node].at("create", "/data/backup_label", "stop")
    node.start()
    rewind = cluster.faults[node].wait_met()
    assert (node.state / "damaged").exists()
    assert "supervises this node already" in second_supervisor(node)
    process.send([node.supervisor_pid], signal.SIGKILL)
    at = node.log.stat().st_size
    node.start()
    until("the rewind died with its supervisor", lambda: gone(rewind))
    cluster.wait_streams(node)
    assert "cloning from" in log_since(node, at)
    assert not has(cluster, node, row)
    wait_all_the_same(cluster)


CLONE_POINTS = {
    "copying": ("create", "/data.clone/global/pg_control", False),
    "swapping": ("before-rename", "/data.clone$", True),
}


@pytest.mark.parametrize("point", CLONE_POINTS.values(), ids=CLONE_POINTS)
def test_a_supervisor_killed_in_the_middle_of_a_clone(cluster: Cluster, point: tuple[str, str, bool]) -> None:
    """S11: the data of before is whole, in its place or beside it, until a clone that was begun anew streams."""
    operation, part, moved = point
    node = revive(cluster)
    before = state_of(node)
    lose_wal(node, cluster)
    cluster.faults[node].at(operation, part, "stop")
    node.start()
    cluster.faults[node].wait_met()
    kept = aside(node, ".old") if moved else node.data
    assert programs.control_data(kept)["Database system identifier"]
    assert (node.state / "damaged").exists()
    process.send([node.supervisor_pid], signal.SIGKILL)
    until("the supervisor is gone", lambda: node.supervisor_pid is None)
    assert (kept / "PG_VERSION").exists()
    node.start()
    cluster.wait_streams(node)
    until("what the clone replaced is gone", lambda: not aside(node, ".old").exists())
    assert not aside(node, ".clone").exists()
    assert state_of(node)["data_incarnation"] != before["data_incarnation"]
    wait_all_the_same(cluster)


def test_a_clone_killed_in_the_middle(cluster: Cluster) -> None:
    """S11: pg_basebackup and its job die; the supervisor begins again by itself."""
    node = cluster.others(revive(cluster))[0]
    node.stop()
    shutil.rmtree(node.data)
    cluster.faults[node].at("create", "/data.clone/global/pg_control", "parent")
    node.start()
    cluster.faults[node].wait_met()
    assert not node.data.exists(), "a half copy is never in the data directory's place"
    cluster.wait_streams(node)
    assert not aside(node, ".clone").exists()


def test_a_supervisor_killed_before_its_clone_streams(cluster: Cluster) -> None:
    """S11: the next supervisor takes over the running clone's mark: what was replaced goes once it streams."""
    node = revive(cluster)
    lose_wal(node, cluster)
    cluster.faults[node].at("unlink", "/data.fawkes_ha/damaged", "stop")
    node.start()
    job = cluster.faults[node].wait_met()
    with answers_nobody(cluster.wait_for_leader()):
        process.send([job], signal.SIGCONT)
        until("the clone runs", lambda: node.standing()[0] == "standby")
        process.send([node.supervisor_pid], signal.SIGKILL)
        until("the supervisor is gone", lambda: node.supervisor_pid is None)
        at = node.log.stat().st_size
        node.start()
        node.wait_for_log("watching over it", since=at)
        assert (aside(node, ".old") / "PG_VERSION").exists(), "nobody streams yet"
    cluster.wait_streams(node)
    until("what the clone replaced is gone", lambda: not aside(node, ".old").exists())
    wait_all_the_same(cluster)


# --- two supervisors


def test_two_supervisors_around_a_shutdown_checkpoint(cluster: Cluster) -> None:
    """S7: during a shutdown checkpoint a second supervisor is refused; after the first one's death it waits for it.

    What it starts afterwards is one server, and a standby of whoever leads then.
    """
    old = revive(cluster)
    checkpointer = old.titled("postgres: checkpointer")
    process.send(checkpointer, signal.SIGSTOP)
    postmaster = old.postmaster_pid
    old.stop_at_once()
    assert "supervises this node already" in second_supervisor(old)
    process.send([old.supervisor_pid], signal.SIGKILL)
    until("the supervisor is gone", lambda: old.supervisor_pid is None)
    at = old.log.stat().st_size
    old.start()
    old.wait_for_log("watching over it", since=at)
    assert old.postmaster_pid == postmaster, "the server that is shutting down is let be"
    process.send(checkpointer, signal.SIGCONT)
    until("the old server is gone", lambda: gone(postmaster))
    wait_all_the_same(cluster)
    assert len(old.titled("/postgres -D")) == 1


# --- ahead of the leader


def test_a_standby_past_the_fork_on_the_same_timeline(cluster: Cluster) -> None:
    """S7: a running standby that has more of the old timeline than the new leader stops, and is rewound."""
    old = revive(cluster)
    ahead, behind = cluster.others(old)
    row, after = next(rows), next(rows)
    stop_sender(old, behind)
    insert(cluster, old, row)
    until("the row is on one standby", lambda: has(cluster, ahead, row))
    at = ahead.log.stat().st_size
    with frozen(ahead):
        old.kill()
        until("the one without the row leads", lambda: cluster.find_leader() is behind)
        insert(cluster, behind, after)
    cluster.wait_streams(ahead)
    old.start()
    wait_all_the_same(cluster)
    for node in cluster.nodes:
        assert (has(cluster, node, row), has(cluster, node, after)) == (False, True), node.name
    assert "left the leader's history" in log_since(ahead, at)


def test_no_rewind_again_and_again(cluster: Cluster) -> None:
    """S11: a standby that received more than it replayed, stopped cleanly, and then left the history: one way back.

    Its control file shows where its replay was; its WAL goes on past the fork.
    """
    old = revive(cluster)
    ahead, behind = cluster.others(old)
    row = next(rows)
    ahead.value("SELECT pg_wal_replay_pause()::text")
    stop_sender(old, behind)
    insert(cluster, old, row)
    end = old.value("SELECT pg_current_wal_flush_lsn()::text")
    received = "SELECT pg_last_wal_receive_lsn() >= %s::pg_lsn"
    until("the row's WAL is received", lambda: ahead.value(received, (end,)))
    ahead.stop()
    old.kill()
    assert cluster.wait_for_leader(besides=old) is behind
    at = ahead.log.stat().st_size
    ahead.start()
    cluster.wait_streams(ahead)
    text = log_since(ahead, at)
    assert text.count("rewinding to") + text.count("cloning from") <= 2, text
    old.start()
    wait_all_the_same(cluster)
    assert not has(cluster, ahead, row)


@pytest.mark.parametrize("lags", [False, True], ids=["a successor has it all", "a successor lacks some"])
def test_the_leader_dies_when_the_rewind_ends(cluster: Cluster, lags: bool) -> None:
    """S7: rewound data needs WAL of that very leader to be consistent; it finds to the next one all the same."""
    # Of two that have it all the first by name leads, and it is not to be the rewound one.
    last = cluster.nodes[-1]
    if revive(cluster) is not last:
        assert last.command("switchover", "--to", last.name).returncode == 0
    node, _ = diverge(cluster)
    assert node is last
    leader = cluster.wait_for_leader()
    (other,) = cluster.others(node, leader)
    cluster.wait_streams(other)
    cluster.faults[node].at("unlink", "/data.fawkes_ha/damaged", "stop")
    node.start()
    job = cluster.faults[node].wait_met()
    if lags:
        process.send(other.titled("postgres: walreceiver"), signal.SIGSTOP)
        insert(cluster, leader, next(rows))
    leader.kill()
    process.send([job], signal.SIGCONT)
    process.send(other.titled("postgres: walreceiver"), signal.SIGCONT)
    until("the other one leads", lambda: cluster.find_leader() is other)
    cluster.wait_streams(node)
    leader.start()
    wait_all_the_same(cluster)
