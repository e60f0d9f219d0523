"""A long run: random faults, sometimes two at a time, and after each the verdict.

The seed decides which faults come, in which order, and what they choose; when exactly the
cluster notices them it cannot decide.
"""

import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Callable

from . import programs
from .cluster import Cluster
from .evidence import outage
from .strikes import FAULTS, USUAL, Record, Scene, restore
from .load import Load
from .node import Node
from .session import Session
from .verdict import DiscardedWal, Judge
from .wait import NotInTime, now, until

WHOLE_S = 180  # generous, for a busy machine: then somebody would have to look
AUDIT_EVERY = 20  # events, after which all rows of all nodes are compared, and the ledger begins anew
TOGETHER = 0.25  # of the events are two faults at a time
STEADY_ROWS = 200

Say = Callable[[str], None]


@dataclass(frozen=True)
class Step:
    number: int
    faults: tuple[str, ...]
    seed: str

    @property
    def title(self) -> str:
        return " + ".join(self.faults)


def monotonic(wall: str) -> float:
    """A time of the history, as of the clock that acknowledgements are noted by."""
    return datetime.fromisoformat(wall.replace("Z", "+00:00")).timestamp() - time.time() + now()


def plan(seed: int, events: int, names: tuple[str, ...] = ()) -> list[Step]:
    """`events` faults; each comes as often as any other, to within one."""
    chance = random.Random(seed)
    names = names or USUAL
    bag: list[str] = []
    while len(bag) < events:
        bag += chance.sample(names, len(names))
    del bag[events:]
    steps = []
    while bag:
        count = 2 if len(bag) > 1 and chance.random() < TOGETHER else 1
        steps.append(Step(len(steps) + 1, tuple(bag[:count]), f"{seed}/{len(steps) + 1}"))
        del bag[:count]
    return steps


@dataclass
class Result:
    steps: int = 0
    faults: Counter = field(default_factory=Counter)
    acked: int = 0
    missing: int = 0
    overlap_s: float = 0.0
    outages: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)  # from the end of the faults until all stream
    problems: list[str] = field(default_factory=list)


class Run:
    """One cluster, one load, one judge."""

    def __init__(self, cluster: Cluster, load: Load, wal: DiscardedWal, say: Say) -> None:
        self.cluster = cluster
        self.load = load
        self.wal = wal
        self.judge = Judge(cluster, wal)
        self.result = Result()
        self.whole_s = WHOLE_S
        self._say = say

    def perform(self, steps: list[Step], seconds: float = 10**9) -> Result:
        """Stops at the first step with a problem: its evidence is to be looked at; or when the time is over."""
        until_ = now() + seconds
        for step in steps:
            problems = self.step(step)
            last = step is steps[-1] or now() > until_
            if not problems and (last or step.number % AUDIT_EVERY == 0):
                problems = self.audit()
            if problems:
                self.result.problems += [f"event {step.number}, {step.title}: {problem}" for problem in problems]
            if problems or last:
                break
        return self.result

    # --- one step

    def step(self, step: Step) -> list[str]:
        leader = self.cluster.wait_all_stream(WHOLE_S)
        self.load.begin_round()
        self.load.wait_for_acks(STEADY_ROWS, WHOLE_S)
        lapses = self._lapses(leader)
        record, began = Record(), now()
        self._strike(step, leader, record)
        over = now()
        record.notes += restore(self.cluster)
        new = self.wait_whole(step.faults)
        whole = now()
        self.load.wait_for_acks(STEADY_ROWS // 2, WHOLE_S)
        return self._verdict(step, record, leader, new, began, whole - over, lapses)

    def _strike(self, step: Step, leader: Node, record: Record) -> None:
        """All faults of the step, each in a thread of its own; returns when all have ended."""
        switch = threading.Lock()
        threads = []
        for number, name in enumerate(step.faults):
            chance = random.Random(f"{step.seed}/{number}")
            scene = Scene(self.cluster, leader, chance, len(step.faults) == 1, record, switch=switch)
            delay = chance.uniform(0, 3) if number else 0
            threads.append(threading.Thread(target=self._act, args=(name, scene, delay), daemon=True))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(600)
            if thread.is_alive():
                record.problems.append("a fault did not end within 600 s")

    @staticmethod
    def _act(name: str, scene: Scene, delay: float) -> None:
        try:
            threading.Event().wait(delay)
            FAULTS[name].act(scene)
        except Exception as error:  # noqa: BLE001: of two faults one may find nobody to act upon
            text = f"{name}: {type(error).__name__}: {str(error).strip()}"
            scene.note(text)
            if scene.alone:
                scene.record.problems.append(text)

    def wait_whole(self, faults: tuple[str, ...] = ()) -> Node:
        """One leads, all others stream from it, and nothing is left of what operators asked for."""
        for name, *words in (
            ("paused", "resume"),
            ("changed-lease", "reset", "fawkes_ha.lease_duration"),
        ):
            if name in faults:
                until(f"{' '.join(words)} is done", lambda words=words: self._asked(*words), WHOLE_S, every=0.5)
        try:
            return self.cluster.wait_all_stream(self.whole_s)
        except NotInTime as error:
            raise NotInTime(f"the cluster needs a human: {error}\n{self.cluster.status_table()}") from None

    def _asked(self, *words: str) -> bool:
        """4: there is nothing to resume or reset."""
        return self.cluster.nodes[0].command(*words, "--wait", "20", timeout=60).returncode in (0, 4)

    def _lapses(self, node: Node) -> dict[str, int]:
        """Takings of a lapsed lease among the history's last 100 entries: when, and for which timeline."""
        history = until("the history is read", lambda: self._history(node), 60)
        return {entry["at"]: entry["timeline"] for entry in history["entries"] if "had lapsed" in entry["reason"]}

    @staticmethod
    def _history(node: Node) -> dict | None:
        done = node.command("history", "-o", "json")
        return json.loads(done.stdout) if done.returncode == 0 else None

    # --- the verdict

    def _verdict(
        self, step: Step, record: Record, old: Node, new: Node, began: float, whole: float, lapses: dict[str, int]
    ) -> list[str]:
        acks = self.load.take_acks()
        lapses = {at: timeline for at, timeline in self._lapses(new).items() if at not in lapses}
        problems = record.problems[:]
        problems += self.judge.hear(acks, record.own_code, {tl: monotonic(at) for at, tl in lapses.items()})
        missing, unproven = self.judge.look(new, acks)
        problems += unproven
        if missing and not lapses and all(FAULTS[name].loses_nothing for name in step.faults):
            problems.append(f"{len(missing)} rows are missing, though no lease lapsed: {missing[0]}")
        for port, timeline, since, until_ in record.shut:
            late = [ack for ack in acks if ack.port == port and ack.timeline == timeline and since < ack.at < until_]
            problems += [f"row {ack.id} was acknowledged {ack.at - since:.3f} s after the lapse" for ack in late]
        for check in record.checks:
            problems += check(new)
        self.wal.forget()
        gap = outage(acks, began)[0]
        self._count(step, len(acks), len(missing), gap, whole)
        self._say(
            f"{step.number:4}  {step.title}: {old.name} -> {new.name}{', lapsed' if lapses else ''}; "
            f"outage {gap:.2f} s, whole after {whole:.1f} s; {len(acks)} rows, {len(missing)} missing"
            + "".join(f"; {note}" for note in dict.fromkeys(record.notes))
        )
        return problems

    def _count(self, step: Step, acked: int, missing: int, gap: float, whole: float) -> None:
        self.result.steps += 1
        self.result.faults.update(step.faults)
        self.result.acked += acked
        self.result.missing += missing
        self.result.overlap_s = self.judge.overlap_s
        self.result.outages.append(gap)
        self.result.whole.append(whole)

    def audit(self) -> list[str]:
        """Nobody writes: all nodes are equal, all that was acknowledged is there, the indexes fit the tables."""
        with self.load.paused():
            self.load.wait_idle()
            acks = self.load.take_acks()
            leader = self.cluster.wait_all_stream(WHOLE_S)
            problems = self.judge.hear(acks, set()) + self.judge.look(leader, acks)[1]
            rows = self.cluster.wait_all_equal(WHOLE_S)
            problems += self.judge.audit(leader)
            if problems:
                return problems
            self._check_indexes(leader)
            with Session(self.cluster.dsn([leader]), 10) as session:
                session.query("TRUNCATE ledger; DROP TABLE IF EXISTS bulk, read_long", timeout=60)
            self.judge.forget()
            self.cluster.wait_all_equal(WHOLE_S)
        self._say(f"      audit: all nodes have the same {rows} rows, and their indexes fit")
        return []

    def _check_indexes(self, leader: Node) -> None:
        with leader.session() as session:
            session.query("CREATE EXTENSION IF NOT EXISTS amcheck", timeout=60)
        for node in self.cluster.nodes:
            until(
                f"{node.name} has amcheck",
                lambda node=node: node.value("SELECT count(*) FROM pg_extension WHERE extname = 'amcheck'") == 1,
            )
            with node.session() as session:
                session.query(
                    "SELECT bt_index_check(c.oid, i.indisunique) FROM pg_index i JOIN pg_class c ON c.oid = indexrelid "
                    "JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'btree' AND c.relpersistence <> 't' "
                    "AND i.indisready AND i.indisvalid",
                    timeout=120,
                )


def check_pages(cluster: Cluster) -> list[str]:
    """Of a cluster that was stopped: no page of any node fails its checksum."""
    problems = []
    for node in cluster.nodes:
        done = programs.run("pg_checksums", "--check", "-D", node.data, timeout=300)
        if done.returncode != 0:
            problems.append(f"pg_checksums of {node.name} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return problems
