"""The cluster of deploy/ on four real nodes, and what happens to its clients: `make e2e`, as root.

Each event prints the write outage (nobody's row is acknowledged), that of the worst single writer, and the acknowledged
rows that are missing.  Writers on a node that is switched off or cut off are given for themselves: on the latter the old
primary goes on for as long as its lease lets it.  Writers wait 2 s for a connection and 3 s for an answer; half of them
begin a new session each second, and one of each kind is on each member's own node.
"""

import argparse
import itertools
import json
import os
import signal
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from lab import evidence, process, report
from lab.kube_nodes import Nodes
from lab.pod_cluster import NAME, NAMESPACE, PodCluster, Write
from lab.report import Timeline
from lab.wait import NotInTime, now, until

STOPPED_S = 60
API_AWAY_S = 120
CUT_S = 40
SLACK_BYTES = 64 << 10
POSTMASTER = "/usr/lib/postgresql/15/bin/postgres"


@dataclass
class Outcome:
    event: str
    outage_s: float
    worst_writer_s: float
    struck_writers_s: float  # of those on the node that was struck; 0 if none was
    acked: int
    missing: int
    wrongly_missing: int  # those that a standby must have had
    overlap_s: float
    old: str
    new: str
    back_s: float  # from the event, or its end, until all members are healthy
    timelines: int  # how many were begun
    lease: str


class Trial:
    """One event: from its beginning until all is whole again."""

    def __init__(self, cluster: PodCluster, say: Timeline) -> None:
        self.cluster, self.kube, self.say = cluster, cluster.kube, say
        self.old = cluster.primary()
        self.members = 3
        self.began = now()

    def processes(self, words: str) -> list[int]:
        found = self.kube.processes(NAMESPACE, self.old, "postgres")
        return [pid for pid in found if process.title(pid).startswith(words)]

    def wait_for_another(self) -> None:
        """Until another server acknowledges."""
        address = self.address
        self.wait_for(lambda write: write.port != address)

    def wait_for(self, wanted) -> None:
        until(
            "a row is acknowledged by who shall",
            lambda: any(wanted(write) for write in self.cluster.writes() if write.at > self.began),
            240,
            every=0.5,
        )

    @property
    def address(self) -> str:
        return self._address

    def remember_address(self) -> None:
        self._address = self.cluster.address_of(self.old)


def pause_for(seconds: float) -> None:
    end = now() + seconds
    until("that time is over", lambda: now() >= end, seconds + 30, every=0.2)


def delete_pod(trial: Trial) -> None:
    trial.kube.must_kubectl("delete", "pod", trial.old, "-n", NAMESPACE, "--wait=false")
    trial.wait_for_another()


def kill_postmaster(trial: Trial) -> None:
    def alone() -> int | None:
        found = trial.processes(POSTMASTER)
        return found[0] if len(found) == 1 else None

    postmaster = until("no process that it has just forked has its title", alone)
    trial.began = now()
    os.kill(postmaster, signal.SIGKILL)
    trial.wait_for(lambda write: write.at > trial.began + 0.5)


def kill_node(trial: Trial) -> None:
    node = trial.cluster.node_of(trial.old)
    trial.began = now()
    node.kill()
    trial.wait_for_another()
    node.up()
    trial.kube.wait_ready()


def cut_node(trial: Trial) -> None:
    node = trial.cluster.node_of(trial.old)
    trial.began = now()
    node.cut()
    trial.wait_for_another()
    pause_for(CUT_S)
    node.heal()
    trial.kube.wait_ready()


def stop(trial: Trial, words: str) -> None:
    pids = trial.processes(words)
    if len(pids) != 1:
        raise RuntimeError(f"{len(pids)} processes of {trial.old} are called {words!r}")
    trial.began = now()
    os.kill(pids[0], signal.SIGSTOP)
    pause_for(STOPPED_S)
    os.kill(pids[0], signal.SIGCONT)


def stop_agent(trial: Trial) -> None:
    stop(trial, "postgres: fawkes_ha agent")


def stop_supervisor(trial: Trial) -> None:
    stop(trial, "fawkes-ha run")


def stop_pod(trial: Trial) -> None:
    pids = trial.kube.processes(NAMESPACE, trial.old, "postgres")
    trial.began = now()
    process.send(pids, signal.SIGSTOP)
    pause_for(STOPPED_S)
    process.send(pids, signal.SIGCONT)


def api_away(trial: Trial) -> None:
    trial.kube.api.kill()
    pause_for(API_AWAY_S)
    trial.kube.api.start()


def switchover(trial: Trial) -> None:
    trial.cluster.command(trial.old, "switchover")
    trial.wait_for_another()


def rollout(trial: Trial) -> None:
    trial.kube.must_kubectl("rollout", "restart", f"statefulset/{NAME}", "-n", NAMESPACE)
    trial.kube.must_kubectl("rollout", "status", f"statefulset/{NAME}", "-n", NAMESPACE, "--timeout=5m", seconds=330)


def scale(trial: Trial) -> None:
    trial.kube.volume(trial.kube.nodes[3])
    for count in (4, 2, 3):
        trial.kube.must_kubectl("scale", f"statefulset/{NAME}", "-n", NAMESPACE, f"--replicas={count}")
        trial.say(f"{count} members, {trial.cluster.wait_healthy(count)} leads")


def reclone(trial: Trial) -> None:
    lost = trial.cluster.standby()
    claim = f"data-{lost}"
    volume = trial.kube.get(f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims/{claim}")["spec"]["volumeName"]
    # Before the pod is scheduled: a scheduler that found none looks again after five minutes.
    trial.kube.volume(trial.cluster.node_of(lost))
    trial.kube.must_kubectl("delete", "persistentvolumeclaim", claim, "-n", NAMESPACE, "--wait=false")
    trial.kube.must_kubectl("delete", "pod", lost, "-n", NAMESPACE)
    trial.kube.remove_volume(volume)


EVENTS = {
    "delete-pod": delete_pod,
    "kill-postmaster": kill_postmaster,
    "kill-node": kill_node,
    "cut-node": cut_node,
    "stop-agent": stop_agent,
    "stop-supervisor": stop_supervisor,
    "stop-pod": stop_pod,
    "api-away": api_away,
    "switchover": switchover,
    "rollout": rollout,
    "scale": scale,
    "reclone": reclone,
}
# Nothing that was acknowledged is lost: the old primary's WAL is there, or nobody else may lead.
STRIKES_NODE = {"kill-node", "cut-node"}
LOSES_NOTHING = set(EVENTS) - {"kill-node", "cut-node", "stop-agent", "stop-pod"}


def worst_gap(writes: list[Write], since: float) -> float:
    by_writer = sorted(writes, key=lambda write: write.writer)
    gaps = [evidence.outage(list(own), since)[0] for _, own in itertools.groupby(by_writer, lambda write: write.writer)]
    return max(gaps, default=0.0)


def run(cluster: PodCluster, event: str, say: Timeline, lease: str) -> Outcome:
    trial = Trial(cluster, say)
    trial.remember_address()
    timeline, began = cluster.timeline(), now()
    struck = cluster.writers_on(cluster.node_of(trial.old).name) if event in STRIKES_NODE else set()
    EVENTS[event](trial)
    ended = now()
    new = cluster.wait_healthy(trial.members)
    back_s = now() - ended
    # Else whoever is still without an answer would not count.
    cluster.wait_for_all_writers()
    writes = [write for write in cluster.writes() if write.at > began - 2]
    others = [write for write in writes if write.writer not in struck]
    missing = cluster.missing(writes)
    return Outcome(
        event=event,
        outage_s=round(evidence.outage(others, began)[0], 3),
        worst_writer_s=round(worst_gap(others, began), 3),
        struck_writers_s=round(worst_gap([w for w in writes if w.writer in struck], began), 3),
        acked=len(writes),
        missing=len(missing),
        wrongly_missing=len(missing) if event in LOSES_NOTHING else before_fork(cluster, missing),
        overlap_s=round(evidence.overlap(writes), 3),
        old=trial.old,
        new=new,
        back_s=round(back_s, 1),
        timelines=cluster.timeline() - timeline,
        lease=lease,
    )


def before_fork(cluster: PodCluster, missing: list[Write]) -> int:
    """How many of them lie before the position where their timeline was left: a standby had those.

    A client knows only a position before its commit record's: as much WAL as others may have written between is
    granted.
    """
    forks = {timeline: cluster.fork(timeline) for timeline in {write.timeline for write in missing}}
    left = [forks[write.timeline] for write in missing]
    return sum(fork is None or write.position + SLACK_BYTES < fork for write, fork in zip(missing, left))


def problems(outcome: Outcome) -> list[str]:
    found = []
    if outcome.overlap_s > 0:
        found.append(f"two primaries acknowledged for {outcome.overlap_s} s")
    if outcome.wrongly_missing:
        found.append(f"{outcome.wrongly_missing} acknowledged rows are missing that must not be")
    if outcome.event == "rollout" and outcome.timelines > 1:
        found.append(f"{outcome.timelines} switchovers")
    if outcome.event == "api-away" and (outcome.timelines or outcome.new != outcome.old):
        found.append("the primary changed")
    return [f"{outcome.event}: {text}" for text in found]


def table(outcomes: list[Outcome]) -> str:
    lines = [f"{'event':16} {'runs':>4} {'write outage':>22} {'worst writer':>22} {'rows':>8} {'missing':>8} {'overlap':>8}"]
    for event in dict.fromkeys(outcome.event for outcome in outcomes):
        own = [outcome for outcome in outcomes if outcome.event == event]
        show = lambda values: f"{statistics.median(values):.2f} s [{min(values):.2f}, {max(values):.2f}]"  # noqa: E731
        lines.append(
            f"{event:16} {len(own):4} {show([o.outage_s for o in own]):>22} {show([o.worst_writer_s for o in own]):>22} "
            f"{sum(o.acked for o in own):8,} {sum(o.missing for o in own):8} {max(o.overlap_s for o in own):7.2f}s"
        )
    return "\n".join(lines)


def json_lines(outcomes: list[Outcome], bring_up_s: float) -> list[dict]:
    """The format of every suite: one object per case."""
    common = {"suite": "e2e", "lock": "kubernetes", "mode": "async", "lease": outcomes[0].lease}
    lines = [{**common, "case": "bring-up", **report.figures([bring_up_s], "s")}]
    for event in dict.fromkeys(outcome.event for outcome in outcomes):
        own = [outcome for outcome in outcomes if outcome.event == event]
        line = {**common, "case": event, **report.figures([outcome.outage_s for outcome in own], "s")}
        worst = [outcome.worst_writer_s for outcome in own]
        line |= {"worst_writer_median": round(statistics.median(worst), 3), "worst_writer_max": max(worst)}
        line |= {"struck_writers_max": max(outcome.struck_writers_s for outcome in own)}
        line |= {"rows_acked": sum(o.acked for o in own), "rows_missing": sum(o.missing for o in own)}
        lines.append(line | {"overlap_s": max(outcome.overlap_s for outcome in own)})
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(prog="make e2e", description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--lease", metavar="DURATION/DEADLINE/PERIOD", help="in seconds; default: the product's own")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--probe", action="store_true", help="only see whether this machine can have nodes")
    parser.add_argument("events", nargs="*", metavar="EVENT", help=", ".join(EVENTS))
    chosen = parser.parse_args()
    unknown = set(chosen.events) - set(EVENTS)
    if unknown:
        parser.error(f"no such event: {', '.join(sorted(unknown))}; there are {', '.join(EVENTS)}")

    if chosen.probe:
        with Nodes(Path(os.environ["FAWKES_IMAGES"]), count=1):
            return 0
    say, outcomes = Timeline(), []
    with Nodes(Path(os.environ["FAWKES_IMAGES"])) as kube:
        say("four nodes are Ready")
        cluster = PodCluster(kube, chosen.lease)
        try:
            took = cluster.create()
            say(f"from apply to three healthy members: {took:.1f} s")
            cluster.start_writers()
            for number in range(1, chosen.runs + 1):
                for event in chosen.events or EVENTS:
                    outcome = run(cluster, event, say, chosen.lease or "15/10/2")
                    outcomes.append(outcome)
                    say(
                        f"run {number}, {event}: outage {outcome.outage_s:.2f} s, worst writer "
                        f"{outcome.worst_writer_s:.2f} s"
                        + (f" (on its node {outcome.struck_writers_s:.2f} s)" if outcome.struck_writers_s else "")
                        + f", {outcome.missing} of {outcome.acked} rows missing, overlap "
                        f"{outcome.overlap_s:.2f} s, {outcome.old} -> {outcome.new}, {outcome.timelines} timelines, "
                        f"whole after {outcome.back_s:.1f} s"
                    )
        except (NotInTime, RuntimeError) as error:
            print(f"\nFAILED: {error}\n\n{cluster.log_tails()}", file=sys.stderr)
            return 1
        finally:
            if outcomes:
                print(f"\n{table(outcomes)}")
    if chosen.json and outcomes:
        with open(chosen.json, "a") as out:
            out.writelines(json.dumps(line) + "\n" for line in json_lines(outcomes, took))
    broken = [text for outcome in outcomes for text in problems(outcome)]
    print("\n".join(broken), file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
