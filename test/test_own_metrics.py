"""What fawkes_ha measures of itself, in SQL, on a real cluster."""

import signal

from lab import process
from lab.cluster import LEASE_S, RENEW_DEADLINE_S, Cluster
from lab.node import Node
from lab.wait import until


def own(node: Node, name: str, labels: str = "{}") -> float | None:
    return node.value(f"SELECT value FROM fawkes_ha.own_metrics() WHERE name = '{name}' AND labels = '{labels}'")


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
