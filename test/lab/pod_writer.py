"""What runs in a writers' pod of the end-to-end tests: connections that insert rows, and a line for each that was
acknowledged.

    python3 pod_writer.py HOST DATABASE WRITERS RECONNECTING FIRST_NUMBER >LINES

The user and the password are the files username and password of /etc/credentials.  Every writer waits 2 s for a
connection and 3 s for an answer; RECONNECTING of them begin anew each second, the others keep their session for as
long as it answers.  A line: "time writer row server timeline position", the time of CLOCK_MONOTONIC when the answer
was read, the position one of the WAL at or before the commit record.
"""

import select
import sys
import threading
import time
from pathlib import Path

import psycopg2
import psycopg2.extensions

PATIENCE_S = 3.0
SESSION_S = 1.0
REST_S = 0.02

INSERT = """
INSERT INTO writes (writer, row) VALUES (%s, %s)
RETURNING host(inet_server_addr()), ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int,
          (pg_current_wal_insert_lsn() - '0/0')::bigint
"""

lines = threading.Lock()


def wait_with_patience(connection) -> None:
    """psycopg2's hook: a server that is silent is given up, whatever the kernel still hopes."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        state = connection.poll()
        if state == psycopg2.extensions.POLL_OK:
            return
        left = deadline - time.monotonic()
        reads = [connection] if state == psycopg2.extensions.POLL_READ else []
        writes = [connection] if state == psycopg2.extensions.POLL_WRITE else []
        if left <= 0 or not any(select.select(reads, writes, [], left)):
            raise psycopg2.OperationalError("silent")  # psycopg2 closes it then


def write(dsn: str, writer: int, session_s: float) -> None:
    # A pod that is started again does not repeat a row.
    row, connection, until = time.monotonic_ns(), None, 0.0
    while True:
        try:
            if connection is None or time.monotonic() > until:
                if connection is not None:
                    connection.close()
                connection = psycopg2.connect(dsn)
                connection.autocommit = True
                until = time.monotonic() + session_s
            row += 1
            with connection.cursor() as cursor:
                cursor.execute(INSERT, (writer, row))
                server, timeline, position = cursor.fetchone()
            at = time.monotonic()
            with lines:
                sys.stdout.write(f"{at:.6f} {writer} {row} {server} {timeline} {position}\n")
                sys.stdout.flush()
            time.sleep(REST_S)
        except psycopg2.Error:
            if connection is not None:
                connection.close()
            connection = None
            time.sleep(REST_S)


def main() -> None:
    host, database, count, reconnecting, first = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
    read = lambda name: Path("/etc/credentials", name).read_text().strip()  # noqa: E731
    dsn = (
        f"host={host} dbname={database} user={read('username')} password={read('password')} "
        f"sslmode=require connect_timeout=2 application_name=writer"
    )
    psycopg2.extensions.set_wait_callback(wait_with_patience)
    for number in range(count):
        session_s = SESSION_S if number < reconnecting else float("inf")
        threading.Thread(target=write, args=(dsn, first + number, session_s), daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
