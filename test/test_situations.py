"""The simulated PostgreSQL is held against the real one: each file of situations gives one transcript on both.

REWRITE=1 writes what real servers give into the files.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import programs, situations

FILES = sorted((programs.SOURCES / "test/situations").glob("*.txt"))
LEAST = 60
AT_ONCE = 4  # they mostly wait
MEMORY, ROOM = "/dev/shm", 10**9

of_each_file = pytest.mark.parametrize("file", FILES, ids=[path.stem for path in FILES])


def quick_directory() -> str:
    """In memory, if there is room: a disk takes longer for the files of some hundred servers than everything else does."""
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
        return MEMORY
    return os.environ.get("FAWKES_TEST_DIR", "/tmp")


@pytest.fixture(scope="module")
def transcript(request: pytest.FixtureRequest) -> Iterator[Callable[[Path], str]]:
    """What real servers give.  The situations of all files that are wanted are begun at once."""
    base = Path(tempfile.mkdtemp(prefix="fh-", dir=quick_directory()))
    wanted = {item.callspec.params["file"] for item in request.session.items if item.name.startswith("test_real_servers")}
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        template = situations.make_template(base)
        begun = {
            file: [
                pool.submit(situations.play, text, template, base / f"{file.stem}-{number}")
                for number, text in enumerate(situations.situations_of(file.read_text()))
            ]
            for file in sorted(wanted)
        }
        yield lambda file: "".join(played.result() for played in begun[file])
    finally:
        pool.shutdown(cancel_futures=True)
        shutil.rmtree(base, ignore_errors=True)


@of_each_file
def test_real_servers_give_it(file: Path, transcript: Callable[[Path], str]) -> None:
    played = transcript(file)
    if os.environ.get("REWRITE"):
        file.write_text(played)
    assert played == file.read_text()


@pytest.fixture(scope="module")
def simulation() -> Path:
    programs.make(programs.SOURCES, "build-sim/sim")
    return programs.SOURCES / "build-sim/sim"


@of_each_file
def test_simulated_servers_give_it(file: Path, simulation: Path) -> None:
    done = subprocess.run([simulation, "-s", file], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == file.read_text()


def test_there_are_many() -> None:
    played = [text for file in FILES for text in situations.situations_of(file.read_text())[1:]]
    assert len(played) >= LEAST
    assert all(f"\n{situations.OBSERVED}\n" in text for text in played)


@pytest.mark.parametrize("text", ("write n1\n----\n", "servers n1\nsleep n1\n----\n", "servers n1\nwrite n2\n----\n"))
def test_what_makes_no_sense_is_refused(text: str, simulation: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text(text)
    done = subprocess.run([simulation, "-s", file], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stderr.startswith(f"{file}:"), done


def test_rows_are_written_as_ranges() -> None:
    assert [situations.rows_text(rows) for rows in ([], [4], [1, 2, 3, 5])] == ["no row", "rows 4", "rows 1-3, 5"]


def test_a_record_goes_on_behind_the_header_of_the_next_page() -> None:
    page = 5 * situations.PAGE
    assert situations.end_of_record(page - 16, 40) == page + situations.SHORT_HEADER + 24
    assert situations.end_of_record(page - 40, 38) == page + situations.SHORT_HEADER
