"""The supervisor, built with ASan and UBSan, through everything that it does: no report.

The agent and the extension are the installed ones: a sanitized library wants a sanitized
process, and PostgreSQL is none.
"""

import os
import shutil
from pathlib import Path

import pytest

from lab import programs
from lab.cluster import Cluster
from lab.node import Node
from lab.wait import until

TREE = Path(__file__).resolve().parent.parent
PROGRAM = TREE / "build-sanitized" / "fawkes-ha"


@pytest.fixture(scope="module", autouse=True)
def program_is_built() -> None:
    programs.make(TREE, f"-j{os.cpu_count()}", "build-sanitized/fawkes-ha")


def sanitize(node: Node, reports: Path, planted: str = "") -> None:
    """Let the node run the sanitized supervisor; every process of it reports into a file of its own."""
    reports.mkdir(exist_ok=True)
    common = f"log_path={reports}/{node.name}:print_stacktrace=1"
    node.program = PROGRAM
    node.options = ("--bin", programs.bindir())
    node.environment = {
        "ASAN_OPTIONS": f"{common}:detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1",
        "UBSAN_OPTIONS": common,
        "FAWKES_PLANTED": planted,
    }


def ended(node: Node) -> int:
    """Stop it; its exit status.  The leak check stands between its end and that of its process."""
    node.stop()
    until(f"the process of {node.name} is gone", lambda: node.reap() is not None, 30)
    status = node.reap()
    assert status is not None
    return status


def reported(reports: Path, nodes: list[Node]) -> str:
    """ASan writes files of its own; gcc's UBSan beside it writes to stderr, which is the node's log."""
    found = [path.read_text(errors="replace") for path in sorted(reports.iterdir())]
    for node in nodes:
        lines = node.log.read_text(errors="replace").splitlines()
        found += [line for line in lines if "Sanitizer" in line or "runtime error:" in line]
    return "\n".join(found)


@pytest.mark.parametrize(
    "planted, words",
    [
        ("use after free", "heap-use-after-free"),
        ("overflow", "signed integer overflow"),
        ("leak", "LeakSanitizer: detected memory leaks"),
    ],
)
def test_a_planted_fault_is_seen(directory: Path, planted: str, words: str) -> None:
    """The negative control: a report appears where the next test finds none."""
    cluster = Cluster(directory / "c", names=("n1",), first_port=5801, settings={"fawkes_ha.bootstrap": "none"})
    node = cluster.nodes[0]
    node.settings["fawkes_ha.bootstrap"] = "none"  # without a server: only the ownership lock is taken and released
    try:
        cluster.create()
        sanitize(node, directory / "reports", planted)
        node.start()
        node.wait_for_log("this member")
        assert ended(node) != 0
        assert words in reported(directory / "reports", [node])
    finally:
        cluster.destroy()


def test_nothing_is_reported_through_failovers(directory: Path) -> None:
    """Founding, clone, restart, switchover, failover, rewind, clone anew and shutdown; then no report, no leak."""
    reports = directory / "reports"
    cluster = Cluster(directory / "c", first_port=5801, settings={"fawkes_ha.max_lag_on_failover": "1GB"})
    try:
        cluster.create()
        for node in cluster.nodes:
            sanitize(node, reports)
        cluster.start()

        # The postmaster dies: a standby leads, or it restarts here.
        leader = cluster.wait_all_stream()
        os.kill(leader.postmaster_pid, 9)
        leader = cluster.wait_all_stream()

        target = cluster.others(leader)[0]
        done = leader.command("switchover", "--to", target.name)
        assert done.returncode == 0, done.stdout + done.stderr
        leader = cluster.wait_all_stream()
        assert leader is target

        # The node dies with rows that nobody else has: it is rewound.
        others = cluster.others(leader)
        for node in others:
            node.freeze()
        with leader.session() as session:
            # More than sockets hold, so that the others cannot have all of it.
            session.query("CREATE TABLE not_streamed AS SELECT repeat('x', 1000) FROM generate_series(1, 40000)", timeout=60)
        leader.kill()
        for node in others:
            node.thaw()
        cluster.wait_for_leader(besides=leader)
        seen = leader.log.stat().st_size
        leader.start()
        leader.wait_for_log("rewinding to", since=seen)
        cluster.wait_streams(leader)

        # A directory is lost: it is cloned.
        standby = cluster.others(cluster.wait_all_stream())[0]
        assert ended(standby) == 0
        shutil.rmtree(standby.data)
        standby.start()
        last = cluster.wait_all_stream()

        for node in sorted(cluster.nodes, key=lambda node: node is last):
            assert ended(node) == 0, node.name
        assert reported(reports, cluster.nodes) == ""
    finally:
        cluster.destroy()
