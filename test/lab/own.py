"""What one test bed has to itself on a machine where others run: a directory and ports."""

import fcntl
import os
import shutil
import socket
import tempfile
from pathlib import Path

from .node import free_ports


class Port:
    """A free port of loopback that no other bed takes while this lives, though nobody listens on it."""

    def __init__(self, start: int) -> None:
        while True:
            (self.number,) = free_ports(1, start)
            self._reserved = socket.socket(socket.AF_UNIX)
            try:
                # An abstract name: of this network namespace, as the port is, and gone with its process.
                self._reserved.bind(f"\0fawkes-lab-port-{self.number}")
                return
            except OSError:
                self._reserved.close()
                start = self.number + 1

    def free(self) -> None:
        self._reserved.close()


def locked(path: Path, wait: bool) -> int | None:
    """A descriptor that holds the lock on a directory; None when somebody else has it, or it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink > 0:
            return descriptor
    except BlockingIOError:
        pass
    os.close(descriptor)
    return None


def sweep(parent: Path, prefix: str) -> None:
    """Remove what beds left behind whose tests were killed: nobody holds the lock on their directories."""
    for left in parent.glob(f"{prefix}*"):
        if (descriptor := locked(left, wait=False)) is not None:
            shutil.rmtree(left, ignore_errors=True)
            os.close(descriptor)


def own_directory(prefix: str) -> tuple[Path, int]:
    """A new directory with a short name, and the descriptor that keeps others from sweeping it away."""
    parent = Path(os.environ.get("FAWKES_TEST_DIR", "/tmp"))
    sweep(parent, prefix)
    while True:
        path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        if (descriptor := locked(path, wait=True)) is not None:
            return path, descriptor
