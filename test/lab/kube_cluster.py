"""Three nodes whose lock is Leases of a real API server."""

import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from .cluster import CLUSTER_NAME, Cluster
from .kube import ApiServer, ControlPlane
from .node import Node
from .own import own_directory

RBAC = Path(__file__).parents[2] / "deploy/base/rbac.yaml"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
# As on the directory lock: tests need not wait for longer.
SHORT = {"fawkes_ha.lease_duration": "3s", "fawkes_ha.renew_deadline": "2s", "fawkes_ha.retry_period": "500ms"}


def access(kube: ControlPlane, folder: Path) -> tuple[str, Path]:
    """A new namespace, and in a new folder the kubeconfig of an account with the rights that deploy/ grants there."""
    namespace = kube.namespace()
    kube.must_kubectl("apply", "-n", namespace, "-f", RBAC)
    return namespace, kube.service_account_kubeconfig(namespace, "fawkes-ha", folder, seconds=30 * 24 * 3600)


class KubeCluster(Cluster):
    """`lease_path` is the cluster record's, as the API has it."""

    lock_kind = "kubernetes"

    def __init__(
        self,
        base: Path,
        kube: ControlPlane,
        settings: dict[str, str],
        first_port: int = 6501,
        listen: bool = False,
        export: bool = False,
    ) -> None:
        self.kube = kube
        # Beside the control plane's files: what is in base is swept away before the cluster is created.
        self.namespace, self.kubeconfig = access(kube, kube.base / f"access.{first_port}")
        self.lease_path = f"{LEASES.format(self.namespace)}/{CLUSTER_NAME}"
        self.uri = f"kubernetes:{self.kubeconfig}?namespace={self.namespace}"
        if not settings:
            self.lease_s, self.renew_deadline_s = 15.0, 10.0
        shared = {"fawkes_ha.lock": self.uri, **settings}
        super().__init__(base, settings=shared, first_port=first_port, listen=listen, export=export)

    def reach(self, api: ApiServer, *nodes: Node) -> None:
        """These nodes, started again for it, ask that API server from now on."""
        folder = self.kube.base / f"access.{self.namespace}.{api.port}"
        kubeconfig = self.kube.service_account_kubeconfig(self.namespace, "fawkes-ha", folder, api=api)
        for node in nodes:
            node.settings["fawkes_ha.lock"] = f"kubernetes:{kubeconfig}?namespace={self.namespace}"
            node.write_settings()
            node.kill()
            node.start()
            self.wait_all_stream()

    def lease(self) -> dict:
        return self.kube.request("GET", self.lease_path).json

    @property
    def holder(self) -> str:
        return self.lease()["spec"].get("holderIdentity", "")


@contextmanager
def running(kube: ControlPlane, settings: dict[str, str], first_port: int) -> Iterator[KubeCluster]:
    """Three nodes that stream, in a directory of their own that is gone afterwards; for a module's tests."""
    base, lock = own_directory("fh-lease-")
    cluster = KubeCluster(base / "k", kube, settings, first_port)
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
