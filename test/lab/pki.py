"""Certificates of a test bed, by openssl: one authority, and whom it vouches for."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

# openssl reads no configuration but this, whatever the machine has.
CONFIG = "[req]\ndistinguished_name = name\n[name]\n"
DAYS = "30"


@dataclass(frozen=True)
class Certificate:
    certificate: Path
    key: Path


def openssl(*arguments: object) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments[0]} ended with {done.returncode}: {done.stderr}")


class Authority:
    """A certificate authority whose files lie in `directory`, which must be the test's own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(mode=0o700, exist_ok=True)
        self._config = directory / "openssl.cnf"
        self._config.write_text(CONFIG)
        self._own = Certificate(directory / "ca.crt", directory / "ca.key")
        self._request(self._own, "/CN=fawkes-lab", "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign")

    @property
    def certificate(self) -> Path:
        return self._own.certificate

    def _request(self, made: Certificate, subject: str, *extensions: str) -> None:
        signed = [] if made == self._own else ["-CA", self._own.certificate, "-CAkey", self._own.key]
        openssl(
            *["req", "-x509", "-config", self._config, "-nodes"],
            *["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
            *["-subj", subject, "-days", DAYS, "-keyout", made.key, "-out", made.certificate, *signed],
            *[word for extension in (*extensions, "subjectKeyIdentifier=hash") for word in ("-addext", extension)],
        )

    def server(self, name: str, alternatives: list[str]) -> Certificate:
        """`alternatives`: as in subjectAltName, "IP:127.0.0.1" or "DNS:localhost"."""
        made = Certificate(self.directory / f"{name}.crt", self.directory / f"{name}.key")
        names = "subjectAltName=" + ",".join(alternatives)
        self._request(made, f"/CN={name}", "basicConstraints=CA:FALSE", "extendedKeyUsage=serverAuth", names)
        return made

    def client(self, name: str, groups: tuple[str, ...] = ()) -> Certificate:
        """Kubernetes takes the common name for the user, organizations for the groups."""
        file = name.replace("/", "_").replace(":", "_")
        made = Certificate(self.directory / f"{file}.crt", self.directory / f"{file}.key")
        subject = "".join(f"/O={group}" for group in groups) + f"/CN={name}"
        self._request(made, subject, "basicConstraints=CA:FALSE", "extendedKeyUsage=clientAuth")
        return made

    def signing_key(self, name: str) -> Path:
        """An RSA key for tokens."""
        key = self.directory / f"{name}.key"
        openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key)
        return key
