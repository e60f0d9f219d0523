"""What keeps a node from stopping, or a standby from leading: programs, commands, signals, other people's hands.

One cluster serves all tests here, with archive_mode = on.
"""

import itertools
import os
import shutil
import signal
import subprocess

import psycopg2
import pytest
from psycopg2.extras import PhysicalReplicationConnection

from lab import process, programs
from lab.attack import Attack
from lab.cluster import Cluster
from lab.load import Load
from lab.node import Node
from lab.session import Session
from lab.steps import has, insert
from lab.wait import until

SETTINGS = {"archive_mode": "on", "archive_command": "true"}
ROUNDS = 4
rows = itertools.count(-1, -1)  # the writers take what is above 0


def give(nodes: list[Node], **settings: str) -> None:
    """What a reload brings, over the node's own."""
    for node in nodes:
        node.write_settings(**settings)
        process.send([node.supervisor_pid], signal.SIGHUP)
    for node in nodes:
        for name, value in settings.items():
            until(f"{node.name} has {name}", lambda node=node, name=name: node.value(f"SHOW {name}") == value)


def log_since(node: Node, since: int) -> str:
    with open(node.log, errors="replace") as log:
        log.seek(since)
        return log.read()


def children(pid: int) -> list[int]:
    return [one.pid for one in process.look_at_all().values() if one.parent == pid]


# --- everything of a node is told to stop


def test_sigterm_for_every_process_at_once(cluster: Cluster) -> None:
    """As systemd's KillMode=control-group does: no acknowledged row is lost, and nothing is to be rewound."""
    with Load(cluster) as load:
        for _ in range(ROUNDS):
            attack = Attack(cluster, load)
            since = attack.old.log.stat().st_size
            process.send(attack.old.pids(), signal.SIGTERM)
            attack.old.wait_ended(60)
            cluster.wait_for_leader(besides=attack.old)
            attack.old.start()
            attack.judge()
            assert "rewind" not in log_since(attack.old, since)


def test_a_single_walsender_can_be_terminated(cluster: Cluster) -> None:
    """Only a server that stops keeps its walsenders."""
    leader = cluster.wait_all_stream()
    before = set(leader.titled("walsender"))
    leader.value("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_replication")
    until("the walsenders are gone", lambda: not before & set(leader.titled("walsender")))
    cluster.wait_all_stream()


# --- what a server that stops waits for


def archives(node: Node) -> list[int]:
    return [child for archiver in node.titled("archiver") for child in children(archiver)]


def ready(node: Node) -> list[str]:
    return [path.name for path in (node.data / "pg_wal" / "archive_status").glob("*.ready")]


def test_an_archive_command_that_hangs_holds_up_no_switchover(cluster: Cluster) -> None:
    """The position is known when only the archiver is left; it is ended, and what it has not archived waits."""
    old = cluster.wait_all_stream()
    target = cluster.others(old)[0]
    give([old], archive_command="sleep 600")
    old.value("SELECT pg_switch_wal()")
    until("archive_command runs", lambda: archives(old))
    since = old.log.stat().st_size
    done = target.command("switchover", "--to", target.name)
    assert done.returncode == 0, done.stdout + done.stderr
    old.write_settings()
    assert cluster.wait_all_stream() is target
    said = log_since(old, since)
    assert "only the archiver is left and does not end: it is ended" in said
    assert "stopping PostgreSQL (immediate)" not in said and "does not come to lead" not in said
    assert "rewind" not in said
    assert ready(old)


def test_a_program_of_a_session_holds_up_no_switchover(cluster: Cluster) -> None:
    """A session waits for its COPY ... PROGRAM, which may ignore the signal that PostgreSQL sends to both."""
    old = cluster.wait_all_stream()
    target = cluster.others(old)[0]
    since = old.log.stat().st_size
    with old.session() as session:
        session.send("COPY (SELECT 1) TO PROGRAM 'trap \"\" TERM; sleep 600'")
        until("the program runs", lambda: any(process.title(pid).startswith("sleep") for pid in old.pids()))
        done = target.command("switchover", "--to", target.name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert cluster.wait_all_stream() is target
    said = log_since(old, since)
    assert "hold up its stop: they are ended" in said
    assert "stopping PostgreSQL (immediate)" not in said and "does not come to lead" not in said


def idle_replication(cluster: Cluster, node: Node):
    """A replication connection that asks for nothing, as backup tools keep one."""
    return psycopg2.connect(
        f"host=127.0.0.1 port={node.port} user=fawkes_replication sslmode=disable",
        password=cluster.passwords["replication"],
        connection_factory=PhysicalReplicationConnection,
    )


def test_walsenders_that_do_not_stream_hold_up_no_stop(cluster: Cluster) -> None:
    """A slow base backup and an idle replication connection end with the sessions, on a primary and on a standby."""
    old = cluster.wait_all_stream()
    target = cluster.others(old)[0]
    copy = cluster.base / "copy"
    words = ("-h", "127.0.0.1", "-p", str(old.port), "-U", "fawkes_replication", "-D", copy, "-r", "32k", "-c", "fast")
    backup = subprocess.Popen(
        [programs.path("pg_basebackup"), *words],
        stderr=subprocess.PIPE,
        env={**os.environ, "PGPASSWORD": cluster.passwords["replication"], "PGSSLMODE": "disable"},
    )
    idle = idle_replication(cluster, old)
    try:
        until("the backup is under way", lambda: (copy / "backup_label").exists())
        since = old.log.stat().st_size
        done = target.command("switchover", "--to", target.name)
        assert done.returncode == 0, done.stdout + done.stderr
        assert cluster.wait_all_stream() is target
    finally:
        idle.close()
        backup.kill()
        backup.communicate()
    said = log_since(old, since)
    assert "stopping PostgreSQL (immediate)" not in said and "does not come to lead" not in said
    # Now a standby.
    since = old.log.stat().st_size
    idle = idle_replication(cluster, old)
    old.stop()
    idle.close()
    assert "stopping PostgreSQL (immediate)" not in log_since(old, since)
    old.start()
    cluster.wait_all_stream()


def test_a_node_that_clones_can_be_stopped(cluster: Cluster) -> None:
    """The copy waits for a checkpoint of the leader that does not come; the data is still to be copied afterwards."""
    leader = cluster.wait_all_stream()
    node = cluster.others(leader)[0]
    node.stop()
    shutil.rmtree(node.data)
    checkpointer = leader.titled("checkpointer")
    process.send(checkpointer, signal.SIGSTOP)
    try:
        since = node.log.stat().st_size
        node.start()
        node.wait_for_log("cloning from", since=since)
        until("pg_basebackup runs", lambda: node.titled("pg_basebackup"))
        node.stop(30)
        until("nothing is left of the node", lambda: node.pids() == [], 10)
    finally:
        process.send(checkpointer, signal.SIGCONT)
    node.start()
    cluster.wait_all_stream()


@pytest.mark.parametrize("role", ["primary", "standby"])
def test_a_smart_shutdown_waits_for_no_session(cluster: Cluster, role: str) -> None:
    """It lets nobody in, so a server that waits for a session's end is nobody's primary, and nobody's standby."""
    with Load(cluster, writers=2) as load:
        attack = Attack(cluster, load)
        node = attack.old if role == "primary" else cluster.others(attack.old)[0]
        with node.session():
            process.send([node.postmaster_pid], signal.SIGTERM)
            attack.wait_for_log(node, "somebody asked PostgreSQL to stop when its sessions have ended")
            attack.judge()


# --- servers that somebody else starts


def test_pg_ctl_restart_of_the_primary(cluster: Cluster) -> None:
    """What pg_ctl starts under a supervisor is that supervisor's to end, once it has lost the lease."""
    old = cluster.wait_all_stream()
    # It fails when that was quick.
    programs.run("pg_ctl", "restart", "-D", old.data, "-m", "fast", "-l", old.directory / "pg_ctl.log")
    cluster.wait_all_stream()
    until("it is a supervised member", lambda: "no supervisor" not in old.command("restart", old.name, "--dry-run").stderr)


def test_a_server_without_the_library_is_ended_at_once(cluster: Cluster) -> None:
    """Nothing fences it: what it has mapped tells, and nobody waits for an agent."""
    node = cluster.others(cluster.wait_all_stream())[0]
    node.stop()
    options = f"-p {node.port} -k {node.sockets} -c max_wal_senders=16 -c max_worker_processes=16 -c hot_standby=on"
    log = node.directory / "pg_ctl.log"
    done = programs.run("pg_ctl", "start", "-w", "-D", node.data, "-o", options, "-l", log)
    assert done.returncode == 0, done.stderr + programs.tail(log, 20)
    since = node.log.stat().st_size
    node.start()
    node.wait_for_log("PostgreSQL runs without the fawkes_ha library", since=since)
    said = log_since(node, since)
    assert said.index("watching over it") < said.index("without the fawkes_ha library")
    cluster.wait_all_stream()


# --- what keeps a standby from leading


COMMANDS = ("restore_command", "archive_cleanup_command", "recovery_end_command")


def give_by_auto_file(nodes: list[Node], commands: dict[str, str]) -> None:
    """As a restored backup brings them: fawkes_ha's files come before that one."""
    for node in nodes:
        node.stop()
        with open(node.data / "postgresql.auto.conf", "a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in commands.items())
        node.start()
    for node in nodes:
        for name, value in commands.items():
            until(f"{node.name} has {name}", lambda node=node, name=name: node.value(f"SHOW {name}") == value)
        assert not any(name in (node.data / "postgresql.auto.conf").read_text() for name in commands)


@pytest.mark.parametrize("file", ["fawkes_ha.conf", "postgresql.auto.conf"])
def test_commands_of_recovery_that_hang_keep_nobody_from_leading(cluster: Cluster, file: str) -> None:
    """restore_command, archive_cleanup_command, recovery_end_command: the promotion goes on without them."""
    old = cluster.wait_all_stream()
    # A standby that starts waits for it as well, and lets nobody in meanwhile.
    trigger = cluster.base / "hang"
    hang = f"test -e {trigger} && sleep 300; false"
    standbys = cluster.others(old)
    if file == "fawkes_ha.conf":
        give(standbys, **dict.fromkeys(COMMANDS, hang))
    else:
        give_by_auto_file(standbys, dict.fromkeys(COMMANDS, hang))
        cluster.wait_all_stream()
    trigger.touch()
    row = next(rows)
    insert(cluster, old, row)
    marks = {node: node.log.stat().st_size for node in standbys}
    old.kill()
    leader = cluster.wait_for_leader(besides=old)
    said = log_since(leader, marks[leader])
    assert "the promotion has waited for restore_command" in said
    assert "the promotion has waited for recovery_end_command" in said
    assert "the readers here are cancelled" not in said and "lets the lease lapse" not in said
    assert has(cluster, leader, row)
    for node in cluster.nodes:
        node.write_settings()
    for node in standbys:
        # What was moved there stays over a restart, and is the node's own to change.
        if file == "postgresql.auto.conf":
            assert all(name in (node.state / "commands.conf").read_text() for name in COMMANDS)
            (node.state / "commands.conf").write_text("")
        process.send([node.supervisor_pid], signal.SIGHUP)
    trigger.unlink()
    old.start()

    def is_whole() -> bool:
        # A standby that follows waits for its command for as long as that takes.
        hanging = [pid for node in standbys for pid in node.pids() if process.title(pid).startswith("sleep 300")]
        process.send(hanging, signal.SIGTERM)
        leader = cluster.find_leader()
        return leader is not None and all(cluster.streams(node, leader) for node in cluster.others(leader))

    until("one node leads and the others stream", is_whole)


def test_a_standby_that_nobody_can_read_may_lead(cluster: Cluster) -> None:
    """It waits for a transaction with many subtransactions, which a dead primary never ends."""
    old = cluster.wait_all_stream()
    standbys = cluster.others(old)
    row = next(rows)
    insert(cluster, old, row)
    statements = [f"SAVEPOINT s{i}; INSERT INTO filler VALUES ({i}, '')" for i in range(200)]
    with Session(cluster.dsn([old]), 20) as session:
        session.query("BEGIN")
        for statement in statements:
            session.query(statement, timeout=20)
        with old.session() as admin:
            admin.query("CHECKPOINT", timeout=60)
        at = old.value("SELECT pg_current_wal_lsn()::text")
        for node in standbys:
            replayed = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
            until(f"{node.name} has replayed it", lambda node=node: node.value(replayed, (at,)))
            with node.session() as admin:
                admin.query("CHECKPOINT", timeout=60)  # recovery begins with the snapshot that overflowed
            node.stop()
            node.start()
        streams = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND flush_lsn = pg_current_wal_lsn()"
        until("both have all WAL", lambda: old.value(streams) == len(standbys))
        for node in standbys:
            with pytest.raises(Exception, match="not yet accepting connections|starting up"):
                node.value("SELECT 1")
        old.kill()
    leader = cluster.wait_for_leader(besides=old)
    assert has(cluster, leader, row)
    old.start()
    cluster.wait_all_stream()
