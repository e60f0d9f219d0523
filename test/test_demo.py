"""The demonstration of backups, as a person runs it: backup, archive and restore by the commands themselves."""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def test_a_dropped_table_is_back(directory: Path) -> None:
    done = subprocess.run(
        [sys.executable, HERE / "demo.py", "--backup", "--dir", directory / "demo"],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("The table is back.")
    assert re.search(r"^\d{8}T\d{6} +usable ", done.stdout, re.MULTILINE), done.stdout
    assert len(re.findall(r" +\d+\.\d\d s$", done.stdout, re.MULTILINE)) == 4
    assert not (directory / "demo").exists()
