"""Questions between members, on real listeners: a caller of our own, and `fawkes-ha status --ask`."""

import hashlib
import hmac
import json
import secrets
import socket
import threading

import pytest

from lab import http, programs
from lab.cluster import CLUSTER_NAME, Cluster
from lab.node import Node
from lab.wait import until

HEADER = "Fawkes-MAC"
LISTEN = True  # for the fixture `cluster`
SETTLE_S = 30


class Caller:
    """A member's side of the protocol, written from docs/reference.md."""

    def __init__(self, cluster: Cluster, asked: Node, password: str | None = None) -> None:
        secret = (password or cluster.passwords["replication"]).encode()
        salt = f"fawkes_ha members of {CLUSTER_NAME}".encode()
        keys = hashlib.pbkdf2_hmac("sha256", secret, salt, 4096, 64)
        self._question_key, self._answer_key = keys[:32], keys[32:]
        self.port = asked.listen_port
        self.identifier = str(asked.value("SELECT system_identifier FROM pg_control_system()"))
        self._to = asked.name
        self.challenge = ""

    def question(self, **other: str) -> dict[str, str]:
        return {
            "kind": "status",
            "cluster": CLUSTER_NAME,
            "system_identifier": self.identifier,
            "from": "n1",
            "from_incarnation": "00000000000000aa",
            "to": self._to,
            "challenge": self.challenge,
            "nonce": secrets.token_hex(16),
            **other,
        }

    def mac(self, body: bytes) -> str:
        return hmac.new(self._question_key, body, hashlib.sha256).hexdigest()

    def post(self, body: bytes, mac: str | None = None) -> http.Answer:
        headers = {} if mac is None else {HEADER: mac}
        return http.ask(self.port, "/member", "POST", body, headers)

    def ask(self, question: dict[str, str]) -> http.Answer:
        body = json.dumps(question).encode()
        answer = self.post(body, self.mac(body))
        if answer.status in (200, 403, 409, 421, 501):
            right = hmac.new(self._answer_key, answer.body, hashlib.sha256).hexdigest()
            assert answer.headers[HEADER.lower()] == right
            assert answer.json["nonce"] == question["nonce"]
            assert answer.json["to"] == question["from"]
        return answer

    def introduce(self) -> None:
        answer = self.ask(self.question(challenge=""))
        assert answer.status == 409
        self.challenge = answer.json["challenge"]


@pytest.fixture
def caller(cluster: Cluster) -> Caller:
    leader = cluster.wait_all_stream()
    until("it leads", lambda: http.status(leader.listen_port, "/primary") == 200, SETTLE_S)
    caller = Caller(cluster, leader)
    caller.introduce()
    return caller


def test_a_member_says_what_it_is(cluster: Cluster, caller: Caller) -> None:
    """Kind status: its role, fence, position and term, as /status has them."""
    leader = cluster.find_leader()
    answer = caller.ask(caller.question())
    assert answer.status == 200
    assert (answer.json["from"], answer.json["kind"]) == (leader.name, "status")
    said = answer.json["status"]
    assert (said["member"], said["role"], said["fence"]["open"]) == (leader.name, "primary", True)
    assert said["position"]["timeline"] == cluster.timeline(leader)
    assert said["lease"]["holder"] == leader.name


def test_a_replayed_question_is_refused(cluster: Cluster, caller: Caller) -> None:
    """Word for word the same: once and never again, also not to another member or another life."""
    body = json.dumps(caller.question()).encode()
    assert caller.post(body, caller.mac(body)).status == 200
    for _ in range(3):
        assert caller.post(body, caller.mac(body)).status == 409
    standby = cluster.others(cluster.find_leader())[0]
    assert Caller(cluster, standby).post(body, caller.mac(body)).status == 421


def test_without_the_key_nothing_is_said(cluster: Cluster, caller: Caller) -> None:
    """No MAC, a wrong one, the right one of another body, another password: 401, and no word of JSON."""
    body = json.dumps(caller.question()).encode()
    stranger = Caller(cluster, cluster.find_leader(), password="wrong")
    other = caller.mac(b"other")
    for mac in (None, "", "0" * 64, "x" * 64, other, caller.mac(body)[:-1], stranger.mac(body), "é" * 32):
        answer = caller.post(body, mac.encode("utf-8").decode("latin-1") if mac else mac)
        assert answer.status == 401, mac
        assert HEADER.lower() not in answer.headers
        assert b"{" not in answer.body
    # The parser sees nothing that is not authentic.
    assert caller.post(b"{", "0" * 64).status == 401
    assert caller.post(body, caller.mac(body)).status == 200


def test_who_is_not_meant_says_so(caller: Caller) -> None:
    """Another cluster, another system identifier, another member, a kind that is not known."""
    assert caller.ask(caller.question(cluster="other")).status == 403
    assert caller.ask(caller.question(system_identifier="1")).status == 403
    assert caller.ask(caller.question(to="n9")).status == 421
    assert caller.ask(caller.question(kind="oracle")).status == 501
    assert caller.ask(caller.question(challenge="0" * 16)).status == 409


def test_bodies_that_are_no_question(caller: Caller) -> None:
    """Authentic nonsense is 400, too long 413, of unknown length 411, another verb 405."""
    for body in (b"{", b"[]", b"null", b'{"kind": 1}', b"\xff", b"{}", json.dumps(caller.question(nonce="x")).encode()):
        assert caller.post(body, caller.mac(body)).status == 400, body
    long = b" " * 4097
    assert caller.post(long, caller.mac(long)).status == 413
    full = json.dumps(caller.question()).encode().ljust(4096)
    assert caller.post(full, caller.mac(full)).status == 200
    assert http.ask(caller.port, "/member").status == 405
    with http.connect(caller.port) as connection:
        headers = b"POST /member HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(headers + b"5\r\nhello\r\n0\r\n\r\n")
        assert b" 411 " in http.read_all(connection).split(b"\r\n")[0]


def asked_lines(text: str) -> dict[str, list[str]]:
    """The table of --ask: a line for each member."""
    table = text.split("\nasked ", 1)[1].splitlines()[1:]
    return {line.split()[0]: line.split()[1:] for line in table}


def test_status_asks_every_member(cluster: Cluster) -> None:
    """`fawkes-ha status --ask` from each node: what each says itself, the silent one by its deadline."""
    leader = cluster.wait_all_stream()
    until("it leads", lambda: http.status(leader.listen_port, "/primary") == 200, SETTLE_S)

    def everybody() -> bool:
        lines = asked_lines(leader.command("status", "--ask").stdout)
        return {name: words[0] for name, words in lines.items()} == {
            node.name: "primary" if node is leader else "standby" for node in cluster.nodes
        }

    until("all answer", everybody, SETTLE_S)
    for node in cluster.nodes:
        done = node.command("status", "--ask")
        assert done.returncode == 0, done.stderr
        assert asked_lines(done.stdout)[leader.name][1] == "open,"
    silent = cluster.others(leader)[0]
    silent.freeze()
    try:
        lines = asked_lines(leader.command("status", "--ask").stdout)
        assert lines[silent.name][:2] == ["?", "?"]
        assert "in time" in " ".join(lines[silent.name])
        assert lines[leader.name][0] == "primary"
    finally:
        silent.thaw()
    cluster.wait_streams(silent)


def test_status_ask_wants_a_node(cluster: Cluster) -> None:
    """Without a node there is no key; and JSON is the listeners' own."""
    done = programs.run("fawkes-ha", "status", "--ask", "--lock", f"dir:{cluster.lock}", "--cluster", CLUSTER_NAME)
    assert done.returncode == 2 and "-D" in done.stderr
    done = cluster.nodes[0].command("status", "--ask", "-o", "json")
    assert done.returncode == 2 and "/status" in done.stderr


def test_an_impostor_is_not_believed(cluster: Cluster, caller: Caller) -> None:
    """Somebody on a standby's port who has no key, or passes on what another member says."""
    leader = cluster.find_leader()
    victim = cluster.others(leader)[0]
    victim.stop()
    stop = threading.Event()
    server = Impostor(victim.listen_port, leader.listen_port, stop)
    try:
        for way in ("nonsense", "pass on"):
            server.way = way
            words = asked_lines(leader.command("status", "--ask").stdout)[victim.name]
            assert words[0] == "?", (way, words)
        assert server.passed_on
    finally:
        stop.set()
        server.thread.join(10)
        victim.start()
    cluster.wait_streams(victim)


class Impostor:
    """Answers in a member's place: JSON without a MAC, or what another member makes of the question."""

    def __init__(self, port: int, other: int, stop: threading.Event) -> None:
        self.way = ""
        self.passed_on = 0
        self._other = other
        self._stop = stop
        self._server = socket.create_server(("127.0.0.1", port))
        self._server.settimeout(0.1)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        with self._server:
            while not self._stop.is_set():
                try:
                    connection, _ = self._server.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(http.ANSWER_BOUND_S)
                    request = connection.recv(65536)
                    connection.sendall(self._answer(request))

    def _answer(self, request: bytes) -> bytes:
        if self.way == "pass on":
            self.passed_on += 1
            with http.connect(self._other) as connection:
                connection.sendall(request)
                return http.read_all(connection)
        body = b'{"kind": "status", "status": {"role": "primary"}}'
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body)
