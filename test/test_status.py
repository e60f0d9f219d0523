"""What `fawkes-ha status` and the page say when nobody can write, of members that are gone, and of what is not watched."""

import json
import re
import signal
from datetime import datetime, timedelta, timezone

import pytest

from lab import http, process
from lab.cluster import LEASE_S, Cluster
from lab.node import Node
from lab.wait import until

EXPORT = True


def row(text: str, name: str) -> str:
    """A member's line of the table, and the one with its state."""
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith(f"{name} "))
    return "\n".join(lines[at : at + 2])


def words(text: str) -> str:
    """Without the breaks of its lines."""
    return " ".join(text.split())


def held(node: Node) -> bool:
    return http.ask(node.exporter_port, "/status").json["lease"]["held"]


@pytest.fixture
def leader(cluster: Cluster) -> Node:
    leader = cluster.wait_all_stream()
    until("nothing is wrong", lambda: "warning" not in leader.command("status").stdout)
    return leader


def test_nothing_is_wrong(cluster: Cluster, leader: Node) -> None:
    """In lines that a terminal has room for; a primary follows nobody, whom it followed before."""
    target = cluster.others(leader)[0]
    assert leader.command("switchover", "--to", target.name).returncode == 0
    done = target.command("status")
    assert done.returncode == 0
    # For one lease after it standbys have a moment to connect, and nothing is wrong if they take it.
    taken = json.loads(target.command("status", "-o", "json").stdout)["cluster"]["acquired_at"]
    if datetime.now(timezone.utc) - datetime.fromisoformat(taken.replace("Z", "+00:00")) < timedelta(seconds=LEASE_S):
        assert "warning" not in done.stdout, done.stdout
    assert cluster.wait_all_stream() is target
    assert max(len(line) for line in done.stdout.splitlines()) <= 100
    members = json.loads(target.command("status", "-o", "json").stdout)["members"]
    following = {member["member"]: member["following"] for member in members}
    assert following == {node.name: "" if node is target else target.name for node in cluster.nodes}


def test_a_leader_that_dies_while_paused(cluster: Cluster, leader: Node) -> None:
    """Nobody leads: the command says so as soon as a member does, and first of all what helps."""
    other = cluster.others(leader)[0]
    assert other.command("pause").returncode == 0
    leader.kill()
    until("its neighbour knows", lambda: not held(other))
    done = other.command("status")
    assert done.returncode == 1
    assert "LAPSED" in done.stdout and "held by" not in done.stdout.replace("last held by", "")
    assert "silent" in row(done.stdout, leader.name) and "holds it" not in row(done.stdout, leader.name)
    assert "critical nobody leads" in words(done.stdout)
    assert "do: fawkes-ha resume: nobody takes over while failover is paused" in words(done.stdout)
    assert other.command("status", "-o", "json").returncode == 1
    # A standby takes the lease in the moment in which it may: what was written is found replaced at once.
    assert other.command("resume").returncode == 0
    cluster.wait_for_leader(besides=leader)
    # It has not written its record since another one leads.
    until("it is silent", lambda: "silent" in row(other.command("status").stdout, leader.name))
    leader.start()


def test_a_primary_that_ends_while_paused(cluster: Cluster, leader: Node) -> None:
    """The lease is kept and renewed, and nobody can write: an outage, not a warning."""
    other = cluster.others(leader)[0]
    assert other.command("pause").returncode == 0
    process.send([leader.postmaster_pid], signal.SIGKILL)
    done = until("it shows", lambda: done if (done := other.command("status")).returncode == 1 else None)
    assert "critical nobody can write" in words(done.stdout)
    assert "fawkes-ha resume" in done.stdout
    page = http.ask(other.exporter_port, "/status").json
    assert page["findings"][0]["name"] == "no_writes" and page["findings"][0]["severity"] == "critical"
    assert other.command("resume").returncode == 0
    cluster.wait_all_stream()


def test_a_supervisor_that_is_gone(cluster: Cluster, leader: Node) -> None:
    """Its PostgreSQL goes on, and nothing would start it again: that is told."""
    process.send([leader.supervisor_pid], signal.SIGKILL)
    wanted = f"{leader.name} runs without its supervisor"
    until("it is told", lambda: wanted in words(leader.command("status").stdout))
    assert leader.command("status").returncode == 0
    until("the exporter tells it", lambda: re.search(
        r"^fawkes_ha_unattended\{.*\} 1$", http.ask(leader.exporter_port, "/metrics").text, re.M))
    leader.start()
    until("it is watched again", lambda: wanted not in words(leader.command("status").stdout))


def test_a_standby_that_was_stopped(cluster: Cluster, leader: Node) -> None:
    """On purpose: what it said last, that it stops, is over."""
    standby = cluster.others(leader)[0]
    standby.stop()
    until("it shows", lambda: "its node was stopped" in row(leader.command("status").stdout, standby.name))
    told = leader.command("status").stdout
    assert f"warning {standby.name} was stopped" in words(told)
    assert f"{standby.name} http" not in told
    standby.start()
    cluster.wait_all_stream()


def test_a_member_with_a_new_state_directory(cluster: Cluster, leader: Node) -> None:
    """S1b: it waits beside the record of the one before, and is told to run, on its own machine."""
    standby = cluster.others(leader)[0]
    standby.stop()
    for name in ("node.json", "bond.json", "life", "seat"):
        # A deleted file's inode may be used again at once, and a directory is known by that of its liveness lock.
        if (path := standby.state / name).exists():
            path.rename(standby.state.with_name(f"{name}.before"))
    standby.start()
    wanted = f"{standby.name} runs here, and waits beside a record of its name"
    until("it is told", lambda: wanted in words(standby.command("status").stdout))
    cluster.wait_all_stream()
    until("it is over", lambda: wanted not in words(standby.command("status").stdout))


def test_why_a_failover_happened(cluster: Cluster, leader: Node) -> None:
    """The history has it from the primary's own supervisor, and how long the lease was nobody's."""
    process.send([leader.postmaster_pid], signal.SIGKILL)
    wanted = re.compile(r"the lease was released [0-9.]+ s before: PostgreSQL was killed by signal 9")
    until("the history says so", lambda: wanted.search(leader.command("history").stdout))
    cluster.wait_all_stream()
