"""A cluster each of whose members can be cut off the lock alone, while members still reach each other."""

from pathlib import Path

from .cluster import Cluster
from .kube import ControlPlane
from .kube_cluster import SHORT, KubeCluster
from .node import Node


class Part(Cluster):
    """Every node has a path of its own to the one directory lock: a link, opened anew for each request."""

    def __init__(
        self,
        base: Path,
        names: tuple[str, ...] = ("n1", "n2", "n3"),
        first_port: int = 5801,
        settings: dict[str, str] | None = None,
        ports: list[int] | None = None,
        passwords: dict[str, str] | None = None,
        listen: bool = True,
        export: bool = False,
    ) -> None:
        super().__init__(base, names, first_port, settings, ports, passwords, listen, export)
        for node in self.nodes:
            node.settings["fawkes_ha.lock"] = f"dir:{self._link(node)}"

    def _link(self, node: Node) -> Path:
        return self.base / f"lock.{node.name}"

    def create(self) -> None:
        super().create()
        self.join(*self.nodes)

    def cut(self, *nodes: Node) -> None:
        """The lock answers these nodes no more; all of them: an outage."""
        for node in nodes:
            self._link(node).unlink(missing_ok=True)

    def join(self, *nodes: Node) -> None:
        for node in nodes:
            if not self._link(node).is_symlink():
                self._link(node).symlink_to(self.lock)


class KubePart(KubeCluster):
    """Every node has an API server of its own, on one etcd: a frozen one answers its node no more."""

    def __init__(self, base: Path, kube: ControlPlane, first_port: int = 6501) -> None:
        super().__init__(base, kube, SHORT, first_port, listen=True)
        self._apis = {node: kube.another_api() for node in self.nodes}
        for node, api in self._apis.items():
            folder = kube.base / f"access.{self.namespace}.{api.port}"
            seconds = 30 * 24 * 3600
            kubeconfig = kube.service_account_kubeconfig(self.namespace, "fawkes-ha", folder, seconds, api)
            node.settings["fawkes_ha.lock"] = f"kubernetes:{kubeconfig}?namespace={self.namespace}"

    def cut(self, *nodes: Node) -> None:
        for node in nodes:
            self._apis[node].freeze()

    def join(self, *nodes: Node) -> None:
        for node in nodes:
            self._apis[node].thaw()
            if not self._apis[node].runs:
                self._apis[node].start()
