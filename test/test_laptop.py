"""The command without a node: no data directory, no PostgreSQL and no password, only the lock."""

import json
import subprocess
from pathlib import Path

import pytest

from lab import programs
from lab.cluster import CLUSTER_NAME, Cluster
from lab.kube import ControlPlane
from lab.kube_cluster import SHORT, KubeCluster, running
from lab.wait import until

READ_ONLY = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: onlooker}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: onlooker}
rules:
  - {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: onlooker}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: onlooker}
subjects: [{kind: ServiceAccount, name: onlooker}]
"""


class Laptop:
    """Somebody who has the lock's name and what opens it; nothing of the nodes can be read by way of home."""

    def __init__(self, lock: str, home: Path) -> None:
        self.lock = lock
        self._home = home
        home.mkdir(exist_ok=True)

    def type(self, *words: str) -> subprocess.CompletedProcess:
        return programs.run(
            "fawkes-ha",
            *[*words, "--lock", self.lock, "--cluster", CLUSTER_NAME],
            env={"HOME": str(self._home), "PGPASSFILE": "/nonexistent"},
            cwd="/",
        )

    def done(self, *words: str) -> str:
        result = self.type(*words)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def refused(self, status: int, *words: str) -> str:
        result = self.type(*words)
        assert result.returncode == status, result.stdout + result.stderr
        return result.stderr

    def members(self) -> dict[str, dict]:
        return {member["member"]: member for member in json.loads(self.done("status", "-o", "json"))["members"]}


@pytest.fixture(scope="module")
def leases(control_plane: ControlPlane):
    with running(control_plane, SHORT, 6701) as cluster:
        yield cluster


def every_command(cluster: Cluster, laptop: Laptop) -> None:
    leader = cluster.wait_all_stream()
    first, second = cluster.others(leader)
    assert f"held by {leader.name}" in laptop.done("status")
    assert set(laptop.members()) == {node.name for node in cluster.nodes}

    laptop.done("pause", "--reason", "from afar")
    assert "from afar" in laptop.done("status")
    assert "already" in laptop.refused(4, "pause")
    laptop.done("resume")

    # What members obey is signed with a key that only members have.
    until("settings are signed", lambda: "settings_signature" in laptop.done("status", "-o", "json"), 60)
    assert "give -D DATA of a member" in laptop.refused(4, "set", "fawkes_ha.max_lag_on_failover=32MB")
    assert "-D" in laptop.refused(2, "set", "work_mem=8MB")

    laptop.done("restart", first.name)
    cluster.wait_all_stream()
    laptop.done("rejoin", first.name)
    laptop.done("reinit", first.name)
    cluster.wait_all_stream()

    assert first.name in laptop.done("switchover", "--to", first.name, "--dry-run")
    laptop.done("switchover", "--to", first.name)
    assert cluster.wait_all_stream() is first
    assert "moves its role" in laptop.refused(4, "failover", "--to", second.name)
    laptop.done("failover", "--to", second.name, "--force")
    assert cluster.wait_all_stream() is second

    gone = cluster.others(first, second)[0]
    assert "stop it first" in laptop.refused(4, "remove", gone.name)
    gone.stop()
    until("nobody streams from it any more", lambda: laptop.type("remove", gone.name).returncode == 0, 60)
    until("it is no member any more", lambda: gone.name not in laptop.members())
    gone.start()
    cluster.wait_all_stream()

    events = [entry["event"] for entry in json.loads(laptop.done("history", "-o", "json"))["entries"]]
    for event in ("pause", "resume", "restart", "reinit", "switchover", "failover", "remove"):
        assert event in events


def test_on_a_directory(cluster: Cluster, directory: Path) -> None:
    every_command(cluster, Laptop(f"dir:{cluster.lock}", directory))


def test_on_leases(leases: KubeCluster, directory: Path) -> None:
    """With a kubeconfig and nothing else."""
    every_command(leases, Laptop(leases.uri, directory))


def test_somebody_who_may_only_look(leases: KubeCluster, directory: Path) -> None:
    """`list` on Leases is all that looking takes; what else is asked is refused by the API server, and said."""
    leader = leases.wait_all_stream()
    leases.kube.must_kubectl("apply", "-n", leases.namespace, "-f", "-", stdin=READ_ONLY)
    folder = leases.kube.base / "onlooker"
    kubeconfig = leases.kube.service_account_kubeconfig(leases.namespace, "onlooker", folder)
    # The namespace is the kubeconfig's.
    laptop = Laptop(f"kubernetes:{kubeconfig}", directory)
    until("the rights have arrived", lambda: laptop.type("status").returncode == 0)
    assert f"held by {leader.name}" in laptop.done("status")
    laptop.done("history")
    assert "forbidden" in laptop.refused(3, "pause")
    assert leases.wait_all_stream() is leader


def test_what_cannot_be_reached_is_said(leases: KubeCluster, directory: Path) -> None:
    laptop = Laptop(f"kubernetes:{directory}/missing", directory)
    assert "could not open" in laptop.refused(3, "status")
    assert "is not the absolute path of a kubeconfig" in Laptop("kubernetes:config", directory).refused(2, "status")
    other = directory / "other"
    other.write_text(leases.kubeconfig.read_text().replace(f":{leases.kube.api.port}", ":1"))
    laptop = Laptop(f"kubernetes:{other}?namespace={leases.namespace}", directory)
    assert "the lock did not answer" in laptop.refused(3, "status")
