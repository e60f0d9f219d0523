"""Shared by all tests of behaviour.

pytest, with Debian's python3-pytest, -xdist and -timeout, and python3-psycopg2: the same
harness drives network namespaces, Kubernetes and a browser, for which Python has the tools
and PostgreSQL's TAP modules do not.
"""

import faulthandler
import hashlib
import os
import secrets
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lab import faults, ports, programs  # noqa: E402
from lab.cluster import Cluster  # noqa: E402
from lab.kube import ControlPlane  # noqa: E402
from lab.node import Node, free_ports  # noqa: E402
from lab.session import Error  # noqa: E402
from lab.wait import NotInTime, until  # noqa: E402

collect_ignore = [] if programs.major() >= 18 else ["test_since_18.py"]
# The wheel that has 16 and 18 was built without TLS.
collect_ignore += [] if programs.has_tls() else ["test_given.py"]

# Files that take the most time, the longest first.
LONG_FILES = [
    "test_attacks_lock.py",
    "test_maintenance.py",
    "test_chaos.py",
    "test_promises_parted.py",
    "test_released.py",
    "test_stop.py",
    "test_planned_stop.py",
    "test_attacks_rejoin.py",
    "test_attacks_identity.py",
    "test_attacks_processes.py",
    "test_attacks_timelines.py",
    "test_lag.py",
    "test_operations.py",
    "test_failover.py",
    "test_exporter.py",
    "test_listener.py",
    "test_fence.py",
    "test_given.py",
    "test_readonly.py",
    "test_sanitized.py",
    "test_attacks_disk.py",
    "test_supervisor.py",
    "test_extension.py",
    "test_haproxy.py",
    "test_places.py",
    "test_status.py",
]
CLEANUP_S = 120  # for the fixtures of a test that has failed
real_stderr = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[real_stderr] = os.dup(2)  # before tests are captured
    if os.geteuid() == 0:
        raise pytest.UsageError("PostgreSQL refuses root: run ./check, which uses an ordinary user")
    config.addinivalue_line("markers", "long: takes minutes; make check-long runs it, ./check does not")
    config.addinivalue_line("markers", "kube: wants Kubernetes; make check-kube runs it, as does ./check")
    config.option.markexpr = config.option.markexpr or "not long"
    # As Ctrl-C: fixtures end their clusters on the way out.
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", 143))
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):  # gw0, gw1, ...; in place of one that died comes the next number
        count = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        os.environ["FAWKES_PORTS"] = ports.part(int(worker[2:]), count + 1)


# Run in a worker of pytest-xdist before anything else.  execnet 1.9 gives a task to the main thread only if that one is
# idle, which it is a moment after the task before has told its end; signals and PR_SET_PDEATHSIG want the main thread.
WAIT_FOR_MAIN_THREAD = """
import time
pool = channel.gateway._execpool
spawn = pool.spawn
def spawn_in_main_thread(*args, **kwargs):
    while pool._primary_thread_task_ready.is_set():
        time.sleep(0.01)
    return spawn(*args, **kwargs)
pool.spawn = spawn_in_main_thread
"""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_newgateway(gateway) -> None:
    gateway.remote_exec(WAIT_FOR_MAIN_THREAD).waitclose(60)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "control_plane" in getattr(item, "fixturenames", ()):
            item.add_marker("kube")
    # Workers take a file at a time, in this order: with the long ones first all workers end together.
    places = {name: place for place, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """xdist 3.1 gives a file whose test has crashed a worker to the next worker, with that test."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        started = Path(item.config.option.basetemp).parent / "started"
        started.mkdir(exist_ok=True)
        try:
            (started / hashlib.sha256(item.nodeid.encode()).hexdigest()).touch(exist_ok=False)
        except FileExistsError:
            pytest.skip("this test has crashed a worker")


def timeout_of(item: pytest.Item) -> float:
    """The bound of pytest-timeout, which fails the test by a signal; 0 without one."""
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0] if marker else item.config.getoption("timeout", None) or 0)


def end_process_after(item: pytest.Item, seconds: float) -> None:
    """A signal does not reach a test that never returns to Python: its process ends, and its stacks are printed."""
    if timeout_of(item) > 0:
        faulthandler.dump_traceback_later(seconds, exit=True, file=item.config.stash[real_stderr])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item):
    end_process_after(item, timeout_of(item) + CLEANUP_S)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_teardown(item: pytest.Item):
    end_process_after(item, CLEANUP_S)  # again: pytest has called the first one off if the test failed
    yield


broken_by: dict[Cluster, str] = {}


@pytest.fixture(autouse=True)
def shared_cluster_is_whole(request: pytest.FixtureRequest):
    """Fails at once what a test before has left without a cluster: each would wait minutes for it in vain."""
    failed_before = request.session.testsfailed
    cluster = request.getfixturevalue("cluster") if "cluster" in request.fixturenames else None
    if isinstance(cluster, Cluster) and cluster in broken_by:
        pytest.fail(f"{broken_by[cluster]} has left the shared cluster broken", pytrace=False)
    yield
    if isinstance(cluster, Cluster) and request.session.testsfailed > failed_before:
        print(cluster.log_tails(60), file=sys.stderr)
        try:
            cluster.wait_all_stream(60)
        except NotInTime:
            broken_by[cluster] = request.node.name


@pytest.fixture
def directory():
    """An empty directory with a short name (sockets) on the disk, gone after the test."""
    path = Path(tempfile.mkdtemp(prefix="fh-", dir=os.environ.get("FAWKES_TEST_DIR", "/tmp")))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest):
    """Three nodes that stream, shared by the tests of one module.

    A module with FAULTS = True can order faults of their processes: cluster.faults[node].
    In one with LISTEN = True the nodes have HTTP listeners, with EXPORT = True exporters; SETTINGS are
    settings of all of them.
    """

    def has(wish: str) -> bool:
        return getattr(request.module, wish, False)

    base = Path(tempfile.mkdtemp(prefix="fh-", dir=os.environ.get("FAWKES_TEST_DIR", "/tmp")))
    settings = getattr(request.module, "SETTINGS", None)
    cluster = Cluster(base / "c", first_port=5701, settings=settings, listen=has("LISTEN"), export=has("EXPORT"))
    try:
        cluster.create()
        if has("FAULTS"):
            library = faults.build()
            cluster.faults = {node: faults.Faults(node, library) for node in cluster.nodes}
        try:
            cluster.start()
        except BaseException:
            print(cluster.log_tails(60), file=sys.stderr)
            raise
        yield cluster
    finally:
        cluster.destroy()
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="module")
def node():
    """A cluster of one member, founded by `fawkes-ha run`, with the extension in it."""
    base = Path(tempfile.mkdtemp(prefix="fh-", dir=os.environ.get("FAWKES_TEST_DIR", "/tmp")))
    (base / "lock").mkdir(mode=0o700)
    port, listen = free_ports(2, 5901)
    settings = {
        "fawkes_ha.cluster_name": "documented",
        "fawkes_ha.listen": f"127.0.0.1:{listen}",
        "fawkes_ha.lock": f"dir:{base}/lock",
        "fawkes_ha.bootstrap": "initdb",
    }
    found = Node("n1", base, base, port, settings)
    try:
        found.prepare(secrets.token_hex(16))
        found.start()
        until("the founder leads", lambda: is_leading(found), 120)
        found.wait_for_extension()
        yield found
    finally:
        found.stop()
        found.kill()
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest):
    """Kubernetes' control plane, shared by all tests that want it; each is given it whole."""
    failed_before = request.session.testsfailed
    with ControlPlane() as kube:
        yield kube
        if request.session.testsfailed > failed_before:
            print(kube.log_tails(60), file=sys.stderr)


@pytest.fixture
def namespace(control_plane: ControlPlane):
    """A namespace of the test's own; after the test every component runs again, whatever was done to it."""
    name = control_plane.namespace()
    yield name
    control_plane.heal()
    control_plane.request("DELETE", f"/api/v1/namespaces/{name}")


def is_leading(node: Node) -> bool:
    try:
        with node.session() as session:
            session.query("CREATE TEMP TABLE t ()")
    except (Error, OSError):
        return False
    return True
