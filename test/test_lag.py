"""How old is what a standby has? From every member, in bytes and in time, whatever the wall clocks say."""

import re
import signal
import sys
from contextlib import contextmanager
from typing import Iterator

import pytest

from lab import http, process, programs
from lab.attack import shimmed_cluster
from lab.cluster import APPLICATION, LEASE_S, Cluster
from lab.node import Node
from lab.session import Session
from lab.shim import Shim
from lab.wait import now, until

SETTLE_S = 60
# A standby hears of the leader at each renewal, twice a second, and replies once a second; the machine may be busy.
SMALL_S = 6.0
# Between a sample of the leader's position and the turn in which a node takes it.
SLACK_S = 2.0

LAG = """
SELECT extract(epoch FROM write_lag)::float8, extract(epoch FROM flush_lag)::float8,
       extract(epoch FROM replay_lag)::float8, write_lag_bytes, flush_lag_bytes, replay_lag_bytes
FROM fawkes_ha.replication_lag WHERE member = %s
"""
WRITE, FLUSH, REPLAY, WRITE_BYTES, FLUSH_BYTES, REPLAY_BYTES = range(6)


@pytest.fixture(scope="module")
def nodes(request: pytest.FixtureRequest):
    """Three nodes with listeners, the extension, and wall clocks that a test can shift."""
    failed_before = request.session.testsfailed
    with shimmed_cluster(5801, listen=True) as found:
        with looking(found[0].wait_all_stream()) as admin:
            admin.query(programs.extension_script() if programs.TREE else "CREATE EXTENSION fawkes_ha", timeout=60)
        yield found
        if request.session.testsfailed > failed_before:
            print(found[0].log_tails(60), file=sys.stderr)


@pytest.fixture
def cluster(nodes) -> Cluster:
    nodes[0].wait_all_stream()
    return nodes[0]


@pytest.fixture
def shims(nodes) -> dict[Node, Shim]:
    return nodes[1]


def looking(viewer: Node) -> Session:
    """As superuser, where the extension is."""
    return Session(viewer.socket_dsn.replace("dbname=postgres", f"dbname={APPLICATION}"), 5)


def lag(viewer: Node, standby: Node) -> tuple:
    """What `viewer` knows of `standby`; None: not known."""
    with looking(viewer) as session:
        return session.query(LAG, (standby.name,))[0]


def everybody(cluster: Cluster, standby: Node) -> list[tuple]:
    return [lag(viewer, standby) for viewer in cluster.nodes]


def is_small(seen: tuple) -> bool:
    return all(seconds is not None and seconds < SMALL_S for seconds in seen[: REPLAY + 1])


def wait_small(cluster: Cluster, standby: Node) -> None:
    until(
        f"everybody sees {standby.name} up to date",
        lambda: all(is_small(seen) and seen[REPLAY_BYTES] == 0 for seen in everybody(cluster, standby)),
        SETTLE_S,
    )


def write(cluster: Cluster, leader: Node) -> None:
    with Session(cluster.dsn([leader])) as session:
        session.query("INSERT INTO filler SELECT g, repeat('x', 900) FROM generate_series(1, 100) AS g", timeout=30)


def status(node: Node, query: str) -> int:
    """Of /replica."""
    return http.status(node.listen_port, f"/replica{query}")


def age_in_status(node: Node, standby: Node) -> float:
    """As `fawkes-ha status` prints it, in seconds."""
    row = next(line for line in node.command("status").stdout.splitlines() if line.startswith(standby.name))
    return float(re.search(r" ([0-9.]+) s  ", row).group(1))


@contextmanager
def paused(standby: Node) -> Iterator[None]:
    standby.value("SELECT pg_wal_replay_pause()::text")
    try:
        until("replay is paused", lambda: standby.value("SELECT pg_get_wal_replay_pause_state()") == "paused")
        yield
    finally:
        standby.value("SELECT pg_wal_replay_resume()::text")


@contextmanager
def cut_off(leader: Node, standby: Node) -> Iterator[None]:
    """Nothing comes from the leader any more, and nobody says so; another connection finds the slot in use."""
    question = "SELECT pid FROM pg_stat_replication WHERE application_name LIKE %s"
    sender = [leader.value(question, (f"{standby.name}\\_%",))]
    process.send(sender, signal.SIGSTOP)
    try:
        yield
    finally:
        process.send(sender, signal.SIGCONT)


def test_an_idle_primary(cluster: Cluster) -> None:
    """Nobody writes: no standby has lag, and none gets any with time; the leader has none to speak of."""
    leader = cluster.find_leader()
    for standby in cluster.others(leader):
        wait_small(cluster, standby)

    def nobody_lags() -> bool:
        """In each of many looks, over several renewals: not as old as the last of them."""
        return all(
            seen[: REPLAY + 1] == (0, 0, 0)
            for _ in range(8)
            for standby in cluster.others(leader)
            for seen in everybody(cluster, standby)
        )

    until("nobody has any lag, by what anybody knows", nobody_lags, SETTLE_S)
    for standby in cluster.others(leader):
        until("not by HTTP either", lambda: status(standby, "?lag=0ms") == 200, SETTLE_S)
        until("nor by the command", lambda: age_in_status(leader, standby) == 0, SETTLE_S)
    question = "SELECT role, streaming, serves_reads FROM fawkes_ha.replication_lag ORDER BY role"
    for viewer in cluster.nodes:
        assert lag(viewer, leader) == (None,) * 6
        with looking(viewer) as session:
            until(
                "two standbys serve reads",
                lambda: session.query(question)
                == [("primary", None, True), ("standby", True, True), ("standby", True, True)],
                SETTLE_S,
            )


def test_a_paused_replay(cluster: Cluster) -> None:
    """What is written and flushed is up to date, what is replayed is not, and everybody sees both."""
    leader = cluster.find_leader()
    standby = cluster.others(leader)[0]
    wait_small(cluster, standby)
    with paused(standby):
        write(cluster, leader)
        begun = now()
        for viewer in cluster.nodes:

            def falls_behind() -> bool:
                seen = lag(viewer, standby)
                return seen[REPLAY] > SMALL_S + SLACK_S and seen[REPLAY_BYTES] > 50000

            until(f"{viewer.name} sees that it falls behind", falls_behind, SETTLE_S)
            until(f"{viewer.name} sees it receive", lambda: max(lag(viewer, standby)[:REPLAY]) < SMALL_S, SETTLE_S)
            elapsed = now() - begun
            assert lag(viewer, standby)[REPLAY] > elapsed - SLACK_S
            assert max(lag(viewer, standby)[WRITE_BYTES:REPLAY_BYTES]) < 50000
        # It streams: nothing but its lag is against it.
        assert [status(standby, query) for query in ("", "?lag=5s", "?lag=1h")] == [200, 503, 200]
    wait_small(cluster, standby)
    until("it serves who wants 5 s", lambda: status(standby, "?lag=5s") == 200, SETTLE_S)


def test_a_standby_that_is_cut_off(cluster: Cluster) -> None:
    """For 30 s: its lag grows by as much, for everybody; it serves no reader who wants 10 s; and it comes back."""
    leader = cluster.find_leader()
    standby, other = cluster.others(leader)
    wait_small(cluster, standby)
    until("it serves who wants 10 s", lambda: status(standby, "?lag=10s") == 200, SETTLE_S)
    with cut_off(leader, standby):
        begun = now()
        write(cluster, leader)
        while (elapsed := now() - begun) < 30:
            for viewer in cluster.nodes:
                seen = lag(viewer, standby)
                assert min(seen[: REPLAY + 1]) > elapsed - SLACK_S, (viewer.name, elapsed, seen)
        for seen in everybody(cluster, standby):
            assert min(seen[: REPLAY + 1]) > 30 - SLACK_S
            assert min(seen[WRITE_BYTES:]) > 50000
        assert status(standby, "?lag=10s") == 503
        assert age_in_status(leader, standby) > 30 - SLACK_S
        assert all(is_small(seen) for seen in everybody(cluster, other))
    wait_small(cluster, standby)
    until("it serves them again", lambda: status(standby, "?lag=10s") == 200, SETTLE_S)


def test_a_standby_that_an_idle_primary_does_not_hear(cluster: Cluster) -> None:
    """It has all that there is, and nobody can know that of one that does not reply: its lag grows."""
    leader = cluster.find_leader()
    standby, other = cluster.others(leader)
    wait_small(cluster, standby)
    with cut_off(leader, standby):
        until(
            "everybody sees its lag grow",
            lambda: min(seen[REPLAY] for seen in everybody(cluster, standby)) > SMALL_S + SLACK_S,
            SETTLE_S,
        )
        assert all(is_small(seen) for seen in everybody(cluster, other))
    wait_small(cluster, standby)


@pytest.mark.parametrize("hours", [1, -1])
def test_a_wall_clock_that_is_wrong_by_an_hour(cluster: Cluster, shims: dict[Node, Shim], hours: int) -> None:
    """S3: of a standby and then of all, nobody's lag has any of it, paused or not."""
    leader = cluster.find_leader()
    standby = cluster.others(leader)[0]
    wait_small(cluster, standby)
    try:
        for node in [standby, *cluster.others(standby)]:
            shims[node].shift_wall_clocks(hours * 3600)
            write(cluster, leader)
            stepped = now()
            while now() < stepped + 2 * LEASE_S:
                for seen in everybody(cluster, standby):
                    assert is_small(seen), seen
        with paused(standby):
            write(cluster, leader)
            until(
                "everybody sees that it falls behind",
                lambda: min(seen[REPLAY] for seen in everybody(cluster, standby)) > SMALL_S + SLACK_S,
                SETTLE_S,
            )
            assert max(seen[REPLAY] for seen in everybody(cluster, standby)) < 600
    finally:
        for shim in shims.values():
            shim.shift_wall_clocks(0)
    wait_small(cluster, standby)
