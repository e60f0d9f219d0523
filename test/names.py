#!/usr/bin/python3
"""Holds the names in src/ to the laws of CONTRIBUTING.md, as far as a program can see: static functions, moments, sizes.

    test/names.py    a complaint a line; the exit status is 1 if there is any
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
# Programs of their own: each names its functions and sizes for itself.
TESTS = "src/test/"

# Blanked, with its line breaks kept: what is said of a name is no use of it.
SAID = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)

STATIC = re.compile(r"^static\b[^;{}()=]*[\s*](\w+)\([^;{]*\)\s*\{", re.MULTILINE)

# The clock's own readings; every other moment says that it is one. renew_deadline is a setting, and a duration.
MOMENT = re.compile(r"(^|_)(at|now|wall)_ms$")
OF_THE_CLOCK = re.compile(
    r"(\w+)(?:\[[^][]*\])?\s*=\s*(?:(?:fha_|node_|fence_)?now_ms\s*\([^()]*\)|now_ms\b(?!\s*\())\s*(?:[;,)}+]|$)", re.MULTILINE
)
WORD_OF_A_MOMENT = re.compile(r"\b(?:\w*_)?(?:until|since|wake|again|deadline)_ms\b(?!\s*##)")
DURATIONS = ("renew_deadline_ms", "guc_renew_deadline_ms")

# A text's array, by its last dimension.  The system calls two sizes a maximum; an answer is bytes and no text.
TEXT = re.compile(r"(?<!unsigned )\bchar\s+\w+\s*(?:\[[^][;]*\]\s*)*\[([^][;]*)\]")
LIMIT = re.compile(r"\b[A-Z]\w*_(?:MAX|LEN|LENGTH|BYTES|DIGITS)\b")
NO_LIMITS = ("PATH_MAX", "NAME_MAX", "FHA_MEMBER_ANSWER_MAX")
DEFINED = re.compile(r"^#define (\w+_SIZE)\b", re.MULTILINE)
LENGTH = re.compile(r"^#define (\w+_(?:LEN|LENGTH))\b", re.MULTILINE)

Files = dict[str, str]


def statics(files: Files) -> list[str]:
    """files: the texts of sources, by their paths, without what is said in them."""
    at: dict[str, set[str]] = defaultdict(set)
    for path, text in files.items():
        for name in STATIC.findall(text):
            at[name].add(path)
    found = []
    for name, paths in sorted(at.items()):
        where = " and ".join(sorted(paths))
        if len(paths) > 1:
            found.append(f"{where} have a static function {name} each: put each module's noun before it")
        elif "_" not in name:
            found.append(f"{where} has a static function {name}: put the module's noun before it")
    return found


def moments(files: Files) -> list[str]:
    found = []
    for path, text in sorted(files.items()):
        names = {name for name in OF_THE_CLOCK.findall(text) if not MOMENT.search(name)}
        names |= set(WORD_OF_A_MOMENT.findall(text)) - set(DURATIONS)
        found += [f"{path} has the moment {name}: a moment ends in _at_ms, and a duration in _ms" for name in sorted(names)]
    return found


def sizes(files: Files) -> list[str]:
    found = []
    at: dict[str, list[str]] = defaultdict(list)
    for path, text in sorted(files.items()):
        for name in DEFINED.findall(text):
            at[name].append(path)
        found += [f"{path} defines {name}: a size ends in _SIZE, and counts the NUL" for name in LENGTH.findall(text)]
        for size in TEXT.findall(text):
            names = [name for name in LIMIT.findall(size) if name not in NO_LIMITS]
            found += [f"{path} has a text of {name}: a size ends in _SIZE, and counts the NUL" for name in names]
    for name, paths in sorted(at.items()):
        if len(paths) > 1:
            found.append(f"{' and '.join(paths)} define {name}: what both need stands in src/core/sizes.h")
    return found


def complaints(files: Files) -> list[str]:
    """files: as they are."""
    bare = {path: SAID.sub(lambda said: re.sub(r"[^\n]", " ", said[0]), text) for path, text in files.items()}
    product = {path: text for path, text in bare.items() if not path.startswith(TESTS)}
    return statics(product) + moments(bare) + sizes(product)


def main() -> int:
    paths = [TREE / "fawkes_ha.c", *(TREE / "src").rglob("*.[ch]")]
    found = complaints({str(path.relative_to(TREE)): path.read_text() for path in paths})
    print("".join(f"{line}\n" for line in found), end="")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
