"""What the documents say, and what the sources and a running node say: for the tests that compare them."""

import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import programs
from .node import Node

TREE = Path(__file__).parent.parent.parent

REFERENCE = "docs/reference.md"
OPERATIONS = "docs/operations.md"
EVERY = (
    *("README.md", OPERATIONS, REFERENCE, "docs/metrics.md", "docs/design.md", "docs/tree.md", "CHANGELOG.md"),
    *("CONTRIBUTING.md", "SECURITY.md", "sql/README.md"),
)

# A conversion of printf stands for what is only known at run time; documents write "...".
CONVERSION = re.compile(r"%[-+ #0]*(?:\*|\d+)?(?:\.(?:\*|\d+))?(?:hh|h|ll|l|z|j|t)?[diouxXcsmp]")
LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"|\b(PRI[diouxX]\d+|SCN[a-zA-Z]\d+)\b')
SPAN = re.compile(r"`([^`]+)`")


def read(name: str) -> str:
    return (TREE / name).read_text()


# --- documents


def section(text: str, title: str) -> str:
    """From the heading with that title to the next one of its level or above."""
    found = re.search(rf"^(#+) {re.escape(title)}$", text, re.MULTILINE)
    if found is None:
        raise LookupError(f"there is no section {title!r}")
    rest = text[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", outside_fences(rest), re.MULTILINE)
    return rest[: end.start()] if end else rest


def outside_fences(text: str) -> str:
    """The text with the lines of code blocks blanked; offsets stay."""
    return re.sub(r"^```.*?^```$", lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.MULTILINE | re.DOTALL)


def tables(text: str) -> list[list[list[str]]]:
    """Each table as its rows of cells, the heading first."""
    found: list[list[list[str]]] = []
    before = ""
    for line in outside_fences(text).split("\n"):
        if line.startswith("|"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
            if not before.startswith("|"):
                found.append([])
            if set("".join(cells)) - set("-: "):
                found[-1].append(cells)
        before = line
    return found


def table(text: str, first: str) -> list[list[str]]:
    """The rows below the heading whose first cell is `first`."""
    for rows in tables(text):
        if rows[0][0] == first:
            return rows[1:]
    raise LookupError(f"there is no table that begins with {first!r}")


def spans(text: str) -> list[str]:
    return SPAN.findall(text)


def sqlstates(text: str) -> set[str]:
    """Every five characters that look like one, in the table of what clients meet."""
    cells = " ".join(" ".join(row) for row in table(text, "SQLSTATE"))
    return {code for code in re.findall(r"\b[0-9A-Z]{5}\b", cells) if re.search(r"\d", code)}


@dataclass(frozen=True)
class Quote:
    """A `span` of a document, or a line of one of its code blocks."""

    line: int
    text: str


def quotes(text: str) -> list[Quote]:
    plain = outside_fences(text)
    return [
        Quote(plain.count("\n", 0, found.start()) + 1, re.sub(r"\s+", " ", found[1])) for found in SPAN.finditer(plain)
    ]


def commands(text: str, language: str) -> list[Quote]:
    """The lines of all code blocks of that language, comments and continuations seen to."""
    found = []
    # All blocks, in their order: else the end of one is taken for the beginning of another.
    for block in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if block[1] != language:
            continue
        start = text.count("\n", 0, block.start(2)) + 1
        for number, line in enumerate(block[2].split("\n")):
            line = re.sub(r"(^|\s+)(#|--) .*$", "", line).strip()
            if line:
                found.append(Quote(start + number, line))
    return found


def words(command: str) -> list[str]:
    return shlex.split(command, comments=True)


# --- sources


def c_files() -> list[Path]:
    """The product's; those of tests lie deeper."""
    return [TREE / "fawkes_ha.c", *sorted(path for path in (TREE / "src").rglob("*.[ch]") if "test" not in path.relative_to(TREE).parts)]


def without_comments(text: str) -> str:
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)


def c_sentences(text: str) -> list[str]:
    """String literals, neighbours joined as the compiler does it, with "..." for what printf puts in."""
    found: list[str] = []
    text = re.sub(r"^\s*#\s*include.*$", "", without_comments(text), flags=re.MULTILINE)
    end = -1
    for piece in LITERAL.finditer(text):
        said = piece[1].encode().decode("unicode_escape") if piece[1] is not None else "u"
        if end >= 0 and text[end : piece.start()].strip() == "":
            found[-1] += said
        else:
            found.append(said)
        end = piece.end()
    return [shown(sentence) for sentence in found]


def shown(sentence: str) -> str:
    return CONVERSION.sub("...", sentence)


def own_sentences() -> list[str]:
    said = [sentence for path in c_files() for sentence in c_sentences(path.read_text())]
    for path in sorted((TREE / "sql").glob("*/*.sql")):
        script = re.sub(r"^\s*--.*$", "", path.read_text(), flags=re.MULTILINE)
        # What format() and RAISE put in.
        said += [re.sub("%[sIL]?", "...", one.replace("''", "'")) for one in re.findall(r"'((?:[^']|'')*)'", script)]
    return said


def programs_sentences(files: list[Path]) -> str:
    """What PostgreSQL's own programs can say, as one text."""
    return "\n".join(shown(path.read_bytes().decode("latin-1")) for path in files)


def error_codes(errcodes_h: str) -> dict[str, str]:
    """ERRCODE_... to the five characters."""
    pattern = r"#define (ERRCODE_\w+) MAKE_SQLSTATE\(([^)]*)\)"
    return {name: re.sub(r"[^0-9A-Z]", "", code) for name, code in re.findall(pattern, errcodes_h)}


def make_targets(*makefiles: str) -> set[str]:
    """Those that have a rule of their own and are no file."""
    found: set[str] = set()
    for text in makefiles:
        for names in re.findall(r"^([a-z][a-z0-9 -]*?)\s*:(?![=:])", text, re.MULTILINE):
            found.update(names.split())
    return found


# --- what is really there


def rows(node: Node, sql: str) -> list[tuple]:
    with node.session() as session:
        return session.query(sql, timeout=30)


def fawkes_ha(*words: object) -> subprocess.CompletedProcess:
    return programs.run("fawkes-ha", *words)


def both_ways(what: str, documented: set, real: set) -> list[str]:
    return [f"{what} is documented and does not exist: {name}" for name in sorted(documented - real)] + [
        f"{what} exists and is not documented: {name}" for name in sorted(real - documented)
    ]


def changed(document: str, before: str, after: str) -> str:
    text = read(document)
    assert before in text, f"{document} has no {before!r} to change"
    return text.replace(before, after, 1)


def usages() -> dict[str, str]:
    """Each command and its arguments, as `fawkes-ha --help` has them."""
    return dict(re.findall(r"^  fawkes-ha (\S+) ?(.*)$", fawkes_ha("--help").stdout, re.MULTILINE))


def shown_options(usage: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--?[a-zA-Z][a-z-]*", usage))
