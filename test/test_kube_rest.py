"""A cluster at rest on Leases, with the times that are usual there: what it asks of the API server."""


import pytest

from lab.kube import ControlPlane
from lab.kube_cluster import KubeCluster, running
from lab.wait import until

pytestmark = pytest.mark.kube

RENEWALS = 10
# Of three members: at a renewal in 2 s, 45 requests in a minute are one and a half for each.
MOST_REQUESTS = RENEWALS * 3 // 2


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane):
    with running(control_plane, {}, 6601) as cluster:
        yield cluster


def test_times_of_kubernetes(cluster: KubeCluster) -> None:
    """PostgreSQL, who writes the Lease and whoever reads it agree about times that nobody has set."""
    cluster.wait_all_stream()
    assert cluster.lease()["spec"]["leaseDurationSeconds"] == 15
    names = [f"fawkes_ha.{name}" for name in ("lease_duration", "renew_deadline", "retry_period")]
    for node in cluster.nodes:
        assert [node.value(f"SHOW {name}") for name in names] == ["15s", "10s", "2s"]


def test_requests_at_rest(cluster: KubeCluster) -> None:
    """The primary renews; the others hear of it by their watches and ask for nothing."""
    cluster.wait_all_stream()

    def asked() -> list[str]:
        return cluster.kube.requests_of(cluster.namespace)

    def renewal() -> str:
        return cluster.lease()["spec"]["renewTime"]

    # After its start a cluster writes and looks around more than later: until it renews and no more.
    until("nothing but renewals", lambda: set(asked()[-4:]) == {"patch leases"}, 120)
    first = len(asked())
    seen = {renewal()}
    until(f"{RENEWALS} renewals", lambda: seen.add(renewal()) or len(seen) > RENEWALS, 120)
    found = asked()[first:]
    assert found.count("patch leases") >= RENEWALS
    assert len(found) <= MOST_REQUESTS, found
