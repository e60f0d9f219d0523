"""The demonstration: three nodes, steady writes, four ways to lose a primary.  Called by ./demo."""

import argparse
import getpass
import os
import re
import signal
import sys
from pathlib import Path

import demo_backup
from lab import events, programs, report
from lab.cluster import CLUSTER_NAME, Alone, Cluster
from lab.component import binary
from lab.kube import ControlPlane
from lab.kube_cluster import KubeCluster
from lab.load import Load
from lab.wait import NotInTime, until


def default_directory() -> Path:
    return Path(os.environ.get("FAWKES_DEMO_DIR") or Path.home() / "fawkes-demo")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the cluster up and print how to connect")
    parser.add_argument("--stop", action="store_true", help="end a cluster that --keep has left, and remove it")
    parser.add_argument("--kubernetes", action="store_true", help="the lock is Leases of a real API server")
    parser.add_argument("--backup", action="store_true", help="instead: a table is dropped, and comes back from a store")
    parser.add_argument("--json", metavar="FILE", help="append the figures as JSON lines")
    parser.add_argument("--dir", type=Path, default=default_directory(), help="where the cluster lives [%(default)s]")
    parser.add_argument(
        "events", nargs="*", metavar="EVENT", help=f"only these, in this order, of {', '.join(events.EVENTS)}"
    )
    chosen = parser.parse_args()
    if chosen.backup and (chosen.keep or chosen.kubernetes or chosen.json):
        parser.error("--backup goes with --dir alone")
    for case in chosen.events:
        if chosen.backup:
            parser.error(f"--backup takes no event: {case}")
        if case not in events.EVENTS:
            parser.error(f"no such event: {case}; there are {', '.join(events.EVENTS)}")
    return chosen


def end_command(base: Path) -> str:
    return "./demo --stop" if base == default_directory() else f"./demo --dir {base} --stop"


def stop(base: Path) -> None:
    cluster = Cluster.load(base)
    if cluster is None:
        print(f"no cluster in {base}")
        return
    cluster.stop()
    Cluster.sweep(base)
    print(f"the cluster in {base} is stopped and removed")


def run_events(cluster: Cluster, say: report.Timeline, cases: list[str]) -> list[events.Outcome]:
    outcomes = []
    with report.Watch(cluster, say) as watch:
        say("three nodes start; n1 makes the cluster, the others clone it")
        cluster.start()
        with Load(cluster) as load:
            watch.load = load
            say(f"{load.writers} connections write")
            for case in cases:
                say("")
                outcomes.append(events.run(case, cluster, load, say))
            watch.load = None
        cluster.wait_all_stream()
        rows = cluster.wait_all_equal()
    say("")
    say(f"the writers have ended; every node has the same {rows:,} rows")
    return outcomes


def run_backup(directory: Path) -> int:
    """In a cluster of its own, whose store is a directory beside it."""
    say = report.Timeline()
    store = directory / "store"
    cluster = Cluster(directory, settings={"fawkes_ha.backup_store": f"dir:{store}"})
    done = False
    try:
        cluster.create()
        store.mkdir(mode=0o700)
        say("three nodes start; n1 makes the cluster, the others clone it; each archives into one store")
        cluster.start()
        done = demo_backup.show(cluster, say)
        return 0 if done else 1
    except (NotInTime, RuntimeError) as error:
        print(f"\nFAILED: {error}\n\n{cluster.log_tails()}", file=sys.stderr)
        return 1
    finally:
        cluster.stop()
        if done:
            Cluster.sweep(directory)
        else:
            print(f"The nodes' logs: {cluster.base}/*/log", file=sys.stderr)


SETTLE_S = 60
WRONG = re.compile(r"^(critical|warning) ", re.MULTILINE)


def settled_status(cluster: Cluster) -> str:
    """The table once it tells of no trouble: members write their records some moments after they have recovered."""
    try:
        return until("the status is quiet", lambda: None if WRONG.search(text := cluster.status_table()) else text, SETTLE_S)
    except NotInTime:
        return cluster.status_table()


def without_links(status: str) -> str:
    """For a cluster that ends now: its pages are gone when the reader sees the table."""
    return "\n".join(line for line in status.split("\n") if not line.startswith("status page and metrics:")).rstrip()


def command(cluster: Cluster, *words: str) -> str:
    """As it is typed: by the user whose cluster it is, wherever that user's PATH leads."""
    user = getpass.getuser()
    # ./demo as root runs everything as a user whom nobody logs in as.
    become = f"runuser -u {user} -- " if user == "fawkes" else ""
    return f"{become}{programs.path('fawkes-ha')} {words[0]} -D {cluster.nodes[0].data} {' '.join(words[1:])}".rstrip()


def how_to_connect(cluster: Cluster) -> str:
    look = f"""
See how it is, and hand the primary's role over:

  {command(cluster, 'status')}
  {command(cluster, 'switchover')}
"""
    if isinstance(cluster, KubeCluster):
        look += f"""
Look at it without PostgreSQL, and at its Leases:

  fawkes-ha status --lock '{cluster.uri}' --cluster {CLUSTER_NAME}
  {binary()} kubectl --kubeconfig {cluster.kubeconfig} -n {cluster.namespace} get leases
"""
    return f"""
The cluster is up, in {cluster.base}.  Connect as the application:

  psql "{cluster.dsn()}"
{look}
End it with {end_command(cluster.base)}"""


def demo(chosen: argparse.Namespace) -> int:
    if Cluster.is_kept(chosen.dir):
        end = end_command(chosen.dir)
        print(f"a cluster that --keep has left is up in {chosen.dir}; end it first: {end}", file=sys.stderr)
        return 1
    Cluster.sweep(chosen.dir)  # first of all: what a killed run left still sits on its ports
    if chosen.backup:
        return run_backup(chosen.dir)
    say = report.Timeline()
    kube = None
    if chosen.kubernetes:
        say("etcd, kube-apiserver and kube-controller-manager start")
        # Beside the nodes, where --stop finds it.
        kube = ControlPlane(directory=chosen.dir / "kube", outlives=chosen.keep)
    keep = done = False
    cluster = None
    try:
        if kube is None:
            cluster = Cluster(chosen.dir, export=True)
        else:
            kube.start()
            cluster = KubeCluster(chosen.dir, kube, {}, first_port=5501, export=True)
        cluster.create()
        outcomes = run_events(cluster, say, chosen.events or list(events.EVENTS))
        status = settled_status(cluster)
        print(f"\n{status if chosen.keep else without_links(status)}\n\n{report.table(outcomes)}")
        if any(outcome.missing for outcome in outcomes):
            print("Missing rows are async mode's stated limit: acknowledged, not yet streamed, beyond the fork.")
        broken = report.problems_text(outcomes)
        print(f"\n{broken}" if broken else "\nEvery promise was kept.")
        report.append_json(chosen.json, report.json_lines(outcomes, cluster.lock_kind))
        keep = chosen.keep
        if keep:
            cluster.keep()
            print(how_to_connect(cluster))
        done = not broken
        return 0 if done else 1
    except NotInTime as error:
        print(f"\nFAILED: {error}\n\n{cluster.log_tails() if cluster else ''}", file=sys.stderr)
        return 1
    finally:
        if not keep:
            if cluster is not None:
                cluster.stop()
                if not done:
                    print(f"The nodes' logs: {cluster.base}/*/log", file=sys.stderr)
            if kube is not None:
                kube.stop()
            if done:
                Cluster.sweep(chosen.dir)


def main() -> int:
    chosen = arguments()
    # As Ctrl-C: the cluster is stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    alone = Alone(chosen.dir)  # noqa: F841: held to the end
    if chosen.stop:
        stop(chosen.dir)
        return 0
    try:
        return demo(chosen)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
