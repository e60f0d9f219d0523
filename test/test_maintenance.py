"""Workers of ours in databases that others own, and what others need of a primary: role, rights, slots."""

import re
import secrets
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Callable

import pytest

from conftest import is_leading
from lab import documents, process
from lab.cluster import Cluster
from lab.node import Node, free_ports
from lab.session import Session
from lab.wait import NotInTime, until

ROLE = "fawkes_replication"
IN_DATABASE = re.compile(r"BackgroundWorkerInitializeConnection\w*\s*\(")


def visit(node: Node) -> None:
    """A reload has the chores done at once; a later line of the log says when a role was put right."""
    process.send([node.postmaster_pid], signal.SIGHUP)


def has_role(node: Node, role: str = ROLE) -> bool:
    return node.value("SELECT count(*) FROM pg_roles WHERE rolname = %s", (role,)) == 1


def comes(condition: Callable[[], bool]) -> bool:
    try:
        return until("it comes", condition, 60)
    except NotInTime:
        return False


def session_in(node: Node, database: str, **login: str) -> Session:
    words = " ".join(f"{name}={value}" for name, value in login.items())
    return Session(f"{node.socket_dsn} dbname={database} {words}", 5)


@pytest.fixture(scope="module")
def alone(request: pytest.FixtureRequest):
    """A cluster of one member, whom a login by password reaches over TCP."""
    base = Path(tempfile.mkdtemp(prefix="fh-", dir="/tmp"))
    (base / "lock").mkdir(mode=0o700)
    settings = {
        "fawkes_ha.cluster_name": "served",
        "fawkes_ha.lock": f"dir:{base}/lock",
        "fawkes_ha.bootstrap": "initdb",
        # In force before there is any standby: nothing of ours may wait for one.
        "synchronous_standby_names": "*",
    }
    node = Node("n1", base, base, free_ports(1, 5971)[0], settings)
    node.password = secrets.token_hex(16)
    try:
        node.prepare(node.password)
        node.start()
        until("it is up", lambda: node.value("SELECT NOT pg_is_in_recovery()"), 120)
        node.served = comes(lambda: has_role(node) and has_role(node, "fawkes_exporter"))
        node.founded_under = node.value("SHOW synchronous_standby_names")
        node.write_settings(synchronous_standby_names="")
        visit(node)
        until("it writes", lambda: is_leading(node), 30)
        yield node
    finally:
        if request.session.testsfailed:
            print("".join(node.log.read_text(errors="replace").splitlines(keepends=True)[-60:]), file=sys.stderr)
        node.stop()
        node.kill()
        shutil.rmtree(base, ignore_errors=True)


def test_one_door() -> None:
    """Each worker comes into its database by session_open(), which states what others may have set."""
    files = [*documents.TREE.glob("src/pg/*.c"), documents.TREE / "fawkes_ha.c"]
    assert [file.name for file in files if IN_DATABASE.search(file.read_text())] == ["session.c"]
    workers = re.compile(r"BGWORKER_BACKEND_DATABASE_CONNECTION")
    opens = {file.name for file in files if "session_open(" in file.read_text()}
    assert opens >= {"maintenance.c", "chores.c", "maintenance_extension.c", "collector.c"}
    known = {"maintenance.c", "maintenance_extension.c", "exporter.c"}  # its main is among `opens`
    assert {file.name for file in files if workers.search(file.read_text())} == known


def test_a_new_cluster_that_wants_a_synchronous_standby(alone: Node) -> None:
    """Its first standby needs the role before it can confirm anything."""
    assert alone.founded_under == "*"
    assert alone.served


TRAP = """
CREATE FUNCTION {schema}.evil({left}, {right}) RETURNS {result} LANGUAGE plpgsql AS $$ BEGIN
  BEGIN EXECUTE 'ALTER ROLE stranger SUPERUSER'; EXCEPTION WHEN OTHERS THEN NULL; END;
  RETURN {answer}; END $$;
CREATE OPERATOR {schema}.{name} (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = {schema}.evil);
"""


# PostgreSQL's own take other types, so that one of these fits better wherever it is found.
BETTER = """
CREATE FUNCTION {schema}.has_database_privilege(text, name, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
  BEGIN EXECUTE 'ALTER ROLE stranger SUPERUSER'; EXCEPTION WHEN OTHERS THEN NULL; END;
  RETURN true; END $$;
"""


def test_a_strangers_operators_are_not_run(alone: Node) -> None:
    """Neither from public, nor from the schema that the path calls "$user", whoever set the path."""
    with alone.session() as session:
        session.query("CREATE ROLE stranger LOGIN; GRANT CREATE ON SCHEMA public TO stranger")
        session.query("GRANT CREATE ON DATABASE postgres TO stranger")
    with alone.session() as session:
        session.query("SET SESSION AUTHORIZATION stranger")
        session.query("CREATE SCHEMA postgres")
        for schema in ("public", "postgres"):
            session.query(BETTER.format(schema=schema))
            for left, right, name, result, answer in (
                ("jsonb", "text", "#>", "jsonb", "'{}'"),
                ("name", "text", "=", "boolean", "true"),
                ("timestamptz", "text", "=", "boolean", "true"),
            ):
                session.query(
                    TRAP.format(schema=schema, left=left, right=right, name=name, result=result, answer=answer)
                )
    with alone.session() as session:
        session.query('ALTER DATABASE postgres SET search_path = public, postgres, pg_catalog')
        session.query("ALTER DATABASE postgres SET default_transaction_read_only = on")
        session.query("ALTER DATABASE postgres SET default_transaction_isolation = serializable")
        session.query("ALTER DATABASE postgres SET default_transaction_deferrable = on")
        session.query("ALTER DATABASE postgres SET lock_timeout = 1")
        session.query("ALTER DATABASE postgres SET debug_print_parse = on")
        session.query("ALTER ROLE ALL SET synchronous_commit = remote_apply")
        session.query("ALTER ROLE postgres SET role = stranger")
    with session_in(alone, "template1", options="'-c role=none'") as session:
        session.query(f"ALTER ROLE {ROLE} CONNECTION LIMIT 3")
        since = alone.log.stat().st_size
    visit(alone)
    alone.wait_for_log(f'role "{ROLE}" is ready', 60, since)
    with session_in(alone, "template1", options="'-c role=none'") as session:
        until("a whole visit", lambda: session.value("SELECT count(*) FROM pg_stat_activity"
                                                     " WHERE backend_type = 'fawkes_ha chores'") == 0, 60)
        assert session.value("SELECT rolsuper FROM pg_roles WHERE rolname = 'stranger'") is False
        assert "parse tree:" not in alone.log.read_bytes()[since:].decode()
        session.query("ALTER ROLE postgres RESET ALL; ALTER ROLE ALL RESET ALL; ALTER DATABASE postgres RESET ALL")
        assert session.value("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'fawkes_replication'") == -1
    with alone.session() as session:
        session.query("DROP OWNED BY stranger CASCADE; DROP ROLE stranger")


def is_right(node: Node, condition: str) -> bool:
    return bool(node.value(f"SELECT {condition} FROM pg_authid WHERE rolname = '{ROLE}'"))


@pytest.mark.parametrize(
    "harm, mended",
    [
        (f"ALTER ROLE {ROLE} VALID UNTIL '2020-01-01'", "rolvaliduntil = 'infinity'"),
        (f"ALTER ROLE {ROLE} NOREPLICATION", "rolreplication"),
        (f"ALTER ROLE {ROLE} NOLOGIN", "rolcanlogin"),
        (f"ALTER ROLE {ROLE} SUPERUSER BYPASSRLS", "NOT rolsuper AND NOT rolbypassrls"),
        (f"SET password_encryption = md5; ALTER ROLE {ROLE} PASSWORD 'x'", "rolpassword LIKE 'SCRAM%'"),
        (f"ALTER ROLE {ROLE} RENAME TO before", "true"),
        (
            f"ALTER ROLE {ROLE} SET statement_timeout = 1;"
            f" ALTER ROLE {ROLE} IN DATABASE postgres SET role = pg_monitor",
            "NOT EXISTS (SELECT FROM pg_db_role_setting WHERE setrole = pg_authid.oid)",
        ),
        (
            f"CREATE ROLE friend; GRANT {ROLE} TO friend; GRANT pg_monitor TO {ROLE}",
            "NOT pg_has_role('friend', oid, 'MEMBER') AND NOT pg_has_role(oid, 'pg_monitor', 'MEMBER')",
        ),
        ("REVOKE ALL ON DATABASE postgres FROM PUBLIC", "has_database_privilege(oid, 'postgres', 'CONNECT')"),
        (
            f"REVOKE EXECUTE ON FUNCTION pg_read_binary_file(text, bigint, bigint, boolean) FROM {ROLE}",
            "has_function_privilege(oid, 'pg_read_binary_file(text, bigint, bigint, boolean)', 'EXECUTE')",
        ),
    ],
    ids="expired replication login superuser password renamed settings membership connect functions".split(),
)
def test_the_replication_role_is_put_right(alone: Node, harm: str, mended: str) -> None:
    until("the role", lambda: has_role(alone), 60)
    with alone.session() as session:
        for statement in harm.split("; "):
            session.query(statement)
    visit(alone)
    until("it is put right", lambda: is_right(alone, mended), 60)


def test_chores_find_another_database(alone: Node) -> None:
    """postgres is gone, then lets nobody in: the role is kept all the same."""
    with session_in(alone, "template1") as session:
        session.query("DROP DATABASE postgres WITH (FORCE)", timeout=60)
        session.query(f"ALTER ROLE {ROLE} NOREPLICATION")
        right = (
            "SELECT rolreplication AND has_function_privilege(oid, 'pg_read_binary_file(text)', 'EXECUTE')"
            f" FROM pg_authid WHERE rolname = '{ROLE}'"
        )
        visit(alone)
        until("it is put right", lambda: session.value(right), 60)
        assert session.value("SELECT count(*) FROM pg_extension WHERE extname = 'fawkes_ha'") == 0
        session.query("CREATE DATABASE postgres WITH TEMPLATE template0 ALLOW_CONNECTIONS false", timeout=60)
        session.query(f"ALTER ROLE {ROLE} NOREPLICATION")
        visit(alone)
        until("it is put right", lambda: session.value(right), 60)
        session.query("ALTER DATABASE postgres ALLOW_CONNECTIONS true")
    visit(alone)
    alone.wait_for_extension()


def test_chores_wait_for_nobody_for_long(alone: Node) -> None:
    """A lock that another holds is told in the log, and the next visit succeeds."""
    with alone.session() as session:
        since = alone.log.stat().st_size
        session.query("BEGIN")
        session.query("LOCK pg_auth_members IN ACCESS EXCLUSIVE MODE")
        visit(alone)
        alone.wait_for_log("lock timeout", 60, since)
        session.query("ROLLBACK")
        session.query(f"ALTER ROLE {ROLE} NOREPLICATION")
    visit(alone)
    until("it is put right", lambda: is_right(alone, "rolreplication"), 60)


def test_parallel_queries_keep_no_standby_out(cluster: Cluster) -> None:
    """One user has all workers of a standby, which then leads: slots and chores have a place of their own."""
    leader = cluster.wait_all_stream()
    target = cluster.others(leader)[0]
    greedy = [cluster_session(cluster, target) for _ in range(2)]
    with cluster_session(cluster, leader) as session:
        session.query("CREATE TABLE big WITH (parallel_workers = 40) AS SELECT generate_series(1, 20000) AS n")
    until("the table is there", lambda: has_table(cluster, target), 30)
    for session in greedy:
        session.query("SET max_parallel_workers_per_gather = 40; SET max_parallel_workers = 64;"
                      " SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0")
        session.send("SELECT count(pg_sleep(1)) FROM big")
    workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'parallel worker'"
    places = int(target.value("SHOW max_worker_processes")) - 3  # ours, and PostgreSQL's launcher
    until("the workers are taken", lambda: target.value(workers) == places, 30)
    since = target.log.stat().st_size
    assert leader.command("switchover", "--to", target.name).returncode == 0
    try:
        target.wait_for_log("no background worker is free: the maintenance worker does the chores itself", 60, since)
        until("all stream from it", lambda: cluster.wait_all_stream(90) is target, 90)
    finally:
        for session in greedy:
            session.close()
        with target.session() as session:
            session.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ 'pg_sleep'"
                          " AND pid <> pg_backend_pid()")


def cluster_session(cluster: Cluster, node: Node) -> Session:
    return Session(cluster.dsn([node], writable=False), 10)


def has_table(cluster: Cluster, node: Node) -> bool:
    with cluster_session(cluster, node) as session:
        return session.value("SELECT count(*) FROM pg_class WHERE relname = 'big'") == 1


def test_slots_want_no_database(cluster: Cluster) -> None:
    """One that a person dropped is made anew; on standbys there is none, also after a failover without postgres."""
    leader = cluster.wait_all_stream()
    count = "SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE 'fawkes_ha_%' AND active"
    with session_in(leader, "template1") as session:
        victim = cluster.others(leader)[0]
        slot = f"fawkes_ha_{victim.name}"
        victim.freeze()
        try:
            end = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = %s"
            session.query(end, (slot,))
            until("it is let go", lambda: session.value(
                "SELECT count(*) FROM pg_replication_slots WHERE slot_name = %s AND NOT active", (slot,)), 30)
            session.query("SELECT pg_drop_replication_slot(%s)", (slot,))
        finally:
            victim.thaw()
        until("both stream", lambda: session.value(count) == 2, 60)
    for standby in cluster.others(leader):
        until("none there", lambda: standby.value("SELECT count(*) FROM pg_replication_slots") == 0, 60)


@pytest.fixture(scope="module")
def pair():
    """Two members that can decode, one of which streams."""
    base = Path(tempfile.mkdtemp(prefix="fh-", dir="/tmp"))
    settings = {"wal_level": "logical", "max_replication_slots": "3", "wal_retrieve_retry_interval": "200ms"}
    cluster = Cluster(base / "c", names=("n1", "n2"), first_port=5981, settings=settings)
    try:
        cluster.create()
        cluster.start()
        yield cluster
    finally:
        cluster.destroy()
        shutil.rmtree(base, ignore_errors=True)


def slots(node: Node) -> list[str]:
    return [name for (name,) in node.session().query("SELECT slot_name FROM pg_replication_slots ORDER BY 1")]


def test_a_logical_slot_does_not_outlive_the_role(pair: Cluster) -> None:
    """Nothing protects what it needs on a standby of 15: read again by a later primary, it ended the server."""
    leader = pair.wait_all_stream()
    standby = pair.others(leader)[0]
    with leader.session() as session:
        session.query("SELECT pg_create_logical_replication_slot('cdc', 'pgoutput')", timeout=30)
        session.query("SELECT pg_create_physical_replication_slot('receiver', true)")
    since = leader.log.stat().st_size
    assert leader.command("switchover", "--to", standby.name).returncode == 0
    pair.wait_all_stream()
    leader.wait_for_log('logical replication slot "cdc" is removed', 60, since)
    leader.wait_for_log('replication slot "receiver" stays', 60, since)
    until("what is left", lambda: slots(leader) == ["receiver"], 60)
    until("history tells it", lambda: re.search("slots removed.*former primary: cdc", leader.command("history").stdout, re.S))
    until("once", lambda: not (leader.state / "removed-slots").exists())
    # A standby that starts again says nothing more, and what follows it may go on.
    leader.stop()
    since = leader.log.stat().st_size
    leader.start()
    pair.wait_all_stream()
    assert slots(leader) == ["receiver"]
    assert "stays" not in leader.log.read_bytes()[since:].decode()
    leader.value("SELECT pg_drop_replication_slot('receiver')")


def status(node: Node) -> str:
    """Without the breaks of its lines."""
    return " ".join(node.command("status").stdout.split())


def test_a_primary_without_room_for_a_slot_says_so(pair: Cluster) -> None:
    """In its log, and in every member's status; once there is room, the member streams by itself."""
    old = pair.wait_all_stream()
    leader = pair.others(old)[0]
    with leader.session() as session:
        for name in ("a", "b", "c"):
            session.query(f"SELECT pg_create_physical_replication_slot('{name}')")
    since = leader.log.stat().st_size
    assert old.command("switchover", "--to", leader.name).returncode == 0
    leader.wait_for_log(f'slot "fawkes_ha_{old.name}" cannot be seen to: all replication slots are in use', 60, since)
    said = f'cannot be followed by all members: there is no slot "fawkes_ha_{old.name}": all replication slots'
    until("status says so", lambda: said in status(old), 30)
    with leader.session() as session:
        for name in ("a", "b", "c"):
            session.query(f"SELECT pg_drop_replication_slot('{name}')")
    pair.wait_all_stream()
    until("and no more", lambda: said not in status(old), 30)


def leave_history(pair: Cluster, old: Node) -> Node:
    """`old` has WAL that its successor lacks, and is down."""
    standby = pair.others(old)[0]
    standby.stop()
    old.value("SELECT pg_switch_wal() FROM pg_create_restore_point('past the fork')")
    old.kill()
    standby.start()
    return pair.wait_for_leader(besides=old)


def test_a_rewind_finds_its_way(pair: Cluster) -> None:
    """Neither PUBLIC's CONNECT, nor a database's settings, nor `postgres` itself decide whether a node comes back."""
    old = pair.wait_all_stream()
    with old.session() as session:
        session.query("CREATE TABLE IF NOT EXISTS t AS SELECT generate_series(1, 100) AS a")
        session.query("REVOKE ALL ON DATABASE postgres FROM PUBLIC")
        session.query("ALTER DATABASE template1 SET default_transaction_isolation = serializable")
        session.query("ALTER DATABASE template1 SET search_path = nowhere")
    pair.wait_all_stream()
    since = old.log.stat().st_size
    leader = leave_history(pair, old)
    connects = f"SELECT has_database_privilege('{ROLE}', 'postgres', 'CONNECT')"
    until("it has the rights", lambda: leader.value(connects), 60)
    with session_in(leader, "template1") as session:
        session.query("ALTER DATABASE postgres ALLOW_CONNECTIONS false")
        rights = "SELECT has_function_privilege('fawkes_replication', 'pg_read_binary_file(text)', 'EXECUTE')"
        visit(leader)
        until("the rights are in template1", lambda: session.value(rights), 60)
    old.start()
    with session_in(leader, "template1") as session:
        streams = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
        until("it streams", lambda: session.value(streams) == 1, 90)
        session.query("ALTER DATABASE postgres ALLOW_CONNECTIONS true")
        session.query("ALTER DATABASE template1 RESET ALL")
    assert "rewinding to" in old.log.read_bytes()[since:].decode()
    assert "cloning from" not in old.log.read_bytes()[since:].decode()


def test_who_is_refused_again_and_again_is_cloned(pair: Cluster) -> None:
    """The leader refuses the rewind's session again and again: the member is cloned, which wants no such session."""
    old = pair.wait_all_stream()
    since = old.log.stat().st_size
    leader = leave_history(pair, old)
    assert has_role(leader)
    with leader.session() as session:
        session.query("ALTER DATABASE postgres CONNECTION LIMIT 0")
        session.query("ALTER DATABASE template1 CONNECTION LIMIT 0")
    (old.state / "rewind-refused").write_text("6\n")  # as after a minute and a half
    old.start()
    until("it streams", lambda: pair.streams(old, leader), 90)
    told = old.log.read_bytes()[since:].decode()
    assert "has refused a rewind again and again" in told and "cloned in" in told
    assert not (old.state / "rewind-refused").exists()
    with leader.session() as session:
        session.query("ALTER DATABASE postgres CONNECTION LIMIT -1")
        session.query("ALTER DATABASE template1 CONNECTION LIMIT -1")
