"""A member's listener as a client sees it, over plain sockets where the client misbehaves."""

import http.client
import json
import socket
from dataclasses import dataclass

ANSWER_BOUND_S = 5.0  # generous: the listener itself gives a connection 2 s


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> dict:
        return json.loads(self.body)


def ask(
    port: int, path: str, verb: str = "GET", body: bytes | None = None, headers: dict[str, str] | None = None
) -> Answer:
    """One request over a connection of its own; OSError or HTTPException when there is no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_BOUND_S)
    try:
        connection.request(verb, path, body=body, headers=headers or {})
        reply = connection.getresponse()
        return Answer(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())
    finally:
        connection.close()


def status(port: int, path: str) -> int:
    return ask(port, path).status


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=ANSWER_BOUND_S)


def read_all(connection: socket.socket) -> bytes:
    """Until the other side closes; what it broke off counts as closed."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)
