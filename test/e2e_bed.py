"""The end-to-end bed holds what its users take for granted: `make e2e-bed`.

With pods that have nothing of fawkes_ha in them: what fails here is the bed.
"""

import os
import signal
import sys
from pathlib import Path

from lab import process
from lab.kube_node import CGROUPS
from lab.kube_nodes import Nodes
from lab.report import Timeline
from lab.wait import until

IMAGE = "localhost/writers:e2e"
# Says who it is, and what it finds on its disk after it has noted one more start there.
SERVER = """
import http.server, os
open("/data/starts", "a").write("x")
starts = len(open("/data/starts").read())
class Name(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"%s %d" % (os.uname().nodename.encode(), starts))
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("", 8080), Name).serve_forever()
"""
ASK = """
import sys, urllib.request
for _ in range(int(sys.argv[2])):
    try: print(urllib.request.urlopen("http://%s:8080" % sys.argv[1], timeout=1).read().decode())
    except OSError as error: print("none:", error)
"""
NAMES = ["set-1", "set-2", "set-3"]


def container(command: list[str]) -> dict:
    return {"name": "main", "image": IMAGE, "imagePullPolicy": "Never", "command": command}


def objects() -> list[dict]:
    labels = {"app": "set"}
    apart = {"labelSelector": {"matchLabels": labels}, "topologyKey": "kubernetes.io/hostname"}
    server = container(["python3", "-c", SERVER]) | {
        "readinessProbe": {"httpGet": {"port": 8080}, "periodSeconds": 1},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    pod = {
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}},
        "terminationGracePeriodSeconds": 1,
        "containers": [server],
    }
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    sets = {
        "serviceName": "set",
        "replicas": len(NAMES),
        "ordinals": {"start": 1},
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
    }
    client = {"nodeName": "n4", "terminationGracePeriodSeconds": 0, "containers": [container(["sleep", "infinity"])]}
    service = {"selector": labels, "ports": [{"port": 8080}]}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "set"}, "spec": service},
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "set"}, "spec": sets},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "client"}, "spec": client},
    ]


class Bed:
    """What is tested, in this order, each on what the one before has left whole."""

    def __init__(self, kube: Nodes) -> None:
        self.kube = kube
        self.namespace = kube.namespace("bed")

    def pod(self, name: str) -> dict:
        return self.kube.pod_object(self.namespace, name)

    def wait_ready(self, *names: str) -> None:
        for name in names:
            path = f"/api/v1/namespaces/{self.namespace}/pods/{name}"
            until(f"{name} is ready", lambda path=path: self.kube.is_ready(path), 120)

    def ask(self, whom: str, pod: str = "client", times: int = 1) -> str:
        command = ["exec", "-n", self.namespace, pod, "--", "python3", "-c", ASK, whom, times]
        return self.kube.must_kubectl(*command).strip()

    def wait_starts(self, name: str, starts: int) -> None:
        self.wait_ready(name)
        until(f"{name} has started {starts} times on one disk", lambda: self.ask_pod(name) == f"{name} {starts}", 60)

    def ask_pod(self, name: str) -> str:
        return self.ask(self.pod(name)["status"]["podIP"])

    def answers(self, pod: str = "client", times: int = 30) -> set[str]:
        """Who answers under the Service's address, or does not."""
        address = self.kube.get(f"/api/v1/namespaces/{self.namespace}/services/set")["spec"]["clusterIP"]
        return {line.split()[0] for line in self.ask(address, pod, times).splitlines()}

    def a_stateful_set_runs_apart_with_ordinals_from_1(self) -> None:
        for node in self.kube.nodes[:3]:
            self.kube.volume(node)
        self.kube.must_kubectl("config", "set-context", "lab", f"--namespace={self.namespace}")
        self.kube.apply(*objects())
        self.wait_ready(*NAMES, "client")
        assert {self.pod(name)["spec"]["nodeName"] for name in NAMES} == {"n1", "n2", "n3"}

    def a_service_leads_to_all_also_from_their_own_nodes(self) -> None:
        for pod in ("client", *NAMES):
            until(f"{pod} reaches all of them", lambda pod=pod: self.answers(pod) == set(NAMES))

    def a_deleted_pod_comes_back_to_its_disk(self) -> None:
        self.wait_starts("set-1", 1)
        uid = self.pod("set-1")["metadata"]["uid"]
        self.kube.must_kubectl("delete", "pod", "set-1", "-n", self.namespace)
        until("there is a new set-1", lambda: self.pod("set-1")["metadata"]["uid"] != uid)
        self.wait_starts("set-1", 2)

    def a_killed_process_is_started_again(self) -> None:
        pids = self.kube.processes(self.namespace, "set-2", "main")
        assert [process.title(pid)[:10] for pid in pids] == ["python3 -c"]
        process.send(pids, signal.SIGKILL)
        until("the API counts a restart", lambda: self.pod("set-2")["status"]["containerStatuses"][0]["restartCount"] == 1)
        self.wait_starts("set-2", 2)

    def a_stopped_process_accepts_and_is_silent(self) -> None:
        process.stop_all(lambda: self.kube.processes(self.namespace, "set-2", "main"))
        assert self.ask_pod("set-2") == "none: timed out"
        process.send(self.kube.processes(self.namespace, "set-2", "main"), signal.SIGCONT)
        self.wait_starts("set-2", 2)

    def a_node_without_power_is_silent_and_comes_back_with_its_disk(self) -> None:
        node = self.kube.node(self.pod("set-3")["spec"]["nodeName"])
        address, pids = self.pod("set-3")["status"]["podIP"], self.kube.processes(self.namespace, "set-3")
        assert pids
        node.kill()
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
        # Its neighbours find nobody at its address, and nobody says that nobody listens.
        heard = self.ask(address)
        assert heard in ("none: timed out", "none: <urlopen error timed out>", "none: " + NO_ROUTE), heard
        node.up()
        self.wait_starts("set-3", 2)
        until("set-3 is in the Service again", lambda: self.answers() == set(NAMES))

    def a_cut_node_goes_on_and_is_reached_again_when_healed(self) -> None:
        node = self.kube.node(self.pod("set-3")["spec"]["nodeName"])
        pids = self.kube.processes(self.namespace, "set-3")
        node.cut()
        heard = self.ask_pod("set-3")
        assert heard in ("none: timed out", "none: <urlopen error timed out>"), heard
        path = f"/api/v1/nodes/{node.name}"
        until("the API gives the node up", lambda: not self.kube.is_ready(path), 120)
        node.heal()
        until("the node is Ready again", lambda: self.kube.is_ready(path))
        self.wait_starts("set-3", 2)
        assert self.kube.processes(self.namespace, "set-3") == pids

    def nodes_go_on_without_the_api(self) -> None:
        self.kube.api.stop()
        assert all(node.runs for node in self.kube.nodes)
        self.kube.api.start()
        self.kube.wait_ready()
        self.wait_starts("set-3", 2)


NO_ROUTE = "<urlopen error [Errno 113] No route to host>"
CHECKS = [check for name, check in vars(Bed).items() if name.startswith(("a_", "nodes_"))]


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    say = Timeline()
    kube = Nodes(Path(os.environ["FAWKES_IMAGES"]), count=4)
    with kube:
        say("four nodes are Ready")
        bed = Bed(kube)
        for check in CHECKS:
            try:
                check(bed)
            except BaseException:
                print(kube.kubectl("get", "pods,events,persistentvolumes", "-A", "-o", "wide").stdout)
                print(kube.log_tails(15), file=sys.stderr)
                raise
            say(f"passed: {check.__name__.replace('_', ' ')}")
    left = [path for path in (kube.base, *CGROUPS.glob(f"*/{kube.base.name}")) if path.exists()]
    assert not left and not Path("/sys/class/net/switch").exists(), left
    say("passed: nothing is left")
    return 0


if __name__ == "__main__":
    sys.exit(main())
