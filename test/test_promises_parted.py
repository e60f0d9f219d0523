"""S10 where members are cut off the lock one by one, and where the lock comes back as an older copy."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.node import Node
from lab.part import Part
from lab.wait import until

BY_PROMISES = "the lock does not answer: all other members promise not to contend"
OLDER_TERM = "the lock shows an older term than this node or another member has seen"
SETTLE_S = 60


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest) -> Iterator[Part]:
    base = Path(tempfile.mkdtemp(prefix="fh-", dir=os.environ.get("FAWKES_TEST_DIR", "/tmp")))
    cluster = Part(base / "c")
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


def can_write(node: Node) -> bool:
    try:
        node.value("SELECT pg_current_xact_id()", timeout=1)
    except Exception:  # noqa: BLE001: down, silent or fenced
        return False
    return True


def backup(cluster: Part) -> dict[str, str]:
    """The files of the lock's directory, of all records."""

    def read() -> dict[str, str]:
        return {path.name: path.read_text() for path in cluster.lock.iterdir() if path.is_file()}

    return until("the lock is copied", read, 10)


def restore(cluster: Part, files: dict[str, str]) -> None:
    def write() -> bool:
        for path in cluster.lock.iterdir():
            path.unlink()
        for name, text in files.items():
            (cluster.lock / name).write_text(text)
        return sorted(path.name for path in cluster.lock.iterdir()) == sorted(files)

    until("the copy is in place", write, 10, every=0)


def forget_term(node: Node) -> None:
    """As if it had been down since before the newest term began."""
    file = node.state / "node.json"
    state = json.loads(file.read_text())
    file.write_text(json.dumps({**state, "highest_term": state["highest_term"] - 1}))


def ends(cluster: Part) -> dict[Node, int]:
    return {node: node.log.stat().st_size for node in cluster.nodes}


def test_a_lock_that_comes_back_older(cluster: Part) -> None:
    """S7, S10: a member that leads a term which is over gives way to who leads a later one by promises."""
    old = cluster.wait_all_stream()
    older = backup(cluster)
    old.kill()
    new = cluster.wait_for_leader(SETTLE_S, besides=old)
    (third,) = cluster.others(old, new)
    cluster.wait_streams(third)
    newer, logs = backup(cluster), ends(cluster)
    cluster.cut(new, third)
    until("the leader without the lock and a promise is fenced", lambda: not can_write(new), SETTLE_S)
    restore(cluster, older)
    old.start()
    new.wait_for_log(BY_PROMISES, SETTLE_S, logs[new])
    old.wait_for_log(OLDER_TERM, SETTLE_S, logs[old])
    for _ in range(5):
        assert can_write(new)
        assert not can_write(old)
    # Everybody sees the older copy: nobody leads by it, also not the member that held it and forgot what it knew.
    old.kill()
    forget_term(old)
    logs = ends(cluster)
    cluster.join(new, third)
    old.start()
    for node in cluster.nodes:
        node.wait_for_log(OLDER_TERM, SETTLE_S, logs[node])
    old.wait_for_log("has seen term", SETTLE_S, logs[old])
    assert cluster.find_leader() is None
    restore(cluster, newer)
    cluster.wait_all_stream()
