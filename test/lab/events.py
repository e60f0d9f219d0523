"""The four things that happen to a primary, and what each cost.

Each is one trial: steady writes, the event, the new primary, the old one's return.
"""

import os
import signal
from dataclasses import dataclass, field
from typing import Callable

from . import process
from .cluster import Cluster
from .evidence import Loss, examine, missing_rows, outage, overlap
from .load import Ack, Load
from .node import Node
from .session import Error, Session
from .wait import now, until

STOPPED_LEASES = 3  # how long the primary is stopped, in leases

STEADY_ROWS = 2000  # acknowledged before the event

Say = Callable[[str], None]


@dataclass
class Outcome:
    case: str
    title: str
    old: str = ""
    new: str = ""
    outage_s: float = 0.0
    acked: int = 0
    missing: int = 0
    back_s: float = 0.0
    overlap_s: float = 0.0
    problems: list[str] = field(default_factory=list)  # broken promises, one sentence each


@dataclass
class Trial:
    """What an event needs to know, and what it leaves for the verdict."""

    cluster: Cluster
    load: Load
    say: Say
    old: Node
    number: int  # of the round
    timeline: int  # before the event
    began: float = 0.0
    back_from: float = 0.0  # when the old primary was free to come back
    lapsed_at: float | None = None  # from then on the old primary may acknowledge nothing
    in_own_code: set[int] = field(default_factory=set)  # processes that the stop met in no system call
    loss: Loss | None = None  # None: nothing was examined while it was down
    problems: list[str] = field(default_factory=list)

    def acks(self) -> list[Ack]:
        # In reverse: of a long run only the end is looked at.  A writer may note one
        # row of the old round after the first of the new one, hence the margin.
        found = []
        for ack in reversed(self.load.acks):
            if ack.round < self.number - 1:
                break
            if ack.round == self.number:
                found.append(ack)
        return found

    def wait_for_new_primary(self) -> Node:
        """Another node acknowledges writes; then look at what is missing there."""
        leader = self.cluster.wait_for_leader(besides=self.old)
        first = self.load.wait_for_server(leader.port, self.began)
        self.loss = examine(self.cluster, self.old, leader, self.acks(), self.number, first.timeline)
        return leader


# --- the events


def kill_postmaster(trial: Trial) -> None:
    pid = trial.old.postmaster_pid
    if pid is None:
        raise RuntimeError(f"{trial.old.name} has no postmaster")
    trial.say(f"kill -9 of {trial.old.name}'s postmaster, process {pid}")
    trial.began = trial.back_from = now()
    os.kill(pid, signal.SIGKILL)
    until("the killed postmaster is gone", lambda: trial.old.postmaster_pid != pid, every=0.005)


def kill_node(trial: Trial) -> None:
    trial.say(f"kill -9 of everything on {trial.old.name}, {len(trial.old.pids())} processes")
    trial.began = now()
    trial.old.kill()
    trial.wait_for_new_primary()
    trial.say(f"{trial.old.name} is switched on again")
    trial.back_from = now()
    trial.old.start()


def stop_node(trial: Trial) -> None:
    """SIGSTOP for longer than the lease, with a client that waits for an answer all the while."""
    old, seconds = trial.old, STOPPED_LEASES * trial.cluster.lease_s
    with Session(trial.cluster.dsn([old], writable=False), 5) as witness:
        trial.say(f"SIGSTOP of everything on {old.name}, for {seconds:g} s")
        trial.began = now()
        old.freeze()
        frozen = now()
        trial.in_own_code = {pid for pid in old.pids() if process.in_own_code(pid)}
        # The fence shuts renew_deadline after the last renewal was sent, which was before the stop.
        trial.lapsed_at = frozen + trial.cluster.renew_deadline_s
        try:
            # Sent while nobody there can run: it is answered, if at all, after the lapse.
            witness.send("SELECT pg_is_in_recovery(), max(id) FROM ledger")
            trial.wait_for_new_primary()
            until("the stop has lasted long enough", lambda: now() >= frozen + seconds, seconds + 5)
        finally:
            trial.say(f"SIGCONT of everything on {old.name}")
            trial.back_from = now()
            old.thaw()
        trial.problems += reads_after_lapse(witness)


def reads_after_lapse(witness: Session) -> list[str]:
    """S2b: a former primary whose lease lapsed shows nothing; it refuses, or hangs up."""
    try:
        in_recovery, newest = witness.receive(timeout=30)[0]
    except Error:
        return []
    return [] if in_recovery else [f"the lapsed primary answered a read (newest row {newest})"]


def switchover(trial: Trial) -> None:
    trial.say(f"fawkes-ha switchover, away from {trial.old.name}")
    trial.began = trial.back_from = now()
    done = trial.old.command("switchover")
    if done.returncode != 0:
        trial.problems.append(f"switchover ended with {done.returncode}: {(done.stdout + done.stderr).strip()}")


@dataclass(frozen=True)
class Event:
    title: str
    act: Callable[[Trial], None]
    loses_nothing: bool  # in async mode too
    changes_primary: bool  # the old one may not simply lead again


EVENTS = {
    "kill-postmaster": Event("(a) kill -9 of the primary's postmaster", kill_postmaster, True, False),
    "kill-node": Event("(b) kill -9 of everything on the primary's node", kill_node, False, True),
    "stop-node": Event("(c) SIGSTOP of the primary's node, then SIGCONT", stop_node, False, True),
    "switchover": Event("(d) switchover", switchover, True, True),
}


def run(case: str, cluster: Cluster, load: Load, say: Say, wal_bytes: int = 0) -> Outcome:
    """One event from steady state to steady state, and the verdict on it."""
    event = EVENTS[case]
    old = cluster.wait_all_stream()
    if wal_bytes:
        cluster.fill_wal(old, wal_bytes)
    number = load.begin_round()
    load.wait_for_acks(STEADY_ROWS)
    trial = Trial(cluster, load, say, old, number, cluster.timeline(old))
    event.act(trial)
    new = wait_back(trial, event.changes_primary)
    back = now()
    load.wait_for_acks(200)
    return judge(trial, event, case, new, back)


def wait_back(trial: Trial, changes_primary: bool) -> Node:
    """Until the old primary streams from a new one, or leads again itself; who leads then."""

    def check() -> Node | None:
        if not any(ack.at > trial.back_from for ack in trial.load.acks[-1:]):
            return None
        leader = trial.cluster.find_leader()
        if leader is trial.old:
            # Unless the event has failed already, an old primary that still leads is no end of it.
            return None if changes_primary and not trial.problems else leader
        if leader is None:
            return None
        return leader if trial.cluster.streams(trial.old, leader) else None

    return until(f"{trial.old.name} is back", check, 180)


def stopped_before_the_send(trial: Trial, late: list[Ack]) -> set[Ack]:
    """What no fence can prevent: a backend stopped in the few instructions between its last test and the send.

    Of each backend that the stop met in its own code, one acknowledgement, if no other is late.
    """
    by_backend = {pid: [ack for ack in late if ack.backend == pid] for pid in trial.in_own_code}
    return {acks[0] for acks in by_backend.values() if len(acks) == 1}


def judge(trial: Trial, event: Event, case: str, new: Node, back: float) -> Outcome:
    acks = trial.acks()
    problems = list(trial.problems)
    missing = missing_rows(trial.cluster, new, acks, trial.number)
    if event.loses_nothing:
        problems += [f"row {row.id} is missing; {case} must not lose one" for row in missing]
    elif trial.loss is not None:
        problems += trial.loss.problems()
        known = {row.id for row in trial.loss.rows}
        problems += [f"row {row.id} went missing after the failover" for row in missing if row.id not in known]
        back_again = known - {row.id for row in missing}
        problems += [f"row {row} was missing and came back" for row in back_again]
    late = [ack for ack in acks if trial.lapsed_at and ack.timeline == trial.timeline and ack.at > trial.lapsed_at]
    excused = stopped_before_the_send(trial, late)
    problems += [f"row {ack.id} was acknowledged after the lease had lapsed" for ack in late if ack not in excused]
    both = overlap([ack for ack in acks if ack not in excused])
    if both > 0:
        problems.append(f"two primaries acknowledged during {both:.3f} s")
    if event.changes_primary and new is trial.old:
        problems.append(f"{new.name} leads again, nobody took over")
    return Outcome(
        case=case,
        title=event.title,
        old=trial.old.name,
        new=new.name,
        outage_s=outage(acks, trial.began)[0],
        acked=len(acks),
        missing=len(missing),
        back_s=back - trial.back_from,
        overlap_s=both,
        problems=problems,
    )
