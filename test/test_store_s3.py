"""A real store of S3's kind: the suite for all drivers, and a cluster that is recovered from it."""

import base64
import json
import os
import secrets
import subprocess
from pathlib import Path

import pytest

import demo_backup
from lab import programs
from lab.own import Port
from lab.wait import until

TREE = Path(__file__).resolve().parent.parent
SUITE = "src/test/store/store_suite"
# It keeps keys as paths of files: a backslash is a slash, "a/b" comes before "a-b", and an empty folder is still shown for a while.
# A part that was replaced is listed beside the new one, with no order between them within a second.
LEFT_OUT = "keys folders multipart "
WEED = Path("/var/lib/fawkes/seaweedfs/weed")
# Keys of a test, on a port of loopback.
ACCESS, SECRET = "access", "secret-of-a-test"

pytestmark = pytest.mark.skipif(not WEED.exists(), reason="SeaweedFS is not there: test/install.sh seaweedfs")


@pytest.fixture
def seaweedfs(directory: Path):
    """A store with the bucket "bucket", and its port."""
    credentials = [{"accessKey": ACCESS, "secretKey": SECRET}]
    actions = ["Admin", "Read", "Write", "List"]
    config = directory / "s3.json"
    config.write_text(json.dumps({"identities": [{"name": "test", "credentials": credentials, "actions": actions}]}))
    (directory / "data").mkdir()
    parts = [f"{part}.port{kind}" for part in ("master", "volume", "filer", "s3") for kind in ("", ".grpc")]
    ports = {part: Port(6500 + number) for number, part in enumerate(parts)}
    arguments = [f"-{part}={port.number}" for part, port in ports.items()]
    port = ports["s3.port"].number
    log = directory / "log"
    with log.open("wb") as output:
        weed = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", WEED, "server", "-ip=127.0.0.1", f"-dir={directory}/data", "-s3",
             f"-s3.config={config}", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.volumeSizeLimitMB=64", "-volume.max=40", *arguments],
            stdout=output, stderr=output, cwd=directory,
        )  # fmt: skip
    try:
        until("SeaweedFS has a bucket", lambda: make_bucket(port), seconds=60, every=0.2)
        yield port
    except BaseException:
        print(programs.tail(log))
        raise
    finally:
        weed.kill()
        weed.wait()


def make_bucket(port: int) -> bool:
    """By libcurl's own signature: it is right for a request without a query."""
    done = subprocess.run(
        ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "PUT", "--aws-sigv4", "aws:amz:us-east-1:s3",
         "--user", f"{ACCESS}:{SECRET}", f"http://127.0.0.1:{port}/bucket"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout in ("200", "409")


def test_conformance(seaweedfs: int) -> None:
    """What the directory and each other driver must do, too, and what a network does to it."""
    programs.make(TREE, SUITE)
    environment = {
        "FAWKES_STORE_URL": "s3://bucket/prefix",
        "FAWKES_STORE_ENDPOINT": f"http://127.0.0.1:{seaweedfs}",
        "FAWKES_STORE_BY": "key",
        "FAWKES_STORE_LEFT_OUT": LEFT_OUT,
        "FAWKES_STORE_ACCESS": ACCESS,
        "FAWKES_STORE_SECRET": SECRET,
        "CMOCKA_MESSAGE_OUTPUT": "TAP",
    }
    done = subprocess.run(
        [TREE / SUITE], env={**os.environ, **environment}, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


def test_a_cluster_comes_back_from_it(seaweedfs: int, directory: Path) -> None:
    """Archive, base backup and recovery to a moment, encrypted, with credentials from files."""
    credentials = directory / "credentials"
    credentials.mkdir(mode=0o700)
    (credentials / "access_key_id").write_text(ACCESS + "\n")
    (credentials / "secret_access_key").write_text(SECRET + "\n")
    (directory / "keys").write_text(base64.b64encode(secrets.token_bytes(32)).decode() + "\n")
    settings = {
        "fawkes_ha.backup_store": "s3://bucket/clusters",
        "fawkes_ha.backup_endpoint": f"http://127.0.0.1:{seaweedfs}",
        "fawkes_ha.backup_credentials_directory": str(credentials),
        "fawkes_ha.backup_key_file": str(directory / "keys"),
        "fawkes_ha.archive_compression": "zstd",
    }
    assert demo_backup.comes_back(directory / "c", 6551, settings)
