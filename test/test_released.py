"""Two members of this tree and one of the released version, as in every upgrade: a switchover each way, an outage of
the lock, a failover; then the third is brought up to date.

One cluster serves all tests here, in this order.
"""

import itertools
import os
import shutil
from pathlib import Path

import pytest

from lab import programs, record
from lab.node import Node
from lab.own import own_directory
from lab.part import Part
from lab.session import Error
from lab.wait import now, until

RELEASED = Path("/var/lib/fawkes/released-1.1")
numbers = itertools.count(1)
acknowledged: list[int] = []

pytestmark = pytest.mark.skipif(
    not (RELEASED / "fawkes-ha").exists(), reason="version 1.1 is not built: test/install.sh check, in a clone with its history"
)


def bring_up_to_date(cluster: Part, node: Node) -> None:
    """Another program and another library over the same directories, as a package puts them there."""
    node.stop()
    node.program = programs.path("fawkes-ha")
    node.options = ()
    if programs.TREE is None:
        node.settings.pop("dynamic_library_path")
    else:
        node.settings["dynamic_library_path"] = f"{programs.TREE}:$libdir"
    node.write_settings()
    node.start()
    cluster.wait_all_stream()


@pytest.fixture(scope="module")
def mixed():
    base, held = own_directory("fh-released-")
    cluster = Part(base / "c", first_port=5701)
    for node in cluster.nodes:
        node.program = RELEASED / "fawkes-ha"
        node.options = ("--bin", programs.bindir())
        node.settings["dynamic_library_path"] = f"{RELEASED}:$libdir"
    try:
        cluster.create()
        cluster.start()
        cluster.wait_all_stream()
        first, second, old = cluster.nodes
        bring_up_to_date(cluster, second)
        assert first.command("switchover", "--to", second.name).returncode == 0
        cluster.wait_all_stream()
        bring_up_to_date(cluster, first)
        leader = cluster.wait_all_stream()
        # As docs/operations.md says: it takes over the higher default of max_worker_processes.
        old.stop()
        old.start()
        cluster.wait_all_stream()
        with leader.session() as session:
            session.query("CREATE TABLE kept (i int PRIMARY KEY)")
        yield cluster
    finally:
        print(cluster.log_tails(40))
        cluster.destroy()
        shutil.rmtree(base, ignore_errors=True)
        os.close(held)


def insert(node: Node) -> None:
    number = next(numbers)
    with node.session() as session:
        session.query("INSERT INTO kept VALUES (%s)", (number,))
    acknowledged.append(number)


def lead(cluster: Part, node: Node) -> None:
    leader = cluster.wait_all_stream()
    insert(leader)
    if leader is not node:
        assert leader.command("switchover", "--to", node.name).returncode == 0
    assert cluster.wait_all_stream() is node
    insert(node)


def writes(node: Node) -> bool:
    try:
        insert(node)
    except (Error, OSError):
        return False
    return True


def test_settings_reach_all(mixed: Part) -> None:
    """Nothing is signed while a member would drop the signature."""
    new, _, old = mixed.nodes
    lead(mixed, new)
    for asked in (new, old):
        assert asked.command("set", f"work_mem={5 + mixed.nodes.index(asked)}MB").returncode == 0
        wanted = {f"{5 + mixed.nodes.index(asked)}MB"}
        until("all have it", lambda: {node.value("SHOW work_mem") for node in mixed.nodes} == wanted)
    assert "settings_signature" not in record.newest(mixed)


def outage(mixed: Part, node: Node) -> None:
    lead(mixed, node)
    mixed.cut(*mixed.nodes)
    try:
        began = now()
        until("two leases are over", lambda: writes(node) and now() - began > 2 * mixed.lease_s, 30)
        assert not [other for other in mixed.others(node) if writes(other)]
    finally:
        mixed.join(*mixed.nodes)
    assert mixed.wait_all_stream() is node


def test_an_outage_while_this_tree_leads(mixed: Part) -> None:
    """Members of both versions promise: the leader acknowledges writes for longer than a lease.

    Version 1.1 may promise nothing for long after it has tried to take the lease, so its member has not yet led here.
    """
    outage(mixed, mixed.nodes[0])


def test_the_role_moves_to_the_released_member_and_back(mixed: Part) -> None:
    new, other, old = mixed.nodes
    lead(mixed, old)
    lead(mixed, other)
    lead(mixed, new)


def test_an_outage_while_the_released_one_leads(mixed: Part) -> None:
    outage(mixed, mixed.nodes[2])


@pytest.mark.parametrize("leader", [1, 2], ids=["this-tree-led", "the-released-one-led"])
def test_a_failover(mixed: Part, leader: int) -> None:
    node = mixed.nodes[leader]
    lead(mixed, node)
    # Replication is asynchronous: what was not sent when a node vanishes is gone with it.
    for other in mixed.others(node):
        until("it has the last row", lambda other=other: other.value("SELECT max(i) FROM kept") == acknowledged[-1])
    node.kill()
    successor = mixed.wait_for_leader(besides=node)
    insert(successor)
    node.start()
    mixed.wait_all_stream()


def test_nothing_is_missing(mixed: Part) -> None:
    leader = mixed.wait_all_stream()
    assert set(acknowledged) <= set(leader.value("SELECT array_agg(i) FROM kept"))


def test_the_last_one_is_brought_up_to_date(mixed: Part) -> None:
    """Then settings are signed, and stay as they were."""
    bring_up_to_date(mixed, mixed.nodes[2])
    until("settings are signed", lambda: "settings_signature" in record.newest(mixed), 60)
    assert {node.value("SHOW work_mem") for node in mixed.nodes} == {"7MB"}
