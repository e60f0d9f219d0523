"""The supervisor `fawkes-ha run`: start, refusal, shutdown, return."""

import fcntl
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from lab import process, programs
from lab.cluster import Cluster
from lab.node import Node
from lab.session import Session
from lab.wait import until

# Far above what a shutdown takes, far below "it hung until somebody came".
SHUTDOWN_BOUND_S = 30


def gone(nodes: list[Node]) -> bool:
    return not any(node.pids() for node in nodes)


# --- shutdown and return


def test_a_stopped_member_leaves_no_process_and_a_clean_directory(cluster: Cluster) -> None:
    """SIGTERM is a fast shutdown: status 0, a clean directory, nobody left; then it comes back."""
    node = cluster.others(cluster.wait_all_stream())[0]
    assert node.stop(SHUTDOWN_BOUND_S) == 0
    until("nothing is left of the node", lambda: gone([node]), 10)
    assert programs.control_data(node.data)["Database cluster state"] == "shut down in recovery"
    node.start()
    cluster.wait_streams(node)


def test_a_stopped_primary_hands_over_at_once(cluster: Cluster) -> None:
    """Fast shutdown of the primary releases the lease: somebody else leads, and it comes back as a standby."""
    old = cluster.wait_all_stream()
    assert old.stop(SHUTDOWN_BOUND_S) == 0
    assert programs.control_data(old.data)["Database cluster state"] in ("shut down", "shut down in recovery")
    cluster.wait_for_leader(besides=old)
    old.start()
    cluster.wait_streams(old)


def shut_down_while_the_lock_hangs(cluster: Cluster, node: Node) -> None:
    children = node.lock_children()
    assert children, "the process that does the lock's input and output was not found"
    process.send(children, signal.SIGSTOP)
    try:
        node.terminate()
        # The lock's process may stay until it is continued; nothing else may wait for it.
        node.wait_ended(SHUTDOWN_BOUND_S)
        assert node.postmaster_pid is None
    finally:
        process.send(children, signal.SIGCONT)
    until("nothing is left of the node", lambda: gone([node]), 10)


def test_a_standby_shuts_down_while_its_lock_hangs(cluster: Cluster) -> None:
    """S9: a lock that does not answer holds up nobody's shutdown, and it is a clean one."""
    node = cluster.others(cluster.wait_all_stream())[0]
    shut_down_while_the_lock_hangs(cluster, node)
    assert programs.control_data(node.data)["Database cluster state"] == "shut down in recovery"
    node.start()
    cluster.wait_streams(node)


def test_a_primary_shuts_down_while_its_lock_hangs(cluster: Cluster) -> None:
    """S9: the same of the primary; its lease lapses, another leads, and it comes back as a standby."""
    old = cluster.wait_all_stream()
    shut_down_while_the_lock_hangs(cluster, old)
    assert programs.control_data(old.data)["Database cluster state"] == "shut down"
    cluster.wait_for_leader(besides=old)
    old.start()
    cluster.wait_streams(old)


def test_a_member_shuts_down_while_the_others_are_stopped(cluster: Cluster) -> None:
    """S9: nor do other members that do not answer hold it up."""
    leader = cluster.wait_all_stream()
    others = cluster.others(leader)
    try:
        for node in others:
            node.freeze()
        leader.stop(SHUTDOWN_BOUND_S)
        until("nothing is left of the node", lambda: gone([leader]), 10)
    finally:
        for node in others:
            node.thaw()
    leader.start()
    cluster.wait_all_stream()


def test_an_emptied_node_clones_again(cluster: Cluster) -> None:
    """A member whose data directory is gone comes back as a clone of whoever leads."""
    node = cluster.others(cluster.wait_all_stream())[-1]
    node.stop()
    shutil.rmtree(node.data)
    node.start()
    cluster.wait_streams(node)


def test_a_killed_standby_comes_back(cluster: Cluster) -> None:
    """A standby whose processes all were killed streams again after its restart."""
    node = cluster.others(cluster.wait_all_stream())[0]
    node.kill()
    node.start()
    cluster.wait_streams(node)


def postmasters(node: Node) -> list[int]:
    """Only the postmaster keeps its command line; its children show a title."""

    def words(pid: int) -> bytes:
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
        except OSError:
            return b""

    return [pid for pid in node.pids() if words(pid).endswith(b"/postgres")]


def test_a_killed_supervisor_leaves_one_postmaster(cluster: Cluster) -> None:
    """The liveness lock: a new supervisor starts no PostgreSQL while a process of the old one lives."""
    node = cluster.wait_all_stream()
    process.send([node.supervisor_pid], signal.SIGKILL)
    until("the supervisor is gone", lambda: node.supervisor_pid is None)
    node.start()
    cluster.wait_all_stream()
    assert len(postmasters(node)) == 1
    # However the two came to terms: a whole node again for the tests that follow.
    node.kill()
    node.start()
    cluster.wait_all_stream()


def test_a_new_supervisor_can_hand_over_what_it_found_running(cluster: Cluster) -> None:
    """S1b: it goes on under the running server's incarnation, so the lease is released to the target."""
    old = cluster.wait_all_stream()
    process.send([old.supervisor_pid], signal.SIGKILL)
    until("the supervisor is gone", lambda: old.supervisor_pid is None)
    since = old.log.stat().st_size
    old.start()
    old.wait_for_log("watching over it", since=since)
    target = cluster.others(old)[0]
    done = target.command("switchover", "--to", target.name)
    assert done.returncode == 0, done.stderr
    assert cluster.wait_all_stream() is target


def test_a_killed_standby_past_the_fork_of_a_timeline_its_control_file_does_not_know(cluster: Cluster) -> None:
    """S7: recovery would replay what lies in pg_wal, past the fork too; it is found before the start."""
    first = cluster.wait_all_stream()
    second, ahead = cluster.others(first)
    with ahead.session() as session:
        session.query("CHECKPOINT", timeout=60)  # its control file keeps this timeline for minutes
    assert first.command("switchover", "--to", second.name).returncode == 0
    assert cluster.wait_all_stream() is second
    behind = first
    behind.freeze()
    try:
        with Session(cluster.dsn([second])) as session:
            session.query("INSERT INTO ledger SELECT g, -7, 'only there' FROM generate_series(-900000, -899000) AS g")
        written = second.value("SELECT pg_current_wal_flush_lsn()::text")
        until(
            f"{ahead.name} has replayed it",
            lambda: ahead.value("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (written,)),
        )
        second.kill()
        ahead.kill()
    finally:
        behind.thaw()
    assert cluster.wait_for_leader(besides=second) is behind
    second.start()
    ahead.start()
    cluster.wait_all_stream()
    cluster.wait_all_equal()


def test_a_second_supervisor_is_refused(cluster: Cluster) -> None:
    """One supervisor per data directory: the second ends with a sentence, the first does not notice."""
    leader = cluster.wait_all_stream()
    done = programs.run("fawkes-ha", "run", "-D", leader.data, timeout=SHUTDOWN_BOUND_S)
    assert done.returncode != 0
    assert "supervises this node already" in done.stderr
    assert cluster.find_leader() is leader


# --- bad settings


@pytest.fixture
def lone(directory) -> Node:
    """A node with good settings that was never started."""
    cluster = Cluster(directory / "c", names=("n1",), first_port=5801)
    cluster.create()
    yield cluster.nodes[0]
    cluster.destroy()


BAD = [
    ({"fawkes_ha.cluster_name": ""}, "cluster_name"),
    ({"fawkes_ha.cluster_name": "Not A Name"}, "cluster_name"),
    ({"fawkes_ha.member_name": "under_score"}, "member_name"),
    ({"fawkes_ha.member_name": "x" * 60}, "member_name"),
    ({"fawkes_ha.lock": ""}, "lock"),
    ({"fawkes_ha.lock": "ftp://nowhere"}, "lock"),
    ({"fawkes_ha.lock": "dir:relative/path"}, "lock"),
    ({"fawkes_ha.address": "no-port"}, "address"),
    ({"fawkes_ha.bootstrap": "guess"}, "bootstrap"),
    ({"fawkes_ha.lease_duration": "soon"}, "lease_duration"),
    ({"fawkes_ha.lease_duration": "-1s"}, "lease_duration"),
    ({"fawkes_ha.renew_deadline": "3s"}, "renew_deadline"),
    ({"fawkes_ha.retry_period": "1900ms"}, "retry_period"),
    ({"fawkes_ha.no_such_setting": "1"}, "no_such_setting"),
]


@pytest.mark.parametrize(("settings", "named"), BAD, ids=lambda value: str(value))
def test_a_bad_setting_is_refused_by_name(lone: Node, settings: dict[str, str], named: str) -> None:
    """A bad setting: the supervisor ends before it touches anything, and names the setting."""
    lone.write_settings(**settings)
    done = programs.run("fawkes-ha", "run", "-D", lone.data, timeout=SHUTDOWN_BOUND_S)
    assert done.returncode != 0
    assert named in done.stderr
    assert not lone.data.exists()


def test_a_missing_settings_file_is_refused_by_name(lone: Node) -> None:
    """Without its file the supervisor says which file it looked for."""
    (lone.state / "fawkes_ha.conf").unlink()
    done = programs.run("fawkes-ha", "run", "-D", lone.data, timeout=SHUTDOWN_BOUND_S)
    assert done.returncode != 0
    assert str(lone.state / "fawkes_ha.conf") in done.stderr


def test_a_lock_that_every_user_may_write_is_refused(lone: Node) -> None:
    """Any file in the lock's directory is a record, so who may write there decides who leads."""
    lock = Path(lone.settings["fawkes_ha.lock"].removeprefix("dir:"))
    lock.chmod(0o1777)
    done = programs.run("fawkes-ha", "run", "-D", lone.data, timeout=SHUTDOWN_BOUND_S)
    assert done.returncode == 2
    assert f'every user of this machine may write "{lock}" (mode 1777)' in done.stderr
    assert not lone.data.exists()


def test_root_is_told_to_become_the_nodes_user(lone: Node) -> None:
    """PostgreSQL refuses root: the supervisor says so before it takes a lease that it could not use."""
    as_root = ["unshare", "--user", "--map-root-user"]
    if subprocess.run([*as_root, "true"], capture_output=True).returncode != 0:
        pytest.skip("the kernel gives no user namespaces here (it does not in a chroot)")
    words = [*as_root, programs.path("fawkes-ha"), "run", "-D", lone.data]
    done = subprocess.run(words, capture_output=True, text=True, timeout=SHUTDOWN_BOUND_S, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert "PostgreSQL does not run as root" in done.stderr
    assert not os.listdir(lone.settings["fawkes_ha.lock"].removeprefix("dir:"))


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "hot_standby"])
def test_a_setting_that_breaks_a_promise_is_refused(lone: Node, setting: str) -> None:
    """S4b: PostgreSQL is not started with a setting under which acknowledged rows could vanish."""
    lone.write_settings(**{setting: "off"})
    lone.start()
    lone.wait_for_log(setting)
    assert lone.postmaster_pid is None
    lone.kill()


def test_postgresql_auto_conf_says_not_who_a_member_is(lone: Node) -> None:
    """A restored database brings another member's lines, which would come over fawkes_ha.conf."""
    lone.start()
    lone.wait_for_log("this member leads")
    lone.stop()
    since = lone.log.stat().st_size
    auto = lone.data / "postgresql.auto.conf"
    with open(auto, "a") as file:
        file.write("fawkes_ha.member_name = 'other'\nFAWKES_HA.Pod='other-0'\nwork_mem = '5MB'\n")
    lone.start()
    lone.wait_for_log("this member leads", since=since)
    assert [lone.value(f"SHOW {name}") for name in ("fawkes_ha.member_name", "work_mem")] == [lone.name, "5MB"]
    assert "fawkes_ha" not in auto.read_text().lower()


def test_the_programs_beside_the_command_are_used(lone: Node, directory: Path, monkeypatch) -> None:
    """Of several installed versions the one that the command was installed for, whatever PATH finds first."""
    other = directory / "other"
    other.mkdir()
    for name, words in (("pg_config", f"echo {other}"), ("postgres", "exit 1")):
        (other / name).write_text(f"#!/bin/sh\n{words}\n")
        (other / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{other}:{os.environ['PATH']}")
    lone.start()
    lone.wait_for_log("this member leads")
    assert f"PostgreSQL {lone.value('SHOW server_version')}" == programs.must_run("pg_config", "--version").strip()


def test_the_supervisor_is_fit_to_be_process_1(lone: Node) -> None:
    """As the first process of a PID namespace: it restarts PostgreSQL, reaps orphans, obeys SIGTERM."""
    first = ["unshare", "--user", f"--map-user={os.getuid()}", f"--map-group={os.getgid()}"]
    first += ["--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*first, "true"], capture_output=True).returncode != 0:
        pytest.skip("the kernel gives no user namespaces here (it does not in a chroot)")
    lone.start(under=first)
    lone.wait_for_log("this member leads")
    since = lone.log.stat().st_size

    # Seen from here: unshare, below it the supervisor, below that the postmaster.
    everyone = process.look_at_all()
    supervisor = next(p for p in everyone.values() if p.parent == lone.supervisor_pid)
    postmaster = next(p for p in everyone.values() if p.parent == supervisor.pid and p.name == "postgres")
    process.send([postmaster.pid], signal.SIGKILL)

    def leads_again() -> bool:
        # The killed server may have said the same after `since`, if a renewal was late.
        return b"this member leads" in lone.log.read_bytes()[since:].partition(b"started PostgreSQL as a primary")[2]

    until("a new server leads", leads_again)

    def dead_children() -> list[int]:
        found = (process.look(int(name)) for name in os.listdir("/proc") if name.isdigit())
        return [p.pid for p in found if p and p.parent == supervisor.pid and not p.lives]

    until("every orphan is reaped", lambda: not dead_children(), 10)
    process.send([supervisor.pid], signal.SIGTERM)
    assert lone.wait_ended(SHUTDOWN_BOUND_S) == 0
    assert programs.control_data(lone.data)["Database cluster state"] == "shut down"


# --- standard streams


def test_a_log_that_is_not_read_does_not_hold_up_the_supervisor(cluster: Cluster) -> None:
    """The pipe of its standard error is full: it stops its node all the same."""
    node = cluster.others(cluster.wait_all_stream())[0]
    node.stop(SHUTDOWN_BOUND_S)
    fifo = node.directory / "log.fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    try:
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 1 << 16)
        node.write_settings(**{"fawkes_ha.shutdown_timeout": "1s"})  # PostgreSQL waits for the reader, and is killed
        node.start(under=["sh", "-c", 'exec "$@" 2>"$0"', str(fifo)])
        cluster.wait_streams(node)
        with pytest.raises(BlockingIOError):
            while True:
                os.write(writer, b"x")
        assert node.stop(SHUTDOWN_BOUND_S) == 0
        assert gone([node])
    finally:
        os.close(writer)
        os.close(reader)
        fifo.unlink()
    node.write_settings()
    node.start()
    cluster.wait_streams(node)


def test_standard_streams_that_are_closed_are_no_files_of_ours(cluster: Cluster) -> None:
    """What a lock's or a record's descriptor is must not be standard error: no line is written into a file."""
    node = cluster.others(cluster.wait_all_stream())[0]
    node.stop(SHUTDOWN_BOUND_S)
    node.start(under=["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"])
    cluster.wait_streams(node)
    assert (node.state / "life").read_bytes() == b""
    node.stop(SHUTDOWN_BOUND_S)
    node.start()
    cluster.wait_streams(node)


def test_a_working_directory_that_is_removed(cluster: Cluster) -> None:
    """PostgreSQL, which does not start in one, is started all the same."""
    node = cluster.others(cluster.wait_all_stream())[0]
    node.stop(SHUTDOWN_BOUND_S)
    here = node.directory / "here"
    here.mkdir()
    node.start(under=["sh", "-c", 'cd "$0" && rmdir "$0" && exec "$@"', str(here)])
    cluster.wait_streams(node)
    node.stop(SHUTDOWN_BOUND_S)
    node.start()
    cluster.wait_streams(node)
