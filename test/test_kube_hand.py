"""The lock's Leases in other people's hands, and an API server that forgets: what members make of it."""

import json

import pytest

from lab.attack import Attack
from lab.cluster import CLUSTER_NAME
from lab.kube import MERGE_PATCH, ControlPlane
from lab.kube_cluster import SHORT, KubeCluster, running
from lab.load import Load
from lab.wait import now, until

pytestmark = pytest.mark.kube

RECORD = "fawkes-ha/record"
AWAY_S = 30  # for so long the rights are gone: ten leases


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane):
    with running(control_plane, SHORT, 6801) as cluster:
        yield cluster


@pytest.fixture
def load(cluster: KubeCluster):
    """Whatever a test does to the control plane is over after it."""
    cluster.wait_all_stream()
    with Load(cluster) as load:
        load.wait_for_acks(100)
        yield load
        cluster.kube.heal()


def record(cluster: KubeCluster) -> dict:
    return json.loads(cluster.lease()["metadata"]["annotations"][RECORD])


def patch(cluster: KubeCluster, change: dict) -> None:
    assert cluster.kube.request("PATCH", cluster.lease_path, change, kind=MERGE_PATCH).status == 200


def is_there(cluster: KubeCluster) -> bool:
    return cluster.kube.request("GET", cluster.lease_path).status == 200


def nobody_acknowledges(load: Load) -> bool:
    return not load.acks or load.acks[-1].at < now() - 1


def test_a_lease_that_is_deleted(cluster: KubeCluster, load: Load) -> None:
    """S1, S7: the primary writes it anew, in the same term, after a lease without anybody's."""
    attack = Attack(cluster, load)
    term = record(cluster)["term"]
    assert cluster.kube.request("DELETE", cluster.lease_path).status == 200
    attack.wait_for_log(attack.old, "it writes the record anew")
    assert attack.judge() is attack.old
    assert attack.nothing_happened()
    assert record(cluster)["term"] == term


def test_a_member_that_is_deleted(cluster: KubeCluster, load: Load) -> None:
    """It writes its record again, and nothing else happens."""
    attack = Attack(cluster, load)
    standby = cluster.others(attack.old)[0]
    path = f"{cluster.lease_path}-{standby.name}"
    assert cluster.kube.request("DELETE", path).status == 200
    until("it is there again", lambda: cluster.kube.request("GET", path).status == 200)
    assert attack.judge() is attack.old
    assert attack.nothing_happened()


def test_a_holder_that_is_written_by_hand(cluster: KubeCluster, load: Load) -> None:
    """S1: while the Lease names somebody else nobody acknowledges; it ends by observation, and ours lead again."""
    attack = Attack(cluster, load)
    patch(cluster, {"spec": {"holderIdentity": "somebody"}})
    until("no row is acknowledged", lambda: nobody_acknowledges(load), 30)
    attack.judge()
    assert cluster.holder == cluster.wait_all_stream().name


def test_a_record_that_is_spoilt(cluster: KubeCluster, load: Load) -> None:
    """S1: nothing is concluded from what cannot be read: the fence shuts by time, until somebody repairs it."""
    attack = Attack(cluster, load)
    good = cluster.lease()["metadata"]["annotations"][RECORD]
    patch(cluster, {"metadata": {"annotations": {RECORD: '{"kind": "cluster"}'}}})
    attack.wait_for_log(attack.old, "the cluster record cannot be used")
    until("no row is acknowledged", lambda: nobody_acknowledges(load), 30)
    patch(cluster, {"metadata": {"annotations": {RECORD: good}}})
    attack.judge()


def test_a_label_that_is_taken_away(cluster: KubeCluster, load: Load) -> None:
    """A Lease that no watch shows any more is renewed, and is shown again with that."""
    attack = Attack(cluster, load)
    patch(cluster, {"metadata": {"labels": {"fawkes-ha/cluster": None, "app.kubernetes.io/managed-by": None}}})
    until("it has its labels again", lambda: cluster.lease()["metadata"]["labels"].get("fawkes-ha/cluster"))
    assert attack.judge() is attack.old


def test_an_api_server_that_forgets(cluster: KubeCluster, load: Load) -> None:
    """410 for every watch: all is told anew, and a switchover goes through at once."""
    attack = Attack(cluster, load)
    cluster.kube.forget()
    leader = attack.judge()
    successor = cluster.others(leader)[0]
    done = leader.command("switchover", "--to", successor.name)
    assert done.returncode == 0, done.stderr
    assert cluster.wait_all_stream() is successor


def test_etcd_is_compacted_and_restarted(cluster: KubeCluster, load: Load) -> None:
    attack = Attack(cluster, load)
    cluster.kube.compact()
    cluster.kube.etcd.kill()
    cluster.kube.etcd.start()
    attack.judge()
    assert is_there(cluster)


def test_rights_that_are_gone_for_long(cluster: KubeCluster, load: Load) -> None:
    """403 for ten leases: an outage that is told, without two primaries; given back, all goes on by itself."""
    attack = Attack(cluster, load)
    name = ("rolebinding", "fawkes-ha", "-n", cluster.namespace)
    binding = json.loads(cluster.kube.must_kubectl("get", *name, "-o", "json"))
    cluster.kube.must_kubectl("delete", *name)
    gone = now()
    attack.wait_for_log(attack.old, "forbidden")
    until("ten leases are over", lambda: now() > gone + AWAY_S, 2 * AWAY_S)
    for key in ("resourceVersion", "uid", "creationTimestamp", "managedFields"):
        binding["metadata"].pop(key, None)
    cluster.kube.must_kubectl("create", "-f", "-", stdin=json.dumps(binding))
    attack.judge()
    assert cluster.lease()["metadata"]["name"] == CLUSTER_NAME
