"""What the fence costs: CPU time per transaction with it and without it, TPS, and nanoseconds per commit.

Called by `make bench-fence STARTS=n SECONDS=n JSON=FILE`.

Two real servers with equal data and equal settings are up at the same time: a supervised one-member
cluster that leads, and PostgreSQL without the library over a copy of its data directory. pgbench
runs against one and the other in the order A B B A. Everything lies on a tmpfs and fsync is on, so that
a commit does all that a commit does and waits for no disk: the disk's noise cannot decide, and the
fence's share of a commit is the largest that it can be.

The main figure is the CPU time that backends use per transaction, from their login to their end, as a
ratio. TPS follow what else the machine does; CPU time does so much less. All backends of one
postmaster have its places in memory, which alone can make one server 1 % slower. So both servers are started anew
after each A B B A, and each start gives one ratio.
"""

import argparse
import os
import re
import shutil
import statistics
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from lab import interval, process, programs, report
from lab.cluster import Alone, Cluster
from lab.node import Node, free_ports
from lab.session import Session
from lab.wait import NotInTime, until

WORKLOADS = {
    "read-only": ["-S"],
    "simple-update": ["-N"],
    "prepared": ["-M", "prepared"],
}
MOST_CPU_RATIO = 1.005
MOST_CPU_WIDTH = 0.01  # of its interval: a wider one says nothing about that
LEAST_TPS_RATIO = 0.97
MOST_NS_PER_COMMIT = 300
WARM_S = 2
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


@dataclass(frozen=True)
class Run:
    """Of pgbench."""

    tps: float
    transactions: int
    cpu_ns: int = 0  # of the backends, if that was measured


@dataclass(frozen=True)
class Start:
    """What A B B A gave, after one start of both servers."""

    with_fence: tuple[Run, Run]
    without: tuple[Run, Run]

    @property
    def cpu_us(self) -> tuple[float, float]:
        """Per transaction, with the fence and without."""
        with_fence, without = (
            sum(run.cpu_ns for run in runs) / sum(run.transactions for run in runs) / 1000
            for runs in (self.with_fence, self.without)
        )
        return with_fence, without

    @property
    def tps(self) -> tuple[float, float]:
        return statistics.fmean(run.tps for run in self.with_fence), statistics.fmean(run.tps for run in self.without)


class Bare:
    """PostgreSQL without the library, over a copy of a stopped node's data."""

    def __init__(self, node: Node, directory: Path, port: int) -> None:
        self.data = directory / "data"
        self.port = port
        self.options: tuple[str | Path, ...] = ()  # of pg_ctl
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
            "pg_ctl", "start", "-w", *self.options, "-D", self.data, "-l", self._log, "-o", f"-c config_file={self._conf}",
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

    def start(self, preload: str) -> None:
        """Both, and the fence of A is open; `preload`: a library of src/test/fence_cost, for each."""
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

    def warm(self, words: list[str]) -> None:
        self.checkpoint()
        for server in (self.node, self.bare):
            self.load(server, words, WARM_S)

    def pgbench(self, port: int, words: list[str], timeout: float) -> str:
        where = ["-h", str(self.node.sockets), "-p", str(port), "-U", "postgres", "bench"]
        return programs.must_run("pgbench", *words, *where, timeout=timeout)

    def load(self, server: Node | Bare, words: list[str], seconds: float) -> Run:
        """By as many clients as there are cores; an error of any of them (a shut fence, too) is ours."""
        clients = ["-n", "-c", str(self.cores), "-j", str(self.cores), "-T", f"{seconds:g}"]
        return run_of(self.pgbench(server.port, [*clients, *words], seconds + 60))

    def measured_load(self, server: Node | Bare, words: list[str], seconds: float) -> Run:
        """With the CPU time of its backends: the server has preloaded backend_cpu."""
        before = ended_sessions(server.data)
        run = self.load(server, words, seconds)
        after = ended_sessions(server.data)
        if after.count < before.count + self.cores:
            raise RuntimeError(f"{after.count - before.count} backends were measured, of {self.cores} clients")
        return Run(run.tps, run.transactions, after.cpu_ns - before.cpu_ns)

    def in_turns(self, words: list[str], seconds: float) -> Start:
        """A B B A."""
        runs = [self.measured_load(server, words, seconds) for server in (self.node, self.bare, self.bare, self.node)]
        return Start((runs[0], runs[3]), (runs[1], runs[2]))


def run_of(text: str) -> Run:
    """What pgbench says."""
    tps = re.search(r"^tps = ([0-9.]+) \(without initial connection time\)", text, re.MULTILINE)
    count = re.search(r"^number of transactions actually processed: (\d+)", text, re.MULTILINE)
    failed = re.search(r"^number of failed transactions: (\d+)", text, re.MULTILINE)
    if not tps or not count or int(count[1]) == 0 or (failed and int(failed[1]) > 0):
        raise RuntimeError(f"pgbench gives no figure: {text}")
    return Run(float(tps[1]), int(count[1]))


@dataclass(frozen=True)
class Sessions:
    """As in backend_cpu.c."""

    count: int
    cpu_ns: int


def ended_sessions(data: Path) -> Sessions:
    """When all that have begun have ended: pgbench does not wait for its backends."""

    def look() -> Sessions | None:
        begun, ended, cpu_ns = struct.unpack("=3Q", (data / "backend_cpu").read_bytes())
        return Sessions(ended, cpu_ns) if begun == ended else None

    return until("pgbench's backends have ended", look, every=0.01)


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
        pair.load(server, words, seconds)
        found[server.port] = read_watch(server.data)[kind]
    count, laps, histogram = found[pair.node.port]
    empty_count, empty_laps, empty_histogram = found[pair.bare.port]
    lap_ns = mean_of_most(empty_histogram) / (empty_laps / empty_count)
    return mean_of_most(histogram) - lap_ns * laps / count


def measure_cost(pair: Pair, seconds: float, say: report.Timeline) -> dict[str, list[float]]:
    costs: dict[str, list[float]] = {}
    for name, kind, words in COSTS:
        pair.warm(words)
        costs[name] = [cost_round(pair, kind, words, seconds, number % 2) for number in range(COST_ROUNDS)]
        say(f"the fence's own time per {name}: " + ", ".join(f"{value:.0f}" for value in costs[name]) + " ns")
    return costs


# --- all of it


def measure_starts(pair: Pair, count: int, seconds: float, say: report.Timeline) -> dict[str, list[Start]]:
    found: dict[str, list[Start]] = {name: [] for name in WORKLOADS}
    for number in range(count):
        pair.start("backend_cpu")
        for name, words in WORKLOADS.items():
            pair.warm(words)
            found[name].append(pair.in_turns(words, seconds))
        pair.stop()
        said = (f"{name} {starts[-1].cpu_us[0] / starts[-1].cpu_us[1]:.4f}" for name, starts in found.items())
        say(f"start {number + 1}: CPU time per transaction, with the fence to without: {', '.join(said)}")
    return found


def cpu_ratio(starts: list[Start]) -> interval.Interval:
    return interval.of_ratio([start.cpu_us for start in starts])


def tps_ratio(starts: list[Start]) -> interval.Interval:
    return interval.of_ratio([start.tps for start in starts])


def ratio_table(title: str, found: dict[str, list[Start]], side: str) -> str:
    heads = (title, "starts", "with, median", "without, median", "ratio", "95 % interval")
    rows = []
    for name, starts in found.items():
        pairs = [getattr(start, side) for start in starts]
        ratio = interval.of_ratio(pairs)
        digits = 2 if side == "cpu_us" else 0
        medians = [f"{statistics.median(values):,.{digits}f}" for values in zip(*pairs)]
        rows.append((name, str(len(pairs)), *medians, f"{ratio.mean:.4f}", f"[{ratio.low:.4f}, {ratio.high:.4f}]"))
    return report.aligned(heads, rows)


def cost_table(costs: dict[str, list[float]]) -> str:
    heads = ("the fence's own time", "rounds", "mean", "95 % interval")
    rows = []
    for name, values in costs.items():
        mean = interval.of_mean(values)
        rows.append((f"per {name}", str(len(values)), f"{mean.mean:.0f} ns", f"[{mean.low:.0f}, {mean.high:.0f}]"))
    return report.aligned(heads, rows)


def json_line(case: str, values: list[float], unit: str, found: interval.Interval, digits: int) -> dict:
    sure = {name: round(getattr(found, name), digits) for name in ("mean", "low", "high")}
    return {"suite": "fence", "case": case, **report.figures(values, unit), **sure}


def json_lines(found: dict[str, list[Start]], costs: dict[str, list[float]]) -> list[dict]:
    lines = []
    for name, starts in found.items():
        ratios = [start.cpu_us[0] / start.cpu_us[1] for start in starts]
        lines.append(json_line(f"cpu-{name}", ratios, "ratio", cpu_ratio(starts), 4))
    for name, starts in found.items():
        ratios = [start.tps[0] / start.tps[1] for start in starts]
        lines.append(json_line(name, ratios, "ratio", tps_ratio(starts), 4))
    return lines + [
        json_line(f"per-{name}", values, "ns", interval.of_mean(values), 1) for name, values in costs.items()
    ]


def misses(found: dict[str, list[Start]], costs: dict[str, list[float]]) -> list[str]:
    """The goals that these figures do not reach."""
    missed = []
    for name, starts in found.items():
        cpu = cpu_ratio(starts)
        if cpu.mean > MOST_CPU_RATIO:
            missed.append(f"{name}: {cpu.mean:.4f} of the CPU time without the fence, over {MOST_CPU_RATIO}")
        if cpu.high - cpu.low > MOST_CPU_WIDTH:
            width = f"{cpu.high - cpu.low:.4f} wide, over {MOST_CPU_WIDTH}"
            missed.append(f"{name}: the interval of the CPU time's ratio is {width}: take more STARTS")
        low = tps_ratio(starts).low
        if low < LEAST_TPS_RATIO:
            missed.append(f"{name}: the interval of the TPS' ratio begins at {low:.4f}, under {LEAST_TPS_RATIO}")
    per_commit = interval.of_mean(costs["commit"]).mean
    if per_commit >= MOST_NS_PER_COMMIT:
        missed.append(f"the fence takes {per_commit:.0f} ns of each commit, not under {MOST_NS_PER_COMMIT}")
    return missed


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
    parser.add_argument("--starts", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--scale", type=int, default=10)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--dir", type=Path, default=Path("/dev/shm/fawkes-bench"), help="on a tmpfs")
    chosen = parser.parse_args()
    if chosen.starts < 2 or chosen.seconds < 1:
        parser.error("at least two starts, with runs of at least one second")
    refuse_small(chosen.dir.parent)
    subprocess.run(["make", "-s", "-C", str(COST), "fence_cost.so", "backend_cpu.so"], check=True)

    alone = Alone(chosen.dir)  # noqa: F841: held to the end
    Cluster.sweep(chosen.dir)
    say = report.Timeline()
    pair = None
    try:
        noise = report.noise(chosen.dir.parent)
        pair = Pair(chosen.dir, chosen.scale)
        say(f"two servers of {chosen.scale * 100_000:,} accounts in {chosen.dir}; {pair.cores} clients")
        pair.start("fence_cost")
        costs = measure_cost(pair, chosen.seconds, say)
        pair.stop()
        found = measure_starts(pair, chosen.starts, chosen.seconds, say)
    except (NotInTime, RuntimeError) as error:
        print(f"\nFAILED: {error}\n\n{pair.cluster.log_tails() if pair else ''}", file=sys.stderr)
        return 1
    finally:
        if pair:
            pair.cluster.destroy()
    cpu = ratio_table("CPU time, µs per transaction", found, "cpu_us")
    tps = ratio_table("TPS", found, "tps")
    print(f"\n{cpu}\n\n{tps}\n\n{cost_table(costs)}\n\n{report.noise_text(noise)}")
    report.append_json(chosen.json, json_lines(found, costs) + noise)
    missed = misses(found, costs)
    for miss in missed:
        print(f"MISSED: {miss}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
