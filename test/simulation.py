"""The simulation on all cores: as a stage of ./check, for hours, and against mutants.

    make check-sim                      a fixed range of seeds and a new one, for two minutes and 2,000 scenarios at the least
    make sim-long HOURS=8               new seeds; COUNT=n: so many; SEED=n: from there on
    make sim-mutants                    all that are noticed; MUTANTS='word ...': those, noticed or not (all: all of them);
                                        COUNT=n: in so many scenarios; WRITE=1: what comes of it goes into test/mutants_simulated.json

One process plays a block of seeds at a time.  A seed whose scenario fails leaves its trace in build-sim/failed-SEED.trace,
and the others go on.  Time decides only how many scenarios are begun, never whether one is good.
"""

import argparse
import json
import os
import random
import re
import select
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mutants import MUTANTS, SIMULATED, is_simulated, simulated
from mutants_list import Mutant

TREE = Path(__file__).resolve().parent.parent
BUILD = TREE / "build-sim"
SIM = BUILD / "sim"

FIXED = 1000  # seeds that every run plays: 1 and those after it
LEAST = 2000  # scenarios, however long they take
SECONDS = 120  # in which more are begun
LIMIT_S = 2400  # a run that is slower than any machine has failed
BLOCK = 10
REPEATED = 20  # seeds that are played twice
SILENT_S = 300  # a scenario takes less than a second
FAILURES_MAX = 5
TELL_S = 20  # from one line of progress to the next
CONTROL_COUNT = 400  # scenarios in which a mutant must be noticed
TAIL = 60  # lines of a trace that are shown

PLAYED = re.compile(r"^\d+ [0-9a-f]{16}$")
FAILED = re.compile(r"^seed (\d+): (.*)$")
TOTAL = re.compile(r"^\d+ scenarios, (\d+) simulated seconds: ")

# Each run of ./check tries these mutants, so that a simulation that judges nothing fails.
CONTROLS = (
    "a lease that is not released is free",
    "a renewal does not restart the watch",
    "the release of a clean stop is like any other",
    "the end of a lineage's step is ignored",
    "a new leader takes no new term",
    "the disk has a promise for only as long as it is asked for",
)


@dataclass
class Failure:
    seed: int
    why: str
    trace: str = ""


@dataclass
class Result:
    played: int = 0
    simulated_s: int = 0
    failures: list[Failure] = field(default_factory=list)

    def add(self, other: "Result") -> None:
        self.played += other.played
        self.simulated_s += other.simulated_s
        self.failures += other.failures


# --- one process


def lines_of(process: subprocess.Popen) -> Iterator[str]:
    """What it prints, line by line; it is killed when nothing comes for too long."""
    rest = b""
    while select.select([process.stdout], [], [], SILENT_S)[0]:
        got = os.read(process.stdout.fileno(), 1 << 16)
        if not got:
            break
        *whole, rest = (rest + got).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)
    else:
        process.kill()
        yield f"nothing came for {SILENT_S} s"
    if rest:
        yield rest.decode(errors="replace")


def play_once(program: Path, option: str, seeds: range) -> Result:
    """Up to the first that fails."""
    words = [str(program), option, str(seeds.start), str(len(seeds))]
    result = Result()
    others: list[str] = []
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL) as process:
        for line in lines_of(process):
            if PLAYED.match(line):
                result.played += 1
            else:
                others.append(line)
    last = others[-1] if others else "it printed nothing"
    total = TOTAL.match(last)
    if process.returncode == 0 and total:
        result.played = len(seeds)
        result.simulated_s = int(total[1])
    elif found := FAILED.match(last):
        result.failures = [Failure(int(found[1]), found[2], "\n".join(others[:-1]))]
    else:
        why = f"the simulation ended with {process.returncode}: {last}"
        result.failures = [Failure(seeds.start + result.played, why, "\n".join(others))]
    return result


def play_block(program: Path, option: str, seeds: range) -> Result:
    result = Result()
    while seeds and len(result.failures) < FAILURES_MAX:
        once = play_once(program, option, seeds)
        result.add(once)
        seeds = range(once.failures[0].seed + 1, seeds.stop) if once.failures else range(0)
    return result


# --- all cores


def on_all_cores(program: Path, option: str, blocks: Iterator[range], goes_on: Callable[[Result], bool], says: bool = True) -> Result:
    """Blocks in their order; none is begun when goes_on() says so."""
    total = Result()
    troubles: list[BaseException] = []
    lock = threading.Lock()
    began = told = time.monotonic()

    def next_block() -> range | None:
        nonlocal told
        with lock:
            if says and time.monotonic() - told >= TELL_S:
                told = time.monotonic()
                print(f"  {told - began:.0f} s: {total.played} scenarios", flush=True)
            return next(blocks, None) if goes_on(total) else None

    def worker() -> None:
        try:
            while not troubles and (seeds := next_block()) is not None:
                result = play_block(program, option, seeds)
                with lock:
                    total.add(result)
        except BaseException as trouble:  # noqa: BLE001 - raised by the main thread
            troubles.append(trouble)

    threads = [threading.Thread(target=worker, daemon=True) for _ in range(len(os.sched_getaffinity(0)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if troubles:
        raise troubles[0]
    total.failures.sort(key=lambda failure: failure.seed)
    return total


def in_blocks(first: int, count: int | None = None) -> Iterator[range]:
    """All of them; without a count for ever."""
    while count is None or count > 0:
        size = BLOCK if count is None else min(BLOCK, count)
        yield range(first, first + size)
        first += size
        count = None if count is None else count - size


# --- what is said


class Report:
    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0
        self.scenarios = Result()
        self.began = time.monotonic()

    def say(self, verdict: str, what: str, seconds: float, detail: str = "") -> None:
        print(f"{verdict:15} {what:66} {seconds:5.1f} s  {detail}".rstrip(), flush=True)

    def played(self, what: str, result: Result, seconds: float) -> None:
        self.scenarios.add(result)
        self.passed += result.played
        self.failed += len(result.failures)
        for failure in result.failures:
            self.fault(failure)
        if not result.failures:
            self.say("passed", what, seconds)

    def fault(self, failure: Failure) -> None:
        trace = BUILD / f"failed-{failure.seed}.trace"
        trace.write_text(failure.trace + "\n")
        print("\n".join(failure.trace.splitlines()[-TAIL:]))
        self.say("FAILED", f"seed {failure.seed}: {failure.why}", 0)
        print(f"    its trace: {trace}")
        print(f"    once more: make sim SIM=-t SEED={failure.seed} COUNT=1", flush=True)

    def control(self, mutant: Mutant, result: Result, seconds: float, must: bool) -> None:
        what = f"{mutant.rule:4} {mutant.name}"
        if result.failures:
            first = result.failures[0]
            self.passed += 1
            self.say("killed", what, seconds, f"seed {first.seed}: {first.why}")
        elif must:
            self.failed += 1
            self.say("SURVIVED", what, seconds, f"{result.played} scenarios")
        else:
            self.say("not noticed", what, seconds, f"{result.played} scenarios")

    def end(self) -> int:
        minutes = (time.monotonic() - self.began) / 60
        if self.scenarios.played:
            print(f"{self.scenarios.played} scenarios, {self.scenarios.simulated_s} simulated seconds, in {minutes:.1f} min")
        print(f"{self.passed} passed, {self.failed} failed")
        return 0 if self.passed and not self.failed else 1


# --- mutants


def build_mutant(mutant: Mutant) -> Path | None:
    """A simulation with this mutant in it; None: it does not compile, or has rotted."""
    try:
        sources = mutant.sources(TREE)
    except ValueError as trouble:
        print(trouble)
        return None
    where = BUILD / f"mutant-{os.getpid()}"
    shutil.rmtree(where, ignore_errors=True)
    for file, text in sources.items():
        (where / file).parent.mkdir(parents=True, exist_ok=True)
        (where / file).write_text(text)
    done = subprocess.run(
        ["make", "-s", "--no-print-directory", "WERROR=", f"MUTATED={' '.join(sources)}", str(where.relative_to(TREE) / "sim")],
        cwd=TREE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        print(done.stdout)
        return None
    return where / "sim"


def try_mutant(mutant: Mutant, report: Report, must: bool, count: int = CONTROL_COUNT) -> Result | None:
    """Up to the seed that shows it first; None: it could not be played."""
    began = time.monotonic()
    program = build_mutant(mutant)
    if program is None:
        report.failed += 1
        report.say("DOES NOT BUILD", f"{mutant.rule:4} {mutant.name}", time.monotonic() - began)
        return None
    result = on_all_cores(program, "-h", in_blocks(1, count), lambda total: not total.failures, says=False)
    shutil.rmtree(program.parent)
    report.control(mutant, result, time.monotonic() - began, must)
    return result


# --- the three runs


def check(report: Report, seed: int | None) -> None:
    began = time.monotonic()
    twice = on_all_cores(SIM, "-r", in_blocks(1, REPEATED), lambda total: True)
    if not twice.failures:
        report.passed += 1
        report.say("passed", f"seeds 1 to {REPEATED}, played twice, give the same traces", time.monotonic() - began)
    for failure in twice.failures:
        report.failed += 1
        report.fault(failure)

    for mutant in MUTANTS:
        if mutant.name in CONTROLS:
            try_mutant(mutant, report, must=True)

    first = seed if seed is not None else random.SystemRandom().randrange(10**6, 10**9)
    began = time.monotonic()
    print(f"scenarios: seeds 1 to {FIXED}, and new ones from {first} on", flush=True)
    known = on_all_cores(SIM, "-h", in_blocks(1, FIXED), lambda total: len(total.failures) < FAILURES_MAX)
    report.played(f"seeds 1 to {FIXED}", known, time.monotonic() - began)

    def goes_on(total: Result) -> bool:
        passed_s = time.monotonic() - began
        wanted = known.played + total.played < LEAST or passed_s < SECONDS
        return wanted and passed_s < LIMIT_S and len(known.failures) + len(total.failures) < FAILURES_MAX

    again = time.monotonic()
    new = on_all_cores(SIM, "-h", in_blocks(first), goes_on)
    report.played(f"{new.played} new ones, from seed {first} on", new, time.monotonic() - again)
    if known.played + new.played < LEAST and not report.failed:
        report.failed += 1
        report.say("FAILED", f"fewer than {LEAST} scenarios", time.monotonic() - began)


def play_long(report: Report, seed: int | None, hours: float | None, count: int | None) -> None:
    first = seed if seed is not None else random.SystemRandom().randrange(10**6, 10**9)
    began = time.monotonic()
    print(f"scenarios from seed {first} on", flush=True)

    def goes_on(total: Result) -> bool:
        return len(total.failures) < FAILURES_MAX and (hours is None or time.monotonic() - began < hours * 3600)

    result = on_all_cores(SIM, "-h", in_blocks(first, count), goes_on)
    report.played(f"{result.played} scenarios, from seed {first} on", result, time.monotonic() - began)


def is_meant(mutant: Mutant, words: list[str]) -> bool:
    return any(word in (mutant.rule, mutant.file, "all") or word in mutant.name for word in words)


def play_mutants(report: Report, words: list[str], count: int, writes: bool) -> None:
    for mutant in MUTANTS:
        seed = simulated().get(mutant.name)
        if not is_simulated(mutant) or not (is_meant(mutant, words) if words else seed is not None):
            continue
        result = try_mutant(mutant, report, seed is not None and not writes, count)
        if writes and result is not None:
            write_down(mutant, result)


def write_down(mutant: Mutant, result: Result) -> None:
    names = {mutant.name for mutant in MUTANTS if is_simulated(mutant)}
    found = {name: seed for name, seed in simulated().items() if name in names}
    found[mutant.name] = result.failures[0].seed if result.failures else None
    SIMULATED.write_text(json.dumps(found, indent=0, sort_keys=True) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("run", choices=("check", "long", "mutants"))
    parser.add_argument("--seed", type=int)
    parser.add_argument("--hours", type=float)
    parser.add_argument("--count", type=int)
    parser.add_argument("-k", metavar="WORD", nargs="+", default=[])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    report = Report()
    if options.run == "check":
        check(report, options.seed)
    elif options.run == "long":
        play_long(report, options.seed, options.hours, options.count)
    else:
        play_mutants(report, options.k, options.count or CONTROL_COUNT, options.write)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
