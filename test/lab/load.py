"""Writers: several connections that insert rows and note every acknowledgement.

A row is acknowledged when its COMMIT (or its INSERT outside a transaction block)
came back as done.  A row whose connection broke before that answer is unknown, and
nothing is claimed about it.  A writer that loses patience with a silent server moves on,
but its connection stays open and is watched: an acknowledgement that comes late counts,
and it is the one that a stopped primary must not send when it wakes.
"""

import itertools
import random
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Iterator

from .cluster import Cluster
from .session import Error, Session, Silent
from .wait import now, until

# RETURNING is evaluated after the row is in the WAL buffers and before the commit
# record exists, so `position` lies at or before the start of the commit record.
INSERT = """
INSERT INTO ledger (id, round, payload) VALUES (%s, %s, %s)
RETURNING inet_server_port(),
          ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int,
          pg_current_xact_id()::text::bigint,
          (pg_current_wal_insert_lsn() - '0/0')::bigint
"""

PATIENCE_S = 1.5  # with a statement: less than a lease, more than a busy disk needs
IDS_PER_WRITER = 10**10
IDS_PER_LOAD = 10**12


@dataclass(frozen=True, slots=True)
class Ack:
    """One acknowledged row, as its client saw it."""

    at: float  # CLOCK_MONOTONIC when the acknowledgement was read
    id: int
    round: int
    port: int  # the server that acknowledged
    timeline: int  # on which it was then
    transaction: int
    position: int  # WAL position at or before its commit record
    backend: int  # process that acknowledged


@dataclass(slots=True)
class Attempt:
    """A row on its way: what is known of it before its acknowledgement."""

    session: Session
    id: int
    round: int
    returned: tuple[int, int, int, int] | None = None  # INSERT's answer inside a block
    may_be_acked: bool = False  # the statement in flight would acknowledge the row


class Load:
    _count = itertools.count()  # so that two loads on one cluster never use the same id

    def __init__(self, cluster: Cluster, writers: int = 6, payload: int = 200, rest_s: float = 0) -> None:
        """Each writer rests `rest_s` seconds after a row that was acknowledged."""
        self._first_id = next(self._count) * IDS_PER_LOAD
        # Python's default of 5 ms between threads would blur times that are given in milliseconds.
        sys.setswitchinterval(0.0005)
        self.writers = writers
        self._cluster = cluster
        self._payload = "x" * payload
        self._rest_s = rest_s
        self._busy: set[int] = set()  # writers with a row on its way
        self._ended = threading.Event()
        self._running = threading.Event()
        self._running.set()
        self._threads = [threading.Thread(target=self._write, args=(n,), daemon=True) for n in range(writers)]
        self._threads.append(threading.Thread(target=self._watch_silent, daemon=True))
        self._silent: list[Attempt] = []  # their writers have moved on
        self.acks: list[Ack] = []  # appended by all writers, in the order of `at` to within a thread switch
        self.round = 0
        self.last_error = ""

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        self.wait_for_acks(100)
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        self._ended.set()
        self._running.set()
        for thread in self._threads:
            thread.join(30)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nobody begins another row; those in flight may still arrive."""
        self._running.clear()
        try:
            yield
        finally:
            self._running.set()

    def wait_idle(self, seconds: float = 60) -> None:
        """While paused: until no row is on its way, so that what was acknowledged is all that ever will be."""
        until("no row is on its way", lambda: not self._busy and not self._silent, seconds)

    def take_acks(self) -> list[Ack]:
        """All acknowledgements so far, out of `acks`: a long run does not keep them for ever."""
        taken = self.acks[:]
        del self.acks[: len(taken)]
        return taken

    def begin_round(self) -> int:
        """Rows from now on carry a new number; those in flight may still carry the old one."""
        self.round += 1
        return self.round

    def wait_for_acks(self, count: int, seconds: float = 60) -> None:
        """Until `count` more rows are acknowledged."""
        goal = len(self.acks) + count
        try:
            until(f"{count} rows are acknowledged", lambda: len(self.acks) >= goal, seconds, every=0.02)
        except TimeoutError as error:
            raise TimeoutError(f"{error} (the writers' last error: {self.last_error})") from None

    def wait_for_server(self, port: int, since: float, seconds: float = 60) -> Ack:
        """The first row that the server on `port` acknowledged after `since`."""

        def find() -> Ack | None:
            newest_first = reversed(self.acks)
            recent = list(itertools.takewhile(lambda ack: ack.at > since - 1, newest_first))
            return next((ack for ack in reversed(recent) if ack.port == port and ack.at > since), None)

        return until(f"the server on port {port} acknowledges rows", find, seconds, every=0.02)

    # --- one writer

    def _write(self, number: int) -> None:
        next_id = self._first_id + number * IDS_PER_WRITER
        tries = number
        session: Session | None = None
        while not self._ended.is_set():
            attempt = None
            self._running.wait()
            self._busy.add(number)
            if not self._running.is_set():  # paused between the two lines above
                self._busy.discard(number)
                continue
            try:
                session = session or self._connect(tries)
                next_id += 1
                attempt = Attempt(session, next_id, self.round)
                self._insert(attempt, in_block=number % 2 == 1)
                self._busy.discard(number)
                if self._rest_s:
                    self._ended.wait(self._rest_s)
            except Error as error:
                self.last_error = str(error).strip()
                if attempt and attempt.may_be_acked and isinstance(error, Silent):
                    self._silent.append(attempt)
                elif session:
                    session.close()
                session = None
                self._busy.discard(number)
                tries += 1
                # Jitter: the writers must not come back in step, or the measured outage
                # would be a multiple of their pause.
                self._ended.wait(random.uniform(0.05, 0.15))
        if session:
            session.close()

    def _connect(self, tries: int) -> Session:
        """Through the application's own connection string, each time beginning with another host.

        A host that is stopped accepts and stays silent, and libpq waits for it as long as
        it is let: a short and random patience, so that some writer always asks the others.
        """
        nodes = self._cluster.nodes
        first = tries % len(nodes)
        return Session(self._cluster.dsn(nodes[first:] + nodes[:first]), random.uniform(0.15, 0.35))

    def _insert(self, attempt: Attempt, in_block: bool) -> None:
        session = attempt.session
        if in_block:
            session.query("BEGIN", timeout=PATIENCE_S)
        session.send(INSERT, (attempt.id, attempt.round, self._payload))
        attempt.may_be_acked = not in_block
        rows = session.receive(PATIENCE_S)
        if in_block:
            attempt.returned = rows[0]
            session.send("COMMIT")
            attempt.may_be_acked = True
            rows = session.receive(PATIENCE_S)
        self._note(attempt, rows)

    def _note(self, attempt: Attempt, rows: list[tuple]) -> None:
        """The statement that ends the transaction was answered without an error."""
        if attempt.session.command_tag not in ("COMMIT", "INSERT 0 1"):
            raise Error(f"the commit was answered with {attempt.session.command_tag}")
        returned = attempt.returned or rows[0]
        self.acks.append(Ack(now(), attempt.id, attempt.round, *returned, attempt.session.backend_pid))

    def _watch_silent(self) -> None:
        while not self._ended.is_set():
            for attempt in list(self._silent):
                try:
                    self._note(attempt, attempt.session.receive(timeout=0))
                except Silent:
                    continue
                except Error:
                    pass  # refused or hung up on: never acknowledged
                attempt.session.close()
                self._silent.remove(attempt)
            time.sleep(0.02)
