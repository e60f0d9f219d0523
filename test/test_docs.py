"""The reference says what the product does: no more, and no less.

Each comparison is a function of a document's text that returns the differences, so that
its negative control is the same function over a changed copy of the document.
"""

import http.client
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import settings_table

from lab import documents, programs
from lab.documents import REFERENCE, TREE, both_ways, changed, fawkes_ha, read, rows, section, shown_options
from lab.documents import spans, sqlstates, table, usages
from lab.node import Node
from lab.wait import until

UNITS = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
TYPES = {"timestamp with time zone": "timestamptz"}


def controls(*changes: tuple[str, str]) -> pytest.MarkDecorator:
    """Changed copies of the document: `before` is replaced by `after`, and a difference must be found."""
    return pytest.mark.parametrize(("before", "after"), changes)


# --- settings


def amount(text: str, plain: str = "") -> int:
    """In the smallest unit, ms or bytes; `plain` is the unit of a number that has none."""
    found = re.fullmatch(r"(\d+) ?([a-zA-Z]*)", text)
    if found is None:
        raise ValueError(f"{text!r} is no amount")
    unit = found[2] or plain
    return int(found[1]) * (UNITS[unit] if unit else 1)


def settings_differences(text: str, node: Node) -> list[str]:
    real = {
        row[0].removeprefix("fawkes_ha."): row[1:]
        for row in rows(
            node,
            "SELECT name, context, vartype, unit, boot_val, min_val, max_val FROM pg_settings"
            " WHERE name LIKE 'fawkes\\_ha.%'",
        )
    }
    documented = {
        spans(row[0])[0]: row[1:] for row in table(section(text, "Settings"), "setting (`fawkes_ha.`)") if row[0]
    }
    found = both_ways("setting", set(documented), set(real))
    for name in sorted(set(documented) & set(real)):
        (default, reach, context, _), (pg_context, kind, unit, boot, least, most) = documented[name], real[name]
        said = spans(default)[0] if spans(default) else {"empty": ""}[default]
        limits = spans(reach)
        if {"start": "postmaster", "reload": "sighup"}[context] != pg_context:
            found.append(f"{name}: context {context}, not {pg_context}")
        if kind == "integer":
            said_numbers = [amount(said), *(amount(limit, unit) for limit in limits[:2])]
            true_numbers = [amount(value, unit) for value in (boot, least, most)]
            if said_numbers != true_numbers:
                found.append(f"{name}: default and range {said_numbers}, not {true_numbers}")
        elif said != boot:
            found.append(f"{name}: default {said!r}, not {boot!r}")
        if kind == "bool" and limits != ["on", "off"]:
            found.append(f"{name}: a boolean, not {reach}")
        if kind == "string" and limits and re.fullmatch(r"`[a-z]+(:MEMBER)?`(, `[a-z]+(:MEMBER)?`)*", reach):
            words = [*limits, "perhaps", "perhaps:MEMBER"]
            accepted = [word for word in words if library_accepts(node, name, word.replace("MEMBER", "n1"))]
            if accepted != limits:
                found.append(f"{name}: of {limits} and perhaps, {accepted} are accepted")
        if limit := re.match(r"1 to (\d+) of", reach):
            most = int(limit[1])
            lengths = [size for size in (1, most, most + 1) if library_accepts(node, name, "n" * size)]
            if lengths != [1, most]:
                found.append(f"{name}: of the documented limits, only {lengths} characters are accepted")
    return found


def library_accepts(node: Node, name: str, value: str) -> bool:
    """Does `fawkes-ha` read the setting from a file without complaining of it?"""
    state = node.directory / "settings"
    state.mkdir(exist_ok=True, mode=0o700)
    (state / "fawkes_ha.conf").write_text(f"fawkes_ha.{name} = '{value}'\n")
    return f"fawkes_ha.{name}" not in fawkes_ha("status", "--state", state).stderr


def test_the_table_of_settings_is_current() -> None:
    text = read(REFERENCE)
    assert settings_table.with_table(text) == text, "make reference"
    older = changed(REFERENCE, "| `fenced_reads` | `off` |", "| `fenced_reads` | `on` |")
    assert settings_table.with_table(older) == text


def managed_differences(text: str) -> list[str]:
    """PostgreSQL's own settings that ALTER SYSTEM refuses."""
    said = next(row[1] for row in table(text, "SQLSTATE") if row[0] == "55P02")
    documented = {name for name in spans(said) if not name.startswith("fawkes_ha")} - {"synchronous_standby_names"}
    servers = [one for one in settings_table.settings() if not one.meaning]
    real = {one.name for one in servers if one.traits & {"FHA_MANAGED", "FHA_NOT_ALTERED"}}
    return both_ways("managed setting", documented, real)


def test_managed_settings() -> None:
    assert managed_differences(read(REFERENCE)) == []
    assert managed_differences(changed(REFERENCE, "`promote_trigger_file`, `recovery_target*`,", "")) != []


def test_settings(node: Node) -> None:
    assert settings_differences(read(REFERENCE), node) == []


@controls(
    ("| `fenced_reads` |", "| `fenced_writes` |"),
    ("| `lease_duration` | `3s`;", "| `lease_duration` | `4s`;"),
    ("`500ms` to `10min`", "`500ms` to `11min`"),
    ("`0kB` to `1TB`", "`0kB` to `2TB`"),
    ("`initdb:MEMBER`, `none` | start |", "`initdb:MEMBER`, `none`, `restore` | start |"),
    ("`initdb:MEMBER`, `none` | start |", "`initdb:MEMBER`, `none` | reload |"),
    ("1 to 40 of", "1 to 41 of"),
    ("| `off` | `on`, `off` |", "| `on` | `on`, `off` |"),
)
def test_settings_control(node: Node, before: str, after: str) -> None:
    assert settings_differences(changed(REFERENCE, before, after), node) != []


# --- SQL


def written_arguments(text: str) -> str:
    """pg_get_function_arguments() as the reference writes it."""
    return re.sub(r"::\w+(\[\])?", "", text).replace(" DEFAULT ", " = ")


def functions_differences(text: str, node: Node) -> list[str]:
    sql = section(text, "SQL")
    # A request changes something, and says in a text what.
    real = {
        f"{name}({written_arguments(arguments)})" if result == "request" else f"{name}()": result
        for name, arguments, result in rows(
            node,
            "SELECT proname, pg_get_function_arguments(oid),"
            " CASE WHEN provolatile = 'v' AND prorettype = 'text'::regtype THEN 'request'"
            " ELSE pg_get_function_result(oid) END"
            " FROM pg_proc WHERE pronamespace = 'fawkes_ha'::regnamespace",
        )
    }
    requests = {
        span for head, *body in documents.tables(sql) if head[0] == "request" for row in body for span in spans(row[0])
    }
    readers = {span for row in table(sql, "function") for span in spans(row[0])}
    return (
        both_ways("request", requests, {name for name, result in real.items() if result == "request"})
        + both_ways("function", readers, {name for name, result in real.items() if result != "request"})
        + [
            f"{name} returns {real[name]}"
            for row in table(sql, "function")
            for name in spans(row[0])
            if name in real and row[1].startswith("`jsonb`") != (real[name] == "jsonb")
        ]
    )


def columns_differences(text: str, node: Node) -> list[str]:
    """Of the views, and of the functions that return a row."""
    real: dict[str, list[tuple[str, str]]] = {}
    for name, column, kind in rows(
        node,
        """
        SELECT relname, attname, format_type(atttypid, NULL) FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid
        WHERE relnamespace = 'fawkes_ha'::regnamespace AND relkind = 'v' AND attnum > 0 ORDER BY relname, attnum""",
    ) + rows(
        node,
        """
        SELECT proname || '()', a.name, format_type(a.type, NULL)
        FROM pg_proc, unnest(proargnames, proallargtypes) WITH ORDINALITY AS a(name, type, number)
        WHERE pronamespace = 'fawkes_ha'::regnamespace AND proallargtypes IS NOT NULL ORDER BY proname, a.number""",
    ):
        real.setdefault(name, []).append((column, TYPES.get(kind, kind)))
    documented: dict[str, list[tuple[str, str]]] = {}
    for head, *body in documents.tables(section(text, "SQL")):
        if head[1] != "type":
            continue
        columns = []
        for names, types, _ in body:
            kinds = types.split(", ")
            columns += zip(spans(names), kinds if len(kinds) > 1 else kinds * len(spans(names)), strict=True)
        documented |= {name: columns for name in spans(head[0])}
    # The function rules() is documented as the rows of its view, without their ids.
    if [*real.get("rules()", []), ("id", "text")] == real.get("rules"):
        real.pop("rules()", None)
    return both_ways("view or row", set(documented), set(real)) + [
        f"{name}: {documented[name]}, not {real[name]}"
        for name in sorted(set(documented) & set(real))
        if documented[name] != real[name]
    ]


def test_functions_and_views(node: Node) -> None:
    assert functions_differences(read(REFERENCE), node) == []
    assert columns_differences(read(REFERENCE), node) == []


@controls(
    ("`switchover(target text = NULL, wait", "`switchover(target text, wait"),
    ("wait_seconds integer = 3600", "wait_seconds integer = 360"),
    ("dry_run boolean = false, force", "force boolean = false, dry_run"),
    ("| `snapshot()` | `jsonb`", "| `snapshot()` | `json`"),
    ("| `rules()` |", "| `tables()` |"),
)
def test_functions_control(node: Node, before: str, after: str) -> None:
    assert functions_differences(changed(REFERENCE, before, after), node) != []


@controls(
    ("| `lag_bytes` | numeric |", "| `lag_bytes` | bigint |"),
    ("| `following` | text |", "| `follows` | text |"),
    ("| `term`, `timeline` | bigint | of", "| `term` | bigint | of"),
    ("| `fence()` | type | |", "| `fences()` | type | |"),
)
def test_columns_control(node: Node, before: str, after: str) -> None:
    assert columns_differences(changed(REFERENCE, before, after), node) != []


# --- the command


def command_differences(text: str) -> list[str]:
    real = usages()
    named = [span for row in table(section(text, "The command"), "command") for span in spans(row[0])]
    found = both_ways("command", {span.split()[0] for span in named}, set(real) | {"help", "version"})
    for span in named:
        name, *operand = span.split()
        if operand and not re.search(rf"(^| ){re.escape(operand[0])}( |$)", real.get(name, "")):
            found.append(f"{name} takes no {operand[0]} in its usage: {real.get(name)}")
    return found


def options_differences(text: str) -> list[str]:
    real = usages()
    long = re.findall(r"^\s+\{\"([a-z-]+)\", '.', (?:true|false)", read("src/cli/main.c"), re.MULTILINE)
    found = []
    documented: set[str] = set()
    for option, of, _ in table(section(text, "The command"), "option"):
        here = {word for span in spans(option) for word in span.split() if word.startswith("-")}
        documented |= here
        for name in sorted(here):
            value = [] if name in ("--force", "--dry-run", "--ask") else [default_value(name)]
            if "option" in fawkes_ha("rules", name, *value).stderr:
                found.append(f"the command does not know {name}")
        if of.startswith(("all", "what")):
            continue
        show = {name for name, usage in real.items() if shown_options(usage) & here}
        found += both_ways(f"{option} of a command", set(spans(of)), show)
    known = {f"--{name}" for name in long if name != "help"} | {"-D", "-o", "-c"}
    found += both_ways("option", documented, known)
    found += [f"--help shows {name}" for usage in real.values() for name in sorted(shown_options(usage) - documented)]
    return found


def default_value(option: str) -> str:
    return {"--wait": "1", "--to": "n2", "--output": "json", "-o": "json", "-D": "/", "--pgdata": "/"}.get(option, "x")


def test_commands_and_options() -> None:
    assert command_differences(read(REFERENCE)) == []
    assert options_differences(read(REFERENCE)) == []


@controls(
    ("| `rules` | print", "| `rule` | print"),
    ("| `reinit MEMBER`,", "| `reinit MEMBER`, `promote`,"),
    ("| `restart [MEMBER]` |", "| `restart [NODE]` |"),
)
def test_commands_control(before: str, after: str) -> None:
    assert command_differences(changed(REFERENCE, before, after)) != []


@controls(
    ("| `--force` |", "| `--fast` |"),
    ("| `-D`, `--pgdata DATA` |", "| `-D DATA` |"),
    ("| `--to MEMBER` | `switchover`, `failover` |", "| `--to MEMBER` | `switchover` |"),
    ("| `run`, `rejoin`, `set`, `restore` |", "| `run`, `rejoin`, `set`, `status` |"),
)
def test_options_control(before: str, after: str) -> None:
    assert options_differences(changed(REFERENCE, before, after)) != []


def exit_differences(text: str, statuses: set[int]) -> list[str]:
    documented = {int(row[0]) for row in table(section(text, "The command"), "exit status")}
    in_code = {int(value) for value in re.findall(r"\bCLI_\w+ = (\d+)", read("src/cli/cli.h"))}
    return both_ways("exit status", documented, in_code) + both_ways("exit status in a real run", documented, statuses)


@pytest.fixture(scope="module")
def exits(node: Node) -> dict[int, str]:
    """What the command really ends with, and the text that says why."""
    lapsed = node.directory / "lapsed"
    lapsed.mkdir(mode=0o700)
    newest = max((node.directory / "lock").glob("documented.[0-9]*"))
    record = json.loads(newest.read_text())
    (lapsed / newest.name).write_text(json.dumps({**record, "renewed_at": "2001-01-01T00:00:00.000Z"}))
    runs = [
        node.command("status"),
        fawkes_ha("status", "--lock", f"dir:{lapsed}", "--cluster", "documented"),
        fawkes_ha("switch"),
        fawkes_ha("status", "--lock", f"dir:{node.directory}/nowhere", "--cluster", "documented"),
        node.command("switchover", "--to", "n9"),
    ]
    return {run.returncode: run.stdout + run.stderr for run in runs}


def test_exit_statuses(exits: dict[int, str]) -> None:
    assert exit_differences(read(REFERENCE), set(exits)) == []
    assert "held by n1" in exits[0]
    assert "LAPSED" in exits[1]
    assert "there is no command" in exits[2]
    assert "could not open the lock directory" in exits[3]
    assert "there is no member" in exits[4]


@controls(("| 4 | the cluster refused", "| 5 | the cluster refused"), ("| 0 | done |\n", ""))
def test_exit_statuses_control(exits: dict[int, str], before: str, after: str) -> None:
    assert exit_differences(changed(REFERENCE, before, after), set(exits)) != []


# --- errors, files, targets


def sqlstate_differences(text: str) -> list[str]:
    include = Path(programs.must_run("pg_config", "--includedir-server").strip())
    codes = documents.error_codes((include / "utils" / "errcodes.h").read_text())
    sources = " ".join(documents.without_comments(path.read_text()) for path in documents.c_files())
    raised = {codes[name] for name in re.findall(r"\bERRCODE_\w+", sources)} - {"00000"}
    scripts = " ".join(path.read_text() for path in sorted((documents.TREE / "sql").glob("*/*.sql")))
    raised |= {codes[f"ERRCODE_{name.upper()}"] for name in re.findall(r"\bERRCODE = '(\w+)'", scripts)}
    if "PROCSIG_RECOVERY_CONFLICT" in sources:
        raised.add("40001")  # PostgreSQL's word to the reader that the agent cancels
    return both_ways("SQLSTATE", sqlstates(text), raised)


def test_sqlstates() -> None:
    assert sqlstate_differences(read(REFERENCE)) == []


@controls(("| 55006 |", "| 55007 |"), ("has 08006 |", "has it |"), ("| 57P03 |", "| 57P03, 3D000 |"))
def test_sqlstates_control(before: str, after: str) -> None:
    assert sqlstate_differences(changed(REFERENCE, before, after)) != []


def files_differences(text: str, node: Node) -> list[str]:
    # Without those of a write that is under way.
    there = {path.name for path in node.state.iterdir() if not re.search(r"\.new\.[0-9]+$", path.name)}
    in_code = set(re.findall(r'fha_state_path\([^,]+, "([^"]+)"', " ".join(p.read_text() for p in documents.c_files())))
    documented = {
        span.rstrip("/")
        for row in table(section(text, "Files of the state directory"), "file")
        for span in spans(row[0])
    }
    # The only one whose name is not known beforehand.
    named = {name for name in documented if not name.startswith("wal-past-fork-")}
    assert any(c.startswith("wal-past-fork-") for s in documents.own_sentences() for c in s.split("/"))
    return both_ways("file", named, there | in_code) + (
        [] if named != documented else ["wal-past-fork-TIMELINE-LSN is not documented"]
    )


def test_files_of_the_state_directory(node: Node) -> None:
    node.command("set", "work_mem=5MB")
    until("cluster.conf is written", (node.state / "cluster.conf").exists, 30)
    assert files_differences(read(REFERENCE), node) == []


@controls(("| `node.json` |", "| `state.json` |"), ("| `promoting` |", "| `promoting`, `demoting` |"))
def test_files_control(node: Node, before: str, after: str) -> None:
    assert files_differences(changed(REFERENCE, before, after), node) != []


def paths_differences(text: str, node: Node) -> list[str]:
    """Of the listener: what it answers to GET, and what its sources have."""
    documented = {
        span.removeprefix("POST ").split("?")[0]
        for row in table(section(text, "HTTP"), "path")
        for span in spans(row[0])
    }
    sources = [path.read_text() for path in documents.c_files() if path.parent.name in ("http", "peer", "show")]
    in_code = set(re.findall(r'"(/[a-z-]+)"', " ".join(sources)))
    answers = {path: http_status(node, path) for path in documented}
    found = [f"{path} is answered with {status}" for path, status in answers.items() if status not in (200, 405, 503)]
    return found + both_ways("path", documented, in_code)


def http_status(node: Node, path: str) -> int:
    connection = http.client.HTTPConnection(node.settings["fawkes_ha.listen"], timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def test_paths(node: Node) -> None:
    assert paths_differences(read(REFERENCE), node) == []


@controls(("| `/healthz`, `/livez` |", "| `/livez` |"), ("| `/replica` |", "| `/replica`, `/standby` |"))
def test_paths_control(node: Node, before: str, after: str) -> None:
    assert paths_differences(changed(REFERENCE, before, after), node) != []


# The default target, steps of `install` and `uninstall`, and what notes for which server the tree was built.
INTERNAL_TARGETS = {"unit-commands", "all", "build-for", "install-control", "uninstall-control", "help"}


def targets_differences(help_text: str) -> list[str]:
    parts = ("Makefile", "src/test/targets.mk", "src/test/robustness.mk", "src/test/sim.mk")
    real = documents.make_targets(*map(read, parts)) - INTERNAL_TARGETS
    listed: set[str] = set()
    for line in help_text.splitlines():
        found = re.match(r"make ((?:[a-z][a-z0-9-]*, )*[a-z][a-z0-9-]*)(?:  |$)", line)
        listed.update(found[1].split(", ") if found else [])
    return both_ways("target", listed, real)


# --- the version: it stands in fawkes_ha.control, and everything else says the same

# The first of each is the newest.
VERSION_IN = {"CHANGELOG.md": r"^## (.*)$", "README.md": r"^\| Status \| .*?version ([0-9.]+) ", "SECURITY.md": r"^\| ([0-9.]+) \| yes",
              "debian/changelog": r"^fawkes-ha \(([0-9.]+)\) "}


def version_differences(document: str, text: str) -> list[str]:
    version = programs.version()
    if document == "META.json":
        # PGXN wants three numbers.
        version = ".".join([*version.split("."), "0", "0"][:3])
        meta = json.loads(text)
        said = {meta["version"], meta["provides"]["fawkes_ha"]["version"]}
    else:
        said = set(re.findall(VERSION_IN[document], text, re.MULTILINE)[:1])
    return [] if said == {version} else [f"{document}: version {said}, not {version}"]


@pytest.mark.parametrize("document", ("META.json", *VERSION_IN))
def test_the_version(document: str) -> None:
    text = read(document)
    assert version_differences(document, text) == []
    assert version_differences(document, text.replace(programs.version(), "9.9", 1)) != []


def test_the_version_of_what_is_installed() -> None:
    assert fawkes_ha("--version").stdout == f"fawkes-ha {programs.version()}\n"
    control = Path(programs.must_run("pg_config", "--sharedir").strip()) / "extension" / "fawkes_ha.control"
    assert control.read_text() == read("fawkes_ha.control")


def test_what_pgxn_is_told() -> None:
    provided = json.loads(read("META.json"))["provides"]["fawkes_ha"]
    assert (TREE / provided["file"]).exists() and (TREE / provided["docfile"]).exists()


# --- the unit for systemd


def test_the_unit_for_systemd() -> None:
    """It leaves the stop to `fawkes-ha run`, and waits for as long as that may take."""
    unit = TREE / "deploy" / "systemd" / "fawkes-ha@.service"
    lines = [line.partition("=") for line in unit.read_text().splitlines() if "=" in line and line[0] != "#"]
    values = {name: value for name, _, value in lines}
    settings = {spans(row[0])[0]: row[1] for row in table(section(read(REFERENCE), "Settings"), "setting (`fawkes_ha.`)")}
    shutdown_s = amount(spans(settings["shutdown_timeout"])[0]) / 1000
    assert values["KillMode"] == "mixed" and values["Type"] == "exec" and values["Restart"] == "always"
    assert int(values["TimeoutStopSec"]) > 2 * shutdown_s
    if shutil.which("systemd-analyze"):
        done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
        assert "fawkes-ha@" not in done.stderr, done.stderr


def test_make_help() -> None:
    done = subprocess.run(
        ["make", "-s", "-C", documents.TREE, f"PG_CONFIG={programs.bindir() / 'pg_config'}", "help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert targets_differences(done.stdout) == []
    assert targets_differences(done.stdout.replace("check-layers, ", "")) != []
    assert targets_differences(done.stdout + "make coffee          a cup\n") != []


# --- sources that documents name


def sources_differences(text: str) -> list[str]:
    """Files of C that the document names and that are in no room."""
    names = {name.replace("NAME", "*") for name in re.findall(r"`([\w/*-]+\.[ch])`", text)}
    return [
        f"there is no {name}"
        for name in sorted(names)
        if not any(TREE.glob(name)) and not any((TREE / "src").rglob(name))
    ]


@pytest.mark.parametrize("document", ("docs/design.md", "docs/testing.md", "docs/security.md", "src/README.md"))
def test_sources(document: str) -> None:
    assert sources_differences(read(document)) == []


@controls(("`node/promise_file.c`", "`node/bond.c`"), ("`pg/drain.c`", "`pg/drained.c`"))
def test_sources_control(before: str, after: str) -> None:
    assert sources_differences(changed("docs/design.md", before, after)) != []


# --- the glossary


def glossary_differences(text: str) -> list[str]:
    """Rows that name no code that there is, and terms that are out of order."""
    entries = table(section(text, "Glossary"), "term")
    names = [term for term, _, _ in entries]
    found = [] if names == sorted(names, key=str.lower) else [f"out of order: {names}"]
    sources = "".join(path.read_text() for path in sorted((TREE / "src").rglob("*.[ch]")))
    for term, _, code in entries:
        for span in spans(code):
            if not ((TREE / span).is_file() if "/" in span else re.search(rf"\b{span}\b", sources)):
                found.append(f"{term}: there is no {span}")
        if not spans(code):
            found.append(f"{term}: names no code")
    return found


def test_glossary() -> None:
    assert glossary_differences(read("docs/design.md")) == []


@controls(("`FhaRequest` |", "`FhaOrder` |"), ("`src/pg/fence.c` |", "`src/pg/fences.c` |"), ("| agent |", "| zebra |"))
def test_glossary_control(before: str, after: str) -> None:
    assert glossary_differences(changed("docs/design.md", before, after)) != []
