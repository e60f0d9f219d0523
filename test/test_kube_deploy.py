"""deploy/ on a real API server: it takes every object, the Role allows what is used and nothing else, and members
with the settings and rights of the example make a cluster."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import programs
from lab.given import Given, logs_in
from lab.kube import ControlPlane
from lab.node import Node, free_ports
from lab.own import own_directory
from lab.session import Error, Session
from lab.wait import until

pytestmark = pytest.mark.kube

DEPLOY = Path(__file__).parents[1] / "deploy"
EXAMPLE = DEPLOY / "db-focalboard-dev"
POLICY = DEPLOY / "policy"
NAMESPACE = "fawkes"
NAME = "db-focalboard-dev"
CREDENTIALS = "db-focalboard-credentials"
READONLY = "db-focalboard-readonly-credentials"
MEMBERS = [f"{NAME}-{ordinal}" for ordinal in (1, 2, 3)]


@dataclass
class Shipped:
    """The example, applied; the pods are there, and nothing runs in them."""

    kube: ControlPlane
    objects: list[dict]

    def of(self, kind: str, name: str | None = None) -> dict:
        return next(o for o in self.objects if o["kind"] == kind and name in (None, o["metadata"]["name"]))

    def container(self) -> dict:
        return self.of("StatefulSet")["spec"]["template"]["spec"]["containers"][0]

    def secret(self, name: str) -> dict[str, str]:
        data = self.kube.request("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets/{name}").json["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}


def rendered(kube: ControlPlane) -> list[dict]:
    """Every object of the example, as JSON; kubectl alone reads the YAML."""
    text = kube.must_kubectl("kustomize", EXAMPLE)
    made = kube.must_kubectl("create", "--dry-run=client", "-o", "json", "-f", "-", stdin=text)
    decoder, found = json.JSONDecoder(), []
    while made := made.strip():
        one, end = decoder.raw_decode(made)
        found += one["items"] if one["kind"] == "List" else [one]
        made = made[end:]
    return found


def secrets_of(*words: str) -> str:
    done = subprocess.run([DEPLOY / "secrets", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def shipped(control_plane: ControlPlane):
    control_plane.must_kubectl("create", "-f", "-", stdin=secrets_of(NAMESPACE, NAME, CREDENTIALS, "focalboard"))
    try:
        # The two commands of the README, and the policy beside them.
        control_plane.must_kubectl("apply", "-k", EXAMPLE)
        control_plane.must_kubectl("apply", "-k", POLICY)
        yield Shipped(control_plane, rendered(control_plane))
    finally:
        control_plane.heal()
        control_plane.kubectl("delete", "-k", POLICY)
        control_plane.request("DELETE", f"/api/v1/namespaces/{NAMESPACE}")
        gone = lambda: control_plane.request("GET", f"/api/v1/namespaces/{NAMESPACE}").status == 404  # noqa: E731
        until("the namespace is gone", gone, 120)


# --- the objects


def test_the_api_server_takes_every_object(shipped: Shipped) -> None:
    """Strictly: a field that Kubernetes does not know is a mistake."""
    text = shipped.kube.must_kubectl("kustomize", EXAMPLE)
    done = shipped.kube.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text)
    assert done.returncode == 0 and "Warning" not in done.stderr, done.stderr
    assert len(done.stdout.splitlines()) == len(shipped.objects)


def test_an_unknown_field_is_a_mistake(shipped: Shipped) -> None:
    """The control of the test above."""
    text = shipped.kube.must_kubectl("kustomize", EXAMPLE).replace("maxUnavailable:", "mostUnavailable:")
    done = shipped.kube.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text)
    assert done.returncode != 0 and "mostUnavailable" in done.stderr


def test_all_names_are_the_clusters(shipped: Shipped) -> None:
    """Nothing of the base's own name is left, and selectors meet the pods."""
    assert {o["metadata"]["name"] for o in shipped.objects if o["kind"] != "Namespace"} == {
        NAME,
        *(f"{NAME}-{suffix}" for suffix in ("rw", "ro", "r", "pods", "settings")),
    }
    text = shipped.kube.must_kubectl("kustomize", EXAMPLE)
    assert re.findall(r":\s*\"?cluster(?:-\w+)?\"?$", text, re.MULTILINE) == []
    labels = shipped.of("StatefulSet")["spec"]["template"]["metadata"]["labels"]
    instance = {"cnpg.io/cluster": NAME, "cnpg.io/podRole": "instance"}
    application = {"name": "postgresql", "instance": NAME, "component": "database", "part-of": "fawkes-ha"}
    assert labels == instance | {f"app.kubernetes.io/{key}": value for key, value in application.items()}
    roles = {"rw": "primary", "ro": "replica", "r": None, "pods": None}
    for suffix, role in roles.items():
        # A pooler's pods carry the cluster's label too; instanceRole is a member's alone.
        wanted = {"cnpg.io/cluster": NAME, "cnpg.io/instanceRole": role} if role else instance
        service = shipped.of("Service", f"{NAME}-{suffix}")
        assert service["spec"]["selector"] == wanted
        assert service["metadata"]["labels"] == {"cnpg.io/cluster": NAME}
    assert shipped.of("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == instance
    network = shipped.of("NetworkPolicy")["spec"]
    assert network["podSelector"]["matchLabels"] == instance
    assert network["ingress"][1]["from"] == [{"podSelector": {"matchLabels": instance}}]
    # It cannot be changed where a StatefulSet is there already.
    assert shipped.of("StatefulSet")["spec"]["selector"]["matchLabels"] == {"cnpg.io/cluster": NAME}


def test_three_pods_from_1(shipped: Shipped) -> None:
    """All at once; the namespace admits restricted pods alone, and these are."""
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods"

    def names() -> list[str]:
        return sorted(pod["metadata"]["name"] for pod in shipped.kube.request("GET", pods).json["items"])

    until("the pods are there", lambda: names() == MEMBERS, 60)
    namespace = shipped.kube.request("GET", f"/api/v1/namespaces/{NAMESPACE}").json
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert shipped.container()["name"] == "postgres"
    assert shipped.container()["securityContext"]["readOnlyRootFilesystem"] is True


def test_every_container_and_volume_has_a_limit(shipped: Shipped) -> None:
    """What one pod uses up is taken from it, and not from the node's other pods."""
    assert set(shipped.container()["resources"]["limits"]) == {"memory", "ephemeral-storage"}
    volumes = shipped.of("StatefulSet")["spec"]["template"]["spec"]["volumes"]
    assert [v["name"] for v in volumes if "emptyDir" in v and "sizeLimit" not in v["emptyDir"]] == []


def test_a_pod_with_more_rights_is_not_admitted(shipped: Shipped) -> None:
    """The control of the test above."""
    template = shipped.of("StatefulSet")["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "other", **template["metadata"]}}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods?dryRun=All"
    spec = json.loads(json.dumps(template["spec"]))
    spec["volumes"].append({"name": "data", "emptyDir": {}})
    assert shipped.kube.request("POST", path, pod | {"spec": spec}).status == 201
    spec["containers"][0]["securityContext"]["capabilities"] = {"add": ["SYS_ADMIN"]}
    refused = shipped.kube.request("POST", path, pod | {"spec": spec})
    assert refused.status == 403 and "PodSecurity" in refused.text


def test_no_probe_kills_a_member_for_an_outage(shipped: Shipped) -> None:
    """No liveness probe; the startup probe asks what does not depend on the lock."""
    container = shipped.container()
    assert "livenessProbe" not in container
    assert container["startupProbe"]["httpGet"]["path"] == "/livez"
    grace = shipped.of("StatefulSet")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    settings = shipped.of("ConfigMap")["data"]["fawkes_ha.conf"]
    assert grace > 2 * int(re.search(r"shutdown_timeout = '(\d+)s'", settings)[1])


def test_secrets_are_new_each_time() -> None:
    words = (NAMESPACE, NAME, CREDENTIALS, "focalboard")
    passwords = re.findall(r"password: (\w{32})$", secrets_of(*words) + secrets_of(*words), re.MULTILINE)
    assert len(set(passwords)) == 6


# --- rights


def rights(shipped: Shipped, token: str) -> set[tuple[str, str, str]]:
    """(verb, resource, name) of all that the API server says the token may do; "" for any name."""
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": NAMESPACE}}
    answer = shipped.kube.request(
        "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review, token=token
    ).json
    return {
        (verb, resource, name)
        for rule in answer["status"]["resourceRules"]
        for verb in rule["verbs"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
    }


LEASE_NAMES = [NAME, f"{NAME}.history", *(f"{NAME}-{NAME}-{ordinal}" for ordinal in range(1, 10))]
# What everybody may: ask what they may.
EVERYBODYS = {
    ("create", f"self{what}", "") for what in ("subjectaccessreviews", "subjectrulesreviews", "subjectreviews")
}


@pytest.fixture(scope="module")
def token(shipped: Shipped) -> str:
    made = shipped.kube.token(NAMESPACE, NAME)
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
    until("the role is bound", lambda: shipped.kube.request("GET", leases, token=made).status == 200)
    return made


def test_a_member_may_do_what_it_does_and_nothing_else(shipped: Shipped, token: str) -> None:
    wanted = {(verb, "leases", name) for verb in ("get", "patch") for name in LEASE_NAMES}
    wanted |= {(verb, "leases", "") for verb in ("list", "watch", "create")}
    wanted |= {("patch", "pods", f"{NAME}-{ordinal}") for ordinal in range(1, 10)} | {("list", "pods", "")}
    wanted |= {("patch", "pods", f"{NAME}-{ordinal}") for ordinal in range(1, 10)} | {("list", "pods", "")}
    assert rights(shipped, token) - EVERYBODYS == wanted


LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
CORE = f"/api/v1/namespaces/{NAMESPACE}"
DENIED = [
    ("GET", f"{LEASES}/other"),
    ("PATCH", f"{LEASES}/other"),
    ("PUT", f"{LEASES}/{NAME}"),
    ("DELETE", f"{LEASES}/{NAME}"),
    ("DELETE", LEASES),
    ("GET", "/apis/coordination.k8s.io/v1/leases"),
    ("GET", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"),
    ("POST", "/apis/coordination.k8s.io/v1/namespaces/default/leases"),
    ("GET", f"{CORE}/secrets"),
    ("GET", f"{CORE}/secrets/{CREDENTIALS}"),
    ("GET", f"{CORE}/configmaps"),
    ("GET", f"{CORE}/configmaps/{NAME}-settings"),
    ("GET", f"{CORE}/pods/{MEMBERS[0]}"),
    ("GET", f"{CORE}/pods?watch=true"),
    ("POST", f"{CORE}/pods"),
    ("DELETE", f"{CORE}/pods/{MEMBERS[0]}"),
    ("PUT", f"{CORE}/pods/{MEMBERS[0]}"),
    ("PATCH", f"{CORE}/pods/other"),
    ("PATCH", f"{CORE}/pods/{MEMBERS[0]}/status"),
    ("POST", f"{CORE}/pods/{MEMBERS[0]}/exec?command=id"),
    ("GET", f"{CORE}/pods/{MEMBERS[0]}/log"),
    ("PATCH", f"{CORE}/services/{NAME}-rw"),
    ("POST", f"{CORE}/serviceaccounts/{NAME}/token"),
    ("GET", f"{CORE}/persistentvolumeclaims"),
    ("GET", f"{CORE}/endpoints"),
    ("GET", f"{CORE}/events"),
    ("GET", f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets/{NAME}"),
    ("PATCH", f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets/{NAME}"),
    ("PATCH", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/roles/{NAME}"),
    ("GET", "/api/v1/nodes"),
    ("GET", "/api/v1/namespaces"),
]


@pytest.mark.parametrize(("verb", "path"), DENIED, ids=lambda text: text.rpartition("namespaces/")[2])
def test_denied(shipped: Shipped, token: str, verb: str, path: str) -> None:
    """Asked for by real requests with the token that a pod has."""
    kind = "application/merge-patch+json" if verb == "PATCH" else "application/json"
    answer = shipped.kube.request(verb, path, {"metadata": {}}, token=token, kind=kind)
    assert answer.status == 403 and "cannot" in answer.text


# --- the policy: what a Role cannot say

POD_1, POD_2 = (f"{CORE}/pods/{name}" for name in MEMBERS[:2])
MERGE = "application/merge-patch+json"
REFUSED_PATCHES = [
    {"metadata": {"labels": {"cnpg.io/cluster": "db-other-dev"}}},
    {"metadata": {"labels": {"cnpg.io/podRole": None}}},
    {"metadata": {"labels": {"app": "web"}}},
    {"metadata": {"labels": {"cnpg.io/instanceName": MEMBERS[1]}}},
    {"metadata": {"annotations": {"a": "b"}}},
    {"metadata": {"finalizers": ["example.com/mine"]}},
    {"metadata": {"ownerReferences": None}},
    {"spec": {"activeDeadlineSeconds": 1}},
    {"spec": {"containers": [{"name": "postgres", "image": "evil:1"}]}},
]


@pytest.fixture(scope="module")
def member_token(shipped: Shipped, token: str) -> str:
    """As the kubelet lays it into the first pod."""
    test_three_pods_from_1(shipped)
    made = shipped.kube.token(NAMESPACE, NAME, pod=MEMBERS[0])
    evil = {"metadata": {"labels": {"app": "web"}}}
    refused = lambda: shipped.kube.request("PATCH", f"{POD_1}?dryRun=All", evil, token=made, kind=MERGE).status == 422  # noqa: E731
    until("the policy is in force", refused, 60)
    return made


def lease(name: str, cluster: str = NAME, record: str = "{}") -> dict:
    metadata = {"name": name, "labels": {"fawkes-ha/cluster": cluster}, "annotations": {"fawkes-ha/record": record}}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}


REFUSED_LEASES = [
    lease("db-new-dev", "db-new-dev"),
    lease("db-other-dev.history", "db-other-dev"),
    lease("db-other-dev-db-other-dev-5", NAME),
    lease(f"{NAME}-db-other-dev-1"),
    lease(f"{NAME}.other"),
    lease(f"{NAME}-{NAME}-8"),  # another member's
    lease(f"{NAME}-{MEMBERS[0]}", "db-other-dev"),
]


@pytest.mark.parametrize("patch", REFUSED_PATCHES, ids=str)
def test_a_member_cannot_leave_its_pod(shipped: Shipped, member_token: str, patch: dict) -> None:
    """By real requests with the token of a pod, each of which the Role alone allows."""
    kind = "application/strategic-merge-patch+json" if "containers" in patch.get("spec", {}) else MERGE
    answer = shipped.kube.request("PATCH", f"{POD_1}?dryRun=All", patch, token=member_token, kind=kind)
    assert answer.status == 422 and "ValidatingAdmissionPolicy 'fawkes-ha-pods'" in answer.text


@pytest.mark.parametrize("body", REFUSED_LEASES, ids=lambda body: body["metadata"]["name"])
def test_a_member_cannot_leave_its_leases(shipped: Shipped, member_token: str, body: dict) -> None:
    answer = shipped.kube.request("POST", f"{LEASES}?dryRun=All", body, token=member_token)
    assert answer.status == 422 and "ValidatingAdmissionPolicy 'fawkes-ha-leases'" in answer.text


def test_what_members_do_is_allowed(shipped: Shipped, member_token: str) -> None:
    labels = {"cnpg.io/instanceRole": "replica", "role": "replica", "cnpg.io/instanceName": MEMBERS[1]}
    patch = {"metadata": {"labels": labels}}
    assert shipped.kube.request("PATCH", f"{POD_2}?dryRun=All", patch, token=member_token, kind=MERGE).status == 200
    allowed = [lease(NAME), lease(f"{NAME}.history"), lease(f"{NAME}-{MEMBERS[0]}")]
    allowed.append(lease(f"{NAME}-{NAME}-8", record='{"member":"x","removed":true}'))
    for body in allowed:
        answer = shipped.kube.request("POST", f"{LEASES}?dryRun=All", body, token=member_token)
        assert answer.status in (201, 409), answer.text


def test_others_are_not_looked_at(shipped: Shipped, member_token: str) -> None:
    """The administrator's requests, and a stranger's Lease, are nothing to the policy."""
    patch = {"metadata": {"labels": {"app": "web"}}}
    assert shipped.kube.request("PATCH", f"{POD_1}?dryRun=All", patch, kind=MERGE).status == 200
    assert shipped.kube.request("POST", f"{LEASES}?dryRun=All", lease("web-leader", "")).status == 201


def test_the_role_alone_would_allow_it(shipped: Shipped, member_token: str) -> None:
    """The control of the tests above: without the policy's bindings each of these requests is taken."""
    bindings = ["fawkes-ha-pods", "fawkes-ha-leases"]
    shipped.kube.must_kubectl("delete", "validatingadmissionpolicybinding", *bindings)
    try:

        def taken() -> bool:
            answers = [
                shipped.kube.request("PATCH", f"{POD_1}?dryRun=All", REFUSED_PATCHES[0], token=member_token, kind=MERGE),
                *(shipped.kube.request("POST", f"{LEASES}?dryRun=All", body, token=member_token) for body in REFUSED_LEASES),
            ]
            return {answer.status for answer in answers} <= {200, 201}

        until("all are taken", taken, 60)
    finally:
        shipped.kube.must_kubectl("apply", "-k", POLICY)


# --- members that have what a pod has


class Pod(Node):
    """`fawkes-ha run` with the arguments of the example's container, its volumes in a directory."""

    def __init__(self, shipped: Shipped, name: str, base: Path, given: Path, kubeconfig: Path) -> None:
        port, listen = free_ports(2, 5501 + 10 * MEMBERS.index(name))
        super().__init__(name, base / name, base, port, {})
        (base / name).mkdir()
        self.shipped = shipped
        values = {"CLUSTER": NAME, "POD_NAME": name, "POD_IP": "127.0.0.1"}
        for variable in shipped.container()["env"]:
            values.setdefault(variable["name"], variable.get("value", ""))
        places = {
            "/var/lib/postgresql": str(base / name),
            "/etc/fawkes-ha": str(given),
            "$(POD_IP):5432": f"127.0.0.1:{port}",
            "kubernetes:?": f"kubernetes:{kubeconfig}?",
        }
        command, *words = shipped.container()["args"]
        assert command == "run"
        for before, after in (*places.items(), *((f"$({key})", value) for key, value in values.items())):
            words = [word.replace(before, after) for word in words]
        assert not [word for word in words if "$(" in word]
        own = {"port": port, "fawkes_ha.listen": f"127.0.0.1:{listen}", "unix_socket_directories": base}
        # One machine has one of each of these.
        self.options = (*words, *(word for key, value in own.items() for word in ("-c", f"{key}={value}")))


class Pods:
    def __init__(self, shipped: Shipped, base: Path) -> None:
        self.shipped = shipped
        self.given = Given(base / "given")
        self.loud = "".join(f"{key} = {value}\n" for key, value in (("log_statement", "all"), ("log_min_messages", "debug5")))
        settings = shipped.of("ConfigMap")["data"]["fawkes_ha.conf"].replace("/etc/fawkes-ha", str(base / "given"))
        self.given.volume("settings", {"fawkes_ha.conf": settings + self.loud})
        self.given.password = shipped.secret(f"{NAME}-replication")["password"]
        self.given.volume("replication", {"password": self.given.password})
        self.take_credentials()
        access = {
            name: shipped.kube.service_account_kubeconfig(NAMESPACE, NAME, base / f"access-{name}", pod=name)
            for name in MEMBERS
        }
        self.tokens = [re.search(r"token: \"?([\w.-]+)", file.read_text())[1] for file in access.values()]
        self.nodes = [Pod(shipped, name, base, base / "given", access[name]) for name in MEMBERS]

    def take_credentials(self) -> None:
        """As the kubelet does when the Secret has changed."""
        secret = self.shipped.secret(CREDENTIALS)
        self.given.owner, self.given.owner_password = secret["username"], secret["password"]
        self.given.owner_is(self.given.owner, self.given.owner_password)
        secret = self.shipped.secret(READONLY)
        self.given.reader, self.given.reader_password = secret["username"], secret["password"]
        self.given.reader_is(self.given.reader, self.given.reader_password)

    def wait_all(self) -> Node:
        def found() -> Node | None:
            standings = {}
            for node in self.nodes:
                try:
                    standings[node] = node.standing()
                except (Error, OSError):
                    return None
            leaders = [node for node, (role, _) in standings.items() if role == "primary"]
            if len(leaders) == 1 and all(s == ("streams", leaders[0].port) for n, s in standings.items() if n not in leaders):
                return leaders[0]
            return None

        return until("one leads and the others stream from it", found, 180)


@pytest.fixture(scope="module")
def pods(shipped: Shipped, member_token: str):
    base, lock = own_directory("fh-pods-")
    made = None
    try:
        made = Pods(shipped, base)
        for node in made.nodes:
            node.start()
        made.wait_all()
        yield made
    except BaseException:
        if made is not None:
            print(*(programs.tail(node.log) for node in made.nodes), sep="\n", file=sys.stderr)
        raise
    finally:
        if made is not None:
            for node in made.nodes:
                node.kill()
        shutil.rmtree(base)
        os.close(lock)


def test_members_with_these_rights_make_a_cluster(pods: Pods) -> None:
    """The one with the first ordinal founds it; the Leases have the names that the Role lists."""
    leader = pods.wait_all()
    leases = {item["metadata"]["name"] for item in pods.shipped.kube.request("GET", LEASES).json["items"]}
    assert {NAME, *(f"{NAME}-{name}" for name in MEMBERS)} <= leases <= set(LEASE_NAMES)
    assert "made a new cluster" in pods.nodes[0].log.read_text(errors="replace")
    assert leader.command("status").returncode == 0
    for node in pods.nodes:
        assert "forbidden" not in node.log.read_text(errors="replace")


def test_the_secrets_user_owns_the_database(pods: Pods) -> None:
    leader = pods.wait_all()
    until("the owner logs in", lambda: logs_in(pods.given.dsn(leader)), 60)
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'focalboard'"
    assert leader.value(owner) == "focalboard"
    with pytest.raises(Error, match="no encryption"):
        Session(pods.given.dsn(leader, more="sslmode=disable"))


def test_the_read_only_secret_is_the_examples(shipped: Shipped) -> None:
    """It may be missing; its type is basic-auth, whose keys the API server insists on."""
    volumes = shipped.of("StatefulSet")["spec"]["template"]["spec"]["volumes"]
    secret = next(volume["secret"] for volume in volumes if volume["name"] == "readonly")
    assert secret["secretName"] == READONLY and secret["optional"] is True
    made = shipped.kube.request("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets/{READONLY}").json
    assert made["type"] == "kubernetes.io/basic-auth" and sorted(made["data"]) == ["password", "username"]


def test_the_read_only_secrets_user_reads_standbys(pods: Pods) -> None:
    """-ro reads and refuses writes, -rw refuses it and says where to go; a changed Secret changes the password."""
    leader = pods.wait_all()
    standby = next(node for node in pods.nodes if node is not leader)
    until("the reader logs in", lambda: logs_in(pods.given.reader_dsn(standby)), 60)
    with Session(pods.given.reader_dsn(standby)) as session, pytest.raises(Error) as refusal:
        assert session.value("SELECT current_user") == "focalboard_readonly"
        session.query("CREATE TEMP TABLE t (i int)")
    assert refusal.value.pgcode == "42501"
    with pytest.raises(Error, match=f"(?s)may only read, and this server is the primary.*Service {NAME}-ro"):
        Session(pods.given.reader_dsn(leader))
    changed = {"stringData": {"password": "another-" + pods.given.reader_password}}
    path = f"/api/v1/namespaces/{NAMESPACE}/secrets/{READONLY}"
    assert pods.shipped.kube.request("PATCH", path, changed, kind="application/merge-patch+json").status == 200
    before = pods.given.reader_dsn(standby)
    pods.take_credentials()
    until("the new one counts", lambda: logs_in(pods.given.reader_dsn(standby)), 60)
    assert not logs_in(before)


def test_a_stopped_primary_hands_over(pods: Pods) -> None:
    """As `kubectl delete pod` stops it: process 1 gets SIGTERM, and stays until another leads: who comes is refused."""
    leader = pods.wait_all()
    since = leader.log.stat().st_size
    assert leader.stop() == 0
    others = [node for node in pods.nodes if node is not leader]
    new = until("another leads", lambda: next(n for n in others if n.standing()[0] == "primary"), 60)
    said = leader.log.read_bytes()[since:].decode(errors="replace")
    order = [said.find(text) for text in ("released the lease", f"{new.name} holds the lease", "] stopped")]
    assert -1 not in order and order == sorted(order), said[-2000:]
    leader.start()
    assert pods.wait_all() is not leader


def test_no_log_tells_a_secret(pods: Pods) -> None:
    """Not the token either."""
    pods.wait_all()
    found = [
        (node.name, secret[:4])
        for node in pods.nodes
        for secret in (*pods.tokens, pods.given.password, pods.given.owner_password, pods.given.reader_password)
        if secret in node.log.read_text(errors="replace")
    ]
    assert found == [] and min(map(len, pods.tokens)) > 100
