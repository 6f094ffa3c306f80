"""A network of its own in which the publishers' own names lead to servers of the test.

Names come from an /etc/hosts and authorities from an /etc/ssl/certs that are mounted for the programs inside alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.interop.assets import official_servers
from tests.interop.assets.official_servers import MOVED, PORTAL, PROXY, REGISTRIES, STORAGE
from tests.support.waits import until

AUTHORITY = "Inspection of a school"
HOSTS = ("dl.k8s.io", "github.com", "raw.githubusercontent.com", *MOVED.values(), *REGISTRIES, STORAGE, PORTAL)
PROXY_URL = f"http://127.0.0.1:{PROXY}"
_SYSTEM = Path("/etc/ssl/certs/ca-certificates.crt")
_REGISTRY = 5000
# A mount namespace of the program's own: what it sees there, nobody else does, and nothing has to be put back.
_INSIDE = """\
mount --make-rprivate / && mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/ssl/certs && shift 2 && exec "$@"
"""


class Internet:
    """A context manager; ``registry`` is the address of a docker-registry on the host's loopback."""

    def __init__(self, folder: Path, name: str, registry: str) -> None:
        self.folder, self.name, self.registry = folder, name, registry
        self.root = folder / "publishers"
        self.authority = folder / "authority.pem"
        self.hosts = dict.fromkeys(HOSTS, "127.0.0.1")
        self.believed = True
        """Whether the system's trust store holds the authority."""
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Internet:
        self.root.mkdir()
        _certificates(self.folder)
        self.ip("netns", "add", self.name)
        try:
            self.ip("-n", self.name, "link", "set", "lo", "up")
            self.relay(self.registry, _REGISTRY)
            script = str(Path(official_servers.__file__))
            words = [sys.executable, script, str(self.root), "server.pem", "server.key", str(_REGISTRY)]
            server = self._start([*self._exec, *words], stdout=subprocess.PIPE)
            assert server.stdout is not None
            assert server.stdout.readline() == "ready\n"
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
            process.communicate()
        subprocess.run(["ip", "netns", "delete", self.name], check=False, capture_output=True)

    @property
    def _exec(self) -> list[str]:
        return ["ip", "netns", "exec", self.name]

    @staticmethod
    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True)

    def _start(self, words: list[str], stdout: int | None = None) -> subprocess.Popen[str]:
        process = subprocess.Popen(words, cwd=self.folder, stdout=stdout, text=True)
        self._processes.append(process)
        return process

    def relay(self, outside: str, port: int, inside: str = "127.0.0.1") -> None:
        """Let an address of the host's network answer inside: sockets of the file system cross namespaces."""
        path = self.folder / f"relay-{inside}-{port}"
        self._start(["socat", f"UNIX-LISTEN:{path},fork", f"TCP:{outside}"])
        self._start([*self._exec, "socat", f"TCP-LISTEN:{port},fork,reuseaddr,bind={inside}", f"UNIX-CONNECT:{path}"])
        until(path.exists)
        code = f"import socket; socket.create_connection(({inside!r}, {port})).close()"
        probe = [*self._exec, sys.executable, "-c", code]
        until(lambda: subprocess.run(probe, check=False, capture_output=True).returncode == 0)

    def publish(self, host: str, path: str, data: bytes | str) -> Path:
        """Put a file on one of the servers."""
        target = self.root / host / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data.encode() if isinstance(data, str) else data)
        return target

    def asked(self) -> list[str]:
        """What was asked for since the last look."""
        file = self.root / "asked"
        found = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return found

    def run(self, words: Iterable[object], **environment: str) -> subprocess.CompletedProcess[str]:
        """A program inside, without the caller's proxies, authorities and settings."""
        certificates = self.folder / "certs"
        certificates.mkdir(exist_ok=True)
        own = self.authority.read_text() if self.believed else ""
        (certificates / _SYSTEM.name).write_text(_SYSTEM.read_text() + own)
        names = self.folder / "hosts"
        lines = {"localhost": "127.0.0.1", **self.hosts}
        names.write_text("".join(f"{address} {host}\n" for host, address in lines.items()))
        inside = ["unshare", "--mount", "sh", "-c", _INSIDE, "sh", str(names), str(certificates)]
        return subprocess.run(
            [*self._exec, *inside, *map(str, words)],
            env={**_environment(), **environment},
            text=True,
            capture_output=True,
            check=False,
        )

    def nodisk(self, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
        """``nodisk WORDS`` inside."""
        return self.run([sys.executable, "-m", "nodisk", *words], **environment)


def _environment() -> dict[str, str]:
    """What a program of a plain host has: none of this one's settings for proxies, authorities and mirrors."""
    strange = ("NODISK_", "SSL_", "CURL_CA", "REQUESTS_CA")
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(strange) and not key.lower().endswith("_proxy")
    }


def _certificates(folder: Path) -> None:
    """The authority of a proxy that inspects TLS, and the one certificate that it shows for every server."""
    now = datetime.now(UTC)

    def made(subject: str, key: ec.EllipticCurvePrivateKey, by: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, AUTHORITY)])
        builder = x509.CertificateBuilder().issuer_name(issuer).public_key(key.public_key())
        builder = builder.subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        builder = builder.serial_number(x509.random_serial_number())
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key())
        builder = builder.add_extension(identifier, critical=False)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        return builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=2))

    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    builder = made(AUTHORITY, authority, authority)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    (folder / "authority.pem").write_bytes(_pem(builder.sign(authority, hashes.SHA256())))
    builder = made("publishers", server, authority)
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS])
    builder = builder.add_extension(names, critical=False)
    (folder / "server.pem").write_bytes(_pem(builder.sign(authority, hashes.SHA256())))
    (folder / "server.key").write_bytes(
        server.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
