"""What a stage of ./check has tested, from what it printed:

    test/tally.py NAME STATUS < OUTPUT

prints "PASSED FAILED SKIPPED" and then the name of each test that failed, a line each.  A stage
that counts no tests is one test; one that ended with another STATUS than 0 has at least one failure.
"""

import re
import sys

PYTEST = re.compile(r"^=*\s?((?:\d+ [a-z]+(?:, )?)+) in [\d.]+s\b")
PYTEST_COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped)")
PYTEST_NAME = re.compile(r"^(?:FAILED|ERROR) (\S+\.py\S*(?: .*?\])?)(?: - |$)")
PROVE = re.compile(r"^Files=\d+, Tests=(\d+),")
PROVE_RUNS = re.compile(r"^(\S+) \.{2,} *$")
PROVE_FAILED = re.compile(r"^(\S+) +\(Wstat: .* Failed: (\d+)\)")
PROVE_BAD_PLAN = re.compile(r"^ +(Non-zero (?:exit|wait) status: .*|Parse errors: .*)$")
TAP_FAILED = re.compile(r"^#? *not ok \d+ *-? *(.*?)(?: # .*)?$")
REGRESS = re.compile(r"^(?:test (?P<name>\S+) +\.\.\. (?P<word>ok|FAILED)|(?P<no>not )?ok \d+ +[-+] (?P<tap>\S+) +\d+ ms$)")
MUTANTS = re.compile(r"^(\d+) passed, (\d+) failed$")
MUTANT_FAILED = re.compile(r"^(?:SURVIVED|DOES NOT APPLY|DOES NOT BUILD|NOT TESTED|FAILED) +(\S.*?) +[\d.]+ s(?:  |$)")
FUZZ = re.compile(r"^(\S+) +\d+ inputs kept, ")
FUZZ_FAILED = re.compile(r"^FAILED (\w+): (an input of|a new input|src/)")
E2E = re.compile(r"^ *[\d.]+ +run (\d+), (\S+): outage ")
GCOVR = re.compile(r"^\(ERROR\) (.*)$")

TIMED_OUT = 124  # timeout(1)


class Tally:
    def __init__(self) -> None:
        self.passed = self.failed = self.skipped = 0
        self.names: list[str] = []

    def line(self, text: str) -> None:
        if found := PYTEST.match(text):
            for number, word in PYTEST_COUNT.findall(found[1]):
                self._add({"passed": "passed", "skipped": "skipped"}.get(word, "failed"), int(number))
        elif found := PYTEST_NAME.match(text):
            self.names.append(found[1])
        elif found := PROVE.match(text):
            self.passed += int(found[1]) - self._of_prove
            self.failed += self._of_prove
            self._of_prove = 0
        elif found := PROVE_RUNS.match(text):
            self._program = f"{found[1]}: "
        elif found := PROVE_FAILED.match(text):
            self._of_prove += int(found[2])
            self._crashed = found[1] if found[2] == "0" else ""
        elif found := PROVE_BAD_PLAN.match(text):
            if self._crashed:
                self.names.append(f"{self._crashed}: {found[1]}")
        elif found := REGRESS.match(text):
            good = found["word"] == "ok" if found["word"] else not found["no"]
            self._add("passed" if good else "failed", 1)
            if not good:
                self.names.append(found["name"] or found["tap"])
        elif found := TAP_FAILED.match(text):
            self.names.append(f"{self._program}{found[1]}")
        elif found := MUTANTS.match(text):
            self.passed += int(found[1])
            self.failed += int(found[2])
        elif found := FUZZ_FAILED.match(text):
            self.failed += 1
            self.names.append(found[1])
        elif found := MUTANT_FAILED.match(text) or GCOVR.match(text):
            self.names.append(found[1])
        elif FUZZ.match(text) or E2E.match(text):
            self.passed += 1

    _of_prove = 0  # failures of programs whose total comes later
    _program = ""  # whose output this is
    _crashed = ""

    def _add(self, word: str, number: int) -> None:
        setattr(self, word, getattr(self, word) + number)

    def end(self, name: str, status: int) -> None:
        """A stage says at least that it passed or failed."""
        if status != 0 and self.failed == 0:
            self.failed = 1
            self.names = self.names or ["(it did not end in time)" if status == TIMED_OUT else f"(ended with {status})"]
        elif status == 0 and self.passed + self.failed + self.skipped == 0:
            self.passed = 1


def tally(name: str, status: int, lines: list[str]) -> Tally:
    counted = Tally()
    for text in lines:
        counted.line(text.rstrip("\n"))
    counted.end(name, status)
    return counted


if __name__ == "__main__":
    sys.stdin.reconfigure(errors="replace")
    result = tally(sys.argv[1], int(sys.argv[2]), list(sys.stdin))
    print(result.passed, result.failed, result.skipped)
    print("".join(f"{text}\n" for text in dict.fromkeys(result.names)), end="")
