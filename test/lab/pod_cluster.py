"""The cluster of deploy/db-focalboard-dev on real nodes, and those who write to it."""

import base64
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import evidence
from .kube_nodes import Nodes
from .wait import now, until

TREE = Path(__file__).parents[2]
NAMESPACE = "fawkes"
NAME = "db-focalboard-dev"
CREDENTIALS = "db-focalboard-credentials"
DATABASE = "focalboard"
IMAGE = "localhost/fawkes-ha"
TAG = "e2e"
SETTLE_S = 180

CLIENTS = 8  # on a node that has no member, half of them with a new session each second
FIRST_NEAR = 100  # numbers of the writers on the members' own nodes


@dataclass(frozen=True)
class Write:
    """One acknowledged row; `port` and `timeline` are what evidence.overlap() wants."""

    at: float
    writer: int
    row: int
    port: str  # the server's address
    timeline: int
    position: int  # of the WAL, at or before the commit record


class PodCluster:
    def __init__(self, kube: Nodes, lease: str | None = None) -> None:
        self.kube = kube
        self._lease = lease
        self._read: dict[Path, int] = {}  # how much of each file of acknowledgements is in
        self._writes: list[Write] = []

    # --- to be

    def create(self) -> float:
        """Secrets and objects, as the README says; returns the seconds from `apply` to three healthy members."""
        words = [TREE / "deploy/secrets", NAMESPACE, NAME, CREDENTIALS, DATABASE]
        secrets = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        self.kube.must_kubectl("create", "-f", "-", stdin=secrets)
        text = self.kube.must_kubectl("kustomize", TREE / "deploy/db-focalboard-dev")
        text = text.replace(f"image: {IMAGE}:15", f"image: {IMAGE}:{TAG}")
        if self._lease:
            times = zip(("lease_duration", "renew_deadline", "retry_period"), self._lease.split("/"))
            added = "".join(f"    fawkes_ha.{name} = '{seconds}s'\n" for name, seconds in times)
            text = text.replace("  fawkes_ha.conf: |\n", f"  fawkes_ha.conf: |\n{added}")
        for node in self.kube.nodes[:3]:
            self.kube.volume(node)
        began = now()
        self.kube.must_kubectl("apply", "-f", "-", stdin=text)
        self.wait_healthy(3)
        return now() - began

    def start_writers(self) -> None:
        """One pod on the last node, one writer on each of the others, each in front of -rw's address."""
        primary = self.primary()
        self.sql(primary, "CREATE TABLE writes (writer int, row bigint, PRIMARY KEY (writer, row))", DATABASE)
        self.sql(primary, f"ALTER TABLE writes OWNER TO {DATABASE}", DATABASE)
        # The cluster's namespace lets no pod write to its node.
        secret = {"username": DATABASE, "password": self.password()}
        metadata = {"name": CREDENTIALS, "namespace": "default"}
        self.kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": secret})
        script = Path(__file__).with_name("pod_writer.py")
        (self.kube.shared / script.name).write_text(script.read_text())
        pods = []
        for number, node in enumerate(self.kube.nodes):
            far = node is self.kube.nodes[-1]
            count, again = (CLIENTS, CLIENTS // 2) if far else (2, 1)
            pods.append(self._writers_pod(node.name, count, again, 0 if far else FIRST_NEAR + 10 * number))
        self.kube.apply(*pods)
        self.wait_for_writes(100)

    def _writers_pod(self, node: str, count: int, again: int, first: int) -> dict:
        address = self.kube.get(f"/api/v1/namespaces/{NAMESPACE}/services/{NAME}-rw")["spec"]["clusterIP"]
        command = f"exec python3 /var/lab/pod_writer.py {address} {DATABASE} {count} {again} {first} >>/var/lab/{node}.acks"
        mounts = {"lab": "/var/lab", "credentials": "/etc/credentials"}
        container = {
            "name": "main",
            "image": "localhost/writers:e2e",
            "imagePullPolicy": "Never",
            "command": ["/bin/sh", "-c", command],
            "volumeMounts": [{"name": name, "mountPath": path} for name, path in mounts.items()],
        }
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"writers-{node}", "namespace": "default"},
            "spec": {
                "nodeName": node,
                "terminationGracePeriodSeconds": 0,
                "containers": [container],
                "tolerations": [{"operator": "Exists"}],
                "volumes": [
                    {"name": "lab", "hostPath": {"path": "/var/lab"}},
                    {"name": "credentials", "secret": {"secretName": CREDENTIALS}},
                ],
            },
        }

    # --- to look at

    def pods(self) -> dict[str, dict]:
        found = self.kube.get(f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=cnpg.io%2Fcluster%3D{NAME}")
        return {pod["metadata"]["name"]: pod for pod in found["items"]}

    def primaries(self) -> list[str]:
        """By the label that -rw selects."""
        return [
            name for name, pod in self.pods().items() if pod["metadata"]["labels"].get("cnpg.io/instanceRole") == "primary"
        ]

    def primary(self) -> str:
        return until("one pod is labelled primary", lambda: next(iter(self.primaries()), None), SETTLE_S)

    def standby(self) -> str:
        primary = self.primary()
        return next(name for name in sorted(self.pods()) if name != primary)

    def node_of(self, pod: str):
        return self.kube.node(self.pods()[pod]["spec"]["nodeName"])

    def address_of(self, pod: str) -> str:
        return self.pods()[pod]["status"]["podIP"]

    def exec(self, pod: str, *words: object) -> str:
        return self.kube.must_kubectl("exec", "-n", NAMESPACE, pod, "-c", "postgres", "--", *words)

    def sql(self, pod: str, text: str, database: str = "postgres") -> str:
        return self.exec(pod, "psql", "-h", "/run/postgresql", "-XAtq", "-U", "postgres", "-d", database, "-c", text)

    def command(self, pod: str, *words: object) -> str:
        return self.exec(pod, "fawkes-ha", words[0], "-D", "/var/lib/postgresql/data", *words[1:])

    def wait_healthy(self, count: int, seconds: float = SETTLE_S) -> str:
        """Until that many members are ready, one leads and the others stream from it; returns it."""

        def look() -> str | None:
            pods = self.pods()
            ready = [n for n in pods if self.kube.is_ready(f"/api/v1/namespaces/{NAMESPACE}/pods/{n}")]
            primaries = self.primaries()
            if len(pods) != count or len(ready) != count or len(primaries) != 1:
                return None
            streaming = self.sql(primaries[0], "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")
            return primaries[0] if int(streaming) == count - 1 else None

        return until(f"{count} members are healthy", look, seconds, every=0.25)

    # --- what was written

    def writes(self) -> list[Write]:
        for path in sorted(self.kube.shared.glob("*.acks")):
            with open(path, "rb") as file:
                file.seek(self._read.get(path, 0))
                # The last line may be under way.
                whole = file.read().rpartition(b"\n")[0]
            if whole:
                self._read[path] = self._read.get(path, 0) + len(whole) + 1
            for line in whole.decode().splitlines():
                at, writer, row, server, timeline, position = line.split()
                self._writes.append(Write(float(at), int(writer), int(row), server, int(timeline), int(position)))
        self._writes.sort(key=lambda write: write.at)
        return self._writes

    def wait_for_writes(self, more: int, seconds: float = SETTLE_S) -> None:
        before = len(self.writes())
        until(f"{more} rows are acknowledged", lambda: len(self.writes()) >= before + more, seconds, every=0.5)

    def wait_for_all_writers(self, seconds: float = SETTLE_S) -> None:
        """Until each of them has another row acknowledged."""
        since, writers = now(), {write.writer for write in self.writes()}
        until(
            "every writer writes",
            lambda: writers <= {write.writer for write in self.writes() if write.at > since},
            seconds,
            every=0.5,
        )

    def writers_on(self, node: str) -> set[int]:
        """Their numbers, on a node that has a member."""
        number = next(i for i, found in enumerate(self.kube.nodes) if found.name == node)
        return {FIRST_NEAR + 10 * number, FIRST_NEAR + 10 * number + 1}

    def fork(self, timeline: int) -> int | None:
        """Where the primary's lineage leaves a timeline; None when it has not."""
        newest = self.timeline()
        if newest == 1:
            return None
        text = self.sql(self.primary(), f"SELECT pg_read_file('pg_wal/{newest:08X}.history')")
        for words in map(str.split, text.splitlines()):
            if words and words[0] == str(timeline):
                return evidence.lsn_number(words[1])
        return None

    def missing(self, writes: list[Write]) -> list[Write]:
        """Of the acknowledged rows, those that the primary has not."""
        text = self.sql(self.primary(), "SELECT writer || ' ' || row FROM writes", DATABASE)
        there = set(text.split("\n"))
        return [write for write in writes if f"{write.writer} {write.row}" not in there]

    def timeline(self) -> int:
        return int(self.sql(self.primary(), "SELECT timeline_id FROM pg_control_checkpoint()"))

    def password(self) -> str:
        found = self.kube.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/{CREDENTIALS}")
        return base64.b64decode(found["data"]["password"]).decode()

    def log_tails(self, lines: int = 40) -> str:
        get = ("get", "-n", NAMESPACE)
        texts = [
            self.kube.kubectl(*get, "pods,persistentvolumeclaims,persistentvolumes", "-o", "wide").stdout,
            self.kube.kubectl(*get, "events", "--field-selector=type=Warning", "--sort-by=.lastTimestamp").stdout[-4000:],
        ]
        for name in sorted(self.pods()):
            done = self.kube.kubectl("logs", "-n", NAMESPACE, name, f"--tail={lines}")
            texts.append(f"--- {name}\n{done.stdout}{done.stderr}")
        return "\n".join([json.dumps({n: p["metadata"]["labels"] for n, p in self.pods().items()}), *texts])
