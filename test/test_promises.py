"""S10: what happens to real members while the API server answers nobody: each outcome that docs/design.md names."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab import evidence, http
from lab.cluster import LEASE_S, RENEW_DEADLINE_S
from lab.kube import ControlPlane
from lab.kube_cluster import SHORT, KubeCluster
from lab.load import Load
from lab.node import Node
from lab.own import own_directory
from lab.wait import now, until

pytestmark = pytest.mark.kube

BY_PROMISES = "the lock does not answer: all other members promise not to contend"
BOUND = "this standby has promised its holder not to contend"
SETTLE_S = 60


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane) -> Iterator[KubeCluster]:
    base, lock = own_directory("fh-promise-")
    cluster = KubeCluster(base / "k", control_plane, SHORT, listen=True)
    try:
        cluster.create()
        cluster.start()
        yield cluster
    except BaseException:
        print(cluster.log_tails(), file=sys.stderr)
        raise
    finally:
        cluster.destroy()
        shutil.rmtree(base)
        os.close(lock)


@pytest.fixture
def load(cluster: KubeCluster) -> Iterator[Load]:
    cluster.wait_all_stream()
    with Load(cluster) as load:
        load.wait_for_acks(100)
        yield load
    cluster.wait_all_stream()


@contextmanager
def outage(cluster: KubeCluster) -> Iterator[None]:
    """Nobody gets an answer; connections stand."""
    cluster.kube.api.freeze()
    try:
        yield
    finally:
        cluster.kube.api.thaw()


def wait_for_ack_after(load: Load, moment: float) -> None:
    until("a row is acknowledged", lambda: load.acks and load.acks[-1].at > moment, SETTLE_S)


def wait_for_silence(load: Load) -> None:
    until("no row is acknowledged", lambda: not load.acks or load.acks[-1].at < now() - 1, SETTLE_S)


def timeline(node: Node) -> int:
    return node.value("SELECT timeline_id FROM pg_control_checkpoint()")


def ends(cluster: KubeCluster) -> dict[Node, int]:
    return {node: node.log.stat().st_size for node in cluster.nodes}


def test_the_primary_writes_on(cluster: KubeCluster, load: Load) -> None:
    """Nobody is elected; standbys serve readers; then the lease goes on in its term."""
    leader = cluster.wait_all_stream()
    before, logs = timeline(leader), ends(cluster)
    with outage(cluster):
        began = now()
        leader.wait_for_log(BY_PROMISES, SETTLE_S, logs[leader])
        for standby in cluster.others(leader):
            standby.wait_for_log(BOUND, SETTLE_S, logs[standby])
            assert http.status(standby.listen_port, "/replica") == 200
        assert http.status(leader.listen_port, "/primary") == 200
        wait_for_ack_after(load, began + 4 * LEASE_S)
    leader.wait_for_log("promises of other members are not counted on any more", SETTLE_S, logs[leader])
    wait_for_ack_after(load, now())
    assert cluster.wait_all_stream() is leader
    assert timeline(leader) == before
    assert {ack.port for ack in load.acks if ack.at > began} == {leader.port}


def test_a_standby_that_is_down(cluster: KubeCluster, load: Load) -> None:
    """It may have promised nothing: the fence shuts, and nobody leads until the lock answers."""
    leader = cluster.wait_all_stream()
    dead, logs = cluster.others(leader)[0], ends(cluster)
    dead.kill()
    with outage(cluster):
        leader.wait_for_log(f"{dead.name} does not promise not to contend", SETTLE_S, logs[leader])
        wait_for_silence(load)
        assert cluster.find_leader() is None
    wait_for_ack_after(load, now())
    dead.start()
    cluster.wait_all_stream()
    assert evidence.overlap(load.acks) == 0


def test_a_standby_that_restarts(cluster: KubeCluster, load: Load) -> None:
    """Its supervisor answers for it, and has not forgotten what it promised."""
    leader = cluster.wait_all_stream()
    standby, logs = cluster.others(leader)[0], ends(cluster)
    with outage(cluster):
        leader.wait_for_log(BY_PROMISES, SETTLE_S, logs[leader])
        standby.kill()
        standby.start()
        until("it answers", lambda: http.status(standby.listen_port, "/livez") == 200, SETTLE_S)
        wait_for_ack_after(load, now() + LEASE_S)
    assert cluster.wait_all_stream() is leader
    assert evidence.overlap(load.acks) == 0


def test_a_primary_that_restarts(cluster: KubeCluster, load: Load) -> None:
    """Whoever has not read the record leads by nobody's word."""
    leader = cluster.wait_all_stream()
    logs = ends(cluster)
    with outage(cluster):
        leader.wait_for_log(BY_PROMISES, SETTLE_S, logs[leader])
        leader.kill()
        leader.start()
        until("it answers", lambda: http.status(leader.listen_port, "/livez") == 200, SETTLE_S)
        wait_for_silence(load)
        assert cluster.find_leader() is None
    wait_for_ack_after(load, now())
    cluster.wait_all_stream()
    assert evidence.overlap(load.acks) == 0


def test_a_primary_that_stops_having_been_promised(cluster: KubeCluster, load: Load) -> None:
    """Who promised waits for as long, though the lock shows a lease that lapsed long ago."""
    leader = cluster.wait_all_stream()
    logs = ends(cluster)
    with outage(cluster):
        leader.wait_for_log(BY_PROMISES, SETTLE_S, logs[leader])
        wait_for_ack_after(load, now() + 2 * LEASE_S)
        leader.freeze()
        last = load.acks[-1].at
    try:
        new = cluster.wait_for_leader(SETTLE_S, besides=leader)
        wait_for_ack_after(load, now())
        first = min(ack.at for ack in load.acks if ack.port == new.port and ack.at > last)
        # Its newest promise was asked for after the last row could be allowed by the one before.
        assert first - last > LEASE_S - RENEW_DEADLINE_S
    finally:
        leader.thaw()
    cluster.wait_all_stream()
    assert evidence.overlap(load.acks) == 0


def test_the_primary_alone_is_cut_off(cluster: KubeCluster, load: Load) -> None:
    """The others reach the API all the while, see a lease that nobody renews, and keep their word."""
    leader = cluster.wait_all_stream()
    cluster.reach(cluster.kube.another_api(), *cluster.others(leader))
    before, logs = timeline(leader), ends(cluster)
    with outage(cluster):
        leader.wait_for_log(BY_PROMISES, SETTLE_S, logs[leader])
        for standby in cluster.others(leader):
            standby.wait_for_log(BOUND, SETTLE_S, logs[standby])
        wait_for_ack_after(load, now() + 3 * LEASE_S)
    wait_for_ack_after(load, now())
    cluster.reach(cluster.kube.api, *cluster.others(leader))
    cluster.kube.heal()
    assert cluster.wait_all_stream() is leader
    assert timeline(leader) == before
    assert evidence.overlap(load.acks) == 0
