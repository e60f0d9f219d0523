"""The write fence, place by place.

One server without a lock that could be reached: nobody but the test moves the fence.
src/test/fence_probe stops a backend, or shuts the fence under it, at a named place.
The client speaks the protocol itself, so that a test sees every message that leaves.
"""

import json
import mmap
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import psycopg2
import psycopg2.extras
import pytest

from lab import process, programs
from lab.wait import until

TREE = Path(__file__).parent.parent
PROBE = TREE / "src" / "test" / "fence_probe"
LONG_MS = 600_000

# XactEvent
COMMIT, PREPARE, PRE_COMMIT = 0, 4, 5
# Control.action
NONE, SHUT, STOP, ERROR, WARN = range(5)


class Probe:
    """The file that fence_probe.c maps; struct Control there."""

    def __init__(self, data: Path) -> None:
        self._data = data
        path = data / "fence_probe"
        if not path.exists():
            path.write_bytes(bytes(4096))
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 4096)

    def _get(self, offset: int, form: str) -> int:
        return struct.unpack_from(form, self._map, offset)[0]

    def _set(self, offset: int, form: str, value: int) -> None:
        struct.pack_into(form, self._map, offset, value)

    def open(self, ms: int = LONG_MS) -> None:
        self._set(0, "<q", ms)
        wanted = self._get(8, "<I") + 1
        self._set(8, "<I", wanted)
        until("the fence has moved", lambda: self._get(12, "<I") == wanted, 10, every=0.001)

    def shut(self) -> None:
        self.open(0)

    def at(self, place: int, pid: int, action: int = SHUT) -> None:
        self._set(24, "<I", NONE)
        self._set(28, "<I", 0)
        self._set(16, "<I", pid)
        self._set(20, "<I", place)
        self._set(24, "<I", action)

    def arrived(self) -> bool:
        return bool(self._get(28, "<I"))

    def wait_arrived(self) -> None:
        until("the backend is at its place", self.arrived, 10, every=0.001)

    def go_on(self) -> None:
        self._set(24, "<I", NONE)

    # In the agent's place.

    def publish(self, snapshot: dict) -> None:
        (self._data / "snapshot").write_text(json.dumps(snapshot))
        wanted = self._get(40, "<I") + 1
        self._set(40, "<I", wanted)
        until("the snapshot is published", lambda: self._get(44, "<I") == wanted, 10, every=0.001)

    def take_requests(self, takes: bool) -> None:
        self._set(52, "<I", 0)
        self._set(48, "<I", int(takes))

    def request(self) -> dict:
        """The request that a backend has handed over."""
        size = until("a request comes", lambda: self._get(52, "<I"), 10, every=0.001)
        return json.loads(self._map[56 : 56 + size])

    # A worker that commits by SPI: src/test/fence_probe, fence_probe_launch.

    def expect(self, ms: int) -> None:
        """Whenever the fence moves, it is expected to open within `ms` more."""
        self._set(2112, "<q", ms)

    def let_worker_commit(self) -> None:
        self._set(2104, "<I", 1)

    @property
    def worker_told(self) -> bool:
        return bool(self._get(2108, "<I"))

    @property
    def acked_lsn(self) -> int:
        time.sleep(0.02)  # the worker copies it every millisecond
        return self._get(32, "<Q")


class Server:
    """A plain server with fawkes_ha and the probe, in a directory of its own."""

    SETTINGS = {
        "listen_addresses": "",
        "port": "5432",
        "max_worker_processes": "1",
        "max_logical_replication_workers": "0",
        "max_parallel_workers": "0",
        "shared_preload_libraries": "fence_probe, fawkes_ha",
        "fawkes_ha.cluster_name": "test-fence",
        "fawkes_ha.member_name": "n1",
        "fawkes_ha.address": "127.0.0.1:5432",
        "wal_level": "logical",
        "max_prepared_transactions": "5",
        "autovacuum": "off",
        "log_min_messages": "info",
        "fsync": "on",
    }

    def __init__(
        self,
        base: Path,
        environment: dict[str, str] | None = None,
        pass_fds: tuple[int, ...] = (),
        more: dict[str, str] | None = None,
    ) -> None:
        """Files only; start() starts it."""
        self.base = base
        self.data = base / "data"
        self.log = base / "log"
        self._environment = environment or {}
        self._pass_fds = pass_fds
        programs.must_run("initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "-N")
        settings = {
            **self.SETTINGS,
            **(more or {}),
            "unix_socket_directories": str(base),
            "dynamic_library_path": f"{PROBE}:{TREE}:$libdir",
            "fawkes_ha.lock": f"dir:{base}/unreachable/lock",
        }
        with open(self.data / "postgresql.conf", "a") as file:
            file.write(programs.settings_text(settings))
        self.probe = Probe(self.data)
        self._process: subprocess.Popen | None = None

    def start(self) -> "Server":
        self.launch()
        until("the server is up", self._is_up, 60)
        return self

    def launch(self) -> None:
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                [programs.bindir() / "postgres", "-D", self.data],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self._environment},
                pass_fds=self._pass_fds,
            )

    def _is_up(self) -> bool:
        self.probe.open()
        self.connect().close()
        return True

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def wait_dead(self) -> None:
        assert self._process is not None
        self._process.wait(30)

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)

    @property
    def dsn(self) -> str:
        return f"host={self.base} port=5432 user=postgres dbname=postgres"

    def connect(self, **more) -> "psycopg2.extensions.connection":
        connection = psycopg2.connect(self.dsn, **more)
        if not more:
            connection.autocommit = True
        return connection

    def sql(self, text: str) -> list[tuple]:
        """With the fence open, in a session of its own."""
        self.probe.open()
        connection = self.connect()
        try:
            cursor = connection.cursor()
            cursor.execute(text)
            return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")


class Refused(Exception):
    """The server did not let us in; the SQLSTATE."""


class Wire:
    """A client that shows each message as it comes: (type, body)."""

    def __init__(self, server: Server) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(20)
        self._socket.connect(f"{server.base}/.s.PGSQL.5432")
        words = b"user\0postgres\0database\0postgres\0application_name\0wire\0\0"
        self._socket.sendall(struct.pack("!iI", len(words) + 8, 196608) + words)
        self._buffer = b""
        self.pid = 0
        for kind, body in self.until_ready():
            if kind == "K":
                self.pid = struct.unpack_from("!I", body)[0]

    def send(self, *messages: bytes) -> None:
        self._socket.sendall(b"".join(messages))

    def _read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            more = self._socket.recv(65536)
            if not more:
                raise EOFError
            self._buffer += more
        result, self._buffer = self._buffer[:size], self._buffer[size:]
        return result

    def message(self) -> tuple[str, bytes]:
        kind = self._read(1).decode()
        size = struct.unpack("!I", self._read(4))[0]
        return kind, self._read(size - 4)

    def peek(self, seconds: float) -> None:
        """Wait for anything at all to come; TimeoutError when nothing does."""
        self._socket.settimeout(seconds)
        try:
            self._buffer += self._socket.recv(1)
        finally:
            self._socket.settimeout(20)

    def until_ready(self) -> list[tuple[str, bytes]]:
        got: list[tuple[str, bytes]] = []
        while not got or got[-1][0] != "Z":
            try:
                got.append(self.message())
            except EOFError:
                raise Refused(error_of(got)) from None
        return got

    def until_end(self) -> str:
        """The kinds of all messages up to the end of the connection, or up to ReadyForQuery."""
        kinds = ""
        try:
            while not kinds.endswith("Z"):
                kinds += self.message()[0]
        except (EOFError, ConnectionError):
            kinds += "."
        return kinds

    def query(self, text: str) -> list[tuple[str, bytes]]:
        self.send(simple(text))
        return self.until_ready()

    def close(self) -> None:
        self._socket.close()


def simple(text: str) -> bytes:
    return b"Q" + struct.pack("!I", len(text.encode()) + 5) + text.encode() + b"\0"


def extended(text: str) -> bytes:
    parse = b"\0" + text.encode() + b"\0" + struct.pack("!H", 0)
    bind = b"\0\0" + struct.pack("!HHH", 0, 0, 0)
    execute = b"\0" + struct.pack("!I", 0)
    return b"".join(k + struct.pack("!I", len(b) + 4) + b for k, b in ((b"P", parse), (b"B", bind), (b"E", execute)))


SYNC = b"S" + struct.pack("!I", 4)
FLUSH = b"H" + struct.pack("!I", 4)


def error_of(messages: list[tuple[str, bytes]]) -> str:
    for kind, body in messages:
        if kind == "E":
            return next(field[1:].decode() for field in body.split(b"\0") if field[:1] == b"C")
    return ""


@pytest.fixture(scope="module", autouse=True)
def probe_is_built() -> None:
    programs.make(PROBE, "fence_probe.so")


@pytest.fixture(scope="module")
def server():
    base = Path(tempfile.mkdtemp(prefix="fh-", dir=os.environ.get("FAWKES_TEST_DIR", "/tmp")))
    server = None
    try:
        server = Server(base).start()
        server.sql("CREATE TABLE t (what text)")
        server.sql(
            "CREATE PROCEDURE commits(word text) LANGUAGE plpgsql AS "
            "$$ BEGIN INSERT INTO t VALUES (word); COMMIT; RAISE NOTICE 'after the commit'; END $$"
        )
        yield server
        # Whatever a test did, the server itself must have lived through it.
        assert "PANIC" not in server.log_text()
        assert "terminated by signal" not in server.log_text()
    finally:
        if server:
            server.stop()
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def wire(server: Server):
    server.probe.open()
    wire = Wire(server)
    yield wire
    wire.close()
    server.probe.at(0, 0, NONE)
    server.probe.open()


def is_gone(pid: int) -> bool:
    """Also when nobody has reaped it: an orphan is the first process's, which may not care."""
    found = process.look(pid)
    return found is None or not found.lives


def is_there(server: Server, word: str) -> bool:
    return bool(server.sql(f"SELECT 1 FROM t WHERE what = '{word}'"))


# --- before the commit record: an error


def test_commit_is_refused_when_shut(server: Server, wire: Wire) -> None:
    """S1, S2: at PRE_COMMIT an error, and nothing is committed."""
    wire.query("BEGIN")
    wire.query("INSERT INTO t VALUES ('refused')")
    server.probe.shut()
    answer = wire.query("COMMIT")
    assert error_of(answer) == "25006"
    assert answer[-1] == ("Z", b"I")
    assert not is_there(server, "refused")


def test_the_deadline_shuts_by_itself(server: Server, wire: Wire) -> None:
    """S1: nobody has to act for the fence to shut."""
    wire.query("BEGIN")
    wire.query("INSERT INTO t VALUES ('late')")
    server.probe.open(50)
    time.sleep(0.1)
    assert error_of(wire.query("COMMIT")) == "25006"
    assert not is_there(server, "late")


def test_prepare_transaction_is_refused_when_shut(server: Server, wire: Wire) -> None:
    """S2: 2PC is lasting work; tested at statement start and at PRE_PREPARE."""
    wire.query("BEGIN")
    wire.query("INSERT INTO t VALUES ('prepared')")
    server.probe.shut()
    assert error_of(wire.query("PREPARE TRANSACTION 'refused'")) == "25006"
    assert server.sql("SELECT 1 FROM pg_prepared_xacts") == []


def test_an_error_before_the_record_is_told(server: Server, wire: Wire) -> None:
    """S2: between the test and the record an abort is certain, and may be told although the fence is shut.

    S2b: that it failed, and not why.
    """
    wire.query("BEGIN")
    wire.query("INSERT INTO t VALUES ('deferred')")
    server.probe.at(PRE_COMMIT, wire.pid, ERROR)
    assert error_of(wire.query("COMMIT")) == "25006"
    assert not is_there(server, "deferred")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE DATABASE x",
        "DROP DATABASE template1",
        "VACUUM t",
        "CREATE INDEX CONCURRENTLY ON t (what)",
        "ALTER SYSTEM SET work_mem = '5MB'",
        "COMMIT PREPARED 'x'",
        "ROLLBACK PREPARED 'x'",
        "CREATE TABLESPACE x LOCATION '/nowhere'",
        "COPY t FROM STDIN",
        "INSERT INTO t VALUES ('x')",
        "SELECT 1",
        "SHOW work_mem",
        "EXPLAIN SELECT 1",
    ],
)
def test_statements_are_refused_at_their_start(server: Server, wire: Wire, statement: str) -> None:
    """S2, S2b: lasting work before any commit, and reads.  Whatever fails later has the same SQLSTATE, and another text."""
    server.probe.shut()
    answer = wire.query(statement)
    assert error_of(answer) == "25006"
    assert fields_of(answer)["M"].startswith("cannot execute ")


def test_a_session_can_end_its_transaction(server: Server, wire: Wire) -> None:
    """S2b: transaction control that leaves nothing behind passes, in either state."""
    wire.query("BEGIN")
    wire.query("INSERT INTO t VALUES ('rolled back')")
    server.probe.shut()
    assert error_of(wire.query("SELECT 1")) == "25006"
    assert [kind for kind, _ in wire.query("ROLLBACK")] == ["C", "Z"]
    assert wire.query("BEGIN")[-1] == ("Z", b"T")
    assert wire.query("ROLLBACK")[-1] == ("Z", b"I")


@pytest.mark.parametrize(
    "name",
    [
        "primary_conninfo",
        "recovery_target_name",
        "fawkes_ha.lock",
        "fawkes_ha.pod",
        "shared_preload_libraries",
        "port",
        "recovery_end_command",
        "fsync",
        "full_page_writes",
        "hot_standby",
        "synchronous_standby_names",
    ],
)
def test_managed_settings_are_not_for_alter_system(server: Server, wire: Wire, name: str) -> None:
    """Section 6: a line in postgresql.auto.conf would beat the cluster's own; RESET may take one away."""
    assert error_of(wire.query(f"ALTER SYSTEM SET {name} = 'x'")) == "55P02"
    assert error_of(wire.query(f"ALTER SYSTEM RESET {name}")) == ""


# --- after the commit record: silence

COMMITS = {
    "implicit": ("", [simple("INSERT INTO t VALUES ('{}')")], ""),
    "explicit": ("BEGIN; INSERT INTO t VALUES ('{}')", [simple("COMMIT")], ""),
    "chained": ("BEGIN; INSERT INTO t VALUES ('{}')", [simple("COMMIT AND CHAIN")], ""),
    "string": ("", [simple("BEGIN; INSERT INTO t VALUES ('{}'); COMMIT; SELECT 1 / 0")], ""),
    "procedure": ("", [simple("CALL commits('{}')")], ""),
    "at sync": ("", [extended("INSERT INTO t VALUES ('{}')"), SYNC], "12"),
    "extended": ("BEGIN; INSERT INTO t VALUES ('{}')", [extended("COMMIT"), SYNC], "12"),
    "pipeline": (
        "BEGIN; INSERT INTO t VALUES ('{}')",
        [extended("COMMIT"), extended("BEGIN"), extended("SELECT 1 / 0"), SYNC],
        "12",
    ),
}


@pytest.mark.parametrize("case", COMMITS)
def test_a_lapse_after_the_record_is_silence(server: Server, wire: Wire, case: str) -> None:
    """S2: the row is committed, and the client is told neither "done" nor "refused"."""
    before, messages, harmless = COMMITS[case]
    word = f"silence {case}"
    if before:
        wire.query(before.format(word))
    server.probe.at(COMMIT, wire.pid)
    size = len(word) - len("{}")
    wire.send(*[resize(message, size).replace(b"{}", word.encode()) for message in messages])
    kinds = wire.until_end()
    assert server.probe.arrived()
    # ParseComplete, BindComplete and, before the commit at Sync, CommandComplete may have left before.
    assert kinds.endswith(".") and not set(kinds) - set("12C.") and "Z" not in kinds and "E" not in kinds
    if case not in ("at sync", "string"):
        assert "C" not in kinds
    assert is_there(server, word)
    assert "closing a connection without a reply" in server.log_text()


def resize(messages: bytes, more: int) -> bytes:
    """Correct the length words of the messages in which {} becomes `more` bytes longer."""
    result = b""
    while messages:
        size = struct.unpack_from("!I", messages, 1)[0]
        body = messages[5 : size + 1]
        longer = more * body.count(b"{}")
        result += messages[:1] + struct.pack("!I", size + longer) + body
        messages = messages[size + 1 :]
    return result


def test_an_open_fence_acknowledges(server: Server, wire: Wire) -> None:
    """S2: the control: with an open fence each of them is answered, and the session goes on."""
    for case, (before, messages, _) in COMMITS.items():
        word = f"answer {case}"
        if before:
            wire.query(before.format(word))
        wire.send(*[resize(message, len(word) - 2).replace(b"{}", word.encode()) for message in messages])
        assert wire.until_ready()[-1][0] == "Z"
        wire.query("ROLLBACK")
        assert is_there(server, word)


def test_a_warning_inside_the_commit(server: Server, wire: Wire) -> None:
    """S2: a message between the record and the transaction's end is swallowed; dying there would panic."""
    server.probe.at(COMMIT, wire.pid, WARN)
    wire.send(simple("INSERT INTO t VALUES ('warned')"))
    assert wire.until_end() == "."
    assert is_there(server, "warned")
    assert "PANIC" not in server.log_text()


def test_a_later_error_does_not_free_an_earlier_acknowledgement(server: Server, wire: Wire) -> None:
    """S2: in a pipeline the error of a later statement is not sent past a withheld commit."""
    wire.query("BEGIN; INSERT INTO t VALUES ('first')")
    wire.send(extended("COMMIT"), extended("SELECT FROM pg_sleep(2)"), extended("SELECT 1 / 0"), SYNC)
    # COMMIT is done; its acknowledgement waits in the buffer.
    until("the commit is there", lambda: is_there(server, "first"), 10)
    server.probe.shut()
    assert wire.until_end() == "."
    assert is_there(server, "first")


def test_a_later_abort_does_not_free_an_earlier_acknowledgement(server: Server, wire: Wire) -> None:
    """S2: a transaction that is rolled back behind a commit says nothing about that commit."""
    wire.query("BEGIN; INSERT INTO t VALUES ('second')")
    later = [extended(text) for text in ("BEGIN", "ROLLBACK", "SELECT FROM pg_sleep(2)")]
    wire.send(extended("COMMIT"), *later, SYNC)
    until("the commit is there", lambda: is_there(server, "second"), 10)
    server.probe.shut()
    assert wire.until_end() == "."
    assert is_there(server, "second")


def test_a_pipeline_with_flush_is_tested_to_its_end(server: Server, wire: Wire) -> None:
    """S2: CommandComplete that left while the fence was open is no licence for what follows."""
    wire.query("BEGIN; INSERT INTO t VALUES ('flushed')")
    wire.send(extended("COMMIT"), FLUSH)
    assert [wire.message()[0] for _ in range(3)] == ["1", "2", "C"]
    server.probe.shut()
    wire.send(extended("SELECT 1"), SYNC)
    assert wire.until_end() == "."


def test_prepared_transactions(server: Server, wire: Wire) -> None:
    """S2: PREPARE TRANSACTION and COMMIT PREPARED, which bypasses PRE_COMMIT, are acknowledged likewise."""
    wire.query("BEGIN; INSERT INTO t VALUES ('two phases')")
    server.probe.at(PREPARE, wire.pid)
    wire.send(simple("PREPARE TRANSACTION 'two'"))
    assert wire.until_end() == "."
    assert server.sql("SELECT gid FROM pg_prepared_xacts") == [("two",)]

    end_silently(server, "COMMIT PREPARED 'two'")
    assert is_there(server, "two phases")

    server.sql("BEGIN; INSERT INTO t VALUES ('never'); PREPARE TRANSACTION 'three'")
    end_silently(server, "ROLLBACK PREPARED 'three'")
    assert not is_there(server, "never")


def end_silently(server: Server, statement: str) -> None:
    wire = Wire(server)
    server.probe.at(COMMIT, wire.pid)
    wire.send(simple(statement))
    assert wire.until_end() == "."
    assert server.sql("SELECT gid FROM pg_prepared_xacts") == []


def test_a_failed_commit_prepared_is_an_error(server: Server, wire: Wire) -> None:
    """S2: nothing was written, so that the client may know, and its session goes on."""
    assert error_of(wire.query("COMMIT PREPARED 'unknown'")) == "42704"
    server.probe.shut()
    assert error_of(wire.query("SELECT 1")) == "25006"


def test_drop_of_many_tables(server: Server, wire: Wire) -> None:
    """S2: files are unlinked after XACT_EVENT_COMMIT; a lapse in between withholds, and nothing panics."""
    wire.query("DO $$ BEGIN FOR i IN 1..500 LOOP EXECUTE format('CREATE TABLE many%s (i int)', i); END LOOP; END $$")
    wire.query("BEGIN")
    wire.query("DO $$ BEGIN FOR i IN 1..500 LOOP EXECUTE format('DROP TABLE many%s', i); END LOOP; END $$")
    server.probe.at(COMMIT, wire.pid)
    wire.send(simple("COMMIT"))
    assert wire.until_end() == "."
    assert server.sql("SELECT count(*) FROM pg_class WHERE relname LIKE 'many%'") == [(0,)]


def test_a_client_that_does_not_read(server: Server, wire: Wire) -> None:
    """S2: a send that sleeps on a full socket does not go on after the lapse; the backend ends."""
    wire.send(simple("BEGIN; INSERT INTO t VALUES ('slow'); COMMIT; SELECT repeat('x', 1000) FROM generate_series(1, 20000)"))
    until("the backend waits for its client", lambda: waits_for_client(server, wire.pid), 10)
    server.probe.open(300)
    until("the backend is gone", lambda: is_gone(wire.pid), 10)
    kinds = wire.until_end()
    assert kinds.endswith(".") and "Z" not in kinds and kinds.count("D") < 20000
    assert is_there(server, "slow")


def waits_for_client(server: Server, pid: int) -> bool:
    return server.sql(f"SELECT wait_event FROM pg_stat_activity WHERE pid = {pid}") == [("ClientWrite",)]


@pytest.mark.parametrize("pipe", ["closed", "open"])
def test_a_dead_postmaster_shuts_the_fence(directory: Path, pipe: str) -> None:
    """S1: after kill -9 of the postmaster its backends acknowledge nothing more.

    Nor when a process that was forked just before still has the postmaster's pipe open.
    """
    server = Server(directory).start()
    server.sql("CREATE TABLE t (what text)")
    wire = Wire(server)
    server.probe.at(COMMIT, wire.pid, STOP)
    wire.send(simple("INSERT INTO t VALUES ('orphan')"))
    server.probe.wait_arrived()
    ends = pipe_ends(server.pid) if pipe == "open" else []
    try:
        os.kill(server.pid, signal.SIGKILL)
        server.wait_dead()
        server.probe.go_on()
        assert wire.until_end() == "."
        until("the backend is gone", lambda: is_gone(wire.pid), 10)
    finally:
        for end in ends:
            os.close(end)


def pipe_ends(pid: int) -> list[int]:
    """The writing ends of its pipes, as a child has them before it closes them."""
    ends = []
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        flags = int(Path(f"/proc/{pid}/fdinfo/{fd.name}").read_text().split("flags:")[1].split()[0], 8)
        if os.readlink(fd).startswith("pipe:") and flags & os.O_ACCMODE == os.O_WRONLY:
            ends.append(os.open(fd, os.O_WRONLY | os.O_NONBLOCK))
    assert ends
    return ends


def test_a_dead_postmaster_refuses_commits(directory: Path) -> None:
    """S1, S2: what has not been committed when the postmaster dies is refused, not only withheld."""
    server = Server(directory).start()
    server.sql("CREATE TABLE t (what text)")
    wire = Wire(server)
    # Neither waits nor sends while the postmaster dies, which would end the backend.
    wire.send(
        simple(
            "DO $$ BEGIN INSERT INTO t VALUES ('too late'); "
            "WHILE clock_timestamp() < now() + interval '1 s' LOOP END LOOP; END $$"
        )
    )
    time.sleep(0.3)
    os.kill(server.pid, signal.SIGKILL)
    server.wait_dead()
    kind, body = wire.message()
    assert error_of([(kind, body)]) == "25006"


# --- the position that clients were told of


def test_the_ack_watermark(directory: Path) -> None:
    """Section 4, crash of the primary: the page outlives the server and names the last acknowledged commit."""
    watermark = os.memfd_create("watermark", 0)
    liveness = os.open(directory / "life", os.O_RDWR | os.O_CREAT)
    os.ftruncate(watermark, 4096)
    server = Server(
        directory, {"FAWKES_HA_MARK_FD": str(watermark), "FAWKES_HA_LIFE_FD": str(liveness)}, pass_fds=(watermark, liveness)
    ).start()

    def raised() -> int:
        return struct.unpack("<Q", os.pread(watermark, 8, 0))[0]

    try:
        server.sql("CREATE TABLE t (what text)")
        wire = Wire(server)
        wire.query("INSERT INTO t VALUES ('told')")
        end = position(server)
        assert 0 < raised() <= end
        assert server.probe.acked_lsn == 0  # one word for all who commit, not two
        before = raised()

        server.probe.at(COMMIT, wire.pid)
        wire.send(simple("INSERT INTO t VALUES ('withheld')"))
        assert wire.until_end() == "."
        assert raised() == before

        # Neither the page nor the liveness lock reaches a program that SQL starts.
        server.sql("CREATE TABLE fds (line text)")
        server.sql("COPY fds FROM PROGRAM 'ls -l /proc/self/fd'")
        lines = str(server.sql("SELECT line FROM fds"))
        assert "memfd" not in lines and "/life" not in lines
    finally:
        server.stop()
    assert raised() >= before
    os.close(watermark)
    os.close(liveness)


def test_a_plain_server_has_an_ack_watermark_too(server: Server, wire: Wire) -> None:
    """Section 4: without the supervisor's page it is in shared memory, for whoever asks by SQL."""
    before = position(server)
    wire.query("INSERT INTO t VALUES ('told')")
    until("the ack watermark moves", lambda: before < server.probe.acked_lsn <= position(server), 10)


def position(server: Server) -> int:
    high, low = server.sql("SELECT pg_current_wal_insert_lsn()")[0][0].split("/")
    return int(high, 16) << 32 | int(low, 16)


@pytest.mark.parametrize("value", ["no number", "7777", "1"])
def test_a_wrong_descriptor_is_refused(directory: Path, value: str) -> None:
    """The environment is outside input."""
    server = Server(directory, {"FAWKES_HA_MARK_FD": value})
    server.launch()
    server.wait_dead()
    assert "FAWKES_HA_MARK_FD" in server.log_text()


# --- S2b: nor does it show


def test_logins_are_refused(server: Server, wire: Wire) -> None:
    """S2b: with 57P03, on which libpq tries its next host."""
    server.probe.shut()
    with pytest.raises(Refused) as refused:
        Wire(server)
    assert refused.value.args == ("57P03",)
    with pytest.raises(psycopg2.OperationalError, match="may not act as the primary"):
        server.connect(connection_factory=psycopg2.extras.LogicalReplicationConnection)


def refusals(server: Server) -> dict[str, float]:
    """By the function itself: the extension may be not installed."""
    rows = server.sql(
        "CREATE OR REPLACE FUNCTION own(OUT name text, OUT type text, OUT help text, OUT labels jsonb, OUT value float8)"
        " RETURNS SETOF record AS 'fawkes_ha', 'fawkes_ha_own_metrics' LANGUAGE C;"
        "SELECT labels ->> 'where', value FROM own() WHERE name = 'fawkes_ha_fence_refusals_total'"
    )
    return dict(rows)


def test_refusals_are_counted(server: Server, wire: Wire) -> None:
    before = refusals(server)
    server.probe.shut()
    with pytest.raises(Refused):
        Wire(server)
    assert error_of(wire.query("INSERT INTO t VALUES ('counted')")) == "25006"
    server.probe.open()
    wire.query("BEGIN; INSERT INTO t VALUES ('counted')")
    server.probe.shut()
    assert error_of(wire.query("COMMIT")) == "25006"
    server.probe.open()
    server.probe.at(COMMIT, wire.pid)
    wire.send(simple("INSERT INTO t VALUES ('counted')"))
    wire.until_end()
    assert {where: count - before[where] for where, count in refusals(server).items()} == {
        "login": 1, "statement": 1, "commit": 1, "reply": 1
    }  # fmt: skip


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT pg_sleep(0.05), repeat('x', 100) FROM generate_series(1, 100)",
        "COPY (SELECT pg_sleep(0.05), repeat('x', 100) FROM generate_series(1, 100)) TO STDOUT",
        "SELECT FROM pg_sleep(1)",
    ],
)
def test_running_reads_end(server: Server, wire: Wire, statement: str) -> None:
    """S2b: rows, and the count of them, are refused in the middle; the session lives on."""
    wire.send(simple(statement))
    time.sleep(0.3)
    server.probe.shut()
    answer = wire.until_ready()
    assert error_of(answer) == "25006"
    assert "C" not in [kind for kind, _ in answer]
    server.probe.open()
    assert error_of(wire.query("SELECT 1")) == ""


@pytest.fixture
def fenced_reads(server: Server):
    set_fenced_reads(server, "on")
    yield
    set_fenced_reads(server, "off")


def set_fenced_reads(server: Server, value: str) -> None:
    server.sql(f"ALTER SYSTEM SET fawkes_ha.fenced_reads = {value}")
    server.sql("SELECT pg_reload_conf()")
    until("the setting is known", lambda: server.sql("SHOW fawkes_ha.fenced_reads") == [(value,)], 10)


def test_fenced_reads(server: Server, wire: Wire, fenced_reads: None) -> None:
    """S2b: a setting relaxes it for reads, and for nothing else."""
    until("the session knows it", lambda: wire.query("SHOW fawkes_ha.fenced_reads")[1][1].endswith(b"on"), 10)
    server.probe.shut()
    again = Wire(server)
    for session in (wire, again):
        assert error_of(session.query("SELECT * FROM t")) == ""
        assert error_of(session.query("SET work_mem = '1MB'")) == ""
        assert error_of(session.query("INSERT INTO t VALUES ('fenced')")) == "25006"
        assert error_of(session.query("ALTER SYSTEM SET work_mem = '5MB'")) == "25006"  # no xid, no PRE_COMMIT test
        assert error_of(session.query("SELECT FROM t FOR UPDATE")) == "25006"
        assert error_of(session.query("SELECT pg_current_xact_id()")) == "25006"
    with pytest.raises(psycopg2.OperationalError):
        server.connect(connection_factory=psycopg2.extras.LogicalReplicationConnection)


def test_fenced_reads_do_not_reach_subscribers(server: Server, wire: Wire, fenced_reads: None) -> None:
    """S2: a subscriber keeps what it is sent, so that the setting is not for it."""
    test_a_logical_walsender_ends(server, wire)


def test_notifications_are_withheld(server: Server, wire: Wire) -> None:
    """S2b: a notification tells of a commit."""
    wire.query("LISTEN news")
    other = Wire(server)
    server.probe.at(COMMIT, other.pid)
    other.send(simple("NOTIFY news"))
    assert other.until_end() == "."
    assert wire.until_end() == "."


def fields_of(messages: list[tuple[str, bytes]], wanted: str = "E") -> dict[str, str]:
    """The fields of the first error, or notice, by their letters."""
    body = next(body for kind, body in messages if kind == wanted)
    return {field[:1].decode(): field[1:].decode() for field in body.split(b"\0") if field}


LATE = {
    "conversion": "SELECT pg_sleep(.6), what::int FROM secret",
    "raised": "DO $$ BEGIN PERFORM pg_sleep(.6); RAISE EXCEPTION '%', (SELECT what FROM secret) "
    "USING ERRCODE = '25006', DETAIL = 'hidden', HINT = 'hidden'; END $$",
    "context": "DO $$ BEGIN PERFORM pg_sleep(.6); EXECUTE format('SELECT %L', (SELECT what FROM secret)); END $$",
}


@pytest.mark.parametrize("case", LATE)
def test_an_error_shows_no_row(server: Server, wire: Wire, case: str) -> None:
    """S2b: whatever error comes behind the lapse says that this server may not act, and nothing of what it has."""
    server.sql("CREATE TABLE IF NOT EXISTS secret AS SELECT 'hidden row'::text AS what")
    wire.send(simple(LATE[case]))
    until("it sleeps", lambda: sleeps(server, wire.pid), 10, every=0.01)
    server.probe.shut()
    answer = wire.until_ready()
    assert error_of(answer) == "25006"
    assert b"hidden" not in b"".join(body for _, body in answer)
    assert fields_of(answer)["V"] == "ERROR"
    # The log is for those who run this server.
    assert "hidden row" in server.log_text()


def sleeps(server: Server, pid: int) -> bool:
    return server.sql(f"SELECT wait_event FROM pg_stat_activity WHERE pid = {pid}") == [("PgSleep",)]


def test_a_key_that_is_not_acknowledged_is_not_confirmed(server: Server, wire: Wire) -> None:
    """S2b: the other client's insert of the same key fails, but is not told that the key is there."""
    server.sql("CREATE TABLE IF NOT EXISTS keys (k int PRIMARY KEY)")
    other = Wire(server)
    server.probe.at(PRE_COMMIT, wire.pid, STOP)
    wire.send(simple("INSERT INTO keys VALUES (77)"))
    server.probe.wait_arrived()
    other.send(simple("INSERT INTO keys VALUES (77)"))
    until("the other waits for it", lambda: waits_for_lock(server, other.pid), 10)
    server.probe.shut()
    server.probe.go_on()
    assert wire.until_end() == "."
    answer = other.until_ready()
    assert fields_of(answer)["C"] == "25006"
    assert b"77" not in b"".join(body for _, body in answer)
    assert server.sql("SELECT k FROM keys") == [(77,)]


def waits_for_lock(server: Server, pid: int) -> bool:
    return server.sql(f"SELECT wait_event_type FROM pg_stat_activity WHERE pid = {pid}") == [("Lock",)]


def test_a_notice_shows_no_row(server: Server, wire: Wire) -> None:
    """S2b: nor does RAISE NOTICE; its statement ends with an error."""
    code = "BEGIN RAISE NOTICE 'visible'; PERFORM pg_sleep(.6); RAISE NOTICE 'hidden row'; END"
    wire.send(simple(f"DO $$ {code} $$"))
    until("it sleeps", lambda: sleeps(server, wire.pid), 10, every=0.01)
    server.probe.shut()
    answer = wire.until_ready()
    assert fields_of(answer, "N")["M"] == "visible"
    assert error_of(answer) == "25006"
    assert b"hidden row" not in b"".join(body for _, body in answer)


def test_a_setting_shows_no_row(server: Server, wire: Wire) -> None:
    """S2b: the new value of a setting is reported behind the statement, so that only the end is left."""
    wire.send(
        simple("DO $$ BEGIN PERFORM set_config('application_name', 'hidden row', false) FROM pg_sleep(.6); END $$")
    )
    until("it sleeps", lambda: sleeps(server, wire.pid), 10, every=0.01)
    server.probe.shut()
    messages = []
    with pytest.raises((EOFError, ConnectionError)):
        while True:
            messages.append(wire.message())
    assert b"hidden row" not in b"".join(body for _, body in messages)


def test_an_order_to_end_is_told(server: Server, wire: Wire) -> None:
    """S2b: why a session ends is no secret: 57P01, with nothing of what it was at."""
    wire.send(simple("DO $$ BEGIN EXECUTE 'SELECT ''hidden'' FROM pg_sleep(60)'; END $$"))
    until("it sleeps", lambda: sleeps(server, wire.pid), 10, every=0.01)
    server.probe.shut()
    os.kill(wire.pid, signal.SIGTERM)
    kind, body = wire.message()
    assert fields_of([(kind, body)])["C"] == "57P01"
    assert fields_of([(kind, body)])["V"] == "FATAL"
    assert b"hidden" not in body


def test_fenced_reads_show_errors(server: Server, wire: Wire, fenced_reads: None) -> None:
    """S2b: the setting that lets clients read lets them see why a read failed."""
    until("the session knows it", lambda: wire.query("SHOW fawkes_ha.fenced_reads")[1][1].endswith(b"on"), 10)
    server.probe.shut()
    assert error_of(wire.query("SELECT 'x'::int")) == "22P02"


def test_a_module_that_calls_no_hook_but_its_own(directory: Path) -> None:
    """S2, S2b: a login hook that is loaded later and forgets ours leaves no session without the fence."""
    server = Server(directory, {"FENCE_PROBE_BREAKS_LOGIN_HOOK": "1"}).start()
    try:
        server.sql("CREATE TABLE t (what text)")
        wire = Wire(server)
        server.probe.at(COMMIT, wire.pid)
        wire.send(simple("INSERT INTO t VALUES ('not hooked')"))
        assert wire.until_end() == "."
        assert is_there(server, "not hooked")
        server.probe.shut()
        with pytest.raises(Refused) as refused:
            Wire(server)
        assert refused.value.args == ("57P03",)
    finally:
        server.stop()


# --- a primary that is about to be admitted


@pytest.fixture
def expected(server: Server):
    """The fence shuts, and is expected to open within a long time."""
    server.probe.expect(LONG_MS)
    yield
    server.probe.expect(0)
    server.probe.open()


def test_a_promotion_keeps_readers_waiting(server: Server, wire: Wire, expected: None) -> None:
    """S2b: between the end of recovery and the first commit nobody is refused: logins and statements wait."""
    server.probe.shut()
    wire.send(simple("SELECT 1"))
    logins: list[Wire] = []
    login = threading.Thread(target=lambda: logins.append(Wire(server)), daemon=True)
    login.start()
    with pytest.raises(TimeoutError):
        wire.peek(0.5)
    assert not logins
    server.probe.open()
    assert error_of(wire.until_ready()) == ""
    login.join(10)
    assert logins and error_of(logins[0].query("SELECT 1")) == ""


def test_a_promotion_keeps_a_running_read_waiting(server: Server, wire: Wire, expected: None) -> None:
    """S2b: rows that come in that moment come later."""
    wire.send(simple("SELECT 1 FROM pg_sleep(.6)"))
    until("it sleeps", lambda: sleeps(server, wire.pid), 10, every=0.01)
    server.probe.shut()
    with pytest.raises(TimeoutError):
        wire.peek(1.0)
    server.probe.open()
    assert "D" in [kind for kind, _ in wire.until_ready()]


def test_nobody_waits_for_an_admission_for_ever(server: Server, wire: Wire) -> None:
    """S9: what was expected and does not come is refused."""
    server.probe.expect(300)
    try:
        server.probe.shut()
        assert error_of(wire.query("SELECT 1")) == "25006"
        with pytest.raises(Refused):
            Wire(server)
    finally:
        server.probe.expect(0)


# --- processes without a client


@pytest.fixture(scope="module")
def subscriber(server: Server):
    """Another server, which subscribes to `server`; its workers come again at once."""
    base = Path(tempfile.mkdtemp(prefix="fh-", dir=os.environ.get("FAWKES_TEST_DIR", "/tmp")))
    subscriber = None
    settings = {
        "max_worker_processes": "10",
        "max_logical_replication_workers": "6",
        "wal_retrieve_retry_interval": "200ms",
    }
    try:
        subscriber = Server(base, more=settings).start()
        for where in (server, subscriber):
            where.sql("CREATE TABLE copied (k int PRIMARY KEY)")
        server.sql("CREATE PUBLICATION copies FOR TABLE copied")
        subscriber.sql("CREATE TABLE worked (k int)")
        subscriber.sql("CREATE FUNCTION launch() RETURNS int LANGUAGE C AS 'fence_probe', 'fence_probe_launch'")
        streaming = ", streaming = parallel" if programs.major() >= 16 else ""
        subscriber.sql(
            f"CREATE SUBSCRIPTION copies CONNECTION '{server.dsn}' PUBLICATION copies WITH (two_phase{streaming})"
        )
        server.sql("INSERT INTO copied VALUES (1)")
        wait_copied(subscriber, 1)
        two_phase = "SELECT subtwophasestate FROM pg_subscription"
        until("two phases are on", lambda: subscriber.sql(two_phase) == [("e",)], 30)
        yield subscriber
        assert "PANIC" not in subscriber.log_text()
        assert "terminated by signal" not in subscriber.log_text()
    finally:
        if subscriber:
            subscriber.stop()
        shutil.rmtree(base, ignore_errors=True)
        server.sql("DROP PUBLICATION IF EXISTS copies")
        until("its slot is free", lambda: not server.sql("SELECT 1 FROM pg_replication_slots WHERE active"), 30)
        server.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")


@pytest.fixture
def copies(subscriber: Server):
    yield
    subscriber.probe.at(0, 0, NONE)
    subscriber.probe.open()
    until("the subscription is at work", lambda: applier(subscriber), 30)


def wait_copied(subscriber: Server, key: int) -> None:
    until(f"{key} is copied", lambda: subscriber.sql(f"SELECT 1 FROM copied WHERE k = {key}"), 30)


def applier(subscriber: Server, parallel: bool = False) -> int:
    """The worker that applies; 0: none yet."""
    is_parallel = "leader_pid IS NOT NULL AND" if parallel else ""
    if programs.major() >= 16 and not parallel:
        is_parallel = "leader_pid IS NULL AND"
    rows = subscriber.sql(f"SELECT pid FROM pg_stat_subscription WHERE {is_parallel} relid IS NULL AND pid IS NOT NULL")
    return rows[0][0] if rows else 0


def insert_at(publisher: Server, key: int) -> int:
    """The position behind it in the publisher's WAL."""
    publisher.sql(f"INSERT INTO copied VALUES ({key})")
    return position(publisher)


def confirmed(publisher: Server) -> int:
    high, low = publisher.sql("SELECT confirmed_flush_lsn FROM pg_replication_slots")[0][0].split("/")
    return int(high, 16) << 32 | int(low, 16)


def wait_ended(subscriber: Server, pid: int, before: int) -> None:
    """Gone, and those that the launcher starts in its place end as well."""
    until("the worker is gone", lambda: is_gone(pid), 10)
    said = "ending a worker before it tells of a commit"
    until("another has come and gone", lambda: subscriber.log_text().count(said) >= before + 2, 20)


def said_before(subscriber: Server) -> int:
    return subscriber.log_text().count("ending a worker before it tells of a commit")


def test_a_subscription_s_commit_raises_the_ack_watermark(server: Server, subscriber: Server, copies: None) -> None:
    """S2: what is confirmed to a publisher never comes again: a successor needs to have it."""
    before = position(subscriber)
    end = insert_at(server, 2)
    until("the publisher knows", lambda: confirmed(server) >= end, 20)
    assert before < subscriber.probe.acked_lsn


def test_a_subscription_s_prepared_commit_raises_the_ack_watermark(
    server: Server, subscriber: Server, copies: None
) -> None:
    """S2: COMMIT PREPARED stands in no transaction of its own there."""
    server.sql("BEGIN; INSERT INTO copied VALUES (3); PREPARE TRANSACTION 'copied'")
    prepared = "SELECT count(*) FROM pg_prepared_xacts"
    until("it is prepared there", lambda: subscriber.sql(prepared) == [(1,)], 20)
    before = position(subscriber)
    assert subscriber.probe.acked_lsn <= before
    server.sql("COMMIT PREPARED 'copied'")
    wait_copied(subscriber, 3)
    until("the ack watermark moves", lambda: subscriber.probe.acked_lsn > before, 10)


@pytest.mark.parametrize("place", [PRE_COMMIT, COMMIT])
def test_a_subscription_confirms_nothing_behind_the_lapse(
    server: Server, subscriber: Server, copies: None, place: int
) -> None:
    """S2: neither when the record came too late, nor when only the word about it does; nor by a later worker."""
    pid = until("a worker applies", lambda: applier(subscriber), 30)
    key, before, said = 10 + place, subscriber.probe.acked_lsn, said_before(subscriber)
    subscriber.probe.at(place, pid)
    end = insert_at(server, key)
    subscriber.probe.wait_arrived()
    wait_ended(subscriber, pid, said)
    assert confirmed(server) < end
    if place == PRE_COMMIT:
        assert subscriber.probe.acked_lsn == before
    wait_copied(subscriber, key)
    until("the publisher knows", lambda: confirmed(server) >= end, 20)


def test_a_prepared_commit_is_not_confirmed_either(server: Server, subscriber: Server, copies: None) -> None:
    pid = until("a worker applies", lambda: applier(subscriber), 30)
    server.sql("BEGIN; INSERT INTO copied VALUES (20); PREPARE TRANSACTION 'late'")
    prepared = "SELECT count(*) FROM pg_prepared_xacts"
    until("it is prepared there", lambda: subscriber.sql(prepared) == [(1,)], 20)
    said, watermark = said_before(subscriber), subscriber.probe.acked_lsn
    subscriber.probe.at(PRE_COMMIT, pid)
    server.sql("COMMIT PREPARED 'late'")
    end = position(server)
    subscriber.probe.wait_arrived()
    wait_ended(subscriber, pid, said)
    assert confirmed(server) < end
    assert subscriber.probe.acked_lsn == watermark
    wait_copied(subscriber, 20)


@pytest.mark.skipif(programs.major() < 16, reason="workers apply in parallel since 16")
def test_nor_what_a_parallel_worker_applied(server: Server, subscriber: Server, copies: None) -> None:
    """S2: its leader confirms it."""
    large = "SET debug_logical_replication_streaming = immediate" if programs.major() >= 17 else (
        "SET logical_decoding_work_mem = '64kB'"
    )
    server.sql(f"ALTER SYSTEM {large}")
    server.sql("SELECT pg_reload_conf()")
    try:
        server.sql("INSERT INTO copied SELECT * FROM generate_series(1001, 6000)")
        wait_copied(subscriber, 6000)
        pid = until("a worker applies in parallel", lambda: applier(subscriber, parallel=True), 30)
        subscriber.probe.at(PRE_COMMIT, pid)
        server.sql("INSERT INTO copied SELECT * FROM generate_series(6001, 12000)")
        end = position(server)
        subscriber.probe.wait_arrived()
        until("the worker is gone", lambda: is_gone(pid), 10)
        assert confirmed(server) < end
        wait_copied(subscriber, 12000)
    finally:
        server.sql("ALTER SYSTEM RESET ALL")
        server.sql("SELECT pg_reload_conf()")


def launch(subscriber: Server) -> int:
    return subscriber.sql("SELECT launch()")[0][0]


def test_a_worker_s_commit_raises_the_ack_watermark(subscriber: Server, copies: None) -> None:
    """S2: an extension's worker that commits by SPI tells by ways that are not ours."""
    pid = launch(subscriber)
    before = position(subscriber)
    subscriber.probe.let_worker_commit()
    until("it is told", lambda: subscriber.probe.worker_told, 10)
    until("the worker is gone", lambda: is_gone(pid), 10)
    assert subscriber.probe.acked_lsn > before


def test_a_worker_ends_before_it_tells(subscriber: Server, copies: None) -> None:
    """S2: its commit came too late: the row is there, and the worker is gone before its next step."""
    pid = launch(subscriber)
    rows, watermark = subscriber.sql("SELECT count(*) FROM worked"), subscriber.probe.acked_lsn
    subscriber.probe.at(PRE_COMMIT, pid)
    subscriber.probe.let_worker_commit()
    subscriber.probe.wait_arrived()
    until("the worker is gone", lambda: is_gone(pid), 10)
    assert not subscriber.probe.worker_told
    assert subscriber.probe.acked_lsn == watermark
    assert subscriber.sql("SELECT count(*) FROM worked")[0][0] == rows[0][0] + 1


# --- replication


def test_a_logical_walsender_ends(server: Server, wire: Wire) -> None:
    """S2: what a subscriber receives counts as acknowledged; after the lapse it gets nothing."""
    server.sql("CREATE PUBLICATION everything FOR ALL TABLES")
    connection = server.connect(connection_factory=psycopg2.extras.LogicalReplicationConnection)
    cursor = connection.cursor()
    cursor.create_replication_slot("fence_slot", output_plugin="pgoutput")
    cursor.start_replication("fence_slot", options={"proto_version": "1", "publication_names": "everything"})
    wire.query("INSERT INTO t VALUES ('decoded')")
    got: list[bytes] = []
    until("the row is streamed", lambda: receive(cursor, got) and any(b"decoded" in line for line in got), 10)

    # Behind the fence's test and before the record: a record may leave while the fence is open.
    server.probe.at(PRE_COMMIT, wire.pid)
    wire.send(simple("INSERT INTO t VALUES ('hidden')"))
    assert wire.until_end() == "."
    with pytest.raises(psycopg2.Error):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            receive(cursor, got)
            time.sleep(0.01)
    assert not any(b"hidden" in line for line in got)
    connection.close()
    until("the slot is free", lambda: server.sql("SELECT 1 FROM pg_replication_slots WHERE NOT active AND slot_name = 'fence_slot'"), 10)
    server.sql("SELECT pg_drop_replication_slot('fence_slot')")
    server.sql("DROP PUBLICATION everything")


def receive(cursor, got: list[bytes]) -> bool:
    while message := cursor.read_message():
        got.append(message.payload)
    return True


def test_a_physical_walsender_passes(server: Server, wire: Wire) -> None:
    """S2b: standbys get the WAL of a fenced primary."""
    server.probe.shut()
    connection = server.connect(connection_factory=psycopg2.extras.PhysicalReplicationConnection)
    cursor = connection.cursor()
    cursor.execute("IDENTIFY_SYSTEM")
    assert cursor.fetchone()[1] == 1
    cursor.start_replication(start_lsn="0/1000000")
    until("WAL comes", lambda: cursor.read_message() is not None, 10)
    connection.close()
