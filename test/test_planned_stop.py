"""S7: what a stopped primary has is waited for, and what an operator may do: stops of everything, a new holder that never leads, a crash in between."""

import json
import os
import re
import signal
from contextlib import suppress

import pytest

from lab import process
from lab.cluster import LEASE_S, Cluster
from lab.node import Node
from lab.record import newest
from lab.wait import now, until

EXPORT = True
AWAITED = "the primary was stopped cleanly and had more WAL than this standby"


def count(node: Node) -> int:
    return node.value("SELECT count(*) FROM gap")


@pytest.fixture
def leader(cluster: Cluster) -> Node:
    leader = cluster.wait_all_stream()
    with leader.session(10) as session:
        session.query("DROP TABLE IF EXISTS gap")
        session.query("CREATE TABLE gap (k int, filler text)")
    return leader


def insert(node: Node, rows: int = 1000) -> None:
    with node.session(10) as session:
        session.query("INSERT INTO gap SELECT g, repeat('x', 500) FROM generate_series(1, %s) g", (rows,), timeout=30)


def wait_awaited(node: Node, since: int) -> None:
    """Until it says that it waits, and then for longer than any patience ever was."""
    node.wait_for_log(AWAITED, 60, since)
    began = now()
    until("patience would be over", lambda: now() > began + 2 * LEASE_S, 30)


def entries(node: Node, event: str) -> list[dict]:
    history = json.loads(node.command("history", "-o", "json").stdout)["entries"]
    return [entry for entry in history if entry["event"] == event]


def metric(node: Node) -> float:
    sql = "SELECT value FROM fawkes_ha.metrics WHERE name = 'fawkes_ha_end_missing'"
    return node.value(sql)


def test_standbys_first_and_the_primary_last(cluster: Cluster, leader: Node) -> None:
    """Standbys that start alone wait for the primary, say so, and it leads with all that it acknowledged."""
    standbys = cluster.others(leader)
    for standby in standbys:
        standby.stop()
    insert(leader)
    leader.stop()
    assert newest(cluster)["release"]["final"] is True
    sizes = {node: node.log.stat().st_size for node in standbys}
    for standby in standbys:
        standby.start()
    for standby in standbys:
        wait_awaited(standby, sizes[standby])
    assert cluster.find_leader() is None
    status = standbys[0].command("status")
    assert status.returncode == 1
    assert f"no member that runs has all of its WAL: start {leader.name}" in " ".join(status.stdout.split())
    assert metric(standbys[0]) == 1
    plan = standbys[0].command("failover", "--dry-run")
    assert plan.returncode == 0 and "bytes of WAL" in plan.stdout
    leader.start()
    assert cluster.wait_all_stream() is leader
    assert count(leader) == 1000
    until("the metric is back", lambda: metric(standbys[0]) == 0, 30)


def test_the_primary_first_and_all_at_once(cluster: Cluster, leader: Node) -> None:
    """A rack is shut down while its standbys lag; it comes back in the worst order."""
    standbys = cluster.others(leader)
    receivers = [pid for node in standbys for pid in node.titled("walreceiver")]
    process.send(receivers, signal.SIGSTOP)
    insert(leader)
    for node in cluster.nodes:
        node.stop_at_once()
    process.send(receivers, signal.SIGCONT)
    for node in cluster.nodes:
        node.wait_ended(90)
    record = newest(cluster)
    sizes = {node: node.log.stat().st_size for node in standbys}
    for standby in standbys:
        standby.start()
    if record["holder"] == leader.name:
        wait_awaited(standbys[0], sizes[standbys[0]])
    leader.start()
    new = cluster.wait_all_stream()
    assert count(new) == 1000


def test_a_person_gives_it_up(cluster: Cluster, leader: Node) -> None:
    """A failover makes a standby lead; history tells what that cost and where the WAL is kept."""
    standbys = cluster.others(leader)
    for standby in standbys:
        standby.stop()
    insert(leader)
    leader.stop()
    sizes = {node: node.log.stat().st_size for node in standbys}
    for standby in standbys:
        standby.start()
    standbys[0].wait_for_log(AWAITED, 60, sizes[standbys[0]])
    assert standbys[0].command("failover", "--reason", "its disk burnt").returncode == 0
    new = cluster.wait_for_leader(60, besides=leader)
    told = until("the history has it", lambda: entries(new, "failover")[-1]["reason"], 30)
    assert "its disk burnt" in told and "bytes of WAL more at its release" in told
    leader.start()
    cluster.wait_all_stream()
    saved = until("the history says where the WAL is", lambda: entries(new, "wal saved")[-1], 30)
    assert saved["member"] == leader.name
    assert str(leader.state) in saved["reason"] and "bytes of WAL past" in saved["reason"]


def test_a_holder_that_never_led(cluster: Cluster, leader: Node) -> None:
    """It has all, took the lease, and cannot start: it asks for what it has, not for nothing."""
    successor, behind = cluster.others(leader)
    process.send(behind.titled("walreceiver"), signal.SIGSTOP)
    try:
        for _ in range(10):
            insert(leader, 8000)
        end = leader.value("SELECT pg_current_wal_flush_lsn()")
        replayed = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
        until("the successor has all", lambda: successor.value(replayed, (end,)), 60)
        successor.write_settings(**{"shared_buffers": "900TB"})
        size = successor.log.stat().st_size
        leader.kill()
        until("the successor holds the lease", lambda: newest(cluster)["holder"] == successor.name, 60, every=0.002)
        supervisor = successor.supervisor_pid
        for pid in successor.pids():
            if pid != supervisor:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    finally:
        process.send(behind.titled("walreceiver"), signal.SIGCONT)
    successor.wait_for_log("PostgreSQL fails to start here: the lease is released", 60, size)
    began = now()
    until("patience would be over", lambda: now() > began + 2 * LEASE_S, 30)
    assert cluster.find_leader() is None
    assert newest(cluster)["release"]["lsn"] != "0/0"
    successor.write_settings()
    leader.start()
    assert count(cluster.wait_all_stream()) == 80000


def test_a_forced_failover_of_a_primary_that_nobody_can_stream_from(cluster: Cluster, leader: Node) -> None:
    """The role is taken away all the same; the dry run and the history say what that costs."""
    standbys = cluster.others(leader)
    rules = leader.data / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text("".join(line for line in before.splitlines(True) if "replication" not in line))
    leader.value("SELECT pg_reload_conf()")
    process.send(leader.titled("walsender"), signal.SIGTERM)
    until("nobody streams", lambda: leader.value("SELECT count(*) FROM pg_stat_replication") == 0, 30)
    insert(leader)
    until("the record says so", lambda: not newest(cluster)["standbys"], 30)
    refused = standbys[0].command("switchover")
    assert refused.returncode != 0 and "no standby streams" in refused.stdout + refused.stderr
    until(
        "the dry run says what it costs",
        lambda: int(re.search(r"(\d+) bytes of WAL behind", dry_run(standbys[0]))[1]) > 100_000,
        30,
    )
    assert standbys[0].command("failover", "--force").returncode == 0
    new = cluster.wait_for_leader(60, besides=leader)
    until("the history has it", lambda: "more at its release" in entries(new, "failover")[-1]["reason"], 30)
    rules.write_text(before)
    cluster.wait_all_stream()


def dry_run(node: Node) -> str:
    done = node.command("failover", "--force", "--dry-run")
    assert done.returncode == 0, done.stderr
    return done.stdout
