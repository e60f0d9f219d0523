"""What was lost, and whether the mode allows it.

Async mode's limit: a row that the old primary acknowledged and had not yet streamed
may be missing, and only such a row: its commit record lies at or beyond the position
where the new timeline leaves the old one.  A client cannot know the position of its
commit record (any function it calls runs before or after), so the position that a row
carries is only a lower bound, from which we read the old primary's own WAL, on its
disk: every acknowledged commit is there, for it was flushed before it was acknowledged.
Transaction id -> position of the commit record is then exact, and so is the verdict.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from . import programs
from .cluster import Cluster
from .load import Ack
from .node import Node
from .session import Session

COMMIT_RECORD = re.compile(r"rmgr: Transaction .*tx: +(\d+), lsn: ([0-9A-F]+)/([0-9A-F]+), .*desc: COMMIT")


def lsn_text(position: int) -> str:
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def lsn_number(text: str) -> int:
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def missing_rows(cluster: Cluster, leader: Node, acks: list[Ack], number: int) -> list[Ack]:
    """Those of `acks`, all of round `number`, that the leader does not show."""
    with Session(cluster.dsn([leader]), 10) as session:
        present = {row[0] for row in session.query("SELECT id FROM ledger WHERE round = %s", (number,), timeout=60)}
    return [ack for ack in acks if ack.id not in present]


def commit_positions(node: Node, timeline: int, start: int) -> dict[int, int]:
    """Transaction -> start of its commit record, in the WAL on the node's disk from `start` on.

    For a node that is stopped or dead.  pg_waldump goes on to the last whole record and
    then complains, so its exit status says nothing.
    """
    done = programs.run(
        "pg_waldump", "-p", node.data / "pg_wal", "-t", timeline, "-s", lsn_text(start), "-r", "Transaction"
    )
    return {int(tx): lsn_number(f"{high}/{low}") for tx, high, low in COMMIT_RECORD.findall(done.stdout)}


def fork_position(leader: Node, old_timeline: int, new_timeline: int) -> int:
    """Where the new timeline's lineage leaves the old timeline, by the leader's history file."""
    history = Path(leader.data / "pg_wal" / f"{new_timeline:08X}.history").read_text()
    for line in history.splitlines():
        words = line.split()
        if words and not words[0].startswith("#") and int(words[0]) == old_timeline:
            return lsn_number(words[1])
    raise ValueError(f"timeline {new_timeline} does not descend from {old_timeline}:\n{history}")


@dataclass(frozen=True)
class Loss:
    """The rows that an event cost, with the proof."""

    rows: list[Ack]
    fork: int
    commits: dict[int, int]

    def problems(self) -> list[str]:
        """One sentence for every row that async mode does not allow to be missing."""
        found = []
        for row in self.rows:
            # WAL carries the transaction id without its epoch.
            commit = self.commits.get(row.transaction & 0xFFFFFFFF)
            if commit is None:
                found.append(f"row {row.id} was acknowledged, but its commit is not in the old primary's WAL")
            elif commit < self.fork:
                found.append(
                    f"row {row.id}, committed at {lsn_text(commit)}, is missing although "
                    f"the new timeline begins at {lsn_text(self.fork)}"
                )
        return found


def examine(cluster: Cluster, old: Node, leader: Node, acks: list[Ack], number: int, new_timeline: int) -> Loss:
    """While `old` is down or stopped: which acknowledged rows are missing, and why."""
    missing = missing_rows(cluster, leader, acks, number)
    if not missing:
        return Loss([], 0, {})
    timeline = missing[0].timeline
    commits = commit_positions(old, timeline, min(row.position for row in missing))
    return Loss(missing, fork_position(leader, timeline, new_timeline), commits)


def reigns(acks: list[Ack]) -> list[tuple[tuple[int, int], float, float]]:
    """Per (timeline, port), in that order: its first and its last acknowledgement."""
    spans: dict[tuple[int, int], tuple[float, float]] = {}
    for ack in acks:
        first, last = spans.get((ack.timeline, ack.port), (ack.at, ack.at))
        spans[ack.timeline, ack.port] = (min(first, ack.at), max(last, ack.at))
    return [(who, *spans[who]) for who in sorted(spans)]


def overlap(acks: list[Ack]) -> float:
    """Seconds during which a primary acknowledged beside one of its successors; must be 0."""
    spans = reigns(acks)
    pairs = ((before, after) for i, before in enumerate(spans) for after in spans[i + 1 :])
    return max((max(0.0, before[2] - after[1]) for before, after in pairs), default=0.0)


def outage(acks: list[Ack], since: float) -> tuple[float, float, float]:
    """The longest time without an acknowledgement that ends after `since`: (seconds, from, to)."""
    times = sorted(ack.at for ack in acks)
    gaps = [(after - before, before, after) for before, after in zip(times, times[1:]) if after >= since]
    return max(gaps, default=(0.0, since, since))
