"""A real Prometheus scrapes three members through a failover."""

import json
import subprocess
import urllib.parse
from pathlib import Path

import pytest

from lab import http
from lab.cluster import Cluster
from lab.node import free_ports
from lab.wait import until
from test_metrics import listed

EXPORT = True


class Prometheus:
    """Debian's, over the exporters of a cluster, once a second."""

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        (self.port,) = free_ports(1, 9390)
        targets = [{"targets": [f"127.0.0.1:{n.exporter_port}"], "labels": {"member": n.name}} for n in cluster.nodes]
        config = {
            "global": {"scrape_interval": "3s", "scrape_timeout": "3s"},
            "scrape_configs": [{"job_name": "fawkes-ha", "static_configs": targets}],
        }
        file = directory / "prometheus.json"  # JSON is YAML
        file.write_text(json.dumps(config))
        with open(directory / "prometheus.log", "wb") as log:
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={file}",
                    f"--storage.tsdb.path={directory}/tsdb",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                ],
                stdout=log,
                stderr=log,
            )

    def get(self, path: str, **arguments: str) -> object:
        answer = http.ask(self.port, f"/api/v1/{path}?{urllib.parse.urlencode(arguments)}")
        assert answer.status == 200, answer.text
        return answer.json["data"]

    def query(self, text: str) -> dict[str, float]:
        """By member."""
        found = self.get("query", query=text)["result"]
        return {series["metric"].get("member", ""): float(series["value"][1]) for series in found}

    def is_up(self, cluster: Cluster) -> bool:
        try:
            return self.query("up") == {node.name: 1 for node in cluster.nodes}
        except OSError:
            return False

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(60)


@pytest.fixture
def prometheus(cluster: Cluster, directory: Path):
    cluster.wait_all_stream().wait_for_extension()
    running = Prometheus(cluster, directory)
    try:
        yield running
    finally:
        running.stop()


def test_a_failover_as_prometheus_sees_it(cluster: Cluster, prometheus: Prometheus) -> None:
    """Roles, the term and the takeover move; who was not struck is scraped throughout, and no scrape is malformed."""
    until("all are scraped", lambda: prometheus.is_up(cluster))
    old = cluster.wait_all_stream()
    recovery = "cnpg_pg_replication_in_recovery"
    until("roles are seen", lambda: prometheus.query(f"{recovery} == 0").keys() == {old.name})
    (term,) = set(until("terms are seen", lambda: prometheus.query("fawkes_ha_term")).values())
    old.kill()
    new = cluster.wait_for_leader(besides=old)
    until("the role moves", lambda: prometheus.query(f"{recovery} == 0").keys() == {new.name})
    until("the term rises", lambda: prometheus.query("fawkes_ha_term")[new.name] > term)
    taken = prometheus.query('fawkes_ha_takeovers_total{reason="lapsed"}')
    assert taken[new.name] == 1
    assert prometheus.query("up")[old.name] == 0
    old.start()
    assert cluster.wait_all_stream() is new
    until("all are scraped again", lambda: prometheus.is_up(cluster))
    others = "|".join(node.name for node in cluster.others(old))
    assert set(prometheus.query(f'min_over_time(up{{member=~"{others}"}}[10m])').values()) == {1}
    assert all(target["lastError"] == "" for target in prometheus.get("targets")["activeTargets"])


def test_types_are_those_that_dashboards_expect(cluster: Cluster, prometheus: Prometheus) -> None:
    until("all are scraped", lambda: prometheus.is_up(cluster))
    wanted = {metric.name: metric.type for metric in listed() if metric.where not in ("archiver", ">=17", "<17")}
    # Only who had an error has these.
    wanted = {name: kind for name, kind in wanted.items() if "errors_total" not in name}
    wanted |= {"fawkes_ha_renewal_seconds": "histogram", "cnpg_pg_connections": "gauge"}

    def types() -> dict[str, str]:
        return {name: entries[0]["type"] for name, entries in prometheus.get("metadata").items()}

    until("all names have their types", lambda: not wanted.items() - types().items())
