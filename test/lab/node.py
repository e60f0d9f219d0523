"""One node: its directories, its settings, its supervisor, and everything that lives on it."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from . import ports, process, programs
from .session import Session
from .wait import now, until

LOCK_CHILD = "fawkes_ha lock"  # the process that does the lock's input and output

# What a node is, in one row.
STANDING = """
SELECT CASE WHEN NOT pg_is_in_recovery() THEN 'primary'
            WHEN EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming') THEN 'streams'
            ELSE 'standby' END,
       coalesce((SELECT sender_port FROM pg_stat_wal_receiver), 0)
"""

# A standby must not have less of these than its primary; the supervisor's defaults are generous.
STANDBY_LIMITS = (
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
)


class Node:
    """`fawkes-ha run` over <directory>/data, with its state directory beside it."""

    def __init__(self, name: str, directory: Path, sockets: Path, port: int, settings: dict[str, str]) -> None:
        self.name = name
        self.directory = directory
        self.data = directory / "data"
        self.state = directory / "data.fawkes_ha"
        self.log = directory / "log"
        self.sockets = sockets
        self.port = port
        self.settings = {
            # Before `settings`: whoever makes a node may want any of them otherwise.
            "fawkes_ha.member_name": name,
            "fawkes_ha.address": f"127.0.0.1:{port}",
            "port": str(port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(sockets),
            # All nodes of a machine have the same default.
            "fawkes_ha.exporter_listen": "",
            **({"dynamic_library_path": f"{programs.TREE}:$libdir"} if programs.TREE else {}),
            **settings,
        }
        self.listen_port: int | None = None  # of its HTTP listener
        self.exporter_port: int | None = None
        # Another build of the command, its options and its environment, for whoever wants one.
        self.program = programs.path("fawkes-ha")
        self.options: tuple[str | Path, ...] = ()
        self.environment: dict[str, str] = {}  # more than the lab's own, for its processes
        self._supervisor: subprocess.Popen | None = None

    # --- its files

    def listen_on(self, port: int) -> None:
        self.listen_port = port
        self.settings["fawkes_ha.listen"] = f"127.0.0.1:{port}"

    def export_on(self, port: int) -> None:
        self.exporter_port = port
        self.settings["fawkes_ha.exporter_listen"] = f"127.0.0.1:{port}"

    def prepare(self, replication_password: str) -> None:
        """Write what the supervisor needs before a data directory exists."""
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.write_settings()
        pgpass = self.state / "pgpass"
        pgpass.touch(mode=0o600)
        pgpass.write_text(f"*:*:*:fawkes_replication:{replication_password}\n")

    def write_settings(self, **more: str) -> None:
        text = programs.settings_text({**self.settings, **more})
        (self.state / "fawkes_ha.conf").write_text(text)

    # --- its processes

    def start(self, under: Sequence[str] = ()) -> None:
        """Start the supervisor, by a command that runs another one if `under` names it."""
        with open(self.log, "ab") as log:
            self._supervisor = subprocess.Popen(
                [*under, self.program, "run", "-D", self.data, *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Its own session: a Ctrl-C in the terminal is for the lab, not for the node.
                start_new_session=True,
                env={**os.environ, **self.environment, process.NODE_MARK: str(self.directory)},
            )
        (self.directory / "supervisor.pid").write_text(str(self._supervisor.pid))

    @property
    def supervisor_pid(self) -> int | None:
        """Of the running supervisor, also of one that an earlier lab has started and left."""
        try:
            pid = int((self.directory / "supervisor.pid").read_text())
        except (OSError, ValueError):
            return None
        found = process.look(pid)
        mine = found is not None and found.lives and process.works_under(pid, self.directory)
        return pid if mine else None

    @property
    def postmaster_pid(self) -> int | None:
        try:
            pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None
        found = process.look(pid)
        return pid if found and found.lives and process.works_under(pid, self.directory) else None

    def pids(self) -> list[int]:
        """Everything on the node, its supervisor first and the postmaster next.

        That order matters to whoever kills: a supervisor that outlives its postmaster
        by a millisecond begins to act, which would be another event.
        """
        self.reap()
        everyone = process.look_at_all()
        found = {pid for pid in everyone if pid != os.getpid() and process.works_under(pid, self.directory)}
        first = [pid for pid in (self.supervisor_pid, self.postmaster_pid) if pid in found]
        for pid in list(found):
            found |= process.descendants(everyone, pid)
        return first + sorted(found - set(first))

    def lock_children(self) -> list[int]:
        everyone = process.look_at_all()
        return [pid for pid in self.pids() if pid in everyone and everyone[pid].name == LOCK_CHILD]

    def titled(self, text: str) -> list[int]:
        """Processes that show `text` in their title, as PostgreSQL's do ("postgres: checkpointer")."""
        return [pid for pid in self.pids() if text in process.title(pid)]

    def reap(self) -> int | None:
        """The supervisor's exit status, if we started it and it has ended."""
        return self._supervisor.poll() if self._supervisor else None

    def freeze(self) -> None:
        process.stop_all(self.pids)

    def thaw(self) -> None:
        process.send(reversed(self.pids()), signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL for everything on the node, as a power cut would."""
        process.kill_all(self.pids)

    def terminate(self) -> None:
        """Ask the supervisor to end; does not wait."""
        if pid := self.supervisor_pid:
            process.send([pid], signal.SIGTERM)

    def stop_at_once(self) -> None:
        """A second request does not wait for the checkpoint before the shutdown; returns when PostgreSQL stops."""

        def ask() -> bool:
            self.terminate()
            return "stopping" in (self.data / "postmaster.pid").read_text()

        until(f"{self.name}'s PostgreSQL stops", ask, 30)

    def wait_ended(self, seconds: float = 60) -> int | None:
        """Until the supervisor has ended; its exit status, when we are its parent."""
        until(f"{self.name}'s supervisor ends", lambda: self.supervisor_pid is None, seconds)
        # One that is about to be gone shows nothing of itself any more, and cannot be reaped yet.
        return self._supervisor.wait(5) if self._supervisor else None

    def stop(self, seconds: float = 60) -> int | None:
        self.terminate()
        return self.wait_ended(seconds)

    # --- its answers

    @property
    def socket_dsn(self) -> str:
        """As superuser, by peer over the socket."""
        return f"host={self.sockets} port={self.port} user=postgres dbname=postgres application_name=lab"

    def session(self, timeout: float = 2, database: str = "postgres") -> Session:
        return Session(f"{self.socket_dsn} dbname={database}", timeout)

    def value(self, sql: str, args: tuple = (), timeout: float = 10):
        """One value, as superuser, over a connection of its own."""
        with self.session() as session:
            return session.value(sql, args or None, timeout)

    def standing(self) -> tuple[str, int]:
        """'primary', 'streams' or 'standby', and the port of the server that it streams from."""
        with self.session(1) as session:
            return session.query(STANDING, timeout=1)[0]

    def command(self, *words: str, timeout: float = 120) -> subprocess.CompletedProcess:
        """`fawkes-ha <words> -D <data>`, as typed on this node."""
        return programs.run("fawkes-ha", *words, "-D", self.data, timeout=timeout)

    def wait_for_extension(self, seconds: float = 120) -> None:
        """In the database postgres, from the primary's maintenance worker."""
        has = "SELECT count(*) FROM pg_extension WHERE extname = 'fawkes_ha'"
        until(f"{self.name} has the extension", lambda: self.value(has) == 1, seconds)

    def wait_for_log(self, text: str, seconds: float = 60, since: int = 0) -> str:
        """Until the log has a line with `text` behind offset `since`; that line."""

        def find() -> str | None:
            with open(self.log, errors="replace") as log:
                log.seek(since)
                return next((line for line in log if text in line), None)

        return until(f"{self.name} logs {text!r}", find, seconds)


class PlainNode(Node):
    """A standby that pg_ctl runs, without a supervisor; its settings stand in postgresql.conf."""

    def clone(self, source: Node) -> None:
        """pg_basebackup from `source`, then our own settings behind the leader's."""
        pgpass = self.state / "pgpass"
        upstream = f"host=127.0.0.1 port={source.port} user=fawkes_replication passfile={pgpass}"
        programs.must_run("pg_basebackup", "-D", self.data, "-d", upstream, "-c", "fast", "-X", "stream")
        limits = {name: source.value(f"SHOW {name}") for name in STANDBY_LIMITS}
        with open(self.data / "postgresql.conf", "a") as conf:
            conf.write("shared_preload_libraries = 'fawkes_ha'\n")
            conf.write(programs.settings_text({**limits, **self.settings, "primary_conninfo": upstream}))
            conf.write(f"include_if_exists '{self.state}/follow.conf'\n")
        (self.data / "standby.signal").touch()

    def start(self) -> None:
        programs.must_run(
            "pg_ctl", "start", "-w", "-D", self.data, "-l", self.log, env={process.NODE_MARK: str(self.directory)}
        )

    def terminate(self) -> None:
        if pid := self.postmaster_pid:
            process.send([pid], signal.SIGINT)

    def wait_ended(self, seconds: float = 60) -> int | None:
        until(f"{self.name}'s postmaster ends", lambda: self.postmaster_pid is None, seconds)
        return None


def free_ports(count: int, start: int) -> list[int]:
    """Ports of 127.0.0.1 without a listener, from `start` up, and then from the first of this process's own.

    A `start` that is not one of its own ports stands for the one as far behind its first as `start` is behind the lab's.
    """
    own = ports.own()
    if start not in own:
        start = own.start + (start - ports.FIRST) % len(own)
    found: list[int] = []
    for port in [*range(start, own.stop), *range(own.start, start)]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"of the ports {own.start} to {own.stop - 1} fewer than {count} are free")


def wait_gone(nodes: list[Node], seconds: float = 10) -> None:
    """Give what is left of ended nodes a moment, then SIGKILL it."""
    deadline = now() + seconds
    while now() < deadline and any(node.pids() for node in nodes):
        time.sleep(0.05)
    for node in nodes:
        node.kill()
