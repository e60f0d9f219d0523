"""Real drivers through what happens to a primary, set up as docs/connecting.md says.

All of them write at once, each from a program of its own (test/drivers).  Each must go on with the
server that leads, within its own time limits, and no row may be missing that it was told of.
Debian's psycopg and asyncpg always; with FAWKES_DRIVERS (make check-drivers) their newest, pgx,
node-postgres and pgjdbc with HikariCP.
"""

import os
import signal

import pytest

from lab import drivers
from lab.cluster import Cluster
from lab.evidence import examine, missing_rows
from lab.drivers import Driver
from lab.node import Node
from lab.wait import until

GOES_ON_S = 30
ROWS = 20


@pytest.fixture(scope="module")
def fleet(cluster: Cluster):
    found = drivers.available()
    if not found:
        pytest.skip("neither psycopg 3 nor asyncpg is installed")
    fleet = [Driver(name, number, cluster) for number, name in enumerate(found)]
    try:
        goes_on(fleet, cluster.wait_all_stream())
        yield fleet
    finally:
        for driver in fleet:
            driver.end()


def goes_on(fleet: list[Driver], leader: Node) -> None:
    for driver in fleet:
        driver.wait_for_acks_of(leader.port, ROWS, GOES_ON_S)


def acks_of(fleet: list[Driver]) -> list:
    return [ack for driver in fleet for ack in list(driver.acks)]


def nothing_is_missing(cluster: Cluster, fleet: list[Driver], leader: Node) -> None:
    assert [ack.id for ack in missing_rows(cluster, leader, acks_of(fleet), 0)] == []


def test_a_switchover(cluster: Cluster, fleet: list[Driver]) -> None:
    old = cluster.wait_all_stream()
    done = old.command("switchover")
    assert done.returncode == 0, done.stderr
    leader = cluster.wait_for_leader(besides=old)
    goes_on(fleet, leader)
    nothing_is_missing(cluster, fleet, leader)


def test_a_kill_of_postgresql(cluster: Cluster, fleet: list[Driver]) -> None:
    old = cluster.wait_all_stream()
    pid = old.postmaster_pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    until("the killed postmaster is gone", lambda: old.postmaster_pid != pid)
    leader = cluster.wait_for_leader()
    goes_on(fleet, leader)
    nothing_is_missing(cluster, fleet, leader)


def test_a_restart_of_all_members(cluster: Cluster, fleet: list[Driver]) -> None:
    leader = cluster.wait_all_stream()
    done = leader.command("restart", timeout=120)
    assert done.returncode == 0, done.stderr
    leader = cluster.wait_all_stream()
    goes_on(fleet, leader)
    nothing_is_missing(cluster, fleet, leader)


def test_a_frozen_node(cluster: Cluster, fleet: list[Driver]) -> None:
    """Its kernel goes on answering for it: only the client's own limits bring it to the new primary meanwhile.

    Rows that were acknowledged and not yet streamed may be missing, and only those.
    """
    old = cluster.wait_all_stream()
    timeline = cluster.timeline(old)
    old.freeze()
    try:
        before = acks_of(fleet)
        leader = cluster.wait_for_leader(besides=old)
        goes_on(fleet, leader)
        first = [ack for ack in before if ack.timeline == timeline]
        loss = examine(cluster, old, leader, first, 0, cluster.timeline(leader))
        assert loss.problems() == []
    finally:
        old.thaw()
    cluster.wait_streams(old)
    lost = {ack.id for ack in loss.rows}
    missing = missing_rows(cluster, leader, acks_of(fleet), 0)
    assert [ack.id for ack in missing if ack.id not in lost] == []
