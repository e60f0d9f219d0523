"""What each program of this folder is told, and how it tells what it heard.

Standard input: lines "KEY VALUE" up to an empty one; the end of it ends the program.
Standard output: "ack ID PORT TIMELINE TRANSACTION POSITION BACKEND" for each row that was
acknowledged, "error SQLSTATE TEXT" for each that was not.
"""

import os
import sys
from dataclasses import dataclass

# How long a statement, or a connection to one host, may take.
LIMIT_S = 2

RETURNING = """
RETURNING inet_server_port(),
          ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int,
          pg_current_xact_id()::text::bigint,
          (pg_current_wal_insert_lsn() - '0/0')::bigint,
          pg_backend_pid()
"""


@dataclass
class Task:
    hosts: list[tuple[str, int]]
    user: str
    password: str
    database: str
    first_id: int
    writers: int


def read_task() -> Task:
    words = {}
    while line := sys.stdin.readline().strip():
        key, value = line.split(" ", 1)
        words[key] = value
    hosts = [(host, int(port)) for host, port in (pair.split(":") for pair in words["hosts"].split(","))]
    return Task(
        hosts, words["user"], words["password"], words["database"], int(words["first_id"]), int(words["writers"])
    )


def tell(*words: object) -> None:
    """A whole line at once: threads write beside each other."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def tell_ack(number: int, row: tuple) -> None:
    tell("ack", number, *row)


def tell_error(error: BaseException) -> None:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    tell("error", getattr(error, "sqlstate", None) or "-", text)
