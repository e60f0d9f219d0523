"""The status page of a file, as src/test/page serves it."""

import json
import os
import signal
import subprocess
from functools import cache
from pathlib import Path

from . import programs

TREE = Path(__file__).resolve().parent.parent.parent
PROGRAM = "src/test/page/page_server"


@cache
def build() -> Path:
    programs.make(TREE, PROGRAM)
    return TREE / PROGRAM


class PageServer:
    """What `show` was given last, as a member that sees it would serve it."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "snapshot.json"
        self._process = subprocess.Popen([build(), self._file], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}/"

    def show(self, snapshot: dict) -> None:
        # In place at once: the server may read at any moment.
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(snapshot))
        os.replace(new, self._file)

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> "PageServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
