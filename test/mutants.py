"""Each safety rule has a negative control: a mutant that breaks it, and the test that must notice.

    make mutants          all of them
    make mutants-short    the unit tests' and a few of the fence's, for CI
    test/mutants.py -k WORD...      those whose rule or name contains a word
    test/mutants.py --write-table   renew docs/mutants.md

Copies of the tree in a temporary directory, one for each worker; there are more workers
than cores, because tests mostly wait.  They begin with what is built in this tree already.
First every test that shall kill a mutant must pass on the unchanged sources.  Then one mutant
at a time: its text is replaced (it must occur exactly once, or the mutant has rotted), what is
needed is built, and only the tests that are named run.  A mutant is killed when one of these
tests fails; not when something else goes wrong.

For a unit test that is a compilation of each object with the changed source in it, and a link.
Make would take as long as both to find that out.

PostgreSQL's directories are not touched: test_fence.py loads the libraries of its own
tree, and the lab's nodes run the command and the libraries of $FAWKES_TREE.
"""

import argparse
import contextlib
import importlib
import json
import os
import queue
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lab import ports
from mutants_list import LAYERS, Mutant

TREE = Path(__file__).resolve().parent.parent
TABLE = "docs/mutants.md"
# Each has a list MUTANTS. That of the safety rules stands first.
LISTS = sorted((TREE / "test").glob("mutants_*.py"), key=lambda path: (path.stem != "mutants_list", path.stem))
MUTANTS: list[Mutant] = [mutant for path in LISTS for mutant in importlib.import_module(path.stem).MUTANTS]
SIMULATED = TREE / "test" / "mutants_simulated.json"  # written by make sim-mutants WRITE=1
ROOMS = ("src/core/", "src/node/", "src/record/")  # what the simulation plays of the product, but for ...
UNPLAYED = tuple(f"src/{name}.c" for name in ("core/routing", "core/freshness", "core/cron", "node/follow", "node/lag", "node/pods", "node/settings"))
WORKERS = 2 * (os.cpu_count() or 1)
BUILD_LIMIT_S = 300
TEST_LIMIT_S = 300
# What check-layers prints for a mutant, and not when it cannot be run.
LAYERS_COMPLAINTS = ("src/core calls:", ": node has the clock that it was given, and no other")

IGNORED = shutil.ignore_patterns(
    ".git", "__pycache__", ".pytest_cache", "results", "build-coverage", "build-sim", "*_test", "regression.*"
)
QUICK = ("-O0", "-g0", "-w")  # for the compiler, with the sanitizers
LINKER = ("-fuse-ld=gold",) if shutil.which("ld.gold") else ()

# Lets one test of a cmocka program run, whatever its main() does.
CHOOSE_TEST = r"""
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static void __attribute__((constructor))
choose_test(void)
{
	const char *name = getenv("MUTANTS_TEST");

	if (name != NULL)
		cmocka_set_test_filter(name);
}
"""


class DoesNotBuild(Exception):
    """What the compiler said."""


class CannotTell(Exception):
    """The tests did not run as they should: neither passed nor failed."""


running: set[subprocess.Popen] = set()


@dataclass
class Done:
    status: int
    output: str


def run(words: list[str | Path], where: Path, limit_s: float, **environment: str) -> Done:
    """To its end.  What exceeds its time is asked to stop (pytest then stops its servers), then killed."""
    with tempfile.TemporaryFile() as output:  # a pipe would be waited for while any grandchild has it
        process = subprocess.Popen(
            [str(word) for word in words],
            cwd=where,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        running.add(process)
        try:
            ended = has_ended(process, limit_s)
            if not ended:
                process.terminate()
                has_ended(process, 30)
        finally:
            running.discard(process)
            # Not reaped yet, so that the group is still ours: what a failed test left behind ends here.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        text = output.read().decode(errors="replace")
    if not ended:
        raise CannotTell(f"{Path(words[0]).name} did not end within {limit_s:.0f} s\n{last_lines(text)}")
    return Done(process.returncode, text)


def has_ended(process: subprocess.Popen, limit_s: float) -> bool:
    """Without reaping it."""
    fd = os.pidfd_open(process.pid)
    try:
        return bool(select.select([fd], [], [], limit_s)[0])
    finally:
        os.close(fd)


def last_lines(text: str, count: int = 12) -> str:
    return "\n".join(text.rstrip().splitlines()[-count:])


def make(*targets: str) -> list[str]:
    # Without -Werror: a mutant may leave a variable unused.
    return ["make", f"-j{os.cpu_count()}", "--no-print-directory", "-s", *targets, "WERROR="]


def build(words: list[str | Path], where: Path) -> str:
    done = run(words, where, BUILD_LIMIT_S)
    if done.status != 0:
        raise DoesNotBuild(last_lines(done.output))
    return done.output


class Units:
    """The objects of the library and of unit tests, in a copy of the sources that no mutant changes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._words: dict[str, list[str]] = {}  # how to compile, what every program is linked with
        self._links: dict[str, list[str]] = {}  # by program, with its own objects
        self._source: dict[str, str] = {}  # by object
        self._users: dict[str, list[str]] = {}  # by source or header: the objects that have it in them

    def prepare(self, programs: list[str], changing: Iterable[str]) -> None:
        """Objects that mutants change are compiled as the mutants' will be: the tests without a mutant show that this alone breaks nothing."""
        for line in build(make("unit-commands"), self.root).splitlines():
            kind, _, words = line.partition(" ")
            if kind == "link":
                program, *self._links[program] = shlex.split(words)
            elif kind in ("compile", "library", "libraries"):
                self._words[kind] = shlex.split(words)
        objects = [*self._words["library"], *(name for program in programs for name in self._own(program))]
        build(make(*dict.fromkeys(objects)), self.root)
        for name in dict.fromkeys(objects):
            rule = (self.root / name).with_suffix(".d").read_text().replace("\\\n", " ").splitlines()[0]
            _, self._source[name], *headers = rule.split()
            for file in (self._source[name], *headers):
                self._users.setdefault(file, []).append(name)
        (self.root / "choose_test.c").write_text(CHOOSE_TEST)
        self._compile("choose_test.c", self.root / "choose_test.o")
        for name in dict.fromkeys(name for file in changing for name in self._users.get(file, [])):
            self._compile(self._source[name], self.root / name)
        build(["strip", "-g", *dict.fromkeys(objects)], self.root)
        # Of an archive, a program gets the objects that it needs, and none that it has already.
        build(["ar", "qcs", "library.a", *self._words["library"]], self.root)

    def _own(self, program: str) -> list[str]:
        return [word for word in self._links[program] if word.endswith(".o")]

    def _compile(self, source: str, into: Path, changed: Path | None = None) -> None:
        compiler, *words = self._words["compile"]
        first = [f"-I{changed}/src"] if changed else []
        path = changed / source if changed and (changed / source).exists() else source
        into.parent.mkdir(parents=True, exist_ok=True)
        build([compiler, *first, *words, *QUICK, "-c", "-o", into, path], self.root)

    def link(self, program: str, into: Path, files: Iterable[str] = (), changed: Path | None = None) -> None:
        """With these files as they are in the folder `changed`."""
        anew: dict[str, Path] = {}
        for name in dict.fromkeys(name for file in files for name in self._users.get(file, [])):
            if changed and (name in self._own(program) or name in self._words["library"]):
                anew[name] = changed / name
                self._compile(self._source[name], anew[name], changed)
        words = [anew.pop(word, word) for word in self._links[program]]
        build([*words, *LINKER, "-o", into, *anew.values(), "choose_test.o", "library.a", *self._words["libraries"]], self.root)


class Tree:
    """A copy of the sources in which things are built and run."""

    def __init__(self, root: Path, number: int, units: Units) -> None:
        self.root = root
        self._units = units
        # Clusters of two trees that look for free ports at the same time must not find the same.
        self._environment = {"FAWKES_TREE": str(root), "FAWKES_PORTS": ports.part(number, WORKERS)}

    # --- building

    def build(self, test: str) -> None:
        if test.endswith("_test"):
            if not (self.root / test).exists():
                self._units.link(test, self.root / test)
        elif test.endswith("_fuzz"):
            build(make(f"build-fuzz/{Path(test).name}"), self.root)
        elif test.startswith("test/"):
            build(make("all"), self.root)

    @contextlib.contextmanager
    def built(self, mutant: Mutant) -> Iterator[None]:
        """With what its tests need."""
        programs = dict.fromkeys(map(program_of, mutant.tests))
        if all(program.endswith("_test") for program in programs):
            with tempfile.TemporaryDirectory(dir=self.root) as changed:
                for file, text in mutant.sources(self.root).items():
                    (Path(changed) / file).parent.mkdir(parents=True, exist_ok=True)
                    (Path(changed) / file).write_text(text)
                for program in programs:
                    self._units.link(program, self.root / program, mutant.files, Path(changed))
            yield
            return
        before = {file: (self.root / file).read_text() for file in mutant.files}
        try:
            for file, text in mutant.sources(self.root).items():
                (self.root / file).write_text(text)
            for program in programs:
                self.build(program)
            yield
        finally:
            for file, text in before.items():
                (self.root / file).write_text(text)  # newer than what was built of the mutant: built again

    # --- testing: the names of the tests that failed

    def failures(self, tests: Iterable[str]) -> list[str]:
        tests = list(tests)
        if tests == [LAYERS]:
            return self._layers_failure()
        if all(test.startswith("test/") for test in tests):
            return self._pytest_failures(tests)
        if all(test.endswith("_fuzz") for test in tests):
            return [failure for test in tests for failure in self._fuzz_failure(test)]
        return [failure for test in tests for failure in self._unit_failure(*test.split("::"))]

    def _layers_failure(self) -> list[str]:
        done = run(make(LAYERS), self.root, BUILD_LIMIT_S)
        if done.status == 0:
            return []
        if not any(complaint in done.output for complaint in LAYERS_COMPLAINTS):
            raise CannotTell(last_lines(done.output))
        return [LAYERS]

    def _unit_failure(self, program: str, name: str) -> list[str]:
        done = run(
            [self.root / program], self.root, TEST_LIMIT_S, CMOCKA_MESSAGE_OUTPUT="TAP", MUTANTS_TEST=name
        )
        verdict = re.search(rf"^(not ok|ok) \d+ - {name}$", done.output, re.MULTILINE)
        if not verdict or (verdict[1] == "ok") != (done.status == 0):
            raise CannotTell(f"{program} ended with {done.status}\n{last_lines(done.output)}")
        return [name] if verdict[1] == "not ok" else []

    def _fuzz_failure(self, target: str) -> list[str]:
        name = Path(target).name.removesuffix("_fuzz")
        done = run(["src/test/fuzz/run.sh", "2", name], self.root, TEST_LIMIT_S)
        if (done.status != 0) != (f"FAILED {name}:" in done.output):
            raise CannotTell(last_lines(done.output))
        return [f"{name}_fuzz"] if done.status != 0 else []

    def _pytest_failures(self, tests: list[str]) -> list[str]:
        report = self.root / "report.xml"
        report.unlink(missing_ok=True)
        words = ["-m", "pytest", "-q", "-x", "--tb=short", "-p", "no:cacheprovider", f"--junitxml={report}", *tests]
        done = run([sys.executable, *words], self.root, TEST_LIMIT_S, **self._environment)
        if done.status not in (0, 1) or not report.exists():
            raise CannotTell(last_lines(done.output))
        failed = []
        for case in xml.etree.ElementTree.parse(report).iter("testcase"):
            for problem in case:
                if problem.tag == "error" and "on setup" in problem.get("message", ""):
                    raise CannotTell(last_lines(done.output))  # no server: no test was made
                if problem.tag in ("failure", "error"):
                    failed.append(case.get("name", ""))
        if bool(failed) != (done.status == 1):
            raise CannotTell(last_lines(done.output))
        return failed


def program_of(test: str) -> str:
    return test.split("::")[0]


# --- the run


class Run:
    def __init__(self, mutants: list[Mutant], base: Path) -> None:
        self.mutants = mutants
        self.units = Units(base / "units")
        self.trees = [Tree(base / f"tree{number}", number, self.units) for number in range(WORKERS)]
        self.passed = 0
        self.failed = 0
        self._lock = threading.Lock()

    def say(self, good: bool, verdict: str, what: str, detail: str, seconds: float, more: str = "") -> None:
        with self._lock:
            if good:
                self.passed += 1
            else:
                self.failed += 1
            print(f"{verdict:15} {what:66} {seconds:5.1f} s  {detail}", flush=True)
            if more:
                print("    " + more.replace("\n", "\n    "), flush=True)

    def everywhere(self, work: list, do) -> None:
        """Each item of the work by whichever tree is free."""
        items: queue.SimpleQueue = queue.SimpleQueue()
        for item in work:
            items.put(item)
        troubles: list[BaseException] = []

        def worker(tree: Tree) -> None:
            try:
                while not troubles:
                    do(tree, items.get_nowait())
            except queue.Empty:
                pass
            except BaseException as trouble:  # noqa: BLE001 - told by the main thread
                troubles.append(trouble)

        threads = [threading.Thread(target=worker, args=(tree,)) for tree in self.trees]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except BaseException as trouble:  # Ctrl-C
            troubles.append(trouble)
            for process in list(running):
                process.terminate()
            for thread in threads:
                thread.join()
        if troubles:
            raise troubles[0]

    def prepare(self) -> None:
        """Everything is built once; the workers' trees are copies of the first of them."""
        programs = sorted({program_of(test) for mutant in self.mutants for test in mutant.tests})
        units = [program for program in programs if program.endswith("_test")]
        if units:
            changing = [file for mutant in self.mutants if program_of(mutant.tests[0]) in units for file in mutant.files]
            shutil.copytree(TREE, self.units.root, ignore=IGNORED, symlinks=True)
            self.units.prepare(units, changing)
        first = self.trees[0]
        shutil.copytree(TREE, first.root, ignore=lambda *args: {*IGNORED(*args), "build-sanitized"}, symlinks=True)
        for program in programs:
            if program not in units:
                first.build(program)
        if any(program.startswith("test/") for program in programs):
            build(["make", "-s", "-C", "src/test/fence_probe", "fence_probe.so"], first.root)
        for other in self.trees[1:]:
            shutil.copytree(first.root, other.root, symlinks=True)

    def baseline(self) -> bool:
        """Without a mutant nothing fails: otherwise a kill proves nothing."""
        tests = list(dict.fromkeys(test for mutant in self.mutants for test in mutant.tests))
        fence = [test for test in tests if test.startswith("test/")]
        groups = [[test for test in fence if program_of(test) == file] for file in dict.fromkeys(map(program_of, fence))]
        groups += [[test] for test in tests if test not in fence]
        bad: list[str] = []

        def pass_group(tree: Tree, group: list[str]) -> None:
            try:
                tree.build(program_of(group[0]))
                failed = tree.failures(group)
            except (CannotTell, DoesNotBuild) as trouble:
                bad.append(f"{group[0]}: {trouble}")
            else:
                bad.extend(f"{name} fails without any mutant" for name in failed)

        began = time.monotonic()
        self.everywhere(groups, pass_group)
        if (TREE / TABLE).exists() and (TREE / TABLE).read_text() != table():
            bad.append(f"{TABLE} is old: test/mutants.py --write-table")
        what = f"{len(tests)} tests without a mutant"
        self.say(not bad, "FAILED" if bad else "passed", what, "", time.monotonic() - began, "\n".join(bad))
        return not bad

    def try_mutant(self, tree: Tree, mutant: Mutant) -> None:
        began = time.monotonic()
        what = f"{mutant.rule:4} {mutant.name}"
        good, detail, more = False, "", ""
        try:
            with tree.built(mutant):
                failed = tree.failures(mutant.tests)
                good, verdict = bool(failed), "killed" if failed else "SURVIVED"
                detail = ", ".join(failed or mutant.tests)
        except ValueError as trouble:
            verdict, detail = "DOES NOT APPLY", str(trouble)
        except DoesNotBuild as trouble:
            verdict, more = "DOES NOT BUILD", str(trouble)
        except CannotTell as trouble:
            verdict, more = "NOT TESTED", str(trouble)
        self.say(good, verdict, what, detail, time.monotonic() - began, more)

    def run(self) -> bool:
        try:
            self.prepare()
        except (DoesNotBuild, CannotTell) as trouble:
            self.say(False, "DOES NOT BUILD", "the tree without a mutant", "", 0, str(trouble))
            return False
        if not self.baseline():
            return False
        # The slow ones first: the workers then end together.
        self.everywhere(sorted(self.mutants, key=lambda one: not (one.waits or one.tests[0].startswith("test/"))), self.try_mutant)
        return self.failed == 0


# --- the table


def is_simulated(mutant: Mutant) -> bool:
    """Does it break a safety rule where the simulation plays the product's own code?"""
    return (
        mutant.rule.startswith("S")
        and mutant.tests != (LAYERS,)
        and all(file.startswith(ROOMS) and file not in UNPLAYED for file in mutant.files)
    )


def simulated() -> dict[str, int | None]:
    """Each mutant that the simulation was tried with: the first seed that shows it, None: none does."""
    return json.loads(SIMULATED.read_text())


def seen_at(mutant: Mutant, seeds: dict[str, int | None]) -> str:
    if mutant.name not in seeds:
        return "-"
    return "no" if seeds[mutant.name] is None else f"seed {seeds[mutant.name]}"


def table() -> str:
    files = ", ".join(f"`test/{path.name}`" for path in LISTS)
    lines = [
        "# The mutants",
        "",
        "Each breaks one safety rule of docs/design.md (fuzz: a check of input; fail: of memory and disk; store: what object stores promise).",
        "`make mutants` shows that the tests named beside it notice; those marked * run in `make mutants-short`.",
        "",
        "- unit: cmocka tests, fuzz targets with their kept inputs, and `check-layers`.",
        "- simulation: the first seed of the simulation that shows it; no: none of the first 400 does; -: it was not tried.",
        "  Code and rules that the simulation does not play are never tried. `make sim-mutants WRITE=1` renews that.",
        "- real: tests with real processes, of PostgreSQL, the lock or Kubernetes.",
        "",
        f"Written by `test/mutants.py --write-table` from {files} and `test/{SIMULATED.name}`.",
        "",
        "| rule | mutant | in | unit | simulation | real |",
        "|---|---|---|---|---|---|",
    ]
    seeds = simulated()
    for mutant in MUTANTS:
        mark = " *" if mutant.short else ""
        where = ", ".join(f"`{file}`" for file in mutant.files)
        tests = ", ".join(f"`{test.removeprefix('src/test/')}`" for test in mutant.tests)
        real = mutant.tests[0].startswith("test/")
        unit, real_tests = ("-", tests) if real else (tests, "-")
        lines.append(f"| {mutant.rule}{mark} | {mutant.name} | {where} | {unit} | {seen_at(mutant, seeds)} | {real_tests} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--short", action="store_true", help="only those for CI")
    parser.add_argument("-k", metavar="WORD", nargs="+", default=[], help="only those with such a word in rule or name")
    parser.add_argument("--write-table", action="store_true", help=f"write {TABLE} and end")
    options = parser.parse_args()
    if options.write_table:
        (TREE / TABLE).write_text(table())
        return 0
    if os.geteuid() == 0:
        print("PostgreSQL refuses root: run this as an ordinary user", file=sys.stderr)
        return 2
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names), "two mutants have the same name"
    chosen = [mutant for mutant in MUTANTS if mutant.short or not options.short]
    if options.k:
        chosen = [mutant for mutant in chosen if any(word == mutant.rule or word in mutant.name for word in options.k)]
    began = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="fh-mutants-", dir=os.environ.get("FAWKES_TEST_DIR", "/tmp")) as base:
        result = Run(chosen, Path(base))
        good = result.run()
    print(f"{time.monotonic() - began:.0f} s")
    print(f"{result.passed} passed, {result.failed} failed")
    return 0 if good and chosen else 1


if __name__ == "__main__":
    sys.exit(main())
