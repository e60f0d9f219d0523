"""What debian/ says, against the rest of the tree.  The packages themselves: `make check-deb`."""

import os
import re
import subprocess

from lab.documents import TREE, read


def build_depends(control: str) -> set[str]:
    field = re.search(r"^Build-Depends: (.*?)(?=^\S)", control + "\n.", re.MULTILINE | re.DOTALL)
    assert field
    return {dependency.split()[0] for dependency in field[1].split(",")}


def installed_to_build() -> set[str]:
    script = f'. {TREE}/test/install.sh && echo "$DEMO_PACKAGES"'
    environment = {"PATH": os.environ["PATH"], "PG_MAJOR": "15"}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, env=environment)
    # The server and Python are for running; the others are in build-essential, which each package takes for granted.
    not_named = ("postgresql-15", "python3", "python3-psycopg2", "make", "gcc", "libc6-dev")
    return set(done.stdout.split()) - set(not_named)


def test_build_dependencies() -> None:
    assert build_depends(read("debian/control")) == installed_to_build() | {"debhelper-compat"}
    assert build_depends(read("debian/control").replace("libyaml-dev", "libyaml")) != installed_to_build() | {"debhelper-compat"}


def test_one_version_of_postgresql() -> None:
    """The package's name, where its files lie, and the PATH of the unit."""
    named = [*(TREE / "debian").glob("postgresql-*.install")]
    major = re.fullmatch(r"postgresql-(\d+)-fawkes-ha\.install", *(path.name for path in named))
    assert major
    for path in [*named, TREE / "debian/control", TREE / "debian/rules", TREE / "debian/fawkes-ha.links", TREE / "deploy/systemd/fawkes-ha@.service"]:
        assert set(re.findall(r"postgresql[-/](?:server-dev-)?(\d+)", path.read_text())) == {major[1]}, path


def test_the_licence() -> None:
    """Without the lines that Debian's format has for itself."""
    said = read("debian/copyright").partition("\nLicense: PostgreSQL\n\nLicense: PostgreSQL\n")[2]
    assert re.sub(r"^ \.?", "", said, flags=re.MULTILINE) == read("LICENSE").split("\n\n", 2)[2]
