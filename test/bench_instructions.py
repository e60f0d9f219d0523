"""How many instructions a transaction takes with the fence and without it.

Called by `make bench-fence-instructions JSON=FILE`.

The two servers of bench_fence.py run under valgrind's callgrind, which counts the instructions of
each backend. The count of a long session less that of a short one is the transactions' alone. Other
work on the machine does not change it, so that one run tells what a change of the code costs. It is
no time: an instruction may wait for memory, and the kernel's are not counted.
"""

import argparse
import collections
import re
import shlex
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from bench_fence import WORKLOADS, Bare, Pair, run_of
from lab import programs, report
from lab.cluster import Alone, Cluster
from lab.node import Node
from lab.wait import NotInTime, until

MOST_RATIO = {"read-only": 1.01, "simple-update": 1.01, "prepared": 1.015}
SHORT, LONG = 500, 1500  # transactions of a session
FUNCTIONS = 12  # of those with the most additional instructions
CLOCK = "clock_gettime"

# A backend's wait for a command is not counted: what it does there depends on how quick the client is.
CALLGRIND = (
    "-q", "--tool=callgrind", "--compress-strings=no", "--compress-pos=no",
    "--collect-atstart=no", "--toggle-collect=PostgresMain", "--toggle-collect=secure_read",
)  # fmt: skip


@dataclass
class Counts:
    """Of one backend, or of one transaction: by function, without what it calls."""

    instructions: collections.Counter[str] = field(default_factory=collections.Counter)
    calls: collections.Counter[str] = field(default_factory=collections.Counter)

    @property
    def total(self) -> float:
        return sum(self.instructions.values())

    @property
    def clock_readings(self) -> float:
        return sum(count for name, count in self.calls.items() if name.startswith(CLOCK))


def counts_of(path: Path) -> Counts:
    """A file of callgrind's, with full names: lines of a function, and of its calls with what they took."""
    found = Counts()
    function = called = ""
    is_call = False
    for line in path.read_text(errors="replace").splitlines():
        if line.startswith("fn="):
            function = line[3:]
        elif line.startswith("cfn="):
            called = line[4:]
        elif line.startswith("calls="):
            found.calls[called] += int(line[6:].split()[0])
            is_call = True
        elif re.match(r"[0-9+*-]", line):
            if not is_call:
                found.instructions[function] += int(line.split()[1])
            is_call = False
    return found


def per_transaction(short: Counts, long: Counts) -> Counts:
    def share(less: collections.Counter[str], more: collections.Counter[str]) -> collections.Counter[str]:
        return collections.Counter({name: (more[name] - less[name]) / (LONG - SHORT) for name in more | less})

    return Counts(share(short.instructions, long.instructions), share(short.calls, long.calls))


@dataclass(frozen=True)
class Compared:
    """One transaction."""

    with_fence: Counts
    without: Counts

    @property
    def more(self) -> float:
        return self.with_fence.total - self.without.total

    @property
    def ratio(self) -> float:
        return self.with_fence.total / self.without.total


class Counted:
    """Both servers, their PostgreSQL under callgrind: by a directory of programs in which postgres is a script."""

    def __init__(self, pair: Pair, valgrind: str) -> None:
        self._pair = pair
        self._files = pair.cluster.base / "callgrind"
        self._files.mkdir(mode=0o700)
        bindir = pair.cluster.base / "bin"
        bindir.mkdir()
        for path in programs.bindir().iterdir():
            if path.name != "postgres":
                (bindir / path.name).symlink_to(path)
        words = (valgrind, *CALLGRIND, f"--callgrind-out-file={self._files}/%p", str(programs.path("postgres")))
        postgres = bindir / "postgres"
        postgres.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        postgres.chmod(0o700)
        pair.node.options = ("--bin", bindir)
        pair.bare.options = ("-p", postgres)
        pair.start("")

    def compare(self, words: list[str]) -> Compared:
        return Compared(*(self._transaction(server, words) for server in (self._pair.node, self._pair.bare)))

    def _transaction(self, server: Node | Bare, words: list[str]) -> Counts:
        return per_transaction(*(self._session(server, words, transactions) for transactions in (SHORT, LONG)))

    def _session(self, server: Node | Bare, words: list[str], transactions: int) -> Counts:
        """What one client's backend has counted at its end."""
        for path in self._files.iterdir():
            path.unlink()
        how = ["-n", "--random-seed=1", "-c", "1", "-t", str(transactions)]
        text = self._pair.pgbench(server.port, [*how, *words], 300)
        if run_of(text).transactions != transactions:
            raise RuntimeError(f"pgbench ended early: {text}")
        return until("the backend's counts are written", lambda: self._answered(transactions))

    def _answered(self, commands: int) -> Counts | None:
        """Of the backend that answered so many: pgbench has another one for its questions.

        A file is whole when it ends with its total.
        """
        whole = [path for path in self._files.iterdir() if "\ntotals: " in path.read_text(errors="replace")[-200:]]
        found = (counts for counts in map(counts_of, whole) if counts.calls["ReadyForQuery"] >= commands)
        return next(found, None)


def table(found: dict[str, Compared]) -> str:
    heads = ("instructions per transaction", "with", "without", "more", "ratio", "more readings of the clock")
    rows = []
    for name, both in found.items():
        totals = (f"{count:,.0f}" for count in (both.with_fence.total, both.without.total, both.more))
        readings = both.with_fence.clock_readings - both.without.clock_readings
        rows.append((name, *totals, f"{both.ratio:.4f}", f"{readings:.1f}"))
    return report.aligned(heads, rows)


def function_table(name: str, both: Compared) -> str:
    more = collections.Counter(both.with_fence.instructions)
    more.subtract(both.without.instructions)
    rows = [
        (function, f"{count:,.0f}", f"{both.with_fence.calls[function]:.1f}", f"{both.without.calls[function]:.1f}")
        for function, count in more.most_common(FUNCTIONS)
    ]
    return report.aligned((f"{name}: in", "more", "calls with", "calls without"), rows)


def json_lines(found: dict[str, Compared]) -> list[dict]:
    return [
        {"suite": "instructions", "case": name, **report.figures([both.more], "instructions")}
        for name, both in found.items()
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-fence-instructions", description=__doc__)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--dir", type=Path, default=Path("/dev/shm/fawkes-instructions"))
    chosen = parser.parse_args()
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise SystemExit("valgrind is not installed: apt-get install valgrind")

    alone = Alone(chosen.dir)  # noqa: F841: held to the end
    Cluster.sweep(chosen.dir)
    say = report.Timeline()
    pair = None
    found = {}
    try:
        pair = Pair(chosen.dir, 1)
        say("two servers are made, and start under callgrind")
        counted = Counted(pair, valgrind)
        for name, words in WORKLOADS.items():
            found[name] = counted.compare(words)
            say(f"{name}: {found[name].more:,.0f} instructions more")
    except (NotInTime, RuntimeError) as error:
        print(f"\nFAILED: {error}\n\n{pair.cluster.log_tails() if pair else ''}", file=sys.stderr)
        return 1
    finally:
        if pair:
            pair.cluster.destroy()
    print(f"\n{table(found)}")
    for name, both in found.items():
        print(f"\n{function_table(name, both)}")
    report.append_json(chosen.json, json_lines(found))
    missed = [name for name, both in found.items() if both.ratio > MOST_RATIO[name]]
    for name in missed:
        print(f"MISSED: {name} takes over {MOST_RATIO[name]} of the instructions without the fence", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
