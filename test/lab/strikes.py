"""What can happen to a cluster in a long run: each fault a function, its choices drawn from its own random numbers.

A fault does what it does and puts nothing right but what belongs to it (a stopped process
goes on, a killed node is switched on again); Scene.restore() does the rest, as a service
manager would.
"""

import random
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Callable, Iterator

from . import process
from .cluster import LEASE_S, Cluster
from .node import Node
from .session import Error, Session
from .wait import now, until

STOP_S = (0.2, 3 * LEASE_S)
BULK_ROWS = 20_000
MANY_TABLES = 300
TIMINGS = (("4s", "2s", "500ms"), ("6s", "4s", "500ms"), ("10s", "8s", "1s"))  # lease, deadline, retry


@dataclass
class Record:
    """What the faults of one step leave for the judge."""

    own_code: set[int] = field(default_factory=set)  # backends that a stop met in no system call
    shut: list[tuple[int, int, float, float]] = field(default_factory=list)  # port, timeline: no ack between
    problems: list[str] = field(default_factory=list)
    checks: list[Callable[[Node], list[str]]] = field(default_factory=list)  # of the leader, in the end
    notes: list[str] = field(default_factory=list)


@dataclass
class Scene:
    """One fault's view: who leads, whom chance has chosen, and whether it is alone."""

    cluster: Cluster
    leader: Node
    random: random.Random
    alone: bool
    record: Record
    standbys: list[Node] = field(default_factory=list)
    switch: threading.Lock = field(default_factory=threading.Lock)  # shared by the faults of a step

    def __post_init__(self) -> None:
        self.standbys = self.cluster.others(self.leader)
        self.random.shuffle(self.standbys)

    @property
    def standby(self) -> Node:
        return self.standbys[0]

    def any_node(self) -> Node:
        """The leader half of the time."""
        node = self.random.choice([self.leader, self.leader, *self.standbys])
        self.note(f"of {node.name}")
        return node

    def note(self, text: str) -> None:
        self.record.notes.append(text)

    def wait(self, least: float, most: float) -> None:
        """For a random time, which is part of the fault and not a wait for its effect."""
        time.sleep(self.random.uniform(least, most))

    def start(self, node: Node) -> None:
        with self.switch:
            if node.supervisor_pid is None:
                node.start()

    def kill(self, *pids: int | None) -> None:
        process.send([pid for pid in pids if pid], signal.SIGKILL)

    @contextmanager
    def stopped(self, node: Node, pids: list[int], what: str) -> Iterator[None]:
        """SIGSTOP for the block's duration; whoever wakes may find the lease gone."""
        process.stop_all(lambda: [pid for pid in pids if process.look(pid)])
        self.record.own_code |= {pid for pid in pids if process.in_own_code(pid)}
        self.note(f"{what} of {node.name} stopped")
        try:
            yield
        finally:
            process.send(reversed(pids), signal.SIGCONT)

    def stop_for_a_while(self, node: Node, pids: list[int], what: str, lapses: bool = False) -> None:
        """`lapses`: nobody renews meanwhile, so that after a lease nothing may be acknowledged there."""
        timeline = self.cluster.timeline(node) if lapses and node is self.leader and self.alone else 0
        with self.stopped(node, pids, what):
            began = now()
            self.wait(*STOP_S)
            if timeline:
                self.record.shut.append((node.port, timeline, began + LEASE_S, now()))

    def request(self, *words: str, on: Node | None = None) -> None:
        """An operator's command; beside another fault it may be refused, alone it may not."""
        node = on or self.random.choice(self.cluster.nodes)
        done = node.command(*words, "--wait", "60", timeout=150)
        text = (done.stderr or done.stdout).strip().splitlines()[-1:]
        if done.returncode != 0:
            self.note(f"{words[0]} ended with {done.returncode}: {' '.join(text)}")
        if done.returncode not in (0, 1, 3, 4) or (self.alone and done.returncode != 0):
            self.record.problems.append(f"{' '.join(words)} ended with {done.returncode}: {' '.join(text)}")

    def meanwhile(self, work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread


# --- kills


def kill_postmaster(scene: Scene) -> None:
    scene.kill(scene.leader.postmaster_pid)


def kill_standby_postmaster(scene: Scene) -> None:
    scene.kill(scene.standby.postmaster_pid)


def kill_all_postmasters(scene: Scene) -> None:
    scene.kill(*(node.postmaster_pid for node in scene.cluster.nodes))


def kill_backend(scene: Scene) -> None:
    scene.kill(*scene.leader.titled("postgres: app")[:1])


def kill_server_process(scene: Scene) -> None:
    """One of PostgreSQL's own, on any node."""
    node = scene.any_node()
    names = ("checkpointer", "walwriter", "walsender", "walreceiver", "startup", "background writer")
    found = [pid for name in names for pid in node.titled(f"postgres: {name}")[:1]]
    scene.kill(scene.random.choice(found) if found else None)


def kill_agent(scene: Scene) -> None:
    scene.kill(*scene.any_node().titled("fawkes_ha agent")[:1])


def kill_lock(scene: Scene) -> None:
    scene.kill(*scene.any_node().lock_children())


def kill_supervisor(scene: Scene) -> None:
    node = scene.any_node()
    scene.kill(node.supervisor_pid)
    scene.wait(0, 2)
    scene.start(node)


def kill_supervisor_and_agent(scene: Scene) -> None:
    node = scene.leader
    scene.kill(node.supervisor_pid, *node.titled("fawkes_ha agent")[:1])
    scene.wait(0, 2)
    scene.start(node)


def kill_supervisor_and_postmaster(scene: Scene) -> None:
    node = scene.leader
    scene.kill(node.supervisor_pid, node.postmaster_pid)
    scene.wait(0, 4)
    scene.start(node)


def kill_postmaster_and_lock(scene: Scene) -> None:
    scene.kill(scene.leader.postmaster_pid, *scene.leader.lock_children())


def kill_agent_and_lock(scene: Scene) -> None:
    scene.kill(*scene.leader.titled("fawkes_ha agent")[:1], *scene.leader.lock_children())


def kill_postmaster_and_agent(scene: Scene) -> None:
    scene.kill(scene.leader.postmaster_pid, *scene.leader.titled("fawkes_ha agent")[:1])


def kill_promoting(scene: Scene) -> None:
    """The postmaster, and soon after the checkpointer of a standby, which may be the one that is promoted."""
    scene.kill(scene.leader.postmaster_pid)
    scene.wait(0.02, 0.4)
    scene.kill(*scene.standby.titled("postgres: checkpointer")[:1])


def kill_nodes(scene: Scene, nodes: list[Node]) -> None:
    for node in nodes:
        node.kill()
    scene.wait(0, 6)
    scene.random.shuffle(nodes)
    for node in nodes:
        scene.start(node)
        scene.wait(0, 0.5)


def kill_node(scene: Scene) -> None:
    kill_nodes(scene, [scene.leader])


def kill_standby_node(scene: Scene) -> None:
    kill_nodes(scene, [scene.standby])


def kill_two_nodes(scene: Scene) -> None:
    kill_nodes(scene, [scene.leader, scene.standby])


def kill_both_standbys(scene: Scene) -> None:
    kill_nodes(scene, list(scene.standbys))


def kill_all_nodes(scene: Scene) -> None:
    kill_nodes(scene, [scene.leader, *scene.standbys])


def kill_successors(scene: Scene) -> None:
    """Two primaries in turn: the next one too, as soon as it leads; then all meet."""
    scene.leader.kill()
    try:
        second = scene.cluster.wait_for_leader(30, besides=scene.leader)
        second.kill()
    finally:
        scene.start(scene.leader)
    scene.wait(0, 6)
    scene.start(second)


# --- stops


def stop_agent(scene: Scene) -> None:
    node = scene.any_node()
    scene.stop_for_a_while(node, node.titled("fawkes_ha agent"), "agent", lapses=True)


def stop_supervisor(scene: Scene) -> None:
    node = scene.any_node()
    scene.stop_for_a_while(node, [pid for pid in [node.supervisor_pid] if pid], "supervisor")


def stop_supervisor_kill_postmaster(scene: Scene) -> None:
    node = scene.leader
    with scene.stopped(node, [pid for pid in [node.supervisor_pid] if pid], "supervisor"):
        scene.wait(0, 1)
        scene.kill(node.postmaster_pid)
        scene.wait(*STOP_S)


def stop_postmaster(scene: Scene) -> None:
    node = scene.any_node()
    scene.stop_for_a_while(node, [pid for pid in [node.postmaster_pid] if pid], "postmaster")


def stop_backend(scene: Scene) -> None:
    node = scene.leader
    scene.stop_for_a_while(node, node.titled("postgres: app")[:1], "one backend")


def stop_backends_then_agent(scene: Scene) -> None:
    """Backends that sleep through the lapse, and wake before the agent does."""
    node = scene.leader
    agent = node.titled("fawkes_ha agent")
    backends = node.titled("postgres: app")
    try:
        with scene.stopped(node, backends, "all backends"):
            scene.wait(0, 0.3)
            process.send(agent, signal.SIGSTOP)
            scene.wait(*STOP_S)
        scene.wait(0, 1)
    finally:
        process.send(agent, signal.SIGCONT)


def stop_node(scene: Scene) -> None:
    node = scene.leader
    scene.stop_for_a_while(node, node.pids(), "everything", lapses=True)


def stop_standby_node(scene: Scene) -> None:
    scene.stop_for_a_while(scene.standby, scene.standby.pids(), "everything")


def stop_lock(scene: Scene) -> None:
    """The processes that do the lock's I/O, of one node or of all."""
    nodes = scene.random.choice([[scene.leader], scene.cluster.nodes])
    pids = [pid for node in nodes for pid in node.lock_children()]
    scene.stop_for_a_while(scene.leader, pids, "lock I/O")


def lock_out_of_reach(scene: Scene) -> None:
    """Nobody may enter the lock's directory for a while."""
    scene.cluster.lock.chmod(0)
    try:
        scene.wait(*STOP_S)
    finally:
        scene.cluster.lock.chmod(0o700)


# --- what service managers and operators do


def terminate(scene: Scene) -> None:
    node = scene.any_node()
    node.stop(120)
    scene.wait(0, 3)
    scene.start(node)


def terminate_all(scene: Scene) -> None:
    nodes = scene.cluster.nodes[:]
    scene.random.shuffle(nodes)
    for node in nodes:
        node.terminate()
        scene.wait(0, 1)
    for node in nodes:
        node.wait_ended(120)
    scene.random.shuffle(nodes)
    for node in nodes:
        scene.start(node)
        scene.wait(0, 1)


def switchover(scene: Scene) -> None:
    scene.request("switchover")


def switchover_to(scene: Scene) -> None:
    scene.request("switchover", "--to", scene.standby.name)


def switchover_kill_target(scene: Scene) -> None:
    scene.alone = False  # the request may fail
    thread = scene.meanwhile(lambda: scene.request("switchover", "--to", scene.standby.name, on=scene.leader))
    scene.wait(0, 0.6)
    scene.standby.kill()
    scene.wait(0, 2)
    scene.start(scene.standby)
    thread.join(160)


def switchover_kill_old(scene: Scene) -> None:
    scene.alone = False
    thread = scene.meanwhile(lambda: scene.request("switchover", on=scene.standby))
    scene.wait(0, 0.6)
    scene.kill(scene.leader.postmaster_pid)
    thread.join(160)


def switchover_kill_old_node(scene: Scene) -> None:
    scene.alone = False
    thread = scene.meanwhile(lambda: scene.request("switchover", on=scene.standby))
    scene.wait(0, 0.6)
    scene.leader.kill()
    scene.wait(0, 4)
    scene.start(scene.leader)
    thread.join(160)


def forced_failover(scene: Scene) -> None:
    scene.request("failover", "--force")


def restart_one(scene: Scene) -> None:
    scene.request("restart", scene.any_node().name)


def restart_all(scene: Scene) -> None:
    scene.request("restart")


def reinit(scene: Scene) -> None:
    scene.request("reinit", scene.standby.name)


def paused(scene: Scene) -> None:
    """A fault while elections are paused, then resume."""
    scene.request("pause", "--reason", "chaos")
    try:
        scene.random.choice([kill_postmaster, kill_agent, kill_node, kill_standby_node])(scene)
        scene.wait(0.5, 4)
    finally:
        scene.request("resume")


# --- changed durations, readers, large transactions


def changed_lease(scene: Scene) -> None:
    """For all members through the lock, and a stop right after it."""
    scene.request("set", f"fawkes_ha.lease_duration={scene.random.choice(['4s', '6s', '9s'])}", on=scene.leader)
    scene.wait(0, 2)
    scene.stop_for_a_while(scene.leader, scene.leader.titled("fawkes_ha agent"), "agent")
    until("a node leads", scene.cluster.find_leader, 120)
    scene.request("reset", "fawkes_ha.lease_duration", on=scene.leader)


def different_timings(scene: Scene) -> None:
    """Two members get durations of their own by SIGHUP, and the agent is stopped or the node killed."""
    chosen = scene.random.sample(scene.cluster.nodes, 2)
    for node in chosen:
        lease, deadline, retry = scene.random.choice(TIMINGS)
        node.write_settings(
            **{
                "fawkes_ha.lease_duration": lease,
                "fawkes_ha.renew_deadline": deadline,
                "fawkes_ha.retry_period": retry,
            }
        )
        process.send([pid for pid in [node.supervisor_pid] if pid], signal.SIGHUP)
    try:
        scene.wait(0, 4)
        if scene.random.random() < 0.5:
            kill_node(scene)
        else:
            scene.stop_for_a_while(scene.leader, scene.leader.titled("fawkes_ha agent"), "agent")
    finally:
        for node in chosen:
            node.write_settings()
            process.send([pid for pid in [node.supervisor_pid] if pid], signal.SIGHUP)


def long_reader(scene: Scene) -> None:
    """A standby's reader holds up replay of a DROP while the primary goes."""
    with Session(scene.cluster.dsn([scene.leader]), 10) as writer:
        writer.query("CREATE TABLE IF NOT EXISTS read_long AS SELECT generate_series(1, 1000)", timeout=30)
        there = "SELECT count(*) FROM pg_class WHERE relname = 'read_long'"
        with Session(scene.cluster.dsn([scene.standby], writable=False), 10) as reader:
            until("the table is replayed", lambda: reader.value(there) == 1, 60)
            reader.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
            reader.query("SELECT count(*) FROM read_long", timeout=10)
            writer.query("DROP TABLE read_long", timeout=30)
            scene.random.choice([kill_postmaster, kill_node, stop_node])(scene)
            scene.wait(0, 5)


def end_slowly(scene: Scene, session: Session, statement: str) -> None:
    """Send what ends a large transaction and strike while it is at work."""
    session.send(statement)
    scene.wait(0, 0.1)
    strike = scene.random.choice([kill_postmaster, kill_backend, kill_agent, stop_agent, stop_node, kill_node])
    strike(scene)
    try:
        session.receive(30)
        scene.note("the large transaction was acknowledged")
    except Error:
        scene.note("the large transaction was not acknowledged")


def large_insert(scene: Scene) -> None:
    """All of it or nothing."""
    with Session(scene.cluster.dsn([scene.leader]), 10) as session:
        session.query("CREATE TABLE IF NOT EXISTS bulk (batch bigint, n int)", timeout=30)
        batch = time.time_ns()
        session.query("BEGIN")
        session.query(
            "INSERT INTO bulk SELECT %s, n FROM generate_series(1, %s) AS n", (batch, BULK_ROWS), timeout=120
        )
        end_slowly(scene, session, "COMMIT")

    def check(leader: Node) -> list[str]:
        with Session(scene.cluster.dsn([leader]), 10) as after:
            count = after.value("SELECT count(*) FROM bulk WHERE batch = %s", (batch,), timeout=60)
        return [] if count in (0, BULK_ROWS) else [f"{count} of a transaction's {BULK_ROWS} rows are there"]

    scene.record.checks.append(check)


def drop_of_many(scene: Scene) -> None:
    """DROP of many tables in one transaction: all are there afterwards, and readable, or none."""
    schema = f"many_{time.time_ns()}"
    with Session(scene.cluster.dsn([scene.leader]), 10) as session:
        session.query(
            f"CREATE SCHEMA {schema}; DO $$BEGIN FOR n IN 1..{MANY_TABLES} LOOP "
            f"EXECUTE format('CREATE TABLE {schema}.t%s AS SELECT %s AS n', n, n); END LOOP; END$$",
            timeout=180,
        )
        end_slowly(scene, session, f"DROP SCHEMA {schema} CASCADE")

    def check(leader: Node) -> list[str]:
        with Session(scene.cluster.dsn([leader]), 10) as after:
            found = after.query(
                "SELECT format('%%I.%%I', schemaname, tablename) FROM pg_tables WHERE schemaname = %s", (schema,)
            )
            if len(found) not in (0, MANY_TABLES):
                return [f"{len(found)} of {MANY_TABLES} dropped tables are there"]
            for (name,) in found:
                after.query(f"SELECT * FROM {name}", timeout=30)  # its file is there
            if found:
                after.query(f"DROP SCHEMA {schema} CASCADE", timeout=120)
        return []

    scene.record.checks.append(check)


# --- members that are cut off the lock, and still reach each other (lab/part.py)


def cut_for_a_while(scene: Scene, nodes: list[Node], meanwhile: Callable[[], None] = lambda: None) -> None:
    """One after the other, in any order, together for longer than a lease or not; and back likewise."""
    scene.random.shuffle(nodes)
    scene.note(f"cut off: {' '.join(node.name for node in nodes)}")
    pause = scene.random.choice((0, 0.5, 3))
    try:
        for node in nodes:
            scene.cluster.cut(node)
            scene.wait(0, pause)
        meanwhile()
        scene.wait(0, 3 * LEASE_S)
    finally:
        scene.random.shuffle(nodes)
        for node in nodes:
            scene.cluster.join(node)
            scene.wait(0, pause)


def cut_leader(scene: Scene) -> None:
    cut_for_a_while(scene, [scene.leader])


def cut_standby(scene: Scene) -> None:
    cut_for_a_while(scene, [scene.standby])


def cut_some(scene: Scene) -> None:
    count = scene.random.randrange(2, len(scene.cluster.nodes) + 1)
    cut_for_a_while(scene, scene.random.sample(scene.cluster.nodes, count))


def outage(scene: Scene) -> None:
    """Nobody reaches the lock: the leader leads on by promises."""
    cut_for_a_while(scene, scene.cluster.nodes[:])


def outage_with_a_fault(scene: Scene) -> None:
    faults = [kill_postmaster, kill_node, kill_standby_node, kill_agent, kill_supervisor, kill_supervisor_and_postmaster]
    faults += [kill_server_process, stop_agent, stop_node, stop_standby_node, stop_supervisor]
    fault = scene.random.choice(faults)
    scene.note(fault.__name__.replace("_", "-"))
    cut_for_a_while(scene, scene.cluster.nodes[:], lambda: fault(scene))


def partition_with_a_fault(scene: Scene) -> None:
    """Some are cut off, the leader among them or not, while something else happens."""
    faults = [kill_postmaster, kill_node, kill_standby_node, kill_agent, stop_agent, stop_node, switchover]
    fault = scene.random.choice(faults)
    scene.note(fault.__name__.replace("_", "-"))
    scene.alone = False  # a request may be refused
    chosen = scene.random.sample(scene.cluster.nodes, scene.random.randrange(1, len(scene.cluster.nodes)))
    cut_for_a_while(scene, chosen, lambda: fault(scene))


def switchover_then_outage(scene: Scene) -> None:
    scene.request("switchover")
    scene.wait(0, 2)
    cut_for_a_while(scene, scene.cluster.nodes[:])


@dataclass(frozen=True)
class Fault:
    act: Callable[[Scene], None]
    loses_nothing: bool = False  # in async mode too, unless the lease lapsed meanwhile


# A fault that ends in a release of the lease, or in no change of it, costs no acknowledged row.
SAFE = (
    kill_postmaster,
    kill_standby_postmaster,
    kill_all_postmasters,
    kill_backend,
    kill_server_process,
    kill_agent,
    kill_lock,
    kill_supervisor,
    kill_postmaster_and_lock,
    kill_agent_and_lock,
    kill_postmaster_and_agent,
    kill_promoting,
    kill_standby_node,
    kill_both_standbys,
    stop_supervisor,
    stop_postmaster,
    stop_backend,
    stop_standby_node,
    stop_lock,
    terminate,
    terminate_all,
    switchover,
    switchover_to,
    switchover_kill_target,
    switchover_kill_old,
    restart_one,
    restart_all,
    reinit,
)
LOSSY = (
    kill_supervisor_and_agent,
    kill_supervisor_and_postmaster,
    kill_node,
    kill_two_nodes,
    kill_all_nodes,
    kill_successors,
    stop_agent,
    stop_supervisor_kill_postmaster,
    stop_backends_then_agent,
    stop_node,
    lock_out_of_reach,
    switchover_kill_old_node,
    forced_failover,
    paused,
    changed_lease,
    different_timings,
    long_reader,
    large_insert,
    drop_of_many,
)
# They want a cluster whose members can be cut off.
CUTS = (
    cut_leader,
    cut_standby,
    cut_some,
    outage,
    outage_with_a_fault,
    partition_with_a_fault,
    switchover_then_outage,
)
# What the directory's own process does is nothing to another lock; operators' requests go through a lock that answers.
NEVER_CUT = (kill_lock, kill_postmaster_and_lock, kill_agent_and_lock, stop_lock, lock_out_of_reach, changed_lease)


def named(*acts: Callable[[Scene], None]) -> tuple[str, ...]:
    return tuple(act.__name__.replace("_", "-") for act in acts)


FAULTS = {
    name: Fault(act, loses_nothing)
    for acts, loses_nothing in ((SAFE, True), (LOSSY, False), (CUTS, False))
    for act, name in zip(acts, named(*acts))
}
USUAL = named(*SAFE, *LOSSY)
# Half of them cuts.
OF_PARTS = (*(name for name in USUAL if name not in named(*NEVER_CUT)), *named(*CUTS) * 6)


def restore(cluster: Cluster) -> list[str]:
    """What a service manager does: everything runs again.  Notes on what it had to do."""
    notes = []
    if hasattr(cluster, "join"):
        cluster.join(*cluster.nodes)
    for node in cluster.nodes:
        node.thaw()
    for node in cluster.nodes:
        if node.supervisor_pid is None:
            status = node.reap()
            node.start()
            notes.append(f"{node.name}'s supervisor had ended with {status}")
    return notes
