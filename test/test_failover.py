"""What happens to writes when a primary is lost: each event of the demonstration, with its rules.

One cluster serves all tests here.  Each begins by waiting until one node leads and
the others stream, so their order does not matter.  Bounds on time are generous: a
slow machine must not fail them; `make bench-failover` measures.
"""

import threading
import time

import pytest

from lab import evidence, events, programs
from lab.cluster import RENEW_DEADLINE_S, Cluster
from lab.load import Load
from lab.node import PlainNode, free_ports
from lab.session import Error, Session, Silent
from lab.wait import now, until

OUTAGE_BOUND_S = 30


@pytest.fixture(scope="module")
def load(cluster: Cluster):
    with Load(cluster) as load:
        yield load


def silent(_text: str) -> None:
    pass


def check(outcome: events.Outcome) -> None:
    assert outcome.problems == []
    assert outcome.overlap_s == 0
    assert outcome.outage_s < OUTAGE_BOUND_S


def test_one_node_makes_the_cluster_and_the_others_clone_it(cluster: Cluster) -> None:
    """Bootstrap: one initdb; the others have the same system identifier and stream."""
    leader = cluster.wait_all_stream()
    identifiers = {node.value("SELECT system_identifier FROM pg_control_system()") for node in cluster.nodes}
    assert len(identifiers) == 1
    assert [node for node in cluster.nodes if not node.value("SELECT pg_is_in_recovery()")] == [leader]


def test_a_standby_refuses_writes(cluster: Cluster) -> None:
    """S1: only the primary takes writes, and libpq finds it among all hosts."""
    leader = cluster.wait_all_stream()
    with Session(cluster.dsn()) as session:
        assert session.value("SELECT inet_server_port()") == leader.port
    for standby in cluster.others(leader):
        with Session(cluster.dsn([standby], writable=False)) as session:
            with pytest.raises(Error) as refusal:
                session.query("INSERT INTO ledger VALUES (-1, 0, '')")
            assert refusal.value.pgcode == "25006"


def test_killed_postmaster_loses_no_row(cluster: Cluster, load: Load) -> None:
    """A killed postmaster costs no acknowledged row: the supervisor releases with the real end of WAL."""
    outcome = events.run("kill-postmaster", cluster, load, silent)
    check(outcome)
    assert outcome.missing == 0


def test_killed_node_is_replaced_and_rejoins(cluster: Cluster, load: Load) -> None:
    """S1, S7: after the lease another node leads; whatever is missing lies beyond the fork."""
    outcome = events.run("kill-node", cluster, load, silent)
    check(outcome)
    assert outcome.new != outcome.old


def test_stopped_primary_acknowledges_nothing_when_it_wakes(cluster: Cluster, load: Load) -> None:
    """S1, S2, S2b: stopped for 3 leases, it wakes to acknowledge nothing, show nothing, and rejoin."""
    outcome = events.run("stop-node", cluster, load, silent)
    check(outcome)
    assert outcome.new != outcome.old


def test_commit_sent_to_a_stopped_primary_is_never_acknowledged(cluster: Cluster, load: Load) -> None:
    """S2: a transaction that was open before the stop, and is told to commit during it, must not hear "done".

    The writers of the other test may all be between two statements when the stop
    comes; these transactions cannot be.
    """
    old = cluster.wait_all_stream()
    sessions = [Session(cluster.dsn([old])) for _ in range(4)]
    try:
        for number, session in enumerate(sessions):
            session.query("BEGIN")
            session.query("INSERT INTO ledger VALUES (%s, -1, 'open')", (-1000 - number - time.time_ns(),))
        old.freeze()
        frozen = now()
        try:
            for session in sessions:
                session.send("COMMIT")
            cluster.wait_for_leader(besides=old)
            until("the lease has long lapsed", lambda: now() > frozen + 3 * RENEW_DEADLINE_S, 30)
        finally:
            old.thaw()
        for session in sessions:
            with pytest.raises(Error):
                session.receive(timeout=30)
    finally:
        for session in sessions:
            session.close()
    cluster.wait_streams(old)


def test_switchover_loses_no_row(cluster: Cluster, load: Load) -> None:
    """A switchover loses nothing, and the old primary is a standby afterwards."""
    outcome = events.run("switchover", cluster, load, silent)
    check(outcome)
    assert outcome.missing == 0
    assert outcome.new != outcome.old


def test_switchover_to_a_named_member(cluster: Cluster, load: Load) -> None:
    """The member that was asked for leads."""
    old = cluster.wait_all_stream()
    target = cluster.others(old)[-1]
    done = old.command("switchover", "--to", target.name)
    assert done.returncode == 0, done.stderr
    assert cluster.wait_for_leader(besides=old) is target
    cluster.wait_streams(old)


def test_switchover_to_nobody_is_refused(cluster: Cluster) -> None:
    """A member that does not exist: an error that names it, and nothing changes."""
    leader = cluster.wait_all_stream()
    done = leader.command("switchover", "--to", "nobody")
    assert done.returncode != 0
    assert "nobody" in done.stderr
    assert cluster.find_leader() is leader


def test_all_nodes_agree_when_nobody_writes(cluster: Cluster, load: Load) -> None:
    """S7: whatever happened before, every node ends up with the same rows, and with those just acknowledged."""
    number = load.begin_round()
    load.wait_for_acks(100)
    with load.paused():
        leader = cluster.wait_all_stream()
        cluster.wait_all_equal()
        acks = [ack for ack in load.acks if ack.round == number]
        assert evidence.missing_rows(cluster, leader, acks, number) == []


def test_a_promotion_refuses_no_reader(cluster: Cluster) -> None:
    """S2b: a session on the standby that is promoted goes on, and a login waits until the new primary is admitted."""
    old = cluster.wait_all_stream()
    target = cluster.others(old)[0]
    ended = threading.Event()
    refusals: list[str] = []
    reads: list[int] = [0, 0, 0]

    def read(number: int) -> None:
        try:
            with Session(cluster.dsn([target], writable=False)) as session:
                while not ended.is_set():
                    session.query("SELECT count(*) FROM pg_class")
                    reads[number] += 1
        except Error as error:
            refusals.append(f"a statement: {error}")

    def log_in() -> None:
        try:
            while not ended.is_set():
                Session(cluster.dsn([target], writable=False)).close()
                reads[2] += 1
        except Error as error:
            refusals.append(f"a login: {error}")

    readers = [threading.Thread(target=read, args=(number,)) for number in range(2)]
    readers.append(threading.Thread(target=log_in))
    for reader in readers:
        reader.start()
    try:
        until("all have read", lambda: all(reads), 30)
        done = old.command("switchover", "--to", target.name)
        assert done.returncode == 0, done.stderr
        assert cluster.wait_for_leader(besides=old) is target
        before = list(reads)
        until("all have read again", lambda: refusals or all(now > then for now, then in zip(reads, before)), 30)
    finally:
        ended.set()
        for reader in readers:
            reader.join(30)
    assert refusals == []
    cluster.wait_streams(old)


def has_ended(session: Session) -> bool:
    """57P01, or nothing more of the connection; 25006 is no end."""
    try:
        session.query("SELECT 1")
    except Error as error:
        return error.pgcode == "57P01" or (error.pgcode is None and not isinstance(error, Silent))
    return False


def test_a_standby_of_pg_ctl_is_elected(directory) -> None:
    """Without a supervisor: a standby that pg_ctl runs is elected and promoted when the primary is lost.

    When it is replaced in its turn, nobody stops it: its sessions end all the same, so that no pool stays with it.
    """
    cluster = Cluster(directory / "c", names=("n1",), first_port=5751)
    plain = None
    try:
        cluster.create()
        source = cluster.start()
        settings = {name: value for name, value in source.settings.items() if name.startswith("fawkes_ha.")}
        (port,) = free_ports(1, source.port + 1)
        own = {"fawkes_ha.member_name": "plain", "fawkes_ha.address": f"127.0.0.1:{port}"}
        plain = PlainNode("plain", cluster.base / "plain", cluster.sockets, port, {**settings, **own})
        plain.prepare(cluster.passwords["replication"])
        plain.clone(source)
        plain.start()
        until("the plain standby streams", lambda: plain.standing() == ("streams", source.port))
        source.kill()
        until("the plain standby leads", lambda: plain.standing()[0] == "primary")

        def write() -> int:
            with Session(cluster.dsn([plain])) as session:
                return session.value("INSERT INTO ledger VALUES (1, 1, '') RETURNING 1")

        assert until("the plain primary takes writes", write) == 1

        source.start()
        until("the other streams from it", lambda: source.standing() == ("streams", plain.port), 120)
        with Session(cluster.dsn([plain])) as idle, Session(cluster.dsn([plain])) as busy:
            busy.query("BEGIN")
            plain.freeze()
            cluster.wait_for_leader()
            plain.thaw()
            for session in (idle, busy):
                until("the session is at its end", lambda: has_ended(session), 30)
        with pytest.raises(Error, match="may not act as the primary"):
            Session(cluster.dsn([plain], writable=False))
    except BaseException:
        print(cluster.log_tails(), programs.tail(cluster.base / "plain" / "log"))
        raise
    finally:
        if plain:
            plain.kill()
        cluster.destroy()
