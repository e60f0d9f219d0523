"""A table is dropped, and comes back: backup, archive and recovery to the second before.  Called by ./demo --backup."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import programs
from lab.cluster import APPLICATION, Cluster
from lab.load import Load
from lab.node import Node, free_ports
from lab.report import Timeline
from lab.wait import now, until

ROWS = 100_000
ARCHIVED_S = 120


class Steps:
    """What each step took, for the table at the end."""

    def __init__(self, say: Timeline) -> None:
        self._say = say
        self._rows: list[tuple[str, float]] = []

    @contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        self._say(what)
        began = now()
        yield
        self._rows.append((what, now() - began))

    def table(self) -> str:
        width = max(len(what) for what, _ in self._rows)
        return "\n".join(f"{what:{width}}  {took:7.2f} s" for what, took in self._rows)


def rows_of(dsn_words: list[object]) -> str:
    return programs.must_run("psql", "-X", "-A", "-t", *dsn_words, "-c", "SELECT count(*), sum(id) FROM orders").strip()


def wait_archived(node: Node) -> None:
    """Everything up to now: the segment that is being written is ended, and sent."""
    with node.session() as admin:
        file = admin.value("SELECT pg_walfile_name(pg_switch_wal())")
        until(f"{file} is archived", lambda: admin.value("SELECT last_archived_wal >= %s FROM pg_stat_archiver", (file,)), ARCHIVED_S)


def start_beside(data: Path) -> list[object]:
    """A server of its own on what was restored, and how psql reaches it."""
    (port,) = free_ports(1, 5601)
    words = f"-c port={port} -c listen_addresses= -c unix_socket_directories={data.parent}"
    programs.must_run("pg_ctl", "-D", data, "-w", "-t", "120", "-l", data.parent / "restored.log", "-o", words, "start")
    reach = ["-h", data.parent, "-p", port, "-U", "postgres", "-d", APPLICATION]
    until(
        "recovery has ended",
        lambda: programs.must_run("psql", "-X", "-A", "-t", *reach, "-c", "SELECT pg_is_in_recovery()").strip() == "f",
        ARCHIVED_S,
    )
    return reach


def comes_back(base: Path, first_port: int, settings: dict[str, str]) -> bool:
    """The same with a store that the settings name, on two nodes of its own."""
    cluster = Cluster(base, ("n1", "n2"), first_port, settings)
    try:
        cluster.create()
        cluster.start()
        return show(cluster, Timeline())
    except BaseException:
        print(cluster.log_tails(60))
        raise
    finally:
        cluster.destroy()


def show(cluster: Cluster, say: Timeline) -> bool:
    """On a cluster that has a store and runs.  Is the table back, and the cluster unharmed?"""
    steps = Steps(say)
    leader = cluster.wait_all_stream()
    restored = cluster.base / "restored"
    with leader.session(database=APPLICATION) as session:
        session.query(f"CREATE TABLE orders AS SELECT id, md5(id::text) AS what FROM generate_series(1, {ROWS}) id", timeout=60)
    with Load(cluster) as load:
        say(f"{load.writers} connections write; the table orders has {ROWS:,} rows")
        with steps("fawkes-ha backup: a base backup of a standby goes into the store"):
            programs.must_run("fawkes-ha", "backup", "-D", leader.data)
        with leader.session(database=APPLICATION) as session:
            target = session.value("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00:00'")
            say(f"the time is {target}; then somebody says DROP TABLE orders")
            session.query("DROP TABLE orders", timeout=60)
        with steps("the WAL of that moment is archived"):
            wait_archived(leader)
        with steps("fawkes-ha restore --to-time: a new data directory"):
            config = ("--config", leader.state / "fawkes_ha.conf", "--bin", programs.bindir())
            programs.must_run("fawkes-ha", "restore", *config, "--to-time", target, restored)
        with steps("PostgreSQL recovers there, and is promoted"):
            reach = start_beside(restored)
    count, total = rows_of(reach).split("|")
    programs.must_run("pg_ctl", "-D", restored, "-m", "fast", "-w", "stop")
    is_back = (int(count), int(total)) == (ROWS, ROWS * (ROWS + 1) // 2)
    say(f"orders beside the live cluster: {int(count):,} rows; the cluster has {cluster.wait_all_equal():,} rows of the writers on every node")
    print(f"\n{programs.must_run('fawkes-ha', 'backups', '-D', leader.data)}\n{steps.table()}")
    print("\nThe table is back." if is_back else "\nFAILED: the table is not what it was.")
    return is_back
