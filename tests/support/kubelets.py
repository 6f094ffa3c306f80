"""Stand-ins for kubelets: ``/stats/summary`` over TLS, for who shows a certificate of the cluster's authority."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from nodisk.pki import certs, profiles
from nodisk.pki.authority import Authority
from nodisk.spec.model import Lab, Machine

TIME = "2026-11-29T06:00:01.123456789Z"


def summary(pods: Mapping[tuple[str, str], Mapping[str, tuple[int, int]]], cpu: int = 250_000_000) -> dict[str, Any]:
    """As kubelet writes it: (namespace, name) → container → nanocores and bytes."""

    def used(cores: int, memory: int) -> dict[str, Any]:
        return {"cpu": {"time": TIME, "usageNanoCores": cores}, "memory": {"time": TIME, "workingSetBytes": memory}}

    told = [
        {
            "podRef": {"name": name, "namespace": namespace, "uid": "1"},
            "containers": [{"name": one, "startTime": TIME, **used(*usage)} for one, usage in containers.items()],
        }
        for (namespace, name), containers in pods.items()
    ]
    return {"node": {"nodeName": "x", **used(cpu, 1 << 30)}, "pods": told}


@dataclass
class Kubelet:
    """One of them; ``answer`` is what it says, and while ``open`` is cleared it says nothing."""

    answer: bytes = field(default_factory=lambda: json.dumps(summary({})).encode())
    status: int = 200
    open: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)
    """The common name of who asked, each time."""
    address: str = ""

    def __post_init__(self) -> None:
        self.open.set()

    def start(self, listener: socket.socket, machine: Machine, lab: Lab, authority: Authority, folder: Path) -> None:
        """Answer at a socket that is bound."""
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.path("ca.crt")))
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.load_cert_chain(*certificate(machine, lab, authority, folder))
        self.address = "{}:{}".format(*listener.getsockname())
        kubelet = self

        class Answers(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                names = dict(pair[0] for pair in self.request.getpeercert()["subject"])
                kubelet.asked.append(names["commonName"])
                asked = urlsplit(self.path)
                good = asked.path == "/stats/summary" and parse_qs(asked.query) == {"only_cpu_and_memory": ["true"]}
                kubelet.open.wait()
                body = kubelet.answer if good else b"no such path"
                self.send_response(kubelet.status if good else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def get_request(self) -> tuple[ssl.SSLSocket, Any]:
                # The handshake comes with the first read, in the connection's own thread.
                plain, peer = super().get_request()
                return tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), peer

            def handle_error(self, *_: object) -> None:
                """A client that went away, or that showed no certificate, is what a test does on purpose."""

        self._server = Server(("", 0), Answers, bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = listener
        listener.listen(16)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        self.open.set()
        self._server.shutdown()
        self._server.server_close()


def certificate(machine: Machine, lab: Lab, authority: Authority, folder: Path) -> tuple[Path, Path]:
    """What a machine gets for its kubelet when it enrols: the files of the certificate and of its key."""
    profile, key = profiles.PROFILES["kubelet-server"], certs.new_key()
    names = profiles.sans(profile, lab, machine)
    alternatives = [*map(x509.DNSName, names.names), *map(x509.IPAddress, names.addresses)]
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(certs.subject(f"system:node:{machine.name}", profile.organization))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .sign(key, hashes.SHA256())
    )
    csr = request.public_bytes(serialization.Encoding.PEM).decode()
    made, private = folder / f"{machine.name}.crt", folder / f"{machine.name}.key"
    made.write_bytes(authority.sign(machine, profile, csr))
    private.write_bytes(certs.key_pem(key))
    return made, private
