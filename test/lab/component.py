"""One process of the Kubernetes test bed: started, waited for, and tormented."""

import os
import signal
import subprocess
from functools import cache
from pathlib import Path
from typing import Callable

from . import process
from .programs import tail
from .wait import until

TREE = Path(__file__).resolve().parent.parent.parent


@cache
def binary() -> str:
    """The program with all of Kubernetes in it; RuntimeError says how to get it."""
    done = subprocess.run([TREE / "test" / "install.sh", "kube"], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return done.stdout.split()[-1]


class Component:
    """`is_ready` says whether it does its work; an exception of it means not yet."""

    outlives = False  # the process that starts it

    def __init__(self, name: str, directory: Path, arguments: list[str], is_ready: Callable[[], object]) -> None:
        self.name = name
        self.arguments = arguments  # may be changed while it is not running
        self.log = directory / f"{name}.log"
        self.output = self.log  # of what it prints on stdout
        self.disturbed = False  # by a test, since somebody last set it to False
        self._directory = directory
        self._is_ready = is_ready
        self._process: subprocess.Popen | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, seconds: float = 120) -> None:
        """Returns when it is ready.  It dies with the thread that called this, unless it outlives."""
        if self.runs:
            raise RuntimeError(f"{self.name} runs already")
        with open(self.log, "ab") as log, open(self.output, "ab") as output:
            self._process = subprocess.Popen(
                [
                    *([] if self.outlives else ["setpriv", "--pdeathsig", "KILL", "--"]),
                    *[binary(), self.name.split(".")[0], *self.arguments],
                ],
                start_new_session=self.outlives,
                cwd=self._directory,
                env={"HOME": str(self._directory), "PATH": os.environ["PATH"]},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
            )
        self.wait_ready(seconds)

    def wait_ready(self, seconds: float = 120) -> None:
        until(f"{self.name} is ready", lambda: not self.runs or self._is_ready(), seconds)
        if not self.runs:
            raise RuntimeError(f"{self.name} ended with {self._process.returncode}:\n{tail(self.log, 15)}")

    def kill(self) -> None:
        self.disturbed = True
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)

    def stop(self, seconds: float = 60) -> None:
        """By SIGTERM, after which it ends in its own good order."""
        self.disturbed = True
        if self.runs:
            self.thaw()
            self._process.terminate()
            self._process.wait(seconds)

    def freeze(self) -> None:
        """Returns when no thread of it runs any more."""
        self.disturbed = True
        process.stop_all(lambda: [self.pid])

    def thaw(self) -> None:
        if self.runs:
            self._process.send_signal(signal.SIGCONT)
