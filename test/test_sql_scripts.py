"""The scripts that CREATE and ALTER EXTENSION run, and the files of sql/ that the Makefile puts together for them.

What they make is compared in src/test/pgtap/upgrade.sql.
"""

import hashlib
import subprocess
from pathlib import Path

import pytest

from lab import programs

SQL = programs.SOURCES / "sql"
GUARD = "every/guard.sql"
RELEASED = Path("/var/lib/fawkes/released-1.1")  # built of the history, by test/released.sh

# Of each script as it was released.  The guard came later: it makes nothing, and may change.
RELEASED_SHA256 = {
    "fawkes_ha--1.0.sql": "523fc97f8576009d87d2073709bf2fef5a793352074f9cb7278cef3b0eebafd8",
    "fawkes_ha--1.0--1.1.sql": "c9a8eb12c49770867f903782ca9eec8441bdaf0a49a796eea2d071b2f8e35577",
}


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def pieces(script: str) -> list[str]:
    """The text of each file of the version that the script leads to, and the guard's."""
    version = script.removesuffix(".sql").split("--")[-1]
    return [path.read_text() for path in [SQL / GUARD, *(SQL / version).glob("*.sql")]]


def test_from_each_version_a_script_leads_to_this_one() -> None:
    assert {path.name for path in programs.SCRIPTS.iterdir()} == set(programs.extension_steps())
    versions = {step.removesuffix(".sql").split("--")[-1] for step in programs.extension_steps()}
    assert {path.name for path in SQL.iterdir() if path.is_dir()} == {"every"} | versions


@pytest.mark.parametrize("script", programs.extension_steps())
def test_a_script_is_its_files(script: str) -> None:
    """Each file once, an empty line between two, and nothing else; the first line names the script."""
    text = (programs.SCRIPTS / script).read_text()
    assert script in text.split("\n", 1)[0]
    found = sorted(pieces(script), key=text.find)
    assert "\n".join(found) == text


@pytest.mark.parametrize("script", programs.extension_steps())
def test_the_script_is_installed(script: str) -> None:
    installed = Path(programs.must_run("pg_config", "--sharedir").strip()) / "extension" / script
    assert installed.read_bytes() == (programs.SCRIPTS / script).read_bytes()


def as_released(script: str) -> str:
    guard = (SQL / GUARD).read_text() + "\n"
    text = (programs.SCRIPTS / script).read_text()
    assert text.count(guard) == 1
    return text.replace(guard, "")


def test_every_version_but_the_newest_is_released() -> None:
    assert list(RELEASED_SHA256) == programs.extension_steps()[:-1]


@pytest.mark.parametrize("script", RELEASED_SHA256)
def test_what_was_released_stays(script: str) -> None:
    assert sha256(as_released(script)) == RELEASED_SHA256[script]
    assert sha256(as_released(script).replace("STABLE", "VOLATILE", 1)) != RELEASED_SHA256[script]


@pytest.mark.skipif(not RELEASED.exists(), reason="version 1.1 is not built: test/install.sh check, in a clone with its history")
@pytest.mark.parametrize("script", RELEASED_SHA256)
def test_the_history_has_the_same(script: str) -> None:
    assert (RELEASED / "sql" / script).read_text() == as_released(script)


@pytest.mark.parametrize("piece", ("1.2/requests.sql", GUARD))
def test_a_changed_file_is_built_anew(piece: str) -> None:
    """With the scripts that have it, and no other."""
    pg_config = f"PG_CONFIG={programs.bindir() / 'pg_config'}"
    words = ["make", "-n", "--no-print-directory", "-C", programs.SOURCES, pg_config, "-W", f"sql/{piece}", "all"]
    planned = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    made = {step for step in programs.extension_steps() if f">build-sql/{step}\n" in planned}
    assert made == {step for step in programs.extension_steps() if (SQL / piece).read_text() in pieces(step)}
