"""What our processes cost an idle cluster of three nodes at default timing.

Called by `make bench-idle SECONDS=n JSON=FILE`.

Counted are, of each node, the supervisor, the agent, the maintenance worker and the process of the lock's
input and output: CPU time (to the nanosecond, from schedstat), wake-ups (context switches of both kinds) and private
memory (Private_Clean and Private_Dirty of smaps_rollup). The chores come and go; what they take is within what the
postmaster's ended children took, which is counted as a whole, autovacuum's workers among them.

The agent is a background worker of PostgreSQL, and any such has some private memory, also
one that does nothing: "without a bare worker's" subtracts what PostgreSQL's own logical
replication launcher has on the primary (a standby has none). The goal is for the plain sum.
"""

import argparse
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from lab import report
from lab.cluster import Alone, Cluster
from lab.node import LOCK_CHILD, Node
from lab.wait import NotInTime

MOST_CPU_S_PER_MINUTE = 1.0
MOST_PRIVATE_MB = 30.0

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
LAUNCHER = "logical replication launcher"
SETTLE_S = 15  # after its start a cluster writes, checkpoints and looks around more than later


@dataclass(frozen=True)
class Counts:
    """What a process has had since its start."""

    cpu_s: float
    wakeups: int

    def since(self, before: "Counts") -> "Counts":
        return Counts(self.cpu_s - before.cpu_s, self.wakeups - before.wakeups)


def tasks(pid: int) -> list[Path]:
    return list(Path(f"/proc/{pid}/task").iterdir())


def counts(pid: int) -> Counts:
    """Of all its threads."""
    cpu_ns = sum(int((task / "schedstat").read_text().split()[0]) for task in tasks(pid))
    status = "".join((task / "status").read_text() for task in tasks(pid))
    switches = re.findall(r"^(?:non)?voluntary_ctxt_switches:\s*(\d+)", status, re.MULTILINE)
    return Counts(cpu_ns / 1e9, sum(map(int, switches)))


def private_kb(pid: int) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(kb) for kb in re.findall(r"^Private_(?:Clean|Dirty):\s+(\d+) kB", text, re.MULTILINE))


def children_cpu_s(pid: int) -> float:
    """Of its ended and reaped children, in ticks of the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / TICKS_PER_S


def titled(node: Node, title: str) -> int:
    """The one process of the node's PostgreSQL with that in its title; the agent's child has its title, too."""
    found = []
    for pid in set(node.pids()) - set(node.lock_children()):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if words.startswith("postgres:") and title in words:
            found.append(pid)
    if len(found) != 1:
        raise RuntimeError(f"{node.name} has {len(found)} processes named {title!r}")
    return found[0]


def our_processes(node: Node) -> dict[str, int]:
    locks = node.lock_children()
    if len(locks) != 1:
        raise RuntimeError(f"{node.name} has {len(locks)} processes {LOCK_CHILD!r}")
    return {
        "supervisor": node.supervisor_pid,
        "agent": titled(node, "fawkes_ha agent"),
        "maintenance worker": titled(node, "fawkes_ha steward"),
        "lock": locks[0],
    }


@dataclass(frozen=True)
class Figures:
    """Of one node, over the time measured."""

    counts: dict[str, Counts]
    private_kb: dict[str, int]
    launcher_kb: int
    ended_children_s: float

    @property
    def cpu_s(self) -> float:
        return sum(each.cpu_s for each in self.counts.values()) + self.ended_children_s

    @property
    def wakeups(self) -> int:
        return sum(each.wakeups for each in self.counts.values())

    @property
    def private_mb(self) -> float:
        return sum(self.private_kb.values()) / 1024


def measure(cluster: Cluster, seconds: float) -> dict[str, Figures]:
    """Sleeps meanwhile: whoever asks a node anything is a load."""
    before = {}
    for node in cluster.nodes:
        own = our_processes(node)
        ended = children_cpu_s(node.postmaster_pid)
        before[node.name] = (own, ended, {name: counts(pid) for name, pid in own.items()})
    time.sleep(seconds)
    found = {}
    after = {node.name: {name: counts(pid) for name, pid in before[node.name][0].items()} for node in cluster.nodes}
    ended_after = {node.name: children_cpu_s(node.postmaster_pid) for node in cluster.nodes}
    launcher_kb = private_kb(titled(cluster.find_leader(), LAUNCHER))
    for node in cluster.nodes:
        own, ended, old = before[node.name]
        if our_processes(node) != own:
            raise RuntimeError(f"{node.name}'s processes were restarted meanwhile: it was not idle")
        found[node.name] = Figures(
            {name: after[node.name][name].since(old[name]) for name in own},
            {name: private_kb(pid) for name, pid in own.items()},
            launcher_kb,
            ended_after[node.name] - ended,
        )
    return found


def table(found: dict[str, Figures], seconds: float) -> str:
    heads = ("process", "CPU s per minute", "wake-ups per s", "private MB")
    rows = []
    for name, node in found.items():
        for process_name, each in node.counts.items():
            rows.append(
                (
                    f"{name} {process_name}",
                    f"{each.cpu_s * 60 / seconds:.3f}",
                    f"{each.wakeups / seconds:.1f}",
                    f"{node.private_kb[process_name] / 1024:.1f}",
                )
            )
        rows.append((f"{name} ended children", f"{node.ended_children_s * 60 / seconds:.3f}", "", ""))
        rows.append(
            (
                f"{name} in all",
                f"{node.cpu_s * 60 / seconds:.3f}",
                f"{node.wakeups / seconds:.1f}",
                f"{node.private_mb:.1f}",
            )
        )
        rows.append((f"{name} without a bare worker's", "", "", f"{node.private_mb - node.launcher_kb / 1024:.1f}"))
    total = sum(node.cpu_s for node in found.values()) * 60 / seconds
    rows.append(("cluster", f"{total:.3f}", f"{sum(node.wakeups for node in found.values()) / seconds:.1f}", ""))
    return report.aligned(heads, rows)


def json_lines(found: dict[str, Figures], seconds: float) -> list[dict]:
    nodes = list(found.values())
    per_minute = 60 / seconds
    cases = {
        "cpu-per-node": ([node.cpu_s * per_minute for node in nodes], "s/min"),
        "cpu-cluster": ([sum(node.cpu_s for node in nodes) * per_minute], "s/min"),
        "wakeups-per-node": ([node.wakeups / seconds for node in nodes], "1/s"),
        "private-per-node": ([node.private_mb for node in nodes], "MB"),
        "private-per-node-less-a-worker": ([node.private_mb - node.launcher_kb / 1024 for node in nodes], "MB"),
    }
    return [
        {"suite": "idle", "case": case, "lock": "directory", **report.figures(values, unit)}
        for case, (values, unit) in cases.items()
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-idle", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--dir", type=Path, default=Path.home() / "fawkes-bench")
    chosen = parser.parse_args()
    if chosen.seconds < 1:
        parser.error("at least one second")

    alone = Alone(chosen.dir)  # noqa: F841: held to the end
    Cluster.sweep(chosen.dir)
    cluster = Cluster(chosen.dir, first_port=5601)
    try:
        cluster.create()
        cluster.start()
        time.sleep(SETTLE_S)
        found = measure(cluster, chosen.seconds)
        cluster.wait_all_stream()
    except (NotInTime, RuntimeError) as error:
        print(f"\nFAILED: {error}\n\n{cluster.log_tails()}", file=sys.stderr)
        return 1
    finally:
        cluster.destroy()
    print(f"{table(found, chosen.seconds)}\n\nover {chosen.seconds:g} s")
    report.append_json(chosen.json, json_lines(found, chosen.seconds))
    missed = []
    total = sum(node.cpu_s for node in found.values()) * 60 / chosen.seconds
    if total >= MOST_CPU_S_PER_MINUTE:
        missed.append(f"{total:.2f} CPU seconds per minute in all, not under {MOST_CPU_S_PER_MINUTE:g}")
    for name, node in found.items():
        if node.private_mb >= MOST_PRIVATE_MB:
            missed.append(f"{node.private_mb:.1f} MB of private memory on {name}, not under {MOST_PRIVATE_MB:g}")
    for miss in missed:
        print(f"MISSED: {miss}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
