"""What test/simulation.py counts and says: nothing is taken for a scenario that held which was not played to its end."""

from collections.abc import Callable
from pathlib import Path

import pytest

import mutants
import simulation
from mutants import MUTANTS, is_simulated, simulated
from mutants_list import Mutant
from simulation import Report, in_blocks, on_all_cores

# In place of build-sim/sim: plays each seed but for those that DO something else.
PLAYER = """#!/bin/sh
last=$(($2 + $3))
seed=$2
while [ $seed -lt $last ]; do
  case $seed in
    %s
  esac
  echo $seed 0123456789abcdef
  seed=$((seed + 1))
done
echo "$3 scenarios, 70 simulated seconds: 1 commits acknowledged, 0 of them lost with their leader, in 1 terms; every property holds"
"""


@pytest.fixture
def player(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    def make(cases: str) -> Path:
        program = tmp_path / "sim"
        program.write_text(PLAYER % cases)
        program.chmod(0o755)
        return program

    monkeypatch.setattr(simulation, "BUILD", tmp_path)
    monkeypatch.setattr(simulation, "SIM", tmp_path / "sim")
    return make


def always(_: simulation.Result) -> bool:
    return True


def test_each_seed_is_played_once(player: Callable[[str], Path]) -> None:
    result = on_all_cores(player(""), "-h", in_blocks(1, 95), always)
    assert (result.played, result.simulated_s, result.failures) == (95, 700, [])


def test_a_seed_that_fails_does_not_keep_others_from_being_played(player: Callable[[str], Path], tmp_path: Path, capsys) -> None:
    result = on_all_cores(player("14|17) echo its trace; echo seed $seed: two lead; exit 1 ;;"), "-h", in_blocks(1, 40), always)
    assert result.played == 38
    assert [(failure.seed, failure.why) for failure in result.failures] == [(14, "two lead"), (17, "two lead")]
    report = Report()
    report.played("seeds 1 to 40", result, 1.0)
    said = capsys.readouterr().out
    assert report.end() == 1
    assert "FAILED          seed 14: two lead" in said and "make sim SIM=-t SEED=14 COUNT=1" in said
    assert (tmp_path / "failed-17.trace").read_text() == "its trace\n"


@pytest.mark.parametrize(
    ("cases", "why"),
    (
        ("5) kill -SEGV $$ ;;", "the simulation ended with -11"),
        ("5) exit 0 ;;", "the simulation ended with 0"),
        ("5) sleep 60 ;;", "nothing came for"),
    ),
)
def test_what_ends_without_a_word_has_failed(player: Callable[[str], Path], monkeypatch, cases: str, why: str) -> None:
    monkeypatch.setattr(simulation, "SILENT_S", 2)
    result = on_all_cores(player(cases), "-h", in_blocks(1, 10), always)
    assert result.played == 9
    (failure,) = result.failures
    assert failure.seed == 5 and why in failure.why


def test_what_cannot_be_started_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        on_all_cores(tmp_path / "sim", "-h", in_blocks(1, 10), always)


def test_the_stage_plays_known_and_new_seeds(player: Callable[[str], Path], monkeypatch, capsys) -> None:
    player("")
    monkeypatch.setattr(simulation, "CONTROLS", ())
    monkeypatch.setattr(simulation, "SECONDS", 0)
    report = Report()
    simulation.check(report, None)
    assert report.end() == 0
    assert report.scenarios.played >= simulation.LEAST
    assert "new ones from" in capsys.readouterr().out


def test_too_few_scenarios_are_a_failure(player: Callable[[str], Path], monkeypatch) -> None:
    player("")
    monkeypatch.setattr(simulation, "CONTROLS", ())
    monkeypatch.setattr(simulation, "LIMIT_S", 0)
    report = Report()
    simulation.check(report, 1)
    assert report.end() == 1


def test_a_mutant_that_could_not_be_played_is_not_one_that_is_not_noticed(player: Callable[[str], Path], tmp_path: Path, monkeypatch) -> None:
    kept = tmp_path / "simulated.json"
    kept.write_text("{}")
    for module in (mutants, simulation):
        monkeypatch.setattr(module, "SIMULATED", kept)
    noticed, unnoticed, rotten = (mutant for mutant in MUTANTS if mutant.name in simulation.CONTROLS[:3])
    cases = {noticed: "7) echo seed $seed: two lead; exit 1 ;;", unnoticed: ""}

    def build(mutant: Mutant) -> Path | None:
        (tmp_path / "mutant").mkdir(exist_ok=True)
        return player(cases[mutant]).rename(tmp_path / "mutant" / "sim") if mutant in cases else None

    monkeypatch.setattr(simulation, "build_mutant", build)
    report = Report()
    simulation.play_mutants(report, [noticed.name, unnoticed.name, rotten.name], 20, writes=True)
    assert simulated() == {noticed.name: 7, unnoticed.name: None}
    assert report.end() == 1


def test_mutants_that_were_tried_are_there() -> None:
    assert simulated().keys() <= {mutant.name for mutant in MUTANTS if is_simulated(mutant)}
    noticed = {name for name, seed in simulated().items() if seed is not None}
    assert len(simulation.CONTROLS) >= 5 and noticed.issuperset(simulation.CONTROLS)


def test_the_faults_that_were_put_back_are_noticed_or_in_brackets() -> None:
    text = (mutants.TREE / "docs" / "testing.md").read_text()
    rows = text.split("### Faults put back")[1].split("| fault |")[1].split("\n\n")[0].splitlines()[2:]
    said = {name.strip(): prop.strip() for _, _, name, prop, _ in (row.split("|") for row in rows)}
    assert len(said) >= 14
    assert {name: prop.startswith("(") for name, prop in said.items()} == {name: simulated()[name] is None for name in said}


def test_the_table_of_mutants_is_as_it_is_written() -> None:
    assert (mutants.TREE / mutants.TABLE).read_text() == mutants.table(), "test/mutants.py --write-table"
