"""Who answers in a PostgreSQL's place, with TLS or without, and asks whoever connects for the password in plain text."""

import shutil
import socket
import ssl
import struct
import tempfile
import threading
from pathlib import Path

from .given import SSL_REQUEST
from .pki import Authority

ASK_FOR_PASSWORD = b"R" + struct.pack("!ii", 8, 3)


class Impostor:
    """`told` has what was sent to `port` after the question, a message of each connection."""

    def __init__(self, tls: bool = True) -> None:
        self.told: list[bytes] = []
        self._tls = tls
        self._base = Path(tempfile.mkdtemp(prefix="fh-impostor-"))
        made = Authority(self._base / "pki").server("impostor", ["IP:127.0.0.1"])
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(made.certificate, made.key)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]

    def __enter__(self) -> "Impostor":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()
        shutil.rmtree(self._base, ignore_errors=True)

    def _accept(self) -> None:
        try:
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()
        except OSError:
            pass  # closed

    def _serve(self, client: socket.socket) -> None:
        try:
            client.settimeout(10)
            if self._tls:
                client.recv(len(SSL_REQUEST))
                client.sendall(b"S")
                client = self._context.wrap_socket(client, server_side=True)
            with client as here:
                if here.recv(65536) == SSL_REQUEST:
                    here.sendall(b"N")
                    here.recv(65536)  # who wants what
                here.sendall(ASK_FOR_PASSWORD)
                self.told.append(here.recv(65536))
        except OSError:
            pass  # the client has gone
