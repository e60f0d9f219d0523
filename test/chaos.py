"""Random faults on a three-node cluster under load, each judged.  Called by `make chaos SEED=n EVENTS=n`."""

import argparse
import random
import signal
import statistics
import sys
from pathlib import Path

from lab import chaos, report
from lab.cluster import Alone, Cluster
from lab.strikes import FAULTS
from lab.load import Load
from lab.verdict import DiscardedWal
from lab.wait import NotInTime

WRITERS = 6
REST_S = 0.01  # of a writer after each row: the ledger of a long run stays small


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="decides which faults come, and what they choose; else a new one")
    parser.add_argument("--events", type=int, default=200, help="faults in all [%(default)s]")
    parser.add_argument("--json", metavar="FILE", help="append the figures as a JSON line")
    parser.add_argument("--dir", type=Path, default=Path.home() / "fawkes-chaos", help="[%(default)s]")
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"only these, of {', '.join(FAULTS)}")
    chosen = parser.parse_args()
    for name in chosen.faults:
        if name not in FAULTS:
            parser.error(f"no such fault: {name}; there are {', '.join(FAULTS)}")
    if chosen.events < 1:
        parser.error("--events wants at least 1")
    if chosen.seed is None:
        chosen.seed = random.SystemRandom().randrange(10**6)
    return chosen


def perform(cluster: Cluster, steps: list[chaos.Step], result: chaos.Result, say: report.Timeline) -> None:
    """All steps, then a fast stop of all and a look at every page; `result` also has what came before a failure."""
    cluster.start()
    with Load(cluster, writers=WRITERS, rest_s=REST_S) as load, DiscardedWal(cluster) as wal:
        run = chaos.Run(cluster, load, wal, say)
        run.result = result
        run.perform(steps)
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


def figures(seed: int, result: chaos.Result) -> dict:
    return {
        "suite": "chaos",
        "case": f"seed-{seed}",
        "lock": "directory",
        "mode": "async",
        **report.figures(result.outages or [0.0], "s"),
        "faults": sum(result.faults.values()),
        "rows_acked": result.acked,
        "rows_missing": result.missing,
        "overlap_s": round(result.overlap_s, 3),
        "problems": len(result.problems),
    }


def main() -> int:
    chosen = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    alone = Alone(chosen.dir)  # noqa: F841: held to the end
    Cluster.sweep(chosen.dir)
    cluster = Cluster(chosen.dir, first_port=5801)
    cluster.create()
    steps = chaos.plan(chosen.seed, chosen.events, tuple(chosen.faults))
    say = report.Timeline()
    say(f"seed {chosen.seed}: {chosen.events} faults in {len(steps)} events; directory {chosen.dir}")
    result = chaos.Result()
    try:
        perform(cluster, steps, result, say)
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
    report.append_json(chosen.json, [figures(chosen.seed, result)])
    if result.problems:
        again = f"make chaos SEED={chosen.seed} EVENTS={chosen.events}"
        print(f"the nodes' directories are kept in {chosen.dir}; the same faults again: {again}", file=sys.stderr)
        return 1
    Cluster.sweep(chosen.dir)
    return 0


if __name__ == "__main__":
    sys.exit(main())
