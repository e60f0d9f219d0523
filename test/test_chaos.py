"""A short form of `make check-long`: a few random faults, and the judge of all of them is judged.

The seed is printed; `make chaos SEED=n EVENTS=n` performs the same faults again.
"""

import random

import pytest

from lab import chaos
from lab.cluster import APPLICATION, Cluster
from lab.part import Part
from lab.strikes import CUTS, USUAL, named
from lab.load import Ack, Load
from lab.node import Node
from lab.session import Session
from lab.verdict import DiscardedWal, Judge, unproven
from lab.wait import NotInTime

EVENTS = 8
CUT_EVENTS = 5


def ack(at: float, timeline: int = 1, port: int = 1, row: int = 1, position: int = 100, backend: int = 7) -> Ack:
    return Ack(at, row, 1, port, timeline, row, position, backend)


@pytest.fixture(scope="module")
def run(cluster: Cluster):
    with Load(cluster, writers=6, rest_s=0.01) as load, DiscardedWal(cluster) as wal:
        yield chaos.Run(cluster, load, wal, print)


def test_random_faults(run: chaos.Run) -> None:
    """S1, S2, S7, S9, S11: nothing forbidden is lost, nobody acknowledges beside a successor, no human is needed."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}, {EVENTS} events")
    result = run.perform(chaos.plan(seed, EVENTS))
    assert result.problems == [], f"seed {seed}"
    assert sum(result.faults.values()) == EVENTS and result.acked > 0


def test_random_cuts(directory) -> None:
    """S10: members are cut off the lock, one by one and all, while other things happen: make chaos LOCK=links."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}, {CUT_EVENTS} events")
    cluster = Part(directory / "c", first_port=5801)
    cluster.create()
    try:
        cluster.start()
        with Load(cluster, writers=6, rest_s=0.01) as load, DiscardedWal(cluster) as wal:
            result = chaos.Run(cluster, load, wal, print).perform(chaos.plan(seed, CUT_EVENTS, named(*CUTS)))
        assert result.problems == [], f"seed {seed}"
        assert sum(result.faults.values()) == CUT_EVENTS and result.acked > 0
    finally:
        cluster.destroy()


# --- negative controls on a real cluster: each plants a lie, and the judge names it


def delete(leader: Node, rows: list[Ack]) -> None:
    with Session(f"{leader.socket_dsn} dbname={APPLICATION}") as session:
        session.query("DELETE FROM ledger WHERE id = ANY(%s)", ([row.id for row in rows],))


def acknowledged(run: chaos.Run) -> list[Ack]:
    run.load.take_acks()
    run.load.begin_round()
    run.load.wait_for_acks(100)
    return run.load.take_acks()


def test_a_row_that_is_missing_without_a_failover_is_named(run: chaos.Run) -> None:
    leader = run.cluster.wait_all_stream()
    acks = acknowledged(run)
    victim = acks[-1]
    delete(leader, [victim])
    missing, problems = Judge(run.cluster, run.wal).look(leader, acks)
    assert missing == [victim]
    assert problems == [
        f"row {victim.id}, acknowledged on timeline {victim.timeline}, is missing, "
        f"and no other timeline has begun since (the leader is on {victim.timeline})"
    ]


def test_a_row_that_is_missing_before_the_fork_is_named_with_its_position(run: chaos.Run) -> None:
    """The proof comes from the old primary's WAL, for what the row carries is only a lower bound."""
    old = run.cluster.wait_all_stream()
    acks = acknowledged(run)
    done = old.command("switchover")
    assert done.returncode == 0, done.stderr
    new = run.cluster.wait_all_stream()
    delete(new, acks[:1])
    missing, problems = Judge(run.cluster, run.wal).look(new, acks)
    assert missing == acks[:1]
    assert len(problems) == 1 and "it was committed at" in problems[0] and "the timeline was left at" in problems[0]


def test_a_row_that_goes_missing_later_and_one_that_comes_back_are_named(run: chaos.Run) -> None:
    leader = run.cluster.wait_all_stream()
    judge = Judge(run.cluster, run.wal)
    acks = acknowledged(run)
    with run.load.paused():
        run.load.wait_idle()
        judge.hear(acks, set())
        assert judge.look(leader, acks) == ([], [])
        assert judge.audit(leader) == []
        judge.lost[acks[0].id] = acks[0]
        delete(leader, [acks[1]])
        assert judge.audit(leader) == [
            f"row {acks[1].id} went missing later than its event",
            f"row {acks[0].id} was missing and came back",
        ]


def test_a_cluster_that_does_not_come_back_is_told(run: chaos.Run) -> None:
    """A node that stays away: what the bound is for."""
    leader = run.cluster.wait_all_stream()
    standby = run.cluster.others(leader)[0]
    standby.kill()
    run.whole_s = 3
    try:
        with pytest.raises(NotInTime, match="needs a human"):
            run.wait_whole()
    finally:
        run.whole_s = chaos.WHOLE_S
        standby.start()
    run.cluster.wait_all_stream()


# --- the judge's rules, without a cluster


@pytest.fixture
def judge(cluster: Cluster) -> Judge:
    return Judge(cluster, DiscardedWal(cluster))


def test_a_late_acknowledgement_is_an_overlap(judge: Judge) -> None:
    assert judge.hear([ack(1), ack(2), ack(3, timeline=2, port=2)], set()) == []
    (problem,) = judge.hear([ack(4, row=9), ack(5, timeline=2, port=2)], set())
    assert problem == "row 9 was acknowledged on timeline 1, 1.000 s into a successor's time"
    assert judge.overlap_s == 1


def test_a_former_primary_whose_clients_never_left_is_an_overlap(judge: Judge) -> None:
    """The successor's lease began, though nobody has written there yet."""
    (problem,) = judge.hear([ack(1), ack(4, row=9), ack(5, timeline=2, port=2)], set(), {2: 3.0})
    assert problem.startswith("row 9 ")


def test_a_backend_stopped_before_its_send_is_excused_once(judge: Judge) -> None:
    """The window that design.md promises nothing about: one late acknowledgement of such a backend, not two."""
    judge.hear([ack(3, timeline=2, port=2)], set())
    assert judge.hear([ack(4, backend=7)], {7}) == []
    assert len(judge.hear([ack(4, backend=8)], {7})) == 1
    assert len(judge.hear([ack(5, backend=7), ack(6, backend=7)], {7})) == 2


def test_one_timeline_has_one_primary(judge: Judge, cluster: Cluster) -> None:
    first, second, _ = cluster.nodes
    problems = judge.hear([ack(1, port=first.port), ack(2, port=second.port)], set())
    assert problems == [f"{first.name} and {second.name} both acknowledged on timeline 1"]


def test_only_what_lies_beyond_the_fork_may_be_missing() -> None:
    rows = [ack(1, row=n, position=position) for n, position in ((1, 2000), (2, 900), (3, 900), (4, 900))]
    before, unknown = unproven(rows, 2, {1: 1000}, {(1, 2): 1000, (1, 3): 999})
    assert before.startswith("row 3") and "0/3E7" in before
    assert unknown.startswith("row 4") and "no WAL that was kept" in unknown
    assert unproven([ack(1, timeline=2)], 3, {1: 1000}, {}) == []  # a timeline that was left behind as a whole


def test_a_seed_decides_everything_and_no_fault_is_forgotten() -> None:
    assert chaos.plan(1, 50) == chaos.plan(1, 50) != chaos.plan(2, 50)
    names = [name for step in chaos.plan(3, 2 * len(USUAL)) for name in step.faults]
    assert sorted(names) == sorted([*USUAL, *USUAL])
