"""Processes, as /proc shows them: who belongs to a node, and how to stop or kill them all."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterable

from .wait import now

NODE_MARK = "FAWKES_LAB_NODE"  # in the environment of every process that the lab starts


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    state: str  # one letter, as in proc(5)
    started: int  # in clock ticks since boot: with the pid it names a process for ever
    name: str

    @property
    def lives(self) -> bool:
        return self.state not in "ZX"


def look(pid: int) -> Process | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The name stands in parentheses and may contain any character, a parenthesis too.
    name = text[text.index("(") + 1 : text.rindex(")")]
    rest = text[text.rindex(")") + 2 :].split()
    return Process(pid, int(rest[1]), rest[0], int(rest[19]), name)


def title(pid: int) -> str:
    """Its command line, which PostgreSQL's processes overwrite; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def look_at_all() -> dict[int, Process]:
    found = (look(int(entry)) for entry in os.listdir("/proc") if entry.isdigit())
    return {process.pid: process for process in found if process and process.lives}


def descendants(everyone: dict[int, Process], root: int) -> set[int]:
    """The process `root` and all below it."""
    children: dict[int, list[int]] = {}
    for process in everyone.values():
        children.setdefault(process.parent, []).append(process.pid)
    found: set[int] = set()
    todo = [root] if root in everyone else []
    while todo:
        pid = todo.pop()
        if pid not in found:
            found.add(pid)
            todo += children.get(pid, [])
    return found


def works_under(pid: int, directory: Path) -> bool:
    """Is it of the node whose data lies under `directory`?

    Every process of PostgreSQL has the data directory as its working directory, an
    orphan too; others that the lab started carry the mark in their environment
    (PostgreSQL overwrites its own for the process title).
    """
    try:
        where = os.readlink(f"/proc/{pid}/cwd").removesuffix(" (deleted)")
        if Path(where).is_relative_to(directory):
            return True
        with open(f"/proc/{pid}/environ", "rb") as environment:
            marks = [v for v in environment.read().split(b"\0") if v.startswith(NODE_MARK.encode())]
        return any(Path(os.fsdecode(mark.split(b"=", 1)[1])).is_relative_to(directory) for mark in marks)
    except OSError:  # it ended meanwhile, or is another user's
        return False


def send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def kill_all(find: Callable[[], list[int]], seconds: float = 30) -> None:
    """SIGKILL whatever find() names, again and again, until it names nobody."""
    deadline = now() + seconds
    while pids := find():
        send(pids, signal.SIGKILL)
        if now() > deadline:
            raise TimeoutError(f"processes survive SIGKILL: {pids}")
        time.sleep(0.01)


def in_own_code(pid: int) -> bool:
    """Of a stopped process: it was stopped between two of its own instructions, in no system call."""
    try:
        return Path(f"/proc/{pid}/syscall").read_text().startswith("-1 ")
    except OSError:
        return False


def stop_all(find: Callable[[], list[int]], seconds: float = 30) -> list[int]:
    """SIGSTOP whatever find() names until two looks show nobody new and nobody running."""
    deadline = now() + seconds
    stopped: set[int] = set()
    while True:
        pids = find()
        send(pids, signal.SIGSTOP)
        states = [look(pid) for pid in pids]
        if set(pids) <= stopped and all(p is None or p.state in "TtZX" for p in states):
            return pids
        stopped |= set(pids)
        if now() > deadline:
            raise TimeoutError(f"processes do not stop: {[p for p in states if p and p.state not in 'Tt']}")
        time.sleep(0.002)
