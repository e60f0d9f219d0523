"""The judge of a long run with many faults, some of them at the same time.

Which node was primary when, and which WAL was lost, is not known beforehand as it is for
a single event: every acknowledgement names its timeline, and the timeline's end is read
from the history file of whoever leads in the end.
"""

import math
import os
import re
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path

from . import programs
from .cluster import Cluster
from .evidence import COMMIT_RECORD, lsn_number, lsn_text, missing_rows
from .load import Ack
from .node import Node
from .session import Session

SEGMENT = 16 << 20  # initdb's default
SEGMENT_NAME = re.compile(r"[0-9A-F]{24}")


class DiscardedWal:
    """Hard links to the WAL that nodes are about to discard, for as long as the judge may want it.

    A rewind copies what lies past the fork, a clone moves the whole old directory aside;
    both go some time later.  Neither is written to again, so a link keeps what it was.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._kept = cluster.base / "discarded-wal"
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "DiscardedWal":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(10)

    def directories(self) -> list[Path]:
        """All places with WAL: what was discarded, and each node's own."""
        kept = sorted(path for path in self._kept.glob("*") if path.is_dir())
        return kept + [node.data / "pg_wal" for node in self._cluster.nodes]

    def forget(self) -> None:
        with self._lock:
            shutil.rmtree(self._kept, ignore_errors=True)

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            with self._lock:
                for node in self._cluster.nodes:
                    for source in [*node.state.glob("wal-past-fork-*"), node.directory / "data.old" / "pg_wal"]:
                        self._link(node, source)

    def _link(self, node: Node, source: Path) -> None:
        try:
            names = [name for name in os.listdir(source) if SEGMENT_NAME.fullmatch(name)]
            target = self._kept / f"{node.name}-{source.parent.name}-{source.name}-{source.stat().st_ino}"
            target.mkdir(parents=True, exist_ok=True)
            for name in names:
                try:
                    os.link(source / name, target / name)
                except FileExistsError:
                    pass
        except OSError:
            pass  # it is not there, or went away meanwhile


def commits_after(directory: Path, timeline: int, start: int) -> dict[int, int]:
    """Transaction -> position of its commit record on `timeline`, from `start` on, as far as `directory` has it.

    pg_waldump ends with a complaint where the WAL ends, so its exit status says nothing.
    """
    prefix = f"{timeline:08X}"
    try:
        names = sorted(name for name in os.listdir(directory) if SEGMENT_NAME.fullmatch(name) and name[:8] == prefix)
    except OSError:
        return {}
    first = prefix + f"{start >> 32:08X}{(start & 0xFFFFFFFF) // SEGMENT:08X}"
    usable = [name for name in names if name >= first]
    if not usable:
        return {}
    if usable[0] > first:
        start = (int(usable[0][8:16], 16) << 32) + int(usable[0][16:], 16) * SEGMENT
    # The segment's name tells pg_waldump where to learn the size of segments: others may be empty.
    done = programs.run(
        "pg_waldump", "-p", directory, "-t", timeline, "-s", lsn_text(start), "-r", "Transaction", usable[0]
    )
    return {int(tx): lsn_number(f"{high}/{low}") for tx, high, low in COMMIT_RECORD.findall(done.stdout)}


def lineage(leader: Node, timeline: int) -> dict[int, int]:
    """Timeline -> where the leader's WAL left it, for all before its present one."""
    try:
        text = (leader.data / "pg_wal" / f"{timeline:08X}.history").read_text()
    except FileNotFoundError:
        return {}  # the first timeline has none
    lines = (line.split() for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return {int(words[0]): lsn_number(words[1]) for words in lines}


def unproven(
    rows: list[Ack], present: int, left_at: dict[int, int], commits: dict[tuple[int, int], int]
) -> list[str]:
    """One sentence for each missing row that async mode does not allow to be missing.

    `present` is the leader's timeline, `left_at` its lineage, `commits` the positions of
    commit records by timeline and transaction (its lower 32 bits, which is what WAL has).
    """
    found = []
    for row in rows:
        what = f"row {row.id}, acknowledged on timeline {row.timeline}, is missing"
        fork = left_at.get(row.timeline)
        if row.timeline >= present:
            found.append(f"{what}, and no other timeline has begun since (the leader is on {present})")
        elif fork is None or row.position >= fork:
            continue  # its commit record lies beyond what it carries, or the whole timeline was left behind
        elif (commit := commits.get((row.timeline, row.transaction & 0xFFFFFFFF))) is None:
            found.append(f"{what}, and no WAL that was kept has its commit from {lsn_text(row.position)} on")
        elif commit < fork:
            found.append(
                f"{what}; it was committed at {lsn_text(commit)}, and the timeline was left at {lsn_text(fork)}"
            )
    return found


@dataclass
class Judge:
    """Everything that clients were told since the ledger was last emptied, held against what there is."""

    cluster: Cluster
    wal: DiscardedWal
    acked: set[int] = field(default_factory=set)
    lost: dict[int, Ack] = field(default_factory=dict)  # missing, and allowed to be
    ports: dict[int, int] = field(default_factory=dict)  # timeline -> who acknowledged on it
    begun: dict[int, float] = field(default_factory=dict)  # timeline -> when its lease was taken, or its first ack
    overlap_s: float = 0.0
    excused: int = 0

    def hear(self, acks: list[Ack], own_code: set[int], takes: dict[int, float] | None = None) -> list[str]:
        """Who acknowledged when: one port per timeline, and nobody once a successor's time has begun.

        That is its first acknowledgement, or when it took a lapsed lease by the history
        (`takes`, by timeline): clients of a former primary that goes on may never ask
        another.  A lease that was released says nothing new: its holder's processes are gone.

        `own_code` are backends that a stop met between two of their own instructions.  Of
        each, one acknowledgement may be late: no fence stands between the last test and
        the send itself.
        """
        self.acked.update(ack.id for ack in acks)
        for timeline, at in (takes or {}).items():
            self.begun[timeline] = min(at, self.begun.get(timeline, at))
        found = []
        late: dict[int, list[Ack]] = {}
        for ack in sorted(acks, key=lambda ack: ack.at):
            if self._successor_began(ack.timeline) < ack.at:
                late.setdefault(ack.backend, []).append(ack)
                continue
            port = self.ports.setdefault(ack.timeline, ack.port)
            self.begun.setdefault(ack.timeline, ack.at)
            if port != ack.port:
                names = sorted(self.cluster.node(p).name for p in (port, ack.port))
                found.append(f"{names[0]} and {names[1]} both acknowledged on timeline {ack.timeline}")
        for backend, own in late.items():
            if backend in own_code and len(own) == 1:
                self.excused += 1
                continue
            for ack in own:
                beside = ack.at - self._successor_began(ack.timeline)
                self.overlap_s = max(self.overlap_s, beside)
                found.append(
                    f"row {ack.id} was acknowledged on timeline {ack.timeline}, {beside:.3f} s into a successor's time"
                )
        return found

    def _successor_began(self, timeline: int) -> float:
        return min((began for other, began in self.begun.items() if other > timeline), default=math.inf)

    def look(self, leader: Node, acks: list[Ack]) -> tuple[list[Ack], list[str]]:
        """Which of `acks` the leader does not show, and what is wrong with that."""
        missing: list[Ack] = []
        for number in sorted({ack.round for ack in acks}):
            missing += missing_rows(self.cluster, leader, [ack for ack in acks if ack.round == number], number)
        missing = [row for row in missing if row.id not in self.lost]
        if not missing:
            return [], []
        self.lost.update((row.id, row) for row in missing)
        present = self.cluster.timeline(leader)
        left_at = lineage(leader, present)
        return missing, unproven(missing, present, left_at, self._commits(missing, left_at))

    def _commits(self, rows: list[Ack], left_at: dict[int, int]) -> dict[tuple[int, int], int]:
        """Commit records of those rows whose own position does not settle the matter."""
        found: dict[tuple[int, int], int] = {}
        for timeline in {row.timeline for row in rows}:
            doubtful = [row.position for row in rows if row.timeline == timeline]
            doubtful = [position for position in doubtful if position < left_at.get(timeline, 0)]
            for directory in self.wal.directories() if doubtful else []:
                for transaction, position in commits_after(directory, timeline, min(doubtful)).items():
                    found[timeline, transaction] = position
        return found

    def audit(self, leader: Node) -> list[str]:
        """While nobody writes: the ledger has all that was acknowledged but what is known to be lost."""
        with Session(self.cluster.dsn([leader]), 10) as session:
            there = {row[0] for row in session.query("SELECT id FROM ledger", timeout=120)}
        gone = self.acked - there - self.lost.keys()
        back = there & self.lost.keys()
        return [f"row {row} went missing later than its event" for row in sorted(gone)] + [
            f"row {row} was missing and came back" for row in sorted(back)
        ]

    def forget(self) -> None:
        """The ledger is empty again."""
        self.acked.clear()
        self.lost.clear()
        newest = max(self.begun, default=0)  # of all before it nothing comes any more
        self.begun = {timeline: began for timeline, began in self.begun.items() if timeline == newest}
