"""The words of the documents: sentences that the product says, commands and names that exist, one promise."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lab import documents, programs
from lab.component import binary
from lab.documents import OPERATIONS, REFERENCE, changed, fawkes_ha, read, rows, section, shown_options, spans, table
from lab.documents import usages
from lab.node import Node

# What a person types that is no program here: these run where the reader is.
SHELL_WORDS = {"cd", "kubectl", "systemctl", "journalctl"}


# --- sentences and commands in the documents


@pytest.fixture(scope="module")
def said() -> tuple[list[str], str]:
    """What our sources can say, and what PostgreSQL's programs can."""
    bindir = programs.bindir()
    theirs = [bindir / name for name in ("postgres", "pg_rewind", "pg_basebackup", "pg_waldump")]
    return documents.own_sentences(), documents.programs_sentences([*theirs, libpq()])


def libpq() -> Path:
    return Path(programs.must_run("pg_config", "--libdir").strip()) / "libpq.so.5"


def is_said(sentence: str, said: tuple[list[str], str]) -> bool:
    return any(sentence in literal for literal in said[0]) or sentence in said[1]


def is_known(word: str, known_words: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", known_words) is not None


def operations_differences(text: str, said: tuple[list[str], str], known_words: str) -> list[str]:
    """Every `span` with a blank is a command, a setting with its value, or a sentence that can be met."""
    found = []
    for quote in documents.quotes(text):
        if " " not in quote.text:
            ok = is_known(quote.text.removesuffix("()"), known_words)
        elif quote.text.split()[0] in ("fawkes-ha", "SELECT"):
            continue  # other tests look at them
        elif setting := re.match(r"(\S+) = ", quote.text):
            ok = is_known(setting[1], known_words)
        else:
            ok = is_said(quote.text, said)
        if not ok:
            found.append(f"{OPERATIONS}:{quote.line}: nothing says or is called {quote.text!r}")
    return found


@pytest.fixture(scope="module")
def known_words(node: Node) -> str:
    """Everything that is a name of something, as one text."""
    names = rows(
        node,
        "SELECT name FROM pg_settings UNION SELECT relname FROM pg_class UNION SELECT proname FROM pg_proc"
        " UNION SELECT attname FROM pg_attribute",
    )
    ours = [path.read_text() for path in documents.c_files()] + [read(REFERENCE), *documents.own_sentences()]
    programs_there = [path.name for path in programs.bindir().iterdir()]
    parameters = re.findall(r"\b[a-z]+_[a-z_]+\b", documents.programs_sentences([libpq()]))
    return "\n".join([*(str(name) for (name,) in names), *ours, *programs_there, *parameters])


def test_sentences_of_operations(said: tuple[list[str], str], known_words: str) -> None:
    assert "\n".join(operations_differences(read(OPERATIONS), said, known_words)) == ""


@pytest.mark.parametrize(("before", "after"), (
    ("would lose more than allowed", "would lose more than is allowed"),
    ("closing a connection without a reply", "closing a connection without an answer"),
    ("LAPSED: not renewed for ... s", "LAPSED: not renewed since ... s"),
    ("`pending_restart`", "`pending_restarts`"),
))
def test_sentences_control(said: tuple[list[str], str], known_words: str, before: str, after: str) -> None:
    assert operations_differences(changed(OPERATIONS, before, after), said, known_words) != []


def test_sqlstates_of_operations() -> None:
    known = documents.sqlstates(read(REFERENCE))
    spoken = {quote.text for quote in documents.quotes(read(OPERATIONS)) if re.fullmatch(r"[0-9A-Z]{5}", quote.text)}
    assert {code for code in spoken if re.search(r"\d", code)} <= known


def command_lines(name: str) -> list[documents.Quote]:
    text = read(name)
    inline = [quote for quote in documents.quotes(text) if quote.text.startswith("fawkes-ha ")]
    return inline + [line for kind in ("", "sh") for line in documents.commands(text, kind) if "fawkes-ha" in line.text]


def command_complaint(command: str) -> str | None:
    """Ask the command itself: it parses everything that stands before --help."""
    words = documents.words(command)
    if words[0] != "fawkes-ha" or len(words) < 2 or words[1] in ("help", "version", "--help", "--version", "COMMAND"):
        return None
    done = fawkes_ha(*words[1:], "--help")
    if done.returncode != 0:
        return done.stderr
    usage = usages()[words[1]]
    missing = shown_options(" ".join(words[2:])) - shown_options(usage) - {"-D", "--state", "--lock", "--cluster"}
    return f"{words[1]} does not take {sorted(missing)}" if missing else None


@pytest.mark.parametrize("name", documents.EVERY)
def test_commands_in_documents(name: str) -> None:
    complaints = {f"{name}:{line.line}: {line.text}": command_complaint(line.text) for line in command_lines(name)}
    assert {command: said for command, said in complaints.items() if said} == {}


def test_commands_in_documents_control() -> None:
    assert command_complaint("fawkes-ha status -D DATA -o json") is None
    assert command_complaint("fawkes-ha states -D DATA") is not None
    assert command_complaint("fawkes-ha status -D DATA --verbose") is not None
    assert command_complaint("fawkes-ha status -D DATA --force") is not None
    assert command_complaint("fawkes-ha restart -D DATA --wait soon") is not None


def make_says(*words: object) -> subprocess.CompletedProcess:
    """What make would do in this tree."""
    return subprocess.run(["make", "-n", "--no-print-directory", "-C", documents.TREE, *map(str, words)], capture_output=True, text=True)


def test_make_for_another_server_builds_anew(tmp_path: Path) -> None:
    """As the README builds for several: no object of one server goes into the library of another."""
    real = programs.bindir() / "pg_config"
    other = tmp_path / "pg_config"
    other.write_text(f"#!/bin/sh\n[ \"$1\" = --version ] && exec echo 'PostgreSQL 99'\nexec '{real}' \"$@\"\n")
    other.chmod(0o755)
    assert "build-for" not in make_says(f"PG_CONFIG={real}", "all").stdout
    planned = make_says(f"PG_CONFIG={other}", "all").stdout
    assert "'PostgreSQL 99 in " in planned
    for built in ("fawkes_ha.o", "src/node/follow.o", "src/cli/rejoin.o", "libfawkes_control.so", "fawkes-ha"):
        assert f"-o {built}" in planned, built


def test_another_version_is_compiled_in() -> None:
    """Everything that says the version is built again when the control file has changed."""
    build = [f"PG_CONFIG={programs.bindir() / 'pg_config'}", "-W", "fawkes_ha.control", "all"]
    planned = make_says(*build).stdout
    says = [path for path in documents.c_files() if "FAWKES_HA_VERSION" in path.read_text()]
    assert len(says) >= 3
    for path in says:
        assert f"-o {path.relative_to(documents.TREE).with_suffix('.o')} " in planned, path


def test_make_without_a_server(tmp_path: Path) -> None:
    """Nothing is built for no server, and what is installed is uninstalled."""
    for target in ("all", "install"):
        done = make_says(f"PG_CONFIG={tmp_path}/pg_config", target)
        assert "names no PGXS: install postgresql-server-dev-NN" in done.stdout.split("\n")[0], done
    assert make_says(f"PG_CONFIG={tmp_path}/pg_config", "help").returncode == 0
    gone = make_says(f"PG_CONFIG={programs.bindir() / 'pg_config'}", "uninstall").stdout
    assert all(f"/{name}" in gone for name in ("fawkes-ha'", "libfawkes_control.so'", "fawkes_ha.so'")), gone


OPTIONS = {
    "--ask": (), "--bin": ("/b",), "--config": ("/c",), "--cluster": ("c",), "--dry-run": (), "--force": (),
    "--lock": ("dir:/l",), "--output": ("json",), "--reason": ("r",), "--to": ("n2",), "--wait": ("1",),
}


@pytest.mark.parametrize("command", ("run", "status", "history", "switchover", "failover", "pause", "resume", "restart",
                                     "reinit", "rejoin", "remove", "set", "reset", "rules"))
def test_an_option_of_another_command_is_refused(command: str) -> None:
    """Passed over, `restart --to n2` would restart all members, and `run --dry-run` would run."""
    shown = shown_options(usages()[command].replace("-o json", "--output"))
    shown |= set() if command in ("run", "rules") else {"--lock", "--cluster"}
    for option, value in OPTIONS.items():
        done = fawkes_ha(command, option, *value, "--help")
        assert done.returncode == (0 if option in shown else 2), (command, option, done.stderr)
        assert option in shown or f"fawkes-ha: {command} does not take {option}" in done.stderr


@pytest.mark.parametrize("words", (
    ("run",), ("reinit", "-D", "/none"), ("remove", "-D", "/none"), ("set", "-D", "/none"), ("reset", "-D", "/none"),
    ("status", "-D", "."), ("status", "-D", "/srv/n1/.."),
))
def test_what_is_left_out_is_asked_for(words: tuple[str, ...]) -> None:
    """Before the settings are read and the lock is asked."""
    done = fawkes_ha(*words)
    assert done.returncode == 2 and re.search(r"Give |write its path", done.stderr), done


def test_shell_and_sql_of_operations(node: Node) -> None:
    """The shell's commands exist; the statements are planned by a server, so every name in them is real."""
    text = read(OPERATIONS)
    paths = f"{programs.bindir()}:/usr/sbin:{os.environ['PATH']}"
    for line in documents.commands(text, "sh"):
        for part in re.split(r"\s[|;]\s|&&", line.text):
            word = documents.words(part)[0]
            assert word in SHELL_WORDS or shutil.which(word, path=paths), f"{OPERATIONS}:{line.line}: no {word}"
    statements = documents.commands(text, "sql")
    inline = [quote for quote in documents.quotes(text) if quote.text.startswith("SELECT ")]
    assert statements and not [line for line in statements if not line.text.endswith(";")], "one statement a line"
    for statement in statements + inline:
        with node.session() as session:
            session.query("BEGIN")
            session.query(f"EXPLAIN {statement.text}" if statement.text.startswith("SELECT") else statement.text)


def kubectl_complaint(command: str) -> str | None:
    """Ask kubectl itself: it parses everything that stands before --help."""
    words = documents.words(command)
    words = words[: words.index("--")] if "--" in words else words
    done = subprocess.run([binary(), *words, "--help"], capture_output=True, text=True, timeout=60)
    # Of a subcommand that it does not know it prints the help of all.
    if done.returncode == 0 and f"kubectl {words[1]}" not in done.stdout:
        return f"there is no kubectl {words[1]}"
    return done.stderr if done.returncode != 0 else None


@pytest.mark.kube
def test_kubectl_in_documents() -> None:
    lines = [line.text for name in documents.EVERY for line in documents.commands(read(name), "sh")]
    commands = [line for line in lines if line.startswith("kubectl ")]
    assert commands and {command: said for command in commands if (said := kubectl_complaint(command))} == {}
    assert kubectl_complaint("kubectl gets pods") is not None
    assert kubectl_complaint("kubectl get pods --labels") is not None


@pytest.mark.parametrize("name", documents.EVERY)
def test_names_and_links(name: str, node: Node) -> None:
    """Settings with our prefix exist, and so does what a link leads to."""
    text = read(name)
    names = {
        row[0]
        for row in rows(
            node,
            """
            SELECT 'fawkes_ha.' || proname FROM pg_proc WHERE pronamespace = 'fawkes_ha'::regnamespace
            UNION SELECT 'fawkes_ha.' || relname FROM pg_class WHERE relnamespace = 'fawkes_ha'::regnamespace
            UNION SELECT name FROM pg_settings""",
        )
    }
    files = {"fawkes_ha.conf", "fawkes_ha.control", "fawkes_ha.so", "fawkes_ha.c"}
    spoken = set(re.findall(r"(?<![\w./-])fawkes_ha\.[a-z_]+", text)) - files
    assert spoken - names == set()
    for target in re.findall(r"\]\(([^)#:]*)(?:#[^)]*)?\)", documents.outside_fences(text)):
        assert not target or (documents.TREE / name).parent.joinpath(target).exists(), target
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]*)\)", documents.outside_fences(text)):
        page = (documents.TREE / name).parent / target if target else documents.TREE / name
        titles = re.findall(r"^#+ (.*)$", documents.outside_fences(page.read_text()), re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
        assert anchor in anchors, f"{target}#{anchor}"


# --- the promise


def promise_differences(name: str, text: str, defaults: dict[str, str]) -> list[str]:
    """Each `setting` (VALUE) of the section has the default of the setting."""
    found = []
    numbers = re.findall(r"`(?:fawkes_ha\.)?([a-z_]+)`[^`()]*\(([0-9.]+ ?[a-zA-Z]+)[^)]*\)", text)
    for setting, value in numbers:
        if setting in defaults and value.replace(" ", "") != defaults[setting]:
            found.append(f"{name}: {setting} is {defaults[setting]} by default, not {value}")
    for setting in ("lease_duration", "renew_deadline", "max_lag_on_failover"):
        if setting not in dict(numbers):
            found.append(f"{name}: the promise does not give {setting}")
    return found


PROMISES = (("README.md", "What can be lost"), (REFERENCE, "The promise"))


def documented_defaults() -> dict[str, str]:
    return {
        spans(row[0])[0]: spans(row[1])[0]
        for row in table(read(REFERENCE), "setting (`fawkes_ha.`)")
        if spans(row[1])
    }


@pytest.mark.parametrize(("name", "title"), PROMISES)
def test_the_promise_has_the_defaults(name: str, title: str) -> None:
    text = section(read(name), title)
    assert promise_differences(name, text, documented_defaults()) == []
    for value in ("16 MB", "3 s", "2 s"):
        assert promise_differences(name, text.replace(f"({value}", "(9 s"), documented_defaults()) != [], value


