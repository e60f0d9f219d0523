"""Attacks on timelines: promotions that nobody saw, and promotions that died half-way.

One cluster serves all tests here; each begins with one that streams, whoever leads it.
"""

import itertools
import random
import signal
import subprocess

import pytest

from lab import evidence, process, programs
from lab.cluster import Cluster
from lab.load import Load
from lab.node import Node
from lab.record import versions, write_next
from lab.session import Session
from lab.steps import (
    frozen,
    has,
    insert,
    make_leader,
    recorded_standbys,
    revive,
    wait_all_the_same,
)
from lab.wait import now, until

FAULTS = True
rows = itertools.count(-1, -1)  # the writers take what is above 0


def test_two_promotions_that_did_not_see_each_other(cluster: Cluster) -> None:
    """S7: B and C each promote from A's timeline unseen by the other; both would choose the same number.

    C is frozen while B takes over and acknowledges a row; B dies before C wakes.  Then all meet.
    """
    a = revive(cluster)
    b, c = cluster.others(a)
    lost, kept = next(rows), next(rows)
    common = cluster.timeline(a)
    with frozen(c):
        a.kill()
        until("B leads", lambda: cluster.find_leader() is b)
        insert(cluster, b, lost)
        first = cluster.timeline(b)
        b.kill()
    until("C leads", lambda: cluster.find_leader() is c)
    insert(cluster, c, kept)
    second = cluster.timeline(c)
    assert common < first < second
    # C's timeline comes from A's: it never was on B's.
    evidence.fork_position(c, common, second)
    with pytest.raises(ValueError):
        evidence.fork_position(c, first, second)
    a.start()
    b.start()
    assert wait_all_the_same(cluster) is c
    for node in cluster.nodes:
        assert (has(cluster, node, lost), has(cluster, node, kept)) == (False, True), node.name
    assert list(b.state.glob(f"wal-past-fork-{common}-*")), "B's row is in WAL that was kept (S11)"


def test_a_promotion_by_hand_of_the_number_that_a_term_takes(cluster: Cluster) -> None:
    """S7: C was promoted by hand, and dies before that is put right; the next term reserves the same number.

    C's timeline began elsewhere than B's of that number, so C is not on the leader's history.
    """
    a = revive(cluster)
    b, c = cluster.others(a)
    row = next(rows)
    common = cluster.timeline(a)
    since = c.log.stat().st_size
    process.send([c.supervisor_pid], signal.SIGSTOP)
    (c.data / "promote").touch()
    process.send([c.postmaster_pid], signal.SIGUSR1)
    c.wait_for_log("database system is shut down", since=since)
    c.kill()
    insert(cluster, a, row)
    until("B has the row", lambda: has(cluster, b, row))
    a.kill()
    until("B leads", lambda: cluster.find_leader() is b)
    number = cluster.timeline(b)
    assert (c.data / "pg_wal" / f"{number:08X}.history").exists() and number == common + 1
    c.start()
    a.start()
    wait_all_the_same(cluster)
    assert has(cluster, c, row)


def newest_of_all(cluster: Cluster) -> dict[str, str]:
    """The text of each record."""
    names = {path.name.rsplit(".", 1)[0] for path in cluster.lock.iterdir() if path.suffix[1:].isdigit()}
    return {name: versions(cluster, name)[-1].read_text() for name in names}


def hold_alike(leader: Node, *standbys: Node) -> None:
    """From now on they get nothing more, and have the same."""

    def stopped() -> bool:
        process.send(leader.titled("postgres: walsender"), signal.SIGSTOP)
        if len({node.value("SELECT pg_last_wal_receive_lsn()") for node in standbys}) == 1:
            return True
        process.send(leader.titled("postgres: walsender"), signal.SIGCONT)
        return False

    until("they have the same", stopped)


@pytest.mark.parametrize("led", [False, True], ids=["leads", "led"])
def test_a_term_that_the_lock_forgot_is_taken_again(cluster: Cluster, led: bool) -> None:
    """S7: B leads a term that the lock forgets, and C, which never heard of it, takes it again: same number, same fork.

    Only by their identities are the two timelines two.  B must not stream from C, and must not be rewound either:
    pg_rewind takes C's timeline for B's, also when A leads on a child of it by then.
    """
    a = revive(cluster)
    b, c = cluster.others(a)
    lost, kept = next(rows), next(rows)
    common = cluster.timeline(a)
    hold_alike(a, b, c)
    copy = until("the records are copied", lambda: newest_of_all(cluster))
    c.kill()
    a.kill()
    until("B leads", lambda: cluster.find_leader() is b)
    number = cluster.timeline(b)
    insert(cluster, b, lost)
    b.kill()
    fork = evidence.fork_position(b, common, number)
    for name, text in copy.items():
        write_next(cluster, text, name)
    c.start()
    until("C leads", lambda: cluster.find_leader() is c)
    assert cluster.timeline(c) == number and evidence.fork_position(c, common, number) == fork
    insert(cluster, c, kept)
    a.start()
    if led:
        until("A streams", lambda: cluster.streams(a, c))
        assert c.command("switchover", "--to", a.name).returncode == 0
        until("A leads", lambda: cluster.find_leader() is a)
        evidence.fork_position(a, number, cluster.timeline(a))
    since = b.log.stat().st_size
    b.start()
    assert wait_all_the_same(cluster) is (a if led else c)
    b.wait_for_log("which no rewind tells apart", since=since)
    for node in cluster.nodes:
        assert (has(cluster, node, lost), has(cluster, node, kept)) == (False, True), node.name
    assert list(b.state.glob(f"wal-past-fork-{common}-*")), "B's row is in WAL that was kept (S11)"


def test_the_wal_of_a_half_promotion_is_nobody_else_s(cluster: Cluster) -> None:
    """S7: the history of another's timeline of that number would have recovery read it."""
    leader = revive(cluster)
    standby = cluster.others(leader)[0]
    timeline = cluster.timeline(leader)
    standby.kill()
    newest = max((standby.data / "pg_wal").glob(f"{timeline:08X}????????????????"))
    left = newest.with_name(f"{timeline + 1:08X}{newest.name[8:]}")
    left.write_bytes(newest.read_bytes())
    (standby.state / "promoting").write_text(f"{timeline}\n")
    standby.start()
    wait_all_the_same(cluster)
    assert not left.exists() and newest.exists()


@pytest.mark.parametrize("promoting", [False, True], ids=["killed", "promoting"])
def test_a_timeline_that_was_only_begun(cluster: Cluster, promoting: bool) -> None:
    """S7: C has all of B's timeline, and of A's after it an empty segment, when all three are killed; C alone comes back.

    A standby receives a new timeline's segment from its beginning.  PostgreSQL prefers that file to the
    older timeline's, which has more; and C's control file knows neither of the two timelines.
    """
    a = revive(cluster)
    b, c = cluster.others(a)
    kept = next(rows)
    make_leader(cluster, b)
    middle = cluster.timeline(b)
    insert(cluster, b, kept)
    until("C has the row", lambda: has(cluster, c, kept))
    for operation in ("link", "rename"):  # as the version of PostgreSQL does it
        cluster.faults[c].at(operation, f"/pg_wal/{middle + 1:08X}0", "stop")
    assert b.command("switchover", "--to", a.name).returncode == 0
    assert cluster.faults[c].wait_met() in c.titled("postgres: walreceiver")
    for node in cluster.nodes:
        node.kill()
    cluster.faults[c].clear()
    assert int(programs.control_data(c.data)["Latest checkpoint's TimeLineID"]) < middle
    if promoting:
        (c.state / "promoting").write_text(f"{middle + 1}\n")
    c.start()
    until("C leads", lambda: cluster.find_leader() is c, 120)
    assert has(cluster, c, kept)
    a.start()
    b.start()
    assert wait_all_the_same(cluster) is c
    for node in cluster.nodes:
        assert has(cluster, node, kept), node.name


# Where in a promotion somebody dies.
HALVES = {
    "history-checkpointer": ("rename", ".history", "checkpointer"),
    "signal-checkpointer": ("unlink", "standby.signal", "checkpointer"),
    "signal-postmaster": ("unlink", "standby.signal", "parent"),
    "ordered-postmaster": ("create", "/data/promote", "parent"),
}
MORE_HALVES = {
    "history-postmaster": ("rename", ".history", "parent"),
    "history-startup": ("rename", ".history", "self"),
    "signal-startup": ("unlink", "standby.signal", "self"),
    "ordered-agent": ("create", "/data/promote", "self"),
    "marked-agent": ("rename", "/promoting", "self"),
}


def insert_small(cluster: Cluster, node: Node, row: int) -> None:
    """No index, and a page that was written before: about a hundred bytes of WAL."""
    with Session(cluster.dsn([node]), 5) as session:
        session.query("INSERT INTO filler VALUES (%s, '')", (row,), timeout=20)


def has_small(cluster: Cluster, node: Node, row: int) -> bool:
    with Session(cluster.dsn([node], writable=False), 5) as session:
        return session.value("SELECT count(*) FROM filler WHERE id = %s", (row,), timeout=20) == 1


def half_promotion(cluster: Cluster, fault: tuple[str, str, str]) -> None:
    """The old primary's commit beyond the fork is smaller than the checkpoint that a second primary would write."""
    old = revive(cluster)
    before, alone, after = next(rows), next(rows), next(rows)
    insert_small(cluster, old, before)
    until("the page is everywhere", lambda: all(has_small(cluster, node, before) for node in cluster.nodes))
    process.send(old.titled("postgres: walsender"), signal.SIGSTOP)
    insert_small(cluster, old, alone)
    others = cluster.others(old)
    for node in others:
        cluster.faults[node].at(*fault)
    old.kill()
    until("the promotion met its fault", lambda: [n for n in others if cluster.faults[n].met()], every=0.005)
    for node in others:
        cluster.faults[node].clear()
    leader = cluster.wait_for_leader(besides=old)
    insert_small(cluster, leader, after)
    old.start()
    wait_all_the_same(cluster)
    for node in cluster.nodes:
        assert (has_small(cluster, node, alone), has_small(cluster, node, after)) == (False, True), node.name


@pytest.mark.parametrize("fault", HALVES.values(), ids=HALVES)
def test_a_half_promotion(cluster: Cluster, fault: tuple[str, str, str]) -> None:
    """S7: killed between the action and the end of recovery, a new primary never writes on the timeline it was leaving.

    The old primary has one commit beyond the fork: were both to go on on the same timeline, it
    would stream as if nothing had happened, and the nodes would differ.
    """
    half_promotion(cluster, fault)


@pytest.mark.long
@pytest.mark.parametrize("fault", MORE_HALVES.values(), ids=MORE_HALVES)
def test_another_half_promotion(cluster: Cluster, fault: tuple[str, str, str]) -> None:
    """S7: as above; the other places."""
    half_promotion(cluster, fault)


def test_an_agent_that_ends_in_a_promotion_leaves_no_mark(cluster: Cluster) -> None:
    """S7: the agent after it finds a primary.  With the mark of a promotion that is over, the death of a process would end that."""
    old = revive(cluster)
    successor, third = cluster.others(old)
    third.kill()
    cluster.faults[successor].at("create", "/data/promote", "stop")
    old.kill()
    cluster.faults[successor].wait_met()
    since = successor.log.stat().st_size
    process.send([successor.postmaster_pid], signal.SIGUSR1)
    successor.wait_for_log("archive recovery complete", since=since)
    agent = successor.titled("fawkes_ha agent")
    process.send(agent, signal.SIGTERM)
    process.send(agent, signal.SIGCONT)
    until(
        "another agent leads",
        lambda: cluster.find_leader() is successor and successor.titled("fawkes_ha agent") != agent,
    )
    insert(cluster, successor, next(rows))
    assert not (successor.state / "promoting").exists()


def test_a_reserved_timeline_is_the_parent_of_none(cluster: Cluster) -> None:
    """S7: a term that never led leaves a number that a promotion skips; recovery must not take it for a timeline."""
    old = revive(cluster)
    successors = cluster.others(old)
    for node in successors:
        cluster.faults[node].at("create", "/data/promote", "stop")
    old.kill()
    first = until(
        "a successor has its action",
        lambda: next((n for n in successors if cluster.faults[n].met()), None),
        every=0.005,
    )
    first.kill()
    second = next(node for node in successors if node is not first)
    agent = cluster.faults[second].wait_met()
    since = second.log.stat().st_size
    # Without a stream the startup process looks for new timelines every 500 ms.
    looks = ("is not a child of database system timeline", "new target timeline is")
    until("recovery looks for timelines", lambda: any(look in second.log.read_text()[since:] for look in looks))
    process.send([agent], signal.SIGCONT)
    for node in successors:
        cluster.faults[node].clear()
    until("it leads", lambda: cluster.find_leader() is second)
    newest = max((second.data / "pg_wal").glob("*.history"))
    assert "reserved" not in newest.read_text(), newest.name
    revive(cluster)
    wait_all_the_same(cluster)


def test_a_promotion_that_has_lost_its_lease_keeps_its_number(cluster: Cluster) -> None:
    """S7: its agent follows another leader while the promotion waits for replay; the numbers between stay taken."""
    old = revive(cluster)
    heirs = cluster.others(old)
    for node in heirs:
        cluster.faults[node].at("create", "/data/promote", "stop")
    old.kill()
    first = until("an heir has its order", lambda: next((n for n in heirs if cluster.faults[n].met()), None), every=0.005)
    first.kill()
    second = next(node for node in heirs if node is not first)
    agent = cluster.faults[second].wait_met()
    since = second.log.stat().st_size
    newest = max(int(path.stem, 16) for path in (second.data / "pg_wal").glob("*.history"))
    startup = second.titled("postgres: startup")
    process.send(startup, signal.SIGSTOP)
    for node in heirs:
        cluster.faults[node].clear()
    process.send([agent], signal.SIGCONT)
    second.wait_for_log("promoting to timeline", since=since)
    process.send([agent], signal.SIGSTOP)
    old.start()
    until("the old primary leads again", lambda: cluster.find_leader() is old)
    process.send([agent], signal.SIGCONT)
    second.wait_for_log(f"following {old.name}", since=since)
    process.send(startup, signal.SIGCONT)
    chosen = second.wait_for_log("selected new timeline ID", since=since)
    assert int(chosen.split()[-1]) == newest + 1, chosen
    revive(cluster)
    wait_all_the_same(cluster)


@pytest.mark.parametrize("text", ["# fawkes_ha: reserved, never promoted\n", "1\tFFFFFFFF/FF000000\tfawkes_ha: reserved, never promoted\n"], ids=["1.2", "1.1"])
def test_a_standby_with_a_reserved_timeline_at_the_end_starts(cluster: Cluster, text: str) -> None:
    """S7: it received the placeholder and was killed before the timeline after it arrived."""
    leader = revive(cluster)
    standby = cluster.others(leader)[0]
    standby.kill()
    newest = max(int(path.stem, 16) for path in (leader.data / "pg_wal").glob("*.history"))
    placeholder = standby.data / "pg_wal" / f"{newest + 1:08X}.history"
    placeholder.write_text(text)
    standby.start()
    wait_all_the_same(cluster)
    assert not placeholder.exists()


def test_a_mark_that_cannot_be_removed(cluster: Cluster) -> None:
    """S7: left, it would make a later start forget a timeline that was followed; so PostgreSQL does not start, and says why."""
    node = cluster.others(revive(cluster))[0]
    node.kill()
    since = node.log.stat().st_size
    (node.state / "promoting").mkdir()
    node.start()
    node.wait_for_log(f'PostgreSQL could not be started: could not remove "{node.state}/promoting"', since=since)
    assert node.postmaster_pid is None
    (node.state / "promoting").rmdir()
    cluster.wait_streams(node)


@pytest.mark.long
def test_promotions_killed_at_random(cluster: Cluster) -> None:
    """S7: the target's checkpointer is killed at a random moment of each of many promotions."""
    revive(cluster)
    end = now() + 120
    with Load(cluster, writers=3) as load:
        while now() < end:
            number = load.begin_round()
            load.wait_for_acks(100)
            leader = cluster.wait_all_stream()
            target = random.choice(cluster.others(leader))
            checkpointer = target.titled("postgres: checkpointer")
            at = target.log.stat().st_size
            switchover = subprocess.Popen(
                [programs.path("fawkes-ha"), "switchover", "-D", leader.data, "--to", target.name, "--wait", "5"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            target.wait_for_log("selected new timeline", since=at)
            chosen = now() + random.uniform(0, 0.03)
            until("its moment has come", lambda: now() >= chosen, every=0.0005)
            process.send(checkpointer, signal.SIGKILL)
            switchover.wait()
            leader = cluster.wait_all_stream()
            acks = [ack for ack in load.acks if ack.round == number]
            assert evidence.missing_rows(cluster, leader, acks, number) == []
        with load.paused():
            wait_all_the_same(cluster)
    assert evidence.overlap(load.acks) == 0


def test_what_an_earlier_life_acknowledged(cluster: Cluster) -> None:
    """S7: a successor must have what the primary acknowledged before its own restart, too.

    20 rows that no standby has, then the postmaster's death and the same primary again; at its next
    death, a standby that never got these rows may not lead while the old primary can come back.
    """
    n1 = revive(cluster)
    make_leader(cluster, n1)
    n2, n3 = cluster.others(n1)
    mine = [next(rows) for _ in range(20)]
    behind = n3.titled("postgres: walreceiver")
    process.send(behind, signal.SIGSTOP)
    process.send(n1.titled("postgres: walsender"), signal.SIGSTOP)
    for row in mine:
        insert(cluster, n1, row)
    at = n1.log.stat().st_size
    process.send([n1.postmaster_pid], signal.SIGKILL)
    # Nothing is written, which would be acknowledged in this life.
    n1.wait_for_log("this member leads", since=at)
    until("n1 leads again", lambda: n1.value("SELECT NOT pg_is_in_recovery()"))
    until("n2 streams", lambda: cluster.streams(n2, n1))
    until("and is known for it", lambda: n2.name in recorded_standbys(n1))
    process.send([n1.postmaster_pid], signal.SIGKILL)
    n2.kill()
    process.send(behind, signal.SIGCONT)
    leader = cluster.wait_for_leader()
    assert all(has(cluster, leader, row) for row in mine)
    n2.start()
    wait_all_the_same(cluster)
