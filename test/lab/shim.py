"""A test's hands inside the C library calls of a server or a whole node: src/test/shim/shim.c."""

import mmap
import os
import signal
import struct
from pathlib import Path

from . import process, programs
from .wait import until

SOURCE = Path(__file__).parent.parent.parent / "src" / "test" / "shim"
SIZE = 4096 + 4 * 100_000

# shim.c, struct Wishes
STOP_PID, STOP_CALL, STOP_SKIP, STOPPED = 0, 4, 8, 12
WALL_SHIFT_S = 16
FULL_DIRECTORY, RENAME_SUFFIX = 24, 280
SAMPLE_PID, SAMPLE_COUNT, CALLS_BETWEEN, SAMPLES = 344, 348, 352, 356

NONE, FDATASYNC, TRUNCATE, SEND = range(4)


class Shim:
    """Give `environment` to what is to be started; it reaches all its children."""

    def __init__(self, path: Path) -> None:
        programs.make(SOURCE, "shim.so")
        path.write_bytes(bytes(SIZE))
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), SIZE)
        self.environment = {"LD_PRELOAD": str(SOURCE / "shim.so"), "FAWKES_SHIM": str(path)}

    def _get(self, offset: int) -> int:
        return struct.unpack_from("<I", self._map, offset)[0]

    def _set(self, offset: int, value: int) -> None:
        struct.pack_into("<I", self._map, offset, value)

    def _set_text(self, offset: int, size: int, text: str) -> None:
        data = text.encode()
        assert len(data) < size
        self._map[offset : offset + size] = data.ljust(size, b"\0")

    # --- a process stopped in a call

    def stop_in(self, call: int, pid: int, skip: int = 0) -> None:
        """SIGSTOP for the process `pid` in the next such call but `skip`."""
        self._set(STOP_CALL, NONE)
        self._set(STOPPED, 0)
        self._set(STOP_SKIP, skip)
        self._set(STOP_PID, pid)
        self._set(STOP_CALL, call)

    def wait_stopped(self) -> None:
        pid = self._get(STOP_PID)

        def stands() -> bool:
            found = process.look(pid)
            return bool(self._get(STOPPED)) and found is not None and found.state in "Tt"

        until("the process is stopped in the call", stands, 30, every=0.002)

    # --- the rest

    def shift_wall_clocks(self, seconds: int) -> None:
        struct.pack_into("<q", self._map, WALL_SHIFT_S, seconds)

    def fill_disk(self, directory: Path | None) -> None:
        """Writes under `directory` find no space, for all who have this shim; None ends it."""
        self._set_text(FULL_DIRECTORY, 256, str(directory or ""))

    def kill_at_rename(self, suffix: str) -> None:
        """Whoever renames a file to such a name next is dead thereafter."""
        self._set_text(RENAME_SUFFIX, 64, suffix)

    @property
    def has_killed(self) -> bool:
        return self._map[RENAME_SUFFIX] == 0

    def sample(self, pid: int) -> None:
        self._set(SAMPLE_COUNT, 0)
        self._set(CALLS_BETWEEN, 0)
        self._set(SAMPLE_PID, pid)

    @property
    def samples_ns(self) -> list[int]:
        """From each reading of the clock to the entry into the send behind it."""
        count = self._get(SAMPLE_COUNT)
        return list(struct.unpack_from(f"<{count}I", self._map, SAMPLES))

    @property
    def calls_between(self) -> int:
        return self._get(CALLS_BETWEEN)


def let_go(pid: int) -> None:
    os.kill(pid, signal.SIGCONT)
