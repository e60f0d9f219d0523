"""`fawkes-ha backup`: what is in the store becomes a server again, and what fails leaves nothing that looks usable."""

import json
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

from conftest import is_leading
from lab import process, programs
from lab.cluster import CLUSTER_NAME, Cluster
from lab.node import Node, free_ports
from lab.wait import until

ID = re.compile(r"\d{8}T\d{6}")
GZIP_MEMBER = b"\x1f\x8b\x08"


@pytest.fixture(scope="module")
def cluster():
    base = Path(tempfile.mkdtemp(prefix="fh-", dir="/tmp"))
    store = base / "store"
    store.mkdir(mode=0o700)
    made = Cluster(base, ("n1", "n2"), 6511, {"fawkes_ha.backup_store": f"dir:{store}"})
    try:
        made.create()
        made.store = store
        made.start()
        leader = made.wait_all_stream()
        order(leader, "CREATE TABLE kept AS SELECT g AS id, md5(g::text) AS word FROM generate_series(1, 20000) g")
        made.standby = made.others(leader)[0]
        until("the record names the standby", lambda: made.standby.name in standbys(leader), 30)
        yield made
    finally:
        made.destroy()
        shutil.rmtree(base, ignore_errors=True)


def standbys(node: Node) -> list[str]:
    """That stream, as the lock has it."""
    record = json.loads(node.command("status", "-o", "json").stdout)["cluster"]
    return [standby["member"] for standby in record["standbys"]]


def order(node: Node, sql: str) -> None:
    with node.session() as session:
        session.query(sql, timeout=60)


def base_folders(cluster: Cluster) -> list[Path]:
    return sorted(path.parent for path in (cluster.store / CLUSTER_NAME / "base").glob("*/backup.info"))


def backed_up(node: Node, *words: str) -> dict:
    done = node.command("backup", "-o", "json", *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def info_of(folder: Path) -> dict[str, str]:
    lines = (folder / "backup.info").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def unpack(archive: Path, to: Path) -> None:
    """As barman-cloud-restore does: in one pass, which takes a second gzip member for the end."""
    with tarfile.open(archive, "r|gz") as tar:
        tar.extractall(to)


class Restored:
    """A server of a backup, and of the WAL that `source` still has."""

    def __init__(self, cluster: Cluster, folder: Path, source: Node, tablespaces: dict[str, Path]) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="fr-", dir="/tmp"))
        self.data = self.base / "data"
        self.data.mkdir(mode=0o700)
        unpack(folder / "data.tar.gz", self.data)
        for oid, place in tablespaces.items():
            place.mkdir(mode=0o700)
            unpack(folder / f"{oid}.tar.gz", place)
            (self.data / "pg_tblspc" / oid).symlink_to(place)
        for segment in (source.data / "pg_wal").glob("?" * 24):
            shutil.copy(segment, self.data / "pg_wal")
        self.port = free_ports(1, 6611)[0]
        for name in ("postgresql.conf", "postgresql.auto.conf"):
            (self.data / name).write_text("")
        (self.data / "pg_hba.conf").write_text("local all all trust\n")

    def __enter__(self) -> "Restored":
        settings = {"port": self.port, "unix_socket_directories": self.base, "listen_addresses": "", "fsync": "off"}
        options = " ".join(f"-c {name}={value}" for name, value in settings.items()) + " -c listen_addresses="
        log = self.base / "log"
        done = subprocess.run(
            [programs.path("pg_ctl"), "-D", self.data, "-w", "-t", "120", "-l", log, "-o", options, "start"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert done.returncode == 0, log.read_text()
        return self

    def __exit__(self, *_: object) -> None:
        programs.run("pg_ctl", "-D", self.data, "-m", "immediate", "stop")
        shutil.rmtree(self.base, ignore_errors=True)

    def value(self, sql: str) -> str:
        done = programs.run("psql", "-h", self.base, "-p", self.port, "-U", "postgres", "-XAtc", sql, "postgres")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def test_a_standby_is_backed_up_and_restored(cluster: Cluster) -> None:
    leader, standby = cluster.wait_for_leader(), cluster.standby
    said = backed_up(leader)
    (folder,) = base_folders(cluster)
    assert ID.fullmatch(said["id"]) and folder.name == said["id"]
    assert said["from"] == standby.name and said["made_by"] == leader.name
    assert sorted(path.name for path in folder.iterdir()) == [
        "backup.info",
        "backup_manifest.gz",
        "data.tar.gz",
    ]
    info = info_of(folder)
    assert info["status"] == "DONE" and info["tablespaces"] == "None"
    assert int(info["size"]) == said["bytes"] > 1000000
    assert info["begin_wal"] == said["begin_wal"]
    # The primary has ended the segment that is needed last: it can be archived.
    assert leader.value("SELECT pg_walfile_name(pg_current_wal_lsn() + 1)") > said["end_wal"]
    assert not (leader.state / "backup").read_text()
    with Restored(cluster, folder, leader, {}) as server:
        assert server.value("SELECT count(*), pg_is_in_recovery() FROM kept") == "20000|f"
        assert not (server.data / "standby.signal").exists()


def test_the_manifest_is_of_what_is_stored(cluster: Cluster) -> None:
    if programs.run("pg_verifybackup", "--version").returncode != 0:
        pytest.skip("this PostgreSQL's pg_verifybackup does not start")
    leader = cluster.wait_for_leader()
    said = backed_up(leader)
    folder = next(path for path in base_folders(cluster) if path.name == said["id"])
    with tempfile.TemporaryDirectory(prefix="fr-", dir="/tmp") as place:
        data = Path(place) / "data"
        data.mkdir()
        unpack(folder / "data.tar.gz", data)
        manifest = subprocess.run(["zcat", folder / "backup_manifest.gz"], capture_output=True, check=True).stdout
        (data / "backup_manifest").write_bytes(manifest)
        # A standby's own mark is not stored, and WAL is in the archive.
        done = programs.run("pg_verifybackup", "-n", "-i", "standby.signal", data)
        assert done.returncode == 0, done.stderr


def test_it_says_what_it_did_and_no_password(cluster: Cluster) -> None:
    leader = cluster.wait_for_leader()
    done = leader.command("backup", "--from", leader.name)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^base backup \d{8}T\d{6} is in dir:\S+: [\d.]+ MB of n\d, stored as [\d.]+ [kM]B, in", done.stdout)
    assert re.search(r"^[\d.]+ [kMG]?B of about [\d.]+ MB backed up \(\d+ %\), ", done.stderr, re.MULTILINE)
    password = cluster.passwords["replication"]
    said = done.stdout + done.stderr + "".join(node.log.read_text(errors="replace") for node in cluster.nodes)
    assert password not in said


def test_what_is_refused(cluster: Cluster) -> None:
    leader = cluster.wait_for_leader()
    nobody = leader.command("backup", "--from", "nobody")
    assert nobody.returncode == 4 and 'no member "nobody"' in nobody.stderr
    lock = cluster.nodes[0].settings["fawkes_ha.lock"]
    without = programs.run("fawkes-ha", "backup", "--lock", lock, "--cluster", CLUSTER_NAME)
    assert without.returncode == 2 and "Give -D DATA" in without.stderr


def start_slowly(node: Node) -> subprocess.Popen:
    """A backup that takes a while, because its settings say so."""
    node.write_settings(**{"fawkes_ha.backup_max_rate": "512"})
    return subprocess.Popen(
        [programs.path("fawkes-ha"), "backup", "-D", node.data], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def half(cluster: Cluster) -> list[Path]:
    return [path for path in base_folders(cluster) if info_of(path)["status"] == "STARTED"]


def test_one_that_was_killed_is_removed_by_the_next(cluster: Cluster) -> None:
    leader = cluster.wait_for_leader()
    started = start_slowly(leader)
    try:
        until("it has begun", lambda: half(cluster), 60)
        second = leader.command("backup")
        assert second.returncode == 4 and "already" in second.stderr
        # Another member neither waits for it nor touches it.
        backed_up(cluster.standby)
        (left,) = half(cluster)
    finally:
        process.send([started.pid], signal.SIGKILL)
        started.communicate()
        leader.write_settings()
    assert half(cluster) == [left]
    done = leader.command("backup")
    assert done.returncode == 0, done.stderr
    assert f"removed what the interrupted base backup {left.name} had left" in done.stdout
    assert not half(cluster)


def test_one_that_is_interrupted_leaves_nothing(cluster: Cluster) -> None:
    leader = cluster.wait_for_leader()
    before = base_folders(cluster)
    started = start_slowly(leader)
    try:
        until("it has begun", lambda: half(cluster), 60)
        process.send([started.pid], signal.SIGTERM)
        _, errors = started.communicate(timeout=60)
    finally:
        leader.write_settings()
    assert started.returncode == 1 and "it was interrupted" in errors
    assert base_folders(cluster) == before
    assert not (leader.state / "backup").read_text()


def test_tablespaces_of_a_primary_without_standbys(cluster: Cluster) -> None:
    leader, standby = cluster.wait_for_leader(), cluster.standby
    standby.stop()
    assert leader.command("remove", standby.name).returncode == 0
    # Members on one machine are refused one with a path: it is made without, and gets its path while the server is down.
    with leader.session() as session:
        session.query("SET allow_in_place_tablespaces = on")
        session.query("CREATE TABLESPACE \"it's\" LOCATION ''", timeout=60)
    order(leader, "CREATE TABLE far TABLESPACE \"it's\" AS SELECT * FROM kept")
    oid = str(leader.value("SELECT oid FROM pg_tablespace WHERE spcname = $$it's$$"))
    leader.stop()
    place = cluster.base / "space"
    shutil.move(leader.data / "pg_tblspc" / oid, place)
    (leader.data / "pg_tblspc" / oid).symlink_to(place)
    leader.start()
    until("it leads again", lambda: is_leading(leader), 60)
    until("the lock says so", lambda: '"role":"primary"' in leader.command("status", "-o", "json").stdout, 30)
    said = backed_up(leader)
    assert said["from"] == leader.name
    folder = next(path for path in base_folders(cluster) if path.name == said["id"])
    assert info_of(folder)["tablespaces"] == f"[(\"it's\", {oid}, '{place}')]"
    leader.value("SELECT pg_switch_wal()")
    before = sorted(place.rglob("*"))
    elsewhere = Path(tempfile.mkdtemp(prefix="fr-", dir="/tmp")) / "space"
    with Restored(cluster, folder, leader, {oid: elsewhere}) as server:
        assert server.value("SELECT count(*) FROM far") == "20000"
        assert not (server.data / "tablespace_map").exists()
        server.value("INSERT INTO far SELECT * FROM far; CHECKPOINT")
    # The one that was backed up saw nothing of it.
    assert sorted(place.rglob("*")) == before
    shutil.rmtree(elsewhere.parent)
