"""Each event n times on one cluster, under load and with much WAL since the last checkpoint.

Called by `make bench-failover RUNS=n JSON=FILE`.
"""

import argparse
import sys
from pathlib import Path

from lab import events, report
from lab.cluster import Alone, Cluster
from lab.load import Load
from lab.wait import NotInTime, now

WAL_BYTES = 256 << 20
LEAST_ROWS_PER_S = 500

# No checkpoint but those that a promotion, a switchover or a clone makes by itself.
SETTINGS = {"checkpoint_timeout": "1h", "max_wal_size": "8GB"}


def measure_rate(load: Load, rows: int = 2000) -> float:
    began = now()
    load.wait_for_acks(rows)
    return rows / (now() - began)


def bench(cluster: Cluster, cases: list[str], runs: int, wal_bytes: int) -> tuple[list[events.Outcome], float]:
    """All outcomes and the slowest steady rate of rows per second."""
    say = report.Timeline()
    outcomes, rates = [], []
    cluster.start()
    with Load(cluster) as load:
        for number in range(1, runs + 1):
            for case in cases:
                rates.append(measure_rate(load))
                outcome = events.run(case, cluster, load, lambda text: None, wal_bytes)
                outcomes.append(outcome)
                say(
                    f"run {number} of {runs}, {case}: outage {outcome.outage_s:.3f} s, "
                    f"{outcome.missing} of {outcome.acked} rows missing, {outcome.old} -> {outcome.new}, "
                    f"back after {outcome.back_s:.1f} s, {rates[-1]:.0f} rows/s before"
                )
                if outcome.problems:
                    say(report.problems_text([outcome]))
    cluster.wait_all_stream()
    cluster.wait_all_equal()
    return outcomes, min(rates)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-failover", description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--dir", type=Path, default=Path.home() / "fawkes-bench")
    parser.add_argument("--wal-mb", type=int, default=WAL_BYTES >> 20)
    parser.add_argument("events", nargs="*", metavar="EVENT", default=[])
    chosen = parser.parse_args()

    alone = Alone(chosen.dir)  # noqa: F841: held to the end
    Cluster.sweep(chosen.dir)
    cluster = Cluster(chosen.dir, first_port=5601, settings=SETTINGS)
    try:
        cluster.create()
        noise = report.noise(chosen.dir)
        outcomes, rate = bench(cluster, chosen.events or list(events.EVENTS), chosen.runs, chosen.wal_mb << 20)
    except NotInTime as error:
        print(f"\nFAILED: {error}\n\n{cluster.log_tails()}", file=sys.stderr)
        return 1
    finally:
        cluster.destroy()
    print(f"\n{report.bench_table(outcomes)}\n\n{report.noise_text(noise)}")
    print(f"slowest steady load: {rate:.0f} acknowledged rows/s; {chosen.wal_mb} MB of WAL before each event")
    report.append_json(chosen.json, report.json_lines(outcomes) + noise)
    if rate < LEAST_ROWS_PER_S:
        print(f"the load stayed under {LEAST_ROWS_PER_S} rows/s: the figures do not count", file=sys.stderr)
        return 1
    broken = report.problems_text(outcomes)
    if broken:
        print(broken, file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
