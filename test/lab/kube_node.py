"""A node of the end-to-end bed: a machine with containerd, kubelet and kube-proxy, which can lose its power and its link.

Its process 1 is test/kube/node.sh, in namespaces of its own; what it has on its disk outlives a power cut.
"""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from . import process
from .component import binary
from .programs import tail
from .wait import until

if TYPE_CHECKING:
    from .kube_nodes import Nodes

SCRIPT = Path(__file__).resolve().parent.parent / "kube" / "node.sh"
CGROUPS = Path("/sys/fs/cgroup")
GATEWAY = "10.88.0.1"  # the switch itself, where the API server is
POD_NETWORKS = "10.244.0.0/16"

JOIN = """
for controller in /sys/fs/cgroup/*/; do
  [ ! -d "$controller$1" ] || echo $$ >"$controller$1/cgroup.procs"
done
exec "${@:2}"
"""
UNSHARE = ["unshare", "--cgroup", "--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc"]

CONTAINERD = """\
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:e2e"
  # A kernel may refuse a lower oom_score_adj even to root.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
"""


def run(*words: object) -> str:
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, words))}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


class KubeNode:
    """Made switched off."""

    def __init__(self, bed: "Nodes", number: int, images: Path) -> None:
        self.name = f"n{number}"
        self.address = f"10.88.0.{10 + number}"
        self.pods = f"10.244.{number}.0/24"
        self.directory = bed.base / self.name
        self.port = f"sw-{self.name}"  # of the switch
        self.is_cut = False
        self._bed = bed
        self._number = number
        self._cgroup = f"{bed.cgroup}/{self.name}"
        self._process: subprocess.Popen | None = None
        self._init = 0  # its process 1, as the bed sees it
        self._lay_out(images)

    def _lay_out(self, images: Path) -> None:
        var, etc = self.directory / "var", self.directory / "etc"
        for folder in ("lib/kubelet", "lib/cni", "log", "tmp", "lab", "volumes"):
            (var / folder).mkdir(parents=True)
        # Links: nobody writes to content and layers, only to the databases that name them.
        run("cp", "-al", images, var / "lib/containerd")
        for database in (var / "lib/containerd").rglob("*.db"):
            copy = database.with_suffix(".copy")
            shutil.copy2(database, copy)
            copy.rename(database)
        for folder in ("kubernetes", "containerd", "cni/net.d"):
            (etc / folder).mkdir(parents=True)
        (self.directory / "etc.work").mkdir()
        (etc / "containerd/config.toml").write_text(CONTAINERD)
        (etc / "cni/net.d/10-lab.conflist").write_text(json.dumps(self._network()))
        shutil.copy(self._bed.ca, etc / "kubernetes/ca.crt")
        (etc / "kubernetes/kubelet.yaml").write_text(json.dumps(self._kubelet()))
        (etc / "resolv.conf").write_text("")
        user = f"system:node:{self.name}"
        for file, who, groups in (
            ("kubelet.conf", user, ("system:nodes",)),
            ("kube-proxy.conf", "system:kube-proxy", ()),
        ):
            # With the certificate in it: on the node its file is out of sight.
            kubeconfig = self._bed.kubeconfig(who, groups)
            flat = self._bed.must_kubectl("config", "view", "--flatten", "--raw", kubeconfig=kubeconfig)
            (etc / "kubernetes" / file).write_text(flat)

    def _network(self) -> dict:
        addresses = {
            "type": "host-local",
            "dataDir": "/run/cni",
            "subnet": self.pods,
            "routes": [{"dst": "0.0.0.0/0"}],
        }
        plugins = [
            {"type": "ptp", "ipMasq": False, "ipam": addresses},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ]
        return {"cniVersion": "0.4.0", "name": "lab", "plugins": plugins}

    def _kubelet(self) -> dict:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": False},
                "x509": {"clientCAFile": "/etc/kubernetes/ca.crt"},
            },
            "authorization": {"mode": "AlwaysAllow"},
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
            "cgroupDriver": "cgroupfs",
            "cgroupsPerQOS": False,
            "enforceNodeAllocatable": [],
            "failSwapOn": False,
            # The disk and the memory are the whole machine's.
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1Mi", "imagefs.available": "1Mi"},
            "imageGCHighThresholdPercent": 100,
            "resolvConf": "/etc/resolv.conf",
            "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        }

    # --- life

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def up(self) -> None:
        """Switch it on; returns at once, wait_ready() of the bed waits."""
        if self.runs:
            raise RuntimeError(f"{self.name} is up already")
        self._make_cgroups()
        others = [node for node in self._bed.nodes if node is not self]
        (self.directory / "routes").write_text("".join(f"{node.pods} {node.address}\n" for node in others))
        arguments = [self.name, f"{self.address}/24", GATEWAY, self._cgroup]
        arguments += [self.directory, self._bed.shared, binary()]
        with open(self.directory / "console.log", "ab") as log:
            self._process = subprocess.Popen(
                # In its cgroups first: they are all that the node sees.
                ["/bin/bash", "-euc", JOIN, "join", self._cgroup, "setpriv", "--pdeathsig", "KILL", "--", *UNSHARE]
                + ["/bin/bash", str(SCRIPT), *map(str, arguments)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
            )
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        # unshare becomes the parent of the node's process 1, which runs our script when it has all namespaces.
        self._init = until(
            f"{self.name} has a process 1",
            lambda: next((int(w) for w in children.read_text().split() if "node.sh" in process.title(int(w))), 0),
            30,
            every=0.01,
        )
        run("ip", "link", "add", self.port, "type", "veth", "peer", "name", "eth0", "netns", self._init)
        run("ip", "link", "set", self.port, "master", "switch", "up")
        # For the API server's answers to pods, which come with their own addresses.
        run("ip", "route", "replace", self.pods, "via", self.address)
        self._process.stdin.write(b"\n")
        self._process.stdin.close()

    def kill(self) -> None:
        """A power cut: nothing on it runs any more, and nobody is told."""
        if self._process is None:
            return
        if self._init:
            process.send([self._init], signal.SIGKILL)
        self._process.wait(60)
        until(f"{self.name} is dead", lambda: not process_lives(self._init), every=0.01)
        # It goes with the namespace of its other end, but not at once.
        until(f"{self.port} is unplugged", lambda: not Path(f"/sys/class/net/{self.port}").exists(), every=0.01)
        self._process, self._init = None, 0
        remove_cgroups(self._cgroup)

    def cut(self) -> None:
        """Nothing passes its link any more, in either direction, and nobody is told."""
        run("nft", "add", "element", "bridge", "lab", "cut", f"{{ {self.port} }}")
        self.is_cut = True

    def heal(self) -> None:
        if self.is_cut:
            run("nft", "delete", "element", "bridge", "lab", "cut", f"{{ {self.port} }}")
            self.is_cut = False

    # --- what runs on it

    def container_processes(self, container: str) -> list[int]:
        """Of a container by its id ("containerd://..." or bare), as the bed sees them."""
        files = (CGROUPS / "pids" / self._cgroup.lstrip("/") / "k8s.io" / container.rpartition("/")[2]).rglob("*.procs")
        return sorted(int(word) for file in files for word in file.read_text().split())

    def inside(self, *words: object) -> str:
        """A command on the node itself, as root."""
        return run("nsenter", f"--target={self._init}", "--net", "--mount", "--pid", "--uts", "--ipc", *words)

    def log_tails(self, lines: int = 30) -> str:
        logs = [self.directory / "console.log", *(self.directory / "var/log").glob("*.log")]
        return "\n".join(f"--- {self.name}: {log.stem}\n{tail(log, lines)}" for log in logs)

    # --- cgroups

    def _make_cgroups(self) -> None:
        for controller in controllers():
            folder = controller / self._cgroup.lstrip("/")
            folder.mkdir(parents=True, exist_ok=True)
            if controller.name == "cpuset":
                # A new one has neither, and nothing can run in it.
                for file in ("cpuset.cpus", "cpuset.mems"):
                    for level in (folder.parent, folder):
                        (level / file).write_text((controller / file).read_text())


def process_lives(pid: int) -> bool:
    found = process.look(pid)
    return found is not None and found.lives


def controllers() -> list[Path]:
    return [path for path in CGROUPS.iterdir() if path.is_dir() and not path.is_symlink()]


def remove_cgroups(name: str) -> None:
    """Those of that name, in every controller, with all below them; nothing runs in them any more."""

    def remove(top: Path) -> bool:
        for folder, _, _ in os.walk(top, topdown=False):
            os.rmdir(folder)
        return True

    for controller in controllers():
        top = controller / name.lstrip("/")
        if top.is_dir():
            # Whoever was killed may be in it for a moment longer.
            until(f"{top} is empty", lambda top=top: remove(top), 30)
