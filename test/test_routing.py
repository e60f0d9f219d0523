"""-rw and -ro follow: labels of pods on a real API server, and the EndpointSlices that come of them."""

import json
import os
import shutil
import sys

import pytest

from lab.kube import ControlPlane
from lab.load import Load
from lab.own import own_directory
from lab.routed import RoutedCluster
from lab.wait import now, until

pytestmark = pytest.mark.kube

DENIED = "which is tried again with pauses"


def made(control_plane: ControlPlane, pods: bool):
    base, lock = own_directory("fh-route-")
    cluster = RoutedCluster(base / "k", control_plane, pods)
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


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane):
    yield from made(control_plane, True)


@pytest.fixture
def leader(cluster: RoutedCluster):
    """All is at rest, and is left so that it comes to rest again."""
    yield cluster.wait_rest()
    for node in cluster.nodes:
        node.thaw()
        if node.supervisor_pid is None:
            node.start()
    cluster.kube.heal()


def test_labels_at_rest(cluster: RoutedCluster, leader) -> None:
    """Both labels, as CloudNativePG writes them."""
    assert cluster.label(leader) == "primary"
    assert [cluster.label(node) for node in cluster.others(leader)] == ["replica", "replica"]


def test_a_killed_node(cluster: RoutedCluster, leader) -> None:
    """The new primary alone is behind -rw while the old one's pod still counts as ready; a former primary
    that comes back is a replica and never the primary."""
    leader.kill()
    successor = cluster.wait_for_leader(besides=leader)
    cluster.wait_routed("rw", successor)
    assert cluster.label(leader) == "unhealthy"
    cluster.wait_routed("ro", *cluster.others(leader, successor))
    leader.start()

    def is_back() -> bool:
        assert cluster.behind("rw") == {successor.name}
        return leader.name in cluster.behind("ro")

    until("the former primary serves reads", is_back, 120)


def test_a_stopped_node(cluster: RoutedCluster, leader) -> None:
    """As with one that is cut off: what it believes of itself when it goes on does not reach its label."""
    leader.freeze()
    successor = cluster.wait_for_leader(besides=leader)
    cluster.wait_routed("rw", successor)
    leader.thaw()

    def is_back() -> bool:
        assert cluster.behind("rw") == {successor.name}
        return leader.name in cluster.behind("ro")

    until("the former primary serves reads", is_back, 120)


def test_a_switchover(cluster: RoutedCluster, leader) -> None:
    target = cluster.others(leader)[0]
    done = leader.command("switchover", "--to", target.name, timeout=90)
    assert done.returncode == 0, done.stderr
    cluster.wait_routed("rw", target)
    cluster.wait_rest()


def test_a_killed_postmaster(cluster: RoutedCluster, leader) -> None:
    """Whoever leads afterwards."""
    os.kill(leader.postmaster_pid, 9)
    assert cluster.behind("rw") <= {node.name for node in cluster.nodes}
    cluster.wait_rest()


def test_a_standby_that_is_cut_off(cluster: RoutedCluster, leader) -> None:
    """It cannot say so itself: the primary does."""
    standby, other = cluster.others(leader)
    standby.freeze()
    cluster.wait_routed("ro", other)
    assert cluster.label(standby) == "unhealthy"
    assert cluster.behind("rw") == {leader.name}
    standby.thaw()
    cluster.wait_rest()


def test_a_standby_that_lags(cluster: RoutedCluster, leader) -> None:
    """It streams and is connected: what it shows is old all the same.  When nobody is fit, -ro is empty."""
    standby, other = cluster.others(leader)
    with Load(cluster) as load:
        load.wait_for_acks(50)
        standby.value("SELECT pg_wal_replay_pause()")
        cluster.wait_routed("ro", other)
        assert cluster.streams(standby, leader)
        told = " ".join(leader.command("status").stdout.split())
        assert [node for node in cluster.nodes if f"{node.name} is unhealthy to readers" in told] == [standby]
        other.value("SELECT pg_wal_replay_pause()")
        cluster.wait_routed("ro")
        assert cluster.behind("rw") == {leader.name}
        count = len(load.acks)
        standby.value("SELECT pg_wal_replay_resume()")
        cluster.wait_routed("ro", standby)
        other.value("SELECT pg_wal_replay_resume()")
        cluster.wait_routed("ro", standby, other)
        load.wait_for_acks(50)
        assert len(load.acks) > count


def test_an_outage_of_the_api_server(cluster: RoutedCluster, leader) -> None:
    """The stream tells standbys where the leader is: whoever replays it stays a replica, however long it lasts."""
    sizes = {node: node.log.stat().st_size for node in cluster.nodes}
    with Load(cluster) as load:
        load.wait_for_acks(50)
        cluster.kube.api.freeze()
        began = now()
        until("rows are acknowledged two limits later", lambda: load.acks[-1].at > began + 8, 60)
        cluster.kube.api.thaw()
        assert cluster.wait_all_stream() is leader
    assert cluster.behind("rw") == {leader.name}
    assert cluster.behind("ro") == {node.name for node in cluster.others(leader)}
    for node in cluster.nodes:
        assert "unhealthy" not in node.log.read_bytes()[sizes[node] :].decode()


def test_a_pod_that_is_made_anew(cluster: RoutedCluster, leader) -> None:
    """It has its template's labels: no role.  A member that starts says what it is."""
    standby, other = cluster.others(leader)
    standby.kill()
    assert cluster.kube.request("DELETE", cluster.pod_path(standby) + "?gracePeriodSeconds=0").status == 200
    cluster.wait_routed("ro", other)
    cluster.make_pod(standby)
    standby.start()
    cluster.wait_rest()


def test_rights_on_pods_taken_away(cluster: RoutedCluster, leader) -> None:
    """The cluster goes on without labels, and says so once; given back, they are set right."""
    sizes = {node: node.log.stat().st_size for node in cluster.nodes}
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{cluster.namespace}/roles/fawkes-ha"
    role = cluster.kube.request("GET", path).json
    rules = role["rules"]
    without = [rule for rule in rules if "pods" not in rule["resources"]]
    assert len(without) < len(rules)
    assert cluster.kube.request("PUT", path, role | {"rules": without, "metadata": {"name": "fawkes-ha"}}).status == 200
    target = cluster.others(leader)[0]
    done = leader.command("switchover", "--to", target.name, timeout=90)
    assert done.returncode == 0, done.stderr
    cluster.wait_all_stream()
    target.wait_for_log(DENIED, 60, sizes[target])
    with Load(cluster) as load:
        load.wait_for_acks(100)
    assert cluster.label(leader) == "primary"
    text = target.log.read_bytes()[sizes[target] :].decode()
    # The supervisor owns the node only while PostgreSQL is not there: of one agent there is one sentence.
    assert text.count(DENIED) == 1, text
    assert cluster.kube.request("PUT", path, role | {"rules": rules, "metadata": {"name": "fawkes-ha"}}).status == 200
    assert cluster.wait_rest() is target


@pytest.mark.long
def test_a_label_changed_by_hand(cluster: RoutedCluster, leader) -> None:
    """The primary looks at all labels once a minute."""
    standby = cluster.others(leader)[0]
    cluster.set_label(standby, "primary")
    cluster.wait_routed("rw", leader, standby)
    cluster.wait_rest()
    cluster.set_label(leader, "replica")
    cluster.wait_routed("rw")
    cluster.wait_routed("rw", leader, seconds=120)
    cluster.wait_rest()


def test_members_without_pods(control_plane: ControlPlane) -> None:
    """Machines with a kubeconfig, which need no right on pods: nothing is asked, nothing is complained of."""
    for cluster in made(control_plane, False):
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{cluster.namespace}/roles/fawkes-ha"
        role = cluster.kube.request("GET", path).json
        leases = [rule for rule in role["rules"] if rule["resources"] == ["leases"]]
        role = {"apiVersion": role["apiVersion"], "kind": "Role", "metadata": {"name": "fawkes-ha"}, "rules": leases}
        cluster.kube.must_kubectl("replace", "-n", cluster.namespace, "-f", "-", stdin=json.dumps(role))
        leader = cluster.wait_all_stream()
        leader.kill()
        cluster.wait_for_leader(besides=leader)
        leader.start()
        cluster.wait_all_stream()
        for node in cluster.nodes:
            assert "pod" not in node.log.read_text()
