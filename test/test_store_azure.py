"""The store of Azure on Azurite: the suite for all drivers, with the account's key and with a signature; a cluster that is recovered from it."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import demo_backup
from lab.azurite import KEY, PROGRAM, Azurite, account_sas
from lab.own import own_directory

SUITE = Path(__file__).parents[1] / "src/test/store/store_suite"

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="Azurite is not installed: test/install.sh check")


@pytest.fixture(scope="module")
def azurite() -> Iterator[Azurite]:
    directory, held = own_directory("fh-azurite-")
    server = Azurite(directory, first_port=6501)
    try:
        server.start()
        server.create_container("suite")
        yield server
    finally:
        server.stop()
        os.close(held)


def run_suite(server: Azurite, by: str, secret: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "FAWKES_STORE_URL": server.url("suite"),
        "FAWKES_STORE_ENDPOINT": server.endpoint,
        "FAWKES_STORE_BY": by,
        "FAWKES_STORE_SECRET": secret,
        "CMOCKA_MESSAGE_OUTPUT": "TAP",
    }
    return subprocess.run(
        [SUITE], env={**os.environ, **environment}, capture_output=True, text=True, timeout=250, check=False
    )


@pytest.mark.parametrize("by", ["key", "sas"])
def test_conformance(azurite: Azurite, by: str) -> None:
    """What the archive and backups rest on: one winner of a create, whole objects or none, uploads that resume."""
    done = run_suite(azurite, by, KEY if by == "key" else account_sas("rwdlac"))
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert done.stdout.count("\nok ") >= 26


def test_a_wrong_key_is_told(azurite: Azurite) -> None:
    done = run_suite(azurite, "key", "d3Jvbmc=")
    assert done.returncode != 0
    assert "Azure answers 403" in done.stdout + done.stderr


def test_a_cluster_comes_back_from_it(azurite: Azurite, directory: Path) -> None:
    """Archive, base backup and recovery to a moment, with the account's key from a file."""
    azurite.create_container("clusters")
    credentials = directory / "credentials"
    credentials.mkdir(mode=0o700)
    (credentials / "account_key").write_text(KEY + "\n")
    settings = {
        "fawkes_ha.backup_store": f"{azurite.url('clusters')}/prefix",
        "fawkes_ha.backup_credentials_directory": str(credentials),
        "fawkes_ha.backup_compression": "lz4",
    }
    assert demo_backup.comes_back(directory / "c", 6561, settings)
