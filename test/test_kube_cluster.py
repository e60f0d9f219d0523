"""Three nodes whose lock is a Lease of a real API server, under exactly the rights that deploy/ grants."""

import json
import os
import shutil
import sys

import pytest

from lab import events, evidence
from lab.cluster import CLUSTER_NAME
from lab.kube import MERGE_PATCH, ControlPlane
from lab.kube_cluster import SHORT, KubeCluster
from lab.load import Load
from lab.own import own_directory
from lab.wait import now, until

pytestmark = pytest.mark.kube


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane):
    base, lock = own_directory("fh-lease-")
    cluster = KubeCluster(base / "k", control_plane, SHORT)
    try:
        cluster.create()
        cluster.start()
        yield cluster
    except BaseException:
        print(cluster.log_tails(), file=sys.stderr)
        raise
    finally:
        cluster.destroy()
        shutil.rmtree(base)
        os.close(lock)


@pytest.fixture
def load(cluster: KubeCluster):
    """Whatever a test does to the control plane is over after it."""
    cluster.wait_all_stream()
    with Load(cluster) as load:
        load.wait_for_acks(100)
        yield load
        cluster.kube.heal()


def silent(_text: str) -> None:
    pass


def test_others_read_the_lease(cluster: KubeCluster) -> None:
    """`kubectl get lease` shows who leads, since when, and that it is renewed."""
    leader = cluster.wait_all_stream()
    assert leader.name in cluster.kube.must_kubectl("get", "lease", CLUSTER_NAME, "-n", cluster.namespace)
    first = cluster.lease()["spec"]
    assert first["holderIdentity"] == leader.name
    assert first["leaseDurationSeconds"] == 3
    until("it is renewed", lambda: cluster.lease()["spec"]["renewTime"] > first["renewTime"])
    assert cluster.lease()["spec"]["acquireTime"] == first["acquireTime"]


@pytest.mark.parametrize("event", ["kill-postmaster", "kill-node", "stop-node", "switchover"])
def test_events(cluster: KubeCluster, load: Load, event: str) -> None:
    """S1, S7: as on the directory lock."""
    outcome = events.run(event, cluster, load, silent)
    assert outcome.problems == []
    assert outcome.overlap_s == 0
    assert cluster.holder == cluster.wait_all_stream().name


def test_what_others_put_into_the_lease_stays(cluster: KubeCluster) -> None:
    """A label of somebody's tool is not reverted by the next renewal."""
    patch = {"metadata": {"labels": {"team": "blue"}, "annotations": {"note": "mine"}}}
    assert cluster.kube.request("PATCH", cluster.lease_path, patch, kind=MERGE_PATCH).status == 200
    version = cluster.lease()["metadata"]["resourceVersion"]
    until("it was renewed twice", lambda: int(cluster.lease()["metadata"]["resourceVersion"]) > int(version) + 1)
    metadata = cluster.lease()["metadata"]
    assert metadata["labels"]["team"] == "blue" and metadata["annotations"]["note"] == "mine"


def test_a_frozen_api_server_fences(cluster: KubeCluster, load: Load) -> None:
    """S1: nobody can renew, so nobody acknowledges and nobody is promoted; with answers again, all goes on."""
    cluster.kube.api.freeze()
    until("no row is acknowledged any more", lambda: not load.acks or load.acks[-1].at < now() - 1, 30)
    cluster.kube.api.thaw()
    leader = cluster.wait_all_stream()
    load.wait_for_acks(100)
    assert evidence.overlap(load.acks) == 0
    assert cluster.holder == leader.name


@pytest.mark.parametrize("server", ["api", "etcd"])
def test_a_server_that_is_restarted(cluster: KubeCluster, load: Load, server: str) -> None:
    """A killed API server or etcd that comes back: writes go on, the watch as well."""
    component = getattr(cluster.kube, server)
    component.kill()
    component.start()
    cluster.wait_all_stream()
    load.wait_for_acks(100)
    assert evidence.overlap(load.acks) == 0
    outcome = events.run("switchover", cluster, load, silent)
    assert outcome.problems == []


def test_rights_taken_away_and_given_back(cluster: KubeCluster, load: Load) -> None:
    """403 is an outage like any other, and is told."""
    leader = cluster.wait_all_stream()
    since = leader.log.stat().st_size
    binding = cluster.kube.must_kubectl("get", "rolebinding", "fawkes-ha", "-n", cluster.namespace, "-o", "json")
    cluster.kube.must_kubectl("delete", "rolebinding", "fawkes-ha", "-n", cluster.namespace)
    leader.wait_for_log("forbidden", 60, since)
    manifest = json.loads(binding)
    for key in ("resourceVersion", "uid", "creationTimestamp", "managedFields"):
        manifest["metadata"].pop(key, None)
    cluster.kube.must_kubectl("create", "-f", "-", stdin=json.dumps(manifest))
    cluster.wait_all_stream()
    load.wait_for_acks(100)
    assert evidence.overlap(load.acks) == 0


def test_a_candidate_of_client_go(cluster: KubeCluster, load: Load) -> None:
    """S1: it never leads while one of ours may acknowledge, nor the other way round; then ours leads again."""
    candidate = cluster.kube.candidate(
        cluster.namespace, CLUSTER_NAME, "foreign", duration="4s", deadline="3s", retry="1s", release=True
    )
    until("it has seen who leads", lambda: candidate.events())
    assert not candidate.leads
    for node in cluster.nodes:
        node.kill()
    until("it leads", lambda: candidate.leads, 60)
    count = len(load.acks)
    for node in cluster.nodes:
        node.start()
    for node in cluster.nodes:
        node.wait_for_log("foreign", 60)
    assert cluster.find_leader() is None
    assert cluster.holder == "foreign"
    assert candidate.leads
    assert len(load.acks) == count
    candidate.stop()
    leader = cluster.wait_all_stream()
    assert cluster.holder == leader.name
    load.wait_for_acks(100)
