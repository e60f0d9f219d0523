"""backup.info both ways: what each version of barman writes is read here, and what is written here each of them reads."""

import json
import subprocess
from functools import cache
from pathlib import Path

import pytest

from lab import programs

TREE = Path(__file__).resolve().parent.parent
PROGRAM = "src/test/interop/backup_info"
HOME = Path("/var/lib/fawkes/barman")
VERSIONS = ("3.4.0", "3.11.1", "3.13.3", "3.19.1")

pytestmark = pytest.mark.skipif(
    not all((HOME / version).is_dir() for version in VERSIONS), reason="barman is not there: test/install.sh barman"
)

# Runs in barman's own Python: makes a backup.info of the values on stdin, or says what it reads in one.
THEIRS = """
import io, json, sys
import barman.output  # first: it imports infofile in a circle
from datetime import datetime
from barman.infofile import BackupInfo, Tablespace

def write(values):
    info = BackupInfo("20261122T063851")
    for name, value in values.items():
        if name.endswith("_time"):
            value = datetime.fromisoformat(value)
        if name == "tablespaces":
            value = [Tablespace._make(item) for item in value]
        info.set_attribute(name, value)
    out = io.BytesIO()
    info.save(file_object=out)
    return out.getvalue().decode()

def read(text):
    info = BackupInfo("20261122T063851")
    info.load(file_object=io.BytesIO(text.encode()))
    values = {name: getattr(info, name) for name, _ in info.items()}
    for name in ("begin_time", "end_time"):
        if values[name] is not None:
            values[name] = values[name].timestamp()
    return values

print(json.dumps(write(json.load(sys.stdin)) if sys.argv[1] == "write" else read(sys.stdin.read())))
"""

DONE = {
    "backup_label": "START WAL LOCATION: 16/B3000028 (file 0000000300000016000000B3)\nLABEL: it's \"é\" \\ \t😀\n",
    "backup_name": "before the upgrade",
    "begin_offset": 40,
    "begin_time": "2026-11-22T08:38:51.123456+02:00",
    "begin_wal": "0000000300000016000000B3",
    "begin_xlog": "16/B3000028",
    "config_file": "/etc/postgresql/15/main/postgresql.conf",
    "copy_stats": {"total_time": 61.9, "number_of_workers": 2},
    "end_offset": 312,
    "end_time": "2026-11-22T06:39:53+00:00",
    "end_wal": "0000000300000016000000B4",
    "end_xlog": "16/B4000138",
    "included_files": ["/etc/postgresql/15/main/conf.d/it's.conf"],
    "mode": "concurrent",
    "pgdata": "/var/lib/postgresql/15/ä main",
    "server_name": "cloud",
    "size": 1127428915,
    "status": "DONE",
    "systemid": "7445301234567890123",
    "tablespaces": [["a 'b\"", 16411, "/srv/it's"], ["t2", 16412, "/srv/\\t2"]],
    "timeline": 3,
    "version": 150014,
    "xlog_segment_size": 16777216,
}
STARTED = {"begin_time": DONE["begin_time"], "begin_wal": DONE["begin_wal"], "status": "STARTED", "timeline": 3}
FAILED = {**STARTED, "status": "FAILED", "error": "failure uploading data (it's gone = 5)"}

# What our file does not say: barman's own figures, and files that its command may copy.
NOT_OURS = ("copy_stats", "included_files")


@cache
def program() -> Path:
    programs.make(TREE, PROGRAM)
    return TREE / PROGRAM


def ours(text: str) -> str:
    done = subprocess.run([program()], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def theirs(version: str, verb: str, given: str) -> object:
    done = subprocess.run(
        ["/usr/bin/python3", "-c", THEIRS, verb],
        input=given,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(HOME / version), "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("values", (DONE, STARTED, FAILED), ids=lambda values: values["status"])
@pytest.mark.parametrize("version", VERSIONS)
def test_backup_info_goes_both_ways(version: str, values: dict) -> None:
    written = str(theirs(version, "write", json.dumps(values)))
    again = ours(written)
    before, after = theirs(version, "read", written), theirs(version, "read", again)
    assert isinstance(before, dict) and isinstance(after, dict)
    assert {**before, **dict.fromkeys(NOT_OURS)} == after
    assert again.splitlines()[0].split()[1] == "1795329531123456"
    # The oldest version reads what any other wrote, through ours.
    assert theirs("3.4.0", "read", again)


@pytest.mark.parametrize("version", VERSIONS)
def test_another_key_would_not_be_read(version: str) -> None:
    """Why ours stand in comments."""
    with pytest.raises(AssertionError, match="key_id"):
        theirs(version, "read", "key_id=1\nstatus=DONE\n")
    assert theirs(version, "read", "# fawkes_ha.key_id=1\nstatus=DONE\n")
