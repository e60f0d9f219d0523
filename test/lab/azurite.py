"""Azurite, an emulator of Azure's Blob service, which test/azurite.sh has installed: one process, all in memory."""

import base64
import hashlib
import hmac
import http.client
import signal
import subprocess
import urllib.parse
from email.utils import formatdate
from pathlib import Path

from .own import Port
from .programs import tail
from .wait import until

PROGRAM = Path("/var/lib/fawkes/azurite/node_modules/azurite/dist/src/blob/main.js")
ACCOUNT = "devstoreaccount1"
# The same in every emulator, and published: it guards nothing.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
VERSION = "2021-12-02"


def sign(text: str) -> str:
    return base64.b64encode(hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)).decode()


def account_sas(permissions: str, until_day: str = "2099-01-01") -> str:
    """A shared access signature for containers and blobs."""
    fields = {"sv": VERSION, "ss": "b", "srt": "co", "sp": permissions, "se": until_day, "spr": "https,http"}
    order = [ACCOUNT, permissions, "b", "co", "", until_day, "", "https,http", VERSION, "", ""]
    return urllib.parse.urlencode({**fields, "sig": sign("\n".join(order))})


class Azurite:
    def __init__(self, directory: Path, first_port: int) -> None:
        self.port = Port(first_port)
        self.endpoint = f"http://127.0.0.1:{self.port.number}"
        self._log = directory / "azurite.log"
        self._directory = directory
        self._process: subprocess.Popen | None = None

    def url(self, container: str) -> str:
        return f"{self.endpoint}/{ACCOUNT}/{container}"

    def start(self) -> None:
        arguments = ["--blobHost", "127.0.0.1", "--blobPort", str(self.port.number)]
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", "node", PROGRAM, "--silent", "--inMemoryPersistence", "--disableTelemetry"]
                + arguments,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until("Azurite answers", lambda: self._process.poll() is not None or self._request("GET", "/") > 0)
        if self._process.poll() is not None:
            raise RuntimeError(f"Azurite has ended:\n{tail(self._log, 15)}")

    def _request(self, method: str, path: str, headers: dict[str, str] | None = None) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port.number, timeout=20)
        try:
            connection.request(method, path, headers=headers or {})
            return connection.getresponse().status
        finally:
            connection.close()

    def create_container(self, name: str) -> None:
        date = formatdate(usegmt=True)
        path = f"/{ACCOUNT}/{name}"
        text = f"PUT{chr(10) * 12}x-ms-date:{date}\nx-ms-version:{VERSION}\n/{ACCOUNT}{path}\nrestype:container"
        headers = {"x-ms-date": date, "x-ms-version": VERSION, "Authorization": f"SharedKey {ACCOUNT}:{sign(text)}"}
        status = self._request("PUT", f"{path}?restype=container", headers)
        if status != 201:
            raise RuntimeError(f"Azurite makes no container: {status}")

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(20)
        self.port.free()
