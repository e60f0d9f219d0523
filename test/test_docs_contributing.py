"""CONTRIBUTING.md: what it tells a newcomer to type, to open and to look for is there."""

import re
from pathlib import Path

import pytest

from lab.documents import TREE, c_files, changed, commands, make_targets, quotes, read, words

CONTRIBUTING = "CONTRIBUTING.md"
MAKEFILES = "\n".join([read("Makefile"), *(path.read_text() for path in sorted((TREE / "src/test").glob("*.mk")))])
SOURCES = "\n".join(path.read_text() for path in [*c_files(), TREE / "test" / "mutants_list.py"])
TESTS = "\n".join(path.read_text() for path in sorted((TREE / "test").glob("test_*.py")))
MUTANTS = "\n".join(path.read_text() for path in sorted((TREE / "test").glob("mutants_*.py")))
EVENTS = "\n".join(read(f"test/{name}.py") for name in ("e2e", "lab/events", "lab/strikes"))


def is_there(name: str) -> bool:
    """A file, what is built from one, or a pattern that some file has."""
    source = name.removeprefix("./").replace("build-fuzz/", "src/test/fuzz/")
    return any(list(TREE.glob(pattern)) for pattern in (source, f"{source}.c"))


def is_right(name: str, part: str) -> bool:
    """A word of the value that a variable of make is given."""
    if name == "REGRESS":
        return is_there(f"sql/{part}.sql")
    if name == "FAULTS":
        return f'"{part}"' in EVENTS
    if name == "PYTEST":
        return part == "-k" or re.search(rf"^def test_\w*{part}", TESTS, re.MULTILINE) is not None
    return part.isdigit() or is_there(part)


def make_complaints(arguments: list[str]) -> list[str]:
    found = []
    for argument in arguments:
        name, given, value = argument.partition("=")
        if not given:
            found += [] if name in make_targets(MAKEFILES) or is_there(name) else [f"make has no {name}"]
        elif not re.search(rf"^{name} *=|\$\({name}\)", MAKEFILES, re.MULTILINE):
            found.append(f"make has no variable {name}")
        else:
            found += [f"{name} cannot be {part}" for part in value.split() if not is_right(name, part)]
    return found


def command_complaints(command: str) -> list[str]:
    program, *arguments = words(command.removeprefix("sudo "))
    if program == "make":
        return make_complaints(arguments)
    file = arguments[0] if program == "/usr/bin/python3" else program
    found = [] if is_there(file) else [f"there is no {file}"]
    if file == "test/mutants.py" and "-k" in arguments and f'"{arguments[-1]}"' not in MUTANTS:
        found.append(f"there is no mutant {arguments[-1]}")
    return found


def complaints(text: str) -> list[str]:
    found = [said for line in commands(text, "sh") for part in line.text.split(" && ") for said in command_complaints(part)]
    folder = Path()
    for name in [quote.text for quote in quotes(text)]:
        if " " in name:
            found += command_complaints(name)
        elif "/" in name or "." in name:
            # A bare name follows a path into the same directory.
            if is_there(name):
                folder = Path(name).parent
            elif not is_there(str(folder / name)):
                found.append(f"there is no {name}")
        elif not re.fullmatch(r"[0-9a-f]{7}", name) and not re.search(rf"\b{name}\b", SOURCES):
            found.append(f"the sources have no {name}")
    return found


def test_contributing() -> None:
    assert complaints(read(CONTRIBUTING)) == []


@pytest.mark.parametrize(("before", "after"), (
    ("make check-pgtap PGTAP", "make check-tap PGTAP"),
    ("KUBE_WORKERS=0", "KUBES=0"),
    ("pgtap/catalogue.sql  ", "pgtap/catalog.sql  "),
    ("REGRESS='basic rules'", "REGRESS='basic ruler'"),
    ("switchover_loses_no_row", "switchover_loses_every_row"),
    ("FAULTS=delete-pod", "FAULTS=delete-pods"),
    ("a raised deadline counts at once", "a raised deadline never counts"),
    ("test/mutants.py -k", "test/mutant.py -k"),
    ("&& src/test/core/lease_test", "&& src/test/lease_test"),
    ("build-fuzz/follow_fuzz", "build-fuzz/followed_fuzz"),
    ("sudo ./check", "sudo ./checks"),
    ("`src/show/metrics.c`", "`src/show/metric.c`"),
    ("`config.c`", "`conf.c`"),
    ("`FHA_FACT_COUNT`", "`FHA_FACTS_COUNT`"),
    ("`make check-short`", "`make check-shorter`"),
))
def test_contributing_control(before: str, after: str) -> None:
    assert complaints(changed(CONTRIBUTING, before, after)) != []
