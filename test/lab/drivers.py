"""Real drivers as writers: each a program of its own (test/drivers), judged by what it was told.

Debian's psycopg and asyncpg are there wherever ./check has run.  test/drivers.sh prepares newer ones and
those of other languages in a folder that FAWKES_DRIVERS names.
"""

import importlib.util
import os
import subprocess
import threading
from pathlib import Path

from . import programs
from .cluster import APPLICATION, Cluster
from .load import Ack
from .wait import now, until

SOURCES = Path(__file__).parent.parent / "drivers"
IDS_PER_DRIVER = 10**10


def _python(name: str, more: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    return ["/usr/bin/python3", "-u", str(SOURCES / "python" / f"with_{name}.py")], more


def available() -> dict[str, tuple[list[str], dict[str, str]]]:
    """The command and the environment of each driver that is there, by its name."""
    found = {}
    prepared = os.environ.get("FAWKES_DRIVERS")
    if prepared:
        folder = Path(prepared)
        newer = {"PYTHONPATH": str(folder / "python")}
        return {
            "psycopg": _python("psycopg", newer),
            "asyncpg": _python("asyncpg", newer),
            "pgx": ([str(folder / "pgx" / "writer")], {}),
            "node-postgres": (["node", str(folder / "node" / "writer.js")], {}),
            "pgjdbc": (["java", "-cp", f"{folder}/jdbc:{folder}/jdbc/jars/*", "Writer"], {}),
        }
    for name, module in (("psycopg", "psycopg_pool"), ("asyncpg", "asyncpg")):
        if importlib.util.find_spec(module):
            found[name] = _python(name, {})
    return found


class Driver:
    """One program that writes until it is ended."""

    def __init__(self, name: str, number: int, cluster: Cluster, writers: int = 3) -> None:
        command, environment = available()[name]
        self.name = name
        self.acks: list[Ack] = []
        self.errors: list[str] = []
        self._log = cluster.base / f"driver-{name}.log"
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **environment},
            )
        task = {
            "hosts": ",".join(f"127.0.0.1:{node.port}" for node in cluster.nodes),
            "user": APPLICATION,
            "password": cluster.passwords["application"],
            "database": APPLICATION,
            "first_id": (number + 1) * IDS_PER_DRIVER,
            "writers": writers,
        }
        assert self._process.stdin is not None
        self._process.stdin.write("".join(f"{key} {value}\n" for key, value in task.items()) + "\n")
        self._process.stdin.flush()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "ack":
                number, port, timeline, transaction, position, backend = map(int, rest.split())
                self.acks.append(Ack(now(), number, 0, port, timeline, transaction, position, backend))
            elif word == "error":
                self.errors.append(rest)

    def wait_for_acks_of(self, port: int, count: int, seconds: float) -> None:
        """Until the server on `port` has acknowledged `count` more of its rows."""
        begin = len(self.acks)

        def enough() -> bool:
            return sum(ack.port == port for ack in self.acks[begin:]) >= count

        try:
            until(f"{self.name}: the server on port {port} acknowledges rows", enough, seconds)
        except TimeoutError as error:
            last = self.errors[-1] if self.errors else programs.tail(self._log, 5)
            raise TimeoutError(f"{error} (its last error: {last})") from None

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(10)
