"""Each line that fawkes_ha logs has a level, an id and a sentence, and an id belongs to one sentence."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import layers
import pytest
from test_sentences import STRING, TABLE, sources, strings

from lab.node import Node
from lab.wait import until

# Calls that log, and the place of the id among their arguments.
LOGS = {"report_line": 0, "fha_report_as": 0, "supervisor_say": 1, "supervisor_warn": 1, "rejoin_say": 0, "rejoin_fail": 0,
        "node_news": 1}  # fmt: skip
# The id of a rule stands before its sentence.
GIVEN = {"node->rule->id"}
# A warning that answers a client, what has its id already, and errors, which have an SQLSTATE.
EXEMPT = {
    ("src/pg/sql_requests.c", 'errmsg("%s", warning)'),
    ("src/pg/agent.c", 'errmsg("%s", news)'),
    ("src/pg/report.c", 'errmsg(FHA_LOG_ID_FORMAT "%s", id, error->text)'),
    ("src/pg/report.c", 'errmsg("%s", error->text)'),
}
ID = r"[a-z]+(?:_[a-z]+)*"
LONGEST = 40

SUPERVISOR = re.compile(rf"\d{{4}}-\d\d-\d\dT[\d:.]+Z \[(?P<who>[^]]*)\] (?P<level>LOG|WARNING):  \[(?P<id>{ID})\] \S.*")
EXTENSION = re.compile(rf"\d{{4}}-\d\d-\d\d [\d:.]+ \w+ \[\d+\] (?P<level>LOG|WARNING):  \[(?P<id>{ID})\] \S.*")


@dataclass(frozen=True)
class Call:
    path: str
    name: str
    arguments: list[str]

    def __str__(self) -> str:
        return f"{self.path}: {self.name}({', '.join(self.arguments)})"


def without_comments(text: str) -> str:
    return re.sub(r"/\*.*?\*/|^#define .*?(?<!\\)$", "", text, flags=re.DOTALL | re.MULTILINE)


def calls(path: str, text: str, name: str) -> Iterator[Call]:
    """Those of a function or macro; a declaration and a definition are none."""
    text = without_comments(text)
    for found in re.finditer(rf"(?<!^)(?<!void )(?<!int )\b{name}\(", text, re.MULTILINE):
        arguments, depth, at = [""], 1, found.end()
        while depth > 0:
            quoted = re.compile(STRING).match(text, at)
            piece = quoted[0] if quoted else text[at]
            depth += {"(": 1, ")": -1}.get(piece, 0)
            if piece == "," and depth == 1:
                arguments.append("")
            elif depth > 0:
                arguments[-1] += piece
            at += len(piece)
        yield Call(path, name, [" ".join(one.split()) for one in arguments])


def unmarked(files: dict[str, str]) -> list[str]:
    """Lines of PostgreSQL's log that have no id: what else ereport() is given is an answer."""
    found = []
    for path, text in files.items():
        for call in calls(path, text, "ereport"):
            level, rest = call.arguments[0], ", ".join(call.arguments[1:])
            exempt = any(path == place and text in rest for place, text in EXEMPT)
            if level not in ("ERROR", "FATAL") and "report_line(" not in rest and not exempt:
                found.append(str(call))
        found += [str(call) for call in calls(path, text, "elog") if call.arguments[0] not in ("ERROR", "FATAL", "PANIC")]
    return found


def sentences_by_id(files: dict[str, str]) -> tuple[dict[str, set[str]], list[str]]:
    """Of all calls that log; and the calls whose id is no text."""
    found: dict[str, set[str]] = defaultdict(set)
    bad = []
    for path, text in files.items():
        for name, place in LOGS.items():
            for call in calls(path, text, name):
                given = call.arguments[place]
                if given in GIVEN:
                    continue
                if re.fullmatch(f'"{ID}"', given) is None or len(given) > LONGEST + 2:
                    bad.append(str(call))
                    continue
                said = "".join(strings(call.arguments[place + 1]))
                # What begins with an error's words is worded elsewhere.
                found[given[1:-1]] |= {said} if said and not said.startswith("%s") else set()
    return found, bad


def complaints(files: dict[str, str]) -> list[str]:
    found, bad = sentences_by_id(files)
    rules = set(re.findall(rf'"({ID})"', files[TABLE]))
    return (
        [f"without an id: {call}" for call in unmarked(files)]
        + [f"no id: {call}" for call in bad]
        + [f"{name} is of {len(said)} sentences: {sorted(said)}" for name, said in found.items() if len(said) > 1]
        + [f"{name} is a rule's" for name in sorted(rules & found.keys())]
    )


def all_sources() -> dict[str, str]:
    return {**sources(), "fawkes_ha.c": Path(layers.TREE, "fawkes_ha.c").read_text()}


def test_every_line_has_an_id_of_its_own() -> None:
    files = all_sources()
    assert complaints(files) == []
    assert len(sentences_by_id(files)[0]) > 130


@pytest.mark.parametrize(
    ("path", "before", "after", "said"),
    (
        ("src/pg/evict.c", 'report_line("sessions_ended", ', "errmsg(", "without an id"),
        ("src/pg/evict.c", '"sessions_ended"', '"database_made"', "is of 2 sentences"),
        ("src/pg/agent.c", '"follows_leader"', '"leads"', "is a rule's"),
        ("src/cli/supervisor_stop.c", '"server_stops"', '"Server stops"', "no id"),
        ("src/node/keep.c", '"copy_not_kept"', "err.text", "no id"),
    ),
)
def test_every_line_control(path: str, before: str, after: str, said: str) -> None:
    files = all_sources()
    assert files[path].count(before) == 1
    files[path] = files[path].replace(before, after)
    assert [one for one in complaints(files) if said in one]


def test_lines_of_a_real_log(node: Node) -> None:
    """The supervisor's, its jobs' and the extension's."""
    node.wait_for_log("[leads]", 30)
    since = node.log.stat().st_size
    node.stop()
    node.start()
    until("it leads again", lambda: "[leads]" in node.log.read_text(errors="replace")[since:], 60)
    lines = node.log.read_text(errors="replace").splitlines()
    own = [line for line in lines if re.match(r"\S+Z \[n1\] ", line)]
    assert [line for line in own if SUPERVISOR.fullmatch(line) is None] == []
    assert {SUPERVISOR.fullmatch(line)["id"] for line in own} >= {
        "supervisor_begins", "initdb_begins", "initdb_done", "server_started", "told_to_stop", "supervisor_ends",
    }  # fmt: skip
    assert [line for line in lines if line.startswith("fawkes-ha:")] == []
    found = {shape["id"] for line in lines if (shape := EXTENSION.fullmatch(line))}
    assert found >= {"leads", "replication_role_ready", "extension_made"}
