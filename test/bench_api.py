"""What clusters cost an API server, and how long a renewal takes when there are many of them.

Called by `make bench-api CLUSTERS=n SECONDS=n JSON=FILE`, on a real control plane on loopback.

At rest: one cluster of three nodes with PostgreSQL, at the times that are usual on Kubernetes.  What it
asks is counted in the API server's audit log as it comes in, watches included; CPU time is the
nodes', and the API server's and etcd's beyond what they take with no cluster at all.

Many: so many clusters of three members, which are the library's node loop and its Lease driver as they are
(src/test/api_load), each with a watch and connections of its own, and servers that are only a few
variables.  A renewal takes from its sending to its answer; it is late when more than two
retry_periods have passed since the one before.  Bytes are those of the TLS connections, both ways.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from bench_idle import counts, titled
from lab import report
from lab.cluster import Alone, Cluster
from lab.kube import ControlPlane
from lab.kube_cluster import KubeCluster, access
from lab.wait import NotInTime

MOST_REQUESTS_PER_MINUTE = 45.0
MOST_STANDBY_CPU_S_PER_MINUTE = 0.2  # of the agent
SETTLE_S = 20  # after its start a cluster writes and looks around more than later
TREE = Path(__file__).parents[1]
PROGRAM = "src/test/api_load/api_load"


class Servers:
    """CPU time of the API server and of etcd since this was made, in seconds per minute."""

    def __init__(self, kube: ControlPlane) -> None:
        self._components = {"kube-apiserver": kube.api, "etcd": kube.etcd}
        self._before = self._cpu_s()
        self._began = time.monotonic()

    def _cpu_s(self) -> dict[str, float]:
        return {name: counts(component.pid).cpu_s for name, component in self._components.items()}

    def per_minute(self) -> dict[str, float]:
        minutes = (time.monotonic() - self._began) / 60
        return {name: (cpu_s - self._before[name]) / minutes for name, cpu_s in self._cpu_s().items()}


def at_rest(kube: ControlPlane, directory: Path, seconds: float) -> dict[str, float]:
    """Figures per minute: requests, by verb as well, and CPU seconds."""
    cluster = KubeCluster(directory, kube, {}, first_port=5701)
    try:
        cluster.create()
        cluster.start()
        leader = cluster.wait_all_stream()
        time.sleep(SETTLE_S)
        asked = len(kube.requests_of(cluster.namespace))
        servers = Servers(kube)
        agents = {node.name: titled(node, "fawkes_ha agent") for node in cluster.nodes}
        before = {name: counts(pid) for name, pid in agents.items()}
        time.sleep(seconds)
        per_minute = 60 / seconds
        found = {f"{name} CPU s": cpu_s for name, cpu_s in servers.per_minute().items()}
        cpu_s = {name: counts(pid).since(before[name]).cpu_s * per_minute for name, pid in agents.items()}
        found["agent of the primary CPU s"] = cpu_s.pop(leader.name)
        found["agent of a standby CPU s"] = max(cpu_s.values())
        requests = kube.requests_of(cluster.namespace)[asked:]
        found["requests"] = len(requests) * per_minute
        for kind in sorted(set(requests)):
            found[f"requests: {kind}"] = requests.count(kind) * per_minute
        if cluster.wait_all_stream() is not leader:
            raise RuntimeError("the primary changed meanwhile: it was not at rest")
        return found
    except NotInTime:
        print(cluster.log_tails(), file=sys.stderr)
        raise
    finally:
        cluster.destroy()


def many(kube: ControlPlane, directory: Path, clusters: int, seconds: float) -> dict[str, float]:
    subprocess.run(["make", "-s", "-C", TREE, PROGRAM], check=True)
    namespace, kubeconfig = access(kube, directory / "access")
    lock = f"kubernetes:{kubeconfig}?namespace={namespace}"
    program = subprocess.Popen(
        [TREE / PROGRAM, lock, directory, str(clusters), str(seconds)], stdout=subprocess.PIPE, text=True
    )
    try:
        if program.stdout.readline() != "settled\n":
            raise RuntimeError("the clusters did not come up")
        servers = Servers(kube)
        own = counts(program.pid)
        found = json.loads(program.stdout.readline() or "{}")
        if not found:
            raise RuntimeError("the clusters did not last")
        per_minute = servers.per_minute()
        found["members_cpu_s"] = counts(program.pid).since(own).cpu_s * 60 / found["seconds"]
        return {**found, **{f"{name} CPU s": cpu_s for name, cpu_s in per_minute.items()}}
    finally:
        program.kill()
        program.wait()


def rest_lines(idle: dict[str, float], rest: dict[str, float], seconds: float) -> list[dict]:
    lines = [
        {"suite": "api", "case": f"rest: {name}", "lock": "kubernetes", "seconds": seconds}
        | report.figures([value - idle.get(name, 0)], "1/min" if name.startswith("requests") else "s/min")
        for name, value in rest.items()
    ]
    return lines + [
        {"suite": "api", "case": f"no cluster: {name}", "seconds": seconds} | report.figures([value], "s/min")
        for name, value in idle.items()
    ]


def many_lines(clusters: int, idle: dict[str, float], found: dict[str, float]) -> list[dict]:
    shared = {"suite": "api", "lock": "kubernetes", "clusters": clusters, "seconds": found["seconds"]}
    renewals = {key: found[key] for key in ("renewals", "late", "unconfirmed", "fences_shut")}
    bytes_per_s = (found["sent_bytes"] + found["received_bytes"]) / found["seconds"]
    latency = {key: found[f"{key}_ms"] for key in ("p50", "p99", "min", "max")}
    return [
        {**shared, "case": "renewal", "unit": "ms", "runs": found["renewals"], "median": found["p50_ms"]}
        | {**latency, **renewals},
        {**shared, "case": "bytes", **report.figures([bytes_per_s], "B/s")},
        {**shared, "case": "members CPU", **report.figures([found["members_cpu_s"]], "s/min")},
    ] + [
        {**shared, "case": name, **report.figures([found[name] - idle[name]], "s/min")} for name in idle
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-api", description=__doc__)
    parser.add_argument("--clusters", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--dir", type=Path, default=Path.home() / "fawkes-bench")
    chosen = parser.parse_args()
    if chosen.seconds < 10 or not 1 <= chosen.clusters <= 1000:
        parser.error("at least ten seconds, and 1 to 1000 clusters")
    alone = Alone(chosen.dir)  # noqa: F841: held to the end
    Cluster.sweep(chosen.dir)
    try:
        with ControlPlane() as kube:
            time.sleep(SETTLE_S)
            servers = Servers(kube)
            time.sleep(chosen.seconds)
            idle = {f"{name} CPU s": cpu_s for name, cpu_s in servers.per_minute().items()}
            rest = at_rest(kube, chosen.dir, chosen.seconds)
            load = kube.base / "load"
            load.mkdir()
            found = many(kube, load, chosen.clusters, chosen.seconds)
    except (NotInTime, RuntimeError) as error:
        print(f"\nFAILED: {error}", file=sys.stderr)
        return 1
    rows = [(name, f"{value:.3f}") for name, value in idle.items()]
    print(report.aligned(("no cluster, per minute", ""), rows))
    rows = [(name, f"{value:.3f}") for name, value in rest.items()]
    print("\n" + report.aligned(("one cluster at rest, per minute", ""), rows))
    rows = [(name, f"{value:.3f}") for name, value in found.items()]
    print("\n" + report.aligned((f"{chosen.clusters} clusters of three", ""), rows))
    print(f"\nover {chosen.seconds:g} s each; CPU times of the servers are whole, in JSON without those of no cluster")
    report.append_json(chosen.json, rest_lines(idle, rest, chosen.seconds) + many_lines(chosen.clusters, idle, found))
    missed = []
    if rest["requests"] > MOST_REQUESTS_PER_MINUTE:
        missed.append(f"{rest['requests']:.0f} requests per minute at rest, more than {MOST_REQUESTS_PER_MINUTE:g}")
    if rest["agent of a standby CPU s"] > MOST_STANDBY_CPU_S_PER_MINUTE:
        missed.append(f"{rest['agent of a standby CPU s']:.2f} CPU s per minute of a standby's agent, more than 0.2")
    if found["fences_shut"]:
        missed.append(f"{found['fences_shut']} times a primary had to stop writing")
    for miss in missed:
        print(f"MISSED: {miss}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
