"""Random faults on a cluster under load, each judged.  Called by `make chaos SEED=n EVENTS=n`.

With LOCK=links or LOCK=kubernetes members are cut off the lock, one by one and all, and still reach each other: they
lead by promises.  There each has a link of its own to the directory, or an API server of its own.
"""

import argparse
import random
import signal
import statistics
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from lab import chaos, report
from lab.cluster import Alone, Cluster
from lab.kube import ControlPlane
from lab.part import KubePart, Part
from lab.strikes import FAULTS, OF_PARTS, USUAL
from lab.load import Load
from lab.verdict import DiscardedWal
from lab.wait import NotInTime

WRITERS = 6
REST_S = 0.01  # of a writer after each row: the ledger of a long run stays small


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="decides which faults come, and what they choose; else a new one")
    parser.add_argument("--events", type=int, default=200, help="faults in all [%(default)s]")
    parser.add_argument("--minutes", type=float, default=10**6, help="no event is begun after so many")
    parser.add_argument("--lock", choices=("directory", "links", "kubernetes"), default="directory", help="[%(default)s]")
    parser.add_argument("--members", type=int, default=3, choices=range(2, 10), help="[%(default)s]; on Kubernetes 3")
    parser.add_argument("--json", metavar="FILE", help="append the figures as a JSON line")
    parser.add_argument("--dir", type=Path, default=Path.home() / "fawkes-chaos", help="[%(default)s]")
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"only these, of {', '.join(FAULTS)}")
    chosen = parser.parse_args()
    for name in chosen.faults:
        if name not in FAULTS:
            parser.error(f"no such fault: {name}; there are {', '.join(FAULTS)}")
    if chosen.lock == "kubernetes" and chosen.members != 3:
        parser.error("on Kubernetes there are three members")
    if chosen.lock == "directory" and [name for name in chosen.faults if name not in USUAL]:
        parser.error("who is to be cut off wants --lock links or kubernetes")
    chosen.faults = chosen.faults or (USUAL if chosen.lock == "directory" else OF_PARTS)
    if chosen.events < 1:
        parser.error("--events wants at least 1")
    if chosen.seed is None:
        chosen.seed = random.SystemRandom().randrange(10**6)
    return chosen


def perform(
    cluster: Cluster, steps: list[chaos.Step], result: chaos.Result, say: report.Timeline, minutes: float
) -> None:
    """All steps, then a fast stop of all and a look at every page; `result` also has what came before a failure."""
    cluster.start()
    with Load(cluster, writers=WRITERS, rest_s=REST_S) as load, DiscardedWal(cluster) as wal:
        run = chaos.Run(cluster, load, wal, say)
        run.result = result
        run.perform(steps, minutes * 60)
    if not result.problems:
        cluster.stop(120)
        result.problems += chaos.check_pages(cluster)


def summary(seed: int, result: chaos.Result) -> str:
    outages = sorted(result.outages) or [0.0]
    return (
        f"seed {seed}: {sum(result.faults.values())} faults in {result.steps} events, "
        f"{result.acked:,} rows acknowledged, {result.missing} missing, overlap {result.overlap_s:.3f} s; "
        f"outage median {statistics.median(outages):.2f} s, longest {outages[-1]:.2f} s; "
        f"whole by itself after at most {max(result.whole, default=0):.1f} s; {len(result.problems)} problems"
    )


def figures(seed: int, lock: str, result: chaos.Result) -> dict:
    return {
        "suite": "chaos",
        "case": f"seed-{seed}",
        "lock": lock,
        "mode": "async",
        **report.figures(result.outages or [0.0], "s"),
        "faults": sum(result.faults.values()),
        "rows_acked": result.acked,
        "rows_missing": result.missing,
        "overlap_s": round(result.overlap_s, 3),
        "problems": len(result.problems),
    }


@contextmanager
def cluster_of(chosen: argparse.Namespace) -> Iterator[Cluster]:
    """As the lock wants it; nothing of an earlier run is left in its directory."""
    Cluster.sweep(chosen.dir)
    names = tuple(f"n{number}" for number in range(1, chosen.members + 1))
    if chosen.lock == "kubernetes":
        with ControlPlane() as kube:
            yield KubePart(chosen.dir, kube, 5801)
    elif chosen.lock == "links":
        yield Part(chosen.dir, names, 5801)
    else:
        yield Cluster(chosen.dir, names, 5801)


def main() -> int:
    chosen = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    alone = Alone(chosen.dir)  # noqa: F841: held to the end
    with cluster_of(chosen) as cluster:
        status = judge(cluster, chosen)
    if status == 0:
        Cluster.sweep(chosen.dir)
    return status


def judge(cluster: Cluster, chosen: argparse.Namespace) -> int:
    """0: nothing forbidden happened."""
    cluster.create()
    steps = chaos.plan(chosen.seed, chosen.events, tuple(chosen.faults))
    say = report.Timeline()
    say(f"seed {chosen.seed}: {chosen.events} faults in {len(steps)} events; directory {chosen.dir}")
    result = chaos.Result()
    try:
        perform(cluster, steps, result, say, chosen.minutes)
    except NotInTime as error:
        result.problems.append(f"event {result.steps + 1}: {error}")
    except KeyboardInterrupt:
        result.problems.append("interrupted")
    finally:
        print(f"\n{summary(chosen.seed, result)}", flush=True)
        if result.problems:
            print(cluster.log_tails(), file=sys.stderr)
        for problem in result.problems[:20]:
            print(f"BROKEN: {problem}", file=sys.stderr)
        for node in cluster.nodes:
            node.kill()
    report.append_json(chosen.json, [figures(chosen.seed, chosen.lock, result)])
    if result.problems:
        again = f"make chaos SEED={chosen.seed} EVENTS={chosen.events} LOCK={chosen.lock} MEMBERS={chosen.members}"
        print(f"the nodes' directories are kept in {chosen.dir}; the same faults again: {again}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
