"""Attacks on the lock, on its clocks and its settings, and on switchovers, under load."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from lab import process, programs
from lab.attack import Attack, shimmed_cluster
from lab.cluster import CLUSTER_NAME, LEASE_S, Cluster
from lab.load import Load
from lab.node import Node, free_ports
from lab.record import copy_of, delete_all, edit, newest, put_back, versions, write_next
from lab.session import Error
from lab.shim import Shim
from lab.wait import now, until

WAIT_S = "30"  # what a command that must not hang is given


@pytest.fixture(scope="module")
def nodes(request: pytest.FixtureRequest):
    failed_before = request.session.testsfailed
    with shimmed_cluster(5901) as found:
        yield found
        if request.session.testsfailed > failed_before:
            print(found[0].log_tails(60), file=sys.stderr)


@pytest.fixture(scope="module")
def cluster(nodes) -> Cluster:
    return nodes[0]


@pytest.fixture(scope="module")
def shims(nodes) -> dict[Node, Shim]:
    return nodes[1]


@pytest.fixture(scope="module")
def load(cluster: Cluster):
    with Load(cluster, writers=4) as load:
        yield load


# --- the record


def wait_fenced(cluster: Cluster, load: Load) -> None:
    """Until nobody acknowledges, for a lease and more."""

    def silence() -> bool:
        return now() - load.acks[-1].at > 2 * LEASE_S

    until("nobody acknowledges", silence, 60)
    assert cluster.find_leader() is None


def test_the_newest_version_is_overwritten(cluster: Cluster, load: Load) -> None:
    """S1: garbage in the place of what the holder wrote: its next renewal stands in front of it."""
    attack = Attack(cluster, load)
    garbage = versions(cluster)[-1]
    garbage.write_text("garbage")
    until("the holder has written in front of it", lambda: versions(cluster)[-1] != garbage, 30)
    assert attack.judge() is attack.old
    assert attack.nothing_happened()


def test_a_garbage_version(cluster: Cluster, load: Load) -> None:
    """S1: nothing is concluded from a record that cannot be read: the fence shuts by time, and the log says what to do."""
    attack = Attack(cluster, load)
    garbage = write_next(cluster, "garbage")
    try:
        wait_fenced(cluster, load)
        for node in cluster.nodes:
            attack.wait_for_log(node, "the cluster record cannot be used")
            attack.wait_for_log(node, f"delete version {int(garbage.suffix[1:])} of it")
    finally:
        garbage.unlink()
    attack.judge()


def test_another_holder_is_written(cluster: Cluster, load: Load) -> None:
    """S1, S1b: the holder stops; nobody is the one that is named, and after the lease the members elect."""
    attack = Attack(cluster, load)
    other = cluster.others(attack.old)[0]
    edit(cluster, holder=other.name, incarnation="0123456789abcdef", nonce="0123456789abcdef")
    attack.wait_for_log(attack.old, "the lease is not this member's any more")
    attack.judge()


def test_a_higher_term_is_written(cluster: Cluster, load: Load) -> None:
    """S7: the fence shuts until the record shows the lineage of that term; then the holder goes on."""
    attack = Attack(cluster, load)
    term = int(newest(cluster)["term"])
    edit(cluster, term=str(term + 5))
    attack.judge()
    assert int(newest(cluster)["term"]) >= term + 5


def test_a_lower_term_is_written(cluster: Cluster, load: Load) -> None:
    """S7: nobody acts upon a term that is lower than one it has seen; the log says so."""
    attack = Attack(cluster, load)
    edited = edit(cluster, term=str(int(newest(cluster)["term"]) - 1))
    try:
        wait_fenced(cluster, load)
        for node in cluster.nodes:
            attack.wait_for_log(node, "the lock shows an older term than this node or another member has seen")
    finally:
        edited.unlink()
    attack.judge()


def test_a_copy_of_the_same_term_is_put_back(cluster: Cluster, load: Load) -> None:
    """S1: the holder finds its own older record: it renews that, and the fence opens by the renewal alone."""
    attack = Attack(cluster, load)
    copy = copy_of(cluster)
    load.wait_for_acks(200)
    until("the record has moved on", lambda: copy[-1][0] not in versions(cluster)[-3:], 30)
    put_back(cluster, copy)
    attack.judge()


def test_a_copy_of_an_older_term_is_put_back(cluster: Cluster, load: Load) -> None:
    """S7: it names a former holder, and opens nobody's fence; the newer record put back, all goes on."""
    attack = Attack(cluster, load)
    old_copy = copy_of(cluster)
    assert attack.old.command("switchover").returncode == 0
    leader = cluster.wait_all_stream()
    new_copy = copy_of(cluster)
    put_back(cluster, old_copy)
    try:
        wait_fenced(cluster, load)
        attack.wait_for_log(leader, "the lock shows an older term than this node or another member has seen")
    finally:
        put_back(cluster, new_copy)
    attack.judge()


def test_requests_without_end(cluster: Cluster, load: Load) -> None:
    """S1: who writes into the record, however often, keeps no dead holder alive."""
    attack = Attack(cluster, load)
    standby = cluster.others(attack.old)[0]
    attack.old.kill()

    def request() -> Node | None:
        done = standby.command("set", f"work_mem={64 + int(now() * 100) % 1000}kB")
        assert done.returncode == 0, done.stderr
        return cluster.find_leader(attack.old)

    new = until("another leads while requests go on", request, 60, every=LEASE_S / 6)
    attack.wait_for_successor()
    attack.old.start()
    assert new.command("reset", "work_mem").returncode == 0
    assert attack.judge() is new


def test_a_deleted_record(cluster: Cluster, load: Load) -> None:
    """S1, S7: the primary that held the lease writes it anew, in the same term, after a lease without anybody's."""
    attack = Attack(cluster, load)
    term = newest(cluster)["term"]
    delete_all(cluster)
    attack.wait_for_log(attack.old, "it writes the record anew")
    assert attack.judge() is attack.old
    assert attack.nothing_happened()
    assert newest(cluster)["term"] == term


def test_all_records_are_deleted_while_a_member_is_down(cluster: Cluster, load: Load) -> None:
    """S7: gone under a holder that renewed: nobody can have led since, also who is not heard; it writes on."""
    attack = Attack(cluster, load)
    down = cluster.others(attack.old)[-1]
    down.stop()
    try:
        delete_all(cluster)
        attack.wait_for_log(attack.old, "it writes the record anew")
        until("it leads on", lambda: cluster.find_leader() is attack.old, 60)
    finally:
        down.start()
    assert attack.judge() is attack.old
    assert attack.nothing_happened()


def test_a_deleted_record_whose_holder_forgot_it(cluster: Cluster, load: Load) -> None:
    """S7: nobody founds the cluster anew; the log says what to do, and that brings it back."""
    attack = Attack(cluster, load)
    process.send(attack.old.titled("fawkes_ha agent"), signal.SIGSTOP)
    put_back(cluster, [])
    # The next agent has never seen the record.
    process.send(attack.old.titled("fawkes_ha agent"), signal.SIGKILL)
    attack.wait_for_log(attack.old, "the cluster has no record: put back the record.json")
    wait_fenced(cluster, load)
    copies = [json.loads((node.state / "record.json").read_text()) for node in cluster.nodes]
    best = max(copies, key=lambda copy: int(copy["term"]))
    (cluster.base / "record").write_text(json.dumps(best))
    (cluster.base / "record").rename(cluster.lock / f"{CLUSTER_NAME}.{1:020d}")
    attack.judge()


# --- one name, two nodes


def test_two_directories_with_one_name(cluster: Cluster, load: Load) -> None:
    """S1b: who comes second does nothing while the first lives, takes its place when it is gone, and keeps it."""
    attack = Attack(cluster, load)
    first = attack.old
    (port,) = free_ports(1, cluster.nodes[-1].port + 1)
    shared = {name: first.settings[name] for name in ("fawkes_ha.cluster_name", "fawkes_ha.lock")}
    second = Node(first.name, cluster.base / "second", cluster.sockets, port, shared)
    second.prepare(cluster.passwords["replication"])
    refusal = "another node that lives has this member's name"
    try:
        second.start()
        second.wait_for_log(refusal)
        load.wait_for_acks(200)
        assert attack.nothing_happened()
        assert not second.data.exists()

        first.kill()
        leader = attack.wait_for_successor()
        until("the second streams", lambda: cluster.streams(second, leader), 60)
        since = first.log.stat().st_size
        first.start()
        first.wait_for_log(refusal, since=since)
        assert first.postmaster_pid is None
        assert cluster.streams(second, leader)
    finally:
        second.kill()
    attack.judge()


# --- no space, no answers


def test_a_full_disk_under_the_lock(cluster: Cluster, load: Load, shims: dict[Node, Shim]) -> None:
    """S1, S9: nobody can renew, so nobody leads, whoever dies meanwhile; with space again all goes on."""
    attack = Attack(cluster, load)
    for shim in shims.values():
        shim.fill_disk(cluster.lock)
    try:
        attack.wait_for_log(attack.old, "No space left on device")
        wait_fenced(cluster, load)
        process.send([attack.old.postmaster_pid], signal.SIGKILL)
    finally:
        for shim in shims.values():
            shim.fill_disk(None)
    attack.judge()


# --- clocks


@pytest.mark.parametrize("hours", [1, -1])
def test_a_step_of_the_wall_clock(cluster: Cluster, load: Load, shims: dict[Node, Shim], hours: int) -> None:
    """S3: an hour forward or back, on one node and then on all: nothing happens; and back in a failover's wait."""
    attack = Attack(cluster, load)
    try:
        for node in [attack.old, *cluster.others(attack.old)]:
            shims[node].shift_wall_clocks(hours * 3600)
            load.wait_for_acks(100)
        stepped = now()
        until("two leases are over", lambda: now() > stepped + 2 * LEASE_S, 30)
        assert attack.judge() is attack.old
        assert attack.nothing_happened()
        attack = Attack(cluster, load)
        agents = attack.old.titled("fawkes_ha agent")
        process.send(agents, signal.SIGSTOP)
    finally:
        for shim in shims.values():
            shim.shift_wall_clocks(0)
    try:
        attack.wait_for_successor()
    finally:
        process.send(agents, signal.SIGCONT)
    attack.judge()


# --- durations


def set_lease(node: Node, lease: str, deadline: str, retry: str) -> None:
    node.write_settings(
        **{"fawkes_ha.lease_duration": lease, "fawkes_ha.renew_deadline": deadline, "fawkes_ha.retry_period": retry}
    )
    process.send([node.supervisor_pid], signal.SIGHUP)


LONG = ("8s", "7s", "500ms")
SHORT = ("1500ms", "1s", "250ms")


@pytest.fixture
def usual_lease(cluster: Cluster) -> Iterator[None]:
    yield
    for node in cluster.nodes:
        node.write_settings()
        process.send([node.supervisor_pid], signal.SIGHUP)


@pytest.mark.parametrize(
    ("of_holder", "of_others"), [(LONG, SHORT), (SHORT, LONG)], ids=["holder-longer", "holder-shorter"]
)
def test_different_durations(cluster: Cluster, load: Load, usual_lease: None, of_holder, of_others) -> None:
    """S1: changed while running, up and down; a candidate waits for the longer of its own and the holder's."""
    attack = Attack(cluster, load)
    for node in cluster.nodes:
        set_lease(node, *(of_holder if node is attack.old else of_others))
    until("the record has the holder's", lambda: newest(cluster)["lease_duration_ms"] in (8000, 1500), 30)
    changed = now()
    until("a raised deadline counts", lambda: now() > changed + 2 * LEASE_S, 30)
    agents = attack.old.titled("fawkes_ha agent")
    load.wait_for_acks(100)
    attack.began = now()
    process.send(agents, signal.SIGSTOP)
    try:
        attack.wait_for_successor()
    finally:
        process.send(agents, signal.SIGCONT)
    attack.judge()


def test_a_failover_right_after_the_durations_change(cluster: Cluster, load: Load, usual_lease: None) -> None:
    """S1: raised and lowered by reload under load, and the agent stopped before everybody has heard of it."""
    for of_holder, of_others in ((LONG, SHORT), (SHORT, LONG)):
        attack = Attack(cluster, load)
        for node in cluster.nodes:
            set_lease(node, *(of_holder if node is attack.old else of_others))
        agents = attack.old.titled("fawkes_ha agent")
        process.send(agents, signal.SIGSTOP)
        try:
            attack.wait_for_successor()
        finally:
            process.send(agents, signal.SIGCONT)
        attack.judge()


# --- switchovers


class Switchover:
    """`fawkes-ha switchover`, on its way."""

    def __init__(self, attack: Attack, target: Node) -> None:
        self.attack = attack
        words = ["switchover", "-D", attack.old.data, "--to", target.name, "--wait", WAIT_S]
        self._process = subprocess.Popen(
            [programs.path("fawkes-ha"), *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def wait_begun(self) -> None:
        self.attack.wait_for_log(self.attack.old, "the fence is shut and PostgreSQL stops", 30)

    def wait_released(self) -> None:
        self.attack.wait_for_log(self.attack.old, "handover: the lease is released", 60)

    def end(self) -> tuple[int, str]:
        _, error = self._process.communicate(timeout=90)
        return self._process.returncode, error


def target_of(attack: Attack) -> Node:
    return attack.cluster.others(attack.old)[-1]


def test_a_switchover_whose_target_dies(cluster: Cluster, load: Load) -> None:
    """S9: the target has release_wait, then anybody who has everything leads."""
    attack = Attack(cluster, load)
    target = target_of(attack)
    switchover = Switchover(attack, target)
    switchover.wait_begun()
    target.kill()
    assert cluster.wait_for_leader() is not target
    code, _ = switchover.end()
    assert code != 0
    target.start()
    attack.judge()


def test_a_switchover_whose_target_is_stopped(cluster: Cluster, load: Load) -> None:
    """S9: likewise of one that still has its connections: PostgreSQL waits for it, the cluster not for ever."""
    attack = Attack(cluster, load)
    target = target_of(attack)
    target.freeze()
    try:
        switchover = Switchover(attack, target)
        switchover.wait_begun()
        assert cluster.wait_for_leader() is not target
        code, _ = switchover.end()
        assert code != 0
    finally:
        target.thaw()
    attack.judge()


def test_a_switchover_whose_lock_hangs(cluster: Cluster, load: Load) -> None:
    """S9: the holder's lock stops answering in the middle: its I/O process is replaced, or the lease lapses."""
    attack = Attack(cluster, load)
    switchover = Switchover(attack, target_of(attack))
    switchover.wait_begun()
    children = [pid for node in cluster.nodes for pid in node.lock_children()]
    process.send(children, signal.SIGSTOP)
    try:
        cluster.wait_for_leader()
    finally:
        process.send(children, signal.SIGCONT)
    switchover.end()
    attack.judge()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_switchover_whose_old_primary_dies(cluster: Cluster, load: Load, moment: str) -> None:
    """S1, S7: before it has released, the lease lapses; after it, the target has everything."""
    attack = Attack(cluster, load)
    switchover = Switchover(attack, target_of(attack))
    switchover.wait_begun() if moment == "before" else switchover.wait_released()
    attack.old.kill()
    attack.wait_for_successor()
    switchover.end()
    if moment == "after":
        assert attack.loss is not None and attack.loss.rows == []
    attack.old.start()
    attack.judge()


def test_a_switchover_whose_target_lacks_the_last_wal(cluster: Cluster, load: Load) -> None:
    """S7: only who has the end of the released WAL may lead; a target that does not get it, does not."""
    attack = Attack(cluster, load)
    target = target_of(attack)
    receiver = target.titled("postgres: walreceiver")
    process.send(receiver, signal.SIGSTOP)
    try:
        load.wait_for_acks(200)
        switchover = Switchover(attack, target)
        switchover.wait_begun()
        assert cluster.wait_for_leader() is not target
        code, _ = switchover.end()
        assert code != 0
    finally:
        process.send(receiver, signal.SIGCONT)
    attack.judge()
    assert b"promoting to timeline" not in target.log.read_bytes()[attack.log_sizes[target] :]


def test_a_switchover_that_nobody_expects_any_more(cluster: Cluster, load: Load) -> None:
    """S9: what could not be begun in time is given up, and not carried out when at last it could be."""
    attack = Attack(cluster, load)
    target = target_of(attack)
    checkpointer = attack.old.titled("postgres: checkpointer")
    process.send(checkpointer, signal.SIGSTOP)
    try:
        done = attack.old.command("switchover", "--to", target.name, "--wait", "2")
        assert done.returncode == 4 and "not finished in 2 s" in done.stdout
    finally:
        process.send(checkpointer, signal.SIGCONT)
    # The checkpoint that was asked for comes now; a renewal after it would begin the handover.
    with attack.old.session() as session:
        session.query("CHECKPOINT", timeout=60)
    renewed = newest(cluster)["nonce"]
    until("the lease is renewed", lambda: newest(cluster)["nonce"] != renewed, 30)
    assert attack.judge() is attack.old
    assert attack.nothing_happened()
    assert newest(cluster)["request"]["state"] == "failed"


def test_an_agent_that_dies_between_two_leaders(cluster: Cluster, load: Load, shims: dict[Node, Shim]) -> None:
    """It has written the new leader's address and not told PostgreSQL: the next agent tells it."""
    attack = Attack(cluster, load)
    target, third = cluster.others(attack.old)
    shims[third].kill_at_rename("follow.conf")
    assert attack.old.command("switchover", "--to", target.name).returncode == 0
    until("the agent is killed", lambda: shims[third].has_killed, 60)
    assert attack.judge() is target


# --- what a killed standby knows of the timelines


def test_a_standby_killed_after_a_failover_keeps_its_timeline(cluster: Cluster, load: Load) -> None:
    """S7: its last checkpoint is on the old timeline, its WAL on the new one: that counts, and is not forgotten."""
    attack = Attack(cluster, load)
    target, third = cluster.others(attack.old)
    assert attack.old.command("switchover", "--to", target.name).returncode == 0
    assert cluster.wait_all_stream() is target
    load.wait_for_acks(100)
    timeline = cluster.timeline(target)
    third.kill()
    assert int(programs.control_data(third.data)["Latest checkpoint's TimeLineID"]) < timeline
    third.start()
    cluster.wait_streams(third)
    restarted = third.log.read_text(errors="replace").rsplit("started PostgreSQL as a standby", 1)[1]
    assert f"fetching timeline history file for timeline {timeline}" not in restarted
    attack.judge()


# --- holders that do not come to lead


@pytest.mark.long
def test_a_holder_that_cannot_promote(cluster: Cluster, load: Load, usual_lease: None) -> None:
    """S9: the best standby takes the lease and its recovery hangs: after ten leases another leads."""
    attack = Attack(cluster, load)
    stuck, third = cluster.others(attack.old)
    for node in cluster.nodes:
        set_lease(node, *SHORT)
    until("the record has it", lambda: newest(cluster)["lease_duration_ms"] == 1500, 30)
    startup = stuck.titled("postgres: startup")
    # The third is behind, so that the stuck one is the better candidate.
    process.send(third.titled("postgres: walreceiver"), signal.SIGSTOP)
    load.wait_for_acks(100)
    process.send(startup, signal.SIGSTOP)
    try:
        attack.old.kill()
        process.send(third.titled("postgres: walreceiver"), signal.SIGCONT)
        attack.wait_for_log(stuck, "does not come to lead", 60)
        assert attack.wait_for_successor() is third
    finally:
        process.send(startup, signal.SIGCONT)
        attack.old.start()
    attack.judge()


@pytest.mark.long
def test_a_holder_whose_server_cannot_start(cluster: Cluster, load: Load) -> None:
    """S9: power fails everywhere, and the holder comes back with settings that PostgreSQL refuses."""
    attack = Attack(cluster, load)
    process.send([node.supervisor_pid for node in cluster.nodes], signal.SIGKILL)
    for node in cluster.nodes:
        node.kill()
    attack.old.write_settings(shared_buffers="900GB")
    try:
        for node in cluster.nodes:
            node.start()
        attack.wait_for_log(attack.old, "PostgreSQL fails to start here: the lease is released")
        attack.wait_for_successor()
    finally:
        attack.old.write_settings()
    attack.judge()


# --- SQL in each state


def told(node: Node, sql: str) -> str:
    """The SQLSTATE of a statement, or of the login; 00000 for an answer."""
    try:
        with node.session() as session:
            session.query(sql, timeout=20)
    except Error as error:
        return error.pgcode or "57P03"  # psycopg2 keeps no state of a refused login
    return "00000"


CALLS = {
    "SELECT * FROM fawkes_ha.status()": "status",
    "SELECT * FROM fawkes_ha.members": "members",
    "SELECT * FROM fawkes_ha.history": "history",
    "SELECT fawkes_ha.switchover('nobody', 1)": "switchover",
    "SELECT fawkes_ha.failover('nobody', 1)": "failover",
}


def test_functions_in_each_state(cluster: Cluster, load: Load) -> None:
    """S2b, S9: each call is answered or refused with an SQLSTATE, in whatever state the member is."""
    attack = Attack(cluster, load)
    standby = cluster.others(attack.old)[0]
    attack.old.wait_for_extension()
    standby.wait_for_extension()
    for node in (attack.old, standby):
        assert [told(node, sql) for sql in CALLS] == ["00000", "00000", "00000", "22023", "22023"]
    role = "SELECT role FROM fawkes_ha.status()"
    assert (attack.old.value(role), standby.value(role)) == ("primary", "standby")

    # A former primary, before it knows.
    agents = attack.old.titled("fawkes_ha agent")
    with attack.old.session() as before:
        process.send(agents, signal.SIGSTOP)
        try:
            attack.wait_for_successor()
            for sql in CALLS:
                with pytest.raises(Error) as refused:
                    before.query(sql)
                assert refused.value.pgcode == "25006"
                assert told(attack.old, sql) == "57P03"
            assert attack.old.command("status").returncode == 0
        finally:
            process.send(agents, signal.SIGCONT)
    attack.judge()


def test_functions_while_a_member_stops(cluster: Cluster, load: Load) -> None:
    """S9: a shutdown that takes long: logins are refused, a call that waits is ended with a word."""
    attack = Attack(cluster, load)
    standby = cluster.others(attack.old)[0]
    checkpointer = standby.titled("postgres: checkpointer")
    with standby.session() as session:
        session.send("SELECT fawkes_ha.switchover(NULL, 60), pg_sleep(60)")
        process.send(checkpointer, signal.SIGSTOP)
        try:
            standby.terminate()
            with pytest.raises(Error):
                session.receive(30)
            assert told(standby, "SELECT * FROM fawkes_ha.status()") == "57P03"
        finally:
            process.send(checkpointer, signal.SIGCONT)
    standby.wait_ended()
    standby.start()
    attack.judge()
