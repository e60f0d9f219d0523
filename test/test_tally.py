"""What ./check counts: from real output of each kind of stage, and nothing is taken for passed that was not."""

import pytest

from tally import Tally, tally

PYTEST = """
..F.s                                                                    [100%]
=================================== FAILURES ===================================
2026-11-29 UTC [12] ERROR:  refused
=========================== short test summary info ============================
FAILED test/test_lag.py::test_one[a b - c] - AssertionError: assert 1 == 2
ERROR test/test_lag.py::test_two - RuntimeError: no server
SKIPPED [1] test/test_lag.py:7: no namespaces here
1 failed, 3 passed, 1 skipped, 1 error in 9.63s
"""
PROVE = """
src/test/config/config_test ... ok
src/test/core/lease_test ....
not ok 3 - a_lapsed_lease_is_nobodys
Dubious, test returned 1 (wstat 256, 0x100)
Failed 1/5 subtests

Test Summary Report
-------------------
src/test/core/lease_test  (Wstat: 256 (exited 1) Tests: 5 Failed: 1)
  Failed test:  3
  Non-zero exit status: 1
Files=2, Tests=17,  1 wallclock secs ( 0.02 usr  0.00 sys +  0.10 cusr  0.02 csys =  0.14 CPU)
Result: FAIL
"""
CRASHED = """
src/test/core/lease_test  (Wstat: 139 (Signal: SEGV, dumped core) Tests: 4 Failed: 0)
  Non-zero wait status: 139
  Parse errors: Bad plan.  You planned 5 tests but ran 4.
Files=1, Tests=4,  1 wallclock secs ( 0.02 usr  0.00 sys +  0.10 cusr  0.02 csys =  0.14 CPU)
"""
REGRESS_15 = """
test basic                        ... ok           51 ms
test rules                        ... FAILED       60 ms
"""
REGRESS_18 = """
ok 1         - basic                                      51 ms
not ok 2     - rules                                      60 ms
"""
PGTAP = """
src/test/pgtap/catalogue.sql ..
not ok 2 - has function status
# Failed test 2: "has function status"
src/test/pgtap/catalogue.sql (Wstat: 0 Tests: 44 Failed: 1)
Files=1, Tests=44,  1 wallclock secs ( 0.02 usr  0.00 sys +  0.10 cusr  0.02 csys =  0.14 CPU)
"""
MUTANTS = """
passed          90 tests without a mutant                                             20.0 s
killed          S1   a lease is taken while it is held                                   1.2 s  one_winner
SURVIVED        S2   a late write wins                                                   1.2 s  late_write
90 s
2 passed, 1 failed
"""
SIMULATION = """
killed          S1   a lease that is not released is free                                1.7 s  seed 2: two fences are open
scenarios: seeds 1 to 1000, and new ones from 494774602 on
  21 s: 160 scenarios
FAILED          seed 17: nobody leads, or not all stream, long after the last fault    0.0 s
    once more: make sim SIM=-t SEED=17 COUNT=1
passed          1010 new ones, from seed 494774602 on                              131.9 s
2010 scenarios, 150989 simulated seconds, in 3.8 min
2013 passed, 1 failed
"""
FUZZ = """
config        112 inputs kept,     90210 tried,   812 edges
FAILED state: a new input, kept as build-fuzz/state-*
"""
COVERAGE = """
src/core/observe.c                           458     457    99%   17
(ERROR) failed minimum line coverage (got 99.7%, minimum 100%)
"""
E2E = """
   70.123  run 1, kill-postmaster: outage 1.28 s, worst writer 1.30 s, 0 of 3000 rows missing
   99.000  run 1, delete-pod: outage 0.98 s, worst writer 1.30 s, 0 of 3000 rows missing
"""


def counts(found: Tally) -> tuple[int, int, int]:
    return found.passed, found.failed, found.skipped


@pytest.mark.parametrize(
    "text,expected,names",
    [
        (PYTEST, (3, 2, 1), ["test/test_lag.py::test_one[a b - c]", "test/test_lag.py::test_two"]),
        (PYTEST + "10 passed in 63.12s (0:01:03)\n", (13, 2, 1), ["test/test_lag.py::test_one[a b - c]", "test/test_lag.py::test_two"]),
        (PROVE, (16, 1, 0), ["src/test/core/lease_test: a_lapsed_lease_is_nobodys"]),
        (
            CRASHED,
            (4, 1, 0),
            [
                "src/test/core/lease_test: Non-zero wait status: 139",
                "src/test/core/lease_test: Parse errors: Bad plan.  You planned 5 tests but ran 4.",
            ],
        ),
        (REGRESS_15, (1, 1, 0), ["rules"]),
        (REGRESS_18, (1, 1, 0), ["rules"]),
        (PGTAP, (43, 1, 0), ["src/test/pgtap/catalogue.sql: has function status"]),
        (MUTANTS, (2, 1, 0), ["S2   a late write wins"]),
        (SIMULATION, (2013, 1, 0), ["seed 17: nobody leads, or not all stream, long after the last fault"]),
        (FUZZ, (1, 1, 0), ["state"]),
        (COVERAGE, (0, 1, 0), ["failed minimum line coverage (got 99.7%, minimum 100%)"]),
    ],
    ids=["pytest", "pytest twice", "prove", "a crash", "regress 15", "regress 18", "pgtap", "mutants", "simulation", "fuzz", "coverage"],
)
def test_failures_are_counted_and_named(text: str, expected: tuple[int, int, int], names: list[str]) -> None:
    found = tally("stage", 1, text.splitlines())
    assert counts(found) == expected
    assert found.names == names


def test_what_ends_well() -> None:
    assert counts(tally("behaviour", 0, ["======== 514 passed in 1064.78s (0:17:44) ========"])) == (514, 0, 0)
    assert counts(tally("layers", 0, ["  clang-format-14 over 190 files"])) == (1, 0, 0)
    assert counts(tally("e2e", 0, E2E.splitlines())) == (2, 0, 0)


def test_a_stage_that_fails_without_a_failed_test() -> None:
    """E.g. what does not compile, or a run that was killed: it is never counted as passed."""
    assert counts(tally("unit", 2, [])) == (0, 1, 0)
    killed = tally("behaviour", 137, ["....... [ 14%]"])
    assert counts(killed) == (0, 1, 0) and killed.names == ["(ended with 137)"]
    assert tally("unit", 124, ["  LD  config_test"]).names == ["(it did not end in time)"]
    assert counts(tally("kube", 5, ["no tests ran in 0.12s"])) == (0, 1, 0)
