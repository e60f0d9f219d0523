"""The README's "Run your own", typed as it stands: with another directory for /srv and with free ports."""

import json
import os
import re
import shlex
import signal
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from lab import documents, process, programs
from lab.node import free_ports
from lab.wait import NotInTime, until

TREE = documents.TREE
PORTS = ("5501", "5502", "8001", "8002", "9101", "9102")
PASSWORD = "choose one"  # of the role that the README makes
LIMIT_S = 60


def own_commands() -> list[str]:
    """What stands in its sh blocks, a command each; a here-document belongs to its command."""
    text = documents.section(documents.read("README.md"), "Run your own")
    found: list[str] = []
    for block in re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        lines = iter(block.splitlines())
        for line in lines:
            command = [line]
            if "<<'END'" in line:
                while command[-1] != "END":
                    command.append(next(lines))
            found.append("\n".join(command) + "\n")
    return found


class Machine:
    """Where the commands are typed: a directory in place of /srv, and the nodes that run there."""

    def __init__(self, srv: Path) -> None:
        self.srv = srv
        self.nodes: list[subprocess.Popen] = []
        self.status = ""  # what it said last
        self._ports = dict(zip(PORTS, map(str, free_ports(len(PORTS), 5501)), strict=True))
        self._environment = {
            **os.environ,
            "PATH": f"{programs.bindir()}:{os.environ['PATH']}",
            "PGPASSWORD": PASSWORD,
            process.NODE_MARK: str(srv),
        }

    def here(self, text: str) -> str:
        text = re.sub(r"\b\d{4}\b", lambda found: self._ports.get(found[0], found[0]), text)
        return text.replace("/srv", str(self.srv))

    def start(self, command: str) -> None:
        """What stays in the foreground of a terminal of its own."""
        with open(self.srv / "log", "ab") as log:
            self.nodes.append(
                subprocess.Popen(
                    shlex.split(self.here(command), comments=True),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    env=self._environment,
                )
            )

    def type(self, command: str) -> str:
        """From standard input: the command must not stand in the shell's own arguments, which pgrep reads."""
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-s"],
            input=self.here(command).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LIMIT_S,
            env=self._environment,
        )
        said = done.stdout.decode()
        assert done.returncode == 0, f"{command}{said}{programs.tail(self.srv / 'log')}"
        return said

    def both_are_well(self) -> bool:
        self.status = self.type("fawkes-ha status -D /srv/n2\n")
        if "primary" not in self.status or "standby" not in self.status or "do:" in self.status:
            return False
        records = json.loads(self.type("fawkes-ha status -D /srv/n2 -o json\n"))
        return len(records["cluster"]["standbys"]) == 1

    def until_both_are_well(self) -> None:
        try:
            until("one leads, the other follows, nothing is wrong", self.both_are_well, LIMIT_S)
        except NotInTime as error:
            raise NotInTime(f"{error}\n{self.status}\n{programs.tail(self.srv / 'log')}") from None

    def end(self) -> None:
        for node in self.nodes:
            node.send_signal(signal.SIGTERM)
        try:
            for node in self.nodes:
                node.wait(LIMIT_S)
        finally:
            process.kill_all(lambda: [p for p in process.look_at_all() if process.works_under(p, self.srv)])


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    try:
        yield made
    finally:
        made.end()


def test_run_your_own(machine: Machine) -> None:
    said: dict[str, str] = {}
    for command in own_commands():
        if command.startswith("fawkes-ha run "):
            machine.start(command)
        else:
            said[command.split("#")[0].strip()] = machine.type(command)
        if len(machine.nodes) == 2 and command.startswith(("fawkes-ha run", "fawkes-ha switchover", "fawkes-ha restart")):
            machine.until_both_are_well()
        if command.startswith("kill "):
            machine.nodes[0].wait(LIMIT_S)
    assert "n2 leads" in said["fawkes-ha switchover -D /srv/n1 --to n2"]
    assert "switchover  n2" in said["fawkes-ha history -D /srv/n1"]
    assert "n1 is not a member any more" in said["fawkes-ha remove -D /srv/n2 n1"]


def test_every_command_is_typed() -> None:
    """None stands in a block of another kind."""
    text = documents.section(documents.read("README.md"), "Run your own")
    assert [line.text for line in documents.commands(text, "") if line.text.startswith(("fawkes-ha ", "psql "))] == []


# --- packages


def apt_packages(text: str) -> set[str]:
    joined = text.replace("\\\n", " ")
    found = re.search(r"^sudo apt-get install (.*)$", joined, re.MULTILINE)
    assert found
    return set(found[1].split())


def test_packages() -> None:
    """What the README has installed is what ./demo installs to build."""
    told = apt_packages(documents.read("README.md"))
    script = f'. {TREE}/test/install.sh && echo "$DEMO_PACKAGES"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]})
    needed = {name for name in done.stdout.split() if not name.startswith("python3")}
    assert told == needed
