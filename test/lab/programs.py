"""Where PostgreSQL's programs and ours are installed."""

import fcntl
import os
import re
import subprocess
from functools import cache
from pathlib import Path


# Instead of what is installed: the tree in which fawkes-ha and its libraries were built.
TREE = os.environ.get("FAWKES_TREE")
SOURCES = Path(__file__).parents[2]
SCRIPTS = SOURCES / "build-sql"  # what make puts together of sql/


@cache
def bindir() -> Path:
    """From $PG_CONFIG; Debian keeps each major version in a directory of its own."""
    major = os.environ.get("PG_MAJOR", "15")
    pg_config = os.environ.get("PG_CONFIG", f"/usr/lib/postgresql/{major}/bin/pg_config")
    answer = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=True)
    return Path(answer.stdout.strip())


@cache
def major() -> int:
    """The major version of that PostgreSQL."""
    return int(re.search(r"\d+", must_run("pg_config", "--version")).group())


@cache
def has_tls() -> bool:
    """Was that PostgreSQL built with TLS?"""
    return re.search(r"--with-(ssl=)?openssl", must_run("pg_config", "--configure")) is not None


def path(program: str) -> Path:
    return Path(TREE) / program if TREE and program == "fawkes-ha" else bindir() / program


def version() -> str:
    """Of this tree."""
    control = (SOURCES / "fawkes_ha.control").read_text()
    return re.search(r"^default_version = '(.*)'$", control, re.MULTILINE)[1]


def extension_steps() -> list[str]:
    """The scripts from the first version to this tree's, each from where the one before ends."""
    steps, reached = ["fawkes_ha--1.0.sql"], "1.0"
    while reached != version():
        (step,) = SCRIPTS.glob(f"fawkes_ha--{reached}--*.sql")
        steps.append(step.name)
        reached = step.stem.split("--")[-1]
    return steps


def extension_script() -> str:
    """What CREATE EXTENSION does where it is installed, with the library that the server has loaded."""
    script = "".join((SCRIPTS / step).read_text() for step in extension_steps())
    script = script.replace("MODULE_PATHNAME", "fawkes_ha")
    only_there = ("\\", "SELECT pg_catalog.pg_extension_config_dump")
    script = "".join(line for line in script.splitlines(True) if not line.startswith(only_there))
    return f"CREATE SCHEMA fawkes_ha; SET search_path = fawkes_ha; {script}; RESET search_path"


def run(program: str, *arguments: object, timeout: float = 120, **more) -> subprocess.CompletedProcess:
    """Run one of them to its end; the caller looks at returncode, stdout and stderr."""
    words = [str(path(program)), *map(str, arguments)]
    environment = {**os.environ, "LC_ALL": "C", **more.pop("env", {})}
    return subprocess.run(
        words, capture_output=True, text=True, timeout=timeout, env=environment, stdin=subprocess.DEVNULL, **more
    )


def must_run(program: str, *arguments: object, **more) -> str:
    done = run(program, *arguments, **more)
    if done.returncode != 0:
        raise RuntimeError(f"{program} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def make(directory: Path, *words: str) -> None:
    """Build something in `directory`; another process that does so at the same time waits."""
    lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        pg_config = f"PG_CONFIG={bindir() / 'pg_config'}"
        subprocess.run(["make", "-s", "--no-print-directory", "-C", directory, pg_config, *words], check=True)
    finally:
        os.close(lock)


def control_data(data: Path) -> dict[str, str]:
    """What pg_controldata says, by its own names ("Database cluster state", ...)."""
    text = must_run("pg_controldata", "-D", data)
    return dict(re.findall(r"^([^:\n]+):\s*(.*)$", text, re.MULTILINE))


def quote(value: str) -> str:
    """As a string in PostgreSQL's configuration files."""
    return "'" + value.replace("'", "''") + "'"


def settings_text(settings: dict[str, str]) -> str:
    return "".join(f"{name} = {quote(value)}\n" for name, value in settings.items())


def tail(path: Path, lines: int = 40, without: tuple[str, ...] = ()) -> str:
    """The last lines that contain none of the phrases `without`."""
    try:
        found = path.read_text(errors="replace").splitlines()
        return "\n".join([line for line in found if not any(phrase in line for phrase in without)][-lines:])
    except OSError as error:
        return str(error)
