"""A cluster on Leases of a real API server, whose members have pods, and Services that select them.

Nobody runs in the pods: the members are processes of this machine, as ever.  What Kubernetes makes
of their labels is real: the EndpointSlices are the controller manager's.
"""

from pathlib import Path

from .cluster import CLUSTER_NAME, Cluster
from .kube import MERGE_PATCH, ControlPlane
from .node import Node
from .wait import until

DEPLOY = Path(__file__).parents[2] / "deploy/base"
ROLE = "cnpg.io/instanceRole"
TIMING = {"lease_duration": "3s", "renew_deadline": "2s", "retry_period": "500ms", "max_replica_lag": "4s"}


class RoutedCluster(Cluster):
    """`pods`: else the members know of none, as on machines outside Kubernetes."""

    def __init__(self, base: Path, kube: ControlPlane, pods: bool = True) -> None:
        self.kube = kube
        self.namespace = kube.namespace()
        folder = base.parent / f"{base.name}.access"
        folder.mkdir()
        kube.must_kubectl("apply", "-n", self.namespace, "-f", DEPLOY / "rbac.yaml")
        kubeconfig = kube.service_account_kubeconfig(self.namespace, "fawkes-ha", folder)
        lock = f"kubernetes:{kubeconfig}?namespace={self.namespace}&cluster={CLUSTER_NAME}"
        settings = {"fawkes_ha.lock": lock} | {f"fawkes_ha.{name}": value for name, value in TIMING.items()}
        super().__init__(base, settings=settings, first_port=6601, listen=True)
        self.addresses = {node: f"10.77.0.{number}" for number, node in enumerate(self.nodes, 1)}
        if pods:
            for node in self.nodes:
                node.settings["fawkes_ha.pod"] = self.pod_name(node)
                self.make_pod(node)
            services = (DEPLOY / "services.yaml").read_text().replace(": cluster\n", f": {CLUSTER_NAME}\n")
            kube.must_kubectl("apply", "-n", self.namespace, "-f", "-", stdin=services)

    @staticmethod
    def pod_name(node: Node) -> str:
        return f"{CLUSTER_NAME}-{node.name}"

    def pod_path(self, node: Node) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.pod_name(node)}"

    def make_pod(self, node: Node) -> None:
        """As a kubelet reports one that is ready; its labels are those of a template."""
        self.kube.pod(self.namespace, self.pod_name(node), {"cnpg.io/cluster": CLUSTER_NAME}, self.addresses[node])

    def label(self, node: Node) -> str:
        """What both labels of its pod say; if they differ, both."""
        labels = self.kube.request("GET", self.pod_path(node)).json["metadata"]["labels"]
        both = {labels.get(ROLE, ""), labels.get("role", "")}
        return both.pop() if len(both) == 1 else " and ".join(sorted(both))

    def set_label(self, node: Node, serves: str) -> None:
        """As a person would."""
        patch = {"metadata": {"labels": {ROLE: serves, "role": serves}}}
        answer = self.kube.request("PATCH", self.pod_path(node), patch, kind=MERGE_PATCH)
        assert answer.status == 200, answer.text

    def behind(self, service: str) -> set[str]:
        """The members to which a Service ("rw", "ro") sends new connections, by its EndpointSlices."""
        path = f"/apis/discovery.k8s.io/v1/namespaces/{self.namespace}/endpointslices"
        slices = self.kube.request("GET", f"{path}?labelSelector=kubernetes.io/service-name%3Dcluster-{service}").json
        ready = [
            address
            for item in slices["items"]
            for endpoint in item["endpoints"] or []
            if endpoint["conditions"]["ready"]
            for address in endpoint["addresses"]
        ]
        return {node.name for node, address in self.addresses.items() if address in ready}

    def wait_routed(self, service: str, *nodes: Node, seconds: float = 60) -> None:
        wanted = {node.name for node in nodes}
        until(f"-{service} has {wanted or 'nobody'}", lambda: self.behind(service) == wanted, seconds)

    def wait_rest(self) -> Node:
        """Until all stream and the Services say so; the leader."""
        leader = self.wait_all_stream()
        self.wait_routed("rw", leader)
        self.wait_routed("ro", *self.others(leader))
        return leader
