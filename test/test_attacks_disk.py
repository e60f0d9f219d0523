"""Attacks by full disks: pg_wal, and the state directory of a candidate, of a primary and of a node on its way back.

One cluster serves all tests here.  The disk is made to look full (lab/faults.py): files cannot grow.
"""

import itertools
import json
import signal

from lab import evidence, process
from lab.cluster import Cluster
from lab.load import Load
from lab.node import Node
from lab.session import Error, Session
from lab.steps import has, insert, insert_here_alone, revive, wait_all_the_same
from lab.wait import until

FAULTS = True
rows = itertools.count(-1, -1)  # the writers take what is above 0


def term_on_disk(node: Node) -> int:
    return json.loads((node.state / "node.json").read_text())["highest_term"]


def write_wal(cluster: Cluster, leader: Node) -> bool:
    """A segment's worth; False when the server does not survive it."""
    try:
        with Session(cluster.dsn([leader]), 5) as session:
            session.query("INSERT INTO filler SELECT g, repeat('x', 1000) FROM generate_series(1, 16000) g", timeout=20)
        return True
    except Error:
        return False


def test_pg_wal_of_the_primary_is_full(cluster: Cluster) -> None:
    """S9, S7: a primary that cannot write WAL ends; its lease is released, and nothing acknowledged is lost."""
    old = revive(cluster)
    with Load(cluster, writers=3) as load:
        number = load.begin_round()
        load.wait_for_acks(100)
        cluster.faults[old].fill(old.data / "pg_wal")
        until("the primary cannot go on", lambda: not write_wal(cluster, old))
        leader = cluster.wait_for_leader(besides=old)
        load.wait_for_acks(100)
        acks = [ack for ack in load.acks if ack.round == number]
    assert evidence.missing_rows(cluster, leader, acks, number) == []
    assert evidence.overlap(acks) == 0
    cluster.faults[old].free()
    wait_all_the_same(cluster)


def test_the_state_directory_of_the_best_candidate_is_full(cluster: Cluster) -> None:
    """S7: a term that is not on disk is not acted upon: the candidate that cannot note it does not lead."""
    old = revive(cluster)
    best, other = cluster.others(old)  # equal positions: the lower name goes first
    cluster.faults[best].fill(best.state)
    term = term_on_disk(best)
    old.kill()
    until("the other one leads", lambda: cluster.find_leader() is other)
    assert best.value("SELECT pg_is_in_recovery()")
    assert term_on_disk(best) == term < term_on_disk(other)
    row = next(rows)
    insert(cluster, other, row)
    cluster.faults[best].free()
    old.start()
    wait_all_the_same(cluster)
    assert term_on_disk(best) >= term_on_disk(other)


def test_the_state_directory_of_the_primary_is_full(cluster: Cluster) -> None:
    """S9: it leads on; when its postmaster dies it cannot be started there, and somebody else leads."""
    old = revive(cluster)
    cluster.faults[old].fill(old.state)
    row = next(rows)
    insert(cluster, old, row)
    process.send([old.postmaster_pid], signal.SIGKILL)
    leader = cluster.wait_for_leader(besides=old)
    assert has(cluster, leader, row)
    assert old.postmaster_pid is None
    cluster.faults[old].free()
    wait_all_the_same(cluster)


def test_the_state_directory_is_full_on_the_way_back(cluster: Cluster) -> None:
    """S11: what is to be kept cannot be: nothing is rewound until it can."""
    old = revive(cluster)
    row = next(rows)
    insert_here_alone(cluster, old, row)
    old.kill()
    cluster.wait_for_leader(besides=old)
    cluster.faults[old].fill(old.state / "wal-past-fork")
    at = old.log.stat().st_size
    old.start()
    old.wait_for_log("could not rewind yet", since=at)
    assert not (old.state / "damaged").exists()
    cluster.faults[old].free()
    cluster.wait_streams(old)
    assert not has(cluster, old, row)
    assert list(old.state.glob("wal-past-fork-*"))
    wait_all_the_same(cluster)


def keeps_up(cluster: Cluster, node: Node, leader: Node) -> bool:
    try:
        return cluster.streams(node, leader)
    except Error:  # it is down
        return False


def test_the_other_members_stay_out_of_it(cluster: Cluster) -> None:
    """S9: a standby whose disk is full holds up neither the primary nor a switchover to another."""
    old = revive(cluster)
    full, target = cluster.others(old)
    cluster.faults[full].fill(full.data)
    until("it cannot write what it receives", lambda: write_wal(cluster, old) and not keeps_up(cluster, full, old))
    done = old.command("switchover", "--to", target.name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert cluster.wait_for_leader(besides=old) is target
    cluster.faults[full].free()
    wait_all_the_same(cluster)
