#!/usr/bin/python3
"""Holds each #include of src/ to the table of rooms in src/README.md, and that table to having no circle;
and a room that is given its clock to looking at no other.

    test/layers.py    a complaint a line; the exit status is 1 if there is any
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
TABLE = "src/README.md"
# PostgreSQL's headers have no room.
HOSTED = "pg"

# Rooms that are given time and chance as an argument, and what would be a way around it: all of CLOCK but
# what only prints, and the kernel's own.
GIVEN_A_CLOCK = ("node",)
CLOCK = "src/base/clock.h"
PRINTS = {"fha_wall_print"}
KERNELS = "clock_gettime|clock_nanosleep|clock|gettimeofday|time|timespec_get|getrandom|getentropy|rand|random"

DECLARED = re.compile(r"^FHA_API [^;]*?\b(fha_\w+)(?=\(|;)", re.MULTILINE)
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)

ROW = re.compile(r"^\| `src/(\w+)` \|.*\| ([^|]+) \|$", re.MULTILINE)
INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)

Table = dict[str, list[str]]


def table_of(text: str) -> Table:
    """By room: which rooms it may include."""
    return {room: re.findall(r"\w+", names) if names != "-" else [] for room, names in ROW.findall(text)}


def circle(table: Table) -> list[str]:
    """Rooms that include each other in turn, the first one twice; [] if there are none."""
    done: set[str] = set()

    def walk(room: str, way: list[str]) -> list[str]:
        if room in way:
            return [*way[way.index(room) :], room]
        if room in done:
            return []
        for other in table.get(room, []):
            if found := walk(other, [*way, room]):
                return found
        done.add(room)
        return []

    for room in table:
        if found := walk(room, []):
            return found
    return []


def table_complaints(table: Table, rooms: Iterable[str]) -> list[str]:
    found = [f"{TABLE} has no row for src/{room}" for room in sorted(set(rooms) - set(table))]
    for room, others in table.items():
        found += [f"{TABLE}: {room} may include {other}, which is no room" for other in others if other not in table]
    if way := circle(table):
        found.append(f"{TABLE} has a circle: {' -> '.join(way)}")
    return found


def include_complaints(table: Table, files: dict[str, str]) -> list[str]:
    """files: the texts of sources, by their paths."""
    found = []
    used = set()
    for path, text in sorted(files.items()):
        room = HOSTED if path.count("/") == 0 else path.split("/")[1]
        may = table.get(room, [])
        for name in INCLUDE.findall(text):
            other, slash, _ = name.partition("/")
            used.add((room, other))
            if (other not in table and room != HOSTED) or (other == "test" and slash):
                found.append(f"{path} includes {name}, which is in no room: write the room first")
            elif other in table and other not in (room, *may):
                found.append(f"{path} includes {name}: {room} may include {', '.join(may) or 'no other room'}")
    for room, others in table.items():
        found += [f"{TABLE}: {room} does not include {other}" for other in others if (room, other) not in used]
    return found


def clock_complaints(files: dict[str, str]) -> list[str]:
    """files: as above, with CLOCK."""
    functions = set(DECLARED.findall(files[CLOCK])) - PRINTS
    looks = re.compile(rf"\b(?:{'|'.join(sorted(functions))})\b|(?<![.>])\b(?:{KERNELS})(?=\s*\()")
    return [
        f"{path} has {look}: {path.split('/')[1]} has the clock that it was given, and no other"
        for path, text in sorted(files.items())
        if path.startswith(tuple(f"src/{room}/" for room in GIVEN_A_CLOCK))
        for look in looks.findall(COMMENT.sub("", text))
    ]


def main() -> int:
    paths = [TREE / "fawkes_ha.c", *(path for path in (TREE / "src").rglob("*.[ch]") if TREE / "src/test" not in path.parents)]
    files = {str(path.relative_to(TREE)): path.read_text() for path in paths}
    table = table_of((TREE / TABLE).read_text())
    complaints = table_complaints(table, {path.split("/")[1] for path in files if "/" in path})
    complaints += include_complaints(table, files)
    complaints += clock_complaints(files)
    print("".join(f"{line}\n" for line in complaints), end="")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
