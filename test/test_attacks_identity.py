"""Attacks on whose data it is: copies, restored and foreign directories, servers started by hand.

One cluster serves all tests here but the one of the founder's death.
"""

import itertools
import json
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from lab import process, programs
from lab.cluster import Cluster
from lab.evidence import lsn_number
from lab.faults import Faults, build
from lab.node import Node
from lab.session import Error, Session
from lab.steps import (
    frozen,
    gone,
    has,
    insert,
    insert_here_alone,
    make_leader,
    recorded_position,
    revive,
    wait_all_the_same,
)
from lab.wait import now, until

FAULTS = True
rows = itertools.count(-1, -1)  # the writers take what is above 0


def copy(source: Path, target: Path) -> None:
    """As a snapshot of the disk would: hard to tell from the original."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", source, target], check=True)


def by_hand(node: Node, *settings: str) -> None:
    """pg_ctl start, without a supervisor; the data directory's own configuration, and `settings`."""
    options = " ".join(
        f"-c {word}" for word in (f"port={node.port}", f"unix_socket_directories={node.sockets}", *settings)
    )
    # Its server is dead; one that nobody has reaped yet would keep pg_ctl from starting another.
    (node.data / "postmaster.pid").unlink(missing_ok=True)
    (node.sockets / f".s.PGSQL.{node.port}.lock").unlink(missing_ok=True)
    started = programs.run(
        "pg_ctl", "start", "-w", "-D", node.data, "-l", node.log, "-o", options,
        env={process.NODE_MARK: str(node.directory)},
    )
    assert started.returncode == 0, started.stdout + programs.tail(node.log, 10)


def stop_by_hand(node: Node) -> None:
    programs.must_run("pg_ctl", "stop", "-w", "-m", "fast", "-D", node.data)


# --- servers started by hand


def test_an_old_primary_started_by_hand_stays_fenced(cluster: Cluster) -> None:
    """S1, S2b, S7: pg_ctl starts it with its settings while another leads: it acknowledges and shows nothing."""
    old = revive(cluster)
    row = next(rows)
    insert_here_alone(cluster, old, row)
    old.kill()
    leader = cluster.wait_for_leader(besides=old)
    by_hand(old, f"config_file={old.state}/postgresql.conf", "shared_preload_libraries=fawkes_ha")

    def refusal() -> str:
        try:
            with Session(cluster.dsn([old], writable=False), 5) as session:
                session.query("SELECT count(*) FROM ledger", timeout=20)
        except Error as error:
            return str(error)
        raise AssertionError("it answered a read")

    assert "lease" in refusal()
    assert cluster.find_leader() is leader
    stop_by_hand(old)
    old.start()
    wait_all_the_same(cluster)
    assert not has(cluster, old, row)


def test_a_server_without_the_library_is_not_left_running(cluster: Cluster) -> None:
    """S7: nothing fences a bare server, which is PostgreSQL's own affair; the supervisor that comes ends it.

    What it wrote meanwhile is past the fork: its position is known before it is started again.
    """
    old = revive(cluster)
    row = next(rows)
    old.kill()
    cluster.wait_for_leader(besides=old)
    by_hand(old)
    bare = old.postmaster_pid
    insert(cluster, old, row)
    at = old.log.stat().st_size
    old.start()
    old.wait_for_log("nothing fences it", since=at)
    until("the bare server is gone", lambda: gone(bare))
    wait_all_the_same(cluster)
    assert not has(cluster, old, row)


@pytest.mark.parametrize("sign", ["", "-"], ids=["a server's", "a single user's"])
def test_lock_files_that_name_another_member_s_server(cluster: Cluster, sign: str) -> None:
    """S7: after a reboot the numbers of a dead server are another's, and a copy names the server it was made of."""
    leader = revive(cluster)
    node = cluster.others(leader)[0]
    node.stop()
    lines = (leader.data / "postmaster.pid").read_text().split("\n", 1)
    (node.data / "postmaster.pid").write_text(f"{sign}{lines[0]}\n{lines[1]}")
    text = f"{sign}{lines[0]}\n{node.data}\n0\n{node.port}\n"
    (node.sockets / f".s.PGSQL.{node.port}.lock").write_text(text)
    node.start()
    cluster.wait_streams(node, 30)
    assert cluster.find_leader() is leader


def test_the_lock_file_of_a_living_server_s_socket_stays(cluster: Cluster) -> None:
    """S7: a foreign server has the socket: its lock file is left to it, and the member starts when it has gone."""
    node = cluster.others(revive(cluster))[0]
    node.stop()
    foreign = node.directory / "foreign"
    programs.must_run("initdb", "-D", foreign, "-U", "postgres", "-A", "trust", "-N")
    options = f"-c port={node.port} -c unix_socket_directories={node.sockets} -c listen_addresses="
    environment = {process.NODE_MARK: str(node.directory)}
    programs.must_run("pg_ctl", "start", "-w", "-D", foreign, "-l", node.log, "-o", options, env=environment)
    lock = node.sockets / f".s.PGSQL.{node.port}.lock"
    text = lock.read_text()
    at = node.log.stat().st_size
    node.start()
    node.wait_for_log(f'lock file "{lock}" already exists', since=at)
    assert lock.read_text() == text
    programs.must_run("pg_ctl", "stop", "-w", "-m", "fast", "-D", foreign)
    cluster.wait_streams(node)
    shutil.rmtree(foreign)


def test_a_standby_without_its_password_says_so(cluster: Cluster) -> None:
    """It starts, and libpq says of a missing pgpass only that it has no password: the supervisor names the file."""
    node = cluster.others(revive(cluster))[0]
    pgpass = node.state / "pgpass"
    aside = pgpass.with_suffix(".aside")
    node.stop()
    pgpass.rename(aside)
    at = node.log.stat().st_size
    node.start()
    node.wait_for_log(f'this standby cannot stream: there is no "{pgpass}": copy the file pgpass', since=at)
    aside.rename(pgpass)
    cluster.wait_streams(node)


# --- other data in a node's place


def test_foreign_data_is_left_alone(cluster: Cluster) -> None:
    """S7: a directory of another cluster: nothing is started, cloned over or written, and it is said."""
    node = cluster.others(revive(cluster))[0]
    node.stop()
    mine = node.data.with_name("mine")
    node.data.rename(mine)
    programs.must_run("initdb", "-D", node.data, "-U", "postgres", "-A", "trust", "-N")
    foreign = programs.control_data(node.data)
    at = node.log.stat().st_size
    node.start()
    node.wait_for_log("belongs to another cluster", since=at)
    leader = cluster.wait_for_leader()
    insert(cluster, leader, next(rows))
    assert node.postmaster_pid is None
    node.stop()
    assert programs.control_data(node.data) == foreign
    shutil.rmtree(node.data)
    mine.rename(node.data)
    node.start()
    wait_all_the_same(cluster)


def test_a_restored_older_copy_of_a_standby(cluster: Cluster) -> None:
    """S7: an older state of the same data streams what it lacks."""
    node = cluster.others(revive(cluster))[0]
    node.stop()
    older = node.data.with_name("older")
    copy(node.data, older)
    node.start()
    leader = cluster.wait_all_stream()
    row = next(rows)
    insert(cluster, leader, row)
    node.stop()
    shutil.rmtree(node.data)
    older.rename(node.data)
    node.start()
    wait_all_the_same(cluster)
    assert has(cluster, node, row)


def test_a_restored_diverged_copy(cluster: Cluster) -> None:
    """S7: data with a row that the cluster never kept comes back later: it is rewound again."""
    old = revive(cluster)
    row = next(rows)
    insert_here_alone(cluster, old, row)
    old.kill()
    diverged = old.data.with_name("diverged")
    copy(old.data, diverged)
    cluster.wait_for_leader(besides=old)
    old.start()
    cluster.wait_all_stream()
    old.stop()
    shutil.rmtree(old.data)
    diverged.rename(old.data)
    old.start()
    wait_all_the_same(cluster)
    assert not has(cluster, old, row)


def test_a_restored_older_copy_of_the_primary(cluster: Cluster) -> None:
    """S7, S1b: the dead primary's node comes back with an older state of its data, on the same timeline.

    It is the node that holds the lease; it is not the data that acknowledged.  Were it to lead, the
    rows of the time between would be gone, and its standbys would have other WAL at the same positions.
    """
    node = revive(cluster)
    older = node.data.with_name("older")
    with frozen(node):
        copy(node.data, older)
    # Copying takes longer than a lease on a slow machine.
    make_leader(cluster, node)
    row = next(rows)
    insert(cluster, node, row)
    until("the standbys have the row", lambda: all(has(cluster, other, row) for other in cluster.others(node)))
    flushed = node.value("SELECT pg_current_wal_flush_lsn()::text")
    until("a renewal shows a position past the row", lambda: recorded_position(node) >= lsn_number(flushed))
    node.kill()
    shutil.rmtree(node.data)
    older.rename(node.data)
    node.start()
    wait_all_the_same(cluster)
    for each in cluster.nodes:
        assert has(cluster, each, row), each.name


def test_an_emptied_primary_does_not_lead_empty(cluster: Cluster) -> None:
    """S7: the holder's data is gone and its node comes back within the lease: somebody with data leads."""
    node = revive(cluster)
    row = next(rows)
    insert(cluster, node, row)
    until("the standbys have the row", lambda: all(has(cluster, other, row) for other in cluster.others(node)))
    node.kill()
    shutil.rmtree(node.data)
    node.start()
    assert wait_all_the_same(cluster) is not node
    assert has(cluster, node, row)


# --- one member name on two directories


class Writer(threading.Thread):
    """Inserts into one server; notes each acknowledgement."""

    def __init__(self, cluster: Cluster, node: Node, ended: threading.Event) -> None:
        super().__init__(daemon=True)
        self._dsn = cluster.dsn([node], writable=False)
        self._ended = ended
        self._tag = str(node.directory)
        self.acks: list[float] = []
        self.start()

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                with Session(self._dsn, 1) as session:
                    while not self._ended.is_set():
                        session.query("INSERT INTO filler VALUES (1, %s)", (self._tag,), timeout=1)
                        self.acks.append(now())
            except Error:
                self._ended.wait(0.02)


@pytest.mark.parametrize(
    "stopped",
    [pytest.param(False, marks=pytest.mark.long, id="beside it"), pytest.param(True, id="while its agent is stopped")],
)
def test_a_copied_node_with_the_same_name(cluster: Cluster, stopped: bool) -> None:
    """S1b: a copy of the primary's directories starts beside it: the two never both acknowledge."""
    original = revive(cluster)
    port = max(node.port for node in cluster.nodes) + 7
    own = {"port": str(port), "fawkes_ha.address": f"127.0.0.1:{port}"}
    duplicate = Node(original.name, cluster.base / "duplicate", cluster.sockets, port, {**original.settings, **own})
    agent: list[int] = []
    ended = threading.Event()
    try:
        with frozen(original):
            copy(original.directory, duplicate.directory)
        (duplicate.data / "postmaster.pid").unlink()
        (duplicate.directory / "supervisor.pid").unlink()
        duplicate.log.unlink()
        duplicate.write_settings()
        make_leader(cluster, original)
        writers = [Writer(cluster, node, ended) for node in (original, duplicate)]
        until("the original acknowledges", lambda: writers[0].acks)
        if stopped:
            agent = original.titled("fawkes_ha agent")
            process.send(agent, signal.SIGSTOP)
        duplicate.start()
        duplicate.wait_for_log("supervisor of")
        if stopped:
            until("somebody else acknowledges", lambda: writers[1].acks or cluster.wait_for_leader(0, original))
            process.send(agent, signal.SIGCONT)
        began = now()
        until("three leases have passed", lambda: now() > began + 9, 20)
        ended.set()
        for writer in writers:
            writer.join(10)
        first, second = (writer.acks for writer in writers)
        if first and second:
            assert max(first) < min(second) or max(second) < min(first), "both acknowledged"
    finally:
        ended.set()
        process.send(agent, signal.SIGCONT)
        duplicate.kill()
        shutil.rmtree(duplicate.directory, ignore_errors=True)
        # Its record says where the duplicate was.
        for node in cluster.nodes:
            node.thaw()
    original.kill()
    original.start()
    wait_all_the_same(cluster)


# --- founding


FOUNDING = {
    "before its data is there": ("before-rename", "/data.clone$"),
    "when it starts": ("create", "/data/postmaster.pid"),
}


@pytest.mark.parametrize("fault", FOUNDING.values(), ids=FOUNDING)
def test_a_founder_killed_in_the_middle(directory: Path, fault: tuple[str, str]) -> None:
    """S7: the founding supervisor dies between naming the new data and leading with it; it founds all the same."""
    cluster = Cluster(directory / "c", names=("n1", "n2"), first_port=5771)
    try:
        cluster.create()
        library = build()
        n1, n2 = cluster.nodes
        cluster.faults = {node: Faults(node, library) for node in cluster.nodes}
        cluster.faults[n1].at(*fault, "parent")
        n1.start()
        n2.start()
        cluster.faults[n1].wait_met()
        until("the founder's supervisor is gone", lambda: n1.supervisor_pid is None)
        n1.start()
        cluster.wait_all_stream()
        assert json.loads((n1.state / "node.json").read_text())["member"] == "n1"
    except BaseException:
        print(cluster.log_tails())
        raise
    finally:
        cluster.destroy()
