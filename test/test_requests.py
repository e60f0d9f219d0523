"""The SQL surface on a member: what it shows of a snapshot, and how requests are made.

The probe of test_fence.py stands in the agent's place, so that every answer can be told.
"""

import os
import shutil
import tempfile
import threading
from pathlib import Path

import psycopg2
import pytest

from lab import programs
from lab.wait import until
from test_fence import PROBE, Server

MEMBER = {"kind": "member", "cluster": "test-fence", "supervised": True, "incarnation": "aa",
          "state": "this standby follows", "term": "3", "timeline": 2, "updated_at": ""}
CLUSTER = {
    "kind": "cluster",
    "lease_duration_ms": 3000,
    "cluster": "test-fence",
    "holder": "n1",
    "incarnation": "aa",
    "released": False,
    "term": "3",
    "timeline": 2,
    "position": {"timeline": 2, "lsn": "0/5000000"},
    "members": ["n1", "n2"],
    "paused": False,
}
SNAPSHOT = {
    "member": "n1",
    "incarnation": "aa",
    "decision": "renew",
    "because": "this member leads",
    "cluster": CLUSTER,
    "members": [
        {**MEMBER, "member": "n2", "address": "h:2", "role": "standby", "lsn": "0/4FFFF00", "following": "n1"},
        {**MEMBER, "member": "n1", "address": "h:1", "role": "primary", "lsn": "0/6000000", "following": ""},
    ],
    "lease_is_free": False,
    "history": [
        {"at": "2026-11-22T17:00:00.000Z", "event": "bootstrap", "term": "1", "timeline": 1, "member": "n2", "from": "",
         "reason": "founded"},
        {"at": "2026-11-22T17:05:00.000Z", "event": "switchover", "term": "3", "timeline": 2, "member": "n1",
         "from": "n2", "reason": "asked for", "request": "0123456789abcdef", "requested_by": "postgres",
         "result": "done: n1 took the lease"},
    ],
}


def with_request(request: dict, **more) -> dict:
    return {**SNAPSHOT, "cluster": {**CLUSTER, "request": {**request, **more}}}


@pytest.fixture(scope="module")
def server():
    base = Path(tempfile.mkdtemp(prefix="fh-", dir=os.environ.get("FAWKES_TEST_DIR", "/tmp")))
    server = None
    try:
        programs.make(PROBE, "fence_probe.so")
        server = Server(base).start()
        # Not CREATE EXTENSION, which wants it installed.
        server.sql(programs.extension_script())
        yield server
    finally:
        if server:
            server.stop()
        shutil.rmtree(base, ignore_errors=True)


def refused(server: Server, statement: str) -> psycopg2.Error:
    with pytest.raises(psycopg2.Error) as caught:
        server.sql(statement)
    return caught.value


class Requester(threading.Thread):
    """A session that waits for the answer to its request."""

    def __init__(self, server: Server, statement: str) -> None:
        super().__init__()
        server.probe.open()
        self._connection = server.connect()
        self._statement = statement
        self.answer = ""
        self.error: psycopg2.Error | None = None
        self.start()

    def run(self) -> None:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(self._statement)
                self.answer = cursor.fetchone()[0]
        except psycopg2.Error as error:
            self.error = error
        finally:
            self._connection.close()


def test_without_an_agent(server: Server) -> None:
    """A member whose agent does not run says so; the fence is told by itself."""
    assert server.sql("SELECT cluster, member, role, lease_state, fence_open FROM fawkes_ha.status()") == [
        ("test-fence", "n1", "primary", None, True)
    ]
    assert refused(server, "SELECT fawkes_ha.switchover()").pgcode == "55000"


def test_what_it_shows(server: Server) -> None:
    """Section 5: status, members with their lag, history."""
    server.probe.publish(SNAPSHOT)
    assert server.sql("SELECT role, because, term, timeline, holder, lease_state, paused FROM fawkes_ha.status()") == [
        ("primary", "this member leads", 3, 2, "n1", "ours", False)
    ]
    assert server.sql("SELECT member, role, is_leader, lag_bytes::int, following FROM fawkes_ha.members") == [
        ("n1", "primary", True, None, None),
        ("n2", "standby", False, 0x100, "n1"),
    ]
    assert server.sql('SELECT event, term, member, "from", requested_by FROM fawkes_ha.history') == [
        ("bootstrap", 1, "n2", None, None),
        ("switchover", 3, "n1", "n2", "postgres"),
    ]
    assert server.sql("SELECT result FROM fawkes_ha.history") == [(None,), ("done: n1 took the lease",)]


def test_lag_that_is_not_known(server: Server) -> None:
    """Of no stage, of a member or of all, is it none; what is known grows by itself from snapshot to snapshot."""
    shown = (
        "SELECT member, serves_reads, streaming, write_lag, flush_lag IS NULL,"
        " replay_lag >= interval '90 s' AND replay_lag < interval '1 h',"
        " write_lag_bytes, flush_lag_bytes, replay_lag_bytes FROM fawkes_ha.replication_lag"
    )
    nothing = (None, None, None, True, None, None, None, None)
    server.probe.publish(SNAPSHOT)
    assert server.sql(shown) == [("n1", *nothing), ("n2", *nothing)]
    fresh_ms = server.sql("SELECT fawkes_ha.boottime_ms() - 90000")[0][0]
    lag = {"member": "n2", "streaming": True, "write": {"bytes": 0}, "flush": {},
           "replay": {"fresh_ms": fresh_ms, "bytes": 4294967296}}
    server.probe.publish({**SNAPSHOT, "lag": [lag]})
    assert server.sql(shown) == [("n1", *nothing), ("n2", None, True, None, True, True, 0, None, 4294967296)]


@pytest.mark.parametrize(
    "cluster, state",
    [
        ({"released": True}, "released"),
        ({"holder": "n2"}, "held by another"),
        ({"incarnation": "bb"}, "held by our predecessor"),
    ],
)
def test_lease_states(server: Server, cluster: dict, state: str) -> None:
    """S1b: another incarnation of our own name is somebody else."""
    server.probe.publish({**SNAPSHOT, "cluster": {**CLUSTER, **cluster}})
    assert server.sql("SELECT lease_state FROM fawkes_ha.status()") == [(state,)]


def test_wrong_targets(server: Server) -> None:
    """A bad argument gets an SQLSTATE, a detail and a hint."""
    server.probe.publish(SNAPSHOT)
    unknown = refused(server, "SELECT fawkes_ha.switchover('n9')")
    assert unknown.pgcode == "22023"
    assert "the members are n1, n2" in str(unknown) and unknown.diag.message_hint
    leader = refused(server, "SELECT fawkes_ha.failover('n1', force => true)")
    assert leader.pgcode == "22023" and leader.diag.message_hint


def test_a_request_is_carried_out(server: Server) -> None:
    """Section 6, requests: the answer returns in the record."""
    server.probe.publish(SNAPSHOT)
    server.probe.take_requests(True)
    requester = Requester(server, "SELECT fawkes_ha.switchover('n2', 20)")
    request = server.probe.request()
    assert (request["kind"], request["target"], request["requested_by"]) == ("switchover", "n2", "postgres")
    assert len(request["id"]) == 16
    server.probe.publish(with_request(request, state="running", message=""))
    server.probe.publish(with_request(request, state="done", message="n2 leads"))
    requester.join(10)
    assert requester.answer == "n2 leads"


def test_a_request_is_found_in_the_history(server: Server) -> None:
    """Section 6: by then the record may hold a later request, or none."""
    server.probe.publish(SNAPSHOT)
    server.probe.take_requests(True)
    requester = Requester(server, "SELECT fawkes_ha.failover(NULL, 20, force => true)")
    request = server.probe.request()
    assert (request["kind"], request["target"]) == ("failover", "")
    entry = {"event": "failover", "member": "n2", "result": "done: n2 took the lease", "request": request["id"]}
    server.probe.publish({**SNAPSHOT, "history": [*SNAPSHOT["history"], entry]})
    requester.join(10)
    assert requester.answer == "n2 took the lease"


def test_a_request_is_only_tried(server: Server) -> None:
    """dry_run says what would be done, and hands nothing to the agent."""
    server.probe.publish(SNAPSHOT)
    server.probe.take_requests(False)
    for statement in (
        "switchover(dry_run => true, target => 'n2')",
        "switchover(dry_run => true)",
        "pause(dry_run => true, reason => 'maintenance')",
        "set_setting(dry_run => true, name => 'work_mem', value => '5MB')",
    ):
        assert server.sql(f"SELECT fawkes_ha.{statement}")[0][0].startswith("would do: "), statement
    assert refused(server, "SELECT fawkes_ha.switchover(dry_run => true, target => 'n9')").pgcode == "22023"
    assert "not paused" in str(refused(server, "SELECT fawkes_ha.resume(dry_run => true)"))
    assert "is not set for all" in str(refused(server, "SELECT fawkes_ha.reset_setting(true, 'work_mem')"))
    assert "withdrawn" in str(refused(server, "SELECT fawkes_ha.pause(dry_run => false, wait_seconds => 1)"))
    assert "withdrawn" in str(refused(server, "SELECT fawkes_ha.switchover('n2', 1)"))


def test_a_setting_takes_what_alter_system_takes(server: Server) -> None:
    """archive_command runs programs: EXECUTE on the function is not enough."""
    server.probe.publish(SNAPSHOT)
    server.probe.take_requests(False)
    server.sql("CREATE ROLE mon; GRANT USAGE ON SCHEMA fawkes_ha TO mon;"
               " GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA fawkes_ha TO mon;"
               " GRANT ALTER SYSTEM ON PARAMETER work_mem TO mon")
    for statement in (
        "set_setting('archive_command', 'true')",
        "set_setting('session_preload_libraries', '/tmp/evil')",
        "set_setting('fawkes_ha.lease_duration', '20s')",
        "reset_setting('archive_command')",
        "set_setting(dry_run => true, name => 'archive_command', value => 'true')",
        "reset_setting(dry_run => true, name => 'archive_command')",
    ):
        error = refused(server, f"SET SESSION AUTHORIZATION mon; SELECT fawkes_ha.{statement}")
        assert error.pgcode == "42501" and "GRANT ALTER SYSTEM ON PARAMETER" in error.diag.message_hint, statement
    tried = "SET SESSION AUTHORIZATION mon; SELECT fawkes_ha.set_setting(true, 'work_mem', '5MB')"
    assert server.sql(tried)[0][0].startswith("would do: ")


def test_paths_and_addresses_are_not_everybodys(server: Server) -> None:
    """As data_directory is not; who reads all settings, as pg_monitor, reads these."""
    server.sql("CREATE ROLE nobody; CREATE ROLE watcher IN ROLE pg_monitor")
    named = "SELECT name FROM pg_settings WHERE name LIKE 'fawkes_ha.%' AND vartype = 'string' ORDER BY name"
    how = ["archive_compression", "backup_compression", "backup_retention", "backup_schedule"]
    shown = [*how, "bootstrap", "cluster_name", "database", "member_name", "pod"]
    assert server.sql(f"SET SESSION AUTHORIZATION nobody; {named}") == [(f"fawkes_ha.{name}",) for name in shown]
    error = refused(server, "SET SESSION AUTHORIZATION nobody; SHOW fawkes_ha.state_directory")
    assert error.pgcode == "42501"
    assert len(server.sql(f"SET SESSION AUTHORIZATION watcher; {named}")) > 15


def test_a_request_fails(server: Server) -> None:
    """The leader's reason becomes the error."""
    server.probe.publish(SNAPSHOT)
    server.probe.take_requests(True)
    requester = Requester(server, "SELECT fawkes_ha.switchover('n2', 20)")
    request = server.probe.request()
    server.probe.publish(with_request(request, state="failed", message="n2 does not stream"))
    requester.join(10)
    assert requester.error is not None and requester.error.pgcode == "55000"
    assert "n2 does not stream" in str(requester.error)


def test_a_request_that_nobody_takes(server: Server) -> None:
    """S9: every wait has a deadline; what was not begun is withdrawn, so that the next request finds room."""
    server.probe.publish(SNAPSHOT)
    server.probe.take_requests(False)
    for _ in range(2):
        error = refused(server, "SELECT fawkes_ha.switchover('n2', 1)")
        assert error.pgcode == "57014" and "withdrawn" in error.diag.message_detail
    error = refused(server, "SET statement_timeout = '300ms'; SELECT fawkes_ha.switchover('n2', 20)")
    assert "statement timeout" in str(error)
    assert "withdrawn" in str(refused(server, "SELECT fawkes_ha.switchover('n2', 1)"))


def test_a_request_under_way_outlives_its_session(server: Server) -> None:
    """S9: it is said that it stands."""
    server.probe.publish(SNAPSHOT)
    server.probe.take_requests(True)
    error = refused(server, "SELECT fawkes_ha.switchover('n2', 1)")
    assert error.pgcode == "57014" and "still be carried out" in error.diag.message_detail


def test_one_request_at_a_time(server: Server) -> None:
    """The second finds the first on its way."""
    server.probe.publish(SNAPSHOT)
    server.probe.take_requests(False)
    first = Requester(server, "SELECT fawkes_ha.switchover('n2', 3)")
    waits = "SELECT wait_event FROM pg_stat_activity WHERE query LIKE '%switchover(%' AND pid <> pg_backend_pid()"
    until("the first waits", lambda: server.sql(waits) == [("Extension",)], 2)
    error = refused(server, "SELECT fawkes_ha.failover('n2', 1, force => true)")
    assert error.pgcode == "55006" and error.diag.message_hint
    first.join(10)
