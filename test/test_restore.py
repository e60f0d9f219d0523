"""Out of a store: a data directory, and files of WAL as PostgreSQL's restore_command, with a store that is away, wrong or frozen."""

import gzip
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from lab import programs
from lab.wait import now, until

TREE = Path(__file__).resolve().parent.parent
PACK = "src/test/interop/pack"
SERVER = "db-x"
BACKUP = "20261122T063851"
ENDS_THE_SERVER = 200
FIRST = "000000010000000000000001"
LATER = "0000000100000000000000AA"


class Archive:
    """A server whose WAL goes into a directory as barman-cloud would put it, and a copy of its data directory."""

    def __init__(self, home: Path) -> None:
        self.home, self.data, self.copy, self.store = home, home / "data", home / "copy", home / "store"
        wals = self.store / SERVER / "wals"
        wals.mkdir(parents=True)
        # barman-cloud puts history files beside the folders.
        archive = f'f=%f; d={wals}; case $f in *.history) ;; *) d=$d/$(echo $f | cut -c 1-16) ;; esac; mkdir -p $d && gzip -1 -c %p >$d/$f.gz'
        self.settings = {"listen_addresses": "", "unix_socket_directories": str(home), "fsync": "off", "archive_timeout": "0"}
        programs.must_run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-N", "--locale=C.UTF-8", "-E", "UTF8")
        # What a restored copy must not take over: where the live data is, and an archive.  It needs as many connections.
        own = {"data_directory": str(self.data), "archive_mode": "on", "archive_command": archive, "max_connections": "123"}
        self.configure(self.data, {**self.settings, **own})
        self.start(self.data)

    def configure(self, data: Path, settings: dict[str, str]) -> None:
        with open(data / "postgresql.conf", "a") as conf:
            conf.write(programs.settings_text(settings))

    def start(self, data: Path, *, waits: bool = True) -> None:
        programs.must_run("pg_ctl", "start", "-w" if waits else "-W", "-D", data, "-l", f"{data}.log", timeout=120)

    def stop(self, data: Path) -> None:
        programs.run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", data)

    def sql(self, statement: str) -> str:
        return programs.must_run("psql", "-X", "-q", "-A", "-t", "-h", self.home, "-U", "postgres", "-c", statement, "postgres").strip()

    def words(self, store: Path | str | None = None, **more: str) -> list[str]:
        url = store if isinstance(store, str) else f"dir:{store or self.store}"
        settings = {"backup_store": url, "backup_server_name": SERVER, **more}
        return [word for name, value in settings.items() for word in ("-c", f"fawkes_ha.{name}={value}")]

    def command(self, *more: str) -> str:
        words = " ".join(f"'{word}'" for word in (str(programs.path("fawkes-ha")), "restore-wal", *self.words(), *more))
        return f'{words} "%f" "%p"'

    def back_up(self) -> None:
        """What a base backup of barman-cloud's layout is, out of BASE_BACKUP's archives."""
        programs.make(TREE, PACK)
        out, to = self.home / "tar", self.store / SERVER / "base" / BACKUP
        words = ("-h", self.home, "-U", "postgres", "-D", out, "-F", "tar", "-X", "none", "-c", "fast", "--no-sync", "--no-manifest")
        # A backup of a standby has it.
        (self.data / "standby.signal").touch()
        programs.must_run("pg_basebackup", *words)
        (self.data / "standby.signal").unlink()
        to.mkdir(parents=True)
        for path in out.iterdir():
            stages = ("filter", "data" if path.name == "base.tar" else "tablespace", "+", "compress", "gzip", "1", "0")
            packed = subprocess.run([TREE / PACK, *stages], input=path.read_bytes(), capture_output=True, check=True).stdout
            (to / f"{'data' if path.name == 'base.tar' else path.stem}.tar.gz").write_bytes(packed)
        shutil.rmtree(out)
        (label,) = until("the label is archived", lambda: list(self.store.glob(f"{SERVER}/wals/*/*.backup.gz")))[-1:]
        text = until("it is whole", lambda: gzip.decompress(label.read_bytes()).decode())
        begin, begin_wal = re.search(r"START WAL LOCATION: (\S+) \(file (\w+)\)", text).groups()
        end, end_wal = re.search(r"STOP WAL LOCATION: (\S+) \(file (\w+)\)", text).groups()
        spaces = self.sql("SELECT oid, spcname, pg_tablespace_location(oid) FROM pg_tablespace WHERE oid > 16383").splitlines()
        info = {
            "backup_label": text,
            "begin_offset": 40,
            "begin_time": self.sql("SELECT now() - interval '1 minute'") + ":00",
            "begin_wal": begin_wal,
            "begin_xlog": begin,
            "end_offset": 312,
            "end_time": self.sql("SELECT clock_timestamp()") + ":00",
            "end_wal": end_wal,
            "end_xlog": end,
            "mode": "concurrent",
            "pgdata": str(self.data),
            "server_name": "cloud",
            "size": 1,
            "status": "DONE",
            "systemid": programs.control_data(self.data)["Database system identifier"],
            "tablespaces": [(name, int(oid), where) for oid, name, where in (line.split("|") for line in spaces)],
            "timeline": 1,
            "version": programs.major() * 10000,
            "xlog_segment_size": 16777216,
        }
        plain = ("status", "begin_time", "end_time", "begin_wal", "end_wal", "begin_xlog", "end_xlog", "mode", "pgdata", "server_name", "systemid")
        lines = (f"{name}={value if name in plain else repr(value)}\n" for name, value in sorted(info.items()))
        (to / "backup.info").write_text("".join(lines))

    def restore(self, data: Path, *more: object, store: Path | None = None) -> subprocess.CompletedProcess:
        return programs.run("fawkes-ha", "restore", *self.words(store), "--bin", programs.bindir(), *more, data)


@pytest.fixture(scope="module")
def archive():
    home = Path(tempfile.mkdtemp(prefix="fh-", dir=os.environ.get("FAWKES_TEST_DIR", "/tmp")))
    archive = Archive(home)
    try:
        yield archive
    finally:
        for data in (archive.data, archive.copy):
            archive.stop(data)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def recovering(directory: Path):
    """What looks like a data directory in recovery, to a restore_command."""
    for name in ("pg_wal", "global"):
        (directory / name).mkdir()
    (directory / "recovery.signal").touch()
    return directory


def ask(data: Path, words: list[str], file: str, *more: str):
    """The exit status of a restore_command and what it said, and for how long it was busy."""
    began = now()
    done = programs.run("fawkes-ha", "restore-wal", *words, *more, file, "pg_wal/RECOVERYXLOG", cwd=data)
    return done.returncode, done.stderr, now() - began


@pytest.fixture(scope="module")
def dropped(archive: Archive) -> tuple[str, str]:
    """A time at which table t had so many rows; it was dropped then, and the server has ended."""
    space = archive.home / "space"
    space.mkdir()
    archive.sql(f"CREATE TABLESPACE apart LOCATION '{space}'")
    archive.sql("CREATE TABLE t TABLESPACE apart AS SELECT generate_series(1, 100000) AS i")
    archive.back_up()
    # More segments than are fetched in one go.
    for _ in range(8):
        archive.sql("INSERT INTO t SELECT generate_series(1, 1000); SELECT pg_switch_wal()")
    before = archive.sql("SELECT clock_timestamp()")
    count = archive.sql("SELECT count(*) FROM t")
    archive.sql("DROP TABLE t")
    last = archive.sql("SELECT pg_walfile_name(pg_switch_wal())")
    until("the archive has it", lambda: archive.sql("SELECT last_archived_wal FROM pg_stat_archiver") >= last)
    archive.stop(archive.data)
    return before + ":00", count


def test_a_dropped_table_comes_back(archive: Archive, dropped: tuple[str, str]) -> None:
    before, count = dropped
    plan = archive.restore(archive.copy, "--to-time", before, "--dry-run")
    assert plan.returncode == 0, plan.stderr
    assert f"backup       {BACKUP} of {SERVER}" in plan.stdout and "archives     2, " in plan.stdout
    assert not archive.copy.exists()
    space = archive.home / "elsewhere"
    done = archive.restore(archive.copy, "--to-time", before, "--tablespace", f"apart={space}")
    assert done.returncode == 0, done.stderr
    assert "does not archive" in done.stdout
    assert any(space.iterdir())
    assert not any((archive.copy / name).exists() for name in ("fawkes_ha_restoring", "standby.signal", "tablespace_map"))
    archive.configure(archive.copy, archive.settings)
    archive.start(archive.copy)
    until("it is promoted", lambda: archive.sql("SELECT pg_is_in_recovery()") == "f")
    assert archive.sql("SELECT count(*) FROM t") == count
    assert archive.sql("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'apart'") == str(space)
    assert archive.sql("SHOW archive_mode") == "off"
    assert archive.sql("SHOW data_directory") == str(archive.copy)
    assert archive.sql("SHOW max_connections") == "123"
    # What was fetched ahead ends with the server, and leaves nothing.
    archive.stop(archive.copy)
    until("nothing is left in pg_wal", lambda: not (archive.copy / "pg_wal/fawkes_ha_spool").exists())
    assert not list((archive.copy / "pg_wal").glob("*.fetching"))


def entries(directory: Path) -> list[tuple[str, int, int]]:
    return sorted((str(path), path.lstat().st_ino, path.lstat().st_mtime_ns) for path in directory.rglob("*"))


def test_the_store_is_shown_with_what_can_be_recovered(archive: Archive, dropped: tuple[str, str]) -> None:
    done = programs.run("fawkes-ha", "backups", *archive.words(backup_retention="30d"))
    assert done.returncode == 0, done.stderr
    assert re.search(rf"^{BACKUP} +usable .* stays: ", done.stdout, re.M), done.stdout
    assert re.search(rf"^{BACKUP} +from .* to about .*, on timeline 1$", done.stdout, re.M), done.stdout
    assert re.search(rf"^timeline 1 +{FIRST} to ", done.stdout, re.M), done.stdout
    shown = json.loads(programs.must_run("fawkes-ha", "backups", *archive.words(), "-o", "json"))
    (backup,) = shown["backups"]
    assert (backup["id"], backup["state"], backup["goes"], "gap" in backup["recovery"]) == (BACKUP, "usable", False, False)
    assert shown["wal"][0]["first"] == FIRST


def test_what_retention_lets_go_is_deleted(archive: Archive, dropped: tuple[str, str], directory: Path) -> None:
    """Of two backups the older one, unless a person keeps it; and WAL that the newer one does not need."""
    store, old = directory / "pruned", "20200101T000000"
    shutil.copytree(archive.store, store)
    base, first = store / SERVER / "base", store / SERVER / "wals" / FIRST[:16] / f"{FIRST}.gz"
    shutil.copytree(base / BACKUP, base / old)
    words = archive.words(store, backup_retention="1")
    before = entries(store)
    done = programs.must_run("fawkes-ha", "backup-prune", "--dry-run", *words)
    assert re.search(rf"^{old} .* goes: ", done, re.M), done
    assert re.search(r"^would be deleted: \d+ objects of base backups, and [1-9]\d* of WAL, with ", done, re.M), done
    assert entries(store) == before
    assert "kept, with all WAL" in programs.must_run("fawkes-ha", "backup-keep", *words, old)
    assert (base / old / "annotations/keep").read_bytes() == b"full"
    assert "deleted: 0 objects of base backups, " in programs.must_run("fawkes-ha", "backup-prune", *words)
    programs.must_run("fawkes-ha", "backup-unkeep", *words, old)
    programs.must_run("fawkes-ha", "backup-prune", *words)
    assert ([each.name for each in base.iterdir()], first.exists()) == ([BACKUP], False)
    assert archive.restore(directory / "data", "--dry-run", store=store).returncode == 0
    done = programs.run("fawkes-ha", "backup-keep", *words, old)
    assert (done.returncode, "there is no base backup" in done.stderr) == (1, True)


def test_a_store_without_a_usable_backup_is_a_failure(directory: Path) -> None:
    """An empty one, and one that is not there: nobody takes them for backups."""
    words = ("-c", "fawkes_ha.cluster_name=db-x", "-c")
    done = programs.run("fawkes-ha", "backups", *words, f"fawkes_ha.backup_store=dir:{directory}")
    assert (done.returncode, "nothing: there is no usable base backup" in done.stdout) == (1, True), done.stderr
    done = programs.run("fawkes-ha", "backups", *words, f"fawkes_ha.backup_store=dir:{directory}/absent", "--wait", "1")
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert "the store could not be read: " in done.stderr
    done = programs.run("fawkes-ha", "backups", "-c", "fawkes_ha.cluster_name=db-x")
    assert (done.returncode, "fawkes_ha.backup_store is not set" in done.stderr) == (2, True)
    done = programs.run("fawkes-ha", "backups", "-D", directory / "data", "--config", "/dev/null")
    assert (done.returncode, "give one of them" in done.stderr) == (2, True)


def test_nothing_that_is_there_is_written_into(archive: Archive, dropped: tuple[str, str], directory: Path) -> None:
    before = entries(archive.data)
    for more in ((), ("--dry-run",)):
        done = archive.restore(archive.data, *more)
        assert done.returncode == 1 and "is not empty" in done.stderr
    full = directory / "full"
    full.mkdir()
    (full / "file").touch()
    for space, sentence in ((full, "is not empty"), (archive.home / "space", "is not empty")):
        done = archive.restore(directory / "new", "--tablespace", f"apart={space}")
        assert done.returncode == 1 and sentence in done.stderr
        assert not (directory / "new").exists()
    # Without a word on its tablespaces, they lie beside it.
    assert archive.restore(directory / "new").returncode == 0
    assert [path.name for path in (directory / "new.tablespaces").iterdir()] == [path.name for path in (directory / "new/pg_tblspc").iterdir()]
    assert entries(archive.data) == before


def test_half_a_restore_is_no_data_directory(archive: Archive, dropped: tuple[str, str], directory: Path) -> None:
    store = directory / "store"
    shutil.copytree(archive.store, store)
    data = store / SERVER / "base" / BACKUP / "data.tar.gz"
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    half = directory / "half"
    done = archive.restore(half, store=store)
    assert done.returncode == 1 and "data.tar.gz: " in done.stderr
    assert (half / "PG_VERSION").exists() and not (half / "global/pg_control").exists() and not (half / "backup_label").exists()
    assert programs.run("postgres", "-D", half).returncode != 0
    again = archive.restore(half)
    assert again.returncode == 1 and "has half of a restore" in again.stderr


def test_a_target_that_no_backup_leads_to_is_refused(archive: Archive, dropped: tuple[str, str], directory: Path) -> None:
    for target, sentence in (
        (("--to-time", "2020-01-01 00:00:00+00:00"), "it ended at"),
        (("--to-lsn", "0/1"), "it ended behind"),
        (("--to-lsn", "FF/0"), "ends before that position"),
        (("--timeline", "9"), "does not lead to timeline 9"),
        (("--backup", "20200101T000000"), "there is no usable backup 20200101T000000"),
    ):
        done = archive.restore(directory / "new", *target)
        assert done.returncode == 1 and sentence in done.stderr, done.stderr
    for target in (("--to-time", "yesterday"), ("--to-lsn", "x"), ("--immediate", "--to-xid", "7"), ("--timeline", "0")):
        assert archive.restore(directory / "new", *target).returncode == 2
    assert not (directory / "new").exists()


def test_a_key_that_is_missing_or_wrong_is_told_first(archive: Archive, dropped: tuple[str, str], directory: Path) -> None:
    store = directory / "store"
    (store / SERVER / "base").mkdir(parents=True)
    shutil.copytree(archive.store / SERVER / "base" / BACKUP, store / SERVER / "base" / BACKUP)
    shutil.copytree(archive.store / SERVER / "wals", store / SERVER / "wals")
    info = store / SERVER / "base" / BACKUP / "backup.info"
    info.write_text("# fawkes_ha.key_id=0123456789abcdef\n" + info.read_text())
    done = archive.restore(directory / "new", store=store)
    assert done.returncode == 1 and "and there is no key" in done.stderr
    assert not (directory / "new").exists()


def test_what_is_there_and_what_is_not(archive: Archive, dropped: tuple[str, str], recovering: Path) -> None:
    words = archive.words()
    assert ask(recovering, words, FIRST)[0] == 0
    assert (recovering / "pg_wal/RECOVERYXLOG").stat().st_size == 16 * 1024 * 1024
    for file in (LATER, "00000007.history"):
        status, said, _ = ask(recovering, words, file)
        assert (status, said) == (1, "")
    # The next one was fetched ahead.
    second = recovering / "pg_wal/fawkes_ha_spool" / f"{FIRST[:-1]}2"
    until("the next one is there", second.exists)
    inode = second.stat().st_ino
    assert ask(recovering, words, second.name)[0] == 0
    assert (recovering / "pg_wal/RECOVERYXLOG").stat().st_ino == inode


def test_wal_of_another_system_ends_the_server(archive: Archive, recovering: Path) -> None:
    (recovering / "global/pg_control").write_bytes(secrets.token_bytes(8192))
    status, said, _ = ask(recovering, archive.words(), FIRST)
    assert status == ENDS_THE_SERVER and "is of the system" in said
    shutil.copy(archive.data / "global/pg_control", recovering / "global/pg_control")
    assert ask(recovering, archive.words(), FIRST)[0] == 0


def test_a_store_that_is_away_is_no_end_of_the_archive(archive: Archive, recovering: Path) -> None:
    """An empty directory is what is left of a share that is not mounted."""
    empty = recovering / "empty"
    empty.mkdir()
    for store, sentence in ((empty, 'nothing of the server "db-x"'), (recovering / "absent", "")):
        words = archive.words(store)
        status, said, _ = ask(recovering, words, FIRST, "--wait", "1")
        assert status == ENDS_THE_SERVER and sentence in said
        assert ask(recovering, words, "00000002.history", "--wait", "1")[0] == ENDS_THE_SERVER
        (recovering / "standby.signal").touch()
        assert ask(recovering, words, FIRST)[0] == 1
        (recovering / "standby.signal").unlink()


def test_what_is_asked_wrongly_is_no_end_of_the_archive(archive: Archive, recovering: Path) -> None:
    for words in ([], ["--no-such-option"], archive.words(backup_key_file=str(recovering / "absent"))):
        assert ask(recovering, words, FIRST)[0] == ENDS_THE_SERVER
        (recovering / "standby.signal").touch()
        assert ask(recovering, words, FIRST)[0] == 1
        (recovering / "standby.signal").unlink()


@pytest.fixture
def frozen():
    """A store that takes connections and never says a word."""
    listener = socket.create_server(("127.0.0.1", 0))
    held = []

    def hold() -> None:
        while True:
            try:
                held.append(listener.accept()[0])
            except OSError:
                return

    threading.Thread(target=hold, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()
    for connection in held:
        connection.close()


def test_a_frozen_store_holds_no_standby(archive: Archive, recovering: Path, frozen: int) -> None:
    """Its startup process would be kept from a promotion."""
    credentials = recovering / "credentials"
    credentials.mkdir()
    for name in ("access_key_id", "secret_access_key"):
        (credentials / name).write_text("x")
        (credentials / name).chmod(0o600)
    more = {"backup_endpoint": f"https://127.0.0.1:{frozen}", "backup_credentials_directory": str(credentials)}
    words = archive.words("s3://bucket", **more)
    (recovering / "standby.signal").touch()
    for _ in range(2):
        status, _, seconds = ask(recovering, words, FIRST)
        assert status == 1 and seconds < 2  # the machine may be busy
    # One that recovers to a point in time waits, and does not take it for the end.
    (recovering / "standby.signal").unlink()
    status, _, seconds = ask(recovering, words, FIRST, "--wait", "2")
    assert status == ENDS_THE_SERVER and seconds >= 2
