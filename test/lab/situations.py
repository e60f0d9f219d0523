"""Situations of PostgreSQL, played on real servers; `sim -s FILE` plays the same files on the simulated one.

test/situations/README.md says what the commands mean.  Each situation, from a line `servers ...` on, has servers of its own,
copies of one template; after each command the world rests: every standby has what it gets, or was refused.
"""

import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import process, programs
from .session import Session
from .wait import until

OBSERVED = "----"
SECONDS = 60  # for anything that one command waits for
PAGE, SEGMENT = 8192, 1024 * 1024
SHORT_HEADER, LONG_HEADER = 24, 40  # of a page, and of a segment's first
RESERVED = "# fawkes_ha: reserved, never promoted\n"  # src/node/follow.c
REFUSALS = 3  # in a row: the first may come of what the primary was a moment ago
REFUSED = re.compile(
    "is not in this server's history|forked off current database system timeline"
    "|of the primary is behind recovery timeline|is not a child of database system timeline"
)
SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "fsync": "off",
    "autovacuum": "off",
    "jit": "off",
    "huge_pages": "off",
    "shared_buffers": "2MB",
    "max_connections": "12",
    "max_wal_senders": "6",
    "max_worker_processes": "2",
    "max_logical_replication_workers": "0",
    "wal_log_hints": "on",
    "wal_keep_size": "64MB",
    "min_wal_size": "2MB",
    "max_wal_size": "64MB",
    "wal_recycle": "off",
    "wal_init_zero": "off",
    "wal_retrieve_retry_interval": "50ms",
    "checkpoint_timeout": "1h",
    "checkpoint_completion_target": "0",
}


class Unplayable(Exception):
    """A file says what makes no sense."""


# --- WAL, as it lies on the disk


@dataclass(frozen=True, order=True)
class Position:
    timeline: int
    lsn: int


def lsn_of(text: str) -> int:
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def lsn_text(lsn: int) -> str:
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def after_header(lsn: int) -> int:
    """Where a record begins that is written there."""
    if lsn % PAGE:
        return lsn
    return lsn + (SHORT_HEADER if lsn % SEGMENT else LONG_HEADER)


def end_of_record(lsn: int, size: int) -> int:
    while size > (room := PAGE - lsn % PAGE):
        size -= room
        lsn = after_header(lsn + room)
    return after_header((lsn + size + 7) // 8 * 8)


def history(data: Path, timeline: int) -> list[Position]:
    """The timelines before it, oldest first, each with its end; [] for one that has no history, or a placeholder."""
    try:
        text = (data / "pg_wal" / f"{timeline:08X}.history").read_text()
    except FileNotFoundError:
        return []
    steps = re.findall(r"^(\d+)\t(\S+)\t", text, re.MULTILINE)
    return [Position(int(number), after_header(lsn_of(end))) for number, end in steps]


def last_record(data: Path, timeline: int, start: int) -> int | None:
    """Its end; None: this timeline has no whole record from `start` on."""
    name = f"{timeline:08X}{start // SEGMENT // 4096:08X}{start // SEGMENT % 4096:08X}"
    if not (data / "pg_wal" / name).exists():
        return None
    # It ends with an error, because nothing says where the WAL ends.
    text = programs.run("pg_waldump", "-p", data / "pg_wal", "-t", timeline, "-s", lsn_text(start)).stdout
    records = re.findall(r"len \(rec/tot\): *\d+/ *(\d+),.* lsn: ([0-9A-F]+/[0-9A-F]+),", text)
    return end_of_record(lsn_of(records[-1][1]), int(records[-1][0])) if records else None


def end_of_wal(data: Path) -> Position:
    control = programs.control_data(data)
    timeline = max(int(control["Latest checkpoint's TimeLineID"]), int(control["Min recovery ending loc's timeline"]))
    start = max(lsn_of(control["Latest checkpoint's REDO location"]), lsn_of(control["Minimum recovery ending location"]))
    found = sorted((int(path.stem, 16) for path in (data / "pg_wal").glob("*.history")), reverse=True)
    for newer in (number for number in found if number > timeline):
        steps = history(data, newer)
        if any(step.timeline == timeline for step in steps) and (end := last_record(data, newer, steps[-1].lsn)):
            return Position(newer, end)
    return Position(timeline, last_record(data, timeline, start) or after_header(start))


# --- a server


class Server:
    def __init__(self, name: str, base: Path) -> None:
        self.name = name
        self.directory = base / name
        self.data = self.directory / "data"
        self.conf = self.directory / "conf"
        self.log = self.directory / "log"
        self.held = self.directory / "held"  # while it is there, a promotion waits before its end
        self.reached = self.directory / "reached"
        self.leader: Server | None = None
        self.cut = False
        self.paused: list[int] = []
        self.replay_held = False
        self.standing = ""  # of a standby at rest
        self._settings: dict[str, str] = {}
        self._postmaster: subprocess.Popen | None = None
        self._session: Session | None = None

    def make(self, template: Path) -> None:
        self.directory.mkdir(parents=True)
        subprocess.run(["cp", "-a", template, self.data], check=True)

    @property
    def conninfo(self) -> str:
        return f"host={self.directory} port=5432 user=postgres dbname=template1"

    def settings(self) -> dict[str, str]:
        reached = self.leader is not None and not self.cut and not self.leader.cut
        where = self.leader.directory if reached else "/nowhere"
        return {
            **SETTINGS,
            "unix_socket_directories": str(self.directory),
            "primary_conninfo": f"host={where} port=5432 user=postgres application_name={self.name}",
            "recovery_end_command": f"test ! -e {self.held} || {{ touch {self.reached}; sleep 300; }}",
        }

    def configure(self, **more: str) -> None:
        """And make it heed that, if it runs."""
        wanted = {**self.settings(), **more}
        if wanted != self._settings:
            self._settings = wanted
            self.conf.write_text(programs.settings_text(wanted))
            if self._postmaster:
                self._postmaster.send_signal(signal.SIGHUP)

    # --- its processes

    @property
    def runs(self) -> bool:
        return self._postmaster is not None

    def launch(self, standby: bool) -> None:
        mark = self.data / "standby.signal"
        mark.touch() if standby else mark.unlink(missing_ok=True)
        self.configure()
        with open(self.log, "ab") as log:
            words = [programs.path("postgres"), "-D", self.data, "-c", f"config_file={self.conf}"]
            self._postmaster = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.directory
            )

    def wait_until_ready(self, standby: bool) -> None:
        def has_ended() -> bool:
            return self._postmaster.poll() is not None

        def is_ready() -> bool:
            return has_ended() or self.value("SELECT pg_is_in_recovery()") is standby

        until(f"{self.name} is {'a standby' if standby else 'a primary'}", is_ready, SECONDS)
        if has_ended():
            raise RuntimeError(f"{self.name} ended with {self._postmaster.returncode}")

    def pids(self) -> list[int]:
        return sorted(process.descendants(process.look_at_all(), self._postmaster.pid))

    def _ended(self) -> None:
        self.hang_up()
        self._postmaster = None
        self.paused = []
        self.replay_held = False

    def stop(self) -> None:
        self.hang_up()
        self._postmaster.send_signal(signal.SIGINT)
        self._postmaster.wait(SECONDS)
        self._ended()

    def kill(self) -> None:
        pids = self.pids()
        process.send(pids, signal.SIGKILL)
        self._postmaster.wait(SECONDS)
        until("all are gone", lambda: not any((found := process.look(pid)) and found.lives for pid in pids), SECONDS)
        self._ended()

    def pause(self) -> None:
        self.hang_up()
        self.paused = self.pids()
        process.send(self.paused, signal.SIGSTOP)

    def resume(self) -> None:
        process.send(self.paused, signal.SIGCONT)
        self.paused = []

    # --- what it says

    def hang_up(self) -> None:
        if self._session:
            self._session.close()
        self._session = None

    def query(self, sql: str) -> list[tuple]:
        try:
            self._session = self._session or Session(self.conninfo)
            return self._session.query(sql, timeout=SECONDS)
        except BaseException:
            self.hang_up()
            raise

    def value(self, sql: str) -> object:
        return self.query(sql)[0][0]

    @property
    def is_primary(self) -> bool:
        return self.runs and not self.paused and not self.value("SELECT pg_is_in_recovery()")

    def flushed(self) -> Position:
        """Of a primary."""
        lsn, name = self.query("SELECT pg_current_wal_flush_lsn(), pg_walfile_name(pg_current_wal_insert_lsn())")[0]
        return Position(int(name[:8], 16), lsn_of(lsn))

    def end(self) -> Position:
        return Position(self.flushed().timeline, 1 << 62) if self.is_primary else end_of_wal(self.data)

    def rows(self) -> list[int]:
        """The first who reads a row on a primary sets its hint bits, which writes WAL: read soon after it could change."""
        return [row for (row,) in self.query("SELECT n FROM rows ORDER BY n")]


# --- a situation


class Situation:
    def __init__(self, template: Path, base: Path) -> None:
        self.template = template
        self.base = base
        self.servers: dict[str, Server] = {}
        self.rows: list[Position] = []  # where each ends: rows[0] is row 1
        self.said: list[str] = []

    def server(self, name: str) -> Server:
        if name not in self.servers:
            raise Unplayable(f"there is no server {name}")
        return self.servers[name]

    def running(self, name: str, primary: bool | None = None) -> Server:
        found = self.server(name)
        if not found.runs or found.paused or (primary is not None and found.is_primary != primary):
            raise Unplayable(f"{name} is not running so")
        return found

    def down(self, name: str) -> Server:
        found = self.server(name)
        if found.runs:
            raise Unplayable(f"{name} is running")
        return found

    def end(self) -> None:
        for one in self.servers.values():
            if one.runs:
                one.kill()
        shutil.rmtree(self.base, ignore_errors=True)

    # --- commands

    def do_servers(self, *names: str) -> None:
        self.servers = {name: Server(name, self.base) for name in names}
        first, *others = self.servers.values()
        for one in self.servers.values():
            one.make(self.template)
            one.leader = first if one is not first else None
            one.launch(standby=one is not first)
        first.wait_until_ready(standby=False)
        for one in others:
            one.wait_until_ready(standby=True)

    def do_write(self, name: str, count: str = "1") -> None:
        primary = self.running(name, primary=True)
        for _ in range(int(count)):
            primary.query(f"INSERT INTO rows VALUES ({len(self.rows) + 1})")
            end = lsn_of(primary.value("SELECT pg_current_wal_insert_lsn()"))
            self.rows.append(Position(primary.flushed().timeline, after_header(end)))
        primary.rows()

    def do_checkpoint(self, name: str) -> None:
        self.running(name, primary=True).query("CHECKPOINT")

    def do_switch(self, name: str) -> None:
        self.running(name, primary=True).query("SELECT pg_switch_wal()")

    def do_stop(self, name: str) -> None:
        one = self.running(name)
        if any(other.paused and other.leader is one for other in self.servers.values()):
            # A walsender waits for so long until a standby says that it has everything.
            one.configure(wal_sender_timeout="1s")
        one.stop()

    def do_kill(self, name: str) -> None:
        one = self.server(name)
        if not one.runs:
            raise Unplayable(f"{name} is down")
        one.kill()

    def do_start(self, name: str, how: str, leader: str | None = None) -> None:
        one = self.down(name)
        if how not in ("primary", "standby") or (how == "standby") != (leader is not None):
            raise Unplayable("start NAME primary, or start NAME standby LEADER")
        one.leader = self.server(leader) if leader else None
        one.launch(standby=how == "standby")
        one.wait_until_ready(standby=how == "standby")
        one.rows()

    def _reserve(self, one: Server, timeline: str) -> None:
        """PostgreSQL takes the first number after its own that has no history: those between get one."""
        for number in range(end_of_wal(one.data).timeline + 1, int(timeline)):
            path = one.data / "pg_wal" / f"{number:08X}.history"
            if not path.exists():
                path.write_text(RESERVED)

    def do_promote(self, name: str, timeline: str) -> None:
        one = self.running(name, primary=False)
        self._reserve(one, timeline)
        one.query("SELECT pg_promote(true, 60)")
        one.wait_until_ready(standby=False)
        one.leader = None
        one.replay_held = False
        # pg_rewind believes the control file; and a checkpoint is a record.
        checked = "SELECT timeline_id FROM pg_control_checkpoint()"
        until("the checkpoint after the promotion", lambda: one.value(checked) == int(timeline), SECONDS)
        one.rows()

    def do_half_promote(self, name: str, timeline: str) -> None:
        one = self.running(name, primary=False)
        self._reserve(one, timeline)
        one.held.touch()
        one.query("SELECT pg_promote(false)")
        until("the promotion is held", one.reached.exists, SECONDS)
        one.kill()
        one.held.unlink()
        one.reached.unlink()

    def do_follow(self, name: str, leader: str) -> None:
        self.running(name, primary=False).leader = self.server(leader)

    def do_cut(self, name: str) -> None:
        self.server(name).cut = True

    def do_heal(self, name: str) -> None:
        self.server(name).cut = False

    def do_pause(self, name: str) -> None:
        self.running(name, primary=False).pause()

    def do_resume(self, name: str) -> None:
        self.server(name).resume()

    def do_hold_replay(self, name: str) -> None:
        one = self.running(name, primary=False)
        one.query("SELECT pg_wal_replay_pause()")
        one.replay_held = True

    def do_rewind(self, name: str, leader: str) -> None:
        """As src/cli/rejoin_rewind.c does it: recovery comes first."""
        one, source = self.down(name), self.running(leader, primary=True)
        (one.data / "standby.signal").unlink(missing_ok=True)
        if programs.control_data(one.data)["Database cluster state"] != "shut down":
            programs.must_run("postgres", "--single", "-D", one.data, "-c", f"config_file={one.conf}", "template1")
        done = programs.run("pg_rewind", "-D", one.data, f"--source-server={source.conninfo}", "--no-sync")
        if done.returncode != 0:
            raise RuntimeError(f"pg_rewind: {done.stdout}{done.stderr}")
        needed = "no rewind required" not in done.stdout + done.stderr
        self.said.append(f"rewind of {name}: {'done' if needed else 'not needed'}")

    def do_clone(self, name: str, leader: str) -> None:
        one, source = self.down(name), self.running(leader, primary=True)
        shutil.rmtree(one.data)
        programs.must_run("pg_basebackup", "-D", one.data, "-d", source.conninfo, "-c", "fast", "--no-sync")

    # --- rest

    def rest(self) -> None:
        for one in self.servers.values():
            one.configure()
        for one in self.servers.values():
            if one.paused:
                self._wait_until_sent(one)
            elif one.runs and not one.is_primary:
                self._wait_until_at_rest(one)

    def _is_reached(self, one: Server) -> bool:
        leader = one.leader
        return leader is not None and not one.cut and not leader.cut and leader.is_primary

    def _wait_until_sent(self, one: Server) -> None:
        if not self._is_reached(one):
            return
        sent = f"SELECT sent_lsn >= pg_current_wal_flush_lsn() FROM pg_stat_replication WHERE application_name = '{one.name}'"
        until(f"{one.name} was sent everything", lambda: all(done for (done,) in one.leader.query(sent)), SECONDS)

    def _wait_until_at_rest(self, one: Server) -> None:
        since = one.log.stat().st_size

        def is_at_rest() -> bool:
            if self._streams(one):
                one.standing = f"streams from {one.leader.name}"
                return self._has_all(one)
            if self._is_reached(one):
                one.standing = f"refused by {one.leader.name}"
                return self._refusals(one, since) >= REFUSALS and self._has_replayed(one)
            one.standing = "alone"
            # A receiver whose primary has gone reads what it was sent.
            return not one.query("SELECT pid FROM pg_stat_wal_receiver") and self._has_replayed(one)

        until(f"{one.name} is at rest", is_at_rest, SECONDS)

    def _streams(self, one: Server) -> bool:
        if not self._is_reached(one):
            return False
        receives = one.query("SELECT received_tli, sender_host FROM pg_stat_wal_receiver WHERE status = 'streaming'")
        return receives == [(one.leader.flushed().timeline, str(one.leader.directory))]

    def _has_all(self, one: Server) -> bool:
        received, replayed = map(lsn_of, one.query("SELECT pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()")[0])
        # A receiver that was begun again, a segment's start first, counts what it had only when more comes.
        return (max(received, replayed) if one.replay_held else replayed) >= one.leader.flushed().lsn

    def _refusals(self, one: Server, since: int) -> int:
        with open(one.log, errors="replace") as log:
            log.seek(since)
            return len(REFUSED.findall(log.read()))

    def _has_replayed(self, one: Server) -> bool:
        return one.replay_held or one.rows() == self.rows_until(one, end_of_wal(one.data))

    # --- what is observed

    def rows_until(self, one: Server, end: Position) -> list[int]:
        ends = {step.timeline: step.lsn for step in history(one.data, end.timeline)} | {end.timeline: end.lsn}
        return [n for n, row in enumerate(self.rows, 1) if row.lsn <= ends.get(row.timeline, 0)]

    def _timeline(self, one: Server, end: Position) -> str:
        steps = history(one.data, end.timeline)
        if not steps:
            return f"timeline {end.timeline}"
        before = self.rows_until(one, Position(end.timeline, 0))
        return f"timeline {end.timeline} (of {steps[-1].timeline} after {f'row {before[-1]}' if before else 'no row'})"

    def observation(self, one: Server) -> str:
        if one.paused:
            return f"{one.name}: paused"
        end = one.end()
        rows = self.rows_until(one, end)
        more = ""
        if not one.runs:
            state = programs.control_data(one.data)["Database cluster state"]
            what = state if state.startswith("shut down") else "not shut down"
        elif one.is_primary:
            what, rows = "primary", one.rows()
        else:
            what, more = "standby", f", {one.standing}"
        return f"{one.name}: {what}, {self._timeline(one, end)}, {rows_text(rows)}{more}"

    def observe(self) -> list[str]:
        said, self.said = self.said, []
        return said + [self.observation(one) for one in self.servers.values()]

    def run(self, line: str) -> None:
        name, *words = line.split()
        command: Callable[..., None] | None = getattr(self, "do_" + name.replace("-", "_"), None)
        if command is None:
            raise Unplayable(f"no command: {line}")
        command(*words)
        self.rest()


def rows_text(rows: list[int]) -> str:
    """1, 2, 3, 5: "rows 1-3, 5"."""
    runs: list[list[int]] = []
    for row in rows:
        if runs and runs[-1][-1] == row - 1:
            runs[-1].append(row)
        else:
            runs.append([row])
    return "rows " + ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs) if runs else "no row"


# --- a file


def situations_of(text: str) -> list[str]:
    """What is in front of the first, and each of them; together they are the text."""
    return re.split(r"^(?=servers )", text, flags=re.MULTILINE)


def play(text: str, template: Path, base: Path) -> str:
    """One of them, with what is observed in place of what it says of that."""
    played = Situation(template, base)
    lines: list[str] = []
    skips = False
    line = ""
    try:
        for line in text.splitlines():
            if skips and line:
                continue
            lines.append(line)
            skips = line == OBSERVED
            if skips:
                lines += played.observe()
            elif line and not line.startswith("#"):
                played.run(line)
    except Exception as error:
        logs = "".join(f"\n--- {one.name}'s log\n{programs.tail(one.log)}" for one in played.servers.values())
        raise RuntimeError("\n".join([*lines, f"{line}: {error}{logs}"])) from error
    finally:
        played.end()
    return "".join(f"{line}\n" for line in lines)


def make_template(directory: Path) -> Path:
    """A data directory with an empty table, of a server that was shut down."""
    data = directory / "template"
    programs.must_run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N", "--locale=C", "-E", "UTF8", "--wal-segsize=1")
    one = Server("maker", directory)
    one.directory.mkdir()
    one.data = data
    one.launch(standby=False)
    try:
        one.wait_until_ready(standby=False)
        # What is copied for each server is small.
        one.query("DROP DATABASE postgres")
        one.query("UPDATE pg_database SET datistemplate = false WHERE datname = 'template0'")
        one.query("DROP DATABASE template0")
        one.query("CREATE TABLE rows (n integer)")
        one.query("VACUUM (FREEZE)")
    finally:
        one.stop()
    return data
