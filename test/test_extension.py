"""The extension, and the role that metrics are read as, are there without anybody making them."""

import secrets
import shutil
import tempfile
from pathlib import Path

import psycopg2
import pytest

from conftest import is_leading
from lab import programs
from lab.cluster import Cluster
from lab.node import Node, free_ports
from lab.wait import until

VERSION = "SELECT extversion FROM pg_extension WHERE extname = 'fawkes_ha'"
ROLE = """
SELECT rolcanlogin AND NOT rolsuper AND NOT rolreplication AND rolpassword IS NULL
   AND pg_has_role(oid, 'pg_monitor', 'USAGE')
FROM pg_authid WHERE rolname = 'fawkes_exporter'"""


@pytest.fixture(scope="module")
def alone():
    """A cluster of one member, which makes a database with an owner."""
    base = Path(tempfile.mkdtemp(prefix="fh-", dir="/tmp"))
    (base / "lock").mkdir(mode=0o700)
    settings = {
        "fawkes_ha.cluster_name": "extended",
        "fawkes_ha.lock": f"dir:{base}/lock",
        "fawkes_ha.bootstrap": "initdb",
        "fawkes_ha.database": "app",
        "fawkes_ha.credentials_directory": f"{base}/credentials",
    }
    (base / "credentials").mkdir()
    (base / "credentials" / "username").write_text("app")
    (base / "credentials" / "password").write_text(secrets.token_hex(16))
    node = Node("n1", base, base, free_ports(1, 5951)[0], settings)
    try:
        node.prepare(secrets.token_hex(16))
        node.start()
        until("the founder leads", lambda: is_leading(node), 120)
        yield node
    finally:
        node.stop()
        node.kill()
        shutil.rmtree(base, ignore_errors=True)


def in_database(node: Node, database: str, sql: str):
    with psycopg2.connect(f"{node.socket_dsn} dbname={database}") as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        row = cursor.fetchone() if cursor.description else None
    connection.close()
    return row[0] if row else None


def visited(node: Node) -> None:
    """A maintenance worker comes when the server has started."""
    node.stop()
    node.start()
    until("it leads again", lambda: is_leading(node), 120)


def test_everywhere(cluster: Cluster) -> None:
    """On each member and after a failover: the extension, in the version that is shipped, and the role."""
    leader = cluster.wait_all_stream()
    for node in cluster.nodes:
        node.wait_for_extension()
        assert node.value(VERSION) == programs.version()
        assert until("the role", lambda: node.value(ROLE), 60)
        assert node.value("SELECT cluster FROM fawkes_ha.status()") == "db-demo-dev"
    assert leader.value("SELECT count(*) FROM fawkes_ha.members") == len(cluster.nodes)


def test_several_databases_show_one_cluster(cluster: Cluster) -> None:
    leader = cluster.wait_all_stream()
    with leader.session() as session:
        session.query("CREATE DATABASE other", timeout=60)
    in_database(leader, "other", "CREATE EXTENSION fawkes_ha")
    shown = "SELECT string_agg(member || ' ' || role, ',' ORDER BY member) FROM fawkes_ha.members"
    assert in_database(leader, "other", shown) == leader.value(shown) is not None
    standby = cluster.others(leader)[0]
    until("the standby has it", lambda: standby.value("SELECT count(*) FROM pg_database WHERE datname = 'other'"), 60)
    until("it shows the same", lambda: in_database(standby, "other", shown) == leader.value(shown), 60)


def test_nobody_logs_in_as_the_exporter(cluster: Cluster) -> None:
    """Not even with a password, which the next primary takes away again."""
    leader = cluster.wait_all_stream()
    until("the role", lambda: leader.value(ROLE), 60)
    password = secrets.token_hex(16)
    with leader.session() as session:
        session.query(f"ALTER ROLE fawkes_exporter SUPERUSER PASSWORD '{password}'")
    dsn = f"host=127.0.0.1 port={leader.port} user=fawkes_exporter password={password} dbname=postgres"
    with pytest.raises(psycopg2.OperationalError, match="is for background workers alone"):
        psycopg2.connect(dsn)
    target = cluster.others(leader)[0]
    until("the target has the password", lambda: target.value(ROLE) is False, 60)
    assert leader.command("switchover", "--to", target.name).returncode == 0
    until("the role is as it was", lambda: target.value(ROLE), 60)


def test_an_older_version_is_updated(alone: Node) -> None:
    alone.wait_for_extension()
    with alone.session() as session:
        session.query("DROP EXTENSION fawkes_ha")
        session.query("CREATE EXTENSION fawkes_ha VERSION '1.0'")
    visited(alone)
    until("it is updated", lambda: alone.value(VERSION) == programs.version(), 60)


@pytest.mark.parametrize("trap", ["AUTHORIZATION stranger", "CREATE TABLE format ()"])
def test_a_strangers_schema_is_not_trusted(alone: Node, trap: str) -> None:
    """What lies in it would be found in place of PostgreSQL's functions, and run as a superuser."""
    alone.wait_for_extension()
    with alone.session() as session:
        session.query("CREATE ROLE stranger; DROP EXTENSION fawkes_ha; DROP SCHEMA fawkes_ha")
        session.query(f"CREATE SCHEMA fawkes_ha {trap}")
    since = alone.log.stat().st_size
    visited(alone)
    alone.wait_for_log('schema "fawkes_ha" is there, and not an empty one', 60, since)
    assert alone.value("SELECT count(*) FROM pg_extension WHERE extname = 'fawkes_ha'") == 0
    with alone.session() as session:
        session.query("DROP SCHEMA fawkes_ha CASCADE; DROP ROLE stranger; CREATE SCHEMA fawkes_ha")
    visited(alone)
    alone.wait_for_extension()


def test_what_fails_keeps_nothing_else_from_being_done(alone: Node) -> None:
    """An extension that cannot be made in one database is made in the other; the server leads all the while."""
    alone.wait_for_extension()
    until("app has it", lambda: in_database(alone, "app", VERSION) == programs.version(), 60)
    in_database(alone, "app", "DROP EXTENSION fawkes_ha")
    with alone.session() as session:
        session.query("DROP EXTENSION fawkes_ha")
        session.query("CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS"
                      " $$ BEGIN RAISE 'not in this database'; END $$")
        session.query("CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('CREATE EXTENSION')"
                      " EXECUTE FUNCTION refuse()")
    since = alone.log.stat().st_size
    visited(alone)
    alone.wait_for_log("not in this database", 60, since)
    until("app has it", lambda: in_database(alone, "app", VERSION) == programs.version(), 60)
    assert alone.value("SELECT count(*) FROM pg_extension WHERE extname = 'fawkes_ha'") == 0
    with alone.session() as session:
        session.query("DROP EVENT TRIGGER refuse")


def test_a_databases_own_settings_do_not_lead_a_superuser(alone: Node) -> None:
    """Its owner may set them: the maintenance worker looks at PostgreSQL's catalogue, and may write, all the same."""
    until("app has it", lambda: in_database(alone, "app", VERSION) == programs.version(), 60)
    in_database(alone, "app", "DROP EXTENSION fawkes_ha")
    in_database(alone, "app", "CREATE SCHEMA trap; CREATE TABLE trap.sprung (); CREATE FUNCTION trap.eq(name, text)"
                " RETURNS boolean LANGUAGE sql AS 'INSERT INTO trap.sprung DEFAULT VALUES; SELECT $1 = $2::name';"
                " CREATE OPERATOR trap.= (FUNCTION = trap.eq, LEFTARG = name, RIGHTARG = text)")
    with alone.session() as session:
        session.query("ALTER DATABASE app SET search_path = trap, pg_catalog")
        session.query("ALTER DATABASE app SET default_transaction_read_only = on")
    visited(alone)
    until("app has it again", lambda: in_database(alone, "app", VERSION) == programs.version(), 60)
    assert in_database(alone, "app", "SELECT pg_catalog.count(*) FROM trap.sprung") == 0


def test_what_cannot_be_made_keeps_no_role_from_being_made(alone: Node) -> None:
    until("the role", lambda: alone.value(ROLE), 60)
    with alone.session() as session:
        session.query("DROP DATABASE IF EXISTS app WITH (FORCE)", timeout=60)
        session.query("DROP ROLE fawkes_exporter")
        session.query("ALTER DATABASE template1 RENAME TO hidden")
    since = alone.log.stat().st_size
    visited(alone)
    alone.wait_for_log('template database "template1" does not exist', 60, since)
    until("the role", lambda: alone.value(ROLE), 60)
    with alone.session() as session:
        session.query("ALTER DATABASE hidden RENAME TO template1")
