"""What the tests that attack a cluster have in common: single rows, single processes, the way back."""

import json
import signal
from contextlib import contextmanager
from typing import Iterator

from . import process
from .cluster import Cluster
from .evidence import lsn_number
from .node import Node
from .session import Session
from .wait import until


def gone(pid: int) -> bool:
    found = process.look(pid)
    return found is None or not found.lives


def stop_sender(leader: Node, standby: Node) -> None:
    """From now on `standby` gets nothing from `leader`, whose node has to be killed next."""
    question = "SELECT pid FROM pg_stat_replication WHERE application_name LIKE %s"
    process.send([leader.value(question, (f"{standby.name}\\_%",))], signal.SIGSTOP)


def insert(cluster: Cluster, node: Node, row: int) -> None:
    """One acknowledged row."""
    with Session(cluster.dsn([node]), 5) as session:
        session.query("INSERT INTO ledger VALUES (%s, -1, '')", (row,), timeout=20)


def has(cluster: Cluster, node: Node, row: int) -> bool:
    with Session(cluster.dsn([node], writable=False), 5) as session:
        return session.value("SELECT count(*) FROM ledger WHERE id = %s", (row,), timeout=20) == 1


def insert_here_alone(cluster: Cluster, leader: Node, row: int) -> None:
    """A row that `leader` acknowledges and nobody gets: its node has to be killed next."""
    process.send(leader.titled("postgres: walsender"), signal.SIGSTOP)
    insert(cluster, leader, row)


def recorded_position(leader: Node) -> int:
    """In the leader's last renewal."""
    return lsn_number(json.loads(leader.command("status", "-o", "json").stdout)["cluster"]["position"]["lsn"])


def recorded_standbys(leader: Node) -> list[str]:
    """Who streamed at the leader's last renewal."""
    cluster = json.loads(leader.command("status", "-o", "json").stdout)["cluster"]
    return [standby["member"] for standby in cluster["standbys"]]


def revive(cluster: Cluster, seconds: float = 120) -> Node:
    """Whatever a test left: faults away, everybody running; who leads when the others stream."""
    for faults in cluster.faults.values():
        faults.clear()
    for node in cluster.nodes:
        node.thaw()
        if node.supervisor_pid is None:
            node.start()
    return cluster.wait_all_stream(seconds)


def wait_all_the_same(cluster: Cluster) -> Node:
    """Until all stream on one timeline and show the same rows; the leader."""
    leader = cluster.wait_all_stream()
    cluster.wait_all_equal()
    with leader.session() as session:
        timeline = cluster.timeline(leader)
        session.query("CHECKPOINT", timeout=60)
    question = "SELECT received_tli FROM pg_stat_wal_receiver"
    for node in cluster.others(leader):
        until(f"{node.name} is on timeline {timeline}", lambda: node.value(question) == timeline, 30)
    return leader


def make_leader(cluster: Cluster, node: Node) -> None:
    """By a switchover, unless it leads already."""
    leader = cluster.wait_all_stream()
    if leader is not node:
        done = node.command("switchover", "--to", node.name)
        assert done.returncode == 0, done.stdout + done.stderr
        assert cluster.wait_all_stream() is node


@contextmanager
def answers_nobody(node: Node) -> Iterator[None]:
    """It keeps its lease and its sessions, but nobody new gets an answer, a receiver neither."""
    postmaster = node.postmaster_pid
    process.send([postmaster], signal.SIGSTOP)
    try:
        yield
    finally:
        process.send([postmaster], signal.SIGCONT)


@contextmanager
def frozen(*nodes: Node) -> Iterator[None]:
    for node in nodes:
        node.freeze()
    try:
        yield
    finally:
        for node in nodes:
            node.thaw()
