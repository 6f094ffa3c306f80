"""The publishers' servers in one process, told apart by the Host that is asked for, and a proxy that leads to them.

Run as ``python official_servers.py ROOT CERTIFICATE KEY REGISTRY_PORT``; prints ``ready``. Files: ``ROOT/HOST/PATH``.
What a publisher does in the wild is done here: a file named in ``MOVED`` is redirected to another host, and so is
everything of a registry but its greeting. ``PATH.cut``, ``PATH.busy`` and ``PATH.portal`` beside a file spoil its next
answer: half of it, 429 with Retry-After, a login page elsewhere. Each line of ``ROOT/asked`` is a host and a path;
those that came by the proxy begin with ``CONNECT``.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import select
import socket
import ssl
import sys
import threading
from pathlib import Path

MOVED = {"github.com": "objects.githubusercontent.com", "dl.k8s.io": "cdn.dl.k8s.io"}
REGISTRIES = {"registry.k8s.io": "packages.example", "k8s.gcr.io": "packages.example"}
STORAGE = "packages.example"
PORTAL = "portal.example"
PROXY = 3128


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    root: Path
    registry: int
    lock = threading.Lock()

    def note(self, line: str) -> None:
        with self.lock, (self.root / "asked").open("a") as file:
            file.write(line + "\n")

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that doesn't believe the certificate, or goes away, is no fault of the server."""


class Publishers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        host = self.headers.get("Host", "").partition(":")[0]
        self.server.note(f"{host} {self.path}")
        path = self.server.root / host / self.path.lstrip("/")
        if host == PORTAL:
            self.reply(200, b"<html>Please log in</html>", {"Content-Type": "text/html"})
        elif self.spoiled(path):
            pass
        elif host in (*REGISTRIES, STORAGE):
            self.images(host)
        elif not path.is_file():
            self.reply(404, b"not found")
        elif host in MOVED and path.suffix == ".gz":
            self.reply(302, b"", {"Location": f"https://{MOVED[host]}{self.path}"})
        else:
            self.file(path)

    do_HEAD = do_GET  # noqa: N815 - the base class' way of names

    def spoiled(self, path: Path) -> bool:
        for kind in ("busy", "portal"):
            marker = path.with_name(f"{path.name}.{kind}")
            if marker.exists():
                marker.unlink()
                if kind == "busy":
                    self.reply(429, b"", {"Retry-After": "1"})
                else:
                    self.reply(302, b"", {"Location": f"https://{PORTAL}/login"})
                return True
        return False

    def file(self, path: Path) -> None:
        data = path.read_bytes()
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        part = data[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        cut = path.with_name(path.name + ".cut")
        if cut.exists():
            cut.unlink()
            part = part[: len(part) // 2]
            self.close_connection = True
        self.wfile.write(part)

    def images(self, host: str) -> None:
        if host in REGISTRIES and self.path != "/v2/":
            self.reply(307, b"", {"Location": f"https://{REGISTRIES[host]}{self.path}"})
            return
        real = http.client.HTTPConnection("127.0.0.1", self.server.registry)
        kept = {key: ", ".join(self.headers.get_all(key, [])) for key in ("Accept", "Range") if key in self.headers}
        real.request(self.command, self.path, headers=kept)
        answer = real.getresponse()
        passed = {key: value for key, value in answer.getheaders() if key not in ("Content-Length", "Date")}
        length = answer.headers.get("Content-Length")
        self.reply(answer.status, answer.read(), passed, length)
        real.close()

    def reply(self, code: int, body: bytes, headers: dict[str, str] | None = None, length: str | None = None) -> None:
        self.send_response(code)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name
        pass


class Proxy(http.server.BaseHTTPRequestHandler):
    """CONNECT alone, and always to the publishers: it knows the names that its clients can't resolve."""

    server: Server

    def do_CONNECT(self) -> None:
        self.server.note(f"CONNECT {self.path}")
        with socket.create_connection(("127.0.0.1", 443)) as there:
            self.send_response(200)
            self.end_headers()
            ends = {self.connection: there, there: self.connection}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        self.close_connection = True
                        return
                    ends[end].sendall(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name
        pass


def main(root: str, certificate: str, key: str, registry: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    publishers = Server(("127.0.0.1", 443), Publishers)
    # The handshake belongs to the thread of the connection, or one client that hesitates would stop all.
    publishers.socket = context.wrap_socket(publishers.socket, server_side=True, do_handshake_on_connect=False)
    proxy = Server(("127.0.0.1", PROXY), Proxy)
    for server in (publishers, proxy):
        server.root, server.registry = Path(root), int(registry)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    print("ready", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        publishers.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
