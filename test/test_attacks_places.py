"""Attacks on where a node's data lies: a mount point, pg_wal as a link, tablespaces.

One cluster serves all tests here.  What a clone cannot swap is refused before anything is touched.
"""

import os
import shutil
import subprocess

import pytest

from lab import programs
from lab.cluster import Cluster
from lab.node import Node
from lab.session import Error
from lab.steps import revive, wait_all_the_same
from lab.wait import until


def standby_in_need_of_a_clone(cluster: Cluster) -> tuple[Node, int]:
    """Stopped, and marked as one whose rewind did not end; it, and the end of its log."""
    node = cluster.others(revive(cluster))[0]
    node.stop()
    (node.state / "damaged").touch()
    return node, node.log.stat().st_size


def refused_untouched(node: Node, sentence: str, since: int) -> None:
    node.wait_for_log(sentence, since=since)
    node.wait_for_log("could not clone", since=since)
    assert not node.data.with_name("data.clone").exists() and not node.data.with_name("data.old").exists()
    assert programs.control_data(node.data)["Database cluster state"] == "shut down in recovery"
    node.stop()


def test_pg_wal_as_a_link(cluster: Cluster) -> None:
    """S11: it serves, but is not cloned over: the link would be lost, and what it names left behind."""
    node = cluster.others(revive(cluster))[0]
    node.stop()
    wal = node.directory / "wal"
    shutil.move(node.data / "pg_wal", wal)
    (node.data / "pg_wal").symlink_to(wal)
    node.start()
    node, at = standby_in_need_of_a_clone(cluster)
    node.start()
    refused_untouched(node, 'pg_wal" is a symbolic link', at)
    (node.data / "pg_wal").unlink()
    shutil.move(wal, node.data / "pg_wal")
    wait_all_the_same_after_clone(cluster, node)


def test_tablespaces_in_the_old_data(cluster: Cluster) -> None:
    """S11: a link in pg_tblspc names data that a clone would leave behind."""
    node, at = standby_in_need_of_a_clone(cluster)
    link = node.data / "pg_tblspc" / "16999"
    link.symlink_to(cluster.base)
    node.start()
    refused_untouched(node, "has tablespaces", at)
    link.unlink()
    wait_all_the_same_after_clone(cluster, node)


def test_a_mount_point(cluster: Cluster) -> None:
    """S11: no rename moves a mount point: said before the leader's data is copied, not after."""
    node, at = standby_in_need_of_a_clone(cluster)
    under = ["unshare", "--user", f"--map-user={os.getuid()}", f"--map-group={os.getgid()}", "--keep-caps", "--mount"]
    under += ["sh", "-c", f'mount --bind "{node.data}" "{node.data}" && exec "$@"', "sh"]
    if subprocess.run([*under, "true"], capture_output=True).returncode != 0:
        (node.state / "damaged").unlink()
        node.start()
        pytest.skip("the kernel gives no user and mount namespaces here (it does not in a chroot)")
    node.start(under=under)
    refused_untouched(node, "is a mount point", at)
    wait_all_the_same_after_clone(cluster, node)


def wait_all_the_same_after_clone(cluster: Cluster, node: Node) -> None:
    node.start()
    wait_all_the_same(cluster)
    assert not (node.state / "damaged").exists()
    until("what the clone replaced is gone", lambda: not node.data.with_name("data.old").exists())


def test_a_tablespace_outside_the_data_directory(cluster: Cluster) -> None:
    """S7: on one machine all members would write the same files: refused on the primary, with the reason."""
    leader = revive(cluster)
    place = cluster.base / "space"
    place.mkdir()
    with leader.session() as session:
        with pytest.raises(Error) as refusal:
            session.query(f"CREATE TABLESPACE space LOCATION '{place}'", timeout=20)
    assert refusal.value.pgcode == "0A000"
    assert "each of them would write the same files" in str(refusal.value.diag.message_detail)
    assert list(place.iterdir()) == []
