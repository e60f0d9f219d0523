"""What a scrape costs: its time on a cluster of 1,000 tables and five databases, and what ten a second take from pgbench.

Called by `make bench-exporter PAIRS=n SECONDS=n JSON=FILE`.

Scrapes come as Prometheus's do: each on a connection of its own. "cold" ones are a second apart and more, so that each has a
collection of its own; the others share one. pgbench runs with scrapes and without them in turns; the figure is the
median of the pairs.
"""

import argparse
import re
import statistics
import sys
import threading
import time
from pathlib import Path

from lab import http, programs, report
from lab.cluster import Alone, Cluster
from lab.node import Node
from lab.wait import NotInTime, until

TABLES = 1000
DATABASES = ("one", "two", "three", "four")  # beside postgres, and the lab's own
RATE = 10
MOST_MS = 50
MOST_PERCENT = 2
COLD_S = 1.2


def fill(node: Node) -> None:
    with node.session(60) as session:
        for name in DATABASES:
            session.query(f"CREATE DATABASE {name}", timeout=60)
        session.query("SELECT pg_stat_reset()")
    for name in DATABASES:
        programs.must_run(*psql(node, name), "-c", "CREATE EXTENSION fawkes_ha")
    make = f"DO $$ BEGIN FOR i IN 1..{TABLES} LOOP EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY)', i); END LOOP; END $$"
    programs.must_run(*psql(node, DATABASES[0]), "-c", make, timeout=120)
    programs.must_run("pgbench", *at(node), "-i", "-q", "-s", "10", DATABASES[1], timeout=300)


def at(node: Node) -> list[str]:
    return ["-h", str(node.sockets), "-p", str(node.port), "-U", "postgres"]


def psql(node: Node, database: str) -> list[str]:
    return ["psql", "-XqAt", *at(node), "-d", database]


def scrape_ms(node: Node) -> float:
    began = time.monotonic()
    answer = http.ask(node.exporter_port, "/metrics")
    if answer.status != 200:
        raise RuntimeError(f"a scrape was answered with {answer.status}: {answer.text[:200]}")
    return (time.monotonic() - began) * 1000


def cold_scrapes(node: Node, count: int) -> list[float]:
    found = []
    for _ in range(count):
        time.sleep(COLD_S)
        found.append(scrape_ms(node))
    return found


class Scraping:
    """RATE scrapes a second, from within, until the block ends."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.times: list[float] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._end.wait(1 / RATE):
            self.times.append(scrape_ms(self.node))

    def __enter__(self) -> "Scraping":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


def tps(node: Node, seconds: float) -> float:
    words = ["-n", "-c", "2", "-j", "1", "-T", f"{seconds:g}", DATABASES[1]]
    text = programs.must_run("pgbench", *at(node), *words, timeout=seconds + 60)
    return float(re.search(r"^tps = ([0-9.]+) \(without initial connection time\)", text, re.MULTILINE)[1])


def in_turns(node: Node, pairs: int, seconds: float) -> tuple[list[float], list[float]]:
    """Percent that scrapes take, pair by pair; and the times of these scrapes."""
    losses, times = [], []
    for number in range(pairs):
        found = {}
        for scraped in (True, False) if number % 2 else (False, True):
            if scraped:
                with Scraping(node) as scraping:
                    found[scraped] = tps(node, seconds)
                times += scraping.times
            else:
                found[scraped] = tps(node, seconds)
        losses.append(100 * (1 - found[True] / found[False]))
    return losses, times


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-exporter", description=__doc__)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--dir", type=Path, default=Path.home() / "fawkes-bench")
    chosen = parser.parse_args()

    alone = Alone(chosen.dir)  # noqa: F841: held to the end
    Cluster.sweep(chosen.dir)
    cluster = Cluster(chosen.dir, first_port=5601, export=True)
    try:
        cluster.create()
        cluster.start()
        leader = cluster.wait_all_stream()
        leader.wait_for_extension()
        fill(leader)
        until("all databases are shown", lambda: shown(leader))
        cold = cold_scrapes(leader, 15)
        losses, warm = in_turns(leader, chosen.pairs, chosen.seconds)
    except (NotInTime, RuntimeError) as error:
        print(f"\nFAILED: {error}\n\n{cluster.log_tails()}", file=sys.stderr)
        return 1
    finally:
        cluster.destroy()
    lines = []
    for case, values, unit in (("cold scrape", cold, "ms"), ("shared scrape", warm, "ms"), ("pgbench", losses, "%")):
        middle = statistics.median(values)
        print(f"{case:15} {middle:8.2f} {unit} [{min(values):.2f}, {max(values):.2f}]  of {len(values)}")
        lines.append({"suite": "exporter", "case": case, **report.figures(values, unit)})
    report.append_json(chosen.json, lines)
    missed = []
    if statistics.median(cold) >= MOST_MS:
        missed.append(f"a scrape takes {statistics.median(cold):.1f} ms, not under {MOST_MS}")
    if statistics.median(losses) > MOST_PERCENT:
        missed.append(f"{RATE} scrapes a second take {statistics.median(losses):.1f} % of pgbench, not {MOST_PERCENT} at most")
    for miss in missed:
        print(f"MISSED: {miss}", file=sys.stderr)
    return 1 if missed else 0


def shown(node: Node) -> bool:
    text = http.ask(node.exporter_port, "/metrics").text
    return all(f'lo_pages{{datname="{name}"}}' in text for name in DATABASES)


if __name__ == "__main__":
    sys.exit(main())
