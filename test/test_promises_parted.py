"""S10 where members are cut off the lock one by one, and where the lock comes back as an older copy."""

import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import faults
from lab.cluster import LEASE_S
from lab.node import Node
from lab.part import Part
from lab.wait import now, until

BY_PROMISES = "the lock does not answer: all other members promise not to contend"
OLDER_TERM = "the lock shows an older term than this node or another member has seen"
NO_LOCK = "is not there: mount it, or correct fawkes_ha.lock"
NO_MORE = "promises of other members are not counted on any more"
SETTLE_S = 60


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest) -> Iterator[Part]:
    base = Path(tempfile.mkdtemp(prefix="fh-", dir=os.environ.get("FAWKES_TEST_DIR", "/tmp")))
    cluster = Part(base / "c")
    failed_before = request.session.testsfailed
    try:
        cluster.create()
        library = faults.build()
        cluster.faults = {node: faults.Faults(node, library) for node in cluster.nodes}
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


def promise_file(node: Node) -> dict:
    try:
        return json.loads((node.state / "bond.json").read_text())
    except FileNotFoundError:
        return {}


def contended(node: Node) -> str:
    return promise_file(node).get("contended", "")


def lsn(text: str) -> int:
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def heard(node: Node) -> int:
    return lsn(promise_file(node).get("heard", {"lsn": "0/0"})["lsn"])


def log_since(node: Node, since: int) -> str:
    with open(node.log, errors="replace") as log:
        log.seek(since)
        return log.read()


def ends(cluster: Part) -> dict[Node, int]:
    return {node: node.log.stat().st_size for node in cluster.nodes}


@contextmanager
def outage(cluster: Part, leader: Node) -> Iterator[None]:
    """The lock answers nobody, and the leader leads by promises."""
    logs = ends(cluster)
    cluster.cut(*cluster.nodes)
    try:
        leader.wait_for_log(BY_PROMISES, SETTLE_S, logs[leader])
        yield
    finally:
        cluster.join(*cluster.nodes)


def wait_over(leader: Node, since: int) -> None:
    """Until the outage is over for the leader too: the next one is another."""
    leader.wait_for_log(NO_MORE, SETTLE_S, since)


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


def test_an_outage_after_a_switchover(cluster: Part) -> None:
    """Whoever has taken the lease knows how that ended, in the next process too: it promises, and the primary writes on."""
    old = cluster.wait_all_stream()
    to = cluster.others(old)[0]
    assert old.command("switchover", "--to", to.name).returncode == 0
    leader = cluster.wait_all_stream()
    # All who took part speak for their nodes in new processes, as after a restart of PostgreSQL.
    until("every promise file says so", lambda: all(contended(node) == "" for node in cluster.nodes), SETTLE_S)
    logs = ends(cluster)
    with outage(cluster, leader):
        for _ in range(20):
            assert can_write(leader)
    wait_over(leader, logs[leader])
    assert "tried to take the lease" not in log_since(leader, logs[leader])
    assert cluster.wait_all_stream() is leader


def test_members_that_start_in_an_outage(cluster: Part) -> None:
    """Whoever speaks for a member next waits for the lock, stops when told to, and promises: the primary writes on."""
    leader = cluster.wait_all_stream()
    crashed, restarted = cluster.others(leader)
    logs = ends(cluster)
    with outage(cluster, leader):
        os.kill(crashed.postmaster_pid, signal.SIGKILL)
        restarted.kill()
        restarted.start()
        restarted.wait_for_log(NO_LOCK, SETTLE_S, logs[restarted])
        assert restarted.stop() == 0
        restarted.start()
        crashed.wait_for_log(NO_LOCK, SETTLE_S, logs[crashed])
        over = now() + 2 * LEASE_S
        until("older promises do not count any more", lambda: now() > over, SETTLE_S)
        until("the primary writes on", lambda: can_write(leader), SETTLE_S)
    wait_over(leader, logs[leader])
    assert cluster.wait_all_stream() is leader


def test_postgresql_killed_in_an_outage(cluster: Part) -> None:
    """Its supervisor asks on for a lease: no standby that lacks an acknowledged row is faster than it."""
    leader = cluster.wait_all_stream()
    with leader.session() as session:
        session.query("CREATE TABLE kept (i int)")
    cluster.wait_all_equal()
    with outage(cluster, leader):
        for walsender in leader.titled("walsender"):
            os.kill(walsender, signal.SIGSTOP)
        with leader.session() as session:
            session.query("INSERT INTO kept VALUES (1)")
        os.kill(leader.postmaster_pid, signal.SIGKILL)
        over = now() + 1.2 * LEASE_S
        # They see the lock first, which is what makes them faster.
        cluster.join(*cluster.others(leader))
        until("what PostgreSQL was promised is over", lambda: now() > over, SETTLE_S)
    assert cluster.wait_all_stream().value("SELECT count(*) FROM kept") == 1


def test_slow_disks(cluster: Part) -> None:
    """Nobody waits for the flush of a promise: it is on disk in advance."""
    leader = cluster.wait_all_stream()
    logs = ends(cluster)
    for node in cluster.nodes:
        cluster.faults[node].slow("bond.json", 800)
    try:
        with outage(cluster, leader):
            for _ in range(100):
                assert can_write(leader)
    finally:
        for node in cluster.nodes:
            cluster.faults[node].quick()
    wait_over(leader, logs[leader])
    assert cluster.wait_all_stream() is leader


def test_a_new_password_in_an_outage(cluster: Part) -> None:
    """Members that have it and members that do not yet understand each other; no reload is needed."""
    leader = cluster.wait_all_stream()
    logs = ends(cluster)
    with outage(cluster, leader):
        with leader.session() as session:
            session.query("ALTER ROLE fawkes_replication PASSWORD 'another'")
        for node in [leader, *cluster.others(leader)]:
            (node.state / "pgpass.new").write_text("*:*:*:fawkes_replication:another\n")
            (node.state / "pgpass.new").chmod(0o600)
            (node.state / "pgpass.new").rename(node.state / "pgpass")
            for _ in range(10):
                assert can_write(leader)
        for _ in range(100):
            assert can_write(leader)
    wait_over(leader, logs[leader])
    assert cluster.wait_all_stream() is leader


def test_the_lag_limit_counts_in_an_outage(cluster: Part) -> None:
    """A standby that promised knows how far the primary came by promises: it does not lead without that."""
    leader = cluster.wait_all_stream()
    behind, other = cluster.others(leader)
    logs = ends(cluster)
    (receiver,) = behind.titled("walreceiver")
    with outage(cluster, leader):
        os.kill(receiver, signal.SIGSTOP)
        with leader.session() as session:
            session.query("CREATE TABLE more AS SELECT repeat(md5(g::text), 31) FROM generate_series(1, 40000) AS g", timeout=60)
            end = session.value("SELECT pg_current_wal_lsn()::text")
        until("the standby was told", lambda: heard(behind) >= lsn(end), SETTLE_S)
        leader.kill()
        other.kill()
    behind.wait_for_log("would lose more than allowed", SETTLE_S, logs[behind])
    assert not can_write(behind)
    leader.start()
    other.start()
    assert cluster.wait_all_stream() is leader
