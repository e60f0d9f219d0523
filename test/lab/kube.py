"""A real Kubernetes control plane on loopback: etcd, kube-apiserver, kube-controller-manager.

    with ControlPlane() as kube:
        namespace = kube.namespace()
        kube.kubectl("get", "leases", "-n", namespace)

An ordinary user's processes, which end with the test's; all files lie in a directory of the
bed's own.  There is no node: pods that are made stay as they are, until a test plays the
kubelet.  docs/testing.md says what it is made of.
"""

import base64
import http.client
import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

from . import process
from .component import Component, binary
from .http import Answer
from .own import Port, own_directory
from .pki import Authority, Certificate, openssl
from .programs import tail
from .wait import until

HOST = "127.0.0.1"
ISSUER = "https://kubernetes.default.svc"
NODE = "lab"  # of all pods
LEEWAY_S = 60  # which the API server gives the clock of whoever made a token
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
# What ServiceAccounts ask is logged as it comes in, watches included; the controllers' own are in kube-system.
AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["ResponseStarted", "ResponseComplete", "Panic"],
    "rules": [
        {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
        {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
        {"level": "None"},
    ],
}


class OverSocket(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class ApiServer(Component):
    """One kube-apiserver; `extra` are more arguments, which may be changed while it is not running."""

    def __init__(self, kube: "ControlPlane", number: int, extra: tuple[str, ...]) -> None:
        self._port = Port(6301)
        self.port = self._port.number
        self.extra = list(extra)
        self._fixed = kube.api_arguments(self.port)
        name = "kube-apiserver" if number == 1 else f"kube-apiserver.{number}"
        super().__init__(name, kube.base, self._fixed, lambda: kube.request("GET", "/readyz", api=self).status == 200)

    def start(self, seconds: float = 120) -> None:
        self.arguments = self._fixed + self.extra
        super().start(seconds)

    def free(self) -> None:
        self._port.free()


class Candidate(Component):
    """A leader election candidate of client-go that contends for a Lease; see test/kube/candidate.go."""

    def __init__(self, directory: Path, identity: str, arguments: list[str]) -> None:
        super().__init__(f"candidate.{identity}", directory, arguments, lambda: True)
        self.output = directory / f"{self.name}.events"
        self.identity = identity

    def events(self) -> list[tuple[str, str]]:
        """In order: ("leading", Unix time in ms), ("stopped", the same), ("leader", identity)."""
        lines = self.output.read_text().splitlines(keepends=True) if self.output.exists() else []
        # The last line may be half written.
        return [tuple(line.split(None, 1)) for line in map(str.rstrip, filter(lambda line: line[-1] == "\n", lines))]

    @property
    def leads(self) -> bool:
        own = [word for word, _ in self.events() if word != "leader"]
        return self.runs and own[-1:] == ["leading"]


class ControlPlane:
    """`api`, `etcd` and `controllers` are the components: kill(), freeze(), thaw(), stop(), start()."""

    # No kubelet keeps a node's Lease fresh: that controller would mark every pod unready.
    which_controllers = "*,-node-lifecycle-controller"

    def __init__(
        self,
        extra_api_args: tuple[str, ...] = (),
        directory: Path | None = None,
        outlives: bool = False,
        address: str = HOST,
    ) -> None:
        """In a directory of its own, or in `directory`, whatever is there; outlives: this process's end."""
        self.address = address  # of the API server
        if directory is None:
            self.base, self._lock = own_directory("fh-kube-")
        else:
            process.kill_all(lambda: [pid for pid in process.look_at_all() if process.works_under(pid, directory)])
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(parents=True, mode=0o700)
            self.base, self._lock = directory.resolve(), -1
        self._outlives = outlives
        self._socket = self.base / "etcd.sock"
        self._extra = extra_api_args
        self._components: list[Component] = []
        try:
            self._make_pki()
            (self.base / "audit.policy").write_text(json.dumps(AUDIT))
            self.etcd = self._add(Component("etcd", self.base, self._etcd_arguments(), self._etcd_is_healthy))
            self.api = self._add(ApiServer(self, 1, extra_api_args))
            self._admin = self.kubeconfig()
            self.controllers = self._add(
                Component("kube-controller-manager", self.base, self._controllers_arguments(), self._controllers_work)
            )
        except BaseException:
            self.stop()
            raise

    def _add(self, component):
        component.outlives = self._outlives
        self._components.append(component)
        return component

    # --- life

    def __enter__(self) -> "ControlPlane":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when all are ready; when one will not be, all are gone, and the exception has its last words."""
        try:
            for component in self._components:
                component.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Nothing is left: no process, no file, no port."""
        for component in reversed(self._components):
            component.kill()
            if isinstance(component, ApiServer):
                component.free()
        self._components.clear()
        shutil.rmtree(self.base, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def heal(self) -> None:
        """Everything runs again, whatever a test did to it; further API servers and candidates are gone."""
        lasting = [self.etcd, self.api, self.controllers]
        for component in self._components:
            if component not in lasting:
                component.kill()
                if isinstance(component, ApiServer):
                    component.free()
        self._components = lasting
        if self.api.extra != list(self._extra):
            self.api.kill()
            self.api.extra = list(self._extra)
        if any(component.disturbed for component in lasting):
            # After a few outages controllers wait half a minute before they look again.
            self.controllers.kill()
        for component in lasting:
            component.thaw()
            if not component.runs:
                component.start()
            component.wait_ready()
            component.disturbed = False

    def log_tails(self, lines: int = 30) -> str:
        return "\n".join(f"--- {c.name}\n{tail(c.log, lines)}" for c in self._components)

    # --- how the components are run

    def _make_pki(self) -> None:
        names = ["localhost", "kubernetes.default.svc", "kubernetes.default", "kubernetes"]
        addresses = sorted({HOST, self.address, "10.96.0.1"})
        self._authority = Authority(self.base / "pki")
        self._server = self._authority.server(
            "kube-apiserver", [f"DNS:{name}" for name in names] + [f"IP:{address}" for address in addresses]
        )
        self._service_accounts = self._authority.signing_key("service-accounts")
        admin = self._authority.client("admin", ("system:masters",))
        self._as_admin = ssl.create_default_context(cafile=str(self.ca))
        self._as_admin.load_cert_chain(admin.certificate, admin.key)
        self._as_nobody = ssl.create_default_context(cafile=str(self.ca))

    @property
    def ca(self) -> Path:
        """The certificate of the authority that vouches for the API server."""
        return self._authority.certificate

    def _etcd_arguments(self) -> list[str]:
        # etcd advertises what looks like a host and a port, and nothing else.  It is alone: nobody asks
        # there, and its peers' socket is a file of that name in its working directory.
        peer = "unix://peer:1"
        return [
            *["--name=kube", f"--data-dir={self.base}/etcd", "--logger=zap", "--log-level=error"],
            *[f"--listen-client-urls=unix://{self._socket}", "--advertise-client-urls=unix://client:1"],
            *[f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=kube={peer}"],
            # A killed etcd finds what the kernel has; a machine's disk that is slow must not stop the API server.
            "--unsafe-no-fsync",
        ]

    def api_arguments(self, port: int) -> list[str]:
        return [
            *[f"--bind-address={self.address}", f"--advertise-address={self.address}", f"--secure-port={port}"],
            *[f"--etcd-servers=unix://{self._socket}", f"--cert-dir={self.base}", f"--client-ca-file={self.ca}"],
            *[f"--tls-cert-file={self._server.certificate}", f"--tls-private-key-file={self._server.key}"],
            *["--authorization-mode=Node,RBAC", f"--service-account-issuer={ISSUER}"],
            f"--service-account-key-file={self._service_accounts}",
            f"--service-account-signing-key-file={self._service_accounts}",
            *["--service-cluster-ip-range=10.96.0.0/16", "--endpoint-reconciler-type=none"],
            "--kubelet-preferred-address-types=InternalIP",
            *[f"--audit-policy-file={self.base}/audit.policy", f"--audit-log-path={self.base}/audit.{port}.log"],
            # By itself it would wait a minute for its watches to end, after SIGTERM.
            "--shutdown-watch-termination-grace-period=1s",
        ]

    def _controllers_arguments(self) -> list[str]:
        return [
            f"--kubeconfig={self.kubeconfig('system:kube-controller-manager')}",
            f"--service-account-private-key-file={self._service_accounts}",
            f"--root-ca-file={self.ca}",
            "--use-service-account-credentials=true",
            f"--controllers={self.which_controllers}",
            # It is alone, and would end itself whenever a test takes the API away.
            "--leader-elect=false",
            *["--kube-api-qps=500", "--kube-api-burst=1000"],
            "--secure-port=0",
        ]

    def _etcd_is_healthy(self) -> bool:
        return self._etcd_answers("GET", "/health") == {"health": "true", "reason": ""}

    def _controllers_work(self) -> bool:
        return self.request("GET", "/api/v1/namespaces/default/serviceaccounts/default").status == 200

    def another_api(self, *extra: str) -> ApiServer:
        """One more API server on the same etcd, started; heal() takes it away again."""
        server = self._add(ApiServer(self, 1 + sum(isinstance(c, ApiServer) for c in self._components), extra))
        server.start()
        return server

    # --- asking

    def request(
        self,
        verb: str,
        path: str,
        body: object = None,
        token: str | None = None,
        kind: str = JSON,
        api: ApiServer | None = None,
        seconds: float = 10,
    ) -> Answer:
        """As the administrator, or with a token; OSError or HTTPException when there is no answer in time."""
        context = self._as_nobody if token else self._as_admin
        connection = http.client.HTTPSConnection(self.address, (api or self.api).port, timeout=seconds, context=context)
        headers = {"Accept": JSON, "Content-Type": kind} | ({"Authorization": f"Bearer {token}"} if token else {})
        try:
            connection.request(verb, path, None if body is None else json.dumps(body), headers)
            reply = connection.getresponse()
            return Answer(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())
        finally:
            connection.close()

    def create(self, path: str, body: dict) -> dict:
        """What the API server made of it; RuntimeError when it refuses."""
        answer = self.request("POST", path, body)
        if answer.status != 201:
            raise RuntimeError(f"POST {path}: {answer.status} {answer.text}")
        return answer.json

    def kubectl(
        self, *arguments: object, stdin: str | None = None, kubeconfig: Path | None = None, seconds: float = 120
    ) -> subprocess.CompletedProcess:
        """As the administrator, or by another kubeconfig; the caller looks at returncode, stdout and stderr."""
        return subprocess.run(
            [binary(), "kubectl", *map(str, arguments)],
            input=stdin if stdin is not None else "",
            env={"HOME": str(self.base), "KUBECONFIG": str(kubeconfig or self._admin), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=seconds,
        )

    def must_kubectl(self, *arguments: object, **more) -> str:
        done = self.kubectl(*arguments, **more)
        if done.returncode != 0:
            raise RuntimeError(f"kubectl {arguments[0]} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def namespace(self, prefix: str = "t") -> str:
        """A new namespace in which pods may be made: its default ServiceAccount is there."""
        name = f"{prefix}-{secrets.token_hex(4)}"
        self.create("/api/v1/namespaces", {"metadata": {"name": name}})
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        until(f"{account} is there", lambda: self.request("GET", account).status == 200)
        return name

    def pod(self, namespace: str, name: str, labels: dict[str, str], address: str, ready: bool = True) -> None:
        """A pod as a kubelet reports one, so that Services have it; for the API loopback is no address of a pod.

        No process belongs to it.  One of that name is changed to be ready, or not.
        """
        if self.request("GET", f"/api/v1/nodes/{NODE}").status == 404:
            self.create("/api/v1/nodes", {"metadata": {"name": NODE}})
        pods = f"/api/v1/namespaces/{namespace}/pods"
        if self.request("GET", f"{pods}/{name}").status == 404:
            container = {"name": "postgres", "image": "none"}
            spec = {"nodeName": NODE, "containers": [container]}
            self.create(pods, {"metadata": {"name": name, "labels": labels}, "spec": spec})
        condition = {"type": "Ready", "status": "True" if ready else "False"}
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": [condition]}
        answer = self.request("PATCH", f"{pods}/{name}/status", {"status": status}, kind=MERGE_PATCH)
        if answer.status != 200:
            raise RuntimeError(f"status of pod {name}: {answer.status} {answer.text}")

    def requests_of(self, namespace: str) -> list[str]:
        """What the ServiceAccounts of a namespace have asked so far, as "verb resource", in order."""
        group = f"system:serviceaccounts:{namespace}"
        asked = []
        for line in (self.base / f"audit.{self.api.port}.log").read_text().splitlines(keepends=True):
            # The last line may be half written.
            event = json.loads(line) if line.endswith("\n") else {}
            if group in event.get("user", {}).get("groups", ()):
                asked.append(f"{event['verb']} {event['objectRef']['resource']}")
        return asked

    # --- who asks

    def kubeconfig(self, user: str = "admin", groups: tuple[str, ...] = (), api: ApiServer | None = None) -> Path:
        """Of a user with a client certificate; "admin" may do everything."""
        groups = ("system:masters",) if user == "admin" else groups
        made = self._authority.client(user, groups)
        path = made.certificate.with_suffix(f".{(api or self.api).port}.kubeconfig")
        return self._write_kubeconfig(path, made, api or self.api)

    def service_account_kubeconfig(
        self, namespace: str, name: str, folder: Path, seconds: int = 3600, api: ApiServer | None = None, pod: str = ""
    ) -> Path:
        """`folder`/kubeconfig with a token of a ServiceAccount that exists; `seconds` and `pod` as in token()."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        token = self.token(namespace, name, seconds, pod)
        return self._write_kubeconfig(folder / "kubeconfig", token, api or self.api, namespace)

    def in_cluster_files(self, namespace: str, name: str, folder: Path, seconds: int = 3600) -> Path:
        """token, ca.crt and namespace in `folder`, as the kubelet lays them for a pod of that ServiceAccount.

        The three are links into a folder behind another link, which moves when this is called
        again, as the kubelet does to renew a token: all of them change at once.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        version = Path(tempfile.mkdtemp(prefix="..", dir=folder))
        for file, text in {
            "token": self.token(namespace, name, seconds),
            "ca.crt": self.ca.read_text(),
            "namespace": namespace,
        }.items():
            (version / file).write_text(text)
            if not (folder / file).is_symlink():
                (folder / file).symlink_to(f"..data/{file}")
        data, aside = folder / "..data", folder / "..data_tmp"
        before = os.readlink(data) if data.is_symlink() else None
        aside.symlink_to(version.name)
        aside.rename(data)
        if before is not None:
            shutil.rmtree(folder / before)
        return folder

    def token(self, namespace: str, name: str, seconds: int = 3600, pod: str = "") -> str:
        """A token of a ServiceAccount as pods have it, which the API server takes for `seconds`, and while `pod` is there.

        It issues none for less than ten minutes: a shorter one is a real one signed anew. What it
        took it may remember for ten seconds more.
        """
        token = self.must_kubectl(
            "create", "token", name, "-n", namespace, "--duration", f"{max(seconds, 600)}s",
            *(("--bound-object-kind", "Pod", "--bound-object-name", pod) if pod else ())
        ).strip()
        return token if seconds >= 600 else self._sign_anew(token, int(time.time()) + seconds - LEEWAY_S)

    def _sign_anew(self, token: str, expires: int) -> str:
        head, claims, _ = token.split(".")
        changed = json.loads(base64.urlsafe_b64decode(claims + "=="))
        changed |= {"exp": expires, "iat": expires - 3600, "nbf": expires - 3600}
        text = f"{head}.{url_safe(json.dumps(changed).encode())}"
        with tempfile.TemporaryDirectory(dir=self.base) as name:
            plain, signature = Path(name) / "plain", Path(name) / "signature"
            plain.write_text(text)
            openssl("dgst", "-sha256", "-sign", self._service_accounts, "-out", signature, plain)
            return f"{text}.{url_safe(signature.read_bytes())}"

    def _write_kubeconfig(self, path: Path, who: Certificate | str, api: ApiServer, namespace: str = "default") -> Path:
        if isinstance(who, Certificate):
            user = {"client-certificate": str(who.certificate), "client-key": str(who.key)}
        else:
            user = {"token": who}
        cluster = {"server": f"https://{self.address}:{api.port}", "certificate-authority": str(self.ca)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": "user", "user": user}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "user", "namespace": namespace}}],
            "current-context": "lab",
        }
        path.touch(mode=0o600)
        path.write_text(as_yaml(config))
        return path

    def candidate(
        self,
        namespace: str,
        lease: str,
        identity: str,
        duration: str = "15s",
        deadline: str = "10s",
        retry: str = "2s",
        release: bool = False,
        kubeconfig: Path | None = None,
    ) -> Candidate:
        """client-go's leader election, started; stop() ends it, and with `release` it then gives the Lease up."""
        arguments = [
            *[f"--kubeconfig={kubeconfig or self._admin}", f"--namespace={namespace}", f"--lease={lease}"],
            *[f"--identity={identity}", f"--lease-duration={duration}", f"--renew-deadline={deadline}"],
            *[f"--retry-period={retry}", f"--release={'true' if release else 'false'}"],
        ]
        candidate = self._add(Candidate(self.base, identity, arguments))
        candidate.start()
        return candidate

    # --- etcd

    def _etcd_answers(self, verb: str, path: str, body: dict | None = None) -> dict:
        connection = OverSocket(self._socket, timeout=10)
        try:
            connection.request(verb, path, None if body is None else json.dumps(body), {"Content-Type": JSON})
            reply = connection.getresponse()
            text = reply.read().decode()
            if reply.status != 200:
                raise RuntimeError(f"etcd answers {verb} {path} with {reply.status}: {text}")
            return json.loads(text)
        finally:
            connection.close()

    def revision(self) -> int:
        """etcd's current one, which is the newest resourceVersion there is."""
        answer = self._etcd_answers("POST", "/v3/kv/range", {"key": base64.b64encode(b"\0").decode()})
        return int(answer["header"]["revision"])

    def compact(self) -> int:
        """etcd forgets all revisions before the current one, which is returned.

        An API server goes on answering from its watch cache, which has the last events itself:
        see forget().
        """
        revision = self.revision()
        self._etcd_answers("POST", "/v3/kv/compaction", {"revision": str(revision), "physical": True})
        return revision

    def forget(self) -> int:
        """Whoever goes on from any resourceVersion given so far is answered 410: etcd is compacted behind
        them, and the API server, restarted, has an empty watch cache.  Returns the first revision after."""
        self.api.kill()
        self._etcd_answers("POST", "/v3/kv/put", {"key": base64.b64encode(b"fawkes-lab").decode(), "value": ""})
        revision = self.compact()
        self.api.start()
        return revision


def url_safe(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def as_yaml(value: object, depth: int = 0) -> str:
    """Block style, as kubectl writes its files; strings quoted as in JSON, which YAML allows."""
    indent = "  " * depth
    if isinstance(value, dict):
        return "".join(
            f"{indent}{key}:\n{as_yaml(inner, depth + 1)}"
            if isinstance(inner, (dict, list))
            else f"{indent}{key}: {json.dumps(inner)}\n"
            for key, inner in value.items()
        )
    if isinstance(value, list):
        return "".join(f"{indent}- " + as_yaml(inner, depth + 1).lstrip() for inner in value)
    return f"{indent}{json.dumps(value)}\n"
