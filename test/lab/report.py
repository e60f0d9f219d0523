"""What people and machines see: the live timeline, the table, the JSON lines, the machine's noise."""

import json
import os
import statistics
import sys
import tempfile
import threading
from pathlib import Path
from typing import Iterable, TextIO

from .cluster import Cluster
from .events import EVENTS, Outcome
from .load import Ack, Load
from .node import Node
from .session import Error, Session, Silent
from .wait import now

QUIET_S = 0.2  # without an acknowledgement: writes have stopped


class Timeline:
    """One line per thing that happens, with the seconds since the start."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out
        self._start = now()
        self._lock = threading.Lock()

    def __call__(self, text: str) -> None:
        with self._lock:
            print(f"{now() - self._start:9.3f}  {text}" if text else "", file=self._out, flush=True)


class Watch:
    """Tells the timeline what changes: who leads, who is gone, when writes stop and come back.

    An observer only: no figure and no verdict comes from here.
    """

    def __init__(self, cluster: Cluster, say: Timeline) -> None:
        self._cluster = cluster
        self._say = say
        self._ended = threading.Event()
        self.load: Load | None = None
        self._threads = [
            threading.Thread(target=self._watch_node, args=(node,), daemon=True) for node in cluster.nodes
        ] + [threading.Thread(target=self._watch_writes, daemon=True)]

    def __enter__(self) -> "Watch":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(10)

    def _watch_node(self, node: Node) -> None:
        before = "is down"
        session: Session | None = None
        while not self._ended.wait(0.1):
            try:
                session = session or node.session(1)
                state = self._describe(session)
            except Silent:
                state = "does not answer"
            except Error as error:
                state = _refusal(error)
            if state in ("does not answer", "is down", "refuses: it has no lease") and session:
                session.close()
                session = None
            if state and state != before:
                self._say(f"{node.name} {state}")
                before = state

    def _describe(self, session: Session) -> str:
        recovering, upstream = session.query(
            "SELECT pg_is_in_recovery(), "
            "(SELECT sender_port FROM pg_stat_wal_receiver WHERE status = 'streaming')",
            timeout=1,
        )[0]
        if not recovering:
            timeline = session.value(
                "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int", timeout=1
            )
            return f"leads, on timeline {timeline}"
        if upstream is None:
            return "is a standby, without a leader"
        return f"is a standby and streams from {self._cluster.node(upstream).name}"

    def _watch_writes(self) -> None:
        seen = 0
        last: Ack | None = None
        told = False  # that writes have stopped
        while not self._ended.wait(0.02):
            if self.load is None:
                continue
            for ack in self.load.acks[seen:]:
                if last and (told or ack.port != last.port):
                    name = self._cluster.node(ack.port).name
                    self._say(f"{name} takes writes, after {ack.at - last.at:.2f} s without")
                    told = False
                last = ack
                seen += 1
            if last and not told and now() - last.at > QUIET_S:
                told = True
                self._say("writes have stopped")


def _refusal(error: Exception) -> str:
    text = str(error)
    if "starting up" in text or "shutting down" in text or "recovery" in text:
        return ""  # on its way to another state, which will be told
    if getattr(error, "pgcode", None) == "25006" or "lease" in text:
        return "refuses: it has no lease"
    return "is down"


# --- figures


def table(outcomes: Iterable[Outcome]) -> str:
    heads = ("event", "write outage", "rows acknowledged", "rows missing", "old primary back after")
    rows = [
        (
            outcome.title,
            f"{outcome.outage_s:.2f} s",
            f"{outcome.acked:,}",
            str(outcome.missing),
            f"{outcome.back_s:.1f} s" + (" (leads again)" if outcome.new == outcome.old else ""),
        )
        for outcome in outcomes
    ]
    return aligned(heads, rows)


def bench_table(outcomes: list[Outcome]) -> str:
    heads = ("event", "runs", "write outage, median [min, max]", "rows acknowledged", "rows missing", "back, median")
    rows = []
    for case, own in by_case(outcomes):
        gaps = [outcome.outage_s for outcome in own]
        rows.append(
            (
                EVENTS[case].title,
                str(len(own)),
                f"{statistics.median(gaps):.2f} s [{min(gaps):.2f}, {max(gaps):.2f}]",
                f"{sum(outcome.acked for outcome in own):,}",
                str(sum(outcome.missing for outcome in own)),
                f"{statistics.median(outcome.back_s for outcome in own):.1f} s",
            )
        )
    return aligned(heads, rows)


def aligned(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Columns as wide as their widest cell; the first to the left, figures to the right."""
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]

    def line(cells: tuple[str, ...]) -> str:
        first = cells[0].ljust(widths[0])
        return "  ".join([first, *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:]))]).rstrip()

    return "\n".join([line(heads), "  ".join("-" * width for width in widths), *map(line, rows)])


def by_case(outcomes: list[Outcome]) -> list[tuple[str, list[Outcome]]]:
    grouped = ((case, [outcome for outcome in outcomes if outcome.case == case]) for case in EVENTS)
    return [(case, own) for case, own in grouped if own]


def json_lines(outcomes: list[Outcome], lock: str = "directory") -> list[dict]:
    """The format of every suite of this project: one object per case."""
    return [
        {
            "suite": "failover",
            "case": case,
            "lock": lock,
            "mode": "async",
            **figures([outcome.outage_s for outcome in own], "s"),
            "rows_acked": sum(outcome.acked for outcome in own),
            "rows_missing": sum(outcome.missing for outcome in own),
            "overlap_s": round(max(outcome.overlap_s for outcome in own), 3),
        }
        for case, own in by_case(outcomes)
    ]


def figures(values: list[float], unit: str) -> dict:
    return {
        "unit": unit,
        "runs": len(values),
        "median": round(statistics.median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
    }


def append_json(target: str | None, lines: list[dict]) -> None:
    """/dev/fd/N is written through the descriptor that we inherited: the file may be another user's."""
    if target is None:
        return
    where = int(target.removeprefix("/dev/fd/")) if target.startswith("/dev/fd/") else target
    with open(where, "a") as out:
        for line in lines:
            out.write(json.dumps(line) + "\n")


# --- the machine


def noise(directory: Path, rounds: int = 40) -> list[dict]:
    """How much this machine varies by itself: a fixed loop, and 8 kB written and flushed."""
    loops, flushes = [], []
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        for _ in range(rounds):
            began = now()
            sum(range(300_000))
            loops.append((now() - began) * 1000)
            began = now()
            os.pwrite(file.fileno(), b"x" * 8192, 0)
            os.fdatasync(file.fileno())
            flushes.append((now() - began) * 1000)
    return [
        {"suite": "machine", "case": "cpu-loop", **figures(loops, "ms")},
        {"suite": "machine", "case": "fdatasync-8kB", **figures(flushes, "ms")},
    ]


def noise_text(lines: list[dict]) -> str:
    parts = [f"{line['case']} {line['median']:.2f} ms [{line['min']:.2f}, {line['max']:.2f}]" for line in lines]
    return "machine, idle: " + ", ".join(parts)


def problems_text(outcomes: Iterable[Outcome]) -> str:
    """Every broken promise; at most a few of a kind, for one cause breaks many rows."""
    lines = []
    for outcome in outcomes:
        lines += [f"BROKEN: {outcome.title}: {problem}" for problem in outcome.problems[:5]]
        if len(outcome.problems) > 5:
            lines.append(f"BROKEN: {outcome.title}: and {len(outcome.problems) - 5} more")
    return "\n".join(lines)
