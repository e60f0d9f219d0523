"""The member's listener: health paths, whoever answers them, and clients that mean no good."""

import json
import os
import shutil
import signal
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import jsonschema
import pytest

from lab import http, process, programs
from lab.cluster import Cluster
from lab.node import Node, PlainNode, free_ports
from lab.session import Session
from lab.wait import now, until

SCHEMA = json.loads((Path(__file__).parent.parent / "docs" / "status.schema.json").read_text())
PATHS = ("/healthz", "/livez", "/readyz", "/primary", "/read-write", "/replica", "/read-only")
LISTEN = True  # for the fixture `cluster`
SETTLE_S = 30


def get(node: Node, path: str) -> int:
    return http.status(node.listen_port, path)


def statuses(node: Node) -> dict[str, int]:
    return {path: get(node, path) for path in PATHS}


def checked_status(node: Node) -> dict:
    """/status, held against the published schema."""
    answer = http.ask(node.listen_port, "/status")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    jsonschema.validate(answer.json, SCHEMA, jsonschema.Draft202012Validator)
    return answer.json


def agent_of(node: Node) -> int:
    everyone = process.look_at_all()
    return next(pid for pid in node.pids() if pid in everyone and b"fawkes_ha agent" in command_line(pid))


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def sockets_of(pid: int) -> set[str]:
    found = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if (target := os.readlink(fd)).startswith("socket:"):
                found.add(target)
        except OSError:
            continue
    return found


def listening_socket(port: int) -> str:
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[3] == "0A" and int(words[1].split(":")[1], 16) == port:
            return f"socket:[{words[9]}]"
    raise LookupError(f"nobody listens on {port}")


# --- what it says


def test_each_path_by_role(cluster: Cluster) -> None:
    """A primary with an open fence, and standbys that stream."""
    leader = cluster.wait_all_stream()
    alive = {"/healthz": 200, "/livez": 200, "/readyz": 200, "/read-only": 200}
    until("the leader is ready", lambda: get(leader, "/primary") == 200, SETTLE_S)
    assert statuses(leader) == {**alive, "/primary": 200, "/read-write": 200, "/replica": 503}
    for node in cluster.others(leader):
        until("the standby streams", lambda: get(node, "/replica") == 200, SETTLE_S)
        assert statuses(node) == {**alive, "/primary": 503, "/read-write": 503, "/replica": 200}


def test_verbs_and_unknown_paths(cluster: Cluster) -> None:
    """HEAD and OPTIONS say what GET says; anything else is 405, and a path that is not there 404."""
    port = cluster.wait_all_stream().listen_port
    for verb in ("HEAD", "OPTIONS"):
        assert http.ask(port, "/livez", verb).status == 200
        assert http.ask(port, "/replica", verb).status == 503
    assert http.ask(port, "/livez", "HEAD").body == b""
    for verb in ("POST", "PUT", "DELETE", "BREW"):
        answer = http.ask(port, "/primary", verb)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    for path in ("/", "/primary/", "/primaryx", "/livez/..", "//livez"):
        assert get(cluster.wait_all_stream(), path) == 404


def test_status_follows_its_schema(cluster: Cluster) -> None:
    """Primary and standbys, in the published form and with the right words in it."""
    leader = cluster.wait_all_stream()
    until("the leader is ready", lambda: get(leader, "/primary") == 200, SETTLE_S)
    said = checked_status(leader)
    assert (said["member"], said["role"], said["answered_by"]) == (leader.name, "primary", "agent")
    assert said["fence"]["open"] and 0 < said["fence"]["left_ms"] <= 2000
    assert said["lease"]["holder"] == leader.name and said["lease"]["held"]
    for node in cluster.others(leader):
        said = until("it knows its lag", lambda: "lag_bytes" in checked_status(node) and checked_status(node), SETTLE_S)
        assert (said["role"], said["streaming"], said["following"]) == ("standby", True, leader.name)
        assert said["fence"] == {"open": False, "left_ms": 0}
        assert said["lease"]["holder"] == leader.name


def test_lag_limits_a_replica(cluster: Cluster) -> None:
    """`?lag=` in bytes with a unit: 503 beyond it, 400 on nonsense, measured to what is replayed."""
    leader = cluster.wait_all_stream()
    node = cluster.others(leader)[0]
    until("it has caught up", lambda: get(node, "/replica?lag=1MB") == 200, SETTLE_S)
    for nonsense in ("", "x", "-1", "1.5MB", "5 MB", "1PB", "99999999999999999999", "5MBx", "1&lag=2", "%31"):
        assert get(node, f"/replica?lag={nonsense.replace(' ', '%20')}") == 400, nonsense
    assert get(node, "/replica?" + "x" * 4000) == 414
    with node.session() as session:
        session.query("SELECT pg_wal_replay_pause()")
        try:
            with Session(cluster.dsn([leader])) as writer:
                rows = "SELECT g, repeat(md5(g::text), 31) FROM generate_series(1, 3000) AS g"
                writer.query(f"INSERT INTO filler {rows}", timeout=60)
            until("the limit is passed", lambda: get(node, "/replica?lag=1MB") == 503, SETTLE_S)
            assert get(node, "/replica") == 200
            assert get(node, "/replica?lag=1GB") == 200
            assert checked_status(node)["lag_bytes"] > 1024 * 1024
        finally:
            session.query("SELECT pg_wal_replay_resume()")
    until("it has caught up again", lambda: get(node, "/replica?lag=1MB&x=y") == 200, SETTLE_S)


def test_a_receiver_that_only_connects_does_not_stream(cluster: Cluster) -> None:
    """health: the kernel takes the connection of a stopped postmaster, and nobody answers it: no replica meanwhile."""
    leader = cluster.wait_all_stream()
    node = cluster.others(leader)[0]
    until("it is a replica", lambda: get(node, "/replica") == 200, SETTLE_S)
    former = node.titled("postgres: walreceiver")
    postmaster = leader.postmaster_pid
    process.send([postmaster], signal.SIGSTOP)
    try:
        process.send(former, signal.SIGTERM)
        until("another tries", lambda: set(node.titled("postgres: walreceiver")) - set(former), SETTLE_S)
        # As many as outlast the moment before the receiver calls.
        assert {get(node, "/replica") for _ in range(200)} == {503}
        assert checked_status(node)["streaming"] is False
    finally:
        process.send([postmaster], signal.SIGCONT)
    until("it is one again", lambda: get(node, "/replica") == 200, SETTLE_S)


def test_answers_while_sql_hangs(cluster: Cluster) -> None:
    """With the postmaster stopped nobody can log in; the agent answers from what it knows."""
    leader = cluster.wait_all_stream()
    until("it leads", lambda: get(leader, "/primary") == 200, SETTLE_S)
    pid = leader.postmaster_pid
    process.send([pid], signal.SIGSTOP)
    try:
        with pytest.raises(Exception):
            leader.value("SELECT 1", timeout=1)
        assert get(leader, "/livez") == 200
        assert get(leader, "/primary") == 200
        assert checked_status(leader)["answered_by"] == "agent"
    finally:
        process.send([pid], signal.SIGCONT)
    assert cluster.wait_all_stream() is leader


# --- S1


def test_a_leader_that_lost_its_lease_is_no_primary(cluster: Cluster) -> None:
    """S1: a request that waited while its agent was stopped is answered by the fence as it is then."""
    old = cluster.wait_all_stream()
    until("it leads", lambda: get(old, "/primary") == 200, SETTLE_S)
    agent = agent_of(old)
    process.send([agent], signal.SIGSTOP)
    try:
        with http.connect(old.listen_port) as waiting:
            waiting.sendall(b"GET /primary HTTP/1.1\r\nHost: x\r\n\r\n")
            new = cluster.wait_for_leader(besides=old)
            until("the new one says so", lambda: get(new, "/primary") == 200, SETTLE_S)
            process.send([agent], signal.SIGCONT)
            answer = http.read_all(waiting)
    finally:
        process.send([agent], signal.SIGCONT)
    # It may also have been broken off, by its deadline.
    assert answer == b"" or answer.startswith(b"HTTP/1.1 503 ")
    cluster.wait_all_stream()


# --- who answers


class Prober:
    """Asks /livez and /status again and again, and keeps what came and what did not."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.answered_by: list[str] = []
        self.roles: list[str] = []
        self.refused: list[str] = []
        self.cut = 0

    def __enter__(self) -> "Prober":
        self._thread.start()
        until("it answers", lambda: self.answered_by, SETTLE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._ended.wait(0.005):
            try:
                assert http.status(self._port, "/livez") == 200
                said = http.ask(self._port, "/status").json
                jsonschema.validate(said, SCHEMA, jsonschema.Draft202012Validator)
                self.answered_by.append(said["answered_by"])
                self.roles.append(said["role"])
            except (ConnectionResetError, BrokenPipeError, http.http.client.RemoteDisconnected):
                self.cut += 1  # accepted by a process that then was killed
            except Exception as error:  # noqa: BLE001: a refused or silent connection is what must not be
                self.refused.append(repr(error))


def test_answers_from_the_supervisor_after_a_killed_postmaster(cluster: Cluster) -> None:
    """kill -9 of the postmaster: the port is never closed, and the supervisor answers until an agent does."""
    old = cluster.wait_all_stream()
    with Prober(old.listen_port) as prober:
        process.send([old.postmaster_pid], signal.SIGKILL)
        until("the supervisor answers", lambda: "supervisor" in prober.answered_by, SETTLE_S)
        cluster.wait_all_stream()
        count = len(prober.answered_by)
        until("the agent answers again", lambda: "agent" in prober.answered_by[count:], SETTLE_S)
    assert prober.refused == []
    assert {"down", "busy"} & set(prober.roles)


def test_answers_from_the_supervisor_during_a_long_shutdown(cluster: Cluster) -> None:
    """A fast shutdown whose checkpoint hangs: the agent is gone, and /livez, /status go on."""
    node = cluster.others(cluster.wait_all_stream())[0]
    everyone = process.look_at_all()
    checkpointer = next(pid for pid in node.pids() if pid in everyone and b"checkpointer" in command_line(pid))
    process.send([checkpointer], signal.SIGSTOP)
    try:
        with Prober(node.listen_port) as prober:
            node.terminate()
            until("the supervisor answers", lambda: "supervisor" in prober.answered_by, SETTLE_S)
            said = checked_status(node)
            assert (said["role"], said["ready"]) == ("busy", False)
            assert (get(node, "/livez"), get(node, "/readyz"), get(node, "/primary")) == (200, 503, 503)
            assert node.supervisor_pid is not None
        assert prober.refused == []
    finally:
        process.send([checkpointer], signal.SIGCONT)
    node.wait_ended()
    with pytest.raises(ConnectionRefusedError):
        http.connect(node.listen_port)
    node.start()
    cluster.wait_streams(node)


def test_answers_while_a_node_clones(cluster: Cluster) -> None:
    """From the first moment of `fawkes-ha run`, through the clone, to the standby."""
    node = cluster.others(cluster.wait_all_stream())[-1]
    node.stop()
    shutil.rmtree(node.data)
    node.start()
    until("it answers", lambda: get(node, "/livez") == 200, SETTLE_S)
    with Prober(node.listen_port) as prober:
        cluster.wait_streams(node)
        until("it is a replica", lambda: get(node, "/replica") == 200, SETTLE_S)
        until("the prober sees a standby", lambda: prober.roles[-1] == "standby", SETTLE_S)
    assert prober.refused == []
    assert prober.answered_by[0] == "supervisor" and prober.roles[0] == "down"
    assert prober.answered_by[-1] == "agent"


def test_backends_and_their_programs_do_not_hold_the_socket(cluster: Cluster) -> None:
    """Only supervisor, postmaster, agent and PostgreSQL's own processes have it; no program gets it."""
    leader = cluster.wait_all_stream()
    ours = listening_socket(leader.listen_port)
    assert ours in sockets_of(leader.supervisor_pid)
    assert ours in sockets_of(agent_of(leader))
    for child in leader.lock_children():
        assert ours not in sockets_of(child)
    with leader.session() as session:
        backend = session.value("SELECT pg_backend_pid()")
        assert ours not in sockets_of(backend)
        listed = cluster.base / "descriptors"
        session.query(f"COPY (SELECT 1) TO PROGRAM 'ls -l /proc/self/fd > {listed}'", timeout=20)
    assert "pipe:" in listed.read_text()
    assert ours not in listed.read_text()


# --- clients that mean no good


def still_answers(node: Node) -> None:
    began = now()
    assert get(node, "/primary") == 200
    assert now() - began < http.ANSWER_BOUND_S


def term_of(node: Node) -> str:
    return checked_status(node)["lease"]["term"]


def test_slow_and_many_connections_cost_nothing(cluster: Cluster) -> None:
    """Slowloris and 3000 idle connections: others are answered at once, and the leader stays leader."""
    leader = cluster.wait_all_stream()
    until("it leads", lambda: get(leader, "/primary") == 200, SETTLE_S)
    term, agent = term_of(leader), agent_of(leader)
    opened = len(list(Path(f"/proc/{agent}/fd").iterdir()))
    with ExitStack() as stack:
        slow = [stack.enter_context(http.connect(leader.listen_port)) for _ in range(200)]
        for connection in slow:
            connection.sendall(b"GET /primary HTTP/1.1\r\nX-Slow: ")
        still_answers(leader)
        ended = set()
        deadline = now() + 15
        while len(ended) < len(slow) and now() < deadline:
            for connection in slow:
                try:
                    connection.send(b"x")
                except OSError:
                    ended.add(connection)
            still_answers(leader)
        assert len(ended) == len(slow), "a connection that never finishes its request was not ended"
    for _ in range(15):
        with ExitStack() as stack:
            for _ in range(200):
                stack.enter_context(http.connect(leader.listen_port))
            still_answers(leader)
            assert len(list(Path(f"/proc/{agent}/fd").iterdir())) < opened + 150
    until("all are closed", lambda: len(list(Path(f"/proc/{agent}/fd").iterdir())) <= opened + 5, SETTLE_S)
    assert agent_of(leader) == agent
    assert term_of(leader) == term
    assert cluster.find_leader() is leader


def exchange(node: Node, request: bytes) -> bytes:
    with http.connect(node.listen_port) as connection:
        try:
            connection.sendall(request)
        except OSError:
            pass  # it need not take everything
        return http.read_all(connection)


def test_huge_and_broken_requests_are_refused(cluster: Cluster) -> None:
    """A header of 1 MB, endless bodies, bytes that are no HTTP: refused or hung up on, never more."""
    leader = cluster.wait_all_stream()
    until("it leads", lambda: get(leader, "/primary") == 200, SETTLE_S)
    term, agent = term_of(leader), agent_of(leader)
    memory = resident(agent)
    megabyte = b"x" * 2**20
    long_header = exchange(leader, b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + megabyte + b"\r\n\r\n")
    assert long_header == b"" or long_header.split()[1] in (b"413", b"431", b"400")
    long_path = exchange(leader, b"GET /" + megabyte + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert long_path == b"" or long_path.split()[1] in (b"414", b"413", b"431", b"400")
    body = b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n" + megabyte
    assert exchange(leader, body).split()[1] == b"405"
    for garbage in (b"\x00" * 4096, b"\x16\x03\x01\x02\x00\x01" + bytes(range(256)), b"\r\n" * 2000, os.urandom(8192)):
        answer = exchange(leader, garbage)
        assert answer == b"" or answer.split()[1] in (b"400", b"431", b"405", b"404", b"505", b"501"), answer[:80]
    for length in (b"-1", b"18446744073709551616", b"x", b"1e9"):
        answer = exchange(leader, b"POST /member HTTP/1.1\r\nHost: x\r\nContent-Length: " + length + b"\r\n\r\n")
        assert answer == b"" or answer.split()[1] in (b"400", b"413", b"401"), answer[:80]
    still_answers(leader)
    assert agent_of(leader) == agent
    assert term_of(leader) == term
    assert resident(agent) - memory < 8 * 1024, "kB of memory more than before"


def resident(pid: int) -> int:
    """Private memory in kB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_"))


def test_one_request_for_each_connection(cluster: Cluster) -> None:
    """Pipelined requests behind the first are not answered: the connection ends with its answer."""
    leader = cluster.wait_all_stream()
    answer = exchange(leader, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in answer.lower()
    still_answers(leader)


# --- the setting


def test_a_bad_value_is_refused_and_named(cluster: Cluster) -> None:
    """`fawkes-ha run` ends with a sentence; one that appears later does not keep PostgreSQL from starting."""
    node = cluster.others(cluster.wait_all_stream())[0]
    node.write_settings(**{"fawkes_ha.listen": "localhost"})
    try:
        started = node.log.stat().st_size
        process.send([node.postmaster_pid], signal.SIGKILL)
        node.wait_for_log("started PostgreSQL as a standby", SETTLE_S, started)
        cluster.wait_streams(node)
        until("it answers as before", lambda: get(node, "/replica") == 200, SETTLE_S)
        node.stop()
        done = programs.run("fawkes-ha", "run", "-D", node.data, timeout=30)
        assert done.returncode == 2
        assert "fawkes_ha.listen" in done.stderr and "127.0.0.1:8008" in done.stderr
    finally:
        node.write_settings()
    node.start()
    cluster.wait_streams(node)


def test_a_port_in_use_is_told_and_waited_for(cluster: Cluster) -> None:
    """PostgreSQL comes up all the same; its agent answers when the port is free, and so does who follows."""
    node = cluster.others(cluster.wait_all_stream())[0]
    node.stop()
    with socket.create_server(("127.0.0.1", node.listen_port)):
        started = node.log.stat().st_size
        node.start()
        line = node.wait_for_log("could not listen on", SETTLE_S, started)
        assert "fawkes_ha.listen" in line and "Address already in use" in line
        cluster.wait_streams(node)
    until("the agent answers", lambda: checked_status(node)["answered_by"] == "agent", SETTLE_S)
    started = node.log.stat().st_size
    process.send([node.postmaster_pid], signal.SIGKILL)
    node.wait_for_log("started PostgreSQL as a standby", SETTLE_S, started)
    cluster.wait_streams(node)
    until("the agent answers again", lambda: checked_status(node)["answered_by"] == "agent", SETTLE_S)
    assert ours_is_with_supervisor(node)


def ours_is_with_supervisor(node: Node) -> bool:
    """The next PostgreSQL inherited the socket of its supervisor."""
    return listening_socket(node.listen_port) in sockets_of(node.supervisor_pid)


def test_a_killed_supervisor_does_not_silence_the_agent(cluster: Cluster) -> None:
    """The agent's socket is its own; the next supervisor takes the port when it is free."""
    node = cluster.others(cluster.wait_all_stream())[0]
    process.send([node.supervisor_pid], signal.SIGKILL)
    until("the supervisor is gone", lambda: node.supervisor_pid is None)
    assert checked_status(node)["answered_by"] == "agent"
    started = node.log.stat().st_size
    node.start()
    node.wait_for_log("PostgreSQL runs already", SETTLE_S, started)
    assert checked_status(node)["answered_by"] == "agent"
    node.stop()
    node.start()
    cluster.wait_streams(node)
    until("the agent answers", lambda: checked_status(node)["answered_by"] == "agent", SETTLE_S)


def test_a_plain_server_opens_it_itself(directory) -> None:
    """Without a supervisor the agent listens; a port in use is told, and taken when it is free."""
    cluster = Cluster(directory / "c", names=("n1",), first_port=5851)
    plain = None
    try:
        cluster.create()
        cluster.start()
        leader = cluster.wait_for_leader()
        port, listen_port = free_ports(2, 5861)
        plain = PlainNode("n2", cluster.base / "n2", cluster.sockets, port, dict(leader_settings(cluster)))
        plain.listen_on(listen_port)
        plain.prepare(cluster.passwords["replication"])
        plain.clone(leader)
        with socket.create_server(("127.0.0.1", listen_port)):
            plain.start()
            plain.wait_for_log("could not listen on fawkes_ha.listen", SETTLE_S)
        until("it streams", lambda: get(plain, "/replica") == 200, SETTLE_S)
        assert checked_status(plain)["answered_by"] == "agent"
    finally:
        if plain:
            plain.kill()
        cluster.destroy()


def leader_settings(cluster: Cluster) -> dict[str, str]:
    wanted = ("fawkes_ha.cluster_name", "fawkes_ha.lock")
    return {name: value for name, value in cluster.nodes[0].settings.items() if name in wanted}
