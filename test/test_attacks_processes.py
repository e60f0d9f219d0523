"""Attacks on the processes of a primary's node: each is killed or stopped, alone and in pairs, under load.

lab/attack.py judges what came of it.
"""

import itertools
import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import pytest

from lab import process
from lab.attack import Attack
from lab.cluster import LEASE_S, Cluster
from lab.load import Load
from lab.node import Node
from lab.wait import NotInTime, now, until


@pytest.fixture(scope="module")
def load(cluster: Cluster):
    with Load(cluster, writers=4) as load:
        yield load


# --- kill -9


def backends(node: Node) -> list[int]:
    return node.titled("postgres: app")[:1]


TARGETS: dict[str, Callable[[Node], list[int]]] = {
    "postmaster": lambda node: [node.postmaster_pid],
    "backend": backends,
    "agent": lambda node: node.titled("fawkes_ha agent"),
    "lock": lambda node: node.lock_children(),
    "supervisor": lambda node: [node.supervisor_pid],
}

def kill(node: Node, names: Iterable[str]) -> None:
    """All at once; whatever starts the supervisor (systemd, a container's runtime) starts it again."""
    pids = {name: TARGETS[name](node) for name in names}
    assert all(pids.values()), f"not all of them are there: {pids}"
    killed = {pid for found in pids.values() for pid in found}
    process.send(killed, signal.SIGKILL)
    until("they are dead", lambda: not killed & process.look_at_all().keys(), 10)
    if "supervisor" in pids:
        node.start()


@pytest.mark.parametrize(
    "names", [*((name,) for name in TARGETS), *itertools.combinations(TARGETS, 2)], ids="+".join
)
def test_killed_processes(cluster: Cluster, load: Load, names: tuple[str, ...]) -> None:
    """S1, S2, S9: kill -9 of any process of a primary, or of any two, costs no row and nobody's sleep."""
    attack = Attack(cluster, load)
    kill(attack.old, names)
    attack.judge()


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def test_a_killed_maintenance_worker(cluster: Cluster, load: Load) -> None:
    """S9: the worker comes, works for milliseconds, and goes; killed meanwhile, it costs no more than a backend."""
    attack = Attack(cluster, load)

    def was_killed() -> bool:
        """False: it had done its work, and was only still to be seen."""
        with suppress(NotInTime):
            attack.wait_for_log(attack.old, 'worker "fawkes_ha steward"', 5)
            return True
        return False

    def kill_one() -> bool:
        # After the crash of a backend everything starts anew, the maintenance worker too.
        process.send(backends(attack.old), signal.SIGKILL)
        seen: set[int] = set()
        deadline = now() + 5
        while now() < deadline:
            for pid in children(attack.old.postmaster_pid or 0):
                if pid in seen:
                    continue
                title = process.title(pid)
                if "fawkes_ha steward" in title:
                    os.kill(pid, signal.SIGKILL)
                    return was_killed()
                if title.startswith("postgres: ") and title != "postgres: ":
                    seen.add(pid)
        return False

    until("a maintenance worker is met and killed", kill_one, 60)
    attack.judge()


# --- SIGSTOP


def test_a_stopped_agent_loses_the_lease(cluster: Cluster, load: Load) -> None:
    """S1: nobody renews and nobody shuts the fence: it shuts by itself, before another leads."""
    attack = Attack(cluster, load)
    agents = attack.old.titled("fawkes_ha agent")
    process.send(agents, signal.SIGSTOP)
    try:
        attack.wait_for_successor()
        until("three leases are over", lambda: now() > attack.began + 3 * LEASE_S, 30)
    finally:
        process.send(agents, signal.SIGCONT)
    assert attack.judge() is not attack.old


def test_a_stopped_supervisor_changes_nothing(cluster: Cluster, load: Load) -> None:
    """S1: the agent speaks for the node; the supervisor may sleep. If the postmaster dies meanwhile, the lease lapses."""
    attack = Attack(cluster, load)
    supervisor = attack.old.supervisor_pid
    process.send([supervisor], signal.SIGSTOP)
    try:
        until("two leases are over", lambda: now() > attack.began + 2 * LEASE_S, 30)
        load.wait_for_acks(100)
        assert attack.nothing_happened()
        attack.began = now()
        process.send([attack.old.postmaster_pid], signal.SIGKILL)
        attack.wait_for_successor()
    finally:
        process.send([supervisor], signal.SIGCONT)
    attack.judge()


def test_a_stopped_postmaster_changes_nothing(cluster: Cluster, load: Load) -> None:
    """S1: sessions go on, the agent renews, nobody takes over; only logins wait."""
    attack = Attack(cluster, load)
    postmaster = attack.old.postmaster_pid
    process.send([postmaster], signal.SIGSTOP)
    try:
        until("two leases are over", lambda: now() > attack.began + 2 * LEASE_S, 30)
        load.wait_for_acks(100)
    finally:
        process.send([postmaster], signal.SIGCONT)
    assert attack.judge() is attack.old
    assert attack.nothing_happened()


# --- what was acknowledged since the last renewal


def test_commits_between_two_renewals(cluster: Cluster, load: Load) -> None:
    """The ack watermark: hundreds of commits that no renewal told of and no standby has, then kill -9 of the postmaster.

    The supervisor asks a successor for what clients were told, so that nobody can succeed: it starts again itself.
    """
    attack = Attack(cluster, load)
    # Stopped processes do not end with their postmaster: the liveness lock must be freed of them, too.
    process.send(attack.old.titled("postgres: walsender"), signal.SIGSTOP)
    process.send(attack.old.titled("fawkes_ha agent"), signal.SIGSTOP)
    load.wait_for_acks(300, seconds=LEASE_S)
    process.send([attack.old.postmaster_pid], signal.SIGKILL)
    leader = attack.judge()
    assert leader is attack.old
    assert cluster.timeline(leader) == attack.timeline


# --- orphans, and supervisors that come late


def test_orphans_of_another_supervisor(cluster: Cluster, load: Load) -> None:
    """The liveness lock: a new supervisor ends a backend that it did not inherit and that does not look up."""
    attack = Attack(cluster, load)
    kill(attack.old, ["supervisor"])
    attack.wait_for_log(attack.old, "watching over it")
    with attack.old.session() as session:
        session.send("DO $$ BEGIN LOOP END LOOP; END $$")
        until("it computes", lambda: "DO" in process.title(session.backend_pid), 10)
        process.send([attack.old.postmaster_pid], signal.SIGKILL)
        until("the orphan is gone", lambda: session.backend_pid not in process.look_at_all(), 30)
    attack.judge()


def test_a_supervisor_killed_during_the_shutdown_checkpoint(cluster: Cluster, load: Load) -> None:
    """S9, the liveness lock: the next one neither starts a second server nor gives up the first before it has ended."""
    attack = Attack(cluster, load)
    old = attack.old
    checkpointer = old.titled("postgres: checkpointer")
    postmaster = old.postmaster_pid
    process.send(checkpointer, signal.SIGSTOP)
    try:
        old.stop_at_once()
        kill(old, ["supervisor"])
        attack.wait_for_log(old, "watching over it")
        leader = attack.wait_for_successor()
        assert old.postmaster_pid == postmaster
        assert cluster.find_leader() is leader
    finally:
        process.send(checkpointer, signal.SIGCONT)
    attack.judge()


# --- S9: harder and harder


def test_a_shutdown_gets_harder(cluster: Cluster, load: Load) -> None:
    """S9: a server that does not stop fast is stopped immediately, and one that does not hear that, by SIGKILL."""
    attack = Attack(cluster, load)
    node = cluster.others(attack.old)[0]
    node.write_settings(**{"fawkes_ha.shutdown_timeout": "1s"})
    process.send([node.supervisor_pid], signal.SIGHUP)
    process.send([node.postmaster_pid], signal.SIGSTOP)
    try:
        assert node.stop(60) == 0
        for stage in ("fast", "immediate", "by SIGKILL"):
            attack.wait_for_log(node, f"stopping PostgreSQL ({stage})", 1)
        until("nothing is left of the node", lambda: not node.pids(), 30)
    finally:
        node.write_settings()
        node.kill()
        node.start()
    attack.judge()
