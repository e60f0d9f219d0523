#!/usr/bin/python3
"""How long is the one window in which a stopped process may acknowledge late?

From the backend's last reading of the clock to its entry into send(), over many commits; each
sample has one reading of CLOCK_MONOTONIC in it.  See docs/design.md, "What is promised".
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from lab.report import append_json
from lab.shim import Shim
from test_fence import PROBE, Server, Wire


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--commits", type=int, default=20_000)
    parser.add_argument("--json", metavar="FILE", help="append the figures")
    options = parser.parse_args()
    subprocess.run(["make", "-s", "-C", str(PROBE), "fence_probe.so"], check=True)
    with tempfile.TemporaryDirectory(prefix="fh-window-", dir="/tmp") as base:
        shim = Shim(Path(base) / "shim")
        server = Server(Path(base), shim.environment).start()
        try:
            server.sql("CREATE TABLE t (i int)")
            server.probe.open()
            wire = Wire(server)
            shim.sample(wire.pid)
            for _ in range(options.commits):
                wire.query("INSERT INTO t VALUES (1)")
            samples = sorted(shim.samples_ns)
        finally:
            server.stop()
    median, often, most = statistics.median(samples), samples[len(samples) * 999 // 1000], samples[-1]
    print(f"{len(samples)} acknowledgements: median {median:.0f} ns, 99.9 % under {often} ns, longest {most} ns")
    line = {"suite": "window", "case": "clock-to-send", "unit": "ns", "runs": len(samples), "median": median}
    append_json(options.json, [{**line, "min": samples[0], "max": most, "p99.9": often}])
    return 0


if __name__ == "__main__":
    sys.exit(main())
