"""A member as its user has set it up: behind a link, with an environment and a home of his own, with a wrong name, in
a directory that holds something else.  What it cannot do it says, once a second at most, and ends when it is told to.

One cluster of two serves all tests here.
"""

import os
import pwd
import re
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from lab import process, programs
from lab.cluster import Cluster
from lab.node import Node, free_ports
from lab.own import own_directory
from lab.wait import until

# Each of these decides how libpq connects, if it is let.
HOSTILE = {
    "PGSSLMODE": "verify-full",
    "PGSSLCERTMODE": "require",
    "PGREQUIREAUTH": "none",
    "PGGSSENCMODE": "require",
    "PGCONNECT_TIMEOUT": "nonsense",
    "PGLOADBALANCEHOSTS": "nonsense",
    "PGSSLMINPROTOCOLVERSION": "TLSv1.3",
}


@pytest.fixture(scope="module")
def two():
    """n1's data directory is behind a link; both have such an environment, and certificates at home."""
    base, held = own_directory("fh-places-")
    cluster = Cluster(base / "c", names=("n1", "n2"), first_port=5701)
    cluster.create()
    home = base / "home"
    (home / ".postgresql").mkdir(parents=True)
    for name in ("root.crt", "postgresql.crt", "postgresql.key"):
        (home / ".postgresql" / name).write_text("not a certificate\n")
        (home / ".postgresql" / name).chmod(0o644)
    founder = cluster.nodes[0]
    real = founder.directory / "elsewhere" / "real"
    real.mkdir(parents=True, mode=0o700)
    founder.data.symlink_to(real)
    for node in cluster.nodes:
        node.environment = {**HOSTILE, "HOME": str(home)}
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.destroy()
        shutil.rmtree(base, ignore_errors=True)
        os.close(held)


def another(cluster: Cluster, name: str, **settings: str) -> Node:
    """A node of the same lock that was never started."""
    (port,) = free_ports(1, 5801)
    shared = {"fawkes_ha.cluster_name": "db-demo-dev", "fawkes_ha.lock": f"dir:{cluster.lock}", **settings}
    node = Node(name, cluster.base / name, cluster.sockets, port, shared)
    node.directory.mkdir()
    node.prepare(cluster.passwords["replication"])
    return node


def most_in_a_second(log: Path) -> tuple[int, str]:
    """How often the same was said within one second of the log, and what."""
    lines = re.findall(r"^(\d{4}-\S+T\d\d:\d\d:\d\d)\.\d+Z \[\w+\] (.*?)(?: \(and \d+ times.*)?$", log.read_text(), re.MULTILINE)
    text, count = Counter(lines).most_common(1)[0]
    return count, text[1]


def test_neither_environment_nor_home_keeps_a_member_out(two: Cluster) -> None:
    """Nothing that libpq reads from there decides how members connect: it clones, streams and is rewound."""
    leader = two.wait_all_stream()
    standby = two.others(leader)[0]
    assert "cloned in" in standby.log.read_text()
    assert leader.command("switchover", "--to", standby.name).returncode == 0
    assert two.wait_all_stream() is standby
    assert standby.command("reinit", leader.name).returncode == 0
    two.wait_all_stream()


def test_a_founder_behind_a_link(two: Cluster) -> None:
    """The cluster is made where the link leads, and the link stays."""
    founder = two.nodes[0]
    assert founder.data.is_symlink()
    assert (founder.data.resolve() / "PG_VERSION").exists()


def test_a_wrong_cluster_name_is_told(two: Cluster) -> None:
    """A member that waits for a cluster which is not there says which are."""
    node = another(two, "n3", **{"fawkes_ha.cluster_name": "db-demo-prod"})
    node.start()
    node.wait_for_log('there is no cluster "db-demo-prod" in this lock, but db-demo-dev: is fawkes_ha.cluster_name right?')
    assert node.stop() == 0


def test_an_empty_lock_is_told(two: Cluster) -> None:
    empty = two.base / "empty"
    empty.mkdir(mode=0o700)
    node = another(two, "n4", **{"fawkes_ha.lock": f"dir:{empty}"})
    node.start()
    node.wait_for_log('there is no cluster "db-demo-dev" in this lock: its founder has not started')
    assert node.stop() == 0


def test_a_directory_of_something_else(two: Cluster) -> None:
    """It is left alone, the reason is said and not shouted, and the node ends when it is told to."""
    node = another(two, "n5")
    node.data.mkdir(mode=0o700)
    (node.data / "file").write_text("x")
    node.start()
    node.wait_for_log("is not empty and holds no data of PostgreSQL: nothing is ever overwritten")
    said = node.log.stat().st_size
    until("it was said again", lambda: node.log.read_text().count("nothing is ever overwritten") >= 2, 60)
    assert most_in_a_second(node.log)[0] == 1
    assert node.log.stat().st_size - said < 10_000
    assert node.stop() == 0
    assert [path.name for path in node.data.iterdir()] == ["file"]


def test_a_lock_that_lasts_to_fail_is_no_flood(two: Cluster) -> None:
    """No message more than once a second from one cause: as with a full disk, of which each turn would tell."""
    leader = two.wait_all_stream()
    ends = {node: node.log.stat().st_size for node in two.nodes}
    two.lock.chmod(0o500)
    try:
        for node, since in ends.items():
            node.wait_for_log("could not create a file in", since=since)
        # What follows is said for as long as it lasts: some of it is waited for.
        began = time.monotonic()
        until("some seconds of it were logged", lambda: time.monotonic() - began > 6, 30)
    finally:
        two.lock.chmod(0o700)
    for node, since in ends.items():
        tail = node.log.read_bytes()[since:].decode(errors="replace")
        lines = Counter(
            (line[:19].replace("T", " "), re.sub(r"\d+", "", line[line.find("could not create") :]))
            for line in tail.splitlines()
            if "could not create a file in" in line
        )
        assert max(lines.values()) <= 4, lines.most_common(3)
    assert two.wait_all_stream() in (leader, *two.nodes)


def test_a_settings_file_that_everybody_may_write(two: Cluster) -> None:
    node = another(two, "n6")
    (node.state / "fawkes_ha.conf").chmod(0o666)
    done = programs.run("fawkes-ha", "run", "-D", node.data, timeout=30)
    assert done.returncode == 2 and "(mode 0666), and so have programs run: chmod 600 it" in done.stderr


def test_a_database_that_was_there_before(two: Cluster) -> None:
    """Adopted as docs/operations.md says: its data founds a cluster, gets a password, and another member clones it.

    Nothing is founded while the programs are of another major version.  A clone that fails again and again is no
    PostgreSQL that starts.
    """
    lock = two.base / "adopted"
    lock.mkdir(mode=0o700)
    shared = {"fawkes_ha.cluster_name": "db-old-dev", "fawkes_ha.lock": f"dir:{lock}"}
    old = another(two, "n8", **shared, **{"fawkes_ha.bootstrap": "initdb"})
    (old.state / "pgpass").unlink()
    programs.must_run("initdb", "-D", old.data, "-U", "postgres", "--auth-local=peer", "--auth-host=scram-sha-256")
    with (old.data / "pg_ident.conf").open("a") as ident:
        ident.write(f"fawkes_ha {pwd.getpwuid(os.getuid()).pw_name} postgres\n")
    (old.data / "pg_hba.conf").write_text(
        "local all postgres peer map=fawkes_ha\nlocal all all scram-sha-256\n"
        "host replication fawkes_replication all scram-sha-256\nhost all all all scram-sha-256\n"
    )
    version = (old.data / "PG_VERSION").read_text()
    (old.data / "PG_VERSION").write_text("9\n")
    old.start()
    old.wait_for_log(f'but "{old.data}" is of 9: name the directory of the right ones with --bin')
    shown = old.command("status")
    assert shown.returncode == 1 and "there is no cluster" in shown.stderr, shown
    (old.data / "PG_VERSION").write_text(version)
    old.wait_for_log("this member leads")
    assert (old.state / "pgpass").stat().st_mode & 0o777 == 0o600
    second = another(two, "n9", **shared)
    (second.state / "pgpass").write_text("*:*:*:fawkes_replication:another\n")
    second.start()
    until("status says that it fails", lambda: "preparation fails here" in old.command("status").stdout)
    second.stop()
    assert "n9 was stopped" in (shown := old.command("status").stdout), shown
    shutil.copy(old.state / "pgpass", second.state / "pgpass")
    second.start()
    until("it streams from it", lambda: second.standing() == ("streams", old.port), 60)
    second.stop()
    (second.data / "PG_VERSION").write_text("9\n")
    second.start()
    until("status says why", lambda: "n9 cannot start PostgreSQL: the programs in" in old.command("status").stdout)
    second.stop()
    old.stop()


def test_a_lock_of_liveness_that_cannot_be_taken(two: Cluster) -> None:
    """As on a filesystem that has become read-only: it is said once a second, and SIGTERM ends the supervisor."""
    node = two.others(two.wait_all_stream())[0]
    since = node.log.stat().st_size
    lock = node.state / "life"
    lock.rename(node.state / "life.aside")
    lock.mkdir()
    process.send([node.postmaster_pid], signal.SIGKILL)
    node.wait_for_log(f'could not open "{lock}"', since=since)
    began = time.monotonic()
    until("it lasts for some seconds", lambda: time.monotonic() - began > 3, 30)
    tail = node.log.read_bytes()[since:].decode(errors="replace")
    said = Counter(line[:19] for line in tail.splitlines() if f'could not open "{lock}"' in line)
    assert max(said.values()) == 1, said
    node.stop(30)
    lock.rmdir()
    (node.state / "life.aside").rename(lock)
    node.start()
    two.wait_all_stream()
