"""Operations of daily life on a real cluster, by the command and by SQL, on any member.

One cluster serves all; each test leaves one leader and two streaming standbys.
"""

import json
import re
import signal
import subprocess
import threading

import pytest

from lab import process, programs, record
from lab.cluster import Cluster
from lab.evidence import missing_rows, overlap
from lab.load import Load
from lab.node import Node, PlainNode, free_ports
from lab.session import Error, Session
from lab.wait import until

LONG_S = 120


def done(node: Node, *words: str) -> str:
    result = node.command(*words)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def refused(node: Node, *words: str, status: int = 4) -> str:
    result = node.command(*words)
    assert result.returncode == status, result.stdout + result.stderr
    return result.stderr


def history(node: Node) -> list[dict]:
    return json.loads(done(node, "history", "-o", "json"))["entries"]


def call(node: Node, statement: str, timeout: float = LONG_S) -> str:
    return node.value(f"SELECT fawkes_ha.{statement}", timeout=timeout)


def started_at(node: Node) -> str:
    return until(f"{node.name} answers", lambda: node.value("SELECT pg_postmaster_start_time()::text"))


@pytest.fixture(scope="module", autouse=True)
def extension(cluster: Cluster) -> None:
    cluster.wait_all_stream()
    for node in cluster.nodes:
        node.wait_for_extension()


# --- pause


def test_every_request_of_many_is_answered(cluster: Cluster) -> None:
    """Twenty sessions at once, on two members: each request is carried out or refused, and none is left in doubt."""
    leader = cluster.wait_all_stream()
    nodes = [leader, cluster.others(leader)[0]]
    statements = [("pause", "resume")[i % 2] for i in range(20)]
    sessions = [nodes[i // 2 % 2].session() for i in range(20)]
    answers = []
    try:
        for session, statement in zip(sessions, statements):
            session.send(f"SELECT fawkes_ha.{statement}(wait_seconds => 60)")
        for session in sessions:
            try:
                answers.append(session.receive(90)[0][0])
            except Error as error:
                assert error.pgcode in ("22023", "55000"), error
        assert len(answers) > 1
    finally:
        for session in sessions:
            session.close()
        if json.loads(done(leader, "status", "-o", "json"))["cluster"]["paused"]:
            done(leader, "resume")


def test_pause_keeps_everybody_from_leading(cluster: Cluster) -> None:
    """Section 4: pause stops elections and restarts, never the fence; resume lets them go on."""
    leader = cluster.wait_all_stream()
    standby = cluster.others(leader)[0]
    assert "paused" in done(standby, "pause", "--reason", "maintenance of the switch")
    assert "already: maintenance of the switch" in refused(leader, "pause")
    assert "PAUSED: maintenance of the switch" in leader.command("status").stdout
    since = leader.log.stat().st_size
    process.send([leader.postmaster_pid], 9)
    leader.wait_for_log("an operator paused: the lease is kept", since=since)
    assert cluster.find_leader() is None
    assert "elections are paused" in refused(standby, "switchover")
    done(standby, "resume")
    cluster.wait_all_stream()
    last = history(standby)
    ours = "maintenance of the switch"  # other tests pause, too
    pause = next(entry for entry in last if (entry["event"], entry["reason"]) == ("pause", ours))
    assert "fawkes-ha" in pause["requested_by"]
    assert pause["result"] == "done: elections are paused"
    assert any(entry["event"] == "resume" for entry in last)


def test_a_pause_that_cannot_be_added_to_the_history(cluster: Cluster) -> None:
    """It is done: scripts that go on by the exit status must not stop there."""
    leader = cluster.wait_all_stream()
    good = record.versions(cluster, record.HISTORY)[-1].read_text()
    record.write_next(cluster, "no JSON", record.HISTORY)
    paused = leader.command("pause")
    assert paused.returncode == 0, paused.stderr
    assert "it is done; only the history does not say so" in paused.stderr
    assert "PAUSED" in leader.command("status").stdout
    record.write_next(cluster, good, record.HISTORY)
    done(leader, "resume")
    assert history(leader)[-1]["event"] == "resume"
    cluster.wait_all_stream()


def test_failover_overrides_a_pause(cluster: Cluster) -> None:
    """An explicit failover still works, and still waits for the lease to be free (S1)."""
    leader = cluster.wait_all_stream()
    target = cluster.others(leader)[0]
    assert call(target, "pause('by SQL')") == "elections are paused"
    leader.kill()
    done(target, "failover", "--to", target.name)
    assert cluster.wait_for_leader() is target
    assert call(target, "resume()") == "elections go on"
    leader.start()
    cluster.wait_all_stream()


# --- restart


def test_restart_of_a_standby(cluster: Cluster) -> None:
    """One member, and nobody else."""
    leader = cluster.wait_all_stream()
    standby, other = cluster.others(leader)
    before = {node.name: started_at(node) for node in cluster.nodes}
    assert "would do" in done(leader, "restart", standby.name, "--dry-run")
    assert started_at(standby) == before[standby.name]
    done(leader, "restart", standby.name)
    assert started_at(standby) != before[standby.name]
    assert [started_at(node) for node in (leader, other)] == [before[leader.name], before[other.name]]


def test_restart_of_the_primary_keeps_its_role(cluster: Cluster) -> None:
    """S2: the fence is shut first; the lease is kept, so that nobody takes over; no row is lost."""
    leader = cluster.wait_all_stream()
    before = started_at(leader)
    with Load(cluster) as load:
        number = load.begin_round()
        load.wait_for_acks(200)
        done(cluster.others(leader)[0], "restart", leader.name)
        load.wait_for_acks(200)
        acks = [ack for ack in load.acks if ack.round == number]
    assert cluster.wait_all_stream() is leader
    assert started_at(leader) != before
    assert missing_rows(cluster, leader, acks, number) == []
    assert overlap(acks) == 0 and {ack.port for ack in acks} == {leader.port}


def test_restart_of_all_is_in_order(cluster: Cluster) -> None:
    """Standbys one by one, then the primary, each only when those before it stream again."""
    leader = cluster.wait_all_stream()
    before = {node.name: started_at(node) for node in cluster.nodes}
    out = done(leader, "restart", "--reason", "new library")
    assert "3 of 3 restarted" in out
    assert cluster.wait_all_stream() is leader
    after = {node.name: started_at(node) for node in cluster.nodes}
    assert all(after[name] != before[name] for name in after)
    first, second = cluster.others(leader)
    assert after[first.name] < after[second.name] < after[leader.name]
    entry = history(leader)[-1]
    assert (entry["event"], entry["reason"], entry["result"]) == ("restart", "new library", "done: 3 of 3 restarted")


# --- settings of all members


def show(node: Node, name: str) -> str:
    return until(f"{node.name} answers", lambda: node.value(f"SHOW {name}"))


def pending(cluster: Cluster, leader: Node) -> set[str]:
    with leader.session() as session:
        return {row[0] for row in session.query("SELECT member FROM fawkes_ha.members WHERE pending_restart")}


@pytest.mark.parametrize("value", ["150", "90"], ids=["up", "down"])
def test_max_connections_on_all_members(cluster: Cluster, value: str) -> None:
    """Up: standbys first.  Down: the primary first, for a standby may not have less (trap, section 7)."""
    leader = cluster.wait_all_stream()
    everybody = {node.name for node in cluster.nodes}
    told = done(cluster.others(leader)[0], "set", f"max_connections={value}")
    assert "if it counts after a restart only, fawkes-ha status says so" in told
    until("everybody waits for a restart", lambda: pending(cluster, leader) == everybody)
    done(leader, "restart")
    assert cluster.wait_all_stream() is leader
    assert {show(node, "max_connections") for node in cluster.nodes} == {value}
    started = {node.name: started_at(node) for node in cluster.nodes}
    assert (min(started, key=started.get) == leader.name) == (value == "90")
    until("nobody waits for a restart", lambda: pending(cluster, leader) == set())


def test_max_connections_of_each_again(cluster: Cluster) -> None:
    """reset: each member's own file counts again."""
    leader = cluster.wait_all_stream()
    assert "is each member's own again" in done(leader, "reset", "max_connections")
    done(leader, "restart")
    assert {show(node, "max_connections") for node in cluster.nodes} == {"100"}
    assert "is not set for all members" in refused(leader, "reset", "max_connections")


def test_lease_timing_while_it_runs(cluster: Cluster) -> None:
    """S1: durations change on all members without a restart, and a failover right after is safe."""
    leader = cluster.wait_all_stream()
    assert "is set for all members" in call(leader, "set_setting('fawkes_ha.lease_duration', '4s')")
    for node in cluster.nodes:
        until(f"{node.name} has it", lambda node=node: node.value("SHOW fawkes_ha.lease_duration") == "4s")
    with Load(cluster) as load:
        load.wait_for_acks(200)
        leader.kill()
        cluster.wait_for_leader(besides=leader)
        load.wait_for_acks(100)
        assert overlap(load.acks) == 0
    leader.start()
    done(cluster.wait_all_stream(), "reset", "fawkes_ha.lease_duration")
    for node in cluster.nodes:
        until(f"{node.name} has it", lambda node=node: node.value("SHOW fawkes_ha.lease_duration") == "3s")


def test_a_restart_when_standbys_find_no_room_at_the_primary(cluster: Cluster) -> None:
    """Standbys first would wait for ever for what only the primary's restart brings."""
    leader = cluster.wait_all_stream()
    leader.write_settings(max_wal_senders="1")
    done(leader, "restart", leader.name)
    until("status names the limit", lambda: "room for the members: max_wal_senders = 1" in leader.command("status").stdout)
    leader.write_settings()
    process.send([leader.supervisor_pid], signal.SIGHUP)
    until("a restart is pending", lambda: leader.name in pending(cluster, leader))
    assert "3 of 3 restarted" in done(leader, "restart", "--wait", "60")
    assert cluster.wait_all_stream() is leader


@pytest.mark.parametrize(
    ("assignment", "status", "words"),
    [
        ("port=1", 2, "each member's own"),
        ("primary_conninfo=host=evil", 2, "each member's own"),
        ("fsync=off", 2, "each member's own"),
        ("work_mem=lots", 2, "work_mem"),
        ("no_such_setting=1", 2, "no_such_setting"),
        ("fawkes_ha.lease_duration=1h", 2, "out of range"),
        ("fawkes_ha.renew_deadline=3s", 4, "must be below lease_duration"),
        ("max_replication_slots=1", 4, "4 are needed at least"),
        ("max_wal_senders=2", 4, "4 are needed at least"),
        ("synchronous_standby_names=ANY 1 (n1, n2, n3)", 2, "replication is asynchronous"),
        ("pre_auth_delay=30", 2, "delays each session"),
        ("zero_damaged_pages=on", 2, "hides or spreads the damage"),
        ("ssl=on", 2, "TLS by fawkes_ha.tls"),
        ("nonsense", 2, "NAME=VALUE"),
    ],
)
def test_bad_settings_are_refused(cluster: Cluster, assignment: str, status: int, words: str) -> None:
    """By PostgreSQL's own judgement, by ours, and before anything is written."""
    leader = cluster.wait_all_stream()
    assert words in refused(leader, "set", assignment, status=status)
    if "=" in assignment:
        with leader.session() as session, pytest.raises(Error) as error:
            session.query("SELECT fawkes_ha.set_setting(%s, %s)", tuple(assignment.split("=", 1)))
        assert error.value.pgcode in ("22023", "42704"), error.value


def test_a_setting_with_which_postgresql_does_not_start(cluster: Cluster) -> None:
    """The restart and status name the member, the reason and the setting; once that is taken back, all goes on."""
    leader = cluster.wait_all_stream()
    done(leader, "set", "shared_buffers=1TB")
    until("everybody waits for a restart", lambda: pending(cluster, leader) == {node.name for node in cluster.nodes})
    outputs: list[str] = []
    restart = threading.Thread(target=lambda: outputs.append(leader.command("restart", "--wait", "100").stdout))
    restart.start()
    try:
        until("status names it", lambda: re.search(
            "cannot start PostgreSQL: could not map anonymous shared memory.*; set for all members since it ran: shared_buffers",
            " ".join(leader.command("status").stdout.split())))
        until("the request names it", lambda: "(fawkes-ha reset shared_buffers?): could not map"
              in record.newest(cluster)["request"]["message"])
    finally:
        done(leader, "reset", "shared_buffers")
        restart.join()
    assert cluster.wait_all_stream() is leader
    assert "waiting for" in outputs[0] and "3 of 3 restarted" in outputs[0]
    until("nobody has a finding", lambda: "cannot start" not in leader.command("status").stdout)


def test_a_program_written_into_the_lock_is_not_run(cluster: Cluster) -> None:
    """Write access to the lock is not the right to run programs on members: they take what is signed."""
    leader = cluster.wait_all_stream()
    until("the primary has signed", lambda: "settings_signature" in record.newest(cluster))
    ends = {node: node.log.stat().st_size for node in cluster.nodes}
    refusal = b"the lock's settings of all members are not used: they differ from what was signed"

    def all_refuse() -> bool:
        # The primary puts back its own when it renews, which may be before a standby has read the record.
        if not record.newest(cluster).get("settings"):
            record.edit(cluster, settings=[{"name": "archive_command", "value": f"touch {cluster.base}/evil"}])
        return all(refusal in node.log.read_bytes()[since:] for node, since in ends.items())

    until("each member refuses them", all_refuse, 60)
    until("the primary puts back its own", lambda: not record.newest(cluster).get("settings"))
    until("history tells it", lambda: any("put back" in entry["reason"] for entry in history(leader)))
    assert {node.value("SHOW archive_command") for node in cluster.nodes} <= {"(disabled)", ""}
    # What a member asks for is signed by it, by the command and by SQL.
    done(cluster.others(leader)[0], "set", "work_mem=5MB")
    until("all have it", lambda: {node.value("SHOW work_mem") for node in cluster.nodes} == {"5MB"})
    call(leader, "reset_setting('work_mem')")
    until("none has it", lambda: "5MB" not in {node.value("SHOW work_mem") for node in cluster.nodes})


# --- reinit, rejoin, remove


def test_reinit_of_a_standby(cluster: Cluster) -> None:
    """S11: a fresh copy beside the old data, which stays until the copy streams."""
    leader = cluster.wait_all_stream()
    standby = cluster.others(leader)[0]
    marker = standby.data / "marker"
    marker.touch()
    assert "is the primary" in refused(leader, "reinit", leader.name)
    assert "is replaced by a copy" in done(leader, "reinit", standby.name, "--dry-run")
    assert marker.exists()
    done(leader, "reinit", standby.name)
    cluster.wait_all_stream()
    assert not marker.exists()
    until("the old data is gone", lambda: not (standby.directory / "data.old").exists())


def test_reinit_by_sql_of_a_broken_standby(cluster: Cluster) -> None:
    """A standby whose data is damaged and does not start: that is what reinit is for."""
    leader = cluster.wait_all_stream()
    standby = cluster.others(leader)[0]
    standby.kill()
    (standby.data / "global" / "pg_control").write_bytes(b"garbage" * 1000)
    standby.start()
    assert f"{standby.name} streams" in call(leader, f"reinit('{standby.name}')", timeout=180)
    cluster.wait_all_stream()


def test_rejoin_of_a_member_that_streams(cluster: Cluster) -> None:
    """It says so at once."""
    leader = cluster.wait_all_stream()
    standby = cluster.others(leader)[0]
    assert f"{standby.name} streams from {leader.name}" in done(standby, "rejoin")


def test_remove_and_return(cluster: Cluster) -> None:
    """A stopped member leaves the list and its slot goes; started again it is a member again."""
    leader = cluster.wait_all_stream()
    standby = cluster.others(leader)[-1]
    slots = "SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE '%%' || %s"
    assert "stop it first" in refused(leader, "remove", standby.name)
    standby.stop()
    until("it does not stream", lambda: "it cannot lead" in done(leader, "remove", standby.name, "--dry-run"))
    assert "is not a member any more" in done(leader, "remove", standby.name)
    assert standby.name not in leader.command("status").stdout
    until("its slot is gone", lambda: leader.value(slots, (standby.name,)) == 0)
    standby.start()
    cluster.wait_all_stream()
    assert standby.name in leader.command("status").stdout
    until("its slot is back", lambda: leader.value(slots, (standby.name,)) == 1)


def test_a_standby_whose_wal_is_gone_is_copied_anew(cluster: Cluster) -> None:
    """S11: nobody has the WAL any more that it would go on with; it does not wait for a human."""
    leader = cluster.wait_all_stream()
    standby = cluster.others(leader)[0]
    standby.stop()
    until("it does not stream", lambda: leader.command("remove", standby.name, "--dry-run").returncode == 0)
    done(leader, "remove", standby.name)  # so that no slot keeps WAL for it
    done(leader, "set", "wal_keep_size=0")
    until("the leader keeps nothing", lambda: leader.value("SHOW wal_keep_size") == "0")
    before = leader.value("SELECT min(name) FROM pg_ls_waldir() WHERE length(name) = 24")

    def is_gone() -> bool:
        with leader.session() as session:
            for _ in range(3):
                session.query("SELECT pg_switch_wal()")
                session.query("CREATE TABLE junk(); DROP TABLE junk")
            session.query("CHECKPOINT", timeout=60)
            return session.value("SELECT min(name) FROM pg_ls_waldir() WHERE length(name) = 24") > before

    until("its WAL is gone", is_gone)
    since = standby.log.stat().st_size
    standby.start()
    standby.wait_for_log("no longer has the WAL", 120, since=since)
    cluster.wait_all_stream()
    done(leader, "reset", "wal_keep_size")


# --- refusals, limits


@pytest.mark.parametrize("words", [("restart", "n9"), ("reinit", "n9"), ("rejoin", "n9"), ("remove", "n9")])
def test_unknown_members_are_named(cluster: Cluster, words: tuple[str, str]) -> None:
    """By the command and by SQL in the same words."""
    leader = cluster.wait_all_stream()
    sentence = 'there is no member "n9"'
    assert sentence in refused(leader, *words)
    name = "remove_member" if words[0] == "remove" else words[0]
    with leader.session() as session, pytest.raises(Error) as error:
        session.query(f"SELECT fawkes_ha.{name}('n9')")
    assert error.value.pgcode == "22023" and sentence in str(error.value)


def test_failover_by_sql_is_refused_while_somebody_leads(cluster: Cluster) -> None:
    """As by the command; force takes the role away, and nothing is acknowledged twice."""
    leader = cluster.wait_all_stream()
    standby = cluster.others(leader)[0]
    with standby.session() as session, pytest.raises(Error) as error:
        session.query("SELECT fawkes_ha.failover()")
    assert error.value.pgcode == "55000" and f"{leader.name} holds the lease" in str(error.value)
    assert "leads" in refused(standby, "failover")
    call(standby, f"failover('{standby.name}', force => true)")
    assert cluster.wait_for_leader(besides=leader) is standby
    cluster.wait_all_stream()


def test_a_wait_is_a_number_of_seconds(cluster: Cluster) -> None:
    """1 to 86400, in digits; each other word is refused before anything is asked for."""
    leader = cluster.wait_all_stream()
    for word in ("0", "-1", "+5", " 5", "5 ", "1.5", "1e9", "0x5", "", "86401", "99999999999999999999"):
        assert "--wait takes seconds, 1 to 86400, not" in refused(leader, "restart", "--wait", word, status=2), word
    with leader.session() as session:
        for number in (0, -1, 86401):
            with pytest.raises(Error) as error:
                session.query("SELECT fawkes_ha.restart(wait_seconds => %s)", (number,))
            assert error.value.pgcode == "22023" and "1 to 86400 is allowed" in str(error.value), number


def test_a_request_ends_at_its_time_limit(cluster: Cluster) -> None:
    """S9: a restart that cannot go on is given up, says what it waited for, and is in the history."""
    leader = cluster.wait_all_stream()
    standby = cluster.others(leader)[0]
    standby.freeze()
    try:
        result = leader.command("restart", standby.name, "--wait", "3")
        assert result.returncode == 4 and f"waiting for {standby.name}" in result.stdout
        entry = history(leader)[-1]
        assert entry["event"] == "restart" and entry["result"].startswith("failed: not finished in 3 s")
    finally:
        standby.thaw()
    cluster.wait_all_stream()


def asking(node: Node, *words: str) -> subprocess.Popen:
    """A command in a terminal of its own: Ctrl-C ends it."""
    line = [programs.path("fawkes-ha"), *words, "-D", node.data]
    default = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **default)


def interrupt(command: subprocess.Popen) -> str:
    command.send_signal(signal.SIGINT)
    said, _ = command.communicate(timeout=LONG_S)
    assert command.returncode == -signal.SIGINT
    return said


def test_one_request_at_a_time(cluster: Cluster) -> None:
    """The second is refused with who asked for the first; a pause is not kept waiting; Ctrl-C says what goes on."""
    leader = cluster.wait_all_stream()
    standby = cluster.others(leader)[0]
    standby.freeze()
    try:
        first = asking(leader, "restart", standby.name)
        told = f"restart of {standby.name}, asked for by"
        how_far = f"is running: 0 of 1 restarted, waiting for {standby.name}"
        until("it is told whom it concerns", lambda: told in leader.command("status").stdout)
        until("it is told how far it is", lambda: how_far in leader.command("status").stdout)
        assert "is under way" in refused(leader, "switchover")
        done(leader, "pause")
        done(leader, "resume")
        assert "the request goes on" in interrupt(first)
    finally:
        standby.thaw()
    until("it was carried out", lambda: history(leader)[-1]["result"] == "done: 1 of 1 restarted", LONG_S)
    cluster.wait_all_stream()


def test_what_nobody_has_begun_ends_with_its_command(cluster: Cluster) -> None:
    """Ctrl-C: a failover that nobody expects any more does not happen when the nodes are back."""
    leader = cluster.wait_all_stream()
    for node in cluster.nodes:
        node.freeze()
    try:
        command = asking(leader, "failover", "--reason", "by mistake")
        until("it stands", lambda: "is pending" in leader.command("status").stdout)
        assert "it is withdrawn" in interrupt(command)
    finally:
        for node in cluster.nodes:
            node.thaw()
    cluster.wait_all_stream()
    entry = next(entry for entry in history(leader) if entry["reason"] == "by mistake")
    assert entry["result"].startswith("failed: withdrawn: its command was interrupted")


def test_rejoin_by_hand(directory) -> None:
    """A former primary without a supervisor: rewound where it lies, its own settings kept, started by pg_ctl."""
    cluster = Cluster(directory / "c", names=("n1",), first_port=5771)
    plain = None
    try:
        cluster.create()
        source = cluster.start()
        (port,) = free_ports(1, source.port + 1)
        settings = {name: value for name, value in source.settings.items() if name.startswith("fawkes_ha.")}
        own = {"fawkes_ha.member_name": "plain", "fawkes_ha.address": f"127.0.0.1:{port}"}
        plain = PlainNode("plain", cluster.base / "plain", cluster.sockets, port, {**settings, **own})
        plain.prepare(cluster.passwords["replication"])
        plain.clone(source)
        plain.start()
        until("the plain standby streams", lambda: plain.standing() == ("streams", source.port))
        assert "fawkes-ha rejoin" in refused(source, "restart", "plain")
        source.kill()
        until("the plain standby leads", lambda: plain.standing()[0] == "primary")
        with Session(cluster.dsn([plain])) as session:
            until("it takes writes", lambda: session.query("INSERT INTO ledger VALUES (1, 1, '')") == [])
        source.start()
        until("the first node streams", lambda: source.standing() == ("streams", plain.port))
        assert "still runs" in refused(plain, "rejoin")
        source.kill()
        with Session(cluster.dsn([plain])) as session:
            session.query("INSERT INTO ledger VALUES (2, 1, 'nobody else will ever have it')")
        plain.kill()
        source.start()
        cluster.wait_for_leader()

        def is_to_be_rewound() -> bool:
            result = plain.command("rejoin", "--dry-run")
            assert "would do: rewind" in result.stdout, result.stdout + result.stderr
            return True

        until("it can be rewound", is_to_be_rewound)
        done(plain, "rejoin")
        plain.start()
        until("it streams again", lambda: plain.standing() == ("streams", source.port))
    except BaseException:
        print(cluster.log_tails())
        raise
    finally:
        if plain:
            plain.kill()
        cluster.destroy()
