#!/usr/bin/python3
"""The table of settings in docs/reference.md, out of src/config/settings.def.

    test/settings_table.py    write it into the reference
"""

import ast
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
ROWS = "src/config/settings.def"
REFERENCE = "docs/reference.md"
HEAD = "| setting (`fawkes_ha.`) | default | range | context | meaning |"
CONTEXTS = {"FHA_START": "start", "FHA_RELOAD": "reload"}

# Each row becomes a tuple of Python: words as strings, strings as they are.
READER = """
#define FHA_TEXT(name, kind, initial, traits, help, range, meaning) \
    ("text", #name, #traits, initial, range, meaning),
#define FHA_NUMBER(name, unit, initial, least, most, traits, help, meaning) \
    ("number", #name, #traits, #unit, #initial, "", #least, #most, meaning),
#define FHA_LEASE_TIME(name, unit, initial, on_kubernetes, least, most, traits, help, meaning) \
    ("number", #name, #traits, #unit, #initial, #on_kubernetes, #least, #most, meaning),
#define FHA_FLAG(name, initial, traits, help, detail, meaning) ("flag", #name, #traits, #initial, meaning),
#define FHA_SERVER_SETTING(name, traits) ("server", #name, #traits),
#define FHA_SERVER_FAMILY(name, traits) ("server", #name "*", #traits),
#include "settings.def"
"""


@dataclass(frozen=True)
class Setting:
    """A row; of PostgreSQL's own settings only the name and the traits."""

    name: str
    traits: frozenset[str]
    default: str = ""
    range: str = ""
    meaning: str = ""


def amount(pair: str) -> str:
    """"(30, min)" as a person writes it."""
    count, unit = re.fullmatch(r"\((\d+), (\w+)\)", pair).groups()
    return f"`{count}{'' if unit == 'count' else unit}`"


def setting(kind: str, name: str, traits: str, *cells: str) -> Setting:
    default = reach = meaning = ""
    if kind == "text":
        default, reach, meaning = cells
        default = f"`{default}`" if default else "empty"
    elif kind == "flag":
        default, meaning = f"`{cells[0]}`", cells[1]
        reach = "`on`, `off`"
    elif kind == "number":
        unit, initial, on_kubernetes, least, most, meaning = cells
        default = amount(initial) + (f"; on Kubernetes {amount(on_kubernetes)}" if on_kubernetes else "")
        reach = f"{amount(least)} to {amount(most)}" + ("; `kB` without a unit" if unit == "kB" else "")
    return Setting(name, frozenset(traits.split(" | ")), default, reach, meaning)


def settings() -> list[Setting]:
    """Each row, those of PostgreSQL's own settings behind the others."""
    done = subprocess.run(
        ["cc", "-E", "-P", "-x", "c", "-I", (TREE / ROWS).parent, "-"],
        input=READER,
        capture_output=True,
        text=True,
        check=True,
    )
    return [setting(*row) for row in ast.literal_eval(f"[{done.stdout}]")]


def table() -> str:
    lines = [HEAD, "|---|---|---|---|---|"]
    for one in settings():
        for context in (word for trait, word in CONTEXTS.items() if trait in one.traits):
            lines.append(f"| `{one.name}` | {one.default} | {one.range} | {context} | {one.meaning} |")
    return "\n".join(lines) + "\n"


def with_table(text: str) -> str:
    """The reference with the table as it has to be."""
    before, head, rest = text.partition(HEAD + "\n")
    if not head:
        raise LookupError(f"{REFERENCE} has no table that begins with {HEAD!r}")
    return before + table() + re.sub(r"\A(\|.*\n)*", "", rest)


def main() -> int:
    path = TREE / REFERENCE
    path.write_text(with_table(path.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
