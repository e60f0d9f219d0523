"""What fawkes_ha measures of itself, in SQL and over HTTP, on a real cluster."""

import re
import signal

import pytest

from lab import http, process
from lab.cluster import CLUSTER_NAME, LEASE_S, RENEW_DEADLINE_S, Cluster
from lab.node import Node
from lab.session import Error, Session
from lab.wait import until

EXPORT = True


def own(node: Node, name: str, labels: str = "{}") -> float | None:
    return node.value(f"SELECT value FROM fawkes_ha.own_metrics() WHERE name = '{name}' AND labels = '{labels}'")


def scraped(node: Node, series: str) -> float:
    lines = http.ask(node.exporter_port, "/metrics").text.splitlines()
    names = (f"fawkes_ha_{series} ", f"{series} ")
    # Over HTTP each of fawkes_ha's own names its cluster.
    lines = [re.sub(f',?cluster="{CLUSTER_NAME}"', "", line).replace("{}", "") for line in lines]
    return next(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(names))


def install(cluster: Cluster) -> Node:
    leader = cluster.wait_all_stream()
    for node in cluster.nodes:
        node.wait_for_extension()
    return leader


def test_a_holder_and_its_standbys(cluster: Cluster) -> None:
    """S1: the numbers of the lease are those that the fence and the elections go by."""
    leader = install(cluster)
    assert own(leader, "fawkes_ha_lease_held") == 1
    assert 0 < own(leader, "fawkes_ha_lease_remaining_seconds") <= RENEW_DEADLINE_S
    assert own(leader, "fawkes_ha_fence_open") == 1
    until("all are counted", lambda: own(leader, "fawkes_ha_streaming_standbys") == len(cluster.nodes) - 1)
    for standby in cluster.others(leader):
        assert own(standby, "fawkes_ha_lease_held") == 0
        assert own(standby, "fawkes_ha_fence_open") == 0
        assert 0 < own(standby, "fawkes_ha_lease_remaining_seconds") <= LEASE_S
        assert own(standby, "fawkes_ha_term") == own(leader, "fawkes_ha_term")
        assert own(standby, "fawkes_ha_role", '{"role": "standby"}') == 1
    before = own(leader, "fawkes_ha_renewals_total", '{"result": "confirmed"}')
    until(
        "renewals are counted",
        lambda: own(leader, "fawkes_ha_renewals_total", '{"result": "confirmed"}') > before + 2,
    )
    assert own(leader, "fawkes_ha_renewal_seconds_count") >= before


def test_a_switchover_is_counted_where_it_went(cluster: Cluster) -> None:
    leader = install(cluster)
    target = cluster.others(leader)[0]
    reason = '{"reason": "switchover"}'
    before = own(target, "fawkes_ha_takeovers_total", reason)
    assert leader.command("switchover", "--to", target.name).returncode == 0
    assert cluster.wait_all_stream() is target
    assert own(target, "fawkes_ha_takeovers_total", reason) == before + 1


def test_a_failover_is_counted_where_it_went(cluster: Cluster) -> None:
    leader = install(cluster)
    term = own(leader, "fawkes_ha_term")
    reason = '{"reason": "lapsed"}'
    before = {node: own(node, "fawkes_ha_takeovers_total", reason) for node in cluster.others(leader)}
    leader.kill()
    successor = cluster.wait_for_leader(besides=leader)
    assert own(successor, "fawkes_ha_takeovers_total", reason) == before[successor] + 1
    assert own(successor, "fawkes_ha_term") == term + 1
    assert own(successor, "fawkes_ha_lease_held") == 1
    leader.start()
    cluster.wait_streams(leader)
    assert own(leader, "fawkes_ha_takeovers_total", reason) == 0
    assert own(leader, "fawkes_ha_lease_held") == 0


def test_a_stopped_agent_ages(cluster: Cluster) -> None:
    """What an agent said last is not taken for the present: its age grows, and the lease it saw runs out."""
    leader = install(cluster)
    standby = cluster.others(leader)[0]
    agent = standby.titled("fawkes_ha agent")
    process.send(agent, signal.SIGSTOP)
    try:
        until("it shows", lambda: own(standby, "fawkes_ha_agent_age_seconds") > LEASE_S + 1)
        assert own(standby, "fawkes_ha_lease_remaining_seconds") == 0
        assert own(standby, "fawkes_ha_agent_up") == 1
    finally:
        process.send(agent, signal.SIGCONT)
    until("it is young again", lambda: own(standby, "fawkes_ha_agent_age_seconds") <= LEASE_S)


def test_a_fenced_primary_says_whom_it_refused(cluster: Cluster) -> None:
    """S2: its agent stands still, so its fence shuts; SQL would be refused too, and the exporter needs none."""
    leader = install(cluster)
    login, commit = ('fence_refusals_total{where="%s"}' % where for where in ("login", "commit"))
    with Session(cluster.dsn([leader])) as session:
        session.query("BEGIN")
        session.query("CREATE TABLE refused ()")
        before = scraped(leader, login), scraped(leader, commit)
        agent = leader.titled("fawkes_ha agent")
        process.send(agent, signal.SIGSTOP)
        try:
            until("the fence is shut", lambda: scraped(leader, "fence_open") == 0)
            with pytest.raises(Error) as refusal:
                session.query("COMMIT")
            assert refusal.value.pgcode == "25006"
            with pytest.raises(Error):
                Session(cluster.dsn([leader], writable=False)).close()
            assert (scraped(leader, login), scraped(leader, commit)) == (before[0] + 1, before[1] + 1)
            assert scraped(leader, "lease_remaining_seconds") == 0
            assert scraped(leader, "agent_age_seconds") > 0
            # By SQL, which a worker may read with.
            until("dashboards see it", lambda: scraped(leader, "cnpg_collector_fencing_on") == 1, 30)
            assert cluster.wait_for_leader(besides=leader) is not leader
        finally:
            process.send(agent, signal.SIGCONT)
    cluster.wait_streams(leader)
