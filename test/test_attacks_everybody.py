"""Attacks on everybody: all three restarted, killed and started in another order; two of three gone for ever.

One cluster serves all tests here.
"""

import itertools

from lab import evidence, process
from lab.cluster import Cluster
from lab.evidence import lsn_number
from lab.load import Load
from lab.session import Session
from lab.steps import has, insert, recorded_position, revive, stop_sender, wait_all_the_same
from lab.wait import until

rows = itertools.count(-1, -1)  # the writers take what is above 0


def check_nothing_lost(cluster: Cluster, load: Load, number: int) -> None:
    acks = [ack for ack in load.acks if ack.round == number]
    with load.paused():
        leader = wait_all_the_same(cluster)
        assert evidence.missing_rows(cluster, leader, acks, number) == []
    assert evidence.overlap(load.acks) == 0


def test_all_are_restarted_at_once(cluster: Cluster) -> None:
    """S7: three fast shutdowns at the same time, three starts in reversed order: no row is missing."""
    revive(cluster)
    with Load(cluster, writers=4) as load:
        number = load.begin_round()
        load.wait_for_acks(300)
        for node in cluster.nodes:
            node.terminate()
        for node in cluster.nodes:
            node.wait_ended()
        for node in reversed(cluster.nodes):
            node.start()
        load.wait_for_acks(100)
        check_nothing_lost(cluster, load, number)


def test_all_are_killed_at_once(cluster: Cluster) -> None:
    """S1b, S7: kill -9 of everything, the old primary is started last: it is known by its liveness lock, and leads."""
    old = revive(cluster)
    with Load(cluster, writers=4) as load:
        number = load.begin_round()
        load.wait_for_acks(300)
        process.kill_all(lambda: [pid for node in cluster.nodes for pid in node.pids()])
        for node in (*cluster.others(old), old):
            node.start()
        load.wait_for_acks(100)
        check_nothing_lost(cluster, load, number)


def test_two_of_three_are_gone(cluster: Cluster) -> None:
    """S7: the third is further behind than allowed: it leads when it is told to, not by itself, and says why."""
    old = revive(cluster)
    other, third = cluster.others(old)
    lost, kept = next(rows), next(rows)
    stop_sender(old, third)
    with Session(cluster.dsn([old]), 5) as session:
        session.query("INSERT INTO filler SELECT g, repeat('x', 1000) FROM generate_series(1, 24000) g", timeout=60)
    insert(cluster, old, lost)
    flushed = lsn_number(old.value("SELECT pg_current_wal_flush_lsn()::text"))
    until("a renewal shows what the third has not", lambda: recorded_position(old) >= flushed)
    old.kill()
    other.kill()
    third.wait_for_log("a successor needs")
    assert cluster.find_leader() is None
    done = third.command("failover", "--wait", "30")
    assert done.returncode == 0, done.stdout + done.stderr
    until("the third leads", lambda: cluster.find_leader() is third)
    insert(cluster, third, kept)
    old.start()
    other.start()
    wait_all_the_same(cluster)
    for node in cluster.nodes:
        assert (has(cluster, node, lost), has(cluster, node, kept)) == (False, True), node.name
