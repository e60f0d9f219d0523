"""archive_library = 'fawkes_ha': no gap and no fork in the archive, whoever leads; a store that fails holds up no commit."""

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import process, programs
from lab.cluster import APPLICATION, Cluster
from lab.node import Node, free_ports
from lab.session import Session
from lab.wait import until

SEGMENT = re.compile(r"^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})$")
LONG_S = 120


@pytest.fixture(scope="module")
def base() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="fh-", dir=os.environ.get("FAWKES_TEST_DIR", "/tmp")))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@contextmanager
def running(base: Path, names: tuple[str, ...], closed: bool = False, **settings: str) -> Iterator[Cluster]:
    """A cluster whose store is the directory `store` beside it; closed: nobody gets in at first."""
    (base / "store").mkdir(mode=0 if closed else 0o700)
    given = {"fawkes_ha.backup_store": f"dir:{base / 'store'}", **settings}
    cluster = Cluster(base / "c", names=names, first_port=5801, settings=given)
    try:
        cluster.create()
        try:
            cluster.start()
            yield cluster
        except BaseException:
            print(cluster.log_tails(60))
            raise
    finally:
        (base / "store").chmod(0o700)
        for node in cluster.nodes:
            node.thaw()
        cluster.destroy()


def archived(base: Path) -> dict[str, Path]:
    """The WAL files in the archive, without the suffix of their compression."""
    return {path.name.removesuffix(".gz"): path for path in (base / "store").glob("*/wals/**/*.gz")}


def ready(node: Node) -> list[str]:
    return sorted(path.name for path in (node.data / "pg_wal" / "archive_status").glob("*.ready"))


def write(cluster: Cluster, node: Node, row: int, segments: int = 1) -> list[str]:
    """One acknowledged row in each of so many segments that are complete then."""
    names = []
    with Session(cluster.dsn([node]), 10) as session, node.session() as admin:
        for i in range(segments):
            session.query("INSERT INTO ledger VALUES (%s, 0, '')", (row + i,), timeout=20)
            names.append(admin.value("SELECT pg_walfile_name(pg_switch_wal())"))
    return names


def failed_count(node: Node) -> int:
    return node.value("SELECT failed_count FROM pg_stat_archiver")


def archived_position(node: Node) -> tuple[int, str]:
    status = node.command("status", "-o", "json")
    found = json.loads(status.stdout)["cluster"].get("archived", {"timeline": 0, "lsn": "0/0"})
    return found["timeline"], found["lsn"]


def holder(node: Node) -> str:
    return json.loads(node.command("status", "-o", "json").stdout)["cluster"]["holder"]


def wait_all_archived(node: Node) -> None:
    until(f"{node.name} has archived everything", lambda: ready(node) == [], LONG_S)


def base_backup(node: Node, to: Path) -> None:
    """Without its WAL, which is the archive's business."""
    subprocess.run(
        [
            programs.path("pg_basebackup"),
            *("-d", f"host=127.0.0.1 port={node.port} user=fawkes_replication passfile={node.state}/pgpass"),
            *("-D", to, "-X", "none", "-c", "fast"),
        ],
        check=True, capture_output=True, timeout=120,
    )


def recover(base: Path, backup: Path, sockets: Path) -> list[int]:
    """The rows of a plain server that recovers from the archive alone, along the newest timeline."""
    (port,) = free_ports(1, 5890)
    script = base / "restore"
    script.write_text(
        "#!/bin/sh\n"
        f"for file in {base}/store/*/wals/*/$1.gz {base}/store/*/wals/$1.gz; do\n"
        '  [ ! -e "$file" ] || exec gunzip -c "$file" >"$2"\n'
        "done\nexit 1\n"
    )
    script.chmod(0o755)
    shutil.rmtree(backup / "pg_wal", ignore_errors=True)
    (backup / "pg_wal" / "archive_status").mkdir(parents=True)
    (backup / "recovery.signal").touch()
    (backup / "postgresql.auto.conf").write_text(f"restore_command = '{script} %f %p'\n")
    options = (
        f"-c port={port} -c listen_addresses= -c unix_socket_directories={sockets} -c max_wal_senders=16 "
        "-c max_worker_processes=16 -c archive_mode=off -c hot_standby=on"
    )
    control = [programs.path("pg_ctl"), "-D", backup, "-w", "-t", "120"]
    log = base / "recovered.log"
    done = subprocess.run([*control, "-l", log, "-o", options, "start"], capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stdout + (log.read_text() if log.exists() else "")
    try:
        dsn = f"host={sockets} port={port} user=postgres dbname="
        until("it is recovered", lambda: not value(f"{dsn}postgres", "SELECT pg_is_in_recovery()"), LONG_S)
        with Session(f"{dsn}{APPLICATION}", 10) as session:
            return [row[0] for row in session.query("SELECT id FROM ledger WHERE round = 0 ORDER BY id")]
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], capture_output=True, timeout=60)


def value(dsn: str, sql: str):
    with Session(dsn, 5) as session:
        return session.value(sql)


def assert_whole(base: Path, node: Node) -> None:
    """Of each timeline that led here, the archive has the history and each segment up to the next one's first."""
    names = archived(base)
    timeline = int(node.value("SELECT substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)"), 16)
    history = (node.data / "pg_wal" / f"{timeline:08X}.history").read_text().splitlines()
    steps = [line.split("\t")[:2] for line in history if re.match(r"^\d+\t", line)]
    left = [(int(number), lsn_segment(end)) for number, end in steps]
    for number in range(2, timeline + 1):
        assert f"{number:08X}.history" in names, f"recovery does not get over timeline {number}"
    first = min(int(name[8:16], 16) * 256 + int(name[16:], 16) for name in names if SEGMENT.match(name))
    last = max(
        int(name[8:16], 16) * 256 + int(name[16:], 16)
        for name in names if SEGMENT.match(name) and name.startswith(f"{timeline:08X}")
    )
    at = first
    for number, end in [*left, (timeline, last + 1)]:
        for segment in range(at, end):
            assert f"{number:08X}{segment // 256:08X}{segment % 256:08X}" in names
        # The segment in which it was left is the next timeline's, and not in the archive under this name.
        if number != timeline:
            assert f"{number:08X}{end // 256:08X}{end % 256:08X}" not in names
        at = end


def lsn_segment(lsn: str) -> int:
    high, low = lsn.split("/")
    return ((int(high, 16) << 32) + int(low, 16)) // (16 << 20)


def test_no_gap_over_two_failovers(base: Path) -> None:
    """The store fails all the time; each leader dies with WAL that is not archived, and the last one archives it all."""
    place = base / "two"
    place.mkdir()
    with running(place, ("n1", "n2", "n3"), closed=True) as cluster:
        first = cluster.wait_all_stream()
        # What a clone has fetched is not archived either.
        for node in cluster.others(first):
            assert not list((node.data / "pg_wal" / "archive_status").glob("*.done"))
        (place / "store").chmod(0o700)
        assert first.value("SHOW archive_mode") == "always" and first.value("SHOW archive_library") == "fawkes_ha"
        rows = [1, 2]
        names = write(cluster, first, 1, 2)
        until("they are archived", lambda: set(names) <= set(archived(place)))
        wait_all_archived(first)
        # What the leader has archived its standbys let go, and send nothing.
        for node in cluster.others(first):
            wait_all_archived(node)
        assert archived_position(first)[0] == 1
        base_backup(first, place / "backup")

        (place / "store").chmod(0)
        write(cluster, first, 11, 2)
        rows += [11, 12]
        until("status says so", lambda: "cannot archive WAL" in first.command("status").stdout)
        cluster.wait_all_equal()
        # Its standbys hold the same files, and count no failure.
        for node in cluster.others(first):
            until(f"{node.name} holds them", lambda node=node: len(ready(node)) >= 2)
        first.kill()
        second = cluster.wait_for_leader(besides=first)
        cluster.wait_streams(cluster.others(first, second)[0])
        write(cluster, second, 21, 2)
        rows += [21, 22]
        third = cluster.others(first, second)[0]
        until("it has them", lambda: len(ready(third)) >= 5)
        assert failed_count(third) == 0
        second.kill()
        assert cluster.wait_for_leader(besides=second) is third
        write(cluster, third, 31, 1)
        rows += [31]

        (place / "store").chmod(0o700)
        wait_all_archived(third)
        assert_whole(place, third)
        until("status says nothing of it", lambda: "cannot archive WAL" not in third.command("status").stdout)
        assert recover(place, place / "backup", cluster.sockets) == rows
        # Who comes back has what the others have archived, and sends no fork.
        first.start()
        second.start()
        cluster.wait_all_stream()
        write(cluster, third, 41, 1)
        for node in cluster.nodes:
            wait_all_archived(node)
            if node is not third:
                assert failed_count(node) == 0
        assert_whole(place, third)


def test_there_and_back_within_a_segment(base: Path) -> None:
    """The history of the timeline between is in the archive as its leader had it; the next leader's has one line more."""
    place = base / "back"
    place.mkdir()
    with running(place, ("n1", "n2")) as cluster:
        first = cluster.wait_all_stream()
        (second,) = cluster.others(first)
        write(cluster, first, 1)
        for leader, number in ((second, 2), (first, 3)):
            done = first.command("switchover", "--to", leader.name)
            assert done.returncode == 0, done.stderr
            assert cluster.wait_all_stream() is leader
            until(f"timeline {number} is in the archive", lambda number=number: f"{number:08X}.history" in archived(place), LONG_S)
        write(cluster, first, 2)
        wait_all_archived(first)
        assert failed_count(first) == 0
        assert_whole(place, first)


def test_a_former_primary_archives_nothing(base: Path) -> None:
    """It has WAL that nobody else has, and its archiver goes on, while another member leads already."""
    place = base / "former"
    place.mkdir()
    with running(place, ("n1", "n2"), **{"fawkes_ha.max_lag_on_failover": "1GB"}) as cluster:
        old = cluster.wait_all_stream()
        new = cluster.others(old)[0]
        write(cluster, old, 1)
        wait_all_archived(old)
        (place / "store").chmod(0)
        senders = old.titled("postgres: walsender")
        process.send(senders, signal.SIGSTOP)
        fork = write(cluster, old, 11, 2)
        archivers = old.titled("archiver")
        agents = [old.supervisor_pid, *old.titled("fawkes_ha agent")]
        process.send(agents, signal.SIGSTOP)
        until("another member leads", lambda: cluster.find_leader(besides=old) is new, 60)
        (place / "store").chmod(0o700)
        write(cluster, new, 21)
        until("the new leader archives", lambda: any(name.startswith("00000002") for name in archived(place)), 60)
        wait_all_archived(new)
        assert old.titled("archiver") == archivers
        assert not set(fork) & set(archived(place))
        assert set(f"{name}.ready" for name in fork) <= set(ready(old))
        process.send(agents + senders, signal.SIGCONT)
        cluster.wait_all_stream()
        assert_whole(place, new)
        assert not set(fork) & set(archived(place))


def test_a_timeline_that_never_led(base: Path) -> None:
    """Recovery to the newest timeline asks for each number, so the archive has the histories of those that were reserved."""
    place = base / "never"
    place.mkdir()
    with running(place, ("n1", "n2")) as cluster:
        old = cluster.wait_all_stream()
        other = cluster.others(old)[0]
        write(cluster, old, 1)
        wait_all_archived(old)
        base_backup(old, place / "backup")
        # It takes the lease, and its server hears of no promotion.
        process.send([other.postmaster_pid], signal.SIGSTOP)
        old.kill()
        until("the other has the lease", lambda: holder(other) == other.name, 60)
        other.kill()
        old.start()
        assert cluster.wait_for_leader() is old
        write(cluster, old, 11)
        wait_all_archived(old)
        assert int(old.value("SELECT substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)"), 16) == 3
        assert {"00000002.history", "00000003.history"} <= set(archived(place))
        assert recover(place, place / "backup", cluster.sockets) == [1, 11]


def test_one_member_archives(base: Path) -> None:
    """A store that fails, one that is mended by a reload, and one that is taken away: no commit waits."""
    place = base / "one"
    place.mkdir()
    with running(place, ("n1",)) as cluster:
        node = cluster.wait_for_leader()
        names = write(cluster, node, 1, 3)
        wait_all_archived(node)
        assert set(names) <= set(archived(place))
        content = gzip.decompress(archived(place)[names[0]].read_bytes())
        assert len(content) == 16 << 20
        # A file with other content is never overwritten, and says so.
        (place / "store").chmod(0)
        names = write(cluster, node, 11, 2)
        said = node.wait_for_log("[archive_fails]", 90)
        assert "store" in said
        assert failed_count(node) > 0
        node.write_settings(**{"fawkes_ha.backup_store": f"dir:{place / 'other'}"})
        (place / "other").mkdir()
        process.send([node.supervisor_pid], signal.SIGHUP)
        until("they are in the other one", lambda: len(list((place / "other").glob("*/wals/*/*"))) >= 2, 90)
        wait_all_archived(node)
        # Without one nothing waits for an archive.
        node.write_settings(**{"fawkes_ha.backup_store": ""})
        process.send([node.supervisor_pid], signal.SIGHUP)
        until("there is none", lambda: node.value("SHOW fawkes_ha.backup_store") == "")
        write(cluster, node, 21, 2)
        wait_all_archived(node)
        assert len(list((place / "other").glob("*/wals/*/*"))) < 5


def test_a_command_of_the_user_s_stays(base: Path) -> None:
    place = base / "own"
    place.mkdir()
    with running(place, ("n1",), archive_mode="on", archive_command="true") as cluster:
        node = cluster.wait_for_leader()
        assert node.value("SHOW archive_library") == "" and node.value("SHOW archive_mode") == "on"
        write(cluster, node, 1)
        wait_all_archived(node)
        assert archived(place) == {}
