"""Who is a member: listed when it comes, off the list when it was silent for long, and back."""

import json

import pytest

from lab.cluster import Cluster
from lab.node import Node
from lab.wait import until

TIMING = {"lease_duration": "1500ms", "renew_deadline": "1s", "retry_period": "200ms", "member_timeout": "10s"}
SLOTS = "SELECT coalesce(string_agg(slot_name, ' ' ORDER BY slot_name), '') FROM pg_replication_slots"


@pytest.fixture
def cluster(directory):
    cluster = Cluster(directory / "m", settings={f"fawkes_ha.{name}": value for name, value in TIMING.items()})
    cluster.create()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.destroy()


def listed(node: Node) -> list[str]:
    return sorted(json.loads(node.command("status", "-o", "json").stdout)["cluster"]["members"])


def test_a_member_that_is_gone_for_long(cluster: Cluster) -> None:
    """Its slot goes with it, and keeps no WAL any more; when it comes back it is a member again."""
    leader = cluster.wait_all_stream()
    gone, other = cluster.others(leader)
    until("all are on the list", lambda: listed(leader) == sorted(node.name for node in cluster.nodes))
    until("each has a slot", lambda: leader.value(SLOTS).split() == [f"fawkes_ha_{n.name}" for n in cluster.others(leader)])
    gone.kill()
    until("it is off the list", lambda: listed(leader) == sorted([leader.name, other.name]), 60)
    until("its slot is gone", lambda: leader.value(SLOTS) == f"fawkes_ha_{other.name}")
    assert gone.name not in leader.command("status").stdout
    last = json.loads(leader.command("history", "-o", "json").stdout)["entries"][-1]
    assert (last["event"], last["member"]) == ("remove", gone.name)
    assert "member_timeout" in last["reason"]
    done = leader.command("switchover", "--to", other.name, timeout=90)
    assert done.returncode == 0, done.stderr
    gone.start()
    leader = cluster.wait_all_stream()
    assert leader is other
    until("it is a member again", lambda: gone.name in listed(leader))
    until("its slot is there", lambda: f"fawkes_ha_{gone.name}" in leader.value(SLOTS).split())


def test_a_reason_steers_no_terminal(cluster: Cluster) -> None:
    """Reasons and names come from others: on a screen they are one line, and only text."""
    leader = cluster.wait_all_stream()
    shown = [leader.command("pause", "--reason", "r\x1b[31m\n2026-01-01 FAKE LOG\u202e"), leader.command("status")]
    shown += [leader.command("history"), leader.command("pause")]
    assert leader.command("resume").returncode == 0
    for text in (done.stdout + done.stderr for done in shown):
        assert not any(ord(letter) < 32 and letter != "\n" or 127 <= ord(letter) < 160 or letter == "\u202e" for letter in text)
        assert not any(line.startswith("2026-01-01 FAKE") for line in text.splitlines())
    assert all("r?[31m?2026-01-01 FAKE LOG???" in done.stdout + done.stderr for done in shown[1:])
