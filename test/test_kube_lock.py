"""The lock of Kubernetes on a real API server: the suite for all drivers, and what only Kubernetes can do to it."""

import os
import subprocess
from pathlib import Path

import pytest

from lab.component import binary
from lab.kube import ControlPlane
from lab.own import Port

pytestmark = pytest.mark.kube

SUITE = Path(__file__).parents[1] / "src/test/lock/lock_kube_suite"


def test_conformance(control_plane: ControlPlane, namespace: str, directory: Path) -> None:
    """S1 rests on it: one winner of a write, a lost reply is unknown, a late write loses, a watch misses nothing."""
    port = Port(6401)
    admin = control_plane.kubeconfig()
    kubeconfig = directory / "kubeconfig"
    text = admin.read_text()
    server = f"127.0.0.1:{control_plane.api.port}"
    assert text.count(server) == 1
    kubeconfig.write_text(text.replace(server, f"127.0.0.1:{port.number}"))
    kubeconfig.chmod(0o600)
    clean = f"KUBECONFIG={admin} {binary()} kubectl delete leases --all -n {namespace} >/dev/null"
    environment = {
        "FAWKES_KUBECONFIG": f"{kubeconfig}?namespace={namespace}",
        "FAWKES_KUBE_PORT": str(port.number),
        "FAWKES_KUBE_API": str(control_plane.api.port),
        "FAWKES_KUBE_CLEAN": clean,
        "CMOCKA_MESSAGE_OUTPUT": "TAP",
    }
    done = subprocess.run(
        [SUITE], env={**os.environ, **environment}, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert done.stdout.count("\nok ") == 16
