"""The metrics of SQL on a real cluster: every name, type and label that dashboards query, and values that are true."""

import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from math import isnan
from pathlib import Path

import pytest

from conftest import is_leading
from lab import documents, programs
from lab.cluster import Cluster
from lab.node import Node, free_ports
from lab.session import Session
from lab.wait import until

LIST = Path(__file__).parent / "data" / "metric_names.txt"
OURS = {"cnpg_pg_connections"}  # which users' documents promise, and nobody's list has
SHOWN = """
SELECT name, type, coalesce((SELECT array_agg(l ORDER BY l) FROM jsonb_object_keys(labels) AS l), '{{}}')
FROM fawkes_ha.{view} GROUP BY 1, 2, 3"""


@dataclass(frozen=True)
class Metric:
    name: str
    type: str
    labels: frozenset[str]
    where: str


def listed() -> list[Metric]:
    lines = [line.split("\t") for line in LIST.read_text().splitlines() if not line.startswith("#")]
    return [
        Metric(name, kind, frozenset(labels.replace("-", "").split(",")) - {""}, where)
        for name, kind, labels, where in lines
    ]


def shown(node: Node, view: str) -> set[tuple[str, str, frozenset[str]]]:
    with node.session() as session:
        return {(name, kind, frozenset(labels)) for name, kind, labels in session.query(SHOWN.format(view=view))}


def value(node: Node, metric: str, /, **labels: str) -> float | None:
    wanted = ", ".join(f'"{key}": "{text}"' for key, text in labels.items())
    return node.value(f"SELECT sum(value) FROM fawkes_ha.metrics WHERE name = '{metric}' AND labels @> '{{{wanted}}}'")


def member(cluster: Cluster, role: str) -> Node:
    leader = cluster.wait_all_stream()
    node = leader if role == "primary" else cluster.others(leader)[0]
    node.wait_for_extension()
    until("its lag is known", lambda: value(node, "cnpg_pg_replication_lag") is not None, 60)
    return node


def test_list_and_document_agree() -> None:
    """docs/metrics.md has every metric of the list that SQL answers, with its type and labels."""
    documented = {}
    for head, *body in documents.tables(documents.read("docs/metrics.md")):
        if head[0] == "metric":
            documented |= {
                documents.spans(row[0])[0]: (row[1], frozenset(documents.spans(row[2])))
                for row in body
                if row[0].startswith(("`cnpg_", "`kubelet_"))
            }
    wanted = {m.name: (m.type, m.labels) for m in listed() if m.where != "exporter"}
    assert {name: documented.get(name) for name in wanted} == wanted
    from_sql = {name for name in documented if name not in {m.name for m in listed() if m.where == "exporter"}}
    assert from_sql - set(wanted) == OURS


@pytest.mark.parametrize("role", ["primary", "standby"])
def test_every_metric_is_there(cluster: Cluster, role: str) -> None:
    """Each with its type and labels, on the right role and version, and no other."""
    node = member(cluster, role)
    applies = {"everywhere", ">=17" if programs.major() >= 17 else "<17"}
    applies |= {"primary"} if role == "primary" else set()  # nothing is archived here
    wanted = {(m.name, m.type, m.labels) for m in listed() if m.where in applies}
    wanted |= {(name, "gauge", frozenset()) for name in OURS}
    with node.session() as session:
        session.query("SELECT pg_create_physical_replication_slot('kept', true)")
        try:
            assert shown(node, "server_metrics") ^ wanted == set()
        finally:
            session.query("SELECT pg_drop_replication_slot('kept')")
    assert shown(node, "database_metrics") == {(m.name, m.type, m.labels) for m in listed() if m.where == "database"}


@pytest.mark.parametrize("role", ["primary", "standby"])
def test_the_exporters_role_reads_all(cluster: Cluster, role: str) -> None:
    node = member(cluster, role)
    until("the role", lambda: node.value("SELECT to_regrole('fawkes_exporter')::text"), 60)
    count = "SELECT count(DISTINCT name) FROM fawkes_ha.metrics"
    with node.session() as session:
        of_superuser = session.value(count)
        session.query("SET ROLE fawkes_exporter")
        assert session.value(count) == of_superuser
        assert session.value("SELECT count(*) FROM fawkes_ha.database_metrics") > 1
        assert session.value("SELECT count(*) FROM fawkes_ha.user_metrics") >= 0


def test_replication(cluster: Cluster) -> None:
    leader = member(cluster, "primary")
    standbys = cluster.others(leader)
    assert value(leader, "cnpg_pg_replication_in_recovery") == 0
    assert value(leader, "cnpg_pg_replication_is_wal_receiver_up") == 0
    assert value(leader, "cnpg_pg_replication_streaming_replicas") == len(standbys)
    assert value(leader, "cnpg_pg_replication_lag") == 0
    assert value(leader, "cnpg_pg_replication_slots_active") == len(standbys)
    assert 0 <= value(leader, "cnpg_pg_replication_slots_pg_wal_lsn_diff") < 1024**3
    names = "SELECT array_agg(DISTINCT labels ->> 'application_name') FROM fawkes_ha.metrics_stat_replication"
    # Without the incarnation, which would begin new series with each life of a standby's data.
    assert set(leader.value(names)) == {node.name for node in standbys}
    names = "SELECT array_agg(DISTINCT labels ->> 'application_name') FROM fawkes_ha.metrics_backends"
    names += " WHERE labels ->> 'usename' = 'fawkes_replication'"
    assert set(leader.value(names)) == {node.name for node in standbys}
    for standby in standbys:
        assert value(standby, "cnpg_pg_replication_in_recovery") == 1
        assert value(standby, "cnpg_pg_replication_is_wal_receiver_up") == 1
        assert value(standby, "cnpg_pg_replication_streaming_replicas") == 0
        until("the lag is small", lambda: 0 <= value(standby, "cnpg_pg_replication_lag") < 3, 60)


def test_replay_that_stands_still_is_lag(cluster: Cluster) -> None:
    """Although everything was received, and nothing is written: the usual formula says 0."""
    standby = member(cluster, "standby")
    with standby.session() as session:
        session.query("SELECT pg_wal_replay_pause()")
        try:
            until("the lag grows", lambda: value(standby, "cnpg_pg_replication_lag") > 3, 60)
        finally:
            session.query("SELECT pg_wal_replay_resume()")
    until("it is small again", lambda: value(standby, "cnpg_pg_replication_lag") < 3, 60)


def test_the_member(cluster: Cluster) -> None:
    leader = member(cluster, "primary")
    version = leader.value("SELECT current_setting('server_version_num')::int")
    full = f"{version // 10000}.{version % 10000}"
    assert value(leader, "cnpg_collector_postgres_version", full=full, cluster="db-demo-dev") == float(full)
    assert value(leader, "cnpg_collector_fencing_on") == 0
    assert value(leader, "cnpg_collector_nodes_used") == 1
    assert value(leader, "cnpg_collector_sync_replicas", value="observed") == 0
    assert value(leader, "cnpg_collector_manual_switchover_required") == 0
    connections = int(leader.value("SHOW max_connections"))
    assert value(leader, "cnpg_pg_settings_setting", name="max_connections") == connections
    assert value(leader, "cnpg_pg_settings_setting", name="fsync") == 1
    assert value(leader, "cnpg_pg_postmaster_start_time") == pytest.approx(
        leader.value("SELECT extract(epoch FROM pg_postmaster_start_time())::float8"), abs=0.001
    )


def test_wal_files(cluster: Cluster) -> None:
    leader = member(cluster, "primary")
    assert value(leader, "cnpg_collector_pg_wal", value="size") == value(
        leader, "cnpg_collector_pg_wal", value="count"
    ) * leader.value("SELECT pg_size_bytes(current_setting('wal_segment_size'))")
    assert value(leader, "cnpg_collector_pg_wal", value="keep") == 512 / 16
    assert value(leader, "cnpg_collector_pg_wal", value="slots_max") == 4096 / 16
    # WAL has no volume to itself here.
    assert isnan(value(leader, "cnpg_collector_pg_wal", value="volume_size"))
    before = value(leader, "cnpg_collector_wal_records")
    with leader.session() as session:
        session.query("CREATE TABLE counted (i int)")
        session.query("INSERT INTO counted SELECT generate_series(1, 1000)")
        session.query("DROP TABLE counted")
    until("WAL is counted", lambda: value(leader, "cnpg_collector_wal_records") >= before + 1000, 30)


def volumes(metrics: dict[str, float], claim: str) -> dict[str, float]:
    """What is told of one claim, by the end of the name."""
    prefix = "kubelet_volume_stats_"
    return {name.removeprefix(prefix): told for (name, of), told in metrics.items() if of == claim}


def test_the_volume_of_a_member(cluster: Cluster) -> None:
    """Under kubelet's names, with the member's name as the claim: what disk alerts and dashboards ask."""
    leader = member(cluster, "primary")
    query = "SELECT name, labels ->> 'persistentvolumeclaim', value FROM fawkes_ha.metrics_volumes"
    with leader.session() as session:
        told = {(name, claim): number for name, claim, number in session.query(query)}
    assert {claim for _, claim in told} == {leader.name}
    told = volumes(told, leader.name)
    volume = os.statvfs(leader.data)
    assert told["capacity_bytes"] == volume.f_blocks * volume.f_frsize
    assert 0 < told["available_bytes"] <= told["capacity_bytes"] - told["used_bytes"]
    assert told["inodes"] == pytest.approx(told["inodes_free"] + told["inodes_used"])


def test_a_volume_of_its_own(directory: Path) -> None:
    """WAL elsewhere than the data, as with initdb's -X."""
    data = directory / "data"
    with tempfile.TemporaryDirectory(prefix="fh-", dir="/dev/shm") as wal:
        programs.must_run("initdb", "-D", data, "-X", f"{wal}/wal", "-U", "postgres", "-A", "trust", "-N")
        settings = {"unix_socket_directories": str(directory), "listen_addresses": ""}
        with open(data / "postgresql.conf", "a") as conf:
            conf.write(programs.settings_text(settings))
        programs.must_run("pg_ctl", "start", "-w", "-D", data, "-l", directory / "log")
        try:
            with Session(f"host={directory} user=postgres dbname=postgres") as session:
                session.query("CREATE EXTENSION fawkes_ha")
                wal_files = "SELECT labels ->> 'value', value FROM fawkes_ha.metrics_wal WHERE labels ? 'value'"
                told = dict(session.query(wal_files))
                own = dict(session.query("SELECT wal, capacity_bytes FROM fawkes_ha.volumes()"))
                claims = session.query("SELECT * FROM fawkes_ha.metrics_volumes")
        finally:
            programs.must_run("pg_ctl", "stop", "-w", "-D", data)
        volume = os.statvfs(wal)
        size = volume.f_blocks * volume.f_frsize
        assert told["volume_size"] == size and told["volume_max"] == size / 16 / 1024**2
        assert own[True] == size and own.keys() == {False, True}
        assert claims == []  # a server without a member's name has no claim


def test_backends(cluster: Cluster) -> None:
    """Who waits, who is connected, and how long a transaction is open."""
    leader = member(cluster, "primary")
    connected = value(leader, "cnpg_pg_connections")
    with leader.session() as holder, leader.session() as waiter:
        assert value(leader, "cnpg_pg_connections") >= connected + 2
        assert value(leader, "cnpg_backends_waiting_total") == 0
        holder.query("SET application_name = 'holder'")
        holder.query("BEGIN")
        holder.query("SELECT pg_advisory_xact_lock(7)")
        waiter.send("SELECT pg_advisory_xact_lock(7)")
        until("one waits", lambda: value(leader, "cnpg_backends_waiting_total") == 1, 30)
        labels = {"application_name": "holder", "state": "idle in transaction", "datname": "postgres"}
        assert value(leader, "cnpg_backends_total", **labels) == 1
        assert value(leader, "cnpg_backends_max_tx_duration_seconds", **labels) > 0
        holder.query("COMMIT")
        waiter.receive()
    until("nobody waits", lambda: value(leader, "cnpg_backends_waiting_total") == 0, 30)


def test_databases(cluster: Cluster) -> None:
    leader = member(cluster, "primary")
    for name, sql in (
        ("cnpg_pg_database_size_bytes", "pg_database_size('template1')"),
        ("cnpg_pg_database_xid_age", "age(datfrozenxid)"),
        ("cnpg_pg_database_mxid_age", "mxid_age(datminmxid)"),
    ):
        expected = leader.value(f"SELECT {sql}::float8 FROM pg_database WHERE datname = 'template1'")
        assert value(leader, name, datname="template1") == pytest.approx(expected, abs=100), name
    assert value(leader, "cnpg_pg_database_size_bytes", datname="template0") is None
    with leader.session() as session:
        before = value(leader, "cnpg_pg_stat_database_xact_rollback", datname="postgres")
        session.query("BEGIN; SELECT 1")
        session.query("ROLLBACK")
        session.query("SELECT pg_stat_force_next_flush()")
    counted = "cnpg_pg_stat_database_xact_rollback"
    until("it is counted", lambda: value(leader, counted, datname="postgres") > before, 30)


def test_a_size_is_measured_again(cluster: Cluster) -> None:
    """By a session that is told the same for some time, and by others at once."""
    leader = member(cluster, "primary")
    size = "SELECT fawkes_ha.database_size(oid) FROM pg_database WHERE datname = 'postgres'"
    with leader.session() as session:
        before = session.value(size)
        with leader.session() as other:
            other.query("CREATE TABLE large AS SELECT repeat('x', 1000) FROM generate_series(1, 5000)", timeout=60)
            assert other.value(size) > before + 5_000_000
        until("it is measured again", lambda: session.value(size) > before + 5_000_000, 330)
        session.query("DROP TABLE large")


def test_extensions(cluster: Cluster) -> None:
    """Each database tells of its own."""
    leader = member(cluster, "primary")
    labels = leader.value("SELECT labels FROM fawkes_ha.database_metrics WHERE labels ->> 'extname' = 'fawkes_ha'")
    assert labels["datname"] == "postgres" and labels["installed_version"] == labels["default_version"]
    with leader.session() as session:
        session.query("CREATE DATABASE older", timeout=60)
    with leader.session(database="older") as session:
        session.query("CREATE EXTENSION fawkes_ha VERSION '1.0'")
        session.query("ALTER EXTENSION fawkes_ha UPDATE")
        told = "SELECT labels ->> 'datname', value FROM fawkes_ha.database_metrics WHERE labels ? 'extname'"
        told += " AND labels ->> 'extname' = 'fawkes_ha'"
        assert session.query(told) == [("older", 0.0)]
    with leader.session() as session:
        session.query("DROP DATABASE older WITH (FORCE)", timeout=60)


def test_views_of_users_reach_standbys(cluster: Cluster) -> None:
    leader = member(cluster, "primary")
    standby = cluster.others(leader)[0]
    until("the role", lambda: leader.value("SELECT to_regrole('fawkes_exporter')::text"), 60)
    with leader.session() as session:
        session.query("CREATE SCHEMA shop; CREATE VIEW shop.orders AS SELECT 'x'::text AS place, 7 AS open")
        session.query("SELECT fawkes_ha.add_metrics('shop.orders')")
    until("the standby has it", lambda: standby.value("SELECT count(*) FROM fawkes_ha.user_metrics") == 1, 60)
    with standby.session() as session:
        session.query("SET ROLE fawkes_exporter")
        query = session.value("SELECT query FROM fawkes_ha.user_metrics")
        assert [(r[0], r[1], r[3], r[4]) for r in session.query(query)] == [
            ("cnpg_orders_open", "gauge", {"place": "x"}, 7.0)
        ]
    with leader.session() as session:
        session.query("SELECT fawkes_ha.remove_metrics('shop.orders')")
        session.query("DROP SCHEMA shop CASCADE")


def test_the_archiver() -> None:
    """What was archived and what failed, and where those files begin."""
    base = Path(tempfile.mkdtemp(prefix="fh-", dir="/tmp"))
    (base / "lock").mkdir(mode=0o700)
    settings = {
        "fawkes_ha.cluster_name": "archived",
        "fawkes_ha.lock": f"dir:{base}/lock",
        "fawkes_ha.bootstrap": "initdb",
        "archive_mode": "on",
        "archive_command": f"test ! -e {base}/full",
    }
    node = Node("n1", base, base, free_ports(1, 5961)[0], settings)
    prefix = "cnpg_pg_stat_archiver_"
    archiver = {(m.name, m.type, m.labels) for m in listed() if m.where == "archiver"}
    try:
        node.prepare(secrets.token_hex(16))
        node.start()
        until("the founder leads", lambda: is_leading(node), 120)
        node.wait_for_extension()
        switch = """SELECT pg_walfile_name(pg_current_wal_lsn() - 1), ((pg_current_wal_lsn() - '0/0')::bigint - 1)
            / pg_size_bytes(current_setting('wal_segment_size')) * pg_size_bytes(current_setting('wal_segment_size')),
            pg_switch_wal()"""
        for kind in ("archived", "failed"):
            if kind == "failed":
                (base / "full").touch()
            with node.session() as session:
                session.query("CREATE TABLE t (); DROP TABLE t")
                name, start, _ = session.query(switch)[0]
            until(
                f"{name} {kind}",
                lambda: node.value(f"SELECT last_{kind}_wal FROM pg_stat_archiver") == name,
                60,
            )
            assert value(node, f"{prefix}last_{kind}_wal_start_lsn") == start
            assert value(node, f"{prefix}{kind}_count") >= 1
            assert value(node, f"{prefix}last_{kind}_time") > 1.6e9
        since_failure = value(node, f"{prefix}seconds_since_last_failure")
        assert value(node, f"{prefix}seconds_since_last_archival") > since_failure >= 0
        until("one is ready", lambda: value(node, "cnpg_collector_pg_wal_archive_status", value="ready") >= 1, 60)
        assert value(node, "cnpg_collector_pg_wal_archive_status", value="done") >= 1
        assert archiver <= shown(node, "server_metrics")
    finally:
        node.stop()
        node.kill()
        shutil.rmtree(base, ignore_errors=True)
