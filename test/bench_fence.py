"""What the fence costs: pgbench with it and without it in turns, and nanoseconds per commit.

Called by `make bench-fence PAIRS=n SECONDS=n JSON=FILE`.

Two real servers with equal data and equal settings are up at the same time: a supervised one-member
cluster that leads, and PostgreSQL without the library over a copy of its data directory. pgbench
runs against one and the other in the order A B B A. Everything lies on a tmpfs and fsync is on, so that
a commit does all that a commit does and waits for no disk: the disk's noise cannot decide, and the
fence's share of a commit is the largest that it can be.
"""

import argparse
import os
import re
import shutil
import statistics
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from lab import interval, process, programs, report
from lab.cluster import Alone, Cluster
from lab.node import Node, free_ports
from lab.session import Session
from lab.wait import NotInTime

WORKLOADS = {
    "read-only": ["-S"],
    "simple-update": ["-N"],
    "prepared": ["-M", "prepared"],
}
LEAST_RATIO = 0.97
MOST_NS_PER_COMMIT = 300
COST_ROUNDS = 6
SPACE = 6 << 30

# What a reply is called, its kind, and the workload that has it.
COSTS = (("commit", "commit", WORKLOADS["simple-update"]), ("select", "other", WORKLOADS["read-only"]))

# No checkpoint, vacuum or growth of a WAL file in the middle of a run but those that the bench asks for.
SETTINGS = {
    "checkpoint_timeout": "1h",
    "max_wal_size": "4GB",
    "wal_keep_size": "0",
    "shared_buffers": "512MB",
    "autovacuum": "off",
}

# What the two servers may differ in; anything else would be measured too.
MAY_DIFFER = ("config_file", "data_directory", "hba_file", "ident_file", "external_pid_file", "port")
OWN = ("shared_preload_libraries", "dynamic_library_path")
SET_THERE = """
SELECT name, current_setting(name) FROM pg_settings
WHERE source NOT IN ('default', 'override', 'session', 'client', 'database', 'user')
"""
ALL_SETTINGS = "SELECT name, setting FROM pg_settings WHERE name NOT LIKE 'fawkes\\_ha.%'"

COST = Path(__file__).resolve().parent.parent / "src" / "test" / "fence_cost"
REPLY_KINDS = ("commit", "other")  # as in fence_cost.c
BUCKETS = 65536
KIND_BYTES = 8 * (2 + BUCKETS)


class Bare:
    """PostgreSQL without the library, over a copy of a stopped node's data."""

    def __init__(self, node: Node, directory: Path, port: int) -> None:
        self.data = directory / "data"
        self.port = port
        self._node = node
        self._conf = directory / "postgresql.conf"
        self._log = directory / "log"
        shutil.copytree(node.data, self.data, symlinks=True)
        self.data.chmod(0o700)

    def start(self, settings: dict[str, str], preload: str) -> None:
        own = {"port": str(self.port), "shared_preload_libraries": preload, "dynamic_library_path": f"{COST}:$libdir"}
        kept = {
            name: value
            for name, value in settings.items()
            if name not in (*MAY_DIFFER, *OWN) and not name.startswith("fawkes_ha.")
        }
        places = {"hba_file": str(self.data / "pg_hba.conf"), "ident_file": str(self.data / "pg_ident.conf")}
        self._conf.write_text(programs.settings_text({**kept, **own, **places}))
        programs.must_run(
            "pg_ctl", "start", "-w", "-D", self.data, "-l", self._log, "-o", f"-c config_file={self._conf}",
            env={process.NODE_MARK: str(self._node.directory)},
        )  # fmt: skip

    def stop(self) -> None:
        programs.run("pg_ctl", "stop", "-w", "-m", "fast", "-D", self.data)

    def session(self, timeout: float = 10) -> Session:
        return Session(self._node.socket_dsn.replace(f"port={self._node.port}", f"port={self.port}"), timeout)


class Pair:
    """Both servers: A with the fence, B without."""

    def __init__(self, base: Path, scale: int) -> None:
        self.cores = len(os.sched_getaffinity(0))
        self.cluster = Cluster(base, names=("n1",), first_port=5601, settings=SETTINGS)
        self.cluster.create()
        self.node = self.cluster.nodes[0]
        self.cluster.start()
        with self.node.session() as session:
            session.query("CREATE DATABASE bench", timeout=60)
        self.pgbench(self.node.port, ["-i", "-q", "-s", str(scale)], timeout=600)
        self.cluster.stop()
        self.bare = Bare(self.node, base / "bare", free_ports(1, self.node.port + 1)[0])

    def start(self, watched: bool) -> None:
        """Both, and the fence of A is open; `watched`: with the stopwatch of src/test/fence_cost in each."""
        preload = "fence_cost" if watched else ""
        more = {"dynamic_library_path": f"{COST}:$libdir", "shared_preload_libraries": preload}
        self.node.write_settings(**more)
        self.node.start()
        self.cluster.wait_for_leader(60)
        with self.node.session(10) as session:
            self.bare.start(dict(session.query(SET_THERE, timeout=10)), preload)
        self._refuse_difference()

    def stop(self) -> None:
        self.bare.stop()
        self.cluster.stop()

    def _refuse_difference(self) -> None:
        with self.node.session(10) as session, self.bare.session() as other:
            with_it = dict(session.query(ALL_SETTINGS, timeout=10))
            without = dict(other.query(ALL_SETTINGS, timeout=10))
        differ = [
            name
            for name in sorted(with_it.keys() | without.keys())
            if name not in (*MAY_DIFFER, *OWN) and with_it.get(name) != without.get(name)
        ]
        if differ:
            text = ", ".join(f"{name} {with_it.get(name)!r} and {without.get(name)!r}" for name in differ)
            raise RuntimeError(f"the two servers have different settings: {text}")
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            if with_it[name] != "on":
                raise RuntimeError(f"{name} is {with_it[name]}: its commits would not be real")
        if "fawkes_ha" not in with_it["shared_preload_libraries"]:
            raise RuntimeError("the cluster's server does not have the library")
        if "fawkes_ha" in without["shared_preload_libraries"]:
            raise RuntimeError("the other server has the library too")

    def checkpoint(self) -> None:
        for session in (self.node.session(10), self.bare.session()):
            with session:
                session.query("CHECKPOINT", timeout=120)

    def pgbench(self, port: int, words: list[str], timeout: float) -> str:
        where = ["-h", str(self.node.sockets), "-p", str(port), "-U", "postgres", "bench"]
        return programs.must_run("pgbench", *words, *where, timeout=timeout)

    def tps(self, port: int, words: list[str], seconds: float) -> float:
        """Of as many clients as there are cores; an error of any of them (a shut fence, too) is ours."""
        clients = ["-n", "-c", str(self.cores), "-j", str(self.cores), "-T", f"{seconds:g}"]
        text = self.pgbench(port, [*clients, *words], seconds + 60)
        found = re.search(r"^tps = ([0-9.]+) \(without initial connection time\)", text, re.MULTILINE)
        failed = re.search(r"^number of failed transactions: (\d+)", text, re.MULTILINE)
        if not found or (failed and int(failed[1]) > 0):
            raise RuntimeError(f"pgbench gives no figure: {text}")
        return float(found[1])

    def in_turns(self, pairs: int, measure: Callable[[int], float]) -> list[tuple[float, float]]:
        """(with, without) by measure(port), in the order A B B A A B B A."""
        found = []
        for number in range(pairs):
            ports = [self.node.port, self.bare.port]
            if number % 2:
                ports.reverse()
            values = {port: measure(port) for port in ports}
            found.append((values[self.node.port], values[self.bare.port]))
        return found


# --- the fence's own time


def read_watch(data: Path) -> dict[str, tuple[int, int, list[int]]]:
    """Of each kind of reply: how many, their laps, and how many took n ns."""
    content = (data / "fence_cost").read_bytes()
    found = {}
    for number, kind in enumerate(REPLY_KINDS):
        count, laps, *histogram = struct.unpack_from(f"={2 + BUCKETS}Q", content, number * KIND_BYTES)
        found[kind] = (count, laps, histogram)
    return found


def clear_watch(data: Path) -> None:
    with open(data / "fence_cost", "r+b") as file:
        file.write(bytes(KIND_BYTES * len(REPLY_KINDS)))


def mean_of_most(histogram: list[int], share: float = 0.99) -> float:
    """The mean of the shortest 99 %: the rest is what the kernel did meanwhile."""
    left = int(sum(histogram) * share)
    if left == 0:
        raise ValueError("nothing was measured")
    wanted, total = left, 0
    for value, count in enumerate(histogram):
        taken = min(count, left)
        total += value * taken
        left -= taken
        if left == 0:
            if value == len(histogram) - 1:
                raise ValueError("more than 1 % are longer than the histogram")
            break
    return total / wanted


def cost_round(pair: Pair, kind: str, words: list[str], seconds: float, first: int) -> float:
    """ns per reply of that kind: A's time less what B says that A's laps cost by themselves."""
    found = {}
    for server in (pair.node, pair.bare) if first == 0 else (pair.bare, pair.node):
        clear_watch(server.data)
        pair.tps(server.port, words, seconds)
        found[server.port] = read_watch(server.data)[kind]
    count, laps, histogram = found[pair.node.port]
    empty_count, empty_laps, empty_histogram = found[pair.bare.port]
    lap_ns = mean_of_most(empty_histogram) / (empty_laps / empty_count)
    return mean_of_most(histogram) - lap_ns * laps / count


def measure_cost(pair: Pair, seconds: float, say: report.Timeline) -> dict[str, list[float]]:
    costs: dict[str, list[float]] = {}
    for name, kind, words in COSTS:
        pair.checkpoint()
        pair.tps(pair.node.port, words, 1)
        pair.tps(pair.bare.port, words, 1)
        costs[name] = [cost_round(pair, kind, words, seconds, number % 2) for number in range(COST_ROUNDS)]
        say(f"the fence's own time per {name}: " + ", ".join(f"{value:.0f}" for value in costs[name]) + " ns")
    return costs


# --- all of it


def measure_tps(pair: Pair, pairs: int, seconds: float, say: report.Timeline) -> dict[str, list[tuple[float, float]]]:
    found = {}
    for name, words in WORKLOADS.items():
        pair.checkpoint()
        for port in (pair.node.port, pair.bare.port):
            pair.tps(port, words, seconds)  # warms both up
        found[name] = pair.in_turns(pairs, lambda port: pair.tps(port, words, seconds))  # noqa: B023
        ratio = interval.of_ratio(found[name])
        say(f"{name}: {ratio.mean:.4f} [{ratio.low:.4f}, {ratio.high:.4f}] of the TPS without the fence")
    return found


def tps_table(tps: dict[str, list[tuple[float, float]]]) -> str:
    heads = ("workload", "pairs", "TPS with, median", "TPS without, median", "ratio", "95 % interval")
    rows = []
    for name, pairs in tps.items():
        ratio = interval.of_ratio(pairs)
        medians = [f"{statistics.median(side):,.0f}" for side in zip(*pairs)]
        rows.append((name, str(len(pairs)), *medians, f"{ratio.mean:.4f}", f"[{ratio.low:.4f}, {ratio.high:.4f}]"))
    return report.aligned(heads, rows)


def cost_table(costs: dict[str, list[float]]) -> str:
    heads = ("the fence's own time", "rounds", "mean", "95 % interval")
    rows = []
    for name, values in costs.items():
        mean = interval.of_mean(values)
        rows.append((f"per {name}", str(len(values)), f"{mean.mean:.0f} ns", f"[{mean.low:.0f}, {mean.high:.0f}]"))
    return report.aligned(heads, rows)


def json_lines(tps: dict[str, list[tuple[float, float]]], costs: dict[str, list[float]]) -> list[dict]:
    lines = []
    for name, pairs in tps.items():
        ratio = interval.of_ratio(pairs)
        lines.append(
            {
                "suite": "fence",
                "case": name,
                **report.figures([first / second for first, second in pairs], "ratio"),
                "mean": round(ratio.mean, 4),
                "low": round(ratio.low, 4),
                "high": round(ratio.high, 4),
            }
        )
    for name, values in costs.items():
        mean = interval.of_mean(values)
        lines.append(
            {
                "suite": "fence",
                "case": f"per-{name}",
                **report.figures(values, "ns"),
                "mean": round(mean.mean, 1),
                "low": round(mean.low, 1),
                "high": round(mean.high, 1),
            }
        )
    return lines


def misses(tps: dict[str, list[tuple[float, float]]], costs: dict[str, list[float]]) -> list[str]:
    """The goals that these figures do not reach."""
    found = []
    for name, pairs in tps.items():
        low = interval.of_ratio(pairs).low
        if low < LEAST_RATIO:
            found.append(f"{name}: the ratio's interval begins at {low:.4f}, under {LEAST_RATIO}")
    per_commit = interval.of_mean(costs["commit"]).mean
    if per_commit >= MOST_NS_PER_COMMIT:
        found.append(f"the fence takes {per_commit:.0f} ns of each commit, not under {MOST_NS_PER_COMMIT}")
    return found


def refuse_small(place: Path) -> None:
    """A small tmpfs fills in the middle of a run, and PostgreSQL panics."""
    kind = subprocess.run(["stat", "-f", "-c", "%T", place], capture_output=True, text=True, check=True).stdout.strip()
    free = shutil.disk_usage(place).free
    if kind != "tmpfs" or free < SPACE:
        raise SystemExit(
            f"{place} is a {kind} with {free >> 20} MB free; what is needed is a tmpfs with {SPACE >> 20} MB: "
            "name a directory to be made on one, as in make bench-fence DIR=/mnt/tmpfs/bench"
        )


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-fence", description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--scale", type=int, default=10)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--dir", type=Path, default=Path("/dev/shm/fawkes-bench"), help="on a tmpfs")
    chosen = parser.parse_args()
    if chosen.pairs < 2 or chosen.seconds < 1:
        parser.error("at least two pairs, of runs of at least one second")
    refuse_small(chosen.dir.parent)
    subprocess.run(["make", "-s", "-C", str(COST), "fence_cost.so"], check=True)

    alone = Alone(chosen.dir)  # noqa: F841: held to the end
    Cluster.sweep(chosen.dir)
    say = report.Timeline()
    pair = None
    try:
        noise = report.noise(chosen.dir.parent)
        pair = Pair(chosen.dir, chosen.scale)
        say(f"two servers of {chosen.scale * 100_000:,} accounts in {chosen.dir}; {pair.cores} clients")
        pair.start(watched=True)
        costs = measure_cost(pair, chosen.seconds, say)
        pair.stop()
        pair.start(watched=False)
        tps = measure_tps(pair, chosen.pairs, chosen.seconds, say)
        pair.stop()
    except (NotInTime, RuntimeError) as error:
        print(f"\nFAILED: {error}\n\n{pair.cluster.log_tails() if pair else ''}", file=sys.stderr)
        return 1
    finally:
        if pair:
            pair.cluster.destroy()
    print(f"\n{tps_table(tps)}\n\n{cost_table(costs)}\n\n{report.noise_text(noise)}")
    report.append_json(chosen.json, json_lines(tps, costs) + noise)
    missed = misses(tps, costs)
    for miss in missed:
        print(f"MISSED: {miss}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
