"""Attacks on one backend around its commit: stopped at a place, for longer than the lease.

As in test_fence.py the test moves the fence; src/test/shim stops the backend inside a call of
the C library, which is where no hook of PostgreSQL stands.
"""

import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

import pytest

from lab import programs
from lab import shim as shims
from lab.shim import Shim, let_go
from lab.wait import until
from test_fence import PRE_COMMIT, PROBE, STOP, Server, Wire, error_of, is_there, simple

TABLES = 2000


@pytest.fixture(scope="module")
def shim():
    base = Path(tempfile.mkdtemp(prefix="fh-", dir=os.environ.get("FAWKES_TEST_DIR", "/tmp")))
    yield Shim(base / "shim")
    shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="module")
def server(shim: Shim):
    programs.make(PROBE, "fence_probe.so")
    base = Path(tempfile.mkdtemp(prefix="fh-", dir=os.environ.get("FAWKES_TEST_DIR", "/tmp")))
    server = None
    try:
        server = Server(base, shim.environment).start()
        server.sql("CREATE TABLE t (what text)")
        yield server
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
    server.probe.open()


def lapse(server: Server) -> None:
    """The deadline passes: nobody acts, the time alone shuts the fence."""
    server.probe.open(1)
    lapsed = time.clock_gettime(time.CLOCK_BOOTTIME) + 0.01
    until("the lease has lapsed", lambda: time.clock_gettime(time.CLOCK_BOOTTIME) > lapsed, 10)


def stop_across_a_lapse(server: Server, shim: Shim, wire: Wire, statement: str, call: int, skip: int = 0) -> str:
    """The kinds of all messages that a client gets whose backend was stopped in `call`."""
    shim.stop_in(call, wire.pid, skip)
    wire.send(simple(statement))
    shim.wait_stopped()
    lapse(server)
    let_go(wire.pid)
    return wire.until_end()


# --- SIGSTOP inside COMMIT


def test_stopped_before_the_commit_record(server: Server, wire: Wire) -> None:
    """S2: a backend stopped behind the test at PRE_COMMIT writes its record when it wakes, and acknowledges nothing."""
    server.probe.at(PRE_COMMIT, wire.pid, STOP)
    wire.send(simple("INSERT INTO t VALUES ('before the record')"))
    server.probe.wait_arrived()
    os.kill(wire.pid, signal.SIGSTOP)
    server.probe.go_on()
    lapse(server)
    let_go(wire.pid)
    assert wire.until_end() == "."
    assert is_there(server, "before the record")


def test_stopped_after_the_commit_record(server: Server, shim: Shim, wire: Wire) -> None:
    """S1, S2: while the record is flushed."""
    answer = stop_across_a_lapse(server, shim, wire, "INSERT INTO t VALUES ('in its flush')", shims.FDATASYNC)
    assert answer == "."
    assert is_there(server, "in its flush")


def test_stopped_before_the_send_itself(server: Server, shim: Shim, wire: Wire) -> None:
    """What remains possible in async mode (docs/design.md, "What is promised"): the acknowledgement comes, late.

    No test can stand behind the last instruction before the send.
    """
    answer = stop_across_a_lapse(server, shim, wire, "INSERT INTO t VALUES ('late')", shims.SEND)
    assert answer == "CZ"
    assert error_of(wire.query("SELECT 1")) == "25006"
    assert is_there(server, "late")


def test_nothing_stands_between_the_clock_and_the_send(server: Server, shim: Shim, wire: Wire) -> None:
    """S2: the window of the test above holds no system call, so that it stays nanoseconds (make bench-window)."""
    shim.sample(wire.pid)
    for _ in range(200):
        assert error_of(wire.query("INSERT INTO t VALUES ('sampled')")) == ""
    assert len(shim.samples_ns) >= 200
    assert shim.calls_between == 0


# --- two phases


@pytest.mark.parametrize("statement", ["PREPARE TRANSACTION", "COMMIT PREPARED", "ROLLBACK PREPARED"])
def test_two_phases_across_a_lapse(server: Server, shim: Shim, wire: Wire, statement: str) -> None:
    """S2: stopped while its record is flushed, none of the three is acknowledged; each has happened."""
    word = statement.split()[0].lower()
    before = f"BEGIN; INSERT INTO t VALUES ('{word}')"
    if statement == "PREPARE TRANSACTION":
        wire.query(before)
    else:
        server.sql(f"{before}; PREPARE TRANSACTION '{word}'")
    answer = stop_across_a_lapse(server, shim, wire, f"{statement} '{word}'", shims.FDATASYNC)
    assert answer == "."
    prepared = server.sql("SELECT gid FROM pg_prepared_xacts")
    assert prepared == ([(word,)] if statement == "PREPARE TRANSACTION" else [])
    if statement == "PREPARE TRANSACTION":
        server.sql(f"ROLLBACK PREPARED '{word}'")
    assert is_there(server, word) == (statement == "COMMIT PREPARED")


# --- a long way from the record to the acknowledgement


def test_drop_of_thousands_of_tables_across_a_lapse(server: Server, shim: Shim, wire: Wire) -> None:
    """S2: the files go one by one behind the record; stopped in the middle of them, past the lapse, it says nothing."""

    def for_each(action: str) -> str:
        return f"DO $$ BEGIN FOR i IN 1..{TABLES} LOOP EXECUTE format('{action}', i); END LOOP; END $$"

    assert error_of(wire.query(for_each("CREATE TABLE thousands%s (i int)"))) == ""
    wire.query("BEGIN")
    assert error_of(wire.query(for_each("DROP TABLE thousands%s"))) == ""
    assert stop_across_a_lapse(server, shim, wire, "COMMIT", shims.TRUNCATE, skip=TABLES // 2) == "."
    assert server.sql("SELECT count(*) FROM pg_class WHERE relname LIKE 'thousands%'") == [(0,)]
    assert error_of(Wire(server).query("CREATE TABLE after_them (i int)")) == ""


# --- wall clocks


@pytest.mark.parametrize("hours", [1, -1])
def test_a_step_of_the_wall_clock_moves_no_fence(server: Server, shim: Shim, wire: Wire, hours: int) -> None:
    """S3: the fence neither opens nor shuts when the wall clock jumps."""
    server.probe.open(5000)
    shim.shift_wall_clocks(hours * 3600)
    try:
        assert error_of(wire.query("INSERT INTO t VALUES ('stepped')")) == ""
        lapse(server)
        assert error_of(wire.query("INSERT INTO t VALUES ('stepped')")) == "25006"
    finally:
        shim.shift_wall_clocks(0)
