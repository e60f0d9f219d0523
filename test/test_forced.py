"""S10: what an operator's failover does to a primary that is cut off from the lock, and for a member that nobody listed."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.node import Node
from lab.part import Part
from lab.record import newest
from lab.wait import until

BY_PROMISES = "the lock does not answer: all other members promise not to contend"


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest) -> Iterator[Part]:
    base = Path(tempfile.mkdtemp(prefix="fh-", dir=os.environ.get("FAWKES_TEST_DIR", "/tmp")))
    cluster = Part(base / "c", ("n1", "n2"), 5841)
    failed_before = request.session.testsfailed
    try:
        cluster.create()
        cluster.start()
        yield cluster
    finally:
        if request.session.testsfailed > failed_before or sys.exc_info()[0]:
            print(cluster.log_tails(60), file=sys.stderr)
        cluster.destroy()
        shutil.rmtree(base, ignore_errors=True)


def write(node: Node, key: int) -> None:
    with node.session(10) as session:
        session.query("CREATE TABLE IF NOT EXISTS kept (k int)", timeout=10)
        session.query("INSERT INTO kept VALUES (%s)", (key,), timeout=10)


def test_a_leader_by_promises_is_taken_the_role(cluster: Part) -> None:
    """Members who see that an operator asked promise no more: it fences itself, and the named one leads."""
    old = cluster.wait_all_stream()
    (other,) = cluster.others(old)
    write(old, 1)
    size = old.log.stat().st_size
    cluster.cut(old)
    try:
        old.wait_for_log(BY_PROMISES, 60, size)
        assert other.command("failover", "--to", other.name, "--force").returncode == 0
        old.wait_for_log("does not promise not to contend: an operator has asked for a failover", 60, size)
        assert cluster.wait_for_leader(60, besides=old) is other
        assert other.value("SELECT count(*) FROM kept WHERE k = 1") == 1
    finally:
        cluster.join(old)
    assert cluster.wait_all_stream() is other


def test_a_member_whose_new_data_nobody_listed(cluster: Part) -> None:
    """Its data was replaced while the leader could not write the list, and the leader is lost: only an operator's word."""
    old = cluster.wait_all_stream()
    (other,) = cluster.others(old)
    write(old, 2)
    other.kill()
    shutil.rmtree(other.data)
    cluster.cut(old)
    other.start()
    until("the clone streams", lambda: cluster.streams(other, old), 120)
    listed = newest(cluster)["member_data"]
    size = other.log.stat().st_size
    old.kill()
    other.wait_for_log("is not on the list", 60, size)
    assert newest(cluster)["member_data"] == listed
    assert other.command("failover", "--to", other.name, "--force").returncode == 0
    assert cluster.wait_for_leader(60) is other
    assert other.value("SELECT count(*) FROM kept") >= 1
    assert other.value("SELECT count(*) FROM kept WHERE k = 2") == 1
    cluster.join(old)
    old.start()
    assert cluster.wait_all_stream() is other
