"""One attack on a running cluster: steady writes before, the judgement after.

What is judged: the cluster heals by itself, no row is missing that async mode does not
allow to be missing, and no two primaries acknowledged at the same time.
"""

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from . import evidence
from .cluster import Cluster
from .load import Ack, Load
from .node import Node
from .shim import Shim
from .wait import now

HEAL_S = 120


class Attack:
    def __init__(self, cluster: Cluster, load: Load) -> None:
        self.cluster = cluster
        self.load = load
        self.old = cluster.wait_all_stream(HEAL_S)
        self.timeline = cluster.timeline(self.old)
        self.number = load.begin_round()
        load.wait_for_acks(300)
        self.began = now()
        self.log_sizes = {node: node.log.stat().st_size for node in cluster.nodes}
        self.loss: evidence.Loss | None = None
        self.succeeded = float("inf")

    def acks(self) -> list[Ack]:
        return [ack for ack in self.load.acks if ack.round == self.number]

    def wait_for_log(self, node: Node, text: str, seconds: float = 60) -> str:
        """Until `node` has logged `text` since the attack began."""
        return node.wait_for_log(text, seconds, self.log_sizes[node])

    def wait_for_successor(self) -> Node:
        """Another node acknowledges writes; what it lacks is looked at while the old one has its WAL."""
        leader = self.cluster.wait_for_leader(HEAL_S, besides=self.old)
        self.succeeded = now()
        first = self.load.wait_for_server(leader.port, self.began)
        self.loss = evidence.examine(self.cluster, self.old, leader, self.acks(), self.number, first.timeline)
        return leader

    def judge(self) -> Node:
        """The cluster heals; without wait_for_successor() before, not one row may be missing."""
        leader = self.cluster.wait_all_stream(HEAL_S)
        self.load.wait_for_acks(200)
        missing = evidence.missing_rows(self.cluster, leader, self.acks(), self.number)
        assert evidence.overlap(self.acks()) == 0
        # The writers stay with the old primary as long as it acknowledges: the successor may have waited for them.
        assert [ack for ack in self.acks() if ack.timeline == self.timeline and ack.at > self.succeeded] == []
        if self.loss is None:
            assert missing == []
        else:
            assert self.loss.problems() == []
            assert {row.id for row in missing} == {row.id for row in self.loss.rows}
        return leader

    def nothing_happened(self) -> bool:
        return {(ack.port, ack.timeline) for ack in self.acks()} == {(self.old.port, self.timeline)}


@contextmanager
def shimmed_cluster(first_port: int, listen: bool = False, **settings: str) -> Iterator[tuple[Cluster, dict[Node, Shim]]]:
    """Three nodes that stream, each with a shim of its own."""
    base = Path(tempfile.mkdtemp(prefix="fh-", dir=os.environ.get("FAWKES_TEST_DIR", "/tmp")))
    cluster = Cluster(base / "c", first_port=first_port, settings=settings, listen=listen)
    try:
        cluster.create()
        shims = {node: Shim(base / f"shim.{node.name}") for node in cluster.nodes}
        for node, shim in shims.items():
            node.environment = shim.environment
        cluster.start()
        yield cluster, shims
    finally:
        cluster.destroy()
        shutil.rmtree(base, ignore_errors=True)
