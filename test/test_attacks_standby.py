"""Attacks on standbys that are elected: settings too small to be promoted, readers in the way of replay.

One cluster serves all tests here.
"""

import itertools
import signal

import pytest

from lab import process
from lab.cluster import Cluster
from lab.session import Error, Session
from lab.steps import frozen, has, insert, revive, wait_all_the_same
from lab.wait import until

rows = itertools.count(-1, -1)  # the writers take what is above 0


def restart(node, **settings: str) -> None:
    node.stop()
    node.write_settings(**settings)
    node.start()


def test_standbys_that_became_too_small_are_not_elected(cluster: Cluster) -> None:
    """S9: a running standby whose primary raised max_connections cannot be promoted: it says so, and is not elected.

    Elected, it would hold the lease and never lead.  Status names the setting; a switchover that would bring it about warns.
    """
    old = revive(cluster)
    first, second = cluster.others(old)
    less = int(old.value("SHOW max_connections"))
    restart(first, max_connections=str(less + 1))
    cluster.wait_all_stream()
    warning = f"once {first.name} leads, "
    lack = f" cannot be promoted before it is restarted: max_connections {less} < {less + 1}"

    def warns() -> bool:
        done = old.command("switchover", "--to", first.name, "--dry-run")
        return done.returncode == 0 and warning in done.stderr and lack in done.stderr

    until("a switchover to one that has more warns", warns, 30)
    old.write_settings(max_connections="150")
    with frozen(first, second):
        process.send([old.postmaster_pid], signal.SIGKILL)
        until("the old primary leads again", lambda: cluster.find_leader() is old)
    row = next(rows)
    insert(cluster, old, row)
    flushed = old.value("SELECT pg_current_wal_flush_lsn()::text")
    for node in (first, second):
        until(f"{node.name} stands still", lambda: node.value("SELECT pg_get_wal_replay_pause_state()") == "paused")
        received = "SELECT pg_last_wal_receive_lsn() >= %s::pg_lsn"
        until(f"{node.name} has the row's WAL", lambda: node.value(received, (flushed,)))
    for node, has_now in ((first, less + 1), (second, less)):
        finding = f"{node.name} cannot be promoted: max_connections {has_now} < 150"
        until("status says so", lambda: finding in old.command("status").stdout, 30)
    marks = {node: node.log.stat().st_size for node in (first, second)}
    old.kill()
    for node, at in marks.items():
        node.wait_for_log("this standby cannot be promoted: max_connections", since=at)
    assert cluster.find_leader() is None
    restart(second, max_connections="150")
    until("the one with enough leads", lambda: cluster.find_leader() is second)
    assert has(cluster, second, row)
    restart(first, max_connections="150")
    old.start()
    wait_all_the_same(cluster)


@pytest.mark.parametrize("idle", [True, False], ids=["idle in a transaction", "a running query"])
def test_a_reader_in_the_way_of_replay(cluster: Cluster, idle: bool) -> None:
    """S9: with max_standby_streaming_delay = -1 a reader blocks replay: the election ends it."""
    old = revive(cluster)
    elected, other = cluster.others(old)
    restart(elected, max_standby_streaming_delay="-1", max_connections="150")
    cluster.wait_all_stream()
    with Session(cluster.dsn([old]), 5) as session:
        session.query("INSERT INTO filler VALUES (1, '')")
    at = old.value("SELECT pg_current_wal_flush_lsn()::text")
    until("the row is replayed", lambda: elected.value("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (at,)))
    row = next(rows)
    with Session(cluster.dsn([elected], writable=False), 5) as reader:
        reader.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
        reader.query("SELECT count(*) FROM filler")
        if not idle:
            reader.send("SELECT count(*), pg_sleep(600) FROM filler")
        with Session(cluster.dsn([old]), 5) as session:
            session.query("TRUNCATE filler", timeout=20)
        insert(cluster, old, row)
        at = old.value("SELECT pg_current_wal_flush_lsn()::text")
        received = "SELECT pg_last_wal_receive_lsn() >= %s AND pg_last_wal_replay_lsn() < %s"
        until("replay is blocked", lambda: elected.value(received.replace("%s", "%s::pg_lsn"), (at, at)))
        other.kill()
        old.kill()
        assert cluster.wait_for_leader(besides=old) is elected
        with pytest.raises(Error):
            reader.receive(20) if not idle else reader.query("SELECT 1", timeout=20)
    assert has(cluster, elected, row)
    restart(elected, max_connections="150")
    revive(cluster)
    wait_all_the_same(cluster)
