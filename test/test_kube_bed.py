"""The bed on which everything about Kubernetes is tested: it is real, and its faults are."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab import process
from lab.kube import MERGE_PATCH, ControlPlane
from lab.own import own_directory
from lab.wait import until

pytestmark = pytest.mark.kube

LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"


def make_lease(kube: ControlPlane, namespace: str, name: str) -> str:
    """Its resourceVersion."""
    made = kube.create(LEASES.format(namespace), {"metadata": {"name": name}, "spec": {"holderIdentity": "n1"}})
    return made["metadata"]["resourceVersion"]


def change_lease(kube: ControlPlane, namespace: str, name: str, holder: str) -> None:
    path = f"{LEASES.format(namespace)}/{name}"
    assert kube.request("PATCH", path, {"spec": {"holderIdentity": holder}}, kind=MERGE_PATCH).status == 200


def holder(kube: ControlPlane, namespace: str, name: str) -> str:
    return kube.request("GET", f"{LEASES.format(namespace)}/{name}").json["spec"]["holderIdentity"]


def watch_code(kube: ControlPlane, namespace: str, version: str) -> int:
    """What a watch that goes on from `version` is told: 200, or the code of the answer or of an ERROR event."""
    path = f"{LEASES.format(namespace)}?watch=true&resourceVersion={version}&timeoutSeconds=1"
    answer = kube.request("GET", path, seconds=30)
    events = [json.loads(line) for line in answer.text.splitlines()] if answer.status == 200 else []
    return next((event["object"]["code"] for event in events if event["type"] == "ERROR"), answer.status)


def grant(kube: ControlPlane, namespace: str, account: str, lease: str) -> None:
    """A ServiceAccount that may get that one Lease, and nothing else."""
    kube.must_kubectl("create", "serviceaccount", account, "-n", namespace)
    rule = ["--verb=get", "--resource=leases.coordination.k8s.io", f"--resource-name={lease}"]
    kube.must_kubectl("create", "role", account, "-n", namespace, *rule)
    bound = [f"--role={account}", f"--serviceaccount={namespace}:{account}"]
    kube.must_kubectl("create", "rolebinding", account, "-n", namespace, *bound)


# --- what it is


def test_is_kubernetes(control_plane: ControlPlane, namespace: str) -> None:
    make_lease(control_plane, namespace, "db")
    assert "v1.34.4" in control_plane.must_kubectl("version")
    shown = control_plane.must_kubectl("get", "leases", "-n", namespace)
    assert [line.split()[:2] for line in shown.splitlines()] == [["NAME", "HOLDER"], ["db", "n1"]]


def test_each_test_has_a_namespace(control_plane: ControlPlane, namespace: str) -> None:
    assert control_plane.request("GET", LEASES.format(namespace)).json["items"] == []


def test_token_is_limited_by_rbac(control_plane: ControlPlane, namespace: str, directory: Path) -> None:
    for name in ("db", "other"):
        make_lease(control_plane, namespace, name)
    grant(control_plane, namespace, "member", "db")
    config = control_plane.service_account_kubeconfig(namespace, "member", directory)
    assert config.stat().st_mode & 0o077 == 0
    # Authorizers learn of a new binding by a watch.
    until("the role is bound", lambda: control_plane.kubectl("get", "lease", "db", kubeconfig=config).returncode == 0)
    for refused in (["get", "lease", "other"], ["get", "leases"], ["delete", "lease", "db"]):
        done = control_plane.kubectl(*refused, kubeconfig=config)
        assert done.returncode != 0 and "Forbidden" in done.stderr, refused
    assert holder(control_plane, namespace, "db") == "n1"


def test_files_of_a_pod(control_plane: ControlPlane, namespace: str, directory: Path) -> None:
    make_lease(control_plane, namespace, "db")
    grant(control_plane, namespace, "member", "db")
    files = control_plane.in_cluster_files(namespace, "member", directory / "serviceaccount")
    token, where = (files / "token").read_text(), (files / "namespace").read_text()
    path = f"{LEASES.format(where)}/db"
    until("the token is good", lambda: control_plane.request("GET", path, token=token).status == 200)
    assert control_plane.request("GET", f"{LEASES.format(where)}/other", token=token).status == 403
    assert (files / "ca.crt").read_text() == control_plane.ca.read_text()
    before = files.joinpath("token").resolve()
    control_plane.in_cluster_files(namespace, "member", files)
    assert files.joinpath("token").resolve() != before and not before.exists()
    assert sorted(entry.name for entry in files.iterdir() if entry.name[0] != ".") == ["ca.crt", "namespace", "token"]


def test_short_token_ends(control_plane: ControlPlane, namespace: str) -> None:
    make_lease(control_plane, namespace, "db")
    grant(control_plane, namespace, "member", "db")
    path = f"{LEASES.format(namespace)}/db"
    token = control_plane.token(namespace, "member", 10)
    until("the token is good", lambda: control_plane.request("GET", path, token=token).status == 200)
    until("the token has ended", lambda: control_plane.request("GET", path, token=token).status == 401)
    assert control_plane.request("GET", path, token=control_plane.token(namespace, "member")).status == 200


def test_services_have_pods_that_are_ready(control_plane: ControlPlane, namespace: str) -> None:
    ports = [{"port": 5432}]
    service = {"metadata": {"name": "db-rw"}, "spec": {"selector": {"role": "primary"}, "ports": ports}}
    control_plane.create(f"/api/v1/namespaces/{namespace}/services", service)
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"

    def ready() -> list[str]:
        endpoints = [e for s in control_plane.request("GET", slices).json["items"] for e in s["endpoints"] or []]
        return sorted(a for e in endpoints if e["conditions"]["ready"] for a in e["addresses"])

    control_plane.pod(namespace, "db-1", {"role": "primary"}, "10.99.0.1")
    control_plane.pod(namespace, "db-2", {"role": "replica"}, "10.99.0.2")
    until("the primary is in", lambda: ready() == ["10.99.0.1"])
    pods = f"/api/v1/namespaces/{namespace}/pods"
    for name, role in {"db-1": "replica", "db-2": "primary"}.items():
        labels = {"metadata": {"labels": {"role": role}}}
        assert control_plane.request("PATCH", f"{pods}/{name}", labels, kind=MERGE_PATCH).status == 200
    until("the labels are followed", lambda: ready() == ["10.99.0.2"])
    control_plane.pod(namespace, "db-2", {}, "10.99.0.2", ready=False)
    until("readiness is followed", lambda: ready() == [])


def test_candidates_take_turns(control_plane: ControlPlane, namespace: str) -> None:
    times = {"duration": "6s", "deadline": "4s", "retry": "1s"}
    first = control_plane.candidate(namespace, "db", "c1", release=True, **times)
    until("the first leads", lambda: first.leads)
    second = control_plane.candidate(namespace, "db", "c2", **times)
    until("the second sees the first", lambda: ("leader", "c1") in second.events())
    assert not second.leads
    first.stop()
    until("the second leads", lambda: second.leads)
    assert first.events()[-1][0] == "stopped"
    assert holder(control_plane, namespace, "db") == "c2"


# --- faults


def test_killed_api_server_comes_back_with_its_data(control_plane: ControlPlane, namespace: str) -> None:
    make_lease(control_plane, namespace, "db")
    port = control_plane.api.port
    control_plane.api.kill()
    with pytest.raises(ConnectionRefusedError):
        control_plane.request("GET", "/readyz")
    control_plane.api.start()
    assert control_plane.api.port == port
    assert holder(control_plane, namespace, "db") == "n1"
    change_lease(control_plane, namespace, "db", "n2")


def test_stopped_api_server_comes_back(control_plane: ControlPlane, namespace: str) -> None:
    make_lease(control_plane, namespace, "db")
    control_plane.api.stop()
    assert not control_plane.api.runs
    control_plane.api.start()
    assert holder(control_plane, namespace, "db") == "n1"


def test_frozen_api_server_answers_nobody(control_plane: ControlPlane, namespace: str) -> None:
    make_lease(control_plane, namespace, "db")
    control_plane.api.freeze()
    with pytest.raises(TimeoutError):
        control_plane.request("GET", "/readyz", seconds=1)
    control_plane.api.thaw()
    control_plane.api.wait_ready()
    assert holder(control_plane, namespace, "db") == "n1"


@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_nothing_is_written_without_etcd(control_plane: ControlPlane, namespace: str, fault: str) -> None:
    make_lease(control_plane, namespace, "db")
    before = control_plane.revision()
    getattr(control_plane.etcd, fault)()
    with pytest.raises((OSError, AssertionError)):
        path = f"{LEASES.format(namespace)}/db"
        answer = control_plane.request(
            "PATCH", f"{path}?timeout=2s", {"spec": {"holderIdentity": "n2"}}, kind=MERGE_PATCH, seconds=5
        )
        assert answer.status == 200
    control_plane.heal()
    assert control_plane.revision() >= before
    change_lease(control_plane, namespace, "db", "n3")
    assert holder(control_plane, namespace, "db") == "n3"


def test_compacted_revisions_are_gone(control_plane: ControlPlane, namespace: str) -> None:
    version = make_lease(control_plane, namespace, "db")
    change_lease(control_plane, namespace, "db", "n2")
    path = f"{LEASES.format(namespace)}?resourceVersion={version}&resourceVersionMatch=Exact"
    assert control_plane.request("GET", path).json["items"][0]["spec"]["holderIdentity"] == "n1"
    assert watch_code(control_plane, namespace, version) == 200
    control_plane.forget()
    assert control_plane.request("GET", path).status == 410
    assert watch_code(control_plane, namespace, version) == 410
    now = control_plane.request("GET", LEASES.format(namespace)).json["metadata"]["resourceVersion"]
    assert watch_code(control_plane, namespace, now) == 200


def test_two_api_servers_on_one_etcd(control_plane: ControlPlane, namespace: str) -> None:
    make_lease(control_plane, namespace, "db")
    other = control_plane.another_api("--anonymous-auth=false")
    path = f"{LEASES.format(namespace)}/db"
    control_plane.api.kill()
    assert control_plane.request("GET", path, api=other).json["spec"]["holderIdentity"] == "n1"
    # Its own arguments are in force: the usual server answers /version to whoever asks.
    assert control_plane.request("GET", "/version", token="none", api=other).status == 401
    control_plane.heal()
    assert not other.runs and control_plane.api.runs
    with pytest.raises(ConnectionRefusedError):
        control_plane.request("GET", "/readyz", api=other)


# --- beside others


def test_two_beds_do_not_meet(control_plane: ControlPlane, namespace: str) -> None:
    make_lease(control_plane, namespace, "db")
    with ControlPlane(extra_api_args=("--max-requests-inflight=7",)) as other:
        assert other.api.port != control_plane.api.port
        assert "--max-requests-inflight=7" in process.title(other.api.pid)
        assert other.request("GET", f"/api/v1/namespaces/{namespace}").status == 404
        mine = control_plane.must_kubectl("get", "lease", "-n", namespace, "-o", "name")
        assert mine.strip() == "lease.coordination.k8s.io/db"
        crossed = control_plane.kubectl("get", "ns", "--server", f"https://127.0.0.1:{other.api.port}")
        assert "certificate" in crossed.stderr and crossed.returncode != 0
        base, pids = other.base, [c.pid for c in (other.etcd, other.api, other.controllers)]
        other.kubectl("get", "ns")
    assert not base.exists()
    assert [pid for pid in pids if process.look(pid)] == []
    assert control_plane.request("GET", "/readyz").status == 200


def test_bed_that_cannot_start_leaves_nothing() -> None:
    bed = ControlPlane(extra_api_args=("--no-such-flag",))
    etcd = bed.etcd
    with pytest.raises(RuntimeError, match="unknown flag: --no-such-flag"):
        bed.start()
    assert not bed.base.exists() and process.look(etcd.pid) is None


ABANDONED = """
import sys, signal
sys.path.insert(0, sys.argv[1])
from lab.kube import ControlPlane
bed = ControlPlane()
bed.start()
print(bed.base, bed.etcd.pid, bed.api.pid, bed.controllers.pid, flush=True)
signal.pause()
"""


def test_killed_test_leaves_nothing_running() -> None:
    words = [sys.executable, "-c", ABANDONED, str(Path(__file__).parent)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as tester:
        base, *pids = tester.stdout.readline().split()
        assert Path(base, "etcd").exists() and len(pids) == 3
        os.kill(tester.pid, signal.SIGKILL)
    until("they have died with it", lambda: not [pid for pid in pids if (p := process.look(int(pid))) and p.lives])
    # The next bed removes what is nobody's, and that alone.
    mine, descriptor = own_directory("fh-kube-")
    try:
        assert not Path(base).exists()
        again, another = own_directory("fh-kube-")
        os.close(another)
        assert mine.exists() and again.exists()
        again.rmdir()
    finally:
        os.close(descriptor)
        mine.rmdir()
