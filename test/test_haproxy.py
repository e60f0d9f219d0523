"""A real HAProxy in front of three members: what it is told by /primary and /replica is enough."""

import itertools
import random
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from lab import evidence
from lab.cluster import APPLICATION, Cluster
from lab.load import PATIENCE_S, Ack
from lab.node import Node, free_ports
from lab.session import Error, Session
from lab.wait import now, until

README = Path(__file__).parent.parent / "README.md"
CONNECTING = README.parent / "docs" / "connecting.md"
LISTEN = True  # for the fixture `cluster`
SETTLE_S = 60
WRITERS = 4
first_rows = itertools.count(10**15, 10**14)  # of the writers of each test

INSERT = """
INSERT INTO ledger (id, round, payload) VALUES (%s, 0, 'through the proxy')
RETURNING inet_server_port(),
          ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int,
          pg_current_xact_id()::text::bigint, (pg_current_wal_insert_lsn() - '0/0')::bigint
"""


# What Debian's /etc/haproxy/haproxy.cfg has, whose end the README's sections are written for; with a session's limits
# of 1 s in place of 50 s, so that a section that does not set its own is noticed.
DEBIANS_DEFAULTS = """
defaults
    log global
    mode http
    option httplog
    option dontlognull
    timeout connect 5000
    timeout client 1000
    timeout server 1000
"""


def readme_backend(listen: str, port: int, nodes: list[Node]) -> str:
    """The README's section for `listen`, with this cluster's ports in place of its own."""
    text = README.read_text()
    section = text.split(f"listen {listen}\n", 1)[1].split("\n\n", 1)[0].split("```", 1)[0]
    kept = [line for line in section.splitlines() if not line.strip().startswith(("bind", "server "))]
    servers = [f"    server {n.name} 127.0.0.1:{n.port} check port {n.listen_port}" for n in nodes]
    return "\n".join([f"listen {listen}", f"    bind 127.0.0.1:{port}", *kept, *servers]) + "\n"


class Proxy:
    def __init__(self, directory: Path, nodes: list[Node]) -> None:
        self.writes, self.reads = free_ports(2, max(node.listen_port for node in nodes) + 1)
        self._config = directory / "haproxy.cfg"
        self.log = directory / "haproxy.log"
        self._config.write_text(
            DEBIANS_DEFAULTS
            + readme_backend("primary", self.writes, nodes)
            + readme_backend("replicas", self.reads, nodes)
        )

    def __enter__(self) -> "Proxy":
        program = shutil.which("haproxy", path="/usr/sbin:/usr/bin")
        assert program, "haproxy is missing: test/install.sh check installs it"
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(
                [program, "-db", "-f", self._config], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)


class Pooler:
    """PgBouncer before that proxy, as docs/connecting.md shows it."""

    def __init__(self, cluster: Cluster, proxy: Proxy, program: str) -> None:
        (self.port,) = free_ports(1, proxy.reads + 1)
        users = cluster.base / "users.txt"
        users.touch(mode=0o600)
        users.write_text(f'"{APPLICATION}" "{cluster.passwords["application"]}"\n')
        shown = CONNECTING.read_text().split("```ini\n", 1)[1].split("```", 1)[0]
        assert "port=5000 " in shown
        config = cluster.base / "pgbouncer.ini"
        config.write_text(
            shown.replace("port=5000 ", f"port={proxy.writes} ")
            + f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            + f"auth_type = plain\nauth_file = {users}\n"
        )
        self._command = [program, "-q", config]
        self._log = cluster.base / "pgbouncer.log"

    def __enter__(self) -> "Pooler":
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(30)


class Writers:
    """Each knows one address, the proxy's, and notes every acknowledged row."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._first_row = next(first_rows)
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(n,), daemon=True) for n in range(WRITERS)]
        self.acks: list[Ack] = []
        self.last_error = ""

    def __enter__(self) -> "Writers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(30)

    def _write(self, number: int) -> None:
        row = self._first_row + number * 10**12
        session: Session | None = None
        while not self._ended.is_set():
            try:
                session = session or Session(self._dsn, 2)
                row += 1
                rows = session.query(INSERT, (row,), timeout=PATIENCE_S)
                self.acks.append(Ack(now(), row, 0, *rows[0], session.backend_pid))
            except Error as error:
                self.last_error = str(error).strip()
                if session:
                    session.close()
                session = None
                self._ended.wait(random.uniform(0.05, 0.15))
        if session:
            session.close()

    def wait_for(self, node: Node, count: int = 50) -> None:
        """Until `node` has acknowledged that many rows from now on."""
        since = now()

        def enough() -> bool:
            return sum(ack.port == node.port and ack.at > since for ack in list(self.acks)) >= count

        try:
            until(f"{node.name} acknowledges through the proxy", enough, SETTLE_S)
        except TimeoutError as error:
            raise TimeoutError(f"{error} (the writers' last error: {self.last_error})") from None


def dsn(cluster: Cluster, port: int) -> str:
    password = cluster.passwords["application"]
    return (
        f"host=127.0.0.1 port={port} user={APPLICATION} dbname={APPLICATION} password={password} "
        "connect_timeout=2 sslmode=disable"
    )


def reader_port(cluster: Cluster, proxy: Proxy) -> int:
    with Session(dsn(cluster, proxy.reads), 2) as session:
        return session.value("SELECT inet_server_port() WHERE pg_is_in_recovery()", timeout=2)


def outlives_the_defaults(cluster: Cluster, port: int) -> str:
    with Session(dsn(cluster, port), 5) as session:
        return session.value("SELECT 'outlives the defaults' FROM pg_sleep(2)", timeout=30)


def test_haproxy_follows_failover_and_switchover(cluster: Cluster) -> None:
    """S1: a killed node, a switchover, a stopped node that wakes: nobody tells the proxy, no two acknowledge."""
    first = cluster.wait_all_stream()
    with Proxy(cluster.base, cluster.nodes) as proxy, Writers(dsn(cluster, proxy.writes)) as writers:
        writers.wait_for(first)
        ports = {node.port for node in cluster.others(first)}
        assert until("a replica answers", lambda: reader_port(cluster, proxy), SETTLE_S) in ports
        for port in (proxy.writes, proxy.reads):
            # A server that answers two checks too late on a busy machine loses its sessions; the defaults end each one.
            until("a statement outlives the defaults", lambda port=port: outlives_the_defaults(cluster, port), SETTLE_S)

        first.kill()
        second = cluster.wait_for_leader(besides=first)
        writers.wait_for(second)
        first.start()
        assert cluster.wait_all_stream() is second

        done = second.command("switchover")
        assert done.returncode == 0, done.stderr
        third = cluster.wait_for_leader(besides=second)
        writers.wait_for(third)
        cluster.wait_all_stream()

        third.freeze()
        try:
            fourth = cluster.wait_for_leader(besides=third)
            writers.wait_for(fourth)
        finally:
            third.thaw()
        cluster.wait_streams(third)
        writers.wait_for(cluster.wait_all_stream())
        until("a replica answers", lambda: reader_port(cluster, proxy) != cluster.find_leader().port, SETTLE_S)
    acks = sorted(writers.acks, key=lambda ack: ack.at)
    assert {ack.port for ack in acks} >= {first.port, second.port, third.port, fourth.port}
    assert evidence.overlap(acks) == 0
    servers: dict[int, set[int]] = {}
    for ack in acks:
        servers.setdefault(ack.timeline, set()).add(ack.port)
    assert all(len(ports) == 1 for ports in servers.values()), servers


def test_pgbouncer_before_haproxy_goes_on(cluster: Cluster) -> None:
    """Pooled clients write to the new primary after a switchover, and nothing that they were told is missing."""
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    first = cluster.wait_all_stream()
    with Proxy(cluster.base, cluster.nodes) as proxy, Pooler(cluster, proxy, program) as pooler:
        with Writers(dsn(cluster, pooler.port)) as writers:
            writers.wait_for(first)
            done = first.command("switchover")
            assert done.returncode == 0, done.stderr
            second = cluster.wait_for_leader(besides=first)
            writers.wait_for(second)
    assert evidence.overlap(sorted(writers.acks, key=lambda ack: ack.at)) == 0
    assert evidence.missing_rows(cluster, cluster.wait_all_stream(), writers.acks, 0) == []
