"""What is given to a node from outside, as a pod's volumes are: settings, passwords, a certificate."""

import os
import secrets
import shutil
import socket
import ssl
import struct
from pathlib import Path

from . import programs
from .node import Node
from .session import Error, Session

SSL_REQUEST = struct.pack("!ii", 8, 80877103)


class Given:
    """Directories under `base`, each changed as the kubelet changes a volume: all its files at once."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.password = "r:" + secrets.token_hex(16)  # of the replication role
        self.owner = "focal board"
        self.owner_password = "o\\" + secrets.token_hex(16)
        self.reader = "focal reader"
        self.reader_password = "p'" + secrets.token_hex(16)
        self.database = "focalboard"
        self.shared = {
            "fawkes_ha.cluster_name": "given",
            "fawkes_ha.bootstrap": "initdb:n1",
            "fawkes_ha.password_file": str(base / "replication/password"),
            "fawkes_ha.credentials_directory": str(base / "credentials"),
            "fawkes_ha.database": self.database,
            "fawkes_ha.readonly_credentials_directory": str(base / "readonly"),
            "fawkes_ha.tls": "on",
            "fawkes_ha.tls_directory": str(base / "tls"),
            "fawkes_ha.lease_duration": "3s",
            "fawkes_ha.renew_deadline": "2s",
            "fawkes_ha.retry_period": "500ms",
        }
        self.volume("replication", {"password": self.password})
        self.owner_is(self.owner, self.owner_password)
        self.volume("readonly", {})
        self.volume("tls", {})
        self.settings()

    def volume(self, name: str, files: dict[str, str]) -> None:
        """Make it, or replace all its files in one step."""
        volume = self.base / name
        volume.mkdir(parents=True, exist_ok=True)
        fresh = volume / f"..{secrets.token_hex(4)}"
        fresh.mkdir()
        for file, text in files.items():
            (fresh / file).write_text(text)
            if not os.path.lexists(volume / file):
                (volume / file).symlink_to(Path("..data") / file)
        before = (volume / "..data").resolve() if (volume / "..data").exists() else None
        (volume / "..next").symlink_to(fresh.name)
        (volume / "..next").rename(volume / "..data")
        if before is not None:
            shutil.rmtree(before)

    def owner_is(self, name: str, password: str) -> None:
        self.volume("credentials", {"username": name, "password": password})

    def reader_is(self, name: str, password: str) -> None:
        self.volume("readonly", {"username": name, "password": password})

    def settings(self, **more: str) -> None:
        self.volume("settings", {"fawkes_ha.conf": programs.settings_text({**self.shared, **more})})

    @property
    def file(self) -> Path:
        return self.base / "settings" / "fawkes_ha.conf"

    def use(self, node: Node) -> None:
        """Have `fawkes-ha run` of the node take all of it."""
        lines = [word for name, value in node.settings.items() for word in ("-c", f"{name}={value}")]
        node.options = ("--config", self.file, *lines)

    def dsn(self, node: Node, password: str | None = None, more: str = "sslmode=require") -> str:
        """As the owner, over TCP; `more` of libpq's parameters."""
        return self._dsn(node, self.owner, password or self.owner_password, more)

    def reader_dsn(self, node: Node, more: str = "sslmode=require") -> str:
        """As the one that may only read."""
        return self._dsn(node, self.reader, self.reader_password, more)

    def _dsn(self, node: Node, user: str, password: str, more: str) -> str:
        quoted = password.replace("\\", "\\\\").replace("'", "\\'")
        return f"host=127.0.0.1 port={node.port} dbname={self.database} user='{user}' password='{quoted}' {more}"


def logs_in(dsn: str) -> bool:
    try:
        with Session(dsn) as session:
            return session.value("SELECT 1") == 1
    except Error:
        return False


def served_certificate(port: int) -> bytes:
    """In DER: what PostgreSQL's port serves."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        plain.sendall(SSL_REQUEST)
        if plain.recv(1) != b"S":
            raise ConnectionError("PostgreSQL offers no TLS")
        with context.wrap_socket(plain) as wrapped:
            return wrapped.getpeercert(binary_form=True)
