"""The alert rules fire when they should, and not on a healthy cluster: promtool judges; and every metric they name is shown."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from lab import http
from lab.cluster import CLUSTER_NAME, Cluster
from lab.node import Node
from lab.wait import until

EXPORT = True
MONITORING = Path(__file__).parent.parent / "deploy" / "monitoring"
ALERTS = MONITORING / "alerts.yaml"
MEMBER = 'cluster="c",namespace="n",pod="{}"'.format
ONE, TWO = MEMBER("p-1"), MEMBER("p-2")

# One primary that streams to one standby.
HEALTHY = {
    f'fawkes_ha_fence_open{{{ONE}}}': 1,
    f'fawkes_ha_fence_open{{{TWO}}}': 0,
    f'cnpg_collector_fencing_on{{{ONE}}}': 0,
    f'fawkes_ha_lease_held{{{ONE}}}': 1,
    f'fawkes_ha_end_missing{{{TWO},member="p-1"}}': 0,
    f'fawkes_ha_lease_remaining_seconds{{{ONE}}}': 8,
    f'fawkes_ha_lease_duration_seconds{{{ONE}}}': 15,
    f'fawkes_ha_renew_deadline_seconds{{{ONE}}}': 10,
    f'fawkes_ha_led_by_promises{{{ONE}}}': 0,
    f'fawkes_ha_agent_up{{{ONE}}}': 1,
    f'fawkes_ha_agent_up{{{TWO}}}': 1,
    f'fawkes_ha_agent_age_seconds{{{ONE}}}': 1,
    f'fawkes_ha_unattended{{{ONE}}}': 0,
    f'fawkes_ha_unattended{{{TWO}}}': 0,
    f'fawkes_ha_streaming_standbys{{{ONE}}}': 1,
    f'fawkes_ha_members{{{ONE},role="primary"}}': 1,
    f'fawkes_ha_members{{{ONE},role="standby"}}': 1,
    f'fawkes_ha_members{{{ONE},role="down"}}': 0,
    f'fawkes_ha_members_silent{{{ONE}}}': 0,
    f'cnpg_pg_replication_in_recovery{{{TWO}}}': 1,
    f'cnpg_pg_replication_is_wal_receiver_up{{{TWO}}}': 1,
    f'cnpg_pg_replication_lag{{{TWO}}}': 0.5,
    f'cnpg_pg_replication_slots_pg_wal_lsn_diff{{{ONE},slot_name="s"}}': 100,
    f'cnpg_collector_pg_wal{{{ONE},value="size"}}': 100,
    f'cnpg_collector_pg_wal{{{ONE},value="volume_size"}}': 1000,
    f'kubelet_volume_stats_capacity_bytes{{{ONE},persistentvolumeclaim="p-1"}}': 1000,
    f'kubelet_volume_stats_available_bytes{{{ONE},persistentvolumeclaim="p-1"}}': 500,
    f'cnpg_pg_stat_archiver_last_failed_time{{{ONE}}}': 5,
    f'cnpg_pg_stat_archiver_last_archived_time{{{ONE}}}': 9,
    f'cnpg_collector_pg_wal_archive_status{{{ONE},value="ready"}}': 1,
    f'cnpg_collector_up{{{ONE}}}': 1,
    f'fawkes_ha_paused{{{ONE}}}': 0,
}
# What makes each alert fire: a series, and the value that it has instead.
BROKEN = {
    "FawkesNoPrimary": (f'fawkes_ha_fence_open{{{ONE}}}', 0),
    "FawkesEndMissing": (f'fawkes_ha_end_missing{{{TWO},member="p-1"}}', 1),
    "FawkesTwoPrimaries": (f'fawkes_ha_fence_open{{{TWO}}}', 1),
    "FawkesFenceShut": (f'cnpg_collector_fencing_on{{{ONE}}}', 1),
    "FawkesLeaseNearExpiry": (f'fawkes_ha_lease_remaining_seconds{{{ONE}}}', 4),
    "FawkesLedByPromises": (f'fawkes_ha_led_by_promises{{{ONE}}}', 1),
    "FawkesAgentHangs": (f'fawkes_ha_agent_age_seconds{{{ONE}}}', 31),
    "FawkesUnattended": (f'fawkes_ha_unattended{{{TWO}}}', 1),
    "FawkesNoStandby": (f'fawkes_ha_streaming_standbys{{{ONE}}}', 0),
    "FawkesMemberDown": (f'fawkes_ha_members{{{ONE},role="down"}}', 1),
    "FawkesReplicationBroken": (f'cnpg_pg_replication_is_wal_receiver_up{{{TWO}}}', 0),
    "FawkesReplicationLag": (f'cnpg_pg_replication_lag{{{TWO}}}', 60),
    "FawkesSlotHoldsWal": (f'cnpg_pg_replication_slots_pg_wal_lsn_diff{{{ONE},slot_name="s"}}', 3221225472),
    "FawkesWalFills": (f'cnpg_collector_pg_wal{{{ONE},value="size"}}', 900),
    "FawkesDiskFills": (f'kubelet_volume_stats_available_bytes{{{ONE},persistentvolumeclaim="p-1"}}', 90),
    "FawkesArchiveFails": (f'cnpg_pg_stat_archiver_last_failed_time{{{ONE}}}', 10),
    "FawkesArchiveBehind": (f'cnpg_collector_pg_wal_archive_status{{{ONE},value="ready"}}', 33),
    # Less with each sample, and yet a quarter of it is left.
    "FawkesDiskWillFill": (f'kubelet_volume_stats_available_bytes{{{ONE},persistentvolumeclaim="p-1"}}', "500-0.5"),
    "FawkesExporterStale": (f'cnpg_collector_up{{{ONE}}}', 0),
    "FawkesMemberNotScraped": (f'fawkes_ha_members{{{ONE},role="standby"}}', 2),
    "FawkesPaused": (f'fawkes_ha_paused{{{ONE}}}', 1),
}
# Samples every 30 s of a failover that is seen at its worst: the primary's, and those of who takes over.
# `_` is no sample, `stale` is what Prometheus writes after a failed scrape.
FAILOVERS = {
    "killed, and its last sample counts for long": {
        f'fawkes_ha_fence_open{{{ONE}}}': "1 1 1 1 stale _x20",
        f'fawkes_ha_fence_open{{{TWO}}}': "0 0 1x22",
    },
    "killed, and the next is seen late": {
        f'fawkes_ha_fence_open{{{ONE}}}': "1 1 stale _x22",
        f'fawkes_ha_fence_open{{{TWO}}}': "0 0 0 0 1x20",
        f'cnpg_collector_fencing_on{{{TWO}}}': "0 0 0 1 0x20",
        f'cnpg_pg_replication_in_recovery{{{TWO}}}': "1 1 1 1 0x20",
        f'cnpg_pg_replication_is_wal_receiver_up{{{TWO}}}': "1 1 0 0 0x20",
    },
    "cut off from the lock, and back as a standby": {
        f'fawkes_ha_fence_open{{{ONE}}}': "1 1 0 0 0x20",
        f'fawkes_ha_fence_open{{{TWO}}}': "0 0 0 1 1x20",
        f'cnpg_collector_fencing_on{{{ONE}}}': "0 0 1 1 0x20",
        f'fawkes_ha_lease_held{{{ONE}}}': "1 1 1 0 0x20",
        f'fawkes_ha_lease_remaining_seconds{{{ONE}}}': "8 8 1 0 0x20",
        f'fawkes_ha_agent_up{{{ONE}}}': "1 1 1 0 1x20",
    },
    "renewals that are late once": {
        f'fawkes_ha_lease_remaining_seconds{{{ONE}}}': "8 8 1 8 8 3 8x20",
    },
}


def names() -> list[str]:
    return re.findall(r"- alert: (\w+)", ALERTS.read_text())


def promtool(
    directory: Path, series: dict[str, str], every: tuple[int, int], times: range
) -> subprocess.CompletedProcess:
    """It fails, and says what, if anything fires at these seconds; samples and evaluations come `every` so many."""
    test = {
        "rule_files": [str(ALERTS)],
        "evaluation_interval": f"{every[1]}s",
        "tests": [
            {
                "interval": f"{every[0]}s",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": [
                    {"eval_time": f"{at}s", "alertname": name, "exp_alerts": []} for name in names() for at in times
                ],
            }
        ],
    }
    (directory / "test.yaml").write_text(json.dumps(test))
    return subprocess.run(["promtool", "test", "rules", directory / "test.yaml"], capture_output=True, text=True)


def firing(directory: Path, world: dict[str, float | str], samples: int = 480) -> set[str]:
    """What fires after two hours in that world, by promtool's own evaluation; so many samples of it there are."""
    series = {name: f"{value}x{samples} stale" for name, value in world.items()}
    done = promtool(directory, series, (15, 15), range(7200, 7201))
    fired = set(re.findall(r"alertname: (\w+), time: 2h", done.stdout + done.stderr))
    assert (done.returncode == 0) == (not fired), done.stdout + done.stderr
    return fired


def test_rules_are_sound() -> None:
    done = subprocess.run(["promtool", "check", "rules", ALERTS], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(names()) == {*BROKEN, "FawkesClusterGone"}


def test_nothing_fires_on_a_healthy_cluster(directory: Path) -> None:
    assert firing(directory, HEALTHY) == set()


@pytest.mark.parametrize("name", BROKEN)
def test_each_alert_fires(directory: Path, name: str) -> None:
    series, value = BROKEN[name]
    assert series in HEALTHY
    assert firing(directory, {**HEALTHY, series: value}) == {name}


def test_a_cluster_that_nobody_sees_any_more(directory: Path) -> None:
    """All nodes are down: there is no sample that another rule could tell it by."""
    assert firing(directory, HEALTHY, samples=240) == {"FawkesClusterGone"}


def test_the_volume_of_another(directory: Path) -> None:
    """kubelet tells of all claims of the machine; they are others' to watch."""
    other = 'instance="machine",persistentvolumeclaim="other"'
    full = {f"kubelet_volume_stats_{what}_bytes{{{other}}}": of for what, of in (("capacity", 1000), ("available", 1))}
    assert firing(directory, HEALTHY | full) == set()


@pytest.mark.parametrize("failover", FAILOVERS)
@pytest.mark.parametrize("evaluation", [15, 30])
def test_a_failover_pages_nobody(directory: Path, failover: str, evaluation: int) -> None:
    """With scrapes of 30 s, and a lease of 15 s."""
    seen = {name: f"{value}x24" for name, value in HEALTHY.items()} | FAILOVERS[failover]
    done = promtool(directory, seen, (30, evaluation), range(0, 600, evaluation))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_operator_has_the_same_rules() -> None:
    plain = ALERTS.read_text()
    indented = "".join(f"  {line}\n" for line in plain[plain.index("groups:") :].splitlines())
    assert (MONITORING / "prometheusrule.yaml").read_text().endswith("spec:\n" + indented)


def test_each_alert_has_a_place_to_read_on() -> None:
    operations = (MONITORING.parent.parent / "docs" / "operations.md").read_text()
    places = {re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^##+ (.*)$", operations, re.M)}
    assert set(re.findall(r"operations\.md#(\S+)", ALERTS.read_text())) <= places


def as_a_podmonitor_has_it(node: Node, page: str, cluster: str) -> dict[str, float]:
    """What alerts ask of a page, with the labels that CloudNativePG's PodMonitor adds: no cluster."""
    series = {}
    for line in page.splitlines():
        found = re.match(r"(fawkes_ha_\w+)(?:\{(.*)\})? (\S+)$", line)
        if found and found[1] in ALERTS.read_text():
            labels = (found[2] or "").replace(f'cluster="{CLUSTER_NAME}"', f'cluster="{cluster}"')
            labels = ",".join([*filter(None, [labels]), f'namespace="n",pod="{cluster}-{node.name}",job="n/cluster"'])
            series[f"{found[1]}{{{labels}}}"] = float(found[3])
    return series


def test_two_clusters_of_one_namespace(cluster: Cluster, directory: Path) -> None:
    """Without a label of the target: each has its own primary, and it shows when one of them has none."""
    leader = cluster.wait_all_stream()
    leader.wait_for_extension()

    def pages() -> dict[Node, str] | None:
        found = {node: http.ask(node.exporter_port, "/metrics").text for node in cluster.nodes}
        settled = "fawkes_ha_streaming_standbys{" in found[leader] and all("members_silent" in p for p in found.values())
        return found if settled else None

    world = {}
    for node, page in until("every page is whole", pages).items():
        for name in ("one", "two"):
            world |= as_a_podmonitor_has_it(node, page, name)
    still = {"fawkes_ha_lease_remaining_seconds": 2, "fawkes_ha_agent_age_seconds": 0}
    world = {name: still.get(name.split("{")[0], value) for name, value in world.items()}
    assert firing(directory, world) == set()
    (fence,) = [name for name, value in world.items() if name.startswith("fawkes_ha_fence_open{") and value and '"two"' in name]
    assert firing(directory, {**world, fence: 0}) == {"FawkesNoPrimary"}


def test_every_metric_of_an_alert_is_shown(cluster: Cluster) -> None:
    """By a primary or a standby; the archiver's only where WAL is archived."""
    leader = cluster.wait_all_stream()
    leader.wait_for_extension()
    wanted = {name for name in re.findall(r"\b(?:fawkes_ha|cnpg|kubelet)_\w+", ALERTS.read_text()) if "archiver" not in name}

    def shown() -> set[str]:
        pages = [http.ask(node.exporter_port, "/metrics").text for node in cluster.nodes]
        return set(re.findall(r"^# TYPE (\w+) ", "\n".join(pages), re.M))

    until("all are shown", lambda: wanted <= shown())
