"""A whole Kubernetes on one machine: the control plane of kube.py, and nodes with pods that run.

    with Nodes(images, count=4) as kube:
        kube.must_kubectl("apply", "-k", "deploy/db-focalboard-dev")
        kube.node("n1").kill()

Wants root and namespaces of its own, which test/e2e.sh makes: a switch (a bridge) with the API server on it, and a
port for each node.  When these namespaces end, so does all that runs; directories and cgroups that a killed test
left are removed by the next one.
"""

import json
import shutil
import time
from pathlib import Path

from . import process
from .component import Component
from .kube import ControlPlane
from .kube_node import CGROUPS, GATEWAY, KubeNode, remove_cgroups, run
from .wait import until

CLASS = "lab"  # the default StorageClass


class Nodes(ControlPlane):
    which_controllers = "*"

    def __init__(self, images: Path, count: int = 4) -> None:
        """`images`: the directory of a containerd that has all images that are wanted."""
        self._make_switch()
        self.nodes: list[KubeNode] = []
        super().__init__(address=GATEWAY)
        self.cgroup = f"/{self.base.name}"
        self._sweep_cgroups()
        self.shared = self.base / "shared"  # each node's /var/lab
        self.shared.mkdir()
        try:
            scheduler = [f"--kubeconfig={self.kubeconfig('system:kube-scheduler')}", "--leader-elect=false"]
            self.scheduler = self._add(
                Component("kube-scheduler", self.base, [*scheduler, "--secure-port=0"], lambda: True)
            )
            for number in range(1, count + 1):
                self.nodes.append(KubeNode(self, number, images))
        except BaseException:
            self.stop()
            raise

    # --- life

    def start(self) -> None:
        super().start()
        try:
            self.apply(self._roles(), self._storage_class())
            for node in self.nodes:
                node.up()
            self.wait_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()
        # A switched off node has mounts no more, but the files below them are the kubelet's.
        super().stop()
        if getattr(self, "cgroup", None):
            remove_cgroups(self.cgroup)
        run("ip", "link", "delete", "switch")
        run("nft", "delete", "table", "bridge", "lab")

    def wait_ready(self, seconds: float = 180) -> None:
        """Until every node that is up is Ready for the API."""
        for node in self.nodes:
            if node.runs:
                until(f"{node.name} is Ready", lambda node=node: self.is_ready(f"/api/v1/nodes/{node.name}"), seconds)

    def node(self, name: str) -> KubeNode:
        return next(node for node in self.nodes if node.name == name)

    def _sweep_cgroups(self) -> None:
        for left in (CGROUPS / "pids").glob("fh-kube-*"):
            if left.name != self.base.name and not (self.base.parent / left.name).exists():
                remove_cgroups(f"/{left.name}")

    def _make_switch(self) -> None:
        if Path("/sys/class/net/switch").exists():
            raise RuntimeError("there is a bed in this network namespace already: test/e2e.sh gives each its own")
        run("ip", "link", "set", "lo", "up")
        # An address of its own: otherwise it has that of a port, and when that node dies all others wait
        # until they ask for the API server's anew.
        run("ip", "link", "add", "switch", "address", "02:00:00:00:00:01", "type", "bridge")
        run("ip", "address", "add", f"{GATEWAY}/24", "dev", "switch")
        run("ip", "link", "set", "switch", "up")
        # Dropped, not refused: a link that is cut says nothing.
        run("nft", "add table bridge lab")
        run("nft", "add set bridge lab cut { type ifname; }")
        for chain, port in (("prerouting", "iifname"), ("postrouting", "oifname")):
            run("nft", f"add chain bridge lab {chain} {{ type filter hook {chain} priority 0; }}")
            run("nft", f"add rule bridge lab {chain} {port} @cut drop")

    # --- how the components are run

    def api_arguments(self, port: int) -> list[str]:
        kubelets = self._authority.client("kube-apiserver-kubelet-client", ("system:masters",))
        return [
            *super().api_arguments(port),
            "--endpoint-reconciler-type=lease",
            f"--kubelet-client-certificate={kubelets.certificate}",
            f"--kubelet-client-key={kubelets.key}",
        ]

    def _roles(self) -> dict:
        # Made by kubeadm elsewhere.
        return {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "lab-kube-proxy"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "system:node-proxier",
            },
            "subjects": [{"kind": "User", "name": "system:kube-proxy", "apiGroup": "rbac.authorization.k8s.io"}],
        }

    def _storage_class(self) -> dict:
        default = {"storageclass.kubernetes.io/is-default-class": "true"}
        return {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": CLASS, "annotations": default},
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "WaitForFirstConsumer",
        }

    # --- objects

    def apply(self, *objects: dict) -> None:
        self.must_kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def get(self, path: str) -> dict | None:
        """The object at that path; None when there is none."""
        answer = self.request("GET", path)
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise RuntimeError(f"GET {path}: {answer.status} {answer.text}")
        return answer.json

    def is_ready(self, path: str) -> bool:
        """A node's or a pod's condition; False when there is none, and for a pod that is being deleted."""
        found = self.get(path)
        if found is None or "deletionTimestamp" in found["metadata"]:
            return False
        conditions = found.get("status", {}).get("conditions", [])
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    # --- volumes

    def volume(self, node: KubeNode) -> str:
        """A new and empty PersistentVolume on a disk of that node, for whichever claim takes it first."""
        name = f"{node.name}-{time.monotonic_ns()}"
        (node.directory / "var/volumes" / name).mkdir()
        where = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node.name]}
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": name},
                "spec": {
                    "capacity": {"storage": "100Gi"},
                    "accessModes": ["ReadWriteOnce"],
                    "persistentVolumeReclaimPolicy": "Retain",
                    "storageClassName": CLASS,
                    "local": {"path": f"/var/volumes/{name}"},
                    "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [where]}]}},
                },
            }
        )
        return name

    def remove_volume(self, name: str) -> None:
        """One whose claim is gone; what was in it is lost."""
        path = f"/api/v1/persistentvolumes/{name}"
        node = self.node(name.partition("-")[0])
        until(f"{name} is released", lambda: self.get(path)["status"]["phase"] == "Released")
        self.must_kubectl("delete", "persistentvolume", name)
        shutil.rmtree(node.directory / "var/volumes" / name)

    # --- pods

    def pod_object(self, namespace: str, name: str) -> dict | None:
        return self.get(f"/api/v1/namespaces/{namespace}/pods/{name}")

    def processes(self, namespace: str, pod: str, container: str | None = None) -> list[int]:
        """All of a pod's containers, or of one, as the bed sees them: the API must answer."""
        found = self.pod_object(namespace, pod)
        node = self.node(found["spec"]["nodeName"])
        return [
            pid
            for status in found["status"]["containerStatuses"]
            if container in (None, status["name"]) and "running" in status["state"]
            for pid in node.container_processes(status["containerID"])
        ]

    def process_named(self, namespace: str, pod: str, container: str, words: str) -> int:
        """The one whose title begins so; a process has its parent's until it sets its own."""

        def alone() -> int:
            found = [pid for pid in self.processes(namespace, pod, container) if process.title(pid).startswith(words)]
            if len(found) != 1:
                raise RuntimeError(f"{len(found)} processes of {pod} are called {words!r}")
            return found[0]

        return until(f"one process of {pod} is called {words!r}", alone, 30)

    def log_tails(self, lines: int = 30) -> str:
        return "\n".join([super().log_tails(lines), *(node.log_tails(lines) for node in self.nodes)])
