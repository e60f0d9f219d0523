"""Three nodes over one directory lock, and what everybody asks of them."""

import fcntl
import json
import os
import secrets
import shutil
from pathlib import Path

from . import process, programs
from .faults import Faults
from .node import Node, free_ports, wait_gone
from .session import Session
from .wait import until

LEASE_S = 3.0  # the directory lock's defaults
RENEW_DEADLINE_S = 2.0

CLUSTER_NAME = "db-demo-dev"
APPLICATION = "app"  # role and database of the writers
# What the load's sessions meet by the hundred: it would push everything else out of the end of a log.
OF_CLIENTS = (
    "could not receive data from client",
    "this server may not act as the primary at the moment",
    "Its lease on the cluster is not known to be valid",
    "FATAL:  the database system is",
)
KEPT = "kept"  # file in a cluster's directory: it was left up on purpose

TABLES = """
CREATE TABLE ledger (id bigint PRIMARY KEY, round int NOT NULL, payload text NOT NULL);
CREATE TABLE filler (id int, payload text);
"""


class Cluster:
    """Everything lies in `base`; nothing outside it is touched."""

    lock_kind = "directory"
    lease_s = LEASE_S
    renew_deadline_s = RENEW_DEADLINE_S

    def __init__(
        self,
        base: Path,
        names: tuple[str, ...] = ("n1", "n2", "n3"),
        first_port: int = 5501,
        settings: dict[str, str] | None = None,
        ports: list[int] | None = None,
        passwords: dict[str, str] | None = None,
        listen: bool = False,
        export: bool = False,
    ) -> None:
        self.base = base.absolute()
        self.lock = self.base / "lock"
        self.sockets = self.base / "s"
        self.passwords = passwords or {"replication": secrets.token_hex(16), "application": secrets.token_hex(16)}
        self._settings = settings or {}
        shared = {"fawkes_ha.cluster_name": CLUSTER_NAME, "fawkes_ha.lock": f"dir:{self.lock}", **self._settings}
        self.nodes = [
            # One explicit instruction to make a cluster; the others clone from whoever leads.
            Node(name, self.base / name, self.sockets, port, {**shared, "fawkes_ha.bootstrap": first})
            for name, port, first in zip(names, ports or free_ports(len(names), first_port), self._bootstraps())
        ]
        if listen:
            for node, port in zip(self.nodes, free_ports(len(names), max(node.port for node in self.nodes) + 1)):
                node.listen_on(port)
        if export:
            for node, port in zip(self.nodes, free_ports(len(names), max(node.port for node in self.nodes) + 100)):
                node.export_on(port)
        self.faults: dict[Node, Faults] = {}  # of the nodes whose processes can be given some
        # The kernel allows 107 bytes for "<directory>/.s.PGSQL.<port>".
        if len(str(self.sockets)) > 85:
            raise ValueError(f"path too long for a socket: {self.sockets}")

    @staticmethod
    def _bootstraps():
        yield "initdb"
        while True:
            yield "none"

    # --- life

    @property
    def _file(self) -> Path:
        return self.base / "cluster.json"

    def keep(self) -> None:
        """Somebody wants to go on with it: no later run may sweep it away while it is up."""
        (self.base / KEPT).touch()

    @classmethod
    def is_kept(cls, base: Path) -> bool:
        """Is there a cluster in `base` that was kept, and is a process of it alive?"""
        cluster = cls.load(base) if (base / KEPT).exists() else None
        return cluster is not None and any(node.pids() for node in cluster.nodes)

    def create(self) -> None:
        """Empty directories and the settings of every node, in place of whatever an earlier lab left."""
        self.sweep(self.base)
        for directory in (self.base, self.lock, self.sockets):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file.write_text(
            json.dumps(
                {
                    "names": [node.name for node in self.nodes],
                    "ports": [node.port for node in self.nodes],
                    "settings": self._settings,
                    "passwords": self.passwords,
                }
            )
        )
        self._file.chmod(0o600)
        for node in self.nodes:
            node.prepare(self.passwords["replication"])

    @classmethod
    def load(cls, base: Path) -> "Cluster | None":
        """The cluster that an earlier run has left in `base`."""
        try:
            saved = json.loads((base / "cluster.json").read_text())
        except OSError:
            return None
        return cls(
            base, tuple(saved["names"]), settings=saved["settings"], ports=saved["ports"], passwords=saved["passwords"]
        )

    @staticmethod
    def sweep(base: Path) -> None:
        """End and remove what an earlier run left in `base`: what carries its mark, nothing else."""
        if not (base / "cluster.json").exists():
            return

        def leftovers() -> list[int]:
            me = os.getpid()
            return [pid for pid in process.look_at_all() if pid != me and process.works_under(pid, base)]

        process.kill_all(leftovers)
        shutil.rmtree(base)

    def start(self, seconds: float = 180) -> Node:
        """Start all nodes; returns the leader when everybody else streams from it."""
        for node in self.nodes:
            node.start()
        leader = self.wait_for_leader(seconds)
        self._make_application(leader)
        self.wait_all_stream(seconds)
        return leader

    def stop(self, seconds: float = 60) -> None:
        """Fast shutdown of all, standbys first so that nobody fails over; then nothing is left."""
        leader = self.find_leader()
        for node in self.nodes:
            node.thaw()
        for node in sorted(self.nodes, key=lambda node: node is leader):
            try:
                node.stop(seconds)
            except TimeoutError:
                pass  # wait_gone kills it
        wait_gone(self.nodes)

    def destroy(self) -> None:
        """At once, with its files; for a test's end."""
        for node in self.nodes:
            node.kill()
        shutil.rmtree(self.base, ignore_errors=True)

    def _make_application(self, leader: Node) -> None:
        """The writers' role and database; they log in with a password, as an application does."""
        with leader.session() as session:
            password = self.passwords["application"]
            session.query(f"CREATE ROLE {APPLICATION} LOGIN PASSWORD '{password}'", timeout=30)
            session.query(f"CREATE DATABASE {APPLICATION} OWNER {APPLICATION}", timeout=60)
        with Session(self.dsn([leader]), 10) as session:
            session.query(TABLES, timeout=30)

    # --- questions

    def dsn(self, nodes: list[Node] | None = None, writable: bool = True) -> str:
        """The application's connection string: every host, and libpq finds the one that takes writes."""
        nodes = nodes or self.nodes
        hosts = ",".join("127.0.0.1" for _ in nodes)
        ports = ",".join(str(node.port) for node in nodes)
        wanted = " target_session_attrs=read-write" if writable else ""
        return (
            f"host={hosts} port={ports} user={APPLICATION} dbname={APPLICATION} "
            f"password={self.passwords['application']} connect_timeout=2 sslmode=disable{wanted}"
        )

    def node(self, name_or_port: str | int) -> Node:
        return next(node for node in self.nodes if name_or_port in (node.name, node.port))

    def others(self, *nodes: Node) -> list[Node]:
        return [node for node in self.nodes if node not in nodes]

    def find_leader(self, besides: Node | None = None) -> Node | None:
        """The node, not `besides`, that takes writes at this moment; not merely one that is out of recovery."""
        for node in self.nodes if besides is None else self.others(besides):
            try:
                with node.session(1) as session:
                    if session.value("SELECT pg_is_in_recovery()", timeout=1):
                        continue
                    # A transaction id makes it a write, so that the fence has its say at commit.
                    session.query("SELECT pg_current_xact_id()", timeout=1)
                    return node
            except Exception:  # noqa: BLE001: down, silent or fenced: not the leader
                continue
        return None

    def wait_for_leader(self, seconds: float = 60, besides: Node | None = None) -> Node:
        what = f"a node other than {besides.name} leads" if besides else "a node leads"
        return until(what, lambda: self.find_leader(besides), seconds)

    def streams(self, node: Node, leader: Node) -> bool:
        return node.standing() == ("streams", leader.port)

    def wait_streams(self, node: Node, seconds: float = 120) -> None:
        """Until `node` is a standby that streams from whoever leads now."""

        def check() -> bool:
            leader = self.find_leader()
            return leader is not None and leader is not node and self.streams(node, leader)

        until(f"{node.name} streams from the leader", check, seconds)

    def wait_all_stream(self, seconds: float = 120) -> Node:
        """Until one leads and everybody else streams from it; the leader."""

        def check() -> Node | None:
            leader = self.find_leader()
            return leader if leader and all(self.streams(node, leader) for node in self.others(leader)) else None

        return until("one node leads and the others stream", check, seconds)

    def wait_all_equal(self, seconds: float = 120) -> int:
        """Until every node shows the same ledger (nobody writes now); the number of its rows."""
        question = "SELECT count(*), coalesce(sum(hashint8(id)::bigint), 0)::text FROM ledger"

        def check() -> tuple:
            answers = set()
            for node in self.nodes:
                with Session(self.dsn([node], writable=False), 2) as session:
                    answers.add(session.query(question, timeout=20)[0])
            if len(answers) > 1:
                raise ValueError(f"the nodes differ: {answers}")
            return answers.pop()

        return until("every node has the same rows", check, seconds, every=0.3)[0]

    def timeline(self, node: Node) -> int:
        return node.value("SELECT ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int")

    # --- load

    def fill_wal(self, leader: Node, size: int) -> None:
        """Write until `size` bytes of WAL lie behind the last checkpoint and the standbys have them."""
        behind = "SELECT (pg_current_wal_insert_lsn() - redo_lsn)::bigint FROM pg_control_checkpoint()"
        with Session(self.dsn([leader]), 10) as session, leader.session() as admin:
            session.query("TRUNCATE filler", timeout=60)
            while admin.value(behind, timeout=30) < size:
                session.query(
                    "INSERT INTO filler SELECT g, repeat(md5(g::text), 31) FROM generate_series(1, 10000) AS g",
                    timeout=60,
                )
            end = admin.value("SELECT pg_current_wal_insert_lsn()::text")
            flushed = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND flush_lsn >= %s::pg_lsn"
            until(
                "the standbys have what was loaded",
                lambda: admin.value(flushed, (end,), timeout=10) >= len(self.nodes) - 1,
                120,
            )

    # --- for people

    def status_table(self) -> str:
        for node in self.nodes:
            done = node.command("status", timeout=30)
            if done.returncode == 0:
                return done.stdout.rstrip()
        return done.stdout + done.stderr

    def log_tails(self, lines: int = 40) -> str:
        return "\n".join(
            f"--- {node.name}: {node.log}\n{programs.tail(node.log, lines, OF_CLIENTS)}" for node in self.nodes
        )


class Alone:
    """Only one lab at a time works in a directory."""

    def __init__(self, base: Path) -> None:
        base.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(base.with_name(base.name + ".busy"), "w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"another run is at work in {base}") from None
