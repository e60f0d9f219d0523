"""Roles that may read from standbys, and nothing else.

src/test/readonly/checks.sql asks for everything that such a role can and cannot do, once of a standby and once of a
primary that is alone: there PostgreSQL itself would let it write.
"""

import base64
import contextlib
import hashlib
import hmac
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg2
import pytest

from lab import programs
from lab.cluster import APPLICATION, CLUSTER_NAME, Cluster
from lab.node import Node
from lab.session import Error, Session
from lab.wait import until

SQL = Path(__file__).parents[1] / "src" / "test" / "readonly"
READER = "reporting"
PASSWORD = "r-" + secrets.token_hex(12)
SETUP = "SELECT fawkes_ha.setup_readonly_role(%s, %s, %s)"


def verifier(password: str) -> str:
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 4096)
    keys = [hmac.new(salted, word, "sha256").digest() for word in (b"Client Key", b"Server Key")]
    stored = hashlib.sha256(keys[0]).digest()
    told = [base64.b64encode(part).decode() for part in (salt, stored, keys[1])]
    return f"SCRAM-SHA-256$4096:{told[0]}${told[1]}:{told[2]}"


class Readers:
    """Two nodes, the application's database with what world.sql makes, and a reader of it."""

    def __init__(self, base: Path) -> None:
        settings = {"fawkes_ha.max_replica_lag": "2s", "log_line_prefix": "%m [%p] %e "}
        self.cluster = Cluster(base / "c", ("n1", "n2"), 5801, settings)

    def start(self) -> None:
        self.cluster.create()
        leader = self.cluster.start()
        with self.admin(leader) as admin:
            # Mutants are not installed.
            admin.query(programs.extension_script() if programs.TREE else "CREATE EXTENSION fawkes_ha", timeout=60)
            assert "no password" in admin.value(SETUP, (READER, None, None), timeout=30)
            said = admin.value(SETUP, (READER, [APPLICATION], verifier(PASSWORD)), timeout=30)
            assert said == f'role "{READER}" may read {APPLICATION}'
        words = ("-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.admin_dsn(leader), "-f", SQL / "world.sql")
        subprocess.run(["psql", *map(str, words)], check=True, timeout=120, stdout=subprocess.DEVNULL)
        self.wait_replayed(leader)

    def wait_replayed(self, leader: Node) -> None:
        end = leader.value("SELECT pg_current_wal_flush_lsn()::text")
        for node in self.cluster.others(leader):
            until(
                f"{node.name} shows it",
                lambda: node.value("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (end,)),  # noqa: B023
                60,
            )

    def admin_dsn(self, node: Node) -> str:
        return node.socket_dsn.replace("dbname=postgres", f"dbname={APPLICATION}")

    def admin(self, node: Node) -> Session:
        return Session(self.admin_dsn(node), 10)

    def dsn(self, *nodes: Node, database: str = APPLICATION, more: str = "") -> str:
        hosts = ",".join("127.0.0.1" for _ in nodes)
        ports = ",".join(str(node.port) for node in nodes)
        return (
            f"host={hosts} port={ports} user={READER} dbname={database} password={PASSWORD} connect_timeout=5"
            f" sslmode=disable {more}"
        )

    def pair(self) -> tuple[Node, Node]:
        leader = self.cluster.wait_all_stream()
        return leader, self.cluster.others(leader)[0]

    def serve_when_alone(self, value: str) -> None:
        for node in self.cluster.nodes:
            node.write_settings(**{"fawkes_ha.readonly_when_alone": value})
        for node in self.cluster.nodes:
            if pid := node.supervisor_pid:
                os.kill(pid, signal.SIGHUP)
        for node in self.cluster.nodes:
            if node.supervisor_pid:
                until("it is set", lambda: node.value("SHOW fawkes_ha.readonly_when_alone") == value, 60)  # noqa: B023

    def logs_in(self, *nodes: Node, **more: str) -> bool:
        try:
            with Session(self.dsn(*nodes, **more)) as session:
                return session.value("SELECT 1") == 1
        except Error:
            return False


@pytest.fixture(scope="module")
def readers(request: pytest.FixtureRequest):
    base = Path(tempfile.mkdtemp(prefix="fh-", dir=os.environ.get("FAWKES_TEST_DIR", "/tmp")))
    readers = Readers(base)
    failed_before = request.session.testsfailed
    try:
        readers.start()
        yield readers
    finally:
        if request.session.testsfailed > failed_before or sys.exc_info()[0]:
            print(readers.cluster.log_tails(80), file=sys.stderr)
        readers.cluster.destroy()
        shutil.rmtree(base, ignore_errors=True)


def prove(readers: Readers, leader: Node, serving: Node) -> None:
    """pgTAP as superuser on the primary; the reader's part is psql's, against `serving`."""
    done = subprocess.run(
        ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-v", f"reader={readers.dsn(serving)}"]
        + ["-d", readers.admin_dsn(leader), "-f", str(SQL / "checks.sql")],
        capture_output=True,
        text=True,
        timeout=300,
    )
    lines = done.stdout.splitlines()
    passed = [line for line in lines if line.startswith("ok ")]
    failed = "\n".join(line for line in lines if not line.startswith("ok "))
    assert done.returncode == 0 and "not ok" not in failed, failed + done.stderr
    assert len(passed) > 110 and f"1..{len(passed)}" in lines, failed


# --- where it may


def test_it_reads_and_does_nothing_else_on_a_standby(readers: Readers) -> None:
    prove(readers, *readers.pair())


def test_it_is_refused_on_the_primary(readers: Readers) -> None:
    """57P03 and the hint; a connection string with both hosts lands on the standby."""
    leader, standby = readers.pair()
    since = leader.log.stat().st_size
    with pytest.raises(Error, match=rf"(?s)may only read, and this server is the primary.*{CLUSTER_NAME}-ro"):
        Session(readers.dsn(leader))
    assert "57P03" in leader.wait_for_log("may only read, and this server is the primary", 10, since)
    with Session(readers.dsn(leader, standby)) as session:
        assert session.value("SELECT inet_server_port()") == standby.port
        with pytest.raises(Error) as refusal:
            session.query("INSERT INTO everybodys VALUES (1)")
        assert refusal.value.pgcode == "25006"
    with Session(readers.dsn(leader, standby, more="target_session_attrs=read-only")) as session:
        assert session.value("SELECT inet_server_port()") == standby.port


def test_other_databases_are_closed(readers: Readers) -> None:
    """Everybody may connect there, and pg_read_all_data would read everything."""
    leader, standby = readers.pair()
    assert leader.value("SELECT has_database_privilege(%s, 'postgres', 'CONNECT')", (READER,))
    with pytest.raises(Error, match="(?s)permission denied for database.*GRANT CONNECT"):
        Session(readers.dsn(standby, database="postgres"))


def test_it_replicates_nothing(readers: Readers) -> None:
    leader, standby = readers.pair()
    leader.value(f"ALTER ROLE {READER} REPLICATION; SELECT 1")
    readers.wait_replayed(leader)
    with pytest.raises(Error, match="may only read, and replicate nothing"):
        Session(readers.dsn(standby, more="replication=database"))
    leader.value(f"ALTER ROLE {READER} NOREPLICATION; SELECT 1")


def test_it_dumps_a_database(readers: Readers) -> None:
    """What a reporting tool may do at most: read everything, in one transaction."""
    _, standby = readers.pair()
    tables_alone = "--no-blobs" if programs.major() == 15 else "--no-large-objects"
    dump = programs.must_run("pg_dump", tables_alone, "-d", readers.dsn(standby))
    assert "CREATE TABLE later.things" in dump and "\ntwo\n" not in dump and "\ttwo\n" in dump


SYSTEM_RELATIONS = """
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE nspname IN ('pg_catalog', 'information_schema', 'pg_toast') AND relkind IN ('r', 'v', 't') ORDER BY 1"""


def test_nothing_of_postgresql_shows_it_secrets(readers: Readers) -> None:
    """Every catalogue and every view, as a whole: verifiers, passwords and large objects are in none that it may read."""
    _, standby = readers.pair()
    secret = re.compile(rf"secret(AA|[0-9])|{b'secret'.hex()}3[0-9]")
    shown, refused = set(), set()
    with Session(readers.dsn(standby)) as session:
        relations = [row[0] for row in session.query(SYSTEM_RELATIONS)]
        for relation in relations:
            try:
                rows = session.query(f"SELECT * FROM {relation}", timeout=60)
            except Error as error:
                assert error.pgcode == "42501", f"{relation}: {error}"
                refused.add(relation)
                continue
            values = [bytes(value).hex() if isinstance(value, memoryview) else str(value) for row in rows for value in row]
            if any(secret.search(value) for value in values):
                shown.add(relation)
    assert shown == set()
    assert {"pg_authid", "pg_statistic", "pg_stats", "pg_stats_ext", "pg_largeobject", "pg_user_mapping"} <= refused
    assert len(relations) > 150


def test_the_planner_tells_it_nothing(readers: Readers) -> None:
    """It hands what ANALYZE found to an operator's function, before the executor asks who may read the table."""
    leader, standby = readers.pair()
    direct = "EXPLAIN SELECT rolname FROM pg_authid WHERE rolpassword OPERATOR(later.===) 'x'"
    with readers.admin(leader) as admin:
        admin.query(direct)
        assert any("secret" in notice for notice in admin.notices)
    for statement in (direct, "EXPLAIN SELECT * FROM later.holders()", "SELECT * FROM later.holders()"):
        with Session(readers.dsn(standby)) as session:
            with pytest.raises(Error) as refusal:
                session.query(statement)
            assert refusal.value.pgcode == "42501" and session.notices == [], statement


# --- on a primary


@pytest.fixture
def alone(readers: Readers):
    """A primary whose standby is stopped, and that serves reads then; after the test, both run again."""
    leader, standby = readers.pair()
    readers.serve_when_alone("on")
    until("it does not let readers in", lambda: not readers.logs_in(leader), 60)
    standby.stop()
    until("the primary lets readers in", lambda: readers.logs_in(leader), 60)
    yield leader, standby
    if standby.supervisor_pid is None:
        standby.start()
    readers.cluster.wait_all_stream()
    readers.serve_when_alone("off")


def test_it_reads_and_does_nothing_else_on_a_primary(readers: Readers, alone: tuple[Node, Node]) -> None:
    prove(readers, alone[0], alone[0])


def test_large_objects_by_the_protocols_own_call(readers: Readers, alone: tuple[Node, Node]) -> None:
    """libpq's functions for them send no statement."""
    leader, _ = alone
    with contextlib.closing(psycopg2.connect(readers.dsn(leader))) as connection:
        with pytest.raises(Error, match="permission denied for function lo_creat"):
            connection.lobject(0, "wb")
    with contextlib.closing(psycopg2.connect(readers.admin_dsn(leader))) as connection:
        connection.lobject(0, "wb").unlink()


def test_sessions_end_when_a_standby_serves_again(readers: Readers, alone: tuple[Node, Node]) -> None:
    leader, standby = alone
    with Session(readers.dsn(leader)) as session, Session(readers.dsn(leader)) as busy:
        assert session.value("SHOW transaction_read_only") == "on"
        busy.send("SELECT pg_sleep(600)")
        standby.start()
        with pytest.raises(Error, match="terminating connection"):
            busy.receive(120)
        # Its own look before a statement may come before the signal.
        with pytest.raises(Error, match="terminating connection|this session may only read"):
            session.value("SELECT 1")
    with pytest.raises(Error, match="while one is fit"):
        Session(readers.dsn(leader))
    with Session(readers.dsn(leader, standby)) as session:
        assert session.value("SELECT inet_server_port()") == standby.port


def test_sessions_end_when_their_standby_becomes_the_primary(readers: Readers) -> None:
    leader, standby = readers.pair()
    with Session(readers.dsn(standby)) as idle, Session(readers.dsn(standby)) as busy:
        assert idle.value("SELECT pg_is_in_recovery()")
        busy.send("SELECT pg_sleep(600)")
        done = leader.command("switchover", "--to", standby.name)
        assert done.returncode == 0, done.stderr
        with pytest.raises(Error, match="terminating connection due to administrator command"):
            busy.receive(60)
        with pytest.raises(Error, match="terminating connection due to administrator command"):
            idle.value("SELECT 1")
    standby.wait_for_log("read-only sessions are ended", 10)
    assert readers.pair() == (standby, leader)
    assert not readers.logs_in(standby)
    with Session(readers.dsn(standby, leader)) as session:
        assert session.value("SELECT inet_server_port()") == leader.port


# --- the group


def test_membership_counts_at_once(readers: Readers) -> None:
    """Also in a session that there is; superusers are not meant, nor is who a superuser becomes for a while."""
    leader, _ = readers.pair()
    with Session(readers.cluster.dsn([leader], writable=False)) as session, readers.admin(leader) as admin:
        session.query("CREATE TABLE mine (i int)")
        admin.query(f"GRANT fawkes_ha_readonly TO {APPLICATION}")
        with pytest.raises(Error, match="this session may only read, and this server is the primary now"):
            session.query("INSERT INTO mine VALUES (1)")
        admin.query(f"REVOKE fawkes_ha_readonly FROM {APPLICATION}")
        admin.query("GRANT fawkes_ha_readonly TO postgres")
        admin.query("INSERT INTO mine VALUES (2)")
        admin.query(f"SET SESSION AUTHORIZATION {READER}")
        with pytest.raises(Error) as refusal:
            admin.query("CREATE TEMP TABLE t ()")
        assert refusal.value.pgcode == "42501"
        admin.query("RESET SESSION AUTHORIZATION")
        admin.query("REVOKE fawkes_ha_readonly FROM postgres")
        assert admin.query("DELETE FROM mine RETURNING i") == [(2,)]
        admin.query("DROP TABLE mine")


def test_who_is_granted_by_name_comes_in(readers: Readers) -> None:
    """A role of somebody's own in the group: it keeps its rights to read, and needs CONNECT by name."""
    leader, standby = readers.pair()
    with readers.admin(leader) as admin:
        admin.query("CREATE ROLE own LOGIN PASSWORD 'x' IN ROLE fawkes_ha_readonly")
        dsn = readers.dsn(standby).replace(READER, "own").replace(PASSWORD, "x")
        readers.wait_replayed(leader)
        with pytest.raises(Error, match="permission denied for database"):
            Session(dsn)
        admin.query(f"GRANT CONNECT ON DATABASE {APPLICATION} TO own")
        readers.wait_replayed(leader)
        with Session(dsn) as session:
            assert session.value("SELECT count(*) FROM everybodys") == 0
            with pytest.raises(Error, match="permission denied for schema later"):
                session.value("SELECT count(*) FROM later.things")
        admin.query(f"REVOKE CONNECT ON DATABASE {APPLICATION} FROM own")
        admin.query("DROP ROLE own")


# --- setup_readonly_role


def refusal_of(session: Session, *arguments: object) -> psycopg2.Error:
    with pytest.raises(Error) as refusal:
        session.query(SETUP, arguments, timeout=30)
    return refusal.value


def test_a_password_is_refused_and_not_told(readers: Readers) -> None:
    leader, _ = readers.pair()
    since = leader.log.stat().st_size
    with readers.admin(leader) as admin:
        for secret in ("plain-secret-1", "md5" + hashlib.md5(b"x").hexdigest(), "SCRAM-SHA-256$4096:plain-secret-2"):
            refusal = refusal_of(admin, "third", None, secret)
            assert refusal.pgcode == "22023" and "psql's \\password" in refusal.diag.message_hint
            assert secret not in str(refusal)
        assert admin.value("SELECT count(*) FROM pg_roles WHERE rolname = 'third'") == 0
    leader.wait_for_log("is not one of SCRAM-SHA-256", 10, since)
    assert "plain-secret" not in leader.log.read_text(errors="replace")


def test_a_standby_names_the_primary(readers: Readers) -> None:
    leader, standby = readers.pair()
    with readers.admin(standby) as admin:
        refusal = refusal_of(admin, "third", None, None)
    assert refusal.pgcode == "25006" and f"127.0.0.1:{leader.port}" in refusal.diag.message_hint


def test_bad_arguments(readers: Readers) -> None:
    leader, _ = readers.pair()
    with readers.admin(leader) as admin:
        for name in (None, "", "pg_mine", "public", "fawkes_ha_readonly", "fawkes_replication", "x" * 64):
            assert refusal_of(admin, name, None, None).pgcode == "22023"
        for name in ("postgres", APPLICATION):
            assert refusal_of(admin, name, None, None).pgcode == "42710"
        assert refusal_of(admin, READER, ["nowhere"], None).pgcode == "3D000"
        assert refusal_of(admin, READER, [], None).pgcode == "22023"
        assert refusal_of(admin, READER, [None], None).pgcode == "22023"
        admin.query("SET SESSION AUTHORIZATION unlucky")
        assert refusal_of(admin, "third", None, None).pgcode == "42501"
        admin.query("RESET SESSION AUTHORIZATION")


STATE = """
SELECT (SELECT string_agg(datname || '=' || datacl::text, ' ' ORDER BY datname) FROM pg_database),
       (SELECT array_agg(roleid::regrole::text ORDER BY 1) FROM pg_auth_members WHERE member = r.oid)::text,
       a.rolpassword, r.rolconfig::text, r.rolcanlogin
FROM pg_roles r JOIN pg_authid a USING (rolname) WHERE rolname = %s"""


def test_it_may_be_said_again(readers: Readers) -> None:
    """Nothing changes then; other databases are other databases, and the password stays."""
    leader, standby = readers.pair()
    with readers.admin(leader) as admin:
        before = admin.query(STATE, (READER,))
        end = admin.value("SELECT pg_current_wal_insert_lsn()::text")
        assert admin.value(SETUP, (READER, None, None)) == f'role "{READER}" may read {APPLICATION}'
        written = admin.value("SELECT pg_current_wal_insert_lsn() - %s::pg_lsn", (end,))
        assert written < 1000
        after = admin.query(STATE, (READER,))
        assert after == before
        admin.query(f"ALTER ROLE {READER} NOLOGIN CREATEDB")
        assert admin.value(SETUP, (READER, ["postgres"], None)) == f'role "{READER}" may read postgres'
        readers.wait_replayed(leader)
        assert readers.logs_in(standby, database="postgres") and not readers.logs_in(standby)
        admin.value(SETUP, (READER, [APPLICATION], verifier("another")))
        readers.wait_replayed(leader)
        assert not readers.logs_in(standby)
        admin.value(SETUP, (READER, None, verifier(PASSWORD)))
        readers.wait_replayed(leader)
        assert readers.logs_in(standby) and not readers.logs_in(standby, database="postgres")


GRANTED = """
SELECT (SELECT array_agg(roleid::regrole::text ORDER BY roleid::regrole::text)
        FROM pg_auth_members WHERE member = r.oid),
       (SELECT array_agg(datname || ' ' || privilege_type) FROM pg_database, aclexplode(datacl) WHERE grantee = r.oid),
       rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls OR NOT rolcanlogin
FROM pg_roles r WHERE rolname = %s"""


def test_it_is_granted_no_more_than_that(readers: Readers) -> None:
    leader, _ = readers.pair()
    with readers.admin(leader) as admin:
        admin.value(SETUP, ("third", ["postgres"], None))
        groups = ["fawkes_ha_readonly", "pg_read_all_data"]
        assert admin.query(GRANTED, ("third",)) == [(groups, ["postgres CONNECT"], False)]
        depends = "SELECT DISTINCT classid::regclass::text FROM pg_shdepend WHERE refobjid = 'third'::regrole"
        assert {row[0] for row in admin.query(depends)} <= {"pg_database", "pg_auth_members"}
        admin.query("REVOKE CONNECT ON DATABASE postgres FROM third; DROP ROLE third")
        groups_groups = "SELECT count(*) FROM pg_auth_members WHERE member = 'fawkes_ha_readonly'::regrole"
        assert admin.value(groups_groups) == 0


LIMITS = """
SELECT rolconnlimit, (SELECT array_agg(c ORDER BY c) FROM unnest(rolconfig) c WHERE c !~ '^default_') FROM pg_roles
WHERE rolname = %s"""


def test_its_use_of_a_server_has_bounds(readers: Readers) -> None:
    """One of an earlier version gets them with the primary's next maintenance; others of somebody's stay."""
    leader, _ = readers.pair()
    usual = [(20, ["idle_in_transaction_session_timeout=10min", "temp_file_limit=1GB"])]
    with readers.admin(leader) as admin:
        assert admin.query(LIMITS, (READER,)) == usual
        admin.query(f"ALTER ROLE {READER} CONNECTION LIMIT 7; ALTER ROLE {READER} SET temp_file_limit = '3GB'")
        admin.query(f"ALTER ROLE {READER} RESET idle_in_transaction_session_timeout")
        admin.query("CREATE ROLE own IN ROLE fawkes_ha_readonly")
        changed = [(7, ["idle_in_transaction_session_timeout=10min", "temp_file_limit=3GB"])]
        os.kill(leader.supervisor_pid, signal.SIGHUP)
        until("the maintenance worker was there", lambda: admin.query(LIMITS, (READER,)) == changed, 90)
        admin.value(SETUP, (READER, None, None))
        assert admin.query(LIMITS, (READER,)) == changed
        assert admin.query(LIMITS, ("own",)) == [(-1, None)]
        admin.query(f"ALTER ROLE {READER} CONNECTION LIMIT -1; ALTER ROLE {READER} RESET ALL; DROP ROLE own")
        admin.value(SETUP, (READER, None, None))
        assert admin.query(LIMITS, (READER,)) == usual


def test_options_of_a_login_fill_no_log(readers: Readers) -> None:
    _, standby = readers.pair()
    for option in ("debug_print_plan", "trace_sort"):
        with pytest.raises(Error, match=f'permission denied to set parameter "{option}"'):
            Session(readers.dsn(standby, more=f"options='-c {option}=on'"))


def test_the_group_stays(readers: Readers) -> None:
    """Without it a reader keeps pg_read_all_data, and nothing holds it to reading."""
    leader, _ = readers.pair()
    with readers.admin(leader) as admin:
        for statement in (
            "ALTER ROLE fawkes_ha_readonly RENAME TO x",
            "ALTER USER fawkes_ha_readonly RENAME TO x",
            "DROP ROLE unlucky, fawkes_ha_readonly",
            "DROP GROUP IF EXISTS fawkes_ha_readonly",
            "DO $$ BEGIN DROP ROLE fawkes_ha_readonly; END $$",
        ):
            with pytest.raises(Error, match="(?s)fawkes_ha_readonly. cannot be (dropped|renamed).*REVOKE") as refusal:
                admin.query(statement)
            assert refusal.value.pgcode == "42501"
        admin.query("ALTER TABLE everybodys RENAME TO fawkes_ha_readonly")
        admin.query("ALTER TABLE fawkes_ha_readonly RENAME TO everybodys")


def test_whoever_is_granted_it_may_do_it(readers: Readers) -> None:
    """With no other right of a superuser."""
    leader, _ = readers.pair()
    with readers.admin(leader) as admin:
        admin.query("GRANT USAGE ON SCHEMA fawkes_ha TO unlucky")
        admin.query("GRANT EXECUTE ON FUNCTION fawkes_ha.setup_readonly_role TO unlucky")
        admin.query("SET SESSION AUTHORIZATION unlucky")
        assert "third" in admin.value(SETUP, ("third", None, None))
        with pytest.raises(Error, match="permission denied"):
            admin.query("CREATE ROLE fourth")
        admin.query("RESET SESSION AUTHORIZATION")
        admin.query(f"REVOKE CONNECT ON DATABASE {APPLICATION} FROM third; DROP ROLE third")
        admin.query("REVOKE ALL ON FUNCTION fawkes_ha.setup_readonly_role FROM unlucky")
        admin.query("REVOKE ALL ON SCHEMA fawkes_ha FROM unlucky")
