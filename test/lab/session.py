"""A database connection every wait of which has a deadline.

libpq itself would wait for ever for a server that is stopped (SIGSTOP): its kernel
still answers for it, so neither keepalives nor tcp_user_timeout notice.  Hence
psycopg2's asynchronous mode, whose waits are ours.
"""

import select
from typing import Any, Sequence

import psycopg2
from psycopg2.extensions import POLL_OK, POLL_READ, POLL_WRITE

from .wait import now

Error = psycopg2.Error


class Silent(psycopg2.OperationalError):
    """The server did not answer before the deadline."""


class Session:
    """Every statement is a transaction of its own unless it says BEGIN itself."""

    def __init__(self, dsn: str, timeout: float = 5) -> None:
        self._connection = psycopg2.connect(dsn, async_=1)
        self._cursor = None
        try:
            self._wait(now() + timeout)
            self._cursor = self._connection.cursor()
        except BaseException:
            self.close()
            raise

    def send(self, sql: str, args: Sequence[Any] | None = None) -> None:
        """Start a statement; receive() brings its result."""
        self._cursor.execute(sql, args)

    def receive(self, timeout: float = 5) -> list[tuple]:
        self._wait(now() + timeout)
        return self._cursor.fetchall() if self._cursor.description else []

    def query(self, sql: str, args: Sequence[Any] | None = None, timeout: float = 5) -> list[tuple]:
        self.send(sql, args)
        return self.receive(timeout)

    def value(self, sql: str, args: Sequence[Any] | None = None, timeout: float = 5) -> Any:
        return self.query(sql, args, timeout)[0][0]

    @property
    def backend_pid(self) -> int:
        return self._connection.info.backend_pid

    @property
    def notices(self) -> list[str]:
        return self._connection.notices

    @property
    def command_tag(self) -> str:
        return self._cursor.statusmessage or ""

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wait(self, deadline: float) -> None:
        while (state := self._connection.poll()) != POLL_OK:
            left = deadline - now()
            if left <= 0:
                raise Silent("no answer from the server in time")
            # Asked anew each time: libpq changes it when it moves to the next host.
            descriptor = self._connection.fileno()
            select.select(
                [descriptor] if state == POLL_READ else [],
                [descriptor] if state == POLL_WRITE else [],
                [],
                left,
            )
