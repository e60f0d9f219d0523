"""Out of a store: files of WAL as PostgreSQL's restore_command, with a store that is away, wrong or frozen."""

import os
import secrets
import shutil
import socket
import tempfile
import threading
from pathlib import Path

import pytest

from lab import programs
from lab.wait import now, until

SERVER = "db-x"
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
        self.configure(self.data, {**self.settings, "archive_mode": "on", "archive_command": archive})
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

    def archived(self) -> int:
        return len(list(self.store.glob(f"{SERVER}/wals/*/*.gz")))


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


def test_a_dropped_table_comes_back(archive: Archive) -> None:
    programs.must_run("pg_basebackup", "-h", archive.home, "-U", "postgres", "-D", archive.copy, "-X", "none", "-c", "fast", "--no-sync")
    archive.sql("CREATE TABLE t AS SELECT generate_series(1, 100000) AS i")
    # More segments than are fetched in one go.
    for _ in range(8):
        archive.sql("INSERT INTO t SELECT generate_series(1, 1000); SELECT pg_switch_wal()")
    before = archive.sql("SELECT clock_timestamp()")
    count = archive.sql("SELECT count(*) FROM t")
    archive.sql("DROP TABLE t")
    last = archive.sql("SELECT pg_walfile_name(pg_switch_wal())")
    until("the archive has it", lambda: archive.sql("SELECT last_archived_wal FROM pg_stat_archiver") >= last)
    archive.stop(archive.data)
    recovery = {"restore_command": archive.command(), "recovery_target_time": before, "recovery_target_action": "promote", "archive_mode": "off"}
    archive.configure(archive.copy, {**archive.settings, **recovery})
    (archive.copy / "recovery.signal").touch()
    archive.start(archive.copy)
    until("it is promoted", lambda: archive.sql("SELECT pg_is_in_recovery()") == "f")
    assert archive.sql("SELECT count(*) FROM t") == count
    # What was fetched ahead ends with the server, and leaves nothing.
    archive.stop(archive.copy)
    until("nothing is left in pg_wal", lambda: not (archive.copy / "pg_wal/fawkes_ha_spool").exists())
    assert not list((archive.copy / "pg_wal").glob("*.fetching"))


def test_what_is_there_and_what_is_not(archive: Archive, recovering: Path) -> None:
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
