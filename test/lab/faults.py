"""Faults at named file operations of a node's processes, and full disks: src/test/faults.

The library is preloaded into everything that a node runs; without an order it does nothing.
It works wherever tests run, also where the kernel gives no namespaces for a small mount.
"""

from pathlib import Path

from . import programs
from .node import Node
from .wait import until

SOURCE = Path(__file__).resolve().parent.parent.parent / "src" / "test" / "faults"


def build() -> Path:
    programs.make(SOURCE, "faults.so")
    return SOURCE / "faults.so"


class Faults:
    """The orders of one node; made before it is started."""

    def __init__(self, node: Node, library: Path) -> None:
        self._orders = node.directory / "faults"
        self._orders.mkdir(parents=True, exist_ok=True)
        node.environment |= {"LD_PRELOAD": str(library), "FAWKES_FAULTS": str(self._orders)}

    def at(self, operation: str, part: str, action: str) -> None:
        """Let who next does `operation` on a path with `part` in it do `action`: see faults.c."""
        for met in self._orders.glob("met.*"):
            met.unlink()
        aside = self._orders / "aside"
        aside.write_text(part)
        aside.rename(self._orders / f"{operation}.{action}")

    def met(self) -> int | None:
        """Who carried the order out."""
        return next((int(path.name.split(".")[1]) for path in self._orders.glob("met.*")), None)

    def wait_met(self, seconds: float = 60) -> int:
        return until("a process meets its fault", self.met, seconds, every=0.005)

    def fill(self, beginning: Path) -> None:
        """No file whose path begins so can grow until free()."""
        aside = self._orders / "aside"
        aside.write_text(str(beginning))
        aside.rename(self._orders / "full")

    def free(self) -> None:
        (self._orders / "full").unlink(missing_ok=True)

    def slow(self, part: str, milliseconds: int) -> None:
        """Flushing a file with `part` in its path takes so much longer, until quick()."""
        aside = self._orders / "aside"
        aside.write_text(f"{milliseconds} {part}")
        aside.rename(self._orders / "slow")

    def quick(self) -> None:
        (self._orders / "slow").unlink(missing_ok=True)

    def clear(self) -> None:
        for order in self._orders.iterdir():
            order.unlink()
