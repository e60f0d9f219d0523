"""Renews the picture of the status page in the README: a cluster under load, with a standby that lags for a while."""

import sys
import tempfile
import time
from pathlib import Path

from lab.browser import Browser
from lab.cluster import Cluster
from lab.load import Load
from lab.wait import until

WIDTH = 1000
STEP_S = 20


def main(picture: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="fh-", ignore_cleanup_errors=True) as directory:
        base = Path(directory)
        cluster = Cluster(base / "c", first_port=5701, export=True)
        cluster.create()
        try:
            cluster.start()
            first = cluster.wait_all_stream()
            done = first.command("switchover", "--reason", "kernel update of its node")
            assert done.returncode == 0, done.stderr
            leader = cluster.wait_all_stream()
            standby = cluster.others(leader)[-1]
            with Load(cluster), Browser(base) as browser:
                time.sleep(STEP_S)
                standby.value("SELECT pg_wal_replay_pause()::text")
                time.sleep(2 * STEP_S)
                standby.value("SELECT pg_wal_replay_resume()::text")
                time.sleep(STEP_S)
                browser.size(WIDTH)
                browser.open(f"http://127.0.0.1:{leader.exporter_port}/")
                until("nothing is wrong", lambda: "nothing is wrong" in browser.text("#summary"))
                browser.screenshot(picture)
        finally:
            cluster.destroy()


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
