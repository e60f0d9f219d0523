"""psycopg 3 with its pool, as docs/connecting.md shows it."""

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg_pool import ConnectionPool

from common import LIMIT_S, RETURNING, Task, read_task, tell_ack, tell_error

INSERT = f"INSERT INTO ledger (id, round, payload) VALUES (%s, 0, 'psycopg') {RETURNING}"


class Connection(psycopg.Connection):
    """Tries each host by itself: a time limit of all together would end at a silent first one."""

    @classmethod
    def connect(cls, conninfo: str = "", **words):  # type: ignore[override]
        hosts, ports = words.pop("host").split(","), words.pop("port").split(",")
        for host, port in zip(hosts, ports):
            try:
                return super().connect(conninfo, host=host, port=port, **words)
            except psycopg.OperationalError as caught:
                error = caught
        raise error


@contextmanager
def limit(connection: psycopg.Connection) -> Iterator[None]:
    """End the connection when it is silent for too long: the kernel of a frozen node still answers for it."""

    def cut() -> None:
        with socket.socket(fileno=os.dup(connection.fileno())) as copy:
            copy.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(LIMIT_S, cut)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def write(pool: ConnectionPool, number: int) -> None:
    while True:
        number += 1
        try:
            with pool.connection(timeout=10) as connection:
                try:
                    with limit(connection):
                        row = connection.execute(INSERT, (number,)).fetchone()
                except psycopg.errors.ReadOnlySqlTransaction:
                    connection.close()  # not to go back into the pool
                    raise
            tell_ack(number, row)
        except Exception as error:  # noqa: BLE001: whatever it is, the harness judges by what was acknowledged
            tell_error(error)
            time.sleep(0.1)


def main(task: Task) -> None:
    words = {
        "host": ",".join(host for host, _ in task.hosts),
        "port": ",".join(str(port) for _, port in task.hosts),
        "user": task.user,
        "password": task.password,
        "dbname": task.database,
        "target_session_attrs": "read-write",
        "connect_timeout": LIMIT_S,
        "autocommit": True,
    }
    pool = ConnectionPool(
        connection_class=Connection,
        kwargs=words,
        min_size=task.writers,
        max_size=task.writers,
        max_lifetime=600,
        reconnect_timeout=5,
        open=True,
    )
    for number in range(task.writers):
        threading.Thread(target=write, args=(pool, task.first_id + number * 10**8), daemon=True).start()
    sys.stdin.read()
    os._exit(0)


main(read_task())
